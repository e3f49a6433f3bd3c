// Appointments as the screens want them: occurrences in order with what they collide with, one appointment with its
// history, what one letter carries.
import type { AgendaStatus, Asked, EntryDraft, LetterAppointment, Occurrence } from "../../lib/agenda_contract.ts";
import type { Person } from "../../lib/contract.ts";
import type { Keyring } from "../keyring.ts";
import { readMessages } from "./calendar.ts";
import { occurrences, SPAN, type Occurrence as Found } from "./expansion.ts";
import { attendeeOf, cannotAnswer, cancelled, componentKey, governing, occurrenceOf, openProposals, recurring, statusOf } from "./itip.ts";
import type { Appointment, Component, Message, Rule } from "./model.ts";
import type { Asking, Told } from "./protocol.ts";
import { foundBy, idOf, meOf, stateOf, type Entry, type State, type Step } from "./store.ts";
import { instantOf, isDay, localOf, wallAt } from "./zones.ts";

const DAY = 86_400_000;
const AHEAD = 400 * DAY; // how far invitations that wait are looked for
const STATUSES: ReadonlyMap<string, AgendaStatus> = new Map([["NEEDS-ACTION", "needs-action"], ["ACCEPTED", "accepted"], ["DECLINED", "declined"], ["TENTATIVE", "tentative"]]);
export const INVITES = [1440, 120]; // minutes before: unless somebody chose otherwise

export const dayOf = (instant: number, here: string): string => localOf(wallAt(instant, here), true);

export function statusIn(entry: Entry, key: string, asking: Asking): AgendaStatus {
  const { appointment } = entry;
  if (cancelled(appointment, key)) return "cancelled";
  if (appointment.role === "organiser") return "own";
  if (appointment.role !== "attendee") return "told";
  return STATUSES.get(statusOf(appointment, key, meOf(asking).addresses)) ?? "told";
}

/** The newest letter that came about it: what an answer answers. */
export const letterOf = ({ steps }: Entry): Step["letter"] | null => steps.findLast(({ letter }) => letter.way === "in")?.letter ?? steps.at(-1)?.letter ?? null;

function organiserOf({ appointment, steps }: Entry, component: Component): Person | null {
  if (appointment.role === "organiser") return null;
  const name = component.organiser?.name || steps.find(({ letter }) => letter.from.address.toLowerCase() === appointment.organiser)?.letter.from.name || "";
  return { name, address: appointment.organiser };
}

/** Answered before, to something that was moved since. */
function moved({ appointment, steps }: Entry, key: string, status: AgendaStatus): boolean {
  const now = governing(appointment, key)?.component.sequence ?? 0;
  const about = (component: Component): boolean => component.sequence < now && ["", key].includes(componentKey(component));
  return status === "needs-action" && steps.some(({ letter, message }) => letter.way === "out" && message.method === "REPLY" && message.components.some(about));
}

async function shown(keyring: Keyring, entry: Entry, found: Found, asking: Asking, now: number): Promise<Occurrence> {
  const { component, key, start, end } = found;
  const letter = letterOf(entry);
  const status = found.cancelled ? "cancelled" : statusIn(entry, key, asking);
  const allDay = component.start !== null && isDay(component.start);
  return {
    id: await idOf(keyring, component.uid, key), uid: component.uid, recurrence: key, title: component.title, start, end, allDay,
    day: found.day || dayOf(start, asking.here), zone: component.start?.zone || asking.here, place: component.place, organiser: organiserOf(entry, component),
    status, changed: moved(entry, key, status), repeats: recurring(entry.appointment), conflicts: [],
    answerable: end > now && cannotAnswer(entry.appointment, key) === "", letter: letter?.id ?? null, threadId: letter?.threadId ?? null,
  };
}

const busy = (one: Occurrence): boolean => !one.allDay && one.end > one.start && !["cancelled", "declined", "told"].includes(one.status);

function collide(all: Occurrence[]): Occurrence[] {
  let open: Occurrence[] = [];
  for (const one of all.filter(busy)) {
    open = open.filter((other) => other.end > one.start);
    for (const other of open) {
      other.conflicts.push(one.id);
      one.conflicts.push(other.id);
    }
    open.push(one);
  }
  return all;
}

function expanded(entry: Entry, from: number, to: number, here: string): Found[] {
  try {
    return occurrences(entry.appointment, from, to, here);
  } catch {
    return []; // a repetition that cannot be worked out shows nothing rather than something wrong
  }
}

export async function between(keyring: Keyring, asking: Asking, from: number, to: number, now: number): Promise<Occurrence[]> {
  const state = await stateOf(keyring, asking);
  const made: Promise<Occurrence>[] = [];
  for (const entry of state.entries.values()) {
    for (const found of expanded(entry, from, Math.min(to, from + SPAN), asking.here)) made.push(shown(keyring, entry, found, asking, now));
  }
  return collide((await Promise.all(made)).sort((a, b) => a.start - b.start || (a.id < b.id ? -1 : 1)));
}

/** Once for each appointment: a series is asked about as one, unless it is answered and only some of it waits again. */
export async function toAnswer(keyring: Keyring, asking: Asking, now: number): Promise<Asked[]> {
  const state = await stateOf(keyring, asking);
  const made: Asked[] = [];
  for (const entry of state.entries.values()) {
    if (entry.appointment.role !== "attendee") continue;
    const waiting = expanded(entry, now, now + AHEAD, asking.here).find((one) => !one.cancelled && statusIn(entry, one.key, asking) === "needs-action");
    if (waiting === undefined) continue;
    const scope = recurring(entry.appointment) && statusIn(entry, "", asking) === "needs-action" ? "all" : "one";
    made.push({ ...(await shown(keyring, entry, waiting, asking, now)), scope });
  }
  return made.filter((one) => one.answerable).sort((a, b) => a.start - b.start);
}

/** Keys by which an id of an earlier visit may have been made. */
export function keysOf(entry: Entry, here: string, now: number): string[] {
  const around = expanded(entry, now - SPAN / 2, now + SPAN / 2, here).map((one) => one.key);
  return [...new Set(["", ...around])];
}

export async function one(keyring: Keyring, asking: Asking, id: string, now: number): Promise<{ state: State; entry: Entry; key: string; found: Found }> {
  const state = await stateOf(keyring, asking);
  const { entry, key } = await foundBy(keyring, state, id, (each) => keysOf(each, asking.here, now));
  const component = key === "" ? (entry.appointment.master ?? entry.appointment.overrides[0])!.component : occurrenceOf(entry.appointment, key);
  const start = instantOf(component.start!, asking.here);
  const [at] = expanded(entry, start, start + 1, asking.here).filter((each) => each.key === key);
  const found: Found = at ?? { key, start, end: component.end === null ? start : instantOf(component.end, asking.here), day: isDay(component.start!) ? component.start!.local : "", cancelled: cancelled(entry.appointment, key), component };
  return { state, entry, key, found };
}

const ASKED: Record<string, Told["history"][number]["what"]> = {
  invited: "asked", "delegated-to-me": "asked", published: "asked", added: "changed", updated: "changed", rescheduled: "changed",
  cancelled: "cancelled", uninvited: "cancelled", "proposal-refused": "refused-proposal",
};

function historyOf({ steps }: Entry, key: string): Told["history"] {
  const made: Told["history"] = [];
  for (const { letter, message, events } of steps) {
    const about = events.filter((event) => event.recurrence === "" || key === "" || event.recurrence === key);
    const by = letter.from;
    if (letter.way === "out") {
      const component = message.components[0]!;
      if (message.method === "REPLY") made.push({ at: letter.at, what: "answered", by, detail: STATUSES.get(component.attendees[0]?.status ?? "") ?? "" });
      else if (message.method === "COUNTER") made.push({ at: letter.at, what: "proposed", by, detail: "" });
      continue;
    }
    const what = about.map((event) => ASKED[event.kind]).find((one) => one !== undefined);
    if (what !== undefined) made.push({ at: letter.at, what, by, detail: "" });
  }
  return made;
}

export const remindersOf = (state: State, uid: string, own: boolean): number[] => {
  const chosen = state.said.get(`remind ${uid}`);
  if (chosen === undefined) return own ? [] : INVITES;
  return chosen.value.split(" ").filter(Boolean).map(Number).filter((minutes) => Number.isInteger(minutes) && minutes >= 0).slice(0, 8);
};

export async function appointment(keyring: Keyring, asking: Asking, id: string, now: number): Promise<Told> {
  const { state, entry, key, found } = await one(keyring, asking, id, now);
  const occurrence = await shown(keyring, entry, found, asking, now);
  const { addresses } = meOf(asking);
  const proposed = openProposals(entry.appointment).find((each) => addresses.includes(each.address) && each.recurrence === key);
  const start = proposed === undefined ? 0 : instantOf(proposed.start, asking.here);
  const slug = cannotAnswer(entry.appointment, key);
  return {
    occurrence: { ...occurrence, conflicts: (await between(keyring, asking, found.start, Math.max(found.end, found.start + 1), now)).find((each) => each.id === id)?.conflicts ?? [] },
    description: found.component.description,
    rule: (entry.appointment.master?.component.rule ?? null) as Rule | null,
    history: historyOf(entry, key),
    proposal: proposed === undefined ? null : { start, end: proposed.end === null ? start + (found.end - found.start) : instantOf(proposed.end, asking.here) },
    cannotAnswer: slug === "own" ? "" : slug || (found.end <= now ? "past" : ""),
    reminders: remindersOf(state, found.component.uid, entry.own.length > 0),
    letter: letterOf(entry)?.id ?? null,
  };
}

// ------------------------------------------------------------------------------------------------- in one letter

/** Whether who sent the letter may say this: its organiser (or who sends for them), or the attendee who answers. */
function trusted({ method, components: [component], sender }: Message, own: readonly string[], mine: boolean): boolean {
  if (component === undefined) return false;
  if (["REPLY", "COUNTER", "REFRESH"].includes(method)) return component.attendees.some((each) => each.address === sender || each.sentby === sender) || own.includes(sender);
  const { organiser } = component;
  return organiser !== null && (organiser.address === sender || (organiser.sentby === sender && mine));
}

function superseded(held: Appointment | undefined, component: Component): boolean {
  const now = held === undefined ? null : governing(held, componentKey(component));
  return now !== null && (now.component.sequence > component.sequence || (now.component.sequence === component.sequence && now.component.stamp > component.stamp));
}

export async function inLetter(keyring: Keyring, asking: Asking, texts: string[], sender: string, letter: string, now: number): Promise<(Omit<LetterAppointment, "rule"> & { rule: Rule | null })[]> {
  const state = await stateOf(keyring, asking);
  const { addresses } = meOf(asking);
  const made: (Omit<LetterAppointment, "rule"> & { rule: Rule | null })[] = [];
  for (const message of texts.flatMap((text) => readMessages(text, sender.toLowerCase(), now))) {
    for (const component of message.components.slice(0, 10)) {
      const start = component.start === null ? 0 : instantOf(component.start, asking.here);
      const entry = state.entries.get(component.uid);
      const mine = entry?.steps.some((step) => step.letter.id === letter) ?? false;
      const [key, good] = [componentKey(component), trusted(message, addresses, mine)];
      const occurrence = good && mine && entry !== undefined ? await occurrenceFor(keyring, entry, key, asking, now) : null;
      const asks = (message.method === "REQUEST" || message.method === "ADD") && attendeeOf(component, addresses) !== null;
      made.push({
        method: message.method, uid: component.uid, title: component.title || (entry?.appointment.master?.component.title ?? ""), start, end: component.end === null ? start : instantOf(component.end, asking.here),
        allDay: component.start !== null && isDay(component.start), zone: component.start?.zone || asking.here, place: component.place,
        organiser: component.organiser === null ? null : { name: component.organiser.name, address: component.organiser.address },
        attendees: component.attendees.slice(0, 50).map((each) => ({ person: { name: each.name, address: each.address }, status: STATUSES.get(each.status) ?? "needs-action" })),
        comment: component.comment, trusted: good, answerable: asks && occurrence !== null && occurrence.answerable, occurrence: occurrence?.id ?? null,
        status: occurrence?.status ?? "told", past: good && mine && ["REQUEST", "ADD", "PUBLISH"].includes(message.method) && superseded(entry?.appointment, component), rule: component.rule,
      });
    }
  }
  return made;
}

/** The occurrence a letter speaks of; of a series the next one, else its first. */
async function occurrenceFor(keyring: Keyring, entry: Entry, key: string, asking: Asking, now: number): Promise<Occurrence | null> {
  const start = (entry.appointment.master ?? entry.appointment.overrides[0])?.component.start ?? null;
  if (start === null) return null;
  const first = instantOf(start, asking.here);
  const named = key !== "" || !recurring(entry.appointment);
  const all = [...expanded(entry, now, now + AHEAD, asking.here), ...expanded(entry, first, first + AHEAD, asking.here)];
  const found = named ? all.find((each) => each.key === key) : all[0];
  return found === undefined ? null : shown(keyring, entry, found, asking, now);
}

// ---------------------------------------------------------------------------------------------------- own entries

export async function draftOf(keyring: Keyring, asking: Asking, id: string): Promise<EntryDraft> {
  const { state, entry } = await one(keyring, asking, id, Date.now());
  const { title, start, end, place, description, rule, uid } = entry.appointment.master!.component;
  const begins = instantOf(start!, asking.here);
  const FREQ = { DAILY: "daily", WEEKLY: "weekly", MONTHLY: "monthly", YEARLY: "yearly" } as const;
  return {
    title, start: begins, end: end === null ? begins : instantOf(end, asking.here), allDay: isDay(start!), place, description,
    repeat: rule === null ? "" : FREQ[rule.freq], until: rule?.until ? dayOf(instantOf(rule.until, asking.here), asking.here) : "", reminders: remindersOf(state, uid, true),
  };
}
