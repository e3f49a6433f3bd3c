// Certificates as the server gives them: base64 of binary, or armored. Read once each.
import { fromBase64 } from "../lib/bytes.ts";
import type { PublicKey } from "./openpgp.ts";
import { whole, type Library } from "./reading.ts";

const MOST = 200;
const read = new Map<Library, Map<string, Promise<PublicKey | null>>>();

/** null when it cannot be read. For the whole library unless another is named. */
export async function readCertificate(text: string, library?: Library): Promise<PublicKey | null> {
  const by = library ?? (await whole());
  const known = read.get(by) ?? new Map<string, Promise<PublicKey | null>>();
  read.set(by, known);
  let found = known.get(text);
  if (found === undefined) {
    if (known.size >= MOST) known.clear();
    found = parse(by, text).catch(() => null);
    known.set(text, found);
  }
  return found;
}

async function parse({ readKey }: Library, text: string): Promise<PublicKey> {
  const armored = text.trimStart().startsWith("-----BEGIN");
  return (await (armored ? readKey({ armoredKey: text }) : readKey({ binaryKey: fromBase64(text) }))).toPublic();
}
