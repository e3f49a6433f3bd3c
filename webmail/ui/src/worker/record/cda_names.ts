// The names that CDA documents of France go by: the same as `mail_server/payloads/record/cda/names.py`.
import type { EntryKind } from "./cda_model.ts";

export const HL7 = "urn:hl7-org:v3";
export const XSI = "http://www.w3.org/2001/XMLSchema-instance";
export const CONFIDENTIALITY = "2.16.840.1.113883.5.25";
export const PROFESSIONAL = "1.2.250.1.71.4.2.1";
export const PRESCRIPTION = "1.2.250.1.215.500.1.1";
export const MEDICATION = "1.3.6.1.4.1.19376.1.5.3.1.4.7";
export const IMMUNIZATION = "1.3.6.1.4.1.19376.1.5.3.1.4.12";
export const DISPENSE = "1.3.6.1.4.1.19376.1.9.1.3.4";
export const ALLERGY = "1.3.6.1.4.1.19376.1.5.3.1.4.6";
export const PROBLEM = "1.3.6.1.4.1.19376.1.5.3.1.4.5";
export const SEVERITY = "1.3.6.1.4.1.19376.1.5.3.1.4.1";
export const FAMILY = "1.3.6.1.4.1.19376.1.5.3.1.4.15";
export const FAMILY_OBSERVATION = "1.3.6.1.4.1.19376.1.5.3.1.4.13.3";
export const SOCIAL = "1.3.6.1.4.1.19376.1.5.3.1.4.13.4";
export const VITAL_SIGNS = "1.3.6.1.4.1.19376.1.5.3.1.4.13.1";
export const VITAL_SIGN = "1.3.6.1.4.1.19376.1.5.3.1.4.13.2";
export const COMMENT = "1.3.6.1.4.1.19376.1.5.3.1.4.2";
export const LAB_DATA = "1.3.6.1.4.1.19376.1.3.1";
export const LAB_SPECIMEN = "1.3.6.1.4.1.19376.1.3.1.2";
export const LAB_BATTERY = "1.3.6.1.4.1.19376.1.3.1.4";
export const LAB_OBSERVATION = "1.3.6.1.4.1.19376.1.3.1.6";

// Sections of a laboratory's report.
export const LAB_SECTIONS: ReadonlySet<string> = new Set([
  "11502-2", "18717-9", "18718-7", "18719-5", "18720-3", "18721-1", "18722-9", "18723-7",
  "18724-5", "18725-2", "18727-8", "18728-6", "18729-4", "18767-4", "18768-2", "26435-8",
  "26436-6", "26437-4", "26438-2", "30954-2",
]);

// Sections of measures.
export const VITAL_SECTIONS: ReadonlySet<string> = new Set([
  "29274-8", "8716-3",
]);

// What the entries of a section are, by its LOINC code.
export const SECTION_KINDS: ReadonlyMap<string, EntryKind> = new Map([
  ["10160-0", "medication"],
  ["10183-2", "medication"],
  ["42346-7", "medication"],
  ["29549-3", "medication"],
  ["57828-6", "medication"],
  ["57833-6", "medication"],
  ["60590-7", "medication"],
  ["60593-1", "medication"],
  ["48765-2", "allergy"],
  ["11450-4", "problem"],
  ["11535-2", "problem"],
  ["46241-6", "problem"],
  ["11348-0", "history"],
  ["11369-6", "vaccination"],
  ["41291-6", "vaccination"],
  ["87273-9", "vaccination"],
  ["47519-4", "procedure"],
  ["10167-5", "procedure"],
  ["29554-3", "procedure"],
  ["46264-8", "device"],
  ["101881-1", "device"],
  ["57080-8", "device"],
  ["10157-6", "family"],
  ["46467-3", "risk"],
  ["29762-2", "risk"],
  ["10161-8", "risk"],
  ["18776-5", "plan"],
  ["56447-6", "plan"],
  ["42348-3", "wish"],
  ["81970-6", "contact"],
]);

// "Nothing known of this kind": SNOMED CT, and the codes of the International Patient Summary.
export const NOTHING_KNOWN: ReadonlySet<string> = new Set([
  "160244002", "160245001", "409137002", "428607008", "716186003", "787480003", "787481004", "no-known-allergies",
  "no-known-devices", "no-known-immunizations", "no-known-medications", "no-known-problems", "no-known-procedures",
]);
