// Runs inside Thunderbird: take the keys offered and given, answer the letter that is shown, add a copy. What a person would press is done by the window's own functions; what is encrypted, signed and hidden is Thunderbird's choice.
async function write({ server, copy, keys, words, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const module = name => ChromeUtils.importESModule(`chrome://openpgp/content/modules/${name}.sys.mjs`);
  const { RNP } = module("RNP");
  const { EnigmailKeyRing } = module("keyRing");
  const deadline = Date.now() + seconds * 1000;
  async function until(what, condition) {
    for (;;) {
      const found = await condition();
      if (found) {
        return found;
      }
      if (Date.now() > deadline) {
        throw new Error(`waited in vain for ${what}`);
      }
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }

  // Those that came with the letter and that Thunderbird offers (read.js waited for them), then those that are given.
  const main = Services.wm.getMostRecentWindow("mail:3pane");
  const shown = main.document.getElementById("tabmail").currentAboutMessage;
  const { attachedSenderEmailKeysIndex, attachedKeys } = shown.Enigmail.msg;
  const offered = attachedSenderEmailKeysIndex.map(({ idx }) => attachedKeys[idx]);
  for (const key of [...offered, ...keys]) {
    const taken = await RNP.importPubkeyBlockAutoAcceptImpl(null, key, "verified", false, []);
    if (!taken || taken.exitCode || !taken.importedKeys.length) {
      throw new Error(`a key was not taken: ${taken?.errorMsg}`);
    }
  }
  EnigmailKeyRing.clearCache();

  // What is sent is kept in a folder of the server, which Thunderbird learns at its first visit. It sends nothing before.
  const { rootFolder } = MailServices.accounts.getIncomingServer(server);
  await until("the folder of sent letters", () => rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.SentMail));

  for (const left of [...Services.wm.getEnumerator("msgcompose")]) {
    left.close(); // of an earlier attempt
  }
  MailServices.outgoingServer.servers.forEach(server => server.closeCachedConnections());
  await until("a clear desk", () => !Services.wm.getMostRecentWindow("msgcompose"));
  await MailServices.compose.OpenComposeWindow(
    null, shown.gMessage, shown.gMessageURI, Ci.nsIMsgCompType.ReplyToSender, Ci.nsIMsgCompFormat.PlainText,
    MailServices.accounts.defaultAccount.defaultIdentity, null, main.msgWindow
  );
  const window = await until("the window to write in", () => {
    const found = Services.wm.getMostRecentWindow("msgcompose");
    return found?.composeEditorReady && found.gMsgCompose ? found : null;
  });
  const row = window.document.querySelector('.address-row[data-recipienttype="addr_cc"]');
  window.addressRowAddRecipientsArray(row, [copy]);
  window.GetCurrentEditor().QueryInterface(Ci.nsIEditorMailSupport).insertTextWithQuotations(`${words}\n`);
  // Thunderbird makes up its mind a moment after the window is there.
  await until("the choice to encrypt", () => window.gSendEncrypted && window.gSendSigned);
  const pills = kind => [
    ...window.document.querySelectorAll(`.address-row[data-recipienttype="${kind}"] mail-address-pill`),
  ].map(pill => pill.emailAddress);
  return {
    to: pills("addr_to"),
    cc: pills("addr_cc"),
    subject: window.document.getElementById("msgSubject").value,
    encrypted: window.gSendEncrypted,
    signed: window.gSendSigned,
    subjectHidden: window.gEncryptSubject,
  };
}
