// Draws the manifest of a letter from its content, as `mail_server/payloads/drawing.py` does of letters that come in
// clear: for letters that somebody else sealed. `tests/webmail/vectors/manifests.json` holds both to one answer. A letter
// inside the letter is somebody else's, and stays an attachment.
import { latin1, type Bytes } from "../../lib/bytes.ts";
import { decodeWords, first, parameterised } from "../mime/fields.ts";
import { content, type Part } from "../mime/parts.ts";
import { Allowance, archiveDocuments, fhirDocument, type Made } from "./archive_items.ts";
import { appointments } from "./calendar_items.ts";
import type { PatientId } from "./cda_model.ts";
import { bounded, hashOf, patientHash, readManifest } from "./manifest.ts";
import { MANIFEST_TYPE, type Item, type Manifest } from "./manifest_model.ts";
import { sections } from "./octets.ts";
import { onePatient } from "./xdm.ts";

export interface Drawn {
  manifest: Manifest;
  confidentiality: string[]; // codes of all documents together, sorted
}

const ITEMS = 100;
const SUBJECT = "XDM/1.0/DDM";
const FHIR = new Set(["application/fhir+json", "application/json+fhir"]);
const DRAWN = new Set(["document", "fhir", "appointment"]); // content tells these by itself
const BYTELESS = new Set(["withdrawal", "decision"]);

interface Place {
  section: string;
  part: Part;
  octets: Bytes;
}

interface Drawing {
  items: Item[];
  patients: PatientId[];
  flags: Set<string>;
  types: Set<string>; // of the documents in archives
  archives: number;
  allowance: Allowance;
  identified: boolean; // every document of an archive has what X-MSS-INS promises
  said: Manifest[];
}

/** Everything structured in this letter. Raises RecordRefused. */
export async function drawManifest(message: Bytes, tree: Part): Promise<Drawn> {
  const found: Drawing = { items: [], patients: [], flags: new Set(), types: new Set(), archives: 0, allowance: new Allowance(), identified: true, said: [] };
  const places = sections(tree).map(({ section, part }): Place => ({ section, part, octets: content(message, part) }));
  for (const place of places) await look(found, place);
  onePatient(found.patients);
  headers(found, tree);
  for (const said of found.said) await add(found, places, said);
  const items = found.items.map(bounded);
  const about = found.patients[0];
  const patient = about === undefined ? (found.said.find((one) => one.patient !== "")?.patient ?? "") : await patientHash(about.root, about.extension);
  const manifest = { items: items.slice(0, ITEMS), patient, flags: [...found.flags].sort(), cut: Math.max(items.length - ITEMS, 0) + found.said.reduce((sum, one) => sum + one.cut, 0) };
  return { manifest, confidentiality: [...new Set(found.items.flatMap((one) => one.confidentiality))].sort() };
}

async function look(found: Drawing, { section, part, octets }: Place): Promise<void> {
  if (isZip(octets)) {
    if (!isXdm(octets)) return;
    found.archives += 1;
    if (found.archives > 1) found.flags.add("several-archives");
    for (const made of await archiveDocuments(octets, section, found.allowance)) taken(found, made);
  } else if (FHIR.has(part.type)) {
    const made = await fhirDocument(octets, section);
    if (made !== null) {
      found.items.push(made.item);
      found.patients.push(...made.patients);
    }
  } else if (part.type === MANIFEST_TYPE) {
    const said = readManifest(octets);
    if (said === null) found.flags.add("manifest-unreadable");
    else found.said.push(said);
  } else if (isCalendar(part)) {
    for (const item of await appointments(octets, section, part.params.get("method") ?? "")) {
      // Programs put the same invitation into the text and beside it: what comes by two ways is shown once.
      if (!found.items.some((other) => same(item, other))) found.items.push(item);
    }
  }
}

function taken(found: Drawing, { item, patients, cda, identified }: Made): void {
  found.items.push(item);
  found.patients.push(...patients);
  if (!cda) return;
  found.types.add(item.type);
  found.identified &&= identified;
}

const same = (one: Item, other: Item): boolean =>
  other.kind === "appointment" &&
  one.id === other.id && one.method === other.method && one.sequence === other.sequence && one.stamp === other.stamp && one.recurrence === other.recurrence;

const isZip = (octets: Bytes): boolean => latin1(octets.subarray(0, 4)) === "PK\u0003\u0004";

/** Whether a ZIP holds `IHE_XDM/` or a METADATA.XML (IHE ITI-32), by its first name and its directory. */
function isXdm(octets: Bytes): boolean {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const named = (start: number, length: number): boolean => {
    const name = latin1(octets.subarray(start, start + length)).toUpperCase().replaceAll("\\", "/");
    return name.startsWith("IHE_XDM/") || name.slice(name.lastIndexOf("/") + 1) === "METADATA.XML";
  };
  if (octets.length >= 30 && named(30, view.getUint16(26, true))) return true;
  const from = Math.max(octets.length - 147_456, 0);
  const end = latin1(octets.subarray(from)).lastIndexOf("PK\u0005\u0006");
  if (end < 0 || from + end + 16 > octets.length) return false;
  let at = from + end - view.getUint32(from + end + 12, true);
  for (let left = 2000; left > 0 && at >= 0 && at + 46 <= octets.length && view.getUint32(at, true) === 0x02014b50; left--) {
    const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true)) as [number, number, number];
    if (named(at + 46, name)) return true;
    at += 46 + name + extra + comment;
  }
  return false;
}

function isCalendar({ type, fields, params }: Part): boolean {
  if (type === "text/calendar" || type === "application/ics") return true;
  if (type !== "application/octet-stream" && type !== "text/plain") return false;
  const disposition = parameterised(first(fields, "content-disposition"));
  return (disposition.params.get("filename") ?? params.get("name") ?? "").toLowerCase().endsWith(".ics");
}

/** What the letter's header says of its archive, where it says otherwise than the archive. */
function headers(found: Drawing, tree: Part): void {
  if (decodeWords(first(tree.fields, "subject")).startsWith(SUBJECT) && found.archives === 0) found.flags.add("no-archive");
  const codes = tree.fields.find((one) => one.name === "x-mss-codecda")?.value;
  if (codes !== undefined) {
    const said = new Set(codes.split(",").map((one) => one.trim()).filter((one) => one !== ""));
    if (said.size !== found.types.size || [...said].some((one) => !found.types.has(one))) found.flags.add("mss-codecda-mismatch");
  }
  const ins = first(tree.fields, "x-mss-ins").trim().toUpperCase();
  if (ins === "O" && !(found.archives > 0 && found.identified)) found.flags.add("mss-ins-mismatch");
}

/** What a manifest part tells, as far as it may: nothing that content tells, nothing of bytes that are not there. */
async function add(found: Drawing, places: readonly Place[], said: Manifest): Promise<void> {
  for (const item of said.items) {
    if (DRAWN.has(item.kind)) continue;
    if (BYTELESS.has(item.kind) || item.hash === "") {
      found.items.push({ ...item, hash: "", part: "", entry: "" });
      continue;
    }
    let section = "";
    for (const place of places) if (section === "" && (await hashOf(place.octets)) === item.hash) section = place.section;
    if (section === "") found.flags.add("hash-mismatch");
    else found.items.push({ ...item, part: section });
  }
}
