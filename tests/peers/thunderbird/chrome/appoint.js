// Runs inside Thunderbird: its calendar makes an appointment with an attendee, changes it, or removes it, and tells the
// attendee by iMIP: the same calls that its event dialogue makes when Save and Send is pressed, without asking again. It
// ends once the letter has left (leaving.js).
async function appoint({ deed, uid, ics, address, seconds }) {
  const { cal } = ChromeUtils.importESModule("resource:///modules/calendar/calUtils.sys.mjs");
  const { CalEvent } = ChromeUtils.importESModule("resource:///modules/CalEvent.sys.mjs");
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  let calendar = cal.manager.getCalendars().find(one => one.name === "Agenda");
  if (!calendar) {
    const identity = MailServices.accounts.allIdentities.find(one => one.email === address);
    calendar = cal.manager.createCalendar("storage", Services.io.newURI("moz-storage-calendar://"));
    calendar.name = "Agenda";
    cal.manager.registerCalendar(calendar);
    calendar.setProperty("imip.identity.key", identity.key);
  }
  const send = { responseMode: Ci.calIItipItem.AUTO };
  const act = async () => {
    if (deed === "add") {
      const event = new CalEvent(ics);
      event.calendar = calendar;
      const made = await calendar.addItem(event);
      cal.itip.checkAndSend(Ci.calIOperationListener.ADD, made, null, send);
    } else {
      const old = await calendar.getItem(uid);
      if (deed === "move") {
        const changed = old.clone();
        const hour = cal.createDuration("PT1H");
        for (const name of ["startDate", "endDate"]) {
          const later = changed[name].clone();
          later.addDuration(hour);
          changed[name] = later;
        }
        const made = await calendar.modifyItem(cal.itip.prepareSequence(changed, old), old);
        cal.itip.checkAndSend(Ci.calIOperationListener.MODIFY, made, old, send);
      } else {
        await calendar.deleteItem(old);
        cal.itip.checkAndSend(Ci.calIOperationListener.DELETE, old, null, send);
      }
    }
    return { calendars: cal.manager.getCalendars().map(one => one.name) };
  };
  return untilLeft(act, seconds);
}
