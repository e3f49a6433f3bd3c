// Documents of an IHE_XDM archive, and FHIR documents, as items of a letter's manifest: the twin of `mail_server/payloads/documents.py`.
import type { Author, Header, PatientId, Traits } from "./cda_model.ts";
import { headerOf } from "./cda_header.ts";
import { HL7 } from "./cda_names.ts";
import { isoOf } from "./cda_times.ts";
import { Narrative } from "./cda_values.ts";
import { readFhir } from "./fhir.ts";
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

/** Of one archive. Raises RecordRefused. */
export async function archiveDocuments(content: Uint8Array, section: string): Promise<Made[]> {
  const archive = await readXdm(content);
  const headers = new Map<string, Header>();
  const unread = new Set<string>();
  for (const { mimeType, uri } of archive.entries) {
    if (!CDA.has(mimeType.toLowerCase())) continue;
    const header = headerIn(archive.documents.get(uri)!);
    if (header === null) unread.add(uri);
    else headers.set(uri, header);
  }
  checkPatient(archive, new Map([...headers].map(([uri, header]) => [uri, header.patientIds])));
  const ids = new Map(archive.entries.map((one) => [one.entryUuid, one.uniqueId]));
  const found: Made[] = [];
  for (const entry of archive.entries) {
    const patient = entry.patientId ?? archive.submission.patientId;
    const item = await documentItem(entry, archive.documents.get(entry.uri)!, headers.get(entry.uri) ?? null, section, ids);
    if (unread.has(entry.uri)) item.flags.push("cda-unreadable");
    const cda = CDA.has(entry.mimeType.toLowerCase());
    found.push({ item, patients: patient === null ? [] : [patient], cda, identified: identified(patient, entry.traits) });
  }
  return found;
}

/** What a CDA says of itself; null when it is none, or damaged. Raises RecordRefused. */
function headerIn(data: Uint8Array): Header | null {
  try {
    const root = parse(data);
    const clinical = root.name === "ClinicalDocument" && (root.ns === HL7 || root.ns === "");
    return clinical ? headerOf(root, new Narrative(root)) : null;
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
  try {
    header = readFhir(content).header;
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
    confidentiality: header.confidentiality.code === "" ? [] : [header.confidentiality.code],
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
