// Runs inside Thunderbird: go to the inbox, wait for the letter, open it, and say what is shown. Looks only at what a person sees: the list, the header of the message, its padlock and seal, its text.
async function read({ server, expected, width, height, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const pause = time => new Promise(resolve => setTimeout(resolve, time));
  async function until(what, condition) {
    for (;;) {
      const found = await condition();
      if (found) {
        return found;
      }
      if (Date.now() > deadline) {
        throw new Error(`waited in vain for ${what}`);
      }
      await pause(100);
    }
  }

  const main = await until("the main window", () => Services.wm.getMostRecentWindow("mail:3pane"));
  main.moveTo(0, 0);
  main.resizeTo(width, height);
  const tabmail = await until("the tabs", () => main.document.getElementById("tabmail"));
  for (const tab of [...tabmail.tabInfo].slice(1)) {
    tabmail.closeTab(tab);
  }
  const panes = await until("the three panes", () => {
    const about = tabmail.currentAbout3Pane;
    return about?.document.readyState === "complete" && about.displayFolder && about.threadTree ? about : null;
  });

  // The folders, then the inbox.
  const incoming = MailServices.accounts.getIncomingServer(server);
  incoming.performExpand(main.msgWindow);
  const inbox = await until("the inbox", () => incoming.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox));
  panes.displayFolder(inbox);
  await until("messages", () => {
    if (inbox.getTotalMessages(false) > 0) {
      return true;
    }
    inbox.updateFolder(main.msgWindow);
    return false;
  });
  const view = await until("the list", () => panes.gDBView?.rowCount && panes.gDBView);
  view.doCommand(Ci.nsMsgViewCommandType.expandAll); // an answer may stand below another in one conversation

  // Newest first: the one that shows the expected words once opened, else the newest.
  const rows = [];
  for (let row = 0; row < view.rowCount; row++) {
    rows.push(view.getMsgHdrAt(row));
  }
  const listed = rows.map(header => header.mime2DecodedSubject);
  const order = rows.map((header, row) => [header.dateInSeconds, row]).sort((a, b) => b[0] - a[0]);
  const shown = [];
  for (const [, row] of order) {
    const seen = await open(row);
    shown.push(seen);
    if (!expected || plain(seen.subject).includes(plain(expected))) {
      await pause(1500); // the last line is drawn
      return { found: true, listed, listedAfter: listing(), ...seen, keyOffered: keyOffered() };
    }
  }
  return { found: false, listed, listedAfter: listing(), ...shown[0], alsoOpened: shown.slice(1) };

  // Whatever kind of space stands between words.
  function plain(text) {
    return text.replace(/\s+/g, " ");
  }

  // Whether Thunderbird offers to take a key that came with the letter (by its Autocrypt field, or attached).
  function keyOffered() {
    return !tabmail.currentAboutMessage.document.getElementById("openpgpKeyBox").hidden;
  }

  function listing() {
    return rows.map(header => header.mime2DecodedSubject);
  }

  async function open(row) {
    panes.threadTree.selectedIndex = row;
    const message = await until(`message ${row}`, () => {
      const about = tabmail.currentAboutMessage;
      return about?.gMessage === view.getMsgHdrAt(row) || about?.gMessage?.messageKey === view.getKeyAt(row)
        ? about
        : null;
    });
    const find = id => message.document.getElementById(id);
    await until(`the text of message ${row}`, () => message.msgLoaded);
    const box = find("cryptoBox");
    // The padlock says that opening has ended, well or badly. Without encryption there is none to wait for.
    const type = await contentType(view.getMsgHdrAt(row));
    const smime = /application\/(x-)?pkcs7-mime/i.test(type);
    if (smime || /multipart\/encrypted/i.test(type)) {
      await until(`the padlock of message ${row}`, () => !find("encryptedHdrIcon").hidden);
    }
    if (smime) {
      await until(`the seal of message ${row}`, () => !find("signedHdrIcon").hidden);
    }
    // The inner subject takes the outer one's place a moment later; a letter without one keeps what it has, as S/MIME does.
    const subject = () => find("expandedsubjectBox").value.textContent;
    const patience = Date.now() + 10000;
    while (!smime && subject() === listed[row] && Date.now() < patience) {
      await pause(100);
    }
    const icon = id => {
      const image = find(id);
      return image.hidden ? "" : (image.getAttribute("src") ?? "").replace(/^.*\/|\.svg.*$/g, "");
    };
    // Its style sheet hides the header that is for printing alone: before it is there, this would stand in the text.
    const body = () => message.getMessagePaneBrowser().contentDocument?.body;
    await until(`the style of message ${row}`, () =>
      [...(body()?.querySelectorAll(".moz-main-header") ?? [])].every(
        one => one.ownerDocument.defaultView.getComputedStyle(one).display === "none"
      )
    );
    return {
      subject: subject(),
      technology: box.hidden ? "" : (box.getAttribute("tech") ?? ""),
      encryption: icon("encryptedHdrIcon"),
      signature: icon("signedHdrIcon"),
      text: (body()?.innerText ?? "").slice(0, 2000),
      attachments: [...(message.currentAttachments ?? [])].map(({ name, size }) => ({ name, size })),
    };
  }

  async function contentType(header) {
    const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
    return new Promise(resolve => {
      MsgHdrToMimeMessage(header, null, (_header, mime) => resolve(mime?.get("content-type") ?? ""), true, {
        partsOnDemand: true, examineEncryptedParts: false,
      });
    });
  }
}
