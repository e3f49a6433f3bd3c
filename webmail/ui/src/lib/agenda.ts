// The agenda for the screens: what the worker makes of letters, and what is done with it. Answers are sealed letters to the
// organiser, sent as any letter is; own entries, reminders and what is said of recalls are letters to oneself.
//
// Invariants: nothing of it is asked of the server but the letters themselves, and to be woken at times that tell nothing;
// an answer goes to the organiser alone, in the conversation of the invitation, and can be undone like any letter.
import type { AgendaGiven, AgendaMade, AgendaOperation, Asking, Said, ToSend } from "../worker/agenda/protocol.ts";
import { account, speaker } from "./account.ts";
import type { AgendaWork, EntryDraft, Facts, Occurrence, Reminder } from "./agenda_contract.ts";
import { language, letterWords, ruleWords, whenWords, type Said as Answer } from "./agenda_words.ts";
import { Listeners } from "./api.ts";
import { Refused, type Letter, type Sent } from "./contract.ts";
import { dropOwn, itemsReady, keepOwn, onItems, openItem, ownId } from "./items.ts";
import { jmap } from "./jmap.ts";
import { ask } from "./link.ts";
import { emails } from "./mail.ts";
import { properties, type WireEmail } from "./mail_wire.ts";

const DAY = 86_400_000;
const zone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone || "Europe/Paris";

function asking(): Asking {
  const { session } = speaker();
  return { own: [session.account.shown, session.account.address], name: `${session.name.given} ${session.name.family}`.trim(), here: zone() };
}

const askAgenda = <K extends AgendaOperation>(question: K, given: AgendaGiven<K>): Promise<AgendaMade<K>> =>
  ask("agenda", { ask: question, given }) as Promise<AgendaMade<K>>;

const changed = new Listeners<null>();
onItems(() => changed.tell(null));

/** Large calendars do not stand in the index: their parts are fetched once. */
async function fetchLarge(): Promise<void> {
  for (const found of await askAgenda("unread", null)) {
    const octets = await openItem(found).catch(() => null);
    const text = octets === null || octets.byteLength > 1_000_000 ? "" : new TextDecoder().decode(octets);
    await askAgenda("read", { letter: found.letter.id, part: found.item.part, text });
  }
}

async function ready(progress: (done: number, total: number) => void = () => undefined): Promise<void> {
  await itemsReady(progress);
  await fetchLarge();
}

// -------------------------------------------------------------------------------------------------------- sending

/** An iTIP message as a letter: words for people, the calendar for programs (RFC 6047 §2.4). */
async function posted({ to, ics, item, letter, occurrence }: ToSend, said: Answer, comment: string, when = ""): Promise<Sent> {
  const { session } = speaker();
  const words = letterWords(said, occurrence, comment, `${session.name.given} ${session.name.family}`.trim(), when);
  const file = new File([ics], item.method === "COUNTER" ? "proposition.ics" : "reponse.ics", { type: `text/calendar; method=${item.method}` });
  if (letter !== null) await known(letter);
  const { sendDraft } = await import("./mail_send.ts");
  const draft = { to: [to], ...words, files: [file], inReplyTo: letter === null ? null : ({ id: letter } as Letter) };
  const sent = await sendDraft(draft, { items: [item], patient: "", flags: [], cut: 0 }, true);
  return { ...sent, undo: async () => sent.undo().finally(() => void ready().catch(() => undefined)) };
}

interface Given {
  answer: string;
  until: number; // ms
  sent: Promise<Sent>;
}
const given = new Map<string, Given>();

/** The same answer tapped again while it can still be called back is the one on its way, not another letter. */
function once(id: string, answer: string, send: () => Promise<Sent>): Promise<Sent> {
  const before = given.get(id);
  if (before?.answer === answer && before.until > now()) return before.sent;
  const forget = (): void => void (given.get(id) === made && given.delete(id));
  const sent = send().then((one) => {
    made.until = one.until;
    return { ...one, undo: async () => one.undo().finally(forget) };
  });
  const made: Given = { answer, until: Infinity, sent };
  given.set(id, made);
  sent.catch(forget);
  return sent;
}

/** What the server says of a letter that an answer answers. */
async function known(letter: string): Promise<WireEmail | undefined> {
  const made = await jmap([["Email/get", { accountId: ownId(), ids: [letter], properties: [...properties(false), "answer", "closedBy"] }, "g"]]);
  const [found] = (made.get("g")?.["list"] ?? []) as WireEmail[];
  if (found !== undefined) emails.set(found.id, { ...emails.get(found.id), ...found });
  return found;
}

// ---------------------------------------------------------------------------------------------- letters to oneself

async function keep(subject: string, given: { ics?: string; items: Parameters<typeof keepOwn>[0]["items"]; drop: readonly string[] }): Promise<void> {
  const files = given.ics === undefined ? [] : [{ name: "rendez-vous.ics", type: "text/calendar", data: new TextEncoder().encode(given.ics).buffer as ArrayBuffer }];
  await keepOwn({ class: "agenda", subject, text: "", files, items: given.items });
  await dropOwn([...given.drop]); // the new one is there: now the old one may go
  await ready();
}

const saidAll = (): Promise<Said[]> => askAgenda("said", asking());

async function say(decision: "remind" | "facts" | "recall", target: string, value: string): Promise<void> {
  const { newItem } = await import("../worker/record/manifest.ts");
  const before = (await saidAll()).find((one) => one.decision === decision && one.target === target);
  const item = newItem({ kind: "decision", decision, targets: [target], type: value, stamp: new Date().toISOString() });
  // A letter that holds an entry as well stays: its word is older, and counts no more.
  await keep("Agenda", { items: [item], drop: before === undefined ? [] : [...(before.spent ?? []), ...(before.alone ? [before.letter] : [])] });
}

async function factsKnown(): Promise<Facts | null> {
  const found = (await saidAll()).find((one) => one.decision === "facts");
  const [birthDate = "", sex = ""] = found?.value.split(" ") ?? [];
  return found === undefined || birthDate === "" ? null : { birthDate, sex: sex === "F" || sex === "M" ? sex : "" };
}

// ------------------------------------------------------------------------------------------------------- reminders

const REMINDING = 8 * DAY; // a reminder comes at most a week before
const MORNING = 9 * 3_600_000; // days are reminded of as if they began then
const LATE = 30 * 60_000; // what this page slept through is still told
const LONGEST = 3_600_000;
const reminded = new Listeners<Reminder>();
const told = new Set<string>();
let clock: ReturnType<typeof setTimeout> | undefined;
let woken: EventSource | null = null;
let asked = 0;
let listening = 0;

async function upcoming(now: number): Promise<Reminder[]> {
  const all = await askAgenda("between", { ...asking(), from: now - DAY, to: now + REMINDING, now });
  const said = new Map((await saidAll()).filter((one) => one.decision === "remind").map((one) => [one.target, one.value.split(" ").filter(Boolean).map(Number)]));
  const usual = (one: Occurrence): number[] => (one.organiser === null ? [] : [1440, 120]);
  return all
    .filter((one) => !["cancelled", "declined", "told"].includes(one.status))
    .flatMap((one) => (said.get(one.uid) ?? usual(one)).map((minutes): Reminder => ({ id: `${one.id} ${minutes} ${one.start}`, at: one.start + (one.allDay ? MORNING : 0) - minutes * 60_000, occurrence: one })))
    .filter(({ at, occurrence }) => at > now - LATE && (occurrence.end > now || at > now))
    .sort((a, b) => a.at - b.at);
}

async function remind(): Promise<void> {
  clearTimeout(clock);
  if (listening === 0 || !speaker().unlocked) return;
  const now = Date.now();
  const all = await upcoming(now);
  if (listening === 0 || !speaker().unlocked) return; // meanwhile
  clearTimeout(clock); // two that ran at once leave one clock
  for (const one of all.filter(({ id, at }) => at <= now && !told.has(id))) {
    told.add(one.id);
    reminded.tell(one);
  }
  const next = all.find(({ at }) => at > now);
  clock = setTimeout(() => void remind().catch(() => undefined), Math.min(LONGEST, next === undefined ? LONGEST : next.at - now + 50));
  if (now - asked > 6 * LONGEST) {
    asked = now;
    await import("./agenda_wakes.ts").then(({ askToBeWoken }) => askToBeWoken(now)).catch(() => (asked = now - 5 * LONGEST));
  }
}

function listenForWakes(): void {
  if (woken !== null || typeof EventSource === "undefined") return;
  woken = new EventSource("/jmap/events?types=Mailbox&closeafter=no&ping=300");
  woken.addEventListener("wake", () => void remind().catch(() => undefined));
}

function stopReminding(): void {
  clearTimeout(clock);
  woken?.close();
  woken = null;
}

account.onChange((session) => {
  if (session !== null) return;
  stopReminding();
  told.clear();
  given.clear();
  asked = 0;
});

// ----------------------------------------------------------------------------------------------------------- door

const now = (): number => Date.now();

export const agenda: AgendaWork = {
  ready,
  between: (from, to) => askAgenda("between", { ...asking(), from, to, now: now() }),
  toAnswer: () => askAgenda("toAnswer", { ...asking(), now: now() }),

  async appointment(id) {
    const { rule, letter, ...found } = await askAgenda("appointment", { ...asking(), id, now: now() });
    const standing = letter === null || found.cannotAnswer !== "" ? undefined : await known(letter).catch(() => undefined);
    const closed = standing?.answer !== undefined && standing.answer !== "open";
    return { ...found, rule: ruleWords(rule), cannotAnswer: closed ? "closed" : found.cannotAnswer };
  },

  async inLetter(letter) {
    void ready().catch(() => undefined); // the agenda may not have heard of it yet: it tells when it has
    const parts = letter.parts.filter(({ type, name }) => type === "text/calendar" || /\.ics$/iu.test(name)).slice(0, 4);
    const texts = await Promise.all(parts.map(async (part) => (part.size > 1_000_000 ? "" : (await part.blob()).text())));
    const found = await askAgenda("inLetter", { ...asking(), texts: texts.filter((one) => one !== ""), sender: letter.from.address, letter: letter.id, now: now() });
    const open = letter.answer === undefined || letter.answer === "open";
    return found.map(({ rule, ...one }) => ({ ...one, rule: ruleWords(rule), answerable: one.answerable && open && letter.signature !== "bad", trusted: one.trusted && letter.signature !== "bad" }));
  },

  async answer(id, status, scope, comment = "") {
    const made = await askAgenda("answer", { ...asking(), id, status, scope, comment, now: now() });
    return once(id, JSON.stringify([status, scope, comment, made.item.sequence]), () => posted(made, status, comment));
  },
  async propose(id, start, end, comment) {
    const made = await askAgenda("propose", { ...asking(), id, start, end, comment, now: now() });
    return posted(made, "proposed", comment, whenWords({ start, allDay: made.occurrence.allDay }));
  },

  draft: (id) => askAgenda("draft", { ...asking(), id }),
  async add(draft: EntryDraft) {
    const { id, ...made } = await askAgenda("entry", { ...asking(), id: null, draft, now: now() });
    await keep(draft.title, made);
    return id;
  },
  async change(id, draft) {
    await keep(draft.title, await askAgenda("entry", { ...asking(), id, draft, now: now() }));
  },
  async remove(id) {
    const letters = await askAgenda("lettersOf", { ...asking(), id });
    if (letters.length === 0) throw new Refused("not-found");
    await dropOwn(letters);
  },
  async setReminders(uid, minutes) {
    await say("remind", uid, minutes.join(" "));
    await remind().catch(() => undefined);
  },

  onReminder(listener) {
    const stop = reminded.add(listener);
    listening += 1;
    listenForWakes();
    const again = changed.add(() => void remind().catch(() => undefined));
    void ready().then(remind).catch(() => undefined);
    return () => {
      stop();
      again();
      listening -= 1;
      if (listening === 0) stopReminding();
    };
  },

  facts: factsKnown,
  setFacts: ({ birthDate, sex }) => say("facts", "", `${birthDate} ${sex}`),
  async recalls() {
    const facts = await factsKnown();
    if (facts === null) return [];
    const [{ recallsFor }, { record }] = await Promise.all([import("./agenda_recalls.ts"), import("./record.ts")]);
    const entries = await record.profile().catch(() => []);
    const done = entries.filter(({ area }) => area === "vaccinations").map(({ name, date, document, id }) => ({ name, date, id: document ?? id }));
    const said = new Map((await saidAll()).filter((one) => one.decision === "recall").map((one) => [one.target, one.value]));
    return recallsFor(facts, done, said, language());
  },
  refuseRecall: (id, refused) => say("recall", id, refused ? "refused" : "open"),
  recallDone: (id, done) => say("recall", id, done ? "done" : "open"),

  async ics(id) {
    return new Blob([await askAgenda("ics", { ...asking(), id })], { type: "text/calendar" });
  },
  onChange: (listener) => changed.add(() => listener()),
};
