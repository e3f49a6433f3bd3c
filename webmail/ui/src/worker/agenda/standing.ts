// What an appointment held says at this moment: which component governs, who answered what, what is still open. The same
// as `standing.py`: worked out when asked, from the latest of everything seen; the order of messages changes nothing.
import type { Appointment, Attendee, Component, Held, Proposal, Reply } from "./model.ts";
import { keyOf } from "./zones.ts";

export const componentKey = (component: Component): string => keyOf(component.recurrence);

export const attendeeOf = (component: Component, addresses: readonly string[]): Attendee | null =>
  component.attendees.find((one) => addresses.includes(one.address)) ?? null;

/** RFC 5546 §2.1.5: SEQUENCE, then DTSTAMP. */
export function revise(one: { sequence: number; stamp: string }, other: { sequence: number; stamp: string }): number {
  if (one.sequence !== other.sequence) return one.sequence - other.sequence;
  return one.stamp < other.stamp ? -1 : one.stamp > other.stamp ? 1 : 0;
}

export const override = (appointment: Appointment, key: string): Held | null =>
  appointment.overrides.find((one) => componentKey(one.component) === key) ?? null;

/** What rules one occurrence: its own component, else the latest "this and future" before it, else the series. */
export function governing(appointment: Appointment, key: string): Held | null {
  if (key === "") return appointment.master;
  const own = override(appointment, key);
  if (own !== null) return own;
  let found: Held | null = null;
  for (const one of appointment.overrides) {
    if (!one.component.future || componentKey(one.component) > key) continue;
    if (found === null || componentKey(one.component) > componentKey(found.component)) found = one;
  }
  return found ?? appointment.master;
}

/** The highest SEQUENCE of anything held. */
export const top = ({ master, overrides, added }: Appointment): number =>
  Math.max(-1, ...[...overrides, ...added, ...(master === null ? [] : [master])].map((one) => one.sequence));

export const recurring = ({ master, overrides, added }: Appointment): boolean =>
  master !== null && (master.component.rule !== null || master.component.rdates.length > 0 || overrides.length > 0 || added.length > 0);

/** Whether the whole, or what governs one occurrence, is called off. */
export function cancelled(appointment: Appointment, key = ""): boolean {
  if (appointment.master?.component.status === "CANCELLED") return true;
  const held = governing(appointment, key);
  return held === null || held.component.status === "CANCELLED";
}

/** The newest answer that still holds: one given to an earlier SEQUENCE was to something else (RFC 5546 §2.1.5). */
export function answerInForce(appointment: Appointment, key: string, addresses: readonly string[]): Reply | null {
  const held = governing(appointment, key);
  if (held === null) return null;
  let found: Reply | null = null;
  for (const one of appointment.replies) {
    if (!addresses.includes(one.address) || (one.recurrence !== "" && one.recurrence !== key)) continue;
    if (one.sequence < held.component.sequence) continue;
    const later = found === null ? 1 : revise(one, found);
    if (found === null || later > 0 || (later === 0 && one.recurrence > found.recurrence)) found = one;
  }
  return found;
}

/** PARTSTAT of somebody for one occurrence; "" for who was not invited and did not answer. */
export function statusOf(appointment: Appointment, key: string, addresses: readonly string[]): string {
  const given = answerInForce(appointment, key, addresses);
  if (given !== null) return given.status;
  const held = governing(appointment, key);
  return held === null ? "" : (attendeeOf(held.component, addresses)?.status ?? "");
}

/** Who is invited, with what each answered; who was delegated to stands among them (RFC 5546 §3.2.2.3). */
export function attendeesOf(appointment: Appointment, key = ""): Attendee[] {
  const waiting = [...(governing(appointment, key)?.component.attendees ?? [])];
  const made = new Map<string, Attendee>();
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    if (made.has(one.address)) continue;
    const given = answerInForce(appointment, key, [one.address]);
    if (given !== null) one = { ...one, status: given.status, delegates: given.delegates, rsvp: false };
    made.set(one.address, one);
    if (one.status === "DELEGATED") waiting.push(...one.delegates.map((other) => attendee(other, { rsvp: true, delegators: [one!.address], role: one!.role })));
  }
  return [...made.values()];
}

export const attendee = (address: string, given: Partial<Attendee> = {}): Attendee => ({
  address, name: "", status: "NEEDS-ACTION", role: "REQ-PARTICIPANT", kind: "INDIVIDUAL", rsvp: false, delegates: [], delegators: [], sentby: "", ...given,
});

export const blank = (uid: string): Component => ({
  uid, recurrence: null, future: false, sequence: 0, stamp: "", start: null, end: null, rule: null, rdates: [], exdates: [], status: "",
  title: "", place: "", description: "", comment: "", organiser: null, attendees: [], extra: [],
});

export const listed = (appointment: Appointment, key: string, address: string): boolean =>
  attendeesOf(appointment, key).some((one) => one.address === address);

/** Answers of people whom nobody invited (RFC 5546 §3.2.3): kept apart, counted nowhere. */
export const crashers = (appointment: Appointment): Reply[] =>
  appointment.replies.filter((one) => !listed(appointment, one.recurrence, one.address));

/** Other times proposed that no later SEQUENCE has answered. */
export const openProposals = (appointment: Appointment): Proposal[] =>
  appointment.proposals.filter((one) => {
    const held = governing(appointment, one.recurrence);
    return !one.settled && held !== null && !cancelled(appointment, one.recurrence) && one.sequence >= held.component.sequence;
  });

/** What makes another SEQUENCE when it changes, and what an answer was given to (RFC 5546 §2.1.4); to be compared. */
export function schedule({ start, end, rule, rdates, exdates, status }: Component): string {
  const at = (when: Component["start"]) => when && [when.local, when.zone];
  const told = rule && [rule.freq, rule.interval, rule.count, at(rule.until), rule.byday, rule.bymonthday, rule.byyearday, rule.byweekno, rule.bymonth, rule.bysetpos, rule.wkst];
  return JSON.stringify([at(start), at(end), told, rdates.map(keyOf).sort(), exdates.map(keyOf).sort(), status === "CANCELLED"]);
}
