// Runs inside Thunderbird: what it does when a letter is to be sealed by S/MIME and it has no certificate of who gets
// it: its own window asks the directory, and takes what it finds. What it holds before and after.
async function fetch({ address, directory, seconds }) {
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  const held = () =>
    database
      .getCerts()
      .filter(one => one.containsEmailAddress(address))
      .map(one => one.sha256Fingerprint);
  const before = held();
  const main = Services.wm.getMostRecentWindow("mail:3pane");
  let closed = false;
  const window = main.openDialog(
    "chrome://messenger-smime/content/certFetchingStatus.xhtml",
    "",
    "chrome,resizable=1,dialog=1",
    directory,
    [address]
  );
  while (!closed) {
    closed = window.closed;
    if (Date.now() > deadline) {
      throw new Error("waited in vain for the end of its search");
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  const fields = Cc["@mozilla.org/messengercompose/composesecure;1"].createInstance(Ci.nsIMsgComposeSecure);
  const usable = await new Promise(resolve =>
    fields.asyncFindCertByEmailAddr(address, {
      QueryInterface: ChromeUtils.generateQI(["nsIDoneFindCertForEmailCallback"]),
      findCertDone: (_address, found) => resolve(found ? found.sha256Fingerprint : ""),
    })
  );
  return { before, after: held(), usable };
}
