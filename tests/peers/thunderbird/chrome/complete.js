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
  const DONE = [Ci.nsIAutoCompleteController.STATUS_COMPLETE_MATCH, Ci.nsIAutoCompleteController.STATUS_COMPLETE_NO_MATCH];
  const pill = () => window.document.querySelector("mail-address-pill");
  // What is typed is typed again where nothing comes of it: the field may not have had the focus, or the directory was late.
  const type = () => {
    input.focus();
    input.setUserInput("");
    input.setUserInput(typed);
    return Date.now();
  };
  let [last, taken, answers] = [type(), 0, []];
  await until(`an answer to ${typed}, and the address in its place`, () => {
    if (pill()) {
      return true;
    }
    if (!wanted) {
      answers = offered();
      return DONE.includes(input.controller.searchStatus) && Date.now() - last > 2000;
    }
    const at = offered().findIndex(one => one.includes(wanted));
    if (at >= 0 && Date.now() - taken > 3000) {
      taken = Date.now();
      answers = offered();
      input.popup.selectedIndex = at;
      input.controller.handleEnter(true);
    }
    if (Date.now() - last > 15000 && !pill()) {
      last = type();
    }
    return pill();
  });
  const took = Date.now() - began;
  if (!wanted) {
    input.setUserInput("");
  }
  const pills = [...window.document.querySelectorAll("mail-address-pill")].map(pill => pill.emailAddress);
  return { typed, answers, took, pills };
}
