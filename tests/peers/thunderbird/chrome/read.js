// Runs inside Thunderbird: go to the inbox, wait for the letter, open it, and say what is shown. Looks only at what a person
// sees: the list, the header of the message, its padlock and seal, its text. The list is looked at again and again, and
// letters are known by their keys: others come meanwhile. `offer`: until a key that came with the letter is offered;
// `anew`: even if the letter is shown already; `afresh`: over new connections.
async function read({ server, expected, offer, anew, afresh, width, height, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const pause = time => new Promise(resolve => setTimeout(resolve, time));
  async function until(what, condition, limit = deadline) {
    for (;;) {
      const found = await condition();
      if (found) {
        return found;
      }
      if (Date.now() > limit) {
        throw new Error(`waited in vain for ${what}`);
      }
      await pause(100);
    }
  }
  // Does `act` at once, and again when so many seconds are over.
  function atMostEach(every, act) {
    let last = 0;
    return () => {
      if (Date.now() - last > every * 1000) {
        last = Date.now();
        act();
      }
    };
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
  if (afresh) {
    incoming.closeCachedConnections();
  }
  const expand = atMostEach(10, () => incoming.performExpand(main.msgWindow));
  const inbox = await until("the inbox", () => {
    expand();
    return incoming.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  });
  const display = atMostEach(10, () => panes.displayFolder(inbox));
  const fetch = atMostEach(2, () => inbox.updateFolder(main.msgWindow));
  const view = await until("the list", () => {
    if (panes.gFolder?.URI !== inbox.URI || !panes.gDBView) {
      display();
      return null;
    }
    fetch();
    return panes.gDBView.rowCount > 0 && panes.gDBView;
  });

  // What each letter was listed as before it was opened: its inner subject takes that one's place.
  const listedFirst = JSON.parse(main.listedFirst ?? "{}");
  const ruledOut = new Set();
  const opened = [];
  const tries = new Map();
  for (;;) {
    fetch();
    const rows = listing();
    // Newest first, and what failed once after all others.
    const [next] = rows
      .filter(({ key }) => !ruledOut.has(key))
      .sort((a, b) => (tries.get(a.key) ?? 0) - (tries.get(b.key) ?? 0) || b.date - a.date || a.row - b.row);
    if (next) {
      try {
        const seen = await open(next);
        opened.push(seen);
        if (!expected || plain(seen.subject).includes(plain(expected))) {
          const shown = await settled(next.key);
          await pause(1500); // the last line is drawn
          return { found: true, ...told(), ...shown };
        }
        ruledOut.add(next.key);
      } catch (failure) {
        opened.push({ failure: String(failure) });
        tries.set(next.key, (tries.get(next.key) ?? 0) + 1);
      }
    }
    if (Date.now() > deadline) {
      return { found: false, ...told(), opened: opened.map(({ subject, failure }) => failure ?? subject) };
    }
    await pause(next ? 0 : 300);
  }

  function told() {
    const rows = listing();
    return {
      letters: rows.length,
      listed: rows.map(({ key }) => listedFirst[key]),
      listedAfter: rows.map(({ subject }) => subject),
    };
  }

  // The letters of the list; an answer may stand below another in one conversation.
  function listing() {
    view.doCommand(Ci.nsMsgViewCommandType.expandAll);
    const rows = [];
    for (let row = 0; row < view.rowCount; row++) {
      const header = view.getMsgHdrAt(row);
      const [key, subject] = [header.messageKey, header.mime2DecodedSubject];
      listedFirst[key] ??= subject;
      rows.push({ row, key, subject, date: header.dateInSeconds });
    }
    main.listedFirst = JSON.stringify(listedFirst);
    return rows;
  }

  // Whatever kind of space stands between words.
  function plain(text) {
    return text.replace(/\s+/g, " ");
  }

  // Whether Thunderbird offers to take a key that came with the letter (by its Autocrypt field, or attached).
  function keyOffered() {
    const about = tabmail.currentAboutMessage;
    const [box, message] = [about.document.getElementById("openpgpKeyBox"), about.Enigmail.msg];
    return !box.hidden && message.attachedSenderEmailKeysIndex.length > 0;
  }

  async function open({ key, subject: outer }) {
    const limit = Math.min(deadline, Date.now() + 45000);
    const shows = () => {
      const about = tabmail.currentAboutMessage;
      return about?.gMessage?.messageKey === key && about.gFolder?.URI === inbox.URI ? about : null;
    };
    const again = anew || tries.get(key) > 0;
    const select = atMostEach(20, () => {
      const row = listing().findIndex(one => one.key === key);
      if (again || panes.threadTree.selectedIndex === row) {
        panes.threadTree.selectedIndex = -1;
      }
      panes.threadTree.selectedIndex = row;
    });
    if (again || !shows()) {
      select();
    }
    const message = await until(`message ${key}`, () => shows() ?? void select(), limit);
    await until(`the text of message ${key}`, () => shows()?.msgLoaded, limit);
    // The padlock says that opening has ended, well or badly. Without encryption there is none to wait for.
    const find = id => message.document.getElementById(id);
    const type = await contentType(message.gMessage, limit);
    const smime = /application\/(x-)?pkcs7-mime/i.test(type);
    const sealed = smime || /multipart\/encrypted/i.test(type);
    if (sealed) {
      await until(`the padlock of message ${key}`, () => !find("encryptedHdrIcon").hidden, limit);
    }
    if (smime) {
      await until(`the seal of message ${key}`, () => !find("signedHdrIcon").hidden, limit);
    }
    // The inner subject takes the outer one's place a moment later; a letter without one keeps what it has, as S/MIME does.
    const subject = () => find("expandedsubjectBox").value.textContent;
    const patience = Date.now() + 10000;
    while (sealed && !smime && subject() === listedFirst[key] && Date.now() < patience) {
      await pause(100);
    }
    return look(message);
  }

  // Once it has been shown alike for a while.
  async function settled(key) {
    let [before, shown] = ["", null];
    await until(
      `message ${key} to be shown alike for a while`,
      async () => {
        await pause(700);
        const message = tabmail.currentAboutMessage;
        if (message?.gMessage?.messageKey !== key) {
          throw new Error(`message ${key} is no longer shown`);
        }
        shown = look(message);
        const [last, now] = [before, JSON.stringify(shown)];
        before = now;
        return last === now && styled(message) && (!offer || shown.keyOffered);
      },
      Math.min(deadline, Date.now() + 60000)
    );
    return shown;
  }

  // Its style sheet hides the header that is for printing alone: before it is there, this would stand in the text.
  function styled(message) {
    return [...(text(message)?.querySelectorAll(".moz-main-header") ?? [])].every(
      one => one.ownerDocument.defaultView.getComputedStyle(one).display === "none"
    );
  }

  function text(message) {
    return message.getMessagePaneBrowser().contentDocument?.body;
  }

  function look(message) {
    const find = id => message.document.getElementById(id);
    const icon = id => {
      const image = find(id);
      return image.hidden ? "" : (image.getAttribute("src") ?? "").replace(/^.*\/|\.svg.*$/g, "");
    };
    const box = find("cryptoBox");
    return {
      subject: find("expandedsubjectBox").value.textContent,
      technology: box.hidden ? "" : (box.getAttribute("tech") ?? ""),
      encryption: icon("encryptedHdrIcon"),
      signature: icon("signedHdrIcon"),
      text: (text(message)?.innerText ?? "").slice(0, 2000),
      attachments: [...(message.currentAttachments ?? [])].map(({ name, size }) => ({ name, size })),
      keyOffered: keyOffered(),
    };
  }

  async function contentType(header, limit) {
    const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
    let type = null;
    const ask = atMostEach(10, () =>
      MsgHdrToMimeMessage(header, null, (_header, mime) => (type = mime ? (mime.get("content-type") ?? "") : type), true, {
        partsOnDemand: true, examineEncryptedParts: false,
      })
    );
    await until("its content type", () => type !== null || void ask(), limit);
    return type;
  }
}
