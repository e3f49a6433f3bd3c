// What the screens of the record may ask, and what they get. Times are ISO 8601 with the precision they came with, or
// milliseconds where a letter's own time is meant (`receivedAt`). Screens know nothing of archives, manifests or MIME.
import type { About } from "./record_holder.ts";
import type { Guard, Person, Refused } from "./contract.ts";
import type { ClinicalEntry, Header, Result, Section } from "../worker/record/cda_model.ts";

/** JDV_J57 classes, as the record shows them; "other": what names none. */
export type Category =
  | "reports" | "syntheses" | "imaging" | "prescriptions" | "dispensations" | "plans"
  | "treatments" | "certificates" | "reimbursements" | "mine" | "management" | "other";

export type DocumentState = "current" | "superseded" | "archived" | "withdrawn";

export interface DocumentLine {
  id: string; // uniqueId
  letter: string; // id of the letter that brought it
  threadId: string;
  form: "document" | "fhir" | "file";
  type: string; // code
  typeLabel: string; // in the language of the page
  category: Category;
  title: string;
  at: string;
  receivedAt: number;
  author: string; // as the document says
  from: Person; // who sent it
  state: DocumentState;
  masked: boolean; // the patient keeps it from professionals
  confidentiality: string[]; // codes beyond N
  unread: boolean;
  own: boolean; // put there by the patient
  guard: Guard;
  locked: boolean; // sealed to a key this page has not
  versions: number; // how many the chain has
  about: About; // whom it is about; "unknown": it does not say, or was not looked into yet
  prescription?: { until: string | null; renewable: boolean }; // when it ends, if it says
}

export interface DocumentFilter {
  category?: Category;
  year?: number;
  words?: string; // in title, author, type
  archived?: boolean; // those put away; else those that are not
  position: number;
  limit: number;
}

export interface DocumentList {
  lines: DocumentLine[];
  total: number;
  categories: { category: Category; count: number }[];
  years: { year: number; count: number }[];
}

/** One file of a document, its octets as they came. */
export interface RecordFile {
  name: string;
  type: string;
  size: number;
  role: "document" | "copy" | "archive" | "other"; // the CDA or file itself, the PDF beside it, the whole archive
  blob(): Promise<Blob>;
}

export type DocumentBody =
  | { form: "sections"; sections: Section[] }
  | { form: "pdf"; file: RecordFile }
  | { form: "image"; file: RecordFile }
  | { form: "text"; text: string }
  | { form: "none" };

/** A document to be shown, with where it came from and what became of it. */
export interface DocumentView {
  line: DocumentLine;
  header: Header | null;
  body: DocumentBody;
  results: Result[];
  entries: ClinicalEntry[];
  files: RecordFile[];
  history: DocumentLine[]; // the other versions, newest first
  sources: { letter: string; threadId: string; from: Person; receivedAt: number }[]; // by each way it came
  tombstone: { at: number; by: Person; reason: string } | null;
  flags: string[]; // words.record.flags[flag]
  sharedWith: { person: Person; at: number }[]; // sent from here
}

/** A document found in one letter, for the view of that letter (professionals too). */
export interface LetterDocument {
  id: string;
  form: "document" | "fhir";
  typeLabel: string;
  title: string;
  at: string;
  author: string;
  about: { name: string; birthDate: string } | null; // whom it is about
  view(): Promise<DocumentView>;
}

export type ProfileArea =
  | "allergies" | "history" | "family" | "treatments" | "measures" | "vaccinations" | "wishes" | "contacts";

export interface ProfileEntry {
  id: string;
  area: ProfileArea;
  name: string;
  detail: string;
  date: string; // of the fact
  end: string; // "": it goes on
  source: "me" | "document"; // who says so
  by: string; // the author of the document, or ""
  document: string | null; // uniqueId it was read in
  writtenAt: number; // when it came here
  masked: boolean;
  measure?: Measure;
  editable: boolean; // own entries
}

export interface Measure {
  kind: MeasureKind;
  values: { name: string; number: number }[]; // two for blood pressure
  unit: string;
}

export type MeasureKind =
  | "weight" | "height" | "bmi" | "temperature" | "blood-pressure" | "heart-rate" | "glucose" | "head" | "waist" | "pain" | "steps";

export interface ProfileDraft {
  area: ProfileArea;
  name: string;
  detail: string;
  date: string;
  end?: string;
  measure?: Measure;
}

/** One examination over time: same code and unit. */
export interface Trend {
  code: string;
  name: string;
  unit: string;
  low: number | null;
  high: number | null;
  points: { at: string; number: number; flag: Result["flag"]; document: string }[];
}

export interface RecordWork {
  /** Reads what this device has not read yet; then lists are complete. */
  ready(progress: (done: number, total: number) => void): Promise<void>;
  documents(filter: DocumentFilter): Promise<DocumentList>;
  document(id: string): Promise<DocumentView>;
  /** What the letter carries; [] when it is an ordinary one. */
  inLetter(letter: string): Promise<LetterDocument[]>;
  trends(): Promise<Trend[]>;

  /** Puts a file into the record: a letter to oneself. Raises Refused: "file-type", "file-too-large", "over-quota". */
  add(given: { file: File; type: string; title: string; date: string }): Promise<string>;
  remove(id: string): Promise<void>; // own documents
  mask(ids: string[], masked: boolean): Promise<void>;
  archive(ids: string[], archived: boolean): Promise<void>;
  /** Sends documents to one professional, with a few words. Masked ones are never among them. */
  share(given: { ids: string[]; to: string; subject: string; text: string }): Promise<{ undo(): Promise<boolean>; until: number }>;
  /** Asks its author to renew a prescription. */
  askRenewal(id: string, text: string): Promise<void>;
  renewal(id: string): Promise<{ askedAt: number; until: number } | null>; // asked, and not answered yet
  pharmacies(): Promise<Person[]>; // who may be sent a prescription

  profile(): Promise<ProfileEntry[]>;
  addEntry(draft: ProfileDraft): Promise<void>;
  changeEntry(id: string, draft: ProfileDraft): Promise<void>;
  removeEntry(id: string): Promise<void>;
  maskEntry(id: string, masked: boolean): Promise<void>;
  /** The profile as a PDF or a document for a professional: nothing masked is in it, nor a gap. */
  summaryFor(to: string, text: string): Promise<{ undo(): Promise<boolean>; until: number }>;

  /** Everything, in one archive with a reader that needs no network. */
  /** `unopened`: those letters too whose opening is told to senders who asked for it. */
  exportAll(progress: (done: number, total: number) => void, unopened: boolean): Promise<Blob>;
  types(): { code: string; label: string }[]; // what a patient may put in (DOCPAT01…, EXPPAT_…)
  onChange(listener: () => void): () => void;
}

export type { ClinicalEntry, Header, Result, Section };
export type RecordRefusal = Refused;
