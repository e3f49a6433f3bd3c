// Runs inside Thunderbird: take one's own certificate with its key (Settings > Certificates > Your Certificates > Import).
async function hold({ file, password }) {
  const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  const { FileUtils } = ChromeUtils.importESModule("resource://gre/modules/FileUtils.sys.mjs");
  const failure = database.importPKCS12File(new FileUtils.File(file), password);
  if (failure) {
    throw new Error(`the certificate was not taken: ${failure}`);
  }
  return {};
}
