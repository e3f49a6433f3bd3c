// The medical profile: what the patient wrote of themself, beside what documents say, each with its source and date.
//
// Invariants: one fact stands once, by the patient's own words when there are any; a fact that the patient masked is
// masked whoever says it, in a document that comes later too; what is for a professional is chosen before facts are
// joined, so that a masked document leaves nothing of itself behind; what a document says of somebody else is no fact here.
import { forProfessional, keptBack } from "../../lib/for_professional.ts";
import type { Measure, ProfileArea, ProfileEntry, Trend } from "../../lib/record_contract.ts";
import { wordsOf } from "../search.ts";
import type { ClinicalEntry, EntryKind, Result } from "./cda_model.ts";
import { arrivals, viewOf, type Found } from "./documents.ts";
import type { Language } from "./labels.ts";
import type { Letters } from "./letters.ts";
import { decided } from "./life_cycle.ts";
import { kindOfCode, MEASURES, usualUnit } from "./measures.ts";
import { readingOf, type Reading } from "./readings.ts";
import { draftOf } from "./resources.ts";

const AREAS: Partial<Record<EntryKind, ProfileArea>> = {
  medication: "treatments", allergy: "allergies", problem: "history", history: "history", procedure: "history", device: "history",
  risk: "history", vaccination: "vaccinations", family: "family", wish: "wishes", contact: "contacts",
};
const NOT_SO = new Set(["nullified", "cancelled", "entered-in-error", "aborted", "refuted"]);

/** A fact as one source tells it. `fact`: the same for all that tell it. */
interface Told extends ProfileEntry {
  fact: string;
  confidentiality: string[];
}

/** Whether what a document says is so, of the holder. */
const holds = (line: Found["line"], standing: Found["standing"]): boolean =>
  standing !== null && line.about !== "another" && line.state !== "superseded" && line.state !== "withdrawn";

/** Every fact by each who tells it, and what hides it. */
function told(letters: Letters, language: Language): { all: Told[]; hidden: Found["line"][] } {
  const view = viewOf(letters, language);
  const masked = decided(arrivals(letters).map((one) => one.arrival), "mask");
  const all: Told[] = own(letters);
  const hidden: Found["line"][] = [];
  for (const { line, ways, standing } of view.all.values()) {
    if (line.masked || keptBack(line.confidentiality)) hidden.push(line);
    if (!holds(line, standing)) continue;
    const reading = readingOf(letters, ways[0]!.item);
    if (reading !== null) all.push(...ofDocument(line, reading));
  }
  const closed = new Set(all.filter((one) => masked.has(one.id)).map((one) => one.fact));
  return { all: all.map((one) => ({ ...one, masked: closed.has(one.fact) })), hidden };
}

export function profile(letters: Letters, language: Language): ProfileEntry[] {
  const { all, hidden } = told(letters, language);
  const closed = new Set(hidden.map(({ id }) => id));
  const shown = joined(all.map((one) => ({ ...one, masked: one.masked || (one.document !== null && closed.has(one.document)) })));
  return shown.map(({ fact: _, confidentiality: __, ...entry }) => entry);
}

/** The facts that a professional may be told, each by a source that they may be told of. */
export function profileForProfessional(letters: Letters, language: Language): ProfileEntry[] {
  const { all, hidden } = told(letters, language);
  return joined(forProfessional(all, hidden)).map(({ fact: _, confidentiality: __, ...entry }) => entry);
}

/** Every id by which a fact is told: a decision about it names them all. */
export function idsOfFact(letters: Letters, language: Language, id: string): string[] {
  const { all } = told(letters, language);
  const fact = all.find((one) => one.id === id)?.fact;
  return fact === undefined ? [] : [...new Set(all.filter((one) => one.fact === fact).map((one) => one.id))].slice(0, 20);
}

/** The letters that hold one own entry, the newest first. */
export function lettersOfEntry(letters: Letters, id: string): string[] {
  const found = letters.items(["entry"]).filter(({ item, letter }) => item.id === id && letter.way === "own");
  return found.sort((a, b) => stampOf(b) - stampOf(a)).map(({ letter }) => letter.id);
}

const stampOf = ({ item, letter }: { item: { stamp: string }; letter: { at: number } }): number => Date.parse(item.stamp) || letter.at;

const order = (a: Told, b: Told): number =>
  Number(b.source === "me") - Number(a.source === "me") || Number(a.masked) - Number(b.masked) || b.writtenAt - a.writtenAt;

function joined(all: readonly Told[]): Told[] {
  const found = new Map<string, Told>();
  for (const one of [...all].sort(order)) if (!found.has(one.fact)) found.set(one.fact, one);
  return [...found.values()].sort((a, b) => (b.date || "").localeCompare(a.date || "") || b.writtenAt - a.writtenAt);
}

function factOf({ area, name, date, measure }: Pick<ProfileEntry, "area" | "name" | "date" | "measure">): string {
  const called = wordsOf(name).join(" ");
  if (measure !== undefined) return `measures ${measure.kind} ${date} ${measure.values.map((one) => one.number).join("/")}`;
  return area === "vaccinations" ? `${area} ${called} ${date.slice(0, 10)}` : `${area} ${called}`;
}

function own(letters: Letters): Told[] {
  const latest = new Map<string, { stamp: number; entry: Told }>();
  for (const found of letters.items(["entry"])) {
    const { item, letter } = found;
    if (letter.way !== "own" || letter.signature !== "author" || letter.roles.includes("trash")) continue;
    const draft = draftOf(item.resource);
    const stamp = stampOf(found);
    if (draft === null || (latest.get(item.id)?.stamp ?? -1) > stamp) continue;
    const { area, detail, date, end = "", measure } = draft;
    const name = measure === undefined ? draft.name : "";
    const entry: Told = {
      id: item.id, area, name, detail, date, end, source: "me", by: "", document: null, writtenAt: stamp, masked: false,
      ...(measure === undefined ? {} : { measure }), editable: true, fact: factOf({ area, name, date, measure }), confidentiality: [],
    };
    latest.set(item.id, { stamp, entry });
  }
  return [...latest.values()].map((one) => one.entry);
}

function ofDocument(line: Found["line"], reading: Reading): Told[] {
  const base = { source: "document" as const, by: line.author || reading.author, document: line.id, writtenAt: line.receivedAt, masked: false, editable: false, confidentiality: line.confidentiality };
  const told = (about: Pick<ProfileEntry, "area" | "name" | "detail" | "date" | "end"> & { measure?: Measure }, place: string): Told => {
    const fact = factOf(about);
    return { ...base, ...about, id: `${line.id}#${place}#${fact.slice(0, 200)}`, fact };
  };
  const facts = reading.entries.flatMap((one) => {
    const area = AREAS[one.kind];
    const none = area === undefined || one.negated || one.name === "" || NOT_SO.has(one.status);
    return none ? [] : [told({ area, name: one.name, detail: detailOf(one), date: one.start, end: one.end }, one.kind)];
  });
  return [...facts, ...measured(reading.results).map(({ measure, at }) => told({ area: "measures", name: "", detail: "", date: at || line.at, end: "", measure }, "measure"))];
}

const detailOf = ({ detail, severity }: ClinicalEntry): string => [detail, severity].filter((one) => one !== "").join(", ");

/** Vital signs among results; the two of a blood pressure are one measure. */
function measured(results: readonly Result[]): { measure: Measure; at: string }[] {
  const found: { measure: Measure; at: string }[] = [];
  const pressures = new Map<string, Map<string, Result>>();
  const parts = MEASURES["blood-pressure"].parts!;
  for (const one of results) {
    if (one.number === null) continue;
    const part = parts.find(({ code }) => code === one.code);
    if (part !== undefined) pressures.set(one.at, (pressures.get(one.at) ?? new Map<string, Result>()).set(part.name, one));
    const kind = kindOfCode(one.code);
    if (kind !== null && MEASURES[kind].parts === undefined) found.push({ at: one.at, measure: { kind, values: [{ name: "", number: one.number }], unit: one.unit || usualUnit(kind) } });
  }
  for (const [at, both] of pressures) {
    if (both.size < parts.length) continue;
    const values = parts.map(({ name }) => ({ name, number: both.get(name)!.number! }));
    found.push({ at, measure: { kind: "blood-pressure", values, unit: "mmHg" } });
  }
  return found;
}

/** Examinations over time: one curve for each code and unit, of documents that hold. */
export function trends(letters: Letters, language: Language): Trend[] {
  const found = new Map<string, Trend>();
  const seen = new Set<string>();
  for (const { line, ways, standing } of viewOf(letters, language).all.values()) {
    if (!holds(line, standing)) continue;
    for (const one of readingOf(letters, ways[0]!.item)?.results ?? []) {
      if (one.number === null || one.code === "") continue;
      const at = one.at || line.at;
      const same = `${one.code} ${one.unit} ${at} ${one.number}`; // told by a later report again
      if (seen.has(same)) continue;
      seen.add(same);
      const name = `${one.code} ${one.unit}`;
      const trend = found.get(name) ?? { code: one.code, name: one.name, unit: one.unit, low: null, high: null, points: [] };
      found.set(name, trend);
      trend.points.push({ at, number: one.number, flag: one.flag, document: line.id });
      trend.low ??= one.low;
      trend.high ??= one.high;
    }
  }
  for (const { points } of found.values()) points.sort((a, b) => (Date.parse(a.at) || 0) - (Date.parse(b.at) || 0));
  return [...found.values()].sort((a, b) => b.points.length - a.points.length || a.name.localeCompare(b.name));
}
