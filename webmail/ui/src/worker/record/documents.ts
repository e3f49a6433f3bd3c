// The documents of the record, drawn from the index: what came by several ways is one, the newest version stands for its
// chain, and what its author keeps from the patient is not there.
//
// Invariants: pure over the index and what was read in documents; an item marked INVISIBLE_PATIENT is taken out before
// anything is counted, sorted or searched; what lies in the trash counts for nothing.
import { aboutWhom, type About } from "../../lib/record_holder.ts";
import type { DocumentFilter, DocumentLine, DocumentList, DocumentState } from "../../lib/record_contract.ts";
import { wordsOf } from "../search.ts";
import { categoryOf } from "./categories.ts";
import { typeLabel, type Language } from "./labels.ts";
import type { Letters } from "./letters.ts";
import { identity, lifeCycle, type Arrival, type Standing } from "./life_cycle.ts";
import type { FoundItem, Kept } from "./protocol.ts";
import { readingOf, type Reading } from "./readings.ts";

export const HIDDEN_FROM_PATIENT = "INVISIBLE_PATIENT";
export const HIDDEN_FROM_PROFESSIONALS = "MASQUE_PS";
const AWAY = ["trash", "junk", "drafts"];
const DRAWN = ["document", "fhir", "file"];

export interface Found {
  line: DocumentLine;
  standing: Standing | null; // null: locked
  ways: FoundItem[]; // by each way it came, the first one first
  words: string;
}

interface View {
  version: number;
  language: Language;
  all: Map<string, Found>; // by key, every version
  listed: Found[]; // one for each chain, newest first
  entries: Standing[]; // own entries of the profile
}

let made: { letters: Letters; view: View } | null = null;

export const forgetDocuments = (): void => {
  made = null;
};

export function viewOf(letters: Letters, language: Language): View {
  if (made?.letters !== letters || made.view.version !== letters.version || made.view.language !== language) {
    made = { letters, view: drawn(letters, language) };
  }
  return made.view;
}

export const here = ({ roles }: Kept): boolean => roles.length === 0 || roles.some((one) => !AWAY.includes(one));

/** Items that are to be seen at all. What went out was here before, or comes back by its answer. */
export function arrivals(letters: Letters): { arrival: Arrival; found: FoundItem }[] {
  const made: { arrival: Arrival; found: FoundItem }[] = [];
  for (const letter of letters.all()) {
    if (letter.way === "out" || !here(letter)) continue;
    for (const item of letter.manifest.items) {
      if (item.confidentiality.includes(HIDDEN_FROM_PATIENT) && letter.way !== "own") continue;
      const own = letter.way === "own" && letter.signature === "author";
      const arrival = { letter: letter.id, sender: letter.from.address, item, patient: letter.manifest.patient, own };
      made.push({ arrival, found: { item, letter } });
    }
  }
  return made;
}

function drawn(letters: Letters, language: Language): View {
  const came = arrivals(letters);
  const ways = new Map<string, FoundItem[]>();
  for (const { found } of came) {
    const name = `${identity(found.item)}\n${found.item.hash}`;
    ways.set(name, [...(ways.get(name) ?? []), found]);
  }
  const all = new Map<string, Found>();
  const entries: Standing[] = [];
  const standings = lifeCycle(came.map((one) => one.arrival));
  for (const standing of standings) {
    const by = (ways.get(`${standing.id}\n${standing.hash}`) ?? []).sort((a, b) => a.letter.at - b.letter.at);
    const [first] = by;
    if (first === undefined) continue;
    if (first.item.kind === "entry") entries.push(standing);
    if (DRAWN.includes(first.item.kind)) all.set(standing.key, foundOf(standing, by, readingOf(letters, first.item), whom(letters, by), language));
  }
  // What the patient keeps from professionals stays so when its author replaces it.
  const masked = new Set(standings.filter((one) => one.masked).map((one) => one.key));
  // Nor do the same octets come out under another name.
  const maskedOctets = new Set(standings.filter((one) => masked.has(one.key) && one.hash !== "").map((one) => one.hash));
  for (const { line, standing } of all.values()) line.masked ||= maskedOctets.has(standing!.hash) || standing!.history.some((key) => masked.has(key));
  const listed = [...all.values()].filter(({ standing }) => standing!.state !== "superseded");
  for (const letter of letters.all()) if (letter.locked && here(letter) && letter.class === "record") listed.push(lockedOf(letter));
  listed.sort((a, b) => when(b.line) - when(a.line) || b.line.receivedAt - a.line.receivedAt);
  return { version: letters.version, language, all, listed, entries };
}

const when = ({ at, receivedAt }: DocumentLine): number => Date.parse(at) || receivedAt;

/** What a person put in is their own, whomever it names. */
function whom(letters: Letters, ways: readonly FoundItem[]): About {
  if (ways.some(({ letter }) => letter.way === "own")) return "holder";
  const reading = readingOf(letters, ways[0]!.item);
  return reading === null ? "unknown" : aboutWhom(reading.about, letters.holder);
}

function foundOf(standing: Standing, ways: FoundItem[], reading: Reading | null, about: About, language: Language): Found {
  const [first] = ways;
  const { item, letter } = first!;
  const told = (name: "title" | "type" | "class" | "author" | "at" | "made" | "format"): string => ways.find((one) => one.item[name] !== "")?.item[name] ?? "";
  const codes = [...new Set(ways.flatMap((one) => one.item.confidentiality))].filter((one) => one !== "N");
  const type = told("type");
  const category = categoryOf({ class: told("class"), type });
  const line: DocumentLine = {
    id: standing.key,
    letter: letter.id,
    threadId: letter.threadId,
    form: item.kind as DocumentLine["form"],
    type,
    typeLabel: typeLabel(type, language),
    category,
    title: told("title") || typeLabel(type, language),
    at: told("at") || told("made") || new Date(letter.at).toISOString(),
    receivedAt: letter.at,
    author: told("author"),
    from: letter.from,
    state: standing.state as DocumentState,
    masked: standing.masked || codes.includes(HIDDEN_FROM_PROFESSIONALS),
    confidentiality: codes,
    unread: ways.every((one) => !one.letter.seen),
    own: letter.way === "own",
    guard: letter.guard,
    locked: false,
    versions: standing.history.length + 1,
    about,
    ...(category === "prescriptions" ? { prescription: { until: reading?.until || null, renewable: reading?.renewable ?? false } } : {}),
  };
  return { line, standing, ways, words: ` ${wordsOf(`${line.title} ${line.author} ${line.typeLabel} ${line.from.name} ${item.title}`).join(" ")}` };
}

function lockedOf(letter: Kept): Found {
  const line: DocumentLine = {
    id: `locked:${letter.id}`, letter: letter.id, threadId: letter.threadId, form: "document", type: "", typeLabel: "", category: "other", title: "",
    at: new Date(letter.at).toISOString(), receivedAt: letter.at, author: "", from: letter.from, state: "current", masked: false, confidentiality: [],
    unread: !letter.seen, own: false, guard: letter.guard, locked: true, versions: 1, about: "unknown",
  };
  return { line, standing: null, ways: [], words: ` ${wordsOf(letter.from.name).join(" ")}` };
}

/** A page of the list; how many there are of each category and year, whatever page is shown. */
export function list(view: View, { category, year, words = "", archived = false, position, limit }: DocumentFilter): DocumentList {
  const asked = wordsOf(words).map((one) => ` ${one}`);
  const shown = view.listed.filter(({ line, standing, words: here }) => (standing?.archived ?? false) === archived && line.state !== "superseded" && asked.every((one) => here.includes(one)));
  const ofCategory = (one: Found): boolean => category === undefined || one.line.category === category;
  const yearOf = ({ line }: Found): number => Number(/^\d{4}/.exec(line.at)?.[0] ?? 0);
  const ofYear = (one: Found): boolean => year === undefined || yearOf(one) === year;
  const found = shown.filter((one) => ofCategory(one) && ofYear(one));
  return {
    lines: found.slice(position, position + limit).map((one) => one.line),
    total: found.length,
    categories: counted(shown.filter(ofYear).map((one) => one.line.category)).map(([name, count]) => ({ category: name, count })),
    years: counted(shown.filter(ofCategory).map(yearOf)).map(([name, count]) => ({ year: name, count })).sort((a, b) => b.year - a.year),
  };
}

function counted<T>(all: T[]): [T, number][] {
  const found = new Map<T, number>();
  for (const one of all) found.set(one, (found.get(one) ?? 0) + 1);
  return [...found];
}
