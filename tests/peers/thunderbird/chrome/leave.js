// Runs inside Thunderbird: press Send, wait until the letter has left.
async function leave({ seconds }) {
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const window = Services.wm.getMostRecentWindow("msgcompose");
  window.goDoCommand("cmd_sendNow");
  // When it cannot send, Thunderbird says so in a dialogue and keeps the window.
  while (Services.wm.getMostRecentWindow("msgcompose")) {
    if (Date.now() > deadline) {
      throw new Error("the letter did not leave");
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
