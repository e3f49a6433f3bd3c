// METADATA.XML read: the twin of `mail_server/payloads/record/metadata.py` and `ebrim.py` (IHE ITI TF-3 §4.2).
import type { Author, Code, PatientId, Traits } from "./cda_model.ts";
import { RecordRefused } from "./refusal.ts";
import type { DocumentEntry, SubmissionSet } from "./xds_model.ts";
import { ANY, parse, type XmlElement } from "./xml.ts";

export const ENTRIES = 200;

const AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";
const CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
const CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f";
const FACILITY = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1";
const FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
const SETTING = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead";
const TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
const ENTRY_PATIENT = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427";
const ENTRY_UNIQUE = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";
const SUBMISSION = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
const SUBMISSION_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d";
const SUBMISSION_CONTENT = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500";
const SUBMISSION_PATIENT = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446";
const SUBMISSION_SOURCE = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
const SUBMISSION_UNIQUE = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8";
const APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
const OBJECTS = new Set(["ExtrinsicObject", "RegistryPackage", "Association", "Classification"]);

export interface Metadata {
  submission: SubmissionSet;
  entries: DocumentEntry[];
}

/** The submission set and its documents, in the order of the file. */
export function readMetadata(data: Uint8Array): Metadata {
  const root = parse(data);
  const objects = [root, ...root.descendants(ANY, ANY)].filter((one) => OBJECTS.has(one.name));
  const found = objects.filter((one) => one.name === "ExtrinsicObject");
  const packages = objects.filter((one) => one.name === "RegistryPackage");
  if (found.length === 0 && packages.length === 0) throw new RecordRefused("xdm-metadata");
  if (found.length > ENTRIES) throw new RecordRefused("xdm-too-many");
  const replaced = new Map<string, string[]>();
  for (const link of objects) {
    const type = link.get("associationType");
    if (link.name !== "Association" || !(type.endsWith(":RPLC") || type === "RPLC")) continue;
    put(replaced, link.get("sourceObject"), link.get("targetObject"));
  }
  const marked = new Set(
    objects
      .filter((one) => one.name === "Classification" && one.get("classificationNode") === SUBMISSION)
      .map((one) => one.get("classifiedObject")),
  );
  const apart = apartOf(objects, found);
  return { submission: submissionOf(packages, marked), entries: found.map((one) => entryOf(one, replaced, apart.get(one.get("id")) ?? [])) };
}

/** Codes of confidentiality that are said of a document from outside its own element, as ebRIM allows too. */
function apartOf(objects: readonly XmlElement[], found: readonly XmlElement[]): Map<string, Code[]> {
  const inside = new Set(found.flatMap((one) => classifications(one, CONFIDENTIALITY)));
  const apart = new Map<string, Code[]>();
  for (const one of objects) {
    const scheme = one.name === "Classification" ? one.get("classificationScheme").toLowerCase() : "";
    if (scheme === CONFIDENTIALITY && one.get("classifiedObject") !== "" && !inside.has(one)) put(apart, one.get("classifiedObject"), classified(one));
  }
  return apart;
}

function put<T>(all: Map<string, T[]>, name: string, value: T): void {
  const found = all.get(name);
  if (found === undefined) all.set(name, [value]);
  else found.push(value);
}

/** The package that is the submission set: classified so, or bearing its identifier; a folder is neither. */
function submissionOf(packages: readonly XmlElement[], marked: ReadonlySet<string>): SubmissionSet {
  const set = packages.find((one) => identifier(one, SUBMISSION_UNIQUE) !== "" || marked.has(one.get("id")));
  const none: Code = { code: "", system: "", display: "" };
  if (set === undefined)
    return { uniqueId: "", sourceId: "", patientId: null, submissionTime: "", contentType: none, title: "", author: null };
  return {
    uniqueId: identifier(set, SUBMISSION_UNIQUE),
    sourceId: identifier(set, SUBMISSION_SOURCE),
    patientId: patientOf(identifier(set, SUBMISSION_PATIENT)),
    submissionTime: slot(set, "submissionTime"),
    contentType: codes(set, SUBMISSION_CONTENT)[0] ?? none,
    title: nameOf(set),
    author: authors(set, SUBMISSION_AUTHOR)[0] ?? null,
  };
}

function entryOf(found: XmlElement, replaced: ReadonlyMap<string, string[]>, apart: readonly Code[]): DocumentEntry {
  const legal = slot(found, "legalAuthenticator");
  const size = slot(found, "size");
  return {
    entryUuid: found.get("id"),
    uniqueId: identifier(found, ENTRY_UNIQUE),
    uri: uriOf(found),
    path: "",
    mimeType: trim(found.get("mimeType")).toLowerCase(),
    hash: slot(found, "hash").toLowerCase(),
    size: /^[0-9]{1,15}$/.test(size) ? Number(size) : size === "" ? 0 : -1,
    title: nameOf(found),
    patientId: patientOf(identifier(found, ENTRY_PATIENT)),
    sourcePatientId: patientOf(slot(found, "sourcePatientId")),
    traits: traitsOf(slots(found, "sourcePatientInfo")),
    type: code(found, TYPE),
    class: code(found, CLASS),
    format: code(found, FORMAT),
    facility: code(found, FACILITY),
    setting: code(found, SETTING),
    confidentiality: [...codes(found, CONFIDENTIALITY), ...apart],
    authors: authors(found, AUTHOR),
    legalAuthenticator: legal === "" ? null : { ...personOf(legal), role: "", specialty: null, organisation: "", organisationId: "" },
    language: slot(found, "languageCode"),
    creationTime: slot(found, "creationTime"),
    serviceStart: slot(found, "serviceStartTime"),
    serviceStop: slot(found, "serviceStopTime"),
    logicalId: found.get("lid"),
    status: found.get("status") || APPROVED,
    replaces: (replaced.get(found.get("id")) ?? []).filter((one) => one !== ""),
  };
}

// Space as Python's `strip` knows it; JavaScript's `trim` takes U+FEFF off, and leaves others.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const AROUND = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const trim = (text: string): string => text.replace(AROUND, "");

function slots(found: XmlElement, name: string): string[] {
  return found
    .elements("Slot", ANY)
    .filter((one) => one.get("name") === name)
    .flatMap((one) => [...one.descendants("Value", ANY)].map((value) => trim(value.text())));
}

const slot = (found: XmlElement, name: string): string => slots(found, name)[0] ?? "";

/** A long URI comes in pieces, each with its number: `1|http…`, `2|…` (ITI TF-3 §4.2.3.2.27). */
function uriOf(found: XmlElement): string {
  const values = slots(found, "URI");
  if (values.length > 1 && values.every((value) => /^[1-9]\|/.test(value))) return values.sort().map((value) => value.slice(2)).join("");
  return values[0] ?? "";
}

function nameOf(found: XmlElement): string {
  for (const name of found.elements("Name", ANY)) {
    const text = name.elements("LocalizedString", ANY)[0];
    if (text !== undefined) return trim(text.get("value"));
  }
  return "";
}

function identifier(found: XmlElement, scheme: string): string {
  const one = found.elements("ExternalIdentifier", ANY).find((it) => it.get("identificationScheme").toLowerCase() === scheme);
  return trim(one?.get("value") ?? "");
}

const classifications = (found: XmlElement, scheme: string): XmlElement[] =>
  found.elements("Classification", ANY).filter((one) => one.get("classificationScheme").toLowerCase() === scheme);

const codes = (found: XmlElement, scheme: string): Code[] =>
  classifications(found, scheme).map(classified);

const classified = (one: XmlElement): Code => ({ code: trim(one.get("nodeRepresentation")), system: slot(one, "codingScheme"), display: nameOf(one) });

const code = (found: XmlElement, scheme: string): Code => codes(found, scheme)[0] ?? { code: "", system: "", display: "" };

function authors(found: XmlElement, scheme: string): Author[] {
  return classifications(found, scheme).map((one) => {
    const institution = slot(one, "authorInstitution");
    return {
      ...personOf(slot(one, "authorPerson")),
      role: unescaped(slot(one, "authorRole")),
      specialty: specialtyOf(slot(one, "authorSpecialty")),
      organisation: unescaped(part(institution, 1)),
      organisationId: unescaped(part(institution, 10)),
    };
  });
}

// HL7 v2 inside slots (ITI TF-3 §4.2.3.1.7; HL7 v2 §2.7.1)
const ESCAPES: ReadonlyMap<string, string> = new Map(Object.entries({ F: "|", S: "^", R: "~", T: "&", E: "\\" }));

function unescaped(text: string): string {
  const pieces = text.split("\\");
  let made = pieces[0] ?? "";
  for (let at = 1; at < pieces.length; ) {
    const sign = ESCAPES.get(pieces[at] ?? "");
    if (at + 1 < pieces.length && sign !== undefined) {
      made += sign + (pieces[at + 1] ?? "");
      at += 2;
    } else {
      made += `\\${pieces[at] ?? ""}`;
      at += 1;
    }
  }
  return made;
}

/** The nth component (from 1); "" when there are fewer. */
const part = (text: string, number: number, sign = "^"): string => trim(text.split(sign)[number - 1] ?? "");

/** CX: `matricule^^^&oid&ISO^NH`. */
function patientOf(text: string): PatientId | null {
  const extension = unescaped(part(text, 1));
  return extension === "" ? null : { root: unescaped(part(part(text, 4), 2, "&")), extension };
}

/** XCN: identifier, family name, given name. */
const personOf = (text: string): Pick<Author, "familyName" | "givenName" | "identifier"> => ({
  identifier: unescaped(part(text, 1)),
  familyName: unescaped(part(text, 2)),
  givenName: unescaped(part(text, 3)),
});

/** `code^words^oid`; some write words alone. */
function specialtyOf(text: string): Code | null {
  if (text === "") return null;
  if (!text.includes("^")) return { code: "", system: "", display: unescaped(text) };
  return { code: unescaped(part(text, 1)), system: unescaped(part(text, 3)), display: unescaped(part(text, 2)) };
}

/** sourcePatientInfo: one PID field in each value. Of several names, the one at birth (type L). */
function traitsOf(values: readonly string[]): Traits {
  const told = (field: string): string[] => values.filter((value) => value.startsWith(`${field}|`)).map((value) => value.slice(value.indexOf("|") + 1));
  const names = told("PID-5").flatMap((value) => value.split("~"));
  const name = names.find((one) => part(one, 7) === "L") ?? names[0] ?? "";
  const birth = told("PID-7").map((value) => trim(value).slice(0, 8)).filter((digits) => /^[0-9]{8}$/.test(digits)).at(-1) ?? "";
  const sex = trim(told("PID-8").at(-1) ?? "").toUpperCase().slice(0, 1);
  const places = told("PID-11").map((value) => value.split("~").filter((one) => part(one, 7) === "BDL").map((one) => part(one, 9))[0]);
  return {
    familyName: unescaped(part(name, 1)),
    givenName: unescaped(part(name, 2)),
    birthDate: birth === "" ? "" : `${birth.slice(0, 4)}-${birth.slice(4, 6)}-${birth.slice(6)}`,
    sex: sex === "M" || sex === "F" ? sex : "",
    birthPlace: places.filter((place) => place !== undefined).at(-1) ?? "",
  };
}
