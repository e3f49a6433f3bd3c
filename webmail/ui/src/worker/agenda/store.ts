// The agenda of a person, made anew from the letters of their account whenever these change: iTIP messages that came or
// were sent from here, entries and decisions written to oneself. Never a second database.
//
// Invariants: what a letter says counts with the address that the server verified for it; only what the holder signed to
// themselves is an entry or a decision; a calendar that cannot be read changes nothing; an id tells nobody a time.
import { hex, random, utf8 } from "../../lib/bytes.ts";
import { Failed } from "../failed.ts";
import type { Keyring } from "../keyring.ts";
import { theLetters, type Letters } from "../record/letters.ts";
import type { Item } from "../record/manifest_model.ts";
import type { FoundItem, Kept } from "../record/protocol.ts";
import { readCalendar, readMessages } from "./calendar.ts";
import { receive, unheard } from "./itip.ts";
import type { Appointment, Component, Event, Me, Message } from "./model.ts";
import type { Asking, Said, Unread } from "./protocol.ts";

/** One message about an appointment, and what it came to. */
export interface Step {
  letter: Kept;
  message: Message;
  events: readonly Event[];
}

export interface Entry {
  appointment: Appointment;
  steps: Step[]; // in the order they came; none for an own entry
  own: string[]; // letters that hold an own entry, the newest last
}

export interface State {
  entries: Map<string, Entry>; // by UID
  said: Map<string, Said>; // newest decision by kind and target
  spent: Map<string, string[]>; // letters whose decision was said anew
}

const DISBELIEVED = ["not-organiser", "not-attendee", "refused"];
const PARTS = "agenda/ics/";
const SALT = "agenda/salt";
let made: { letters: Letters; version: number; who: string; state: State } | null = null;
let names: { salt: string; known: Map<string, string>; of: Map<string, { uid: string; key: string }> } | null = null;

export function forgetAgenda(): void {
  made = null;
  names = null;
}

export const meOf = ({ own, name }: Asking): Me => ({ addresses: own.map((one) => one.toLowerCase()), name });

/** As the letters tell it now. */
export async function stateOf(keyring: Keyring, asking: Asking): Promise<State> {
  const letters = await theLetters(keyring);
  const who = asking.own.join();
  if (made?.letters === letters && made.version === letters.version && made.who === who) return made.state;
  const { version } = letters;
  const state = built(letters, meOf(asking));
  made = { letters, version, who, state };
  return state;
}

/** Junk is not believed, a draft not said yet; an invitation thrown away is out of the agenda. */
const counts = ({ way, roles, signature, locked }: Kept): boolean =>
  !locked && signature !== "bad" && !roles.includes("junk") && !roles.includes("drafts") && !(way === "in" && roles.includes("trash"));

/** Calendars by letter and part: those of one part stand in its first item. */
function calendars(letters: Letters): { letter: Kept; item: Item; text: string | null }[] {
  const found = new Map<string, { letter: Kept; item: Item; text: string | null }>();
  for (const { item, letter } of letters.items(["appointment"])) {
    if (!counts(letter)) continue;
    const place = `${letter.id}/${item.part}`;
    const known = found.get(place);
    const text = item.ics !== "" ? item.ics : (known?.text ?? (letters.reading(PARTS + place) as string | undefined) ?? null);
    if (known === undefined) found.set(place, { letter, item, text });
    else known.text = text;
  }
  return [...found.values()].sort((a, b) => a.letter.at - b.letter.at);
}

export async function unread(keyring: Keyring): Promise<Unread[]> {
  return calendars(await theLetters(keyring)).flatMap(({ letter, item, text }) => (text === null ? [{ letter, item }] : []));
}

export async function readPart(keyring: Keyring, { letter, part, text }: { letter: string; part: string; text: string }): Promise<null> {
  await (await theLetters(keyring)).keep({ read: [[`${PARTS}${letter}/${part}`, text]] });
  return null;
}

function built(letters: Letters, me: Me): State {
  const state: State = { entries: new Map(), said: new Map(), spent: new Map() };
  for (const { letter, text } of calendars(letters)) {
    if (text === null || text === "") continue;
    if (letter.way === "own") {
      if (letter.signature === "author") ownEntry(state, letter, text, me);
    } else heard(state, letter, text, me);
  }
  decisions(state, letters.items(["decision"]));
  return state;
}

function heard(state: State, letter: Kept, text: string, me: Me): void {
  let messages: Message[];
  try {
    messages = readMessages(text, letter.from.address.toLowerCase(), letter.at);
  } catch {
    return;
  }
  for (const message of messages) {
    const { uid } = message.components[0]!;
    const known = state.entries.get(uid);
    if (known !== undefined && known.own.length > 0) continue; // an own entry is nobody else's to change
    const { appointment, events } = receive(known?.appointment ?? null, message, me);
    // A letter that is not believed is no part of the appointment: no answer goes into its conversation.
    if (events.length > 0 && events.every(({ kind }) => DISBELIEVED.includes(kind))) continue;
    const step = { letter, message, events };
    if (known !== undefined) {
      known.steps.push(step);
      if (appointment !== null) known.appointment = appointment;
    } else if (appointment !== null) state.entries.set(uid, { appointment, steps: [step], own: [] });
  }
}

/** An entry written to oneself: the newest under its UID is it. */
function ownEntry(state: State, letter: Kept, text: string, me: Me): void {
  let component: Component | undefined;
  try {
    [component] = readCalendar(text).components;
  } catch {
    return;
  }
  if (component === undefined) return;
  const { uid, sequence, stamp } = component;
  const known = state.entries.get(uid);
  if (known !== undefined && known.own.length === 0) return;
  const own = [...(known?.own ?? []), letter.id];
  if ((known?.appointment.last ?? "") > stamp) {
    known!.own = own;
    return;
  }
  const appointment: Appointment = { ...unheard(uid, me.addresses[0] ?? ""), role: "organiser", master: { component, sequence, stamp }, last: stamp };
  state.entries.set(uid, { appointment, steps: [], own });
}

function decisions({ said, spent }: State, found: FoundItem[]): void {
  for (const { item, letter } of found) {
    if (letter.way !== "own" || letter.signature !== "author" || letter.locked) continue;
    if (!["remind", "facts", "recall"].includes(item.decision)) continue;
    const target = item.targets[0] ?? "";
    const one: Said = { decision: item.decision, target, value: item.type, stamp: item.stamp, letter: letter.id, alone: letter.manifest.items.length === 1 };
    const place = `${one.decision} ${target}`;
    const before = said.get(place);
    const [later, earlier] = before === undefined || before.stamp <= one.stamp ? [one, before] : [before, one];
    said.set(place, later);
    // A letter that carries an entry as well goes with its entry.
    if (earlier?.alone) spent.set(place, [...(spent.get(place) ?? []), earlier.letter]);
  }
}

// ----------------------------------------------------------------------------------------------------------- ids

async function naming(keyring: Keyring): Promise<NonNullable<typeof names>> {
  if (names !== null) return names;
  const letters = await theLetters(keyring);
  let salt = letters.reading(SALT);
  if (typeof salt !== "string") {
    salt = hex(random(16));
    await letters.keep({ read: [[SALT, salt]] });
  }
  return (names ??= { salt: salt as string, known: new Map(), of: new Map() });
}

/** What stands in an address of the page, which the server may see: it tells neither UID nor time. */
export async function idOf(keyring: Keyring, uid: string, key: string): Promise<string> {
  const { salt, known, of } = await naming(keyring);
  const place = `${key}\n${uid}`;
  let id = known.get(place);
  if (id === undefined) {
    id = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(`${salt}\n${place}`)))).slice(0, 24);
    known.set(place, id);
    of.set(id, { uid, key });
  }
  return id;
}

/** The appointment of an id, and which of its occurrences. Ids of an earlier visit are found by making them again. */
export async function foundBy(keyring: Keyring, state: State, id: string, keysOf: (entry: Entry) => string[]): Promise<{ entry: Entry; key: string }> {
  const { of } = await naming(keyring);
  if (!of.has(id)) {
    for (const [uid, entry] of state.entries) for (const key of keysOf(entry)) await idOf(keyring, uid, key);
  }
  const named = of.get(id);
  const entry = named === undefined ? undefined : state.entries.get(named.uid);
  if (named === undefined || entry === undefined) throw new Failed("not-found");
  return { entry, key: named.key };
}
