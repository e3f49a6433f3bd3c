// Runs inside Thunderbird: visit the account's inbox, until the folder of sent letters is known: it sends nothing before.
async function open({ server, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  let last = 0;
  const incoming = MailServices.accounts.getIncomingServer(server);
  for (;;) {
    const main = Services.wm.getMostRecentWindow("mail:3pane");
    const { Inbox, SentMail } = Ci.nsMsgFolderFlags;
    if (main && incoming.rootFolder.getFolderWithFlags(SentMail)) {
      return {};
    }
    if (main && Date.now() - last > 5000) {
      last = Date.now();
      incoming.performExpand(main.msgWindow);
      incoming.rootFolder.getFolderWithFlags(Inbox)?.updateFolder(main.msgWindow);
    }
    if (Date.now() > deadline) {
      throw new Error("waited in vain for the folders");
    }
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}
