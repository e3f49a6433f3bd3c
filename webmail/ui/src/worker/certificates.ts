// Certificates as the server gives them: base64 of binary, or armored. Read once each.
import { fromBase64 } from "../lib/bytes.ts";
import { readKey, type PublicKey } from "./openpgp.ts";

const MOST = 200;
const read = new Map<string, Promise<PublicKey | null>>();

/** null when it cannot be read. */
export function readCertificate(text: string): Promise<PublicKey | null> {
  let found = read.get(text);
  if (found === undefined) {
    if (read.size >= MOST) read.clear();
    found = parse(text).catch(() => null);
    read.set(text, found);
  }
  return found;
}

async function parse(text: string): Promise<PublicKey> {
  const armored = text.trimStart().startsWith("-----BEGIN");
  return (await (armored ? readKey({ armoredKey: text }) : readKey({ binaryKey: fromBase64(text) }))).toPublic();
}
