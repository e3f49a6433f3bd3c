// The record without a server: what `RecordWork` promises, over the invented documents beside this file.
import { Refused, type Person } from "../../../webmail/ui/src/lib/contract.ts";
import type { Category, DocumentLine, DocumentView, LetterDocument, MeasureKind, ProfileEntry, RecordWork, Trend } from "../../../webmail/ui/src/lib/record_contract.ts";
import { NOW } from "./account.ts";
import { day, document, invented, MARTIN, PDF, PHARMACY, type Kept } from "./record_documents.ts";
import { leave } from "./gate.ts";
import { pause, scene } from "./scene.ts";

const DAY = 86_400_000;
let documents = invented(scene("empty") ? "none" : scene("many") ? "many" : scene("hostile") ? "hostile" : "some");
const renewals = new Map<string, { askedAt: number; until: number }>();
const listeners = new Set<() => void>();
const tell = (): void => listeners.forEach((listener) => listener());
let read = !scene("reading"); // the first visit on this device reads every letter

async function answer(): Promise<void> {
  await pause();
  if (scene("offline") || scene("cut")) throw new Refused("offline");
}

function kept(id: string): Kept {
  const found = documents.find(({ line }) => line.id === id);
  if (!found) throw new Refused("not-found", { status: 404 });
  return found;
}

function change(ids: readonly string[], change: Partial<DocumentLine>): void {
  documents = documents.map((one) => (ids.includes(one.line.id) ? { ...one, line: { ...one.line, ...change } } : one));
  tell();
}

const undoable = (): { undo(): Promise<boolean>; until: number } => ({ undo: async () => (await pause(), true), until: Date.now() + 60_000 });
const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function viewOf({ line, view }: Kept): DocumentView {
  const sources = [{ letter: line.letter, threadId: line.threadId, from: line.from, receivedAt: line.receivedAt }];
  return { line, header: null, body: { form: "none" }, results: [], entries: [], files: [], history: [], sources, tombstone: null, flags: [], sharedWith: [], ...view };
}

let lastEntry = 0;
function entry(area: ProfileEntry["area"], name: string, more: Partial<ProfileEntry> = {}): ProfileEntry {
  lastEntry += 1;
  const own = more.source !== "document";
  return { id: `E${lastEntry}`, area, name, detail: "", date: "", end: "", source: "me", by: own ? "" : "Dr Paul Guillou", document: own ? null : (documents.find(({ line }) => line.versions > 1)?.line.id ?? null), writtenAt: NOW - lastEntry * DAY, masked: false, editable: own, ...more };
}

const measured = (kind: MeasureKind, unit: string, values: (step: number) => { name: string; number: number }[], every = 30): ProfileEntry[] =>
  Array.from({ length: 24 }, (_, i) => entry("measures", "", { date: day(i * every), measure: { kind, unit, values: values(i) } }));

let entries: ProfileEntry[] = scene("empty") ? [] : [
  entry("allergies", "Pénicilline", { detail: "Urticaire", date: "1987", source: "document" }),
  entry("allergies", "Noix de cajou", { detail: "Gonflement des lèvres", date: "2019-07" }),
  entry("history", "Hypertension artérielle", { date: "2011", source: "document" }),
  entry("history", "Fracture du poignet gauche", { date: "1998-02", end: "1998-05" }),
  entry("history", "Dépression", { date: "2016", end: "2018", masked: true }),
  entry("family", "Diabète de type 2", { detail: "Mère" }),
  entry("treatments", "Amlodipine 5 mg", { detail: "1 comprimé le matin", date: day(36), source: "document" }),
  entry("treatments", "Tisane de valériane", { detail: "Le soir" }),
  entry("vaccinations", "Grippe saisonnière", { date: day(48), source: "document", by: "Pharmacie de la Halle" }),
  entry("vaccinations", "Diphtérie, tétanos, poliomyélite", { date: "2015-03" }),
  entry("wishes", "Don d’organes", { detail: "Je suis d’accord." }),
  entry("contacts", "Yann Morvan", { detail: "Fils, 06 00 00 00 00. Personne de confiance." }),
  ...measured("weight", "kg", (i) => [{ name: "", number: 68 + Math.round(Math.sin(i / 3) * 20) / 10 }]),
  ...measured("blood-pressure", "mmHg", (i) => [{ name: "systolic", number: 132 + ((i * 7) % 19) }, { name: "diastolic", number: 78 + ((i * 5) % 13) }], 14),
  ...measured("glucose", "g/L", (i) => [{ name: "", number: 0.95 + ((i * 3) % 7) / 50 }], 20),
];

export const record: RecordWork = {
  async ready(progress) {
    if (!read) for (let done = 0; done <= 900; done += 60) (progress(done, 900), await pause(60));
    read = true;
    await answer();
  },
  async documents({ category, year, words = "", archived = false, position, limit }) {
    await answer();
    const there = documents.map(({ line }) => line).filter((line) => line.state !== "superseded" && (line.state === "archived") === archived).sort((a, b) => b.at.localeCompare(a.at));
    const wanted = folded(words.trim());
    const said = there.filter((line) => wanted === "" || folded(`${line.title} ${line.author} ${line.typeLabel}`).includes(wanted));
    const yearOf = (line: DocumentLine): number => Number(line.at.slice(0, 4));
    const lines = said.filter((line) => (!category || line.category === category) && (!year || yearOf(line) === year));
    const count = <T>(values: T[]): Map<T, number> => values.reduce((sum, value) => sum.set(value, (sum.get(value) ?? 0) + 1), new Map<T, number>());
    const ofYear = said.filter((line) => !year || yearOf(line) === year);
    const ofCategory = said.filter((line) => !category || line.category === category);
    return {
      lines: lines.slice(position, position + limit),
      total: lines.length,
      categories: [...count(ofYear.map((line) => line.category))].map(([category, count]) => ({ category, count })),
      years: [...count(ofCategory.map(yearOf))].map(([year, count]) => ({ year, count })).sort((a, b) => b.year - a.year),
    };
  },
  async document(id) {
    await answer();
    const found = kept(id);
    const view = viewOf(found);
    if (found.line.unread) documents = documents.map((one) => (one === found ? { ...one, line: { ...one.line, unread: false } } : one));
    return view;
  },
  async inLetter(letter): Promise<LetterDocument[]> {
    await answer();
    if (letter !== "M23") return [];
    const report = invented("some").find(({ line }) => line.versions > 1);
    const found = report ?? document({ title: "Compte rendu", category: "reports", typeLabel: "Compte rendu" });
    return [{ id: found.line.id, form: "document", typeLabel: found.line.typeLabel, title: found.line.title, at: found.line.at, author: found.line.author, about: { name: "Jeanne MORVAN", birthDate: "1950-03-12" }, view: async () => (await pause(), viewOf(found)) }];
  },
  async trends() {
    await answer();
    const found = new Map<string, Trend>();
    for (const { line, view } of documents) {
      for (const { code, name, unit, low, high, number, flag, previous } of view.results ?? []) {
        if (number === null || previous || line.title.includes("<")) continue;
        const trend = found.get(code) ?? { code, name, unit, low, high, points: [] };
        trend.points.unshift({ at: line.at, number, flag, document: line.id });
        found.set(code, trend);
      }
    }
    return [...found.values()];
  },

  async add({ file, title, date, type }) {
    await answer();
    if (file.size > 10_000_000) throw new Refused("file-too-large");
    if (!/pdf|image|text/u.test(file.type)) throw new Refused("file-type");
    const label = this.types().find(({ code }) => code === type)?.label ?? "";
    const one = document({ title, typeLabel: label, type, category: "mine", at: date, own: true, form: "file", author: "Jeanne Morvan" }, { body: { form: "pdf", file: PDF(file.name) }, files: [PDF(file.name)] });
    documents = [one, ...documents];
    tell();
    return one.line.id;
  },
  async remove(id) {
    await answer();
    documents = documents.filter(({ line }) => line.id !== id);
    tell();
  },
  async mask(ids, masked) {
    await answer();
    change(ids, { masked });
  },
  async archive(ids, archived) {
    await answer();
    change(ids, { state: archived ? "archived" : "current" });
  },
  async share({ ids, to }) {
    await answer();
    if (to.startsWith("yves")) throw new Refused("conversation-closed");
    if (ids.some((id) => kept(id).line.masked)) throw new Refused("masked");
    await leave([to]);
    documents = documents.map((one) => (ids.includes(one.line.id) ? { ...one, view: { ...one.view, sharedWith: [...(one.view.sharedWith ?? []), { person: to === PHARMACY.address ? PHARMACY : MARTIN, at: NOW }] } } : one));
    tell();
    return undoable();
  },
  async askRenewal(id) {
    await answer();
    renewals.set(id, { askedAt: Date.now(), until: Date.now() + 8 * DAY });
    tell();
  },
  async renewal(id) {
    await answer();
    return renewals.get(id) ?? null;
  },
  async pharmacies(): Promise<Person[]> {
    await answer();
    return scene("nopharmacy") ? [] : [PHARMACY];
  },

  async profile() {
    await answer();
    return entries;
  },
  async addEntry(draft) {
    await answer();
    entries = [entry(draft.area, draft.name, { ...draft, end: draft.end ?? "", writtenAt: NOW }), ...entries];
    tell();
  },
  async changeEntry(id, draft) {
    await answer();
    entries = entries.map((one) => (one.id === id ? { ...one, ...draft, end: draft.end ?? "", writtenAt: NOW } : one));
    tell();
  },
  async removeEntry(id) {
    await answer();
    entries = entries.filter((one) => one.id !== id);
    tell();
  },
  async maskEntry(id, masked) {
    await answer();
    entries = entries.map((one) => (one.id === id ? { ...one, masked } : one));
    tell();
  },
  async summaryFor(to) {
    await answer();
    await leave([to]);
    return undoable();
  },

  async exportAll(progress) {
    for (let done = 0; done <= 40; done += 4) (progress(done, 40), await pause(40));
    await answer();
    return new Blob(["PK"], { type: "application/zip" });
  },
  types: () => {
    const labels: [string, Category, string][] = [["DOCPAT01", "mine", "Document du patient"], ["EXPPAT_1", "mine", "Carnet de santé ou de vaccination"], ["EXPPAT_2", "mine", "Résultat ou compte rendu reçu sur papier"], ["DIRANT", "management", "Directives anticipées"]];
    return labels.map(([code, , label]) => ({ code, label }));
  },
  onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
