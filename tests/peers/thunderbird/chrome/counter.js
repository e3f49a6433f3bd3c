// Runs inside Thunderbird, with a proposal of another time shown: what its bar says, what its event dialogue shows once
// "Reschedule" is pressed, and what the calendar holds once the proposed times are taken and "Save and Send" is pressed. It
// ends once the letter that tells of it has left (leaving.js).
async function counter({ uid, seconds }) {
  const { cal } = ChromeUtils.importESModule("resource:///modules/calendar/calUtils.sys.mjs");
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
  const about = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail").currentAboutMessage;
  const bar = about.calImipBar;
  const soon = Date.now() + Math.max(30000, (seconds * 1000) / 4); // whoever shows the letter anew has time left
  await until("the bar of invitations", () => bar.itipItem && bar.actionFunc, soon);
  const said = about.document.querySelector(".calendar-notification-bar .msgNotificationBarText").textContent;
  const shown = [...about.document.getElementById("imip-view-toolbar").getElementsByTagName("toolbarbutton")].filter(one => !one.hidden);
  const method = bar.itipItem.receivedMethod;
  const calendar = cal.manager.getCalendars().find(one => one.name === "Agenda");
  const start = async () => new Date((await calendar.getItem(uid)).startDate.nativeTime / 1000).toISOString();
  const before = await start();

  shown.find(one => one.id === "imipRescheduleButton").click();
  const dialogue = await until("the event dialogue", () => Services.wm.getMostRecentWindow("Calendar:EventDialog"));
  const within = await until("the proposal in the dialogue", () => {
    const inner = dialogue.document.getElementById("calendar-item-panel-iframe")?.contentWindow;
    const box = inner?.document.getElementById("counter-proposal-box");
    return box && !box.hasAttribute("collapsed") ? inner : null;
  });
  const find = id => within.document.getElementById(id);
  const summary = find("counter-proposal-summary").value;
  const comment = find("counter-proposal-comment").value;
  const proposed = [...find("counter-proposal-property-values").children].map(one => one.value).filter(Boolean);
  // Its fields take the proposed times.
  const times = () => ["event-starttime", "event-endtime"].map(id => find(id).value?.getTime()).join();
  const old = await until("the times in the dialogue", times);
  for (let pressed = 0; times() === old; await pause(100)) {
    if (Date.now() > deadline) {
      throw new Error(`the dialogue takes no proposed times: ${proposed}`);
    }
    if (Date.now() - pressed > 5000) {
      pressed = Date.now();
      find("counter-proposal-btn").click();
    }
  }
  await pause(300);
  let after = before;
  const { again } = await untilLeft(async () => {
    dialogue.document.getElementById("cmd_accept").doCommand();
    await until("the calendar to change", async () => (after = await start()) !== before);
    await until("the dialogue to close", () => dialogue.closed);
  }, seconds);
  return { again, said, method, buttons: shown.map(one => one.id), summary, comment, proposed, before, after };
}
