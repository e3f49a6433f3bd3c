// Runs inside Thunderbird: write a letter of one's own; a report of delivery and a receipt are asked by the
// window's own menu entries. What is encrypted and signed follows the account's settings, as `sealed` says.
async function compose({ to, subject, words, sealed, told, seconds }) {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
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

  // Of an earlier attempt.
  for (const left of [...Services.wm.getEnumerator("msgcompose")]) {
    left.close();
  }
  MailServices.outgoingServer.servers.forEach(server => server.closeCachedConnections());
  await until("a clear desk", () => !Services.wm.getMostRecentWindow("msgcompose"));
  const identity = MailServices.accounts.defaultAccount.defaultIdentity;
  identity.encryptionPolicy = sealed ? 2 : 0;
  identity.signMail = sealed;
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.to = to;
  fields.subject = subject;
  fields.body = `${words}\n`;
  const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  params.type = Ci.nsIMsgCompType.New;
  params.format = Ci.nsIMsgCompFormat.PlainText;
  params.identity = identity;
  params.composeFields = fields;
  MailServices.compose.OpenComposeWindowWithParams(null, params);
  const window = await until("the window to write in", () => {
    const found = Services.wm.getMostRecentWindow("msgcompose");
    return found?.composeEditorReady && found.gMsgCompose ? found : null;
  });
  if (told) {
    window.ToggleDSN(window.document.getElementById("dsnMenu"));
    window.ToggleReturnReceipt(window.document.getElementById("returnReceiptMenu"));
  }
  await until("the choice to encrypt", () => window.gSendEncrypted === sealed && window.gSendSigned === sealed);
  return {
    encrypted: window.gSendEncrypted,
    signed: window.gSendSigned,
    report: window.gMsgCompose.compFields.DSN,
    receipt: window.gMsgCompose.compFields.returnReceipt,
  };
}
