// A CDA document as values: the same as `mail_server/payloads/record/cda/model.py` (names in camelCase, "" and null for
// nothing). Sections are blocks and runs, never markup: components make the elements.
export type Style = "" | "bold" | "italic" | "underline" | "sub" | "sup" | "strike";

export interface Run {
  text: string;
  style: Style;
  lineBreak: boolean;
}

export interface Cell {
  runs: Run[];
  header: boolean;
  columns: number;
  rows: number;
}

export interface Block {
  form: "paragraph" | "list" | "table" | "image";
  runs: Run[];
  ordered: boolean;
  items: Block[][];
  caption: string;
  head: Cell[][];
  rows: Cell[][];
  image: string; // base64
  imageType: string;
}

export interface Section {
  code: string;
  title: string;
  blocks: Block[];
  sections: Section[];
}

export type Flag = "" | "N" | "L" | "H" | "LL" | "HH" | "A" | "AA";

export interface Result {
  code: string;
  name: string;
  value: string;
  number: number | null;
  unit: string;
  low: number | null;
  high: number | null;
  reference: string;
  flag: Flag;
  at: string;
  specimen: string;
  group: string;
  comment: string;
  previous: boolean;
}

export type EntryKind =
  | "medication" | "allergy" | "problem" | "history" | "vaccination" | "procedure"
  | "device" | "family" | "risk" | "plan" | "wish" | "contact";

export interface Code {
  code: string;
  system: string;
  display: string;
}

export interface ClinicalEntry {
  kind: EntryKind;
  name: string;
  code: Code | null;
  status: string;
  start: string;
  end: string;
  detail: string;
  severity: string;
  negated: boolean;
}

export interface PatientId {
  root: string;
  extension: string;
}

export interface Traits {
  familyName: string;
  givenName: string;
  birthDate: string;
  sex: string;
  birthPlace: string;
}

export interface Author {
  familyName: string;
  givenName: string;
  identifier: string;
  role: string;
  specialty: Code | null;
  organisation: string;
  organisationId: string;
}

export interface Header {
  id: string;
  setId: string;
  version: number;
  type: Code;
  title: string;
  at: string;
  confidentiality: Code;
  language: string;
  patientIds: PatientId[];
  traits: Traits;
  authors: Author[];
  custodian: string;
  custodianId: string;
  legalAuthenticator: Author | null;
  serviceStart: string;
  serviceStop: string;
  setting: Code | null;
  facility: Code | null;
  replaces: string[];
  templates: string[];
  prescription: string; // number of a unified electronic prescription
}

export interface Document {
  header: Header;
  level: 1 | 2 | 3;
  body: Uint8Array | null;
  bodyType: string;
  sections: Section[];
  results: Result[];
  entries: ClinicalEntry[];
}
