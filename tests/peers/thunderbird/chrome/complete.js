// Runs inside Thunderbird: a new letter, in whose To field somebody types; what its directory offers, and the address
// that stands there once the offer is taken with Enter.
async function complete({ typed, wanted, seconds }) {
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

  const identity = MailServices.accounts.defaultAccount.defaultIdentity;
  identity.encryptionPolicy = 0;
  identity.signMail = false;
  const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  params.type = Ci.nsIMsgCompType.New;
  params.format = Ci.nsIMsgCompFormat.PlainText;
  params.identity = identity;
  params.composeFields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  if (!Services.wm.getMostRecentWindow("msgcompose")) {
    MailServices.compose.OpenComposeWindowWithParams(null, params);
  }
  const window = await until("the window to write in", () => {
    const found = Services.wm.getMostRecentWindow("msgcompose");
    return found?.composeEditorReady && found.gMsgCompose ? found : null;
  });
  const input = window.document.getElementById("toAddrInput");
  const offered = () =>
    Array.from({ length: input.controller.matchCount }, (_, number) => input.controller.getValueAt(number));
  const began = Date.now();
  input.focus();
  input.setUserInput(typed);
  const DONE = [Ci.nsIAutoCompleteController.STATUS_COMPLETE_MATCH, Ci.nsIAutoCompleteController.STATUS_COMPLETE_NO_MATCH];
  await until(`an answer to ${typed}`, () =>
    wanted
      ? offered().some(one => one.includes(wanted))
      : DONE.includes(input.controller.searchStatus) && Date.now() - began > 2000
  );
  const answers = offered();
  const took = Date.now() - began;
  if (wanted) {
    input.popup.selectedIndex = answers.findIndex(one => one.includes(wanted));
    input.controller.handleEnter(true);
    await until("the address in its place", () => window.document.querySelector("mail-address-pill"));
  } else {
    input.setUserInput("");
  }
  const pills = [...window.document.querySelectorAll("mail-address-pill")].map(pill => pill.emailAddress);
  return { typed, answers, took, pills };
}
