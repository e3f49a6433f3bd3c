// What a message makes of an appointment: the same rules as `receiving.py`, whose table tells them; the transcripts of
// tests/webmail/vectors/itip hold both to one answer. Nothing here raises.
import type { Appointment, Attendee, Component, Event, EventKind, Held, Me, Message, Proposal, Received, Reply, Role, Trust } from "./model.ts";
import { attendee, attendeeOf, attendeesOf, blank, cancelled, componentKey, governing, listed, override, recurring, revise, schedule, statusOf, top } from "./standing.ts";
import { keyOf } from "./zones.ts";

export const REPLIES = 1000; // answers kept of one appointment
export const OVERRIDES = 500; // occurrences with a component of their own
const RANK: Record<Trust, number> = { delegator: 0, sentby: 1, organiser: 2 };

const event = (kind: EventKind, one: Component | null, who: string, status = "", reason = ""): Event => ({
  kind, uid: one?.uid ?? "", recurrence: one === null ? "" : componentKey(one), who, status, comment: one?.comment ?? "", reason,
});

/** What a message makes of an appointment. `held`: what is kept under its UID, null when nothing is. */
export function receive(held: Appointment | null, message: Message, me: Me): Received {
  const first = message.components[0];
  if (first === undefined) return { appointment: held, events: [event("refused", null, "", "", "empty")] };
  if (message.components.some((one) => one.uid !== first.uid)) return { appointment: held, events: [event("refused", first, message.sender, "", "uids")] };
  if (message.method === "REPLY" || message.method === "COUNTER" || message.method === "REFRESH") return fromAttendee(held, message, me);
  return fromOrganiser(held, message, me);
}

// -------------------------------------------------------------------------------------------- what organisers say

function fromOrganiser(held: Appointment | null, message: Message, me: Me): Received {
  const first = message.components[0]!;
  const organisers = new Set(message.components.map((one) => one.organiser?.address ?? ""));
  if (organisers.size !== 1 || organisers.has("")) return { appointment: held, events: [event("refused", first, message.sender, "", "organiser")] };
  const trust = trusted(message, me);
  const base = trust === null ? null : claimed(held, message, trust, me);
  if (base === null) return { appointment: held, events: [event("not-organiser", first, message.sender)] };
  if (message.method === "CANCEL") return calledOff(held, base, message, me);
  if (message.method === "ADD") return added(held, base, message, me);
  if (message.method === "DECLINECOUNTER") return proposalRefused(held, message, me);
  return stated(held, base, message, me);
}

/** Who vouches for what an organiser says. A claimed SENT-BY or delegation counts less than the organiser. */
function trusted({ method, components, sender }: Message, me: Me): Trust | null {
  const [component] = components;
  const organiser = component!.organiser!;
  if (sender === organiser.address || (me.addresses.includes(sender) && me.addresses.includes(organiser.address))) return "organiser";
  if (organiser.sentby !== "" && sender === organiser.sentby) return "sentby";
  if (method !== "REQUEST") return null;
  // RFC 5546 §3.2.2.3: the delegator forwards the request to the delegate
  const [by, mine] = [attendeeOf(component!, [sender]), attendeeOf(component!, me.addresses)];
  const handed = by?.status === "DELEGATED" && by.delegates.some((one) => me.addresses.includes(one));
  return handed && mine !== null && mine.delegators.includes(sender) ? "delegator" : null;
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf("@") + 1);
const neighbours = (one: string, other: string): boolean => domainOf(one) === domainOf(other);

/** What the message is to be laid upon; null when it must change nothing. */
function claimed(held: Appointment | null, message: Message, trust: Trust, me: Me): Appointment | null {
  const { uid, organiser } = message.components[0]!;
  const { address } = organiser!;
  const fresh: Appointment = {
    uid, role: me.addresses.includes(address) ? "organiser" : "attendee", organiser: address, trust, voucher: message.sender,
    master: null, overrides: [], added: [], replies: [], proposals: [], former: [], last: "",
  };
  if (held === null || (held.role === "unknown" && held.organiser !== address)) {
    // Anybody can write that they speak for somebody, and answers go to that somebody: until the organiser names them,
    // only those of the organiser's own domain are heard.
    return trust === "organiser" || neighbours(message.sender, address) ? fresh : null;
  }
  if (held.organiser !== address) return null; // RFC 5546 §4.2.11 replaces organisers by agreement outside; a letter alone cannot
  // the organiser speaks: what others vouched for was hearsay
  if (RANK[trust] > RANK[held.trust]) return { ...fresh, replies: held.replies, proposals: held.proposals, last: held.last };
  if (trust === held.trust) return trust === "organiser" || message.sender === held.voucher ? held : null;
  return trust === "sentby" && held.master?.component.organiser?.sentby === message.sender ? held : null;
}

const revisionOf = (component: Component): Held => ({ component, sequence: component.sequence, stamp: component.stamp });
const changed = (one: Appointment, other: Appointment): boolean =>
  one.master !== other.master || one.overrides !== other.overrides || one.added !== other.added;

/** REQUEST and PUBLISH: components as the organiser has them now (RFC 5546 §3.2.1, §3.2.2). */
function stated(before: Appointment | null, base: Appointment, message: Message, me: Me): Received {
  const first = message.components[0]!;
  if (message.components.some((one) => one.start === null)) return { appointment: before, events: [event("refused", first, message.sender, "", "start")] };
  let whole: Held | null = null;
  for (const one of message.components) {
    if (one.recurrence === null && (whole === null || revise(one, whole) > 0)) whole = revisionOf(one);
  }
  let after = whole === null ? base : withMaster(base, whole);
  for (const one of message.components) {
    if (one.recurrence === null) continue;
    const { sequence, stamp } = whole !== null && revise(whole, one) > 0 ? whole : one;
    after = withOverride(after, { component: one, sequence, stamp });
  }
  if (!changed(base, after)) return { appointment: before, events: [event(seen(base, message) ? "duplicate" : "late", whole?.component ?? first, base.organiser)] };
  const role: Role = base.role === "organiser" ? "organiser" : message.method === "PUBLISH" ? "published" : "attendee";
  after = ownUpkeep(before, { ...after, role }, message, me);
  if (after.overrides.length > OVERRIDES) return { appointment: before, events: [event("refused", first, message.sender, "", "too-many")] };
  const shown = whole === null ? message.components : [whole.component];
  return { appointment: after, events: shown.map((one) => statement(before, after, one, me, message)) };
}

function statement(before: Appointment | null, after: Appointment, component: Component, me: Me, { method }: Message): Event {
  const key = componentKey(component);
  const status = statusOf(after, key, me.addresses);
  let kind: EventKind;
  if (cancelled(after, key)) kind = "cancelled"; // it was called off before it was heard of
  else if (method === "PUBLISH") kind = "published";
  else if (before === null || before.role === "unknown" || governing(before, key) === null) kind = after.trust === "delegator" ? "delegated-to-me" : "invited";
  else kind = scheduled(before, key) === scheduled(after, key) ? "updated" : "rescheduled";
  return event(kind, component, after.organiser, status);
}

function scheduled(appointment: Appointment, key: string): string {
  const held = governing(appointment, key);
  const parts = held === null ? [] : [schedule(held.component)];
  if (key === "") parts.push(...appointment.overrides.map((one) => componentKey(one.component) + schedule(one.component)));
  return JSON.stringify(parts);
}

/** Whether all of a message is held at its very revision. */
const seen = (appointment: Appointment, message: Message): boolean =>
  message.components.every((one) => {
    const key = componentKey(one);
    const found = key === "" ? appointment.master : override(appointment, key);
    return found !== null && revise(found, one) >= 0 && revise(found.component, one) === 0;
  });

/** The series as stated; what belongs to an earlier SEQUENCE of it lapses (§2.1.5). */
function withMaster(base: Appointment, whole: Held): Appointment {
  const now = base.master;
  if (now !== null && revise(whole, now) <= 0) {
    if (now.component.start !== null || now.component.status !== "CANCELLED") return base;
    // called off before it was heard of: now it is known what
    const component = { ...whole.component, status: "CANCELLED", sequence: now.sequence, stamp: now.stamp, comment: now.component.comment };
    return { ...base, master: { ...now, component } };
  }
  const lasts = (one: Held) => one.sequence >= whole.sequence;
  return { ...base, master: whole, overrides: base.overrides.filter(lasts), added: base.added.filter(lasts) };
}

const byKey = (one: Held, other: Held): number => (componentKey(one.component) < componentKey(other.component) ? -1 : 1);

/** `one` among the occurrences that have a component of their own, in place of what stood there. */
export const placed = (overrides: readonly Held[], one: Held): Held[] =>
  [...overrides.filter((other) => componentKey(other.component) !== componentKey(one.component)), one].sort(byKey);

function withOverride(base: Appointment, one: Held): Appointment {
  if (base.master !== null && one.sequence < base.master.sequence) return base;
  const now = override(base, componentKey(one.component));
  return now !== null && revise(one, now) <= 0 ? base : { ...base, overrides: placed(base.overrides, one) };
}

/** An organiser's own message, as their other devices sent it: who is not in it any more was taken off. */
function ownUpkeep(before: Appointment | null, after: Appointment, message: Message, me: Me): Appointment {
  if (after.role !== "organiser") return after;
  const last = [after.last, ...message.components.map((one) => one.stamp)].sort().at(-1)!;
  const here = new Set(attendeesOf(after).map((one) => one.address));
  const gone = before === null ? [] : attendeesOf(before).map((one) => one.address);
  const former = [...new Set([...after.former, ...gone])].filter((one) => !here.has(one) && !me.addresses.includes(one)).sort();
  return { ...after, former, last };
}

/** CANCEL (RFC 5546 §3.2.5): of the whole, of occurrences, of all from one on, or of somebody's invitation. */
function calledOff(before: Appointment | null, base: Appointment, message: Message, me: Me): Received {
  let after = base;
  const events: Event[] = [];
  for (const one of message.components) {
    const held = governing(base, componentKey(one));
    if (base.role === "organiser" && one.status !== "CANCELLED") {
      after = { ...after, former: [...new Set([...after.former, ...one.attendees.map((other) => other.address)])].sort() };
      continue;
    }
    const mine = attendeeOf(one, me.addresses);
    if (one.attendees.length > 0 && mine === null && held !== null && attendeeOf(held.component, me.addresses) !== null) {
      events.push(event("others-removed", one, base.organiser));
      continue;
    }
    const laid = withCancel(after, one);
    if (!changed(after, laid)) {
      events.push(event(seen(base, message) ? "duplicate" : "late", one, base.organiser));
      continue;
    }
    after = laid;
    events.push(event(held === null ? "unknown" : mine !== null && someStay(one, held) ? "uninvited" : "cancelled", one, base.organiser));
  }
  if (after.overrides.length > OVERRIDES) return { appointment: before, events: [event("refused", message.components[0]!, message.sender, "", "too-many")] };
  if (!changed(base, after) && after.former === base.former) return { appointment: before, events };
  if (after.role === "attendee" && (before === null || before.role === "unknown")) after = { ...after, role: "unknown" };
  return { appointment: ownUpkeep(before, after, message, me), events };
}

/** Whether others keep their invitation. Thunderbird calls off without STATUS, and names everybody. */
function someStay(one: Component, { component }: Held): boolean {
  const gone = new Set([component.organiser?.address, ...one.attendees.map((each) => each.address)]);
  return one.status !== "CANCELLED" && component.attendees.some((each) => !gone.has(each.address));
}

/** A cancelled occurrence: what it was before does not matter any more. */
export const bare = ({ uid, recurrence, future, sequence, stamp, comment, organiser }: Component): Component => ({
  ...blank(uid), recurrence, future, sequence, stamp, start: recurrence, status: "CANCELLED", comment, organiser,
});

function withCancel(base: Appointment, one: Component): Appointment {
  if (one.recurrence !== null) return withOverride(base, revisionOf(bare(one)));
  const now = base.master;
  if (now === null) return withMaster(base, revisionOf({ ...one, status: "CANCELLED", start: null, end: null, attendees: [], extra: [] }));
  // a cancellation that shares its revision with a request came after it
  const later = revise(one, now);
  if (later < 0 || (later === 0 && now.component.status === "CANCELLED")) return base;
  return { ...base, master: revisionOf({ ...now.component, status: "CANCELLED", sequence: one.sequence, stamp: one.stamp, comment: one.comment }) };
}

/** ADD (RFC 5546 §3.2.4): one occurrence, or one series, more; who missed something before must ask again. */
function added(before: Appointment | null, base: Appointment, message: Message, me: Me): Received {
  const one = message.components[0]!;
  if (one.recurrence !== null || one.start === null) return { appointment: before, events: [event("refused", one, message.sender, "", "add")] };
  if (base.master === null || base.master.component.status === "CANCELLED") return { appointment: before, events: [event("refresh-needed", one, base.organiser)] };
  const sequences = top(base);
  if (one.sequence > sequences + 1) return { appointment: before, events: [event("refresh-needed", one, base.organiser)] };
  if ([...base.overrides, ...base.added].some((other) => revise(other.component, one) === 0)) return { appointment: before, events: [event("duplicate", one, base.organiser)] };
  // whatever came after it may be held already; a series stated since says it too
  const told = one.sequence <= base.master.sequence || one.stamp <= base.master.stamp;
  const laid = told ? base : withAddition(base, one);
  if (!changed(base, laid)) return { appointment: before, events: [event("late", one, base.organiser)] };
  const after = ownUpkeep(before, laid, message, me);
  if (after.overrides.length + after.added.length > OVERRIDES) return { appointment: before, events: [event("refused", one, message.sender, "", "too-many")] };
  const key = one.rule === null ? keyOf(one.start) : "";
  const kind = cancelled(after, key) ? "cancelled" : "added";
  return { appointment: after, events: [{ ...event(kind, one, base.organiser, statusOf(after, key, me.addresses)), recurrence: key }] };
}

/** A single one is a date more of the series (RDATE), with a component of its own; answers to the rest stand. */
export function withAddition(base: Appointment, one: Component): Appointment {
  const held = base.master!;
  if (one.rule !== null || one.rdates.length > 0) return { ...base, added: [...base.added, revisionOf(one)] };
  const apart = { component: { ...one, recurrence: one.start }, sequence: one.sequence, stamp: one.stamp };
  if (held.component.rdates.some((date) => keyOf(date) === keyOf(one.start))) return withOverride(base, apart);
  const dates = new Map([...held.component.rdates, one.start!].map((date) => [keyOf(date), date]));
  const rdates = [...dates.keys()].sort().map((key) => dates.get(key)!);
  return withOverride({ ...base, master: { ...held, component: { ...held.component, rdates } } }, apart);
}

/** DECLINECOUNTER (RFC 5546 §3.2.8). */
function proposalRefused(before: Appointment | null, message: Message, me: Me): Received {
  const one = message.components[0]!;
  const key = componentKey(one);
  const refused = (other: Proposal) => me.addresses.includes(other.address) && other.recurrence === key && other.stamp <= one.stamp && !other.settled;
  if (before === null || !before.proposals.some(refused)) return { appointment: before, events: [event("unknown", one, message.sender)] };
  const proposals = before.proposals.map((other) => (refused(other) ? { ...other, settled: true } : other));
  return { appointment: { ...before, proposals }, events: [event("proposal-refused", one, before.organiser)] };
}

// -------------------------------------------------------------------------------------------- what attendees say

/** REPLY, COUNTER, REFRESH: to the organiser; or one's own, as another device of one's own sent it. */
function fromAttendee(held: Appointment | null, message: Message, me: Me): Received {
  let after = held;
  const events: Event[] = [];
  const own = me.addresses.includes(message.sender);
  for (const one of message.components) {
    if (held === null || after === null || held.role === "unknown") events.push(event("unknown", one, message.sender));
    else if (held.role !== "organiser" && !own) events.push(event("not-for-me", one, message.sender));
    else {
      const made = said(after, message, one, me, own);
      after = made.after;
      events.push(made.told);
    }
  }
  return { appointment: after, events };
}

interface Said {
  after: Appointment;
  told: Event;
}

function said(base: Appointment, message: Message, one: Component, me: Me, own: boolean): Said {
  const key = componentKey(one);
  const who = speaker(base, message, one, me, own);
  if (who === null) return { after: base, told: event("not-attendee", one, message.sender) };
  const held = governing(base, key);
  // RFC 5546 §4.7.2
  if (held === null || (key !== "" && !recurring(base))) return { after: base, told: event("unknown", one, who.address) };
  if (message.method === "REFRESH") {
    const known = listed(base, key, who.address) || base.former.includes(who.address);
    return { after: base, told: event(known ? "refresh-asked" : "not-attendee", one, who.address) };
  }
  if (one.sequence < held.component.sequence) return { after: base, told: event("late", one, who.address, who.status) };
  return message.method === "COUNTER" ? countered(base, one, who, own) : replied(base, one, who);
}

/** The attendee whose words these are: who sent them, or somebody the organiser listed as sent by them. */
function speaker(base: Appointment, { method, sender }: Message, one: Component, me: Me, own: boolean): Attendee | null {
  if (own) return attendeeOf(one, me.addresses);
  const found = attendeeOf(one, [sender]);
  if (found !== null || (method === "REFRESH" && one.attendees.length === 0)) return found ?? attendee(sender);
  const known = attendeesOf(base, componentKey(one));
  return one.attendees.find((other) => sender !== "" && known.some((held) => held.address === other.address && held.sentby === sender)) ?? null;
}

function replied(base: Appointment, one: Component, who: Attendee): Said {
  const key = componentKey(one);
  const made: Reply = {
    address: who.address, name: who.name, recurrence: key, sequence: one.sequence, stamp: one.stamp, status: who.status, comment: one.comment,
    delegates: who.delegates, delegators: who.delegators,
  };
  const last = same(base.replies, made);
  if (last !== null && revise(made, last) <= 0) return { after: base, told: event(revise(made, last) === 0 ? "duplicate" : "late", one, who.address, who.status) };
  if (last === null && base.replies.length >= REPLIES) return { after: base, told: event("refused", one, who.address, "", "too-many") };
  const after = { ...base, replies: latest(base.replies, made) };
  const crashed = base.role === "organiser" && !listed(after, key, who.address);
  return { after, told: event(crashed ? "party-crasher" : who.status === "DELEGATED" ? "delegated" : "replied", one, who.address, who.status) };
}

function countered(base: Appointment, one: Component, who: Attendee, own: boolean): Said {
  const key = componentKey(one);
  if (one.start === null) return { after: base, told: event("refused", one, who.address, "", "start") };
  if (!own && !listed(base, key, who.address)) return { after: base, told: event("not-attendee", one, who.address) };
  const { sequence, stamp, start, end, comment } = one;
  const made: Proposal = { address: who.address, recurrence: key, sequence, stamp, start, end, comment, settled: false };
  const last = same(base.proposals, made);
  if (last !== null && revise(made, last) <= 0) return { after: base, told: event(revise(made, last) === 0 ? "duplicate" : "late", one, who.address) };
  return { after: { ...base, proposals: latest(base.proposals, made) }, told: event("countered", one, who.address, who.status) };
}

interface Word {
  readonly address: string;
  readonly recurrence: string;
}
const alike = (one: Word, other: Word): boolean => one.address === other.address && one.recurrence === other.recurrence;
const before = (one: Word, other: Word): boolean => (one.address === other.address ? one.recurrence < other.recurrence : one.address < other.address);

/** The last word of the same person about the same occurrence. */
const same = <T extends Word>(every: readonly T[], made: T): T | null => every.find((one) => alike(one, made)) ?? null;

/** The words of all, with this one in place of the same person's last. */
export const latest = <T extends Word>(every: readonly T[], made: T): T[] =>
  [...every.filter((one) => !alike(one, made)), made].sort((one, other) => (before(one, other) ? -1 : 1));
