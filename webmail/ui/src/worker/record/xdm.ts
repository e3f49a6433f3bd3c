// An IHE_XDM archive read and checked: the twin of `mail_server/payloads/record/xdm.py`, with its verdicts.
import { hex } from "../../lib/bytes.ts";
import type { PatientId } from "./cda_model.ts";
import { isProgram } from "./executables.ts";
import { readMetadata } from "./metadata.ts";
import { INS_MISMATCH, RecordRefused } from "./refusal.ts";
import type { DocumentEntry, SubmissionSet, XdmArchive } from "./xds_model.ts";
import { folded, readZip } from "./zip.ts";

const INS_ROOTS = new Set([8, 9, 10, 11].map((last) => `1.2.250.1.213.1.4.${last}`));

/** The archive's submission and its documents. Raises RecordRefused. */
export async function readXdm(data: Uint8Array): Promise<XdmArchive> {
  const files = readZip(data);
  for (const [name, content] of files) if (isProgram(name, content)) throw new RecordRefused("program");
  const sets = [...files.keys()].filter((name) => folded(name.slice(name.lastIndexOf("/") + 1)) === "metadata.xml");
  if (sets.length === 0) throw new RecordRefused("xdm-no-metadata");
  const paths = new Map([...files.keys()].map((name) => [folded(name), name]));
  let submission: SubmissionSet | null = null;
  const entries: DocumentEntry[] = [];
  const documents = new Map<string, Uint8Array>();
  const patients: (PatientId | null)[] = [];
  for (const metadata of sets) {
    const folder = metadata.slice(0, Math.max(metadata.lastIndexOf("/"), 0));
    const found = readMetadata(files.get(metadata)!);
    patients.push(found.submission.patientId);
    // A document of the second SUBSET and after is told from one of the first by its folder.
    const prefix = metadata === sets[0] ? "" : `${folder.slice(folder.lastIndexOf("/") + 1)}/`;
    for (const entry of found.entries) {
      const path = pathOf(entry.uri, folder, paths);
      if (entries.some((other) => other.path === path)) throw new RecordRefused("xdm-document-twice");
      const content = files.get(path)!;
      const checked = await check(entry, content);
      const uri = prefix + (folder !== "" && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);
      entries.push({ ...checked, uri, path });
      documents.set(uri, content);
      patients.push(entry.patientId);
    }
    submission ??= found.submission;
  }
  onePatient(patients);
  const used = new Set([...entries.map((entry) => entry.path), ...sets]);
  const beside = new Map([...files].filter(([name]) => !used.has(name)));
  return { submission: submission!, entries, documents, beside };
}

/** Whether each CDA, by its `uri`, is about whom METADATA.XML says; code 904 when one is not. */
export function checkPatient(archive: XdmArchive, cdaPatientIds: ReadonlyMap<string, readonly PatientId[]>): void {
  const said = [...archive.entries.map((entry) => entry.patientId), archive.submission.patientId];
  for (const entry of archive.entries) {
    const known = cdaPatientIds.get(entry.uri) ?? [];
    for (const outer of [entry.patientId, entry.sourcePatientId])
      if (outer !== null && differs(outer, known)) throw new RecordRefused("patient-mismatch", INS_MISMATCH);
  }
  onePatient([...said, ...[...cdaPatientIds.values()].flatMap((ids) => ids.filter((one) => INS_ROOTS.has(one.root)))]);
}

/** The file that a URI names: from its SUBSET's folder, or, as some write it, from the top. */
function pathOf(uri: string, folder: string, paths: ReadonlyMap<string, string>): string {
  if (uri === "") throw new RecordRefused("xdm-no-uri");
  for (const one of [uri, unquoted(uri)]) {
    const told = one.replaceAll("\\", "/");
    const parts = told.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..") || told.startsWith("/")) throw new RecordRefused("xdm-uri");
    const plain = parts.join("/");
    for (const place of [folder === "" ? plain : `${folder}/${plain}`, plain]) {
      const path = paths.get(folded(place));
      if (path !== undefined) return path;
    }
  }
  throw new RecordRefused("xdm-document-missing");
}

/** Percent-escapes read as UTF-8, where they are some. */
function unquoted(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The entry with the hash and size of its file; refused when it states others. */
async function check(entry: DocumentEntry, content: Uint8Array): Promise<DocumentEntry> {
  // SHA-1, as XDS asks: it tells damage, not forgery.
  const found = hex(new Uint8Array(await crypto.subtle.digest("SHA-1", content as Uint8Array<ArrayBuffer>)));
  if (entry.hash !== "" && entry.hash !== found) throw new RecordRefused("xdm-hash-mismatch");
  if (entry.size !== 0 && entry.size !== content.length) throw new RecordRefused("xdm-size-mismatch");
  return { ...entry, hash: found, size: content.length };
}

/** One patient in one message (ECO.2.1.1), whatever namespaces name them. */
export function onePatient(patients: readonly (PatientId | null)[]): void {
  const seen: PatientId[] = [];
  for (const patient of patients) {
    if (patient === null) continue;
    if (differs(patient, seen)) throw new RecordRefused("two-patients", INS_MISMATCH);
    seen.push(patient);
  }
}

/** Whether identifiers of the same namespace are known, and none of them is this one. */
function differs(patient: PatientId, others: readonly PatientId[]): boolean {
  const known = others.filter((other) => namespace(other) === namespace(patient));
  return known.length > 0 && known.every((other) => number(other) !== number(patient));
}

const namespace = (patient: PatientId): string => (INS_ROOTS.has(patient.root) ? "INS" : patient.root);

/** A matricule without its key, which some leave out. */
function number(patient: PatientId): string {
  const told = patient.extension.toUpperCase().replace(/\s/g, "");
  return INS_ROOTS.has(patient.root) ? told.slice(0, 13) : told;
}
