// Runs inside Thunderbird, with an answer shown: wait for the bar that knows it as one, press its button, and say what the
// calendar then holds of the attendees.
async function apply({ uid, seconds }) {
  const { cal } = ChromeUtils.importESModule("resource:///modules/calendar/calUtils.sys.mjs");
  const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
  const deadline = Date.now() + seconds * 1000;
  const soon = Date.now() + Math.max(30000, (seconds * 1000) / 4); // whoever shows the letter anew has time left
  const pause = () => new Promise(resolve => setTimeout(resolve, 100));
  const about = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail").currentAboutMessage;
  const bar = about.calImipBar;
  while (!bar.itipItem || !bar.actionFunc) {
    if (Date.now() > soon) {
      throw new Error("waited in vain for the bar of invitations");
    }
    await pause();
  }
  const said = about.document.querySelector(".calendar-notification-bar .msgNotificationBarText").textContent;
  const buttons = [...about.document.getElementById("imip-view-toolbar").getElementsByTagName("toolbarbutton")];
  const button = buttons.find(one => !one.hidden && one.id === "imipUpdateButton");
  const method = bar.itipItem.receivedMethod;
  const calendar = cal.manager.getCalendars().find(one => one.name === "Agenda");
  const of = item => item.getAttendees().map(one => [one.id, one.participationStatus]);
  const status = async () => of(await calendar.getItem(uid));
  // Occurrences that differ from their series, by the day they were to be on.
  const apart = async () => {
    const series = (await calendar.getItem(uid)).recurrenceInfo;
    return (series?.getExceptionIds() ?? []).map(id => [id.icalString, of(series.getExceptionFor(id))]);
  };
  const held = async () => JSON.stringify([await status(), await apart()]);
  const [before, first] = [await status(), await held()];
  if (!button) {
    const others = buttons.filter(one => !one.hidden).map(one => one.id);
    throw new Error(`no button takes this ${method}, of ${before}; there is ${others}; it says: ${said}`);
  }
  button.click();
  while ((await held()) === first) {
    if (Date.now() > deadline) {
      throw new Error(`the calendar holds what it held: ${first}; it said: ${said}`);
    }
    await pause();
  }
  return { said, method, before, after: await status(), apart: await apart(), buttons: [button.id] };
}
