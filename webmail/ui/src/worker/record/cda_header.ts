// The header of a CDA document: the same as `mail_server/payloads/record/cda/header.py`.
import type { Author, ClinicalEntry, Code, Header, PatientId, Traits } from "./cda_model.ts";
import { PRESCRIPTION, PROFESSIONAL } from "./cda_names.ts";
import { codeOf, cut, listed, type Narrative, period, plain } from "./cda_values.ts";
import { INS_MISMATCH, RecordRefused } from "./refusal.ts";
import { ANY, type XmlElement } from "./xml.ts";

const MANY = 50; // of anything that a header repeats
const NOTHING: Code = { code: "", system: "", display: "" };
const CONTACTS: Readonly<Record<string, string>> = { ECON: "Personne à prévenir", NOK: "Proche", CAREGIVER: "Aidant", GUARD: "Représentant légal" };

export function headerOf(root: XmlElement, narrative: Narrative): Header {
  const role = onePatient(root);
  const kind = codeOf(root.child("code"), narrative) ?? NOTHING;
  const [start, stop] = period(root.child("documentationOf", "serviceEvent")?.child("effectiveTime") ?? null);
  const custodian = root.child("custodian", "assignedCustodian", "representedCustodianOrganization");
  const authenticator = root.child("legalAuthenticator", "assignedEntity");
  return {
    id: identifier(root.child("id")),
    setId: identifier(root.child("setId")),
    version: versionOf(root.child("versionNumber")),
    type: kind,
    title: textOf(root.child("title")) || kind.display,
    at: timeOf(root.child("effectiveTime")),
    confidentiality: codeOf(root.child("confidentialityCode"), narrative) ?? NOTHING,
    language: codeText(root.child("languageCode")),
    patientIds: role === null ? [] : patientIds(role),
    traits: traitsOf(role?.child("patient") ?? null),
    authors: root.elements("author").slice(0, MANY).map((one) => authorOf(one, narrative)),
    custodian: textOf(custodian?.child("name") ?? null),
    custodianId: extensionOf(custodian?.child("id") ?? null),
    legalAuthenticator: authenticator === null ? null : assigned(authenticator, "", narrative),
    serviceStart: start,
    serviceStop: stop,
    setting: settingOf(root, narrative),
    facility: codeOf(root.child("componentOf", "encompassingEncounter", "location", "healthCareFacility", "code"), narrative),
    replaces: replaced(root),
    templates: root.elements("templateId").slice(0, MANY).map(identifier).filter((one) => one !== ""),
    prescription: prescriptionOf(root),
  };
}

/** Codes of confidentiality wherever a document bears them: beside its own, in translations, on a section. */
export function marksOf(root: XmlElement): string[] {
  const found: string[] = [];
  for (const told of root.descendants("confidentialityCode", ANY)) {
    for (const one of [told, ...told.descendants(ANY, ANY)]) if (one.get("code") !== "") found.push(cut(one.get("code")));
  }
  return found;
}

/** `root`, or `root^extension`. */
export function identifier(element: XmlElement | null): string {
  if (element === null) return "";
  const [root, extension] = [cut(element.get("root")), cut(element.get("extension"))];
  return root !== "" && extension !== "" ? `${root}^${extension}` : root || extension;
}

/** Whom to call: participants of the header. */
export function contactsOf(root: XmlElement, narrative: Narrative): ClinicalEntry[] {
  const found: ClinicalEntry[] = [];
  for (const one of root.elements("participant").slice(0, MANY)) {
    const entity = one.child("associatedEntity");
    const kind = entity?.get("classCode") ?? "";
    const label = Object.hasOwn(CONTACTS, kind) ? (CONTACTS[kind] ?? "") : "";
    if (entity === null || label === "") continue;
    const [family, given] = person(entity.child("associatedPerson"));
    const name = `${given} ${family}`.replace(/^ +| +$/g, "");
    const phone = cut(entity.child("telecom")?.get("value") ?? "").replace(/^tel:/, "");
    const detail = listed([narrative.nameOf(entity.child("code")) || label, phone]);
    if (name !== "") found.push({ kind: "contact", name, code: null, status: "", start: "", end: "", detail, severity: "", negated: false });
  }
  return found;
}

function onePatient(root: XmlElement): XmlElement | null {
  const roles = root.elements("recordTarget").flatMap((target) => target.elements("patientRole"));
  if (roles.length > 1) throw new RecordRefused("cda-two-patients", INS_MISMATCH);
  return roles[0] ?? null;
}

const patientIds = (role: XmlElement): PatientId[] =>
  role
    .elements("id")
    .slice(0, MANY)
    .filter((one) => one.get("extension") !== "")
    .map((one) => ({ root: cut(one.get("root")), extension: cut(one.get("extension")) }));

function traitsOf(patient: XmlElement | null): Traits {
  const name = patient?.child("name") ?? null;
  const place = patient?.child("birthplace", "place", "addr") ?? null;
  const sex = codeText(patient?.child("administrativeGenderCode") ?? null).toUpperCase();
  return {
    familyName: part(name, "family"),
    givenName: part(name, "given"),
    birthDate: timeOf(patient?.child("birthTime") ?? null).slice(0, 10),
    sex: sex === "M" || sex === "F" ? sex : "",
    birthPlace: textOf(place?.child("county") ?? place?.child("city") ?? null),
  };
}

/** The name at birth (`BR`) before one without a qualifier, before any other. */
function part(name: XmlElement | null, tag: string): string {
  const found = name?.elements(tag) ?? [];
  for (const wanted of ["BR", ""])
    for (const one of found) if (one.get("qualifier").split(" ").includes(wanted) && textOf(one) !== "") return textOf(one);
  return textOf(found[0] ?? null);
}

function authorOf(author: XmlElement, narrative: Narrative): Author {
  const entity = author.child("assignedAuthor");
  const role = narrative.nameOf(author.child("functionCode"));
  if (entity !== null) return assigned(entity, role, narrative);
  return { familyName: "", givenName: "", identifier: "", role, specialty: null, organisation: "", organisationId: "" };
}

function assigned(entity: XmlElement, role: string, narrative: Narrative): Author {
  let [familyName, givenName] = person(entity.child("assignedPerson"));
  const device = entity.child("assignedAuthoringDevice");
  if (device !== null && familyName === "")
    familyName = textOf(device.child("softwareName")) || textOf(device.child("manufacturerModelName"));
  const organisation = entity.child("representedOrganization");
  const ids = entity.elements("id");
  const national = ids.find((one) => one.get("root") === PROFESSIONAL);
  return {
    familyName,
    givenName,
    identifier: extensionOf(national ?? ids[0] ?? null),
    role,
    specialty: codeOf(entity.child("code"), narrative),
    organisation: textOf(organisation?.child("name") ?? null),
    organisationId: extensionOf(organisation?.child("id") ?? null),
  };
}

function person(one: XmlElement | null): [family: string, given: string] {
  const name = one?.child("name") ?? null;
  if (name === null) return ["", ""];
  const [family, given] = [part(name, "family"), part(name, "given")];
  return family !== "" || given !== "" ? [family, given] : [textOf(name), ""];
}

function settingOf(root: XmlElement, narrative: Narrative): Code | null {
  for (const documented of root.elements("documentationOf").slice(0, MANY)) {
    const coded = documented.child("serviceEvent", "performer", "assignedEntity", "representedOrganization", "standardIndustryClassCode");
    if (coded !== null) return codeOf(coded, narrative);
  }
  return null;
}

const replaced = (root: XmlElement): string[] =>
  root
    .elements("relatedDocument")
    .slice(0, MANY)
    .filter((one) => one.get("typeCode") === "RPLC")
    .map((one) => identifier(one.child("parentDocument", "id")))
    .filter((one) => one !== "");

/** Of the event documented, of the document itself (biology), or of the prescription that was dispensed. */
function prescriptionOf(root: XmlElement): string {
  const held = [
    ...root.elements("documentationOf").slice(0, MANY).map((one) => one.child("serviceEvent", "id")),
    root.child("id"),
    ...root.elements("inFulfillmentOf").slice(0, MANY).map((one) => one.child("order", "id")),
  ];
  const number = held.find((one) => one?.get("root") === PRESCRIPTION);
  return number === undefined || number === null ? "" : cut(number.get("extension"));
}

function versionOf(element: XmlElement | null): number {
  const told = element?.get("value") ?? "";
  return /^[0-9]{1,6}$/.test(told) ? Number(told) : 0;
}

const extensionOf = (element: XmlElement | null): string =>
  element === null ? "" : cut(element.get("extension")) || cut(element.get("root"));
const timeOf = (element: XmlElement | null): string => period(element)[0];
const codeText = (element: XmlElement | null): string => (element === null ? "" : cut(element.get("code")));
const textOf = (element: XmlElement | null): string => (element === null ? "" : plain(element));
