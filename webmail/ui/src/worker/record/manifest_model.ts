// The manifest of a letter's structured items: the same as `mail_server/payloads/manifest.py`, whose shared examples are
// in `tests/webmail/vectors/manifests.json`.
export const MANIFEST_TYPE = "application/vnd.vaguemestre.manifest+json";

export interface Item {
  kind: string; // "document", "fhir", "appointment", "withdrawal", "file", "entry", "decision", or one of a later version
  id: string;
  type: string;
  class: string;
  format: string;
  title: string;
  at: string;
  made: string;
  author: string;
  confidentiality: string[];
  facility: string;
  setting: string;
  hash: string; // SHA-256, hex
  size: number;
  part: string; // section number
  entry: string; // path in the archive
  set: string;
  version: number;
  replaces: string[];
  withdraws: string[];
  targets: string[];
  decision: string;
  method: string;
  sequence: number;
  stamp: string;
  recurrence: string;
  ics: string;
  resource: string;
  flags: string[];
}

export interface Manifest {
  items: Item[];
  patient: string;
  flags: string[];
  cut: number;
}
