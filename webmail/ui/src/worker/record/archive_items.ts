// Documents of an IHE_XDM archive, and FHIR documents, as items of a letter's manifest: the twin of `mail_server/payloads/documents.py`.
import type { Author, Header, PatientId, Traits } from "./cda_model.ts";
import { headerOf, marksOf } from "./cda_header.ts";
import { HL7 } from "./cda_names.ts";
import { isoOf } from "./cda_times.ts";
import { Narrative } from "./cda_values.ts";
import { documentOf, labelsOf, parsed } from "./fhir.ts";
import { hashOf, newItem } from "./manifest.ts";
import type { Item } from "./manifest_model.ts";
import { INS_MISMATCH, RecordRefused } from "./refusal.ts";
import { checkPatient, readXdm } from "./xdm.ts";
import type { DocumentEntry } from "./xds_model.ts";
import { parse } from "./xml.ts";

export interface Made {
  item: Item;
  patients: PatientId[]; // whom it is about, national identifiers first
  cda: boolean; // by what its archive says of it: X-MSS-* speak of these
  identified: boolean; // by a matricule and four traits, as X-MSS-INS promises
}

export const INS_NIR = "1.2.250.1.213.1.4.8";
const CDA = new Set(["text/xml", "application/xml", "application/hl7-v3+xml", "application/cda+xml", ""]);
const DAMAGED = new Set(["xml-malformed", "xml-encoding"]); // not hostile: shown as the file it is
const KEPT_BACK = ["INVISIBLE_PATIENT", "MASQUE_PS", "INVISIBLE_REPRESENTANTS_LEGAUX"];
const CODES = 20; // of one item, in a manifest
const MARKS = 500_000; // "<" of all documents of a letter: what one of them may hold, twice

/** What reading one letter may still cost: many files that are each within bounds may be too much together. */
export class Allowance {
  private marks = MARKS;

  take(document: Uint8Array): void {
    for (let at = document.indexOf(60); at >= 0; at = document.indexOf(60, at + 1)) this.marks -= 1;
    if (this.marks < 0) throw new RecordRefused("xml-too-many");
  }
}

/** Of one archive. Raises RecordRefused. */
export async function archiveDocuments(content: Uint8Array, section: string, allowance = new Allowance()): Promise<Made[]> {
  const archive = await readXdm(content);
  const headers = new Map<string, Header>();
  const marked = new Map<string, string[]>(); // codes that a CDA bears, wherever in it
  const unread = new Set<string>();
  for (const entry of archive.entries) {
    const { uri } = entry;
    if (!isCda(entry)) continue;
    allowance.take(archive.documents.get(uri)!);
    const found = headerIn(archive.documents.get(uri)!);
    if (found === null) unread.add(uri);
    else {
      headers.set(uri, found.header);
      marked.set(uri, found.marks);
    }
  }
  checkPatient(archive, new Map([...headers].map(([uri, header]) => [uri, header.patientIds])));
  const ids = new Map(archive.entries.map((one) => [one.entryUuid, one.uniqueId]));
  const found: Made[] = [];
  for (const entry of archive.entries) {
    const patient = entry.patientId ?? archive.submission.patientId;
    const item = await documentItem(entry, archive.documents.get(entry.uri)!, headers.get(entry.uri) ?? null, section, ids);
    if (unread.has(entry.uri)) item.flags.push("cda-unreadable");
    item.confidentiality = codesOf([...item.confidentiality, ...(marked.get(entry.uri) ?? [])]);
    const cda = isCda(entry);
    found.push({ item, patients: patient === null ? [] : [patient], cda, identified: identified(patient, entry.traits) });
  }
  return found;
}

const isCda = ({ mimeType }: DocumentEntry): boolean => CDA.has(mimeType.replace(/;.*$/s, "").trim().toLowerCase());

/** Each once; those that keep a document from somebody as they are known, and first when there are so many that others
 *  before them would have them cut off. */
function codesOf(told: readonly string[]): string[] {
  const plain = told.filter((code) => code !== "").map((code) => (KEPT_BACK.includes(code.trim().toUpperCase()) ? code.trim().toUpperCase() : code));
  const once = [...new Set(plain)];
  return once.length <= CODES ? once : [...once.filter((code) => KEPT_BACK.includes(code)), ...once.filter((code) => !KEPT_BACK.includes(code))];
}

/** What a CDA says of itself, and every code it bears; null when it is none, or damaged. Raises RecordRefused. */
function headerIn(data: Uint8Array): { header: Header; marks: string[] } | null {
  try {
    const root = parse(data);
    const clinical = root.name === "ClinicalDocument" && (root.ns === HL7 || root.ns === "");
    return clinical ? { header: headerOf(root, new Narrative(root)), marks: marksOf(root) } : null;
  } catch (refused) {
    if (refused instanceof RecordRefused && DAMAGED.has(refused.slug)) return null;
    throw refused;
  }
}

async function documentItem(entry: DocumentEntry, content: Uint8Array, header: Header | null, section: string, ids: ReadonlyMap<string, string>): Promise<Item> {
  const replaces = entry.replaces.map((old) => ids.get(old) ?? "").filter((one) => one !== "");
  for (const old of header?.replaces ?? []) if (!replaces.includes(old)) replaces.push(old);
  const confidentiality = entry.confidentiality.map((one) => one.code);
  const own = header?.confidentiality.code ?? "";
  if (own !== "" && !confidentiality.includes(own)) confidentiality.push(own);
  return newItem({
    kind: "document",
    id: entry.uniqueId || (header?.id ?? ""),
    type: entry.type.code || (header?.type.code ?? ""),
    class: entry.class.code,
    format: entry.format.code,
    title: entry.title || (header?.title ?? "") || entry.type.display,
    at: isoOf(entry.serviceStart) || (header?.serviceStart ?? "") || isoOf(entry.creationTime),
    made: isoOf(entry.creationTime) || (header?.at ?? ""),
    author: nameOf(entry.authors.length > 0 ? entry.authors : (header?.authors ?? [])),
    confidentiality,
    facility: entry.facility.code,
    setting: entry.setting.code,
    hash: await hashOf(content),
    size: content.length,
    part: section,
    entry: entry.path,
    set: header?.setId ?? "",
    version: header?.version ?? 0,
    replaces,
    flags: header !== null && entry.uniqueId !== "" && header.id !== entry.uniqueId ? ["id-mismatch"] : [],
  });
}

/** Of a FHIR part; null when it is no document, and stays an attachment. Raises RecordRefused for two patients. */
export async function fhirDocument(content: Uint8Array, section: string): Promise<Made | null> {
  let header: Header;
  let labels: string[];
  try {
    const bundle = parsed(content);
    ({ header } = documentOf(bundle));
    labels = labelsOf(bundle);
  } catch (refused) {
    if (!(refused instanceof RecordRefused) || refused.code === INS_MISMATCH) throw refused;
    return null;
  }
  const item = newItem({
    kind: "fhir",
    id: header.id,
    type: header.type.code,
    title: header.title || header.type.display,
    at: header.serviceStart || header.at,
    made: header.at,
    author: nameOf(header.authors),
    confidentiality: codesOf([header.confidentiality.code, ...labels]),
    hash: await hashOf(content),
    size: content.length,
    part: section,
    set: header.setId,
    version: header.version,
    replaces: header.replaces,
  });
  const national = header.patientIds.filter((one) => one.root === INS_NIR);
  return { item, patients: [...national, ...header.patientIds.filter((one) => one.root !== INS_NIR)], cda: false, identified: false };
}

/** Who made it, as a person would say: the person, else the place. */
export function nameOf(authors: readonly Author[]): string {
  for (const { givenName, familyName, organisation } of authors) {
    const name = [givenName, familyName].filter((part) => part !== "").join(" ");
    if (name !== "" || organisation !== "") return name || organisation;
  }
  return "";
}

const identified = (patient: PatientId | null, { familyName, givenName, birthDate, sex }: Traits): boolean =>
  patient?.root === INS_NIR && [familyName, givenName, birthDate, sex].every((one) => one !== "");
