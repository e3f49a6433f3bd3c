// What an XDS submission says of its documents: the same as `mail_server/payloads/record/model.py` (names in camelCase,
// "" and null for nothing). Times are HL7 timestamps as they came.
import type { Author, Code, PatientId, Traits } from "./cda_model.ts";

export interface DocumentEntry {
  entryUuid: string;
  uniqueId: string;
  uri: string; // key of `documents`
  path: string; // where it lies in the archive
  mimeType: string;
  hash: string; // SHA-1, lower-case hex
  size: number;
  title: string;
  patientId: PatientId | null;
  sourcePatientId: PatientId | null;
  traits: Traits;
  type: Code;
  class: Code;
  format: Code;
  facility: Code;
  setting: Code;
  confidentiality: Code[];
  authors: Author[];
  legalAuthenticator: Author | null;
  language: string;
  creationTime: string;
  serviceStart: string;
  serviceStop: string;
  logicalId: string;
  status: string;
  replaces: string[]; // entryUUIDs
}

export interface SubmissionSet {
  uniqueId: string;
  sourceId: string;
  patientId: PatientId | null;
  submissionTime: string;
  contentType: Code;
  title: string;
  author: Author | null;
}

export interface XdmArchive {
  submission: SubmissionSet;
  entries: DocumentEntry[];
  documents: Map<string, Uint8Array>; // by `uri`
  beside: Map<string, Uint8Array>; // other files, by path
}
