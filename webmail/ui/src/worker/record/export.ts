// Everything a person has, in one archive: documents as they came, letters as an mbox, the agenda, the profile as FHIR,
// and a page that reads it all without a network.
//
// Invariants: files are the octets that came, each once however many letters brought it; what its author keeps from the
// patient is in none of it; what is written is gathered in Blobs, so that thousands of documents need no memory.
import { utf8 } from "../../lib/bytes.ts";
import { Failed } from "../failed.ts";
import type { Keyring } from "../keyring.ts";
import { openWhole, shown, type Whole } from "../open.ts";
import type { LetterToOpen } from "../protocol.ts";
import { ArchiveWriter, Gathered } from "./archive_writing.ts";
import { contentsOf } from "./contents.ts";
import { HIDDEN_FROM_PATIENT, viewOf } from "./documents.ts";
import type { Language } from "./labels.ts";
import type { Letters } from "./letters.ts";
import { identity } from "./life_cycle.ts";
import { entry } from "./mbox.ts";
import { profile } from "./profile.ts";
import type { ExportLetter } from "./protocol.ts";
import { readerPage, type ReaderData, type ReaderFile } from "./reader.ts";
import { readmes } from "./readme.ts";

const TEXT = 4000; // characters of a letter in the reader; the mbox has all of it

interface Running {
  archive: ArchiveWriter;
  mbox: Gathered;
  documents: Map<string, ReaderFile[]>; // by key of the document
  letters: ReaderData["letters"];
  locked: number;
}

let running: Running | null = null;

export const forgetExport = (): void => {
  running = null;
};

export function beginExport(): void {
  running = { archive: new ArchiveWriter(), mbox: new Gathered(), documents: new Map(), letters: [], locked: 0 };
}

const day = (at: number): string => new Date(at).toISOString().slice(0, 10);

export async function exportLetter(keyring: Keyring, letters: Letters, { facts, letter }: ExportLetter, language: Language): Promise<void> {
  const state = running;
  if (state === null) throw new Failed("no-export");
  const kept = letters.get(facts.id);
  if (kept?.way !== "own" && kept?.manifest.items.some((one) => one.confidentiality.includes(HIDDEN_FROM_PATIENT))) return;
  const whole = await opened(keyring, letter);
  const octets = new Uint8Array(letter.data);
  if (whole === null) {
    state.locked += 1;
    state.mbox.push(entry(facts.from.address, facts.at, octets, null, null));
    return;
  }
  state.mbox.push(entry(facts.from.address, facts.at, whole.clear, whole.inside, whole.outside));
  const seen = shown(whole);
  if (kept?.way !== "own") {
    state.letters.push({ subject: seen.subject, from: seen.from?.name || facts.from.address, to: facts.to.join(", "), at: day(facts.at), text: seen.text.slice(0, TEXT) });
  }
  if (kept !== undefined && kept.way !== "out") await documents(state, letters, whole, kept.id, language);
}

async function opened(keyring: Keyring, letter: LetterToOpen): Promise<Whole | null> {
  return openWhole(keyring, letter).catch(() => null);
}

async function documents(state: Running, letters: Letters, whole: Whole, letter: string, language: Language): Promise<void> {
  const view = viewOf(letters, language);
  for (const item of letters.get(letter)?.manifest.items ?? []) {
    const found = [...(item.hash === "" ? [] : [`${identity(item)}#${item.hash.slice(0, 16)}`]), identity(item)].flatMap((key) => view.all.get(key) ?? [])[0];
    if (found === undefined || state.documents.has(found.line.id)) continue;
    const made = await contentsOf(whole, item).catch(() => null);
    if (made === null) continue;
    const at = /^\d{4}-\d{2}-\d{2}/.exec(found.line.at)?.[0] ?? day(found.line.receivedAt);
    const folder = state.archive.free(`documents/${at} ${plain(found.line.title)}`); // of one document alone
    const files = made.contents.parts.map(({ name, data }) => {
      const path = state.archive.free(`${folder}/${plain(name.replace(/\.\w+$/, ""))}${/\.\w+$/.exec(name)?.[0] ?? ""}`);
      state.archive.add(path, new Uint8Array(data), found.line.receivedAt);
      return { name, path };
    });
    state.documents.set(found.line.id, files);
  }
}

/** A name for any disk: no path, nothing that ends with a point. */
const plain = (text: string): string =>
  text.normalize("NFC").replace(/[^\p{L}\p{N} ,'’()_-]+/gu, " ").replace(/\s+/g, " ").trim().slice(0, 60).trim() || "document";

export interface ExportEnd {
  language: Language;
  title: string;
  made: string;
  calendar: string;
  bundle: string; // the own entries, as a FHIR document
  left: number; // letters not opened yet, which the person left where they are
}

export async function endExport(letters: Letters, { language, title, made, calendar, bundle, left }: ExportEnd): Promise<Blob> {
  const state = running;
  if (state === null) throw new Failed("no-export");
  running = null;
  const { archive } = state;
  const now = Date.now();
  const beside: ReaderFile[] = [{ name: "mbox", path: "letters.mbox" }];
  await archive.addBlob("letters.mbox", state.mbox.blob(), now);
  archive.add("profile.fhir.json", utf8(bundle), now);
  beside.push({ name: "FHIR", path: "profile.fhir.json" });
  if (calendar !== "") {
    archive.add("agenda.ics", utf8(calendar), now);
    beside.push({ name: "iCalendar", path: "agenda.ics" });
  }
  const { all } = viewOf(letters, language);
  const data: ReaderData = {
    title, made, files: beside, letters: state.letters,
    documents: [...all.values()]
      .map(({ line }) => ({
        title: line.title, type: line.typeLabel, category: line.category, at: line.at.slice(0, 10), author: line.author, from: line.from.name || line.from.address,
        state: line.state, masked: line.masked, files: state.documents.get(line.id) ?? [],
      }))
      .sort((a, b) => b.at.localeCompare(a.at)),
    entries: profile(letters, language).map(({ area, name, detail, date, by, measure }) => ({
      area, name: measure === undefined ? name : `${measure.kind} ${measure.values.map((one) => one.number).join("/")} ${measure.unit}`, detail, date, by,
    })),
  };
  archive.add("index.html", utf8(await readerPage(data, language)), now);
  for (const [name, text] of readmes({ letters: state.letters.length, documents: data.documents.length, locked: state.locked, left, made })) archive.add(name, utf8(text), now);
  return archive.end();
}
