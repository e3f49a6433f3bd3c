// Documents read by what they are: an archive's file, a CDA, a FHIR document.
import type { Bytes } from "../../lib/bytes.ts";
import { Failed, fetched } from "../failed.ts";
import type { Document } from "./cda_model.ts";
import { folded, readZip } from "./zip.ts";

const LESS = 60; // "<"
const BRACE = 123; // "{"

/** A file of an archive, by its path in it. */
export async function documentOctets(archive: Bytes, entry: string): Promise<Bytes> {
  const files = readZip(archive);
  const path = files.has(entry) ? entry : [...files.keys()].find((name) => folded(name).endsWith(`/${folded(entry)}`));
  const found = path === undefined ? undefined : files.get(path);
  if (found === undefined) throw new Failed("damaged");
  return found as Bytes;
}

/** null: no document that can be read. Raises what its reader raises. */
export async function readDocument(octets: Bytes): Promise<Document | null> {
  const first = octets.find((one) => one > 32 && one !== 0xef && one !== 0xbb && one !== 0xbf);
  if (first === LESS) return (await fetched(import("./cda.ts"))).readCda(octets);
  return first === BRACE ? (await fetched(import("./fhir.ts"))).readFhir(octets) : null;
}

/** Whom a document is about, as it says itself. */
export async function aboutWhom(octets: Bytes): Promise<{ name: string; birthDate: string } | null> {
  const traits = (await readDocument(octets))?.header.traits;
  if (traits === undefined) return null;
  return { name: [traits.givenName, traits.familyName].filter((one) => one !== "").join(" "), birthDate: traits.birthDate };
}
