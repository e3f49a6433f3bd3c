// What one sends, with the SEQUENCE and DTSTAMP that RFC 5546 wants: the same rules as `composing.py`. Each act gives the
// appointment to keep and the messages it takes; what cannot be done is refused with a slug.
import { AgendaRefused } from "./model.ts";
import type { Appointment, Attendee, Component, Held, Made, Me, Message, Method, Outgoing, Proposal, Reply, When } from "./model.ts";
import { bare, latest, placed, withAddition } from "./receiving.ts";
import { attendee, attendeeOf, attendeesOf, blank, cancelled, componentKey, crashers, governing, openProposals, override, schedule, top } from "./standing.ts";
import { instantOf, isDay, keyOf, localOf, moved, stampOf, wallAt, wallOf } from "./zones.ts";

export const STATUSES: readonly string[] = ["ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED"];

/** Now, or a second after the last: two messages of one second would be told apart by nothing else. */
function nextStamp(last: string, now: number): string {
  const stamp = stampOf(now);
  return stamp > last ? stamp : stampOf(Date.parse(last) + 1000);
}

/** RECURRENCE-ID of an occurrence, as its organiser writes times. */
export function whenOf(appointment: Appointment, key: string): When {
  const held = override(appointment, key);
  if (held?.component.recurrence) return held.component.recurrence;
  const start = appointment.master?.component.start ?? null;
  if (start === null) throw new AgendaRefused("no-occurrence");
  if (isDay(start) || start.zone === "") return { local: key, zone: "" };
  const instant = Date.parse(key);
  if (Number.isNaN(instant)) throw new AgendaRefused("no-occurrence");
  if (start.zone === "UTC" || !key.endsWith("Z")) return { local: key.replace(/Z$/, ""), zone: "UTC" };
  return { local: localOf(wallAt(instant, start.zone), false), zone: start.zone };
}

/** Seconds from start to end on the wall (RFC 5545 §3.6.1: a day without an end lasts one, a time none). */
export function lengthOf({ start, end }: Component): number {
  if (start === null || end === null) return start !== null && isDay(start) ? 86_400 : 0;
  if (isDay(start) || start.zone === end.zone) return Math.round((wallOf(end.local) - wallOf(start.local)) / 1000);
  return Math.floor((instantOf(end, "UTC") - instantOf(start, "UTC")) / 1000);
}

/** The component of one occurrence: its own, or the series' at that time. */
export function occurrenceOf(appointment: Appointment, key: string): Component {
  const one = governing(appointment, key)?.component;
  if (one === undefined) throw new AgendaRefused("no-occurrence");
  if (componentKey(one) === key) return one;
  const at = whenOf(appointment, key);
  // of a "this and future" the distance from its RECURRENCE-ID counts (RFC 5545 §3.8.4.4)
  const shift = one.recurrence !== null && one.start !== null ? Math.round((wallOf(one.start.local) - wallOf(one.recurrence.local)) / 1000) : 0;
  const start = moved(at, shift);
  const end = one.end === null ? null : moved(start, lengthOf(one));
  return { ...one, recurrence: at, future: false, start, end, rule: null, rdates: [], exdates: [] };
}

const out = (to: readonly string[], method: Method, components: readonly Component[], me: Me, now: number): Outgoing => {
  const message: Message = { method, components, sender: me.addresses[0]!, received: now };
  return { to, message };
};

// ---------------------------------------------------------------------------------------------------- attendees

export interface Answer {
  readonly recurrence?: string; // key of one occurrence; "": the whole
  readonly comment?: string;
  readonly delegate?: string;
}

/** REPLY (RFC 5546 §3.2.3) to the whole, or to the occurrence whose key is given. */
export function answer(appointment: Appointment, status: string, me: Me, now: number, given: Answer = {}): Made {
  const { recurrence = "", comment = "", delegate = "" } = given;
  answerable(appointment, recurrence);
  if (!STATUSES.includes(status) || (status === "DELEGATED") !== (delegate !== "")) throw new AgendaRefused("status");
  const stamp = nextStamp(appointment.last, now);
  const about: Component[] = [];
  if (recurrence !== "") about.push(occurrenceOf(appointment, recurrence));
  else {
    if (appointment.master !== null) about.push(appointment.master.component);
    // occurrences with a component of their own are asked about apart
    about.push(...appointment.overrides.map((one) => one.component).filter((one) => one.status !== "CANCELLED"));
  }
  if (about.length === 0) throw new AgendaRefused("cancelled"); // all that is held of a series is occurrences called off
  let replies: readonly Reply[] = appointment.replies;
  const components = about.map((one) => {
    const mine = mineOf(one, me, status, delegate);
    const { address, name, delegates, delegators } = mine;
    replies = latest(replies, { address, name, recurrence: componentKey(one), sequence: one.sequence, stamp, status, comment, delegates, delegators });
    return aboutOf(one, stamp, mine, comment);
  });
  const outgoing = [out([appointment.organiser], "REPLY", components, me, now)];
  if (delegate !== "") outgoing.push(out([delegate], "REQUEST", about.map((one) => handedOn(one, me, delegate)), me, now));
  return { appointment: { ...appointment, replies, last: stamp }, outgoing };
}

/** COUNTER (RFC 5546 §3.2.7): another time for the whole, or for one occurrence. */
export function propose(appointment: Appointment, start: When, end: When | null, me: Me, now: number, given: Answer = {}): Made {
  const { recurrence = "", comment = "" } = given;
  answerable(appointment, recurrence);
  const held = recurrence === "" ? wholeOf(appointment) : occurrenceOf(appointment, recurrence);
  const stamp = nextStamp(appointment.last, now);
  const mine = mineOf(held, me, "TENTATIVE", "");
  const made: Proposal = { address: mine.address, recurrence, sequence: held.sequence, stamp, start, end, comment, settled: false };
  const component = { ...aboutOf(held, stamp, mine, comment), start, end, place: held.place, rule: held.rule };
  const kept = { ...appointment, proposals: latest(appointment.proposals, made), last: stamp };
  return { appointment: kept, outgoing: [out([appointment.organiser], "COUNTER", [component], me, now)] };
}

/** REFRESH (RFC 5546 §3.2.6): the organiser is asked for all of it as it is now. */
export function refresh(appointment: Appointment, me: Me, now: number): Made {
  if (appointment.role === "organiser") throw new AgendaRefused("own");
  const stamp = nextStamp(appointment.last, now);
  const organiser = { address: appointment.organiser, name: "", sentby: "" };
  const asked = { ...blank(appointment.uid), stamp, organiser, attendees: [attendee(me.addresses[0]!, { name: me.name })] };
  return { appointment: { ...appointment, last: stamp }, outgoing: [out([appointment.organiser], "REFRESH", [asked], me, now)] };
}

/** Something of which only a later message came, to `refresh` it. */
export const unheard = (uid: string, organiser: string): Appointment => ({
  uid, role: "unknown", organiser, trust: "organiser", voucher: "", master: null, overrides: [], added: [], replies: [], proposals: [], former: [], last: "",
});

/** Why nothing can be answered; "" when something can. */
export function cannotAnswer(appointment: Appointment, key: string): string {
  if (appointment.role !== "attendee") return appointment.role === "organiser" ? "own" : "not-invited";
  return cancelled(appointment, key) && (key !== "" || appointment.master !== null) ? "cancelled" : "";
}

function answerable(appointment: Appointment, key: string): void {
  const slug = cannotAnswer(appointment, key);
  if (slug !== "") throw new AgendaRefused(slug);
}

function wholeOf({ master, overrides }: Appointment): Component {
  if (master !== null) return master.component;
  if (overrides.length === 1) return overrides[0]!.component;
  throw new AgendaRefused("no-occurrence");
}

/** One's own line as the organiser wrote it, so that they know it again; a party crasher brings their own. */
function mineOf(one: Component, me: Me, status: string, delegate: string): Attendee {
  const found = attendeeOf(one, me.addresses) ?? attendee(me.addresses[0]!, { name: me.name });
  return { ...found, name: found.name || me.name, status, rsvp: false, delegates: delegate === "" ? [] : [delegate] };
}

const aboutOf = ({ uid, recurrence, sequence, start, end, title, organiser }: Component, stamp: string, mine: Attendee, comment: string): Component => ({
  ...blank(uid), recurrence, sequence, stamp, start, end, title, comment, organiser, attendees: [mine],
});

/** The request as the delegate gets it from the delegator (RFC 5546 §3.2.2.3). */
function handedOn(one: Component, me: Me, delegate: string): Component {
  const mine = mineOf(one, me, "DELEGATED", delegate);
  const others = one.attendees.filter((other) => !me.addresses.includes(other.address) && other.address !== delegate);
  return { ...one, attendees: [...others, mine, attendee(delegate, { rsvp: true, role: mine.role, delegators: [mine.address] })] };
}

// --------------------------------------------------------------------------------------------------- organisers

/** A new appointment, and the REQUEST that invites (RFC 5546 §3.2.2). */
export function organise(component: Component, me: Me, now: number): Made {
  if (component.start === null || component.recurrence !== null) throw new AgendaRefused("start");
  const stamp = nextStamp("", now);
  const [address] = me.addresses;
  const made = { ...component, organiser: { address: address!, name: me.name, sentby: "" }, sequence: 0, stamp };
  const appointment: Appointment = {
    ...unheard(made.uid, address!), role: "organiser", voucher: address!, master: { component: made, sequence: 0, stamp }, last: stamp,
  };
  return { appointment, outgoing: invited([made], me, now) };
}

/** The whole, or one occurrence (with its `recurrence`), as it shall be; whoever is left out is told so. */
export function change(appointment: Appointment, component: Component, me: Me, now: number): Made {
  organised(appointment);
  const key = componentKey(component);
  const was = key === "" ? wholeOf(appointment) : occurrenceOf(appointment, key);
  const stamp = nextStamp(appointment.last, now);
  const other = schedule(was) !== schedule(component);
  const sequence = other ? top(appointment) + 1 : was.sequence;
  const before = new Map(attendeesOf(appointment, key).map((one) => [one.address, one]));
  const attendees = component.attendees.map((one) => invitedAgain(one, before, me, other));
  const made: Component = { ...component, organiser: was.organiser, sequence, stamp, attendees };
  const held: Held = { component: made, sequence, stamp };
  const here = new Set(attendees.map((one) => one.address));
  const gone = [...before.keys()].filter((one) => !here.has(one) && !me.addresses.includes(one)).sort();
  let kept: Appointment;
  let outgoing: Outgoing[];
  if (key !== "") {
    kept = { ...appointment, overrides: placed(appointment.overrides, held), last: stamp };
    outgoing = invited([made], me, now);
  } else {
    const come = attendees.filter((one) => !before.has(one.address));
    // times that are no more have no occurrences of their own any more
    const overrides = other ? [] : appointment.overrides.map((one) => among(one, gone, come));
    const former = [...new Set([...appointment.former, ...gone])].filter((one) => !here.has(one)).sort();
    kept = { ...appointment, master: held, overrides, added: other ? [] : appointment.added, former, last: stamp };
    outgoing = invited(statedOf(kept, stamp), me, now);
  }
  if (gone.length > 0) {
    // RFC 5546 §3.2.5: uninviting carries no STATUS
    const removed = { ...bare(made), status: "", start: was.start, attendees: gone.map((one) => attendee(one)) };
    outgoing.push(out(gone, "CANCEL", [removed], me, now));
  }
  return { appointment: kept, outgoing };
}

/** ADD (RFC 5546 §3.2.4): one occurrence more of a series. */
export function add(appointment: Appointment, component: Component, me: Me, now: number): Made {
  organised(appointment);
  const whole = wholeOf(appointment);
  if (component.start === null || component.rule !== null) throw new AgendaRefused("start");
  const stamp = nextStamp(appointment.last, now);
  const attendees = component.attendees.length > 0 ? component.attendees : whole.attendees.map((one) => invitedAgain(one, new Map(), me, true));
  const made: Component = { ...component, uid: appointment.uid, recurrence: null, organiser: whole.organiser, sequence: top(appointment) + 1, stamp, attendees };
  return { appointment: { ...withAddition(appointment, made), last: stamp }, outgoing: invited([made], me, now, "ADD") };
}

/** CANCEL (RFC 5546 §3.2.5) of the whole, of one occurrence, or of all from one on. */
export function cancel(appointment: Appointment, me: Me, now: number, given: { recurrence?: string; future?: boolean; comment?: string } = {}): Made {
  organised(appointment);
  const { recurrence: key = "", future = false, comment = "" } = given;
  const was = key === "" ? wholeOf(appointment) : occurrenceOf(appointment, key);
  const stamp = nextStamp(appointment.last, now);
  const sequence = top(appointment) + 1;
  const attendees = attendeesOf(appointment, key);
  const recurrence = key === "" ? null : whenOf(appointment, key);
  const called: Component = { ...was, recurrence, future: future && key !== "", sequence, stamp, status: "CANCELLED", comment, attendees };
  let [kept, told] = [{ ...appointment, master: { component: called, sequence, stamp }, last: stamp }, called];
  if (key !== "") {
    kept = { ...appointment, overrides: placed(appointment.overrides, { component: bare(called), sequence, stamp }), last: stamp } as typeof kept;
    told = { ...bare(called), title: was.title, start: was.start, end: was.end, attendees };
  }
  const to = others(attendees, me);
  return { appointment: kept, outgoing: to.length > 0 ? [out(to, "CANCEL", [told], me, now)] : [] };
}

/** DECLINECOUNTER (RFC 5546 §3.2.8). */
export function declineCounter(appointment: Appointment, address: string, me: Me, now: number, given: Answer = {}): Made {
  const { recurrence = "", comment = "" } = given;
  const proposal = proposalOf(appointment, address, recurrence);
  const stamp = nextStamp(appointment.last > proposal.stamp ? appointment.last : proposal.stamp, now);
  const was = recurrence === "" ? wholeOf(appointment) : occurrenceOf(appointment, recurrence);
  const refused: Component = {
    ...blank(appointment.uid), recurrence: was.recurrence, sequence: proposal.sequence, stamp, organiser: was.organiser, attendees: [attendee(address)], comment,
  };
  const proposals = appointment.proposals.map((one) => (one === proposal ? { ...one, settled: true } : one));
  return { appointment: { ...appointment, proposals, last: stamp }, outgoing: [out([address], "DECLINECOUNTER", [refused], me, now)] };
}

/** The time proposed becomes the time: all are asked again (RFC 5546 §3.2.7). */
export function acceptCounter(appointment: Appointment, address: string, me: Me, now: number, given: Answer = {}): Made {
  const { recurrence = "" } = given;
  const { start, end } = proposalOf(appointment, address, recurrence);
  const was = recurrence === "" ? wholeOf(appointment) : occurrenceOf(appointment, recurrence);
  return change(appointment, { ...was, start, end }, me, now);
}

/** The answer to REFRESH: all of it, to who asked; who was taken off, or comes too late, gets the CANCEL again. */
export function refreshed(appointment: Appointment, address: string, me: Me, now: number): Made {
  organised(appointment);
  const stamp = nextStamp(appointment.last, now);
  const kept = { ...appointment, last: stamp };
  const whole = wholeOf(appointment);
  if (appointment.former.includes(address)) {
    const removed = { ...bare({ ...whole, stamp }), status: "", start: whole.start, attendees: [attendee(address)] };
    return { appointment: kept, outgoing: [out([address], "CANCEL", [removed], me, now)] };
  }
  if (whole.status === "CANCELLED") return { appointment: kept, outgoing: [out([address], "CANCEL", [{ ...whole, stamp }], me, now)] };
  return { appointment: kept, outgoing: [out([address], "REQUEST", statedOf(kept, stamp), me, now)] };
}

/** A party crasher is let in: from now on invited like the others, with the answer already given. */
export function admit(appointment: Appointment, address: string, me: Me, now: number): Made {
  const whole = wholeOf(appointment);
  const crasher = crashers(appointment).find((one) => one.address === address);
  if (crasher === undefined) throw new AgendaRefused("not-attendee");
  return change(appointment, { ...whole, attendees: [...attendeesOf(appointment), attendee(address, { name: crasher.name })] }, me, now);
}

/** All of an appointment as REQUEST may say it: cancelled occurrences are dates left out (EXDATE, UNTIL). */
export function statedOf(appointment: Appointment, stamp: string): Component[] {
  let whole = appointment.master!.component;
  let overrides: Component[] = [];
  for (const { component, sequence } of appointment.overrides) {
    const [at, key] = [component.recurrence!, componentKey(component)];
    if (component.status === "CANCELLED" && component.future) {
      whole = ended(whole, at);
      overrides = overrides.filter((one) => componentKey(one) < key);
    } else if (component.status === "CANCELLED") whole = { ...whole, exdates: [...whole.exdates.filter((date) => keyOf(date) !== key), at] };
    else overrides.push({ ...component, sequence, stamp, attendees: attendeesOf(appointment, key) });
  }
  return [{ ...whole, stamp, attendees: attendeesOf(appointment) }, ...overrides];
}

/** The series without what comes at or after `at`. */
function ended(whole: Component, at: When): Component {
  let { rule } = whole;
  if (rule !== null) {
    const before = at.zone === "" ? null : stampOf(instantOf(at, "UTC") - 1000);
    const until = isDay(at) ? moved(at, -86_400) : before === null ? moved(at, -1) : { local: before.slice(0, 19), zone: "UTC" };
    rule = { ...rule, count: 0, until };
  }
  return { ...whole, rule, rdates: whole.rdates.filter((one) => keyOf(one) < keyOf(at)) };
}

function organised(appointment: Appointment): void {
  if (appointment.role !== "organiser") throw new AgendaRefused("not-organiser");
}

function proposalOf(appointment: Appointment, address: string, key: string): Proposal {
  organised(appointment);
  const found = openProposals(appointment).find((one) => one.address === address && one.recurrence === key);
  if (found === undefined) throw new AgendaRefused("no-proposal");
  return found;
}

function invitedAgain(one: Attendee, before: ReadonlyMap<string, Attendee>, me: Me, asked: boolean): Attendee {
  if (me.addresses.includes(one.address)) return { ...one, status: "ACCEPTED", rsvp: false };
  if (asked && one.status !== "DELEGATED") return { ...one, status: "NEEDS-ACTION", rsvp: true };
  const known = before.get(one.address);
  return known === undefined ? one : { ...one, status: known.status, delegates: known.delegates };
}

/** An occurrence with a component of its own is about who is invited to the whole, too. */
function among(held: Held, gone: readonly string[], come: readonly Attendee[]): Held {
  if (held.component.status === "CANCELLED") return held;
  const stay = held.component.attendees.filter((one) => !gone.includes(one.address));
  const added = come.filter((one) => !stay.some((other) => other.address === one.address));
  return { ...held, component: { ...held.component, attendees: [...stay, ...added] } };
}

const others = (people: readonly Attendee[], me: Me): string[] => people.map((one) => one.address).filter((one) => !me.addresses.includes(one));

function invited(components: readonly Component[], me: Me, now: number, method: Method = "REQUEST"): Outgoing[] {
  const to = [...new Set(components.flatMap((one) => others(one.attendees, me)))];
  return to.length > 0 ? [out(to, method, components, me, now)] : [];
}
