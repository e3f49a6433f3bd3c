// Runs inside Thunderbird: the letter that is shown asks for a receipt; press the button that sends it.
async function receipt({ seconds }) {
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const main = Services.wm.getMostRecentWindow("mail:3pane");
  for (;;) {
    const shown = main.document.getElementById("tabmail").currentAboutMessage;
    const asked = shown?.gMessageNotificationBar?.msgNotificationBar.getNotificationWithValue("mdnRequested");
    if (asked) {
      const [button] = asked.buttonContainer.querySelectorAll("button");
      const words = asked.messageText.textContent;
      button.click();
      return { words, button: button.label || button.textContent };
    }
    if (Date.now() > deadline) {
      const bar = shown?.gMessageNotificationBar?.msgNotificationBar;
      const there = [...(bar?.allNotifications ?? [])].map(one => one.getAttribute("value"));
      throw new Error(`no receipt is asked for; the bar has: ${there.join(", ")}`);
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
