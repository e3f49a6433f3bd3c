// Appointments as values, the same as in Python (`mail_server/payloads/agenda/model.py`): one word per field, so that
// JSON of either side is JSON of the other. Nothing here changes in place; addresses are lower case, without "mailto:".

/** A point in local time: a whole day ("2026-11-20"), or "2026-11-20T10:00:00" in `zone` (IANA, "UTC", "": floating). */
export interface When {
  readonly local: string;
  readonly zone: string;
}

/** A repetition (RFC 5545 §3.3.10), daily or slower. */
export interface Rule {
  readonly freq: "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY";
  readonly interval: number;
  readonly count: number; // 0: not said
  readonly until: When | null;
  readonly byday: readonly string[]; // "MO", "-1SU"
  readonly bymonthday: readonly number[];
  readonly byyearday: readonly number[];
  readonly byweekno: readonly number[];
  readonly bymonth: readonly number[];
  readonly bysetpos: readonly number[];
  readonly wkst: string;
}

export interface Organiser {
  readonly address: string;
  readonly name: string;
  readonly sentby: string;
}

export interface Attendee {
  readonly address: string;
  readonly name: string;
  readonly status: string; // PARTSTAT
  readonly role: string;
  readonly kind: string; // CUTYPE
  readonly rsvp: boolean;
  readonly delegates: readonly string[]; // DELEGATED-TO
  readonly delegators: readonly string[]; // DELEGATED-FROM
  readonly sentby: string;
}

/** A property that the model has no field for, kept as it came: parameters, value as written. */
export interface Property {
  readonly name: string;
  readonly params: readonly (readonly [string, string])[];
  readonly value: string;
}

/** One VEVENT: a whole appointment or series (`recurrence` null), or one occurrence of it. */
export interface Component {
  readonly uid: string;
  readonly recurrence: When | null;
  readonly future: boolean; // RANGE=THISANDFUTURE
  readonly sequence: number;
  readonly stamp: string; // DTSTAMP, "2026-11-20T10:00:00Z"
  readonly start: When | null;
  readonly end: When | null;
  readonly rule: Rule | null;
  readonly rdates: readonly When[];
  readonly exdates: readonly When[];
  readonly status: string; // "", "TENTATIVE", "CONFIRMED", "CANCELLED"
  readonly title: string;
  readonly place: string;
  readonly description: string;
  readonly comment: string;
  readonly organiser: Organiser | null;
  readonly attendees: readonly Attendee[];
  readonly extra: readonly Property[];
}

export type Method = "PUBLISH" | "REQUEST" | "REPLY" | "ADD" | "CANCEL" | "REFRESH" | "COUNTER" | "DECLINECOUNTER";

/** An iTIP message about one UID. `sender`: the address that the server verified (outer From). */
export interface Message {
  readonly method: Method;
  readonly components: readonly Component[];
  readonly sender: string;
  readonly received: number; // milliseconds
}

/** A component as held, with the revision it counts as: one sent along with its series counts at least as the series. */
export interface Held {
  readonly component: Component;
  readonly sequence: number;
  readonly stamp: string;
}

/** What somebody answered, to the whole ("") or to one occurrence (`key` of its RECURRENCE-ID). */
export interface Reply {
  readonly address: string;
  readonly name: string;
  readonly recurrence: string;
  readonly sequence: number;
  readonly stamp: string;
  readonly status: string;
  readonly comment: string;
  readonly delegates: readonly string[];
  readonly delegators: readonly string[];
}

/** Another time that somebody proposes. */
export interface Proposal {
  readonly address: string;
  readonly recurrence: string;
  readonly sequence: number;
  readonly stamp: string;
  readonly start: When;
  readonly end: When | null;
  readonly comment: string;
  readonly settled: boolean; // declined: kept, so that it does not come back
}

export type Role = "organiser" | "attendee" | "published" | "unknown"; // unknown: only a cancellation was seen so far
export type Trust = "organiser" | "sentby" | "delegator";

/** All that one party knows of one UID. */
export interface Appointment {
  readonly uid: string;
  readonly role: Role;
  readonly organiser: string;
  readonly trust: Trust; // who vouched for what is held
  readonly voucher: string; // that address
  readonly master: Held | null;
  readonly overrides: readonly Held[]; // by key of their RECURRENCE-ID
  readonly added: readonly Held[]; // further series under the same UID (ADD with a rule)
  readonly replies: readonly Reply[]; // organiser: of everybody; attendee: one's own
  readonly proposals: readonly Proposal[]; // likewise
  readonly former: readonly string[]; // organiser: who was taken off
  readonly last: string; // latest DTSTAMP made here: the next is later
}

export type EventKind =
  | "invited" | "updated" | "rescheduled" | "cancelled" | "uninvited" | "added" | "published" | "delegated-to-me" // an organiser's
  | "proposal-refused" | "replied" | "delegated" | "party-crasher" | "countered" | "refresh-asked" // answers
  | "duplicate" | "late" | "refresh-needed" | "others-removed" | "unknown" // changed nothing
  | "not-organiser" | "not-attendee" | "not-for-me" | "refused"; // not to be believed, or not to be understood

/** What a message came to. */
export interface Event {
  readonly kind: EventKind;
  readonly uid: string;
  readonly recurrence: string; // key, "": the whole
  readonly who: string; // organiser, attendee, or whoever claimed to be one
  readonly status: string; // PARTSTAT of an answer
  readonly comment: string;
  readonly reason: string; // slug of a refusal
}

/** Who one is: all own addresses, lower case; the first is written into what one sends. */
export interface Me {
  readonly addresses: readonly string[];
  readonly name: string;
}

export interface Received {
  readonly appointment: Appointment | null; // to be kept in place of the one given
  readonly events: readonly Event[];
}

export interface Outgoing {
  readonly to: readonly string[];
  readonly message: Message;
}

/** What an own act made: the appointment to keep, and what is to be sent. */
export interface Made {
  readonly appointment: Appointment;
  readonly outgoing: readonly Outgoing[];
}

/** A calendar that cannot be used; `slug` says why, without a word of it. */
export class AgendaRefused extends Error {
  readonly slug: string;
  constructor(slug: string) {
    super(slug);
    this.slug = slug;
  }
}
