// A FHIR R4 document (Bundle of type "document"), read into the values of a CDA document: the same as
// `mail_server/payloads/record/fhir.py`, held to one answer by tests/webmail/vectors/cda/.
import { utf8 } from "../../lib/bytes.ts";
import type { Author, Block, Code, Document, Header, Section, Traits } from "./cda_model.ts";
import { CONFIDENTIALITY, PRESCRIPTION } from "./cda_names.ts";
import { Narrator } from "./cda_narrative.ts";
import { tidy } from "./cda_times.ts";
import { entriesOf, Resources, resultsOf } from "./fhir_entries.ts";
import { codeOf, nameOf, Node, systemOf } from "./fhir_values.ts";
import { INS_MISMATCH, RecordRefused } from "./refusal.ts";
import { MARKS, parse } from "./xml.ts";

export const LIMIT = 32 * 1024 * 1024; // octets
export const DEPTH = 20; // of sections
const MANY = 50;
const NOTHING: Code = { code: "", system: "", display: "" };

/** The document in these octets. Raises RecordRefused, nothing else. */
export function readFhir(data: Uint8Array): Document {
  return documentOf(parsed(data));
}

/** Codes of confidentiality wherever a document bears them: `meta.security` of the Bundle and of whatever is in it,
 *  `securityLabel` of a DocumentReference (FHIR R4 §6.1.2). */
export function labelsOf(bundle: Node): string[] {
  const labels = [bundle, ...new Resources(bundle).all].flatMap((bearer) => [
    ...bearer.at("meta").all("security"),
    ...bearer.all("securityLabel").flatMap((told) => told.all("coding")),
  ]);
  return labels.map((label) => label.text("code")).filter((code) => code !== "");
}

/** The document that a Bundle is. Raises RecordRefused, nothing else. */
export function documentOf(bundle: Node): Document {
  if (bundle.text("resourceType") !== "Bundle" || bundle.text("type") !== "document") throw new RecordRefused("fhir-none");
  const resources = new Resources(bundle);
  const composition = resources.all[0] ?? new Node();
  if (composition.text("resourceType") !== "Composition") throw new RecordRefused("fhir-no-composition");
  if (resources.of("Patient").length > 1) throw new RecordRefused("fhir-two-patients", INS_MISMATCH);
  const groups = new Map<string, string>();
  const narrator = new Narrator(null);
  const sections = composition.all("section").map((one) => sectionOf(one, narrator, resources, groups, 0));
  for (const report of resources.of("DiagnosticReport")) grouped(report.all("result"), nameOf(report.at("code")), resources, groups);
  const results = resultsOf(resources, groups);
  const entries = entriesOf(resources);
  const level = results.length > 0 || entries.length > 0 ? 3 : 2;
  return { header: headerOf(bundle, composition, resources), level, body: null, bodyType: "", sections, results, entries };
}

function marksIn(data: Uint8Array): number {
  let found = 0;
  for (let at = data.indexOf(60); at >= 0; at = data.indexOf(60, at + 1)) found += 1;
  return found;
}

/** The JSON of a document, of whatever shape. Raises RecordRefused. */
export function parsed(data: Uint8Array): Node {
  if (data.length > LIMIT || marksIn(data) > MARKS) throw new RecordRefused("fhir-too-large");
  try {
    return new Node(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)));
  } catch {
    throw new RecordRefused("fhir-malformed");
  }
}

function sectionOf(section: Node, narrator: Narrator, resources: Resources, groups: Map<string, string>, depth: number): Section {
  const title = section.text("title") || nameOf(section.at("code"));
  grouped(section.all("entry"), title, resources, groups);
  const blocks = blocksOf(section.raw("text", "div"), narrator);
  const inner = depth < DEPTH ? section.all("section") : [];
  const sections = inner.map((one) => sectionOf(one, narrator, resources, groups, depth + 1));
  return { code: codeOf(section.at("code"))?.code ?? "", title, blocks, sections };
}

function grouped(references: readonly Node[], title: string, resources: Resources, groups: Map<string, string>): void {
  for (const reference of references) {
    const id = resources.find(reference).text("id");
    if (id !== "" && !groups.has(id)) groups.set(id, title);
  }
}

/** XHTML that is not well formed is left out: the resources still say what they say. */
function blocksOf(div: string, narrator: Narrator): Block[] {
  if (div === "") return [];
  try {
    return narrator.blocks(parse(utf8(div.replaceAll("&nbsp;", "\u00a0"))));
  } catch (refused) {
    if (refused instanceof RecordRefused) return [];
    throw refused;
  }
}

function headerOf(bundle: Node, composition: Node, resources: Resources): Header {
  let patient = resources.find(composition.at("subject"), composition);
  if (patient.text("resourceType") !== "Patient") patient = resources.of("Patient")[0] ?? new Node();
  const legal = composition.all("attester").find((one) => one.text("mode") === "legal");
  const custodian = resources.find(composition.at("custodian"), composition);
  const confidentiality = composition.text("confidentiality");
  return {
    id: identifier(bundle.at("identifier")) || identifier(composition.at("identifier")) || bundle.text("id"),
    setId: identifier(composition.at("identifier")),
    version: /^[0-9]{1,6}$/.test(composition.text("meta", "versionId")) ? Number(composition.text("meta", "versionId")) : 0,
    type: codeOf(composition.at("type")) ?? NOTHING,
    title: composition.text("title") || nameOf(composition.at("type")),
    at: tidy(composition.text("date")),
    confidentiality: confidentiality === "" ? NOTHING : { code: confidentiality, system: CONFIDENTIALITY, display: "" },
    language: composition.text("language") || bundle.text("language"),
    patientIds: patient
      .all("identifier")
      .slice(0, MANY)
      .filter((one) => one.text("value") !== "")
      .map((one) => ({ root: systemOf(one.text("system")), extension: one.text("value") })),
    traits: traitsOf(patient),
    authors: composition.all("author").slice(0, MANY).map((one) => authorOf(one, composition, resources)),
    custodian: custodian.text("name") || composition.text("custodian", "display"),
    custodianId: custodian.text("identifier", "value"),
    legalAuthenticator: legal === undefined ? null : authorOf(legal.at("party"), composition, resources),
    serviceStart: tidy(composition.text("event", "period", "start")),
    serviceStop: tidy(composition.text("event", "period", "end")),
    setting: null,
    facility: null,
    replaces: replaced(composition),
    templates: composition.at("meta").texts("profile").slice(0, MANY),
    prescription: resources.of("MedicationRequest").find((one) => systemOf(one.text("groupIdentifier", "system")) === PRESCRIPTION)?.text("groupIdentifier", "value") ?? "",
  };
}

/** `urn:oid:1.2.3` is 1.2.3; a value in a system that is an OID is `root^extension`, as CDA has it. */
function identifier(one: Node): string {
  const [value, system] = [one.text("value"), one.text("system")];
  if (value.startsWith("urn:oid:") || value.startsWith("urn:uuid:")) return value.replace(/^urn:oid:/, "");
  return system.startsWith("urn:oid:") && value !== "" ? `${system.slice(8)}^${value}` : value;
}

function traitsOf(patient: Node): Traits {
  const named = patient.all("name");
  const official = named.find((one) => one.text("use") === "official") ?? named[0] ?? new Node();
  const place = extension(patient, "patient-birthPlace").at("valueAddress");
  const gender = patient.text("gender");
  return {
    familyName: official.text("family"),
    givenName: official.texts("given")[0] ?? "",
    birthDate: tidy(patient.text("birthDate")).slice(0, 10),
    sex: gender === "male" ? "M" : gender === "female" ? "F" : "",
    birthPlace: extension(place, "insee-code").text("valueCoding", "code") || place.text("city"),
  };
}

const extension = (node: Node, ending: string): Node => node.all("extension").find((one) => one.text("url").endsWith(ending)) ?? new Node();

function authorOf(reference: Node, composition: Node, resources: Resources): Author {
  let found = resources.find(reference, composition);
  let [role, organisation] = [new Node(), new Node()];
  if (found.text("resourceType") === "PractitionerRole") {
    role = found;
    organisation = resources.find(role.at("organization"), role);
    found = resources.find(role.at("practitioner"), role);
  }
  if (found.text("resourceType") === "Organization") [organisation, found] = [found, new Node()];
  const family = found.text("name", "family") || found.text("deviceName", "name");
  return {
    familyName: family === "" && !organisation.there ? reference.text("display") : family,
    givenName: found.at("name").texts("given")[0] ?? "",
    identifier: found.text("identifier", "value"),
    role: nameOf(role.at("code")),
    specialty: codeOf(role.at("specialty")),
    organisation: organisation.text("name"),
    organisationId: organisation.text("identifier", "value"),
  };
}

function replaced(composition: Node): string[] {
  return composition
    .all("relatesTo")
    .slice(0, MANY)
    .filter((one) => one.text("code") === "replaces")
    .map((one) => (identifier(one.at("targetIdentifier")) || one.text("targetReference", "reference")).replace(/^urn:oid:/, ""))
    .filter((one) => one !== "");
}
