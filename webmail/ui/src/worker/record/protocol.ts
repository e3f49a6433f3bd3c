// What the page may ask of the record's side of the worker. Types only. What goes in is what the server gave (sealed) and
// what people wrote here; what comes out is a page of a list, one opened document, a sealed letter.
import type { Guard, Person, Signature } from "../../lib/contract.ts";
import type { DocumentFilter, DocumentLine, DocumentList, DocumentView, ProfileEntry, RecordFile, Trend } from "../../lib/record_contract.ts";
import type { Holder } from "../../lib/record_holder.ts";
import type { LetterToOpen } from "../protocol.ts";
import type { ClinicalEntry, Header, Result, Section } from "./cda_model.ts";
import type { Language } from "./labels.ts";
import type { Item, Manifest } from "./manifest_model.ts";

/** What the server tells of a letter, as far as the record needs it. */
export interface LetterFacts {
  id: string;
  threadId: string;
  blobId: string;
  from: Person;
  to: string[];
  at: number; // ms: when it came
  size: number;
  messageId: string;
  seen: boolean;
  roles: string[]; // of the mailboxes it lies in
  guard: Guard;
  keyIds: string[];
  class: string; // "record" or "agenda" when the server says so, else ""
}

/** Whether it came, was sent from here, or was written here to oneself. */
export type Way = "in" | "out" | "own";

/** What this device keeps of a letter that carries items. */
export interface Kept extends LetterFacts {
  way: Way;
  subject: string;
  signature: Signature;
  locked: boolean; // sealed to a key this page has not: no manifest
  manifest: Manifest;
}

export interface FoundItem {
  item: Item;
  letter: Kept;
}

export interface Whose {
  own: string[]; // addresses of the holder
  certificates: string[]; // base64, own
  gateway: string;
}

export interface RecordOperations {
  /** Where reading stopped last time. `complete`: from there on changes are enough. */
  begin(_: null): { state: string | null; complete: boolean; letters: number };
  unknown(_: { ids: string[] }): string[];
  /** Takes letters in by their sealed summaries; answers with those that must be opened for it. */
  take(_: { letters: (LetterFacts & { summary: string | null })[]; whose: Whose }): string[];
  /** Takes in one letter by opening it. */
  draw(_: { facts: LetterFacts; letter: LetterToOpen; whose: Whose }): null;
  moved(_: { letters: { id: string; seen: boolean; roles: string[] }[] }): null;
  drop(_: { ids: string[] }): null;
  /** All ids that are known, to find those that went. */
  held(_: null): string[];
  reached(_: { state: string; complete: boolean }): null;
  items(_: { kinds: string[] }): FoundItem[];
  /** The octets of one item of a letter: a part, or a file of the archive in it. */
  octets(_: { letter: LetterToOpen; item: Item }): { data: ArrayBuffer };

  documents(_: { filter: DocumentFilter; language: Language }): DocumentList;
  /** Raises "not-found". */
  document(_: { id: string; language: Language }): Known;
  contents(_: { letter: LetterToOpen; item: Item }): Contents;
  /** What one letter carries, whosever box it lies in; to a patient, nothing that its author keeps from patients. */
  carried(_: { letter: LetterToOpen; patient: boolean; language: Language }): { item: Item; line: Pick<DocumentLine, "typeLabel" | "title" | "at" | "author">; about: { name: string; birthDate: string } | null }[];
  /** Documents that were never looked into for results and entries, newest first. */
  unread(_: { limit: number }): { letter: Kept; items: Item[] }[];
  look(_: { letter: LetterToOpen; items: Item[] }): null;
  trends(_: { language: Language }): Trend[];
  profile(_: { language: Language }): ProfileEntry[];
  profileForProfessional(_: { language: Language }): ProfileEntry[];
  /** The letters that hold an own entry, and every id by which its fact is told. */
  entry(_: { id: string; language: Language }): { letters: string[]; ids: string[] };
  /** A document that may go to a professional, else null. `alone`: its letter carries nothing else, and may go as it came. */
  sendable(_: { id: string; language: Language }): { known: Known; alone: boolean } | null;
  /** Letters sent from here that ask for something about a document, newest first. */
  asked(_: { decision: string; id: string }): Kept[];
  /** Who sent what pharmacies send. */
  pharmacies(_: null): Person[];
  beginExport(_: null): null;
  exportLetter(_: ExportLetter & { language: Language }): null;
  endExport(_: { language: Language; title: string; made: string; calendar: string; bundle: string; left: number }): Blob;
  types(_: { language: Language }): { code: string; label: string }[];
}

export type RecordOperation = keyof RecordOperations;
export type RecordGiven<K extends RecordOperation> = Parameters<RecordOperations[K]>[0];
export type RecordMade<K extends RecordOperation> = ReturnType<RecordOperations[K]>;

export interface RecordQuestion {
  ask: RecordOperation;
  given: unknown;
  holder: Holder | null; // whose record it is
}

export type RecordAnswer = unknown;

// ---------------------------------------------------------------------------------------------- what is shown

export type PlainBody = { form: "sections"; sections: Section[] } | { form: "pdf" | "image"; file: number } | { form: "text"; text: string } | { form: "none" };

/** One document opened. `parts` are its files; a body may be one of them, by its place. */
export interface Contents {
  header: Header | null;
  body: PlainBody;
  results: Result[];
  entries: ClinicalEntry[];
  parts: { name: string; type: string; size: number; role: RecordFile["role"]; data: ArrayBuffer }[];
}

/** All that is known of a document without opening it. */
export interface Known {
  line: DocumentLine;
  item: Item | null; // null: locked
  letter: Kept | null; // that it is opened from
  ways: Kept[];
  history: DocumentLine[];
  tombstone: DocumentView["tombstone"];
  flags: string[];
  sharedWith: DocumentView["sharedWith"];
  ids: string[]; // of every version: a decision names them all
}

export interface ExportLetter {
  facts: LetterFacts;
  letter: LetterToOpen;
}
