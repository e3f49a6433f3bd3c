// What the worker does for the agenda, one function per question. In a chunk of its own, fetched with the first question.
import { hex, random, utf8 } from "../../lib/bytes.ts";
import type { EntryDraft } from "../../lib/agenda_contract.ts";
import { Failed } from "../failed.ts";
import type { Keyring } from "../keyring.ts";
import { newItem } from "../record/manifest.ts";
import type { Item } from "../record/manifest_model.ts";
import { writeCalendar, writeMessage } from "./calendar.ts";
import { answer as reply, blank, componentKey, occurrenceOf, propose } from "./itip.ts";
import { AgendaRefused, type Appointment, type Component, type Made, type Rule, type When } from "./model.ts";
import type { AgendaGiven, AgendaMade, AgendaOperation, AgendaQuestion, Asking, ToKeep, ToSend } from "./protocol.ts";
import * as showing from "./showing.ts";
import { forgetAgenda, idOf, meOf, readPart, stateOf, unread } from "./store.ts";
import { localOf, stampOf, wallAt } from "./zones.ts";

type Handlers = { [K in AgendaOperation]: (keyring: Keyring, given: AgendaGiven<K>) => Promise<AgendaMade<K>> };

const handlers: Handlers = {
  unread: (keyring) => unread(keyring),
  read: readPart,
  between: (keyring, { from, to, now, ...asking }) => showing.between(keyring, asking, from, to, now),
  toAnswer: (keyring, { now, ...asking }) => showing.toAnswer(keyring, asking, now),
  appointment: (keyring, { id, now, ...asking }) => showing.appointment(keyring, asking, id, now),
  inLetter: (keyring, { texts, sender, letter, now, ...asking }) => showing.inLetter(keyring, asking, texts, sender, letter, now),
  answer: (keyring, { status, scope, comment, ...given }) =>
    sending(keyring, given, (appointment, key, me, now) => reply(appointment, status.toUpperCase(), me, now, { recurrence: scope === "all" ? "" : key, comment })),
  propose: (keyring, { start, end, comment, ...given }) =>
    sending(keyring, given, (appointment, key, me, now, component) => {
      const zone = component.start!.zone || given.here;
      const when = (instant: number): When => (component.start!.local.length === 10 ? { local: localOf(wallAt(instant, given.here), true), zone: "" } : { local: localOf(wallAt(instant, zone), false), zone });
      return propose(appointment, when(start), when(end), me, now, { recurrence: key, comment });
    }),
  draft: (keyring, { id, ...asking }) => showing.draftOf(keyring, asking, id),
  entry: keptEntry,
  async lettersOf(keyring, { id, ...asking }) {
    return (await showing.one(keyring, asking, id, Date.now())).entry.own;
  },
  async ics(keyring, { id, ...asking }) {
    const state = await stateOf(keyring, asking);
    const entries = id === "" ? [...state.entries.values()] : [(await showing.one(keyring, asking, id, Date.now())).entry];
    return writeCalendar("", entries.flatMap(({ appointment }) => components(appointment)).map(harmless));
  },
  async said(keyring, asking) {
    const { said, spent } = await stateOf(keyring, asking);
    return [...said].map(([place, one]) => ({ ...one, spent: spent.get(place) ?? [] }));
  },
};

/** All there is of an appointment. Who calls an occurrence off need not say what it was: the series says it. */
function components(appointment: Appointment): Component[] {
  const { master, overrides, added } = appointment;
  const own = overrides.map(({ component }) => {
    if (component.status !== "CANCELLED" || !master?.component.start) return component;
    const { sequence, stamp, comment, future } = component;
    return { ...occurrenceOf({ ...appointment, overrides: [] }, componentKey(component)), status: "CANCELLED", sequence, stamp, comment, future };
  });
  return [...(master === null ? [] : [master.component]), ...own, ...added.map((held) => held.component)].filter((one) => one.start !== null);
}

// Properties that no program opens, fetches or shows as a page of its own (RFC 5545 §3.8.1, §3.8.2): a file that leaves
// for another program carries no link, attachment or markup of a stranger's.
const PLAIN = ["CATEGORIES", "CLASS", "PRIORITY", "TRANSP", "GEO", "CREATED", "LAST-MODIFIED", "RESOURCES"];
const harmless = (one: Component): Component => ({ ...one, extra: one.extra.filter(({ name }) => PLAIN.includes(name)).map((kept) => ({ ...kept, params: [] })) });

async function sending(
  keyring: Keyring,
  { id, now, ...asking }: Asking & { id: string; now: number },
  act: (appointment: Parameters<typeof reply>[0], key: string, me: ReturnType<typeof meOf>, now: number, component: Component) => Made,
): Promise<ToSend> {
  const { entry, key, found } = await showing.one(keyring, asking, id, now);
  const made = act(entry.appointment, key, meOf(asking), now, found.component);
  const out = made.outgoing[0];
  const to = out?.to[0];
  if (out === undefined || to === undefined) throw new Failed("no-way");
  const ics = writeMessage(out.message);
  const first = out.message.components[0]!;
  const occurrence = (await showing.appointment(keyring, asking, id, now)).occurrence;
  const item = await itemOf(ics, first, out.message.method);
  return { to, ics, item, letter: showing.letterOf(entry)?.id ?? null, occurrence };
}

async function itemOf(ics: string, { uid, title, stamp, sequence, recurrence, start }: Component, method: string): Promise<Item> {
  const octets = utf8(ics);
  const hash = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", octets)));
  return newItem({ kind: "appointment", id: uid, title, at: start?.local ?? "", method, sequence, stamp, recurrence: recurrence?.local ?? "", hash, size: octets.length, part: "2", ics: ics.length <= 4096 ? ics : "" });
}

// ---------------------------------------------------------------------------------------------------- own entries

async function keptEntry(keyring: Keyring, { id, draft, now, ...asking }: AgendaGiven<"entry">): Promise<ToKeep> {
  const before = id === null ? null : (await showing.one(keyring, asking, id, now)).entry;
  const held = before?.appointment.master?.component;
  const uid = held?.uid ?? `${hex(random(16))}@agenda`;
  const component: Component = { ...componentOf(uid, draft, asking.here), sequence: (held?.sequence ?? -1) + 1, stamp: stampOf(now) };
  const ics = writeCalendar("", [component]);
  const remind = newItem({ kind: "decision", decision: "remind", targets: [uid], type: draft.reminders.join(" "), stamp: new Date(now).toISOString() });
  return { ics, items: [await itemOf(ics, component, ""), remind], drop: before?.own ?? [], id: await idOf(keyring, uid, "") };
}

function componentOf(uid: string, draft: EntryDraft, here: string): Component {
  const when = (instant: number): When => (draft.allDay ? { local: localOf(wallAt(instant, here), true), zone: "" } : { local: localOf(wallAt(instant, here), false), zone: here });
  return { ...blank(uid), start: when(draft.start), end: when(draft.end), rule: ruleOf(draft, here), title: draft.title, place: draft.place, description: draft.description };
}

function ruleOf({ repeat, until, allDay, start }: EntryDraft, here: string): Rule | null {
  if (repeat === "") return null;
  const freq = ({ daily: "DAILY", weekly: "WEEKLY", monthly: "MONTHLY", yearly: "YEARLY" } as const)[repeat];
  // RFC 5545 §3.3.10: for times, UNTIL is said in UTC
  const last = allDay ? { local: until, zone: "" } : { local: localOf(Date.parse(`${until}T23:59:59Z`) - (wallAt(start, here) - start), false), zone: "UTC" };
  return { freq, interval: 1, count: 0, until: until === "" ? null : last, byday: [], bymonthday: [], byyearday: [], byweekno: [], bymonth: [], bysetpos: [], wkst: "" };
}

export async function answer(keyring: Keyring, { ask, given }: AgendaQuestion): Promise<unknown> {
  if (!keyring.unlocked) throw new Failed("locked");
  const handler = handlers[ask] as (keyring: Keyring, given: unknown) => Promise<unknown>;
  try {
    return await handler(keyring, given);
  } catch (failure) {
    if (failure instanceof AgendaRefused) throw new Failed(failure.slug);
    throw failure;
  }
}

export { forgetAgenda };
