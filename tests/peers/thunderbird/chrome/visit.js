// Runs inside Thunderbird: visit the account, fetch what came, and keep no copies of what is sent: it learns of the folder for them
// only later, and sends nothing that it cannot keep.
async function visit({ server, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const incoming = MailServices.accounts.getIncomingServer(server);
  for (const identity of MailServices.accounts.allIdentities) {
    identity.doFcc = false;
  }
  for (let last = 0; ; ) {
    const main = Services.wm.getMostRecentWindow("mail:3pane");
    if (main) {
      if (Date.now() - last > 5000) {
        last = Date.now();
        incoming.performExpand(main.msgWindow);
      }
      const inbox = incoming.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
      if (inbox) {
        inbox.updateFolder(main.msgWindow);
        return { letters: inbox.getTotalMessages(false) };
      }
    }
    if (Date.now() > deadline) {
      throw new Error("waited in vain for the inbox");
    }
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}
