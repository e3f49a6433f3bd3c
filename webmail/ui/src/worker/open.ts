// A letter as it lies on the server, opened: decrypted, its signature looked at, its true subject taken from inside.
//
// Invariants: whatever the bytes are, nothing is raised and nothing partial is shown (`opened: false`); who wrote it is
// told by the address outside, which the server checked: a name inside counts only when it goes with that address
// (RFC 9788 §4.4); a signature is the author's only when the author's own certificate verifies it.
import { fromUtf8, utf8, type Bytes } from "../lib/bytes.ts";
import type { Person, Signature } from "../lib/contract.ts";
import { dearmor } from "./armor.ts";
import { Failed, ofLetter } from "./failed.ts";
import type { Keyring } from "./keyring.ts";
import { decodeWords, first, people } from "./mime/fields.ts";
import { see } from "./mime/letter.ts";
import { content, parse, type Part } from "./mime/parts.ts";
import type { LetterToOpen, OpenedLetter } from "./protocol.ts";
import type { PublicKey } from "./openpgp.ts";
import { readCertificate } from "./certificates.ts";
import { openMessage, reading, type Library, type Verifications } from "./reading.ts";
import { lineOf } from "./summary.ts";

const CLOSED: OpenedLetter = {
  opened: false, locked: false, from: null, subject: "", text: "", html: null, parts: [], signature: "none", closes: false, noAnswer: false, line: null,
};

export async function open(keyring: Keyring, given: LetterToOpen): Promise<OpenedLetter> {
  try {
    return shown(await openWhole(keyring, given));
  } catch (failure) {
    ofLetter(failure);
    return { ...CLOSED, locked: failure instanceof Failed && failure.slug === "locked" };
  }
}

/** A letter opened: the octets that are its own, and where its parts lie in them. */
export interface Whole {
  clear: Bytes;
  inside: Part;
  outside: Part;
  signature: Signature;
}

/** Raises Failed ("locked", "damaged"): for what needs more than is shown. */
export const openWhole = (keyring: Keyring, given: LetterToOpen): Promise<Whole> => reading((library) => opened(library, keyring, given));

interface Certificates {
  authors: PublicKey[];
  gateway: PublicKey[];
}

async function opened(library: Library, keyring: Keyring, given: LetterToOpen): Promise<Whole> {
  const message = new Uint8Array(given.data);
  const outside = parse(message);
  const sealed = ciphertext(message, outside);
  if (sealed === null) {
    const signed = detached(message, outside);
    const signature = signed === null ? "none" : await verified(library, signed, await certificates(library, given));
    return { clear: message, inside: outside, outside, signature };
  }
  const who = await certificates(library, given);
  const keys = (await keyring.own(library)).map((one) => one.key);
  const made = await openMessage(library, sealed.data, keys, [...who.authors, ...who.gateway]);
  const clear = sealed.inline ? asEntity(made.data) : made.data;
  const inside = parse(clear);
  const signed = made.signatures.length === 0 ? detached(clear, inside) : null;
  const signature = signed === null ? await judged(made.signatures, who) : await verified(library, signed, who);
  return { clear, inside, outside, signature };
}

/** The OpenPGP message in a PGP/MIME letter (RFC 3156 §4), or in a text that is one. */
function ciphertext(message: Bytes, tree: Part): { data: Bytes; inline: boolean } | null {
  if (tree.type === "multipart/encrypted" && tree.children.length >= 2) {
    const data = dearmor(content(message, tree.children[1]!));
    if (data === null) throw new Failed("damaged");
    return { data, inline: false };
  }
  if (!tree.type.startsWith("text/")) return null;
  const body = content(message, tree);
  if (!fromUtf8(body.subarray(0, 200)).trimStart().startsWith("-----BEGIN PGP MESSAGE-----")) return null;
  const data = dearmor(body);
  return data === null ? null : { data, inline: true };
}

const asEntity = (text: Bytes): Bytes => {
  const header = utf8("Content-Type: text/plain; charset=utf-8\r\n\r\n");
  const made = new Uint8Array(header.length + text.length);
  made.set(header);
  made.set(text, header.length);
  return made;
};

export function shown({ clear, inside, outside, signature }: Whole): OpenedLetter {
  const fields = inside.type === "multipart/signed" && first(inside.fields, "subject") === "" ? protectedIn(inside) : inside.fields;
  const subject = decodeWords(first(fields, "subject") || first(outside.fields, "subject"));
  const says = first(fields, "x-mss-mes") || first(outside.fields, "x-mss-mes");
  const letter: OpenedLetter = {
    ...see(clear, inside),
    opened: true,
    locked: false,
    from: author(fields, outside),
    subject,
    signature,
    closes: subject === "[FIN]",
    noAnswer: says.toUpperCase() === "FIN",
    line: null,
  };
  return { ...letter, line: lineOf(letter) };
}

/** Signed apart inside the seal: the fields stand on the signed entity. */
const protectedIn = (signed: Part): Part["fields"] => signed.children[0]?.fields ?? signed.fields;

function author(fields: Part["fields"], outside: Part): Person | null {
  const [told] = people(first(outside.fields, "from"));
  const [inner] = people(first(fields, "from"));
  if (told === undefined) return null;
  const same = inner !== undefined && inner.address.toLowerCase() === told.address.toLowerCase();
  return same && inner.name !== "" ? { name: inner.name, address: told.address } : told;
}

// ------------------------------------------------------------------------------------------------ signatures

async function certificates(library: Library, given: LetterToOpen): Promise<Certificates> {
  const read = async (all: string[]): Promise<PublicKey[]> =>
    (await Promise.all(all.map((one) => readCertificate(one, library)))).filter((one) => one !== null);
  return { authors: await read(given.authors), gateway: await read(given.gateway === "" ? [] : [given.gateway]) };
}

const RANK: Signature[] = ["author", "gateway", "bad", "unknown"];

/** The best that can be said of the signatures. One that fails is bad even beside an unknown one. */
async function judged(signatures: Verifications, who: Certificates): Promise<Signature> {
  const made: Signature[] = [];
  for (const { keyID, verified } of signatures) {
    const by = (keys: PublicKey[]): boolean => keys.some((key) => key.getKeys(keyID).length > 0);
    const good = await verified.catch(() => false);
    if (by(who.authors)) made.push(good ? "author" : "bad");
    else if (by(who.gateway)) made.push(good ? "gateway" : "bad");
    else made.push("unknown");
  }
  return RANK.find((one) => made.includes(one)) ?? "none";
}

interface Detached {
  signed: Bytes;
  signature: Bytes;
}

/** RFC 3156 §5: the signed entity as it lies there, and its signature. */
function detached(message: Bytes, tree: Part): Detached | null {
  const [signed, signature] = tree.children;
  const fits = tree.type === "multipart/signed" && signature?.type === "application/pgp-signature";
  if (!fits || signed === undefined || signature === undefined) return null;
  return { signed: message.subarray(signed.start, signed.end), signature: content(message, signature) };
}

async function verified(library: Library, { signed, signature }: Detached, who: Certificates): Promise<Signature> {
  const { createMessage, readSignature, verify } = library;
  try {
    const read = await readSignature({ armoredSignature: fromUtf8(signature) });
    const message = await createMessage({ binary: signed, format: "binary" });
    const keys = [...who.authors, ...who.gateway];
    const made = await verify({ message, signature: read, verificationKeys: keys, format: "binary" } as never);
    return await judged(made.signatures as Verifications, who);
  } catch {
    return "bad";
  }
}

