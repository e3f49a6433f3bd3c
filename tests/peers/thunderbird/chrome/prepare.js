// Runs inside Thunderbird: trust the test authority, take the key, make the account. What a person would do once
// in Settings > Privacy & Security > Certificates, in Account Settings > End-To-End Encryption and in New Account.
async function prepare({ ca, account, imap, submission, secretKey, passphrase }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { BondOpenPGP } = ChromeUtils.importESModule("chrome://openpgp/content/BondOpenPGP.sys.mjs");
  const module = name =>
    ChromeUtils.importESModule(`chrome://openpgp/content/modules/${name}.sys.mjs`);

  // The authority of the server's certificate.
  const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  certificates.addCertFromBase64(ca, "CT,C,C");

  // The holder's own key.
  await BondOpenPGP.init();
  const { RNP } = module("RNP");
  const { EnigmailKeyRing } = module("keyRing");
  const { PgpSqliteDb2 } = module("sqliteDb");
  const unlock = (_window, _prompt, flags) => {
    flags.canceled = false;
    return passphrase;
  };
  const taken = await RNP.importSecKeyBlockImpl(null, unlock, false, secretKey);
  if (!taken || taken.exitCode || !taken.importedKeys.length) {
    throw new Error(`the secret key was not taken: ${taken?.errorMsg}`);
  }
  EnigmailKeyRing.updateKeys(taken.importedKeys);
  EnigmailKeyRing.clearCache();
  // Under its whole fingerprint, which is more than what the import answers. Nothing is signed before.
  const fingerprint = EnigmailKeyRing.getKeyById(taken.importedKeys[0]).fpr;
  await PgpSqliteDb2.updateAcceptance(fingerprint, null, "personal");

  // The account: incoming, outgoing, identity with its key. socketType: 2 STARTTLS, 3 TLS; authMethod 3: password.
  const incoming = MailServices.accounts.createIncomingServer(account.address, "localhost", "imap");
  incoming.port = imap.port;
  incoming.socketType = imap.tls === "starttls" ? 2 : 3;
  incoming.authMethod = 3;
  incoming.prettyName = account.address;
  incoming.loginAtStartUp = false;
  incoming.doBiff = false;

  const outgoing = MailServices.outgoingServer.createServer("smtp");
  outgoing.QueryInterface(Ci.nsISmtpServer);
  outgoing.hostname = "localhost";
  outgoing.port = submission.port;
  outgoing.socketType = submission.tls === "starttls" ? 2 : 3;
  outgoing.authMethod = 3;
  outgoing.username = account.address;

  const identity = MailServices.accounts.createIdentity();
  identity.email = account.address;
  identity.fullName = account.name;
  identity.smtpServerKey = outgoing.key;
  identity.setUnicharAttribute("openpgp_key_id", fingerprint.slice(-16));
  identity.setBoolAttribute("is_gnupg_key_id", false);
  identity.encryptionPolicy = 2;
  identity.signMail = true;

  const made = MailServices.accounts.createAccount();
  made.addIdentity(identity);
  made.incomingServer = incoming;
  MailServices.accounts.defaultAccount = made;

  for (const origin of ["imap://localhost", "smtp://localhost"]) {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init(origin, null, origin, account.address, account.password, "", "");
    await Services.logins.addLoginAsync(login);
  }
  return { fingerprint, version: Services.appinfo.version, server: incoming.key };
}
