// One document taken out of its letter: its octets as they came, what it says when it can be read, and the files that
// belong to it. Nothing here is trusted: a document that cannot be read is still handed over as a file.
import type { Bytes } from "../../lib/bytes.ts";
import type { DocumentBody } from "../../lib/record_contract.ts";
import { Failed, ofLetter } from "../failed.ts";
import { shown, type Whole } from "../open.ts";
import { sniff } from "../sniff.ts";
import type { Document } from "./cda_model.ts";
import { documentOctets, readDocument } from "./formats.ts";
import { hashOf } from "./manifest.ts";
import { MANIFEST_TYPE, type Item } from "./manifest_model.ts";
import { partOctets, sections } from "./octets.ts";
import type { Contents, PlainBody } from "./protocol.ts";

const NAMED = ["document", "fhir"]; // kinds whose hash is of just these octets
const TEXT = 400_000; // characters shown of a text

/** The octets of an item: a part, or a file of the archive in it. Raises Failed("damaged"). */
export async function octetsOf(whole: Whole, item: Item): Promise<Bytes> {
  const part = partOctets(whole, item.part);
  if (part === null) throw new Failed("damaged");
  const octets = item.entry === "" ? part : await documentOctets(part, item.entry);
  // What is shown under an item is what its manifest was drawn of, whatever letter says that it holds it.
  if (NAMED.includes(item.kind) && item.hash !== "" && (await hashOf(octets)) !== item.hash) throw new Failed("damaged");
  return octets;
}

export async function contentsOf(whole: Whole, item: Item): Promise<{ contents: Contents; document: Document | null }> {
  const octets = await octetsOf(whole, item);
  const document = item.kind === "file" ? null : await readDocument(octets).catch(ofLetter);
  const files: Contents["parts"] = [file(nameOf(item, octets), octets, "document")];
  const body = bodyOf(octets, document, item, files);
  beside(whole, item, files);
  return {
    document,
    contents: { header: document?.header ?? null, body, results: document?.results ?? [], entries: document?.entries ?? [], parts: files },
  };
}

const file = (name: string, octets: Bytes, role: Contents["parts"][number]["role"]): Contents["parts"][number] => ({
  name, type: typeOf(octets), size: octets.length, role, data: octets.slice().buffer,
});

function typeOf(octets: Bytes): string {
  const found = sniff(octets);
  const start = new TextDecoder().decode(octets.subarray(0, 200)).trimStart();
  if (found !== "text/plain" && found !== "application/octet-stream") return found;
  if (start.startsWith("<?xml") || start.startsWith("<ClinicalDocument")) return "text/xml";
  return start.startsWith("{") ? "application/fhir+json" : found;
}

const ENDINGS: Record<string, string> = {
  "application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png", "text/plain": ".txt", "text/xml": ".xml", "application/fhir+json": ".json", "application/zip": ".zip",
};

/** A name that is safe to save, from the title. */
export function nameOf({ title, entry }: Pick<Item, "title" | "entry">, octets: Bytes): string {
  const ending = ENDINGS[typeOf(octets)] ?? "";
  const stem = (title || entry.replace(/^.*\//, "").replace(/\.\w+$/, "")).normalize("NFC").replace(/[^\p{L}\p{N} .,_'’()-]+/gu, " ").replace(/\s+/g, " ").trim().slice(0, 80);
  return `${stem || "document"}${ending}`;
}

function bodyOf(octets: Bytes, document: Document | null, item: Item, files: Contents["parts"]): PlainBody {
  if (document !== null && document.sections.length > 0) return { form: "sections", sections: document.sections };
  if (document?.body != null) {
    const inside = document.body as Bytes;
    return plain(inside, files.push(file(nameOf(item, inside), inside, "copy")) - 1);
  }
  return document === null && item.kind === "file" ? plain(octets, 0) : { form: "none" };
}

function plain(octets: Bytes, at: number): PlainBody {
  const type = typeOf(octets);
  if (type === "application/pdf") return { form: "pdf", file: at };
  if (type === "image/jpeg" || type === "image/png") return { form: "image", file: at };
  return type === "text/plain" ? { form: "text", text: new TextDecoder().decode(octets).slice(0, TEXT) } : { form: "none" };
}

/** The archive that it came in, and the readable copies that the sender put beside it. */
function beside(whole: Whole, item: Item, files: Contents["parts"]): void {
  if (item.entry !== "") {
    const archive = partOctets(whole, item.part);
    if (archive !== null) files.push(file("IHE_XDM.zip", archive, "archive"));
  }
  const others = shown(whole).parts.filter((one) => one.type === "application/pdf");
  const pdfs = sections(whole.inside).filter(({ section, part }) => section !== item.part && part.type !== MANIFEST_TYPE);
  if (pdfs.length === 0 || item.kind === "file") return;
  for (const { name, type, size, data } of others) {
    // The CDA often wraps what lies beside it: one file, by the name that its sender gave it.
    const same = files.find((one) => one.size === size && one.type === type && equal(one.data, data));
    if (same === undefined) files.push({ name, type, size, role: "copy", data });
    else if (same.role === "copy") same.name = name;
  }
}

function equal(one: ArrayBuffer, other: ArrayBuffer): boolean {
  const [a, b] = [new Uint8Array(one), new Uint8Array(other)];
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}

export type { DocumentBody };
