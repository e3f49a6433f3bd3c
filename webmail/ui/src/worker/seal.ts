// A letter written here: one PGP/MIME message (RFC 3156) with its true fields inside (RFC 9788), as the server itself
// writes them, encrypted to everyone who is to read it and to its author, signed by its author.
//
// Invariants: outside stand addresses, dates, ids and a subject that tells nothing; each certificate gets exactly one
// key packet; when anything is wrong nothing is made.
import { base64, concat, fromUtf8, hex, random, utf8, type Bytes } from "../lib/bytes.ts";
import { armor } from "./armor.ts";
import { autocrypt } from "./autocrypt.ts";
import { readCertificate } from "./certificates.ts";
import { Failed } from "./failed.ts";
import type { Keyring } from "./keyring.ts";
import { body, dateText, field, mailbox, newBoundary, unstructured, type FieldPair } from "./mime/write.ts";
import type { PublicKey } from "./openpgp.ts";
import { keyPacketFor, newSession, sealMessage } from "./packets.ts";
import type { LetterToSeal, Line } from "./protocol.ts";
import { MANIFEST_TYPE } from "./record/manifest_model.ts";
import { summarise, summaryBytes } from "./summary.ts";

const MARKS = '; hp="cipher"; protected-headers="v1"';

export interface SealedLetter {
  message: ArrayBuffer;
  summary: string;
  messageId: string;
  /** Opens the message at the gate; "" where nobody needs it. It stands in no letter: whoever stores one cannot be opened with it. */
  gateKeyPacket: string;
}

export async function seal(keyring: Keyring, given: LetterToSeal): Promise<SealedLetter> {
  const signer = await keyring.current();
  const own = signer.toPublic();
  const manifest = given.manifest === undefined ? null : (await import("./record/manifest.ts")).writeManifest(given.manifest);
  const files = manifest === null || given.told ? given.files : [...given.files, { name: "manifest.json", type: MANIFEST_TYPE, data: manifest.buffer }];
  const letter = { ...given, files, from: { ...given.from, name: given.from.name || nameOn(own, given.from.address) } };
  const readers = await distinct([...letter.certificates], own);
  const messageId = `<${hex(random(16))}@${letter.from.address.split("@").at(-1)}>`;
  const outer = outside(letter, messageId);
  const entity = inside(letter, outer);
  const session = newSession();
  const sealed = await sealMessage(entity, readers, signer, session);
  const parts = given.files.map((one): [string, string] => [one.name, one.type]);
  const line = summarise(letter.subject, letter.from.name, letter.text, parts);
  // With items in it, it is signed as the letter is: the record is drawn from it, and the letter not opened for that.
  const about = manifest === null ? summaryBytes(line) : withManifest(line, manifest);
  const summary = base64(await sealMessage(about, [own], manifest === null ? null : signer));
  const told = await autocrypt(signer, letter.from.address);
  const gateKeyPacket = given.gate === undefined ? "" : base64(await keyPacketFor(session, await gateOf(given.gate)));
  return { message: wrapped(outer, told, armor(sealed)).buffer, summary, messageId, gateKeyPacket };
}

const withManifest = (line: Line, manifest: Bytes): Bytes => utf8(JSON.stringify({ ...line, manifest: JSON.parse(fromUtf8(manifest)) as unknown }));

/** A professional is called as their key calls them, when the operator knows no name. */
function nameOn(own: PublicKey, address: string): string {
  const found = own.users.find(({ userID }) => userID?.email.toLowerCase() === address.toLowerCase());
  return found?.userID?.name ?? "";
}

async function gateOf(text: string): Promise<PublicKey> {
  const found = await readCertificate(text);
  if (found === null) throw new Failed("sealing-failed");
  return found;
}

/** Every reader once, and the author. */
async function distinct(certificates: string[], own: PublicKey): Promise<PublicKey[]> {
  const found = new Map([[own.getFingerprint(), own]]);
  for (const text of certificates) {
    const one = await readCertificate(text);
    if (one === null) throw new Failed("sealing-failed");
    if (!found.has(one.getFingerprint())) found.set(one.getFingerprint(), one);
  }
  return [...found.values()];
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** `[...] abcd`: the same through a conversation, so that programs that thread by subject keep it together. */
function outerSubject(given: string): string {
  if (/^\[\.\.\.\] [a-z]{4}$/.test(given)) return given;
  const drawn = new Uint32Array(4);
  crypto.getRandomValues(drawn);
  return `[...] ${Array.from(drawn, (one) => LETTERS[one % 26]).join("")}`;
}

function outside(letter: LetterToSeal, messageId: string): FieldPair[] {
  const answers: FieldPair[] =
    letter.inReplyTo === "" ? [] : [["In-Reply-To", ids([letter.inReplyTo])], ["References", ids([...letter.references, letter.inReplyTo])]];
  return [
    ["From", mailbox({ name: "", address: letter.from.address })],
    ["To", letter.to.map((address) => mailbox({ name: "", address })).join(", ")],
    ["Date", dateText(letter.date)],
    ["Message-ID", messageId],
    ...answers,
    ...classOf(letter),
    ...(letter.closes ? [["X-MSS-MES", "FIN"] satisfies FieldPair] : []),
    ["Subject", outerSubject(letter.outerSubject)],
  ];
}

/** The one word out of three that the server may know of a letter. */
function classOf({ manifest }: LetterToSeal): FieldPair[] {
  const kinds = (manifest?.items ?? []).map((one) => one.kind);
  if (kinds.includes("appointment")) return [["Vaguemestre-Class", "agenda"]];
  return kinds.some((one) => one === "document" || one === "fhir" || one === "file") ? [["Vaguemestre-Class", "record"]] : [];
}

/** RFC 5322 §3.6.4: each id once, in angle brackets; the last twenty are enough to thread by. */
const ids = (all: string[]): string =>
  [...new Set(all.map((one) => `<${one.replace(/[\s<>]/g, "")}>`))].filter((one) => one.length > 2).slice(-20).join(" ");

/** What is sealed: the true fields, told what stands outside (HP-Outer, RFC 9788 §2.2), and the text. */
function inside(letter: LetterToSeal, outer: FieldPair[]): Bytes {
  const truth: FieldPair[] = outer.map(([name, value]) => {
    if (name === "From") return [name, mailbox(letter.from)];
    return name === "Subject" ? [name, unstructured(letter.subject)] : [name, value];
  });
  const files = letter.files.map((one) => ({ ...one, data: new Uint8Array(one.data) }));
  const { fields, octets } = body(letter.text, files, MARKS);
  const told = outer.map(([name, value]) => field(["HP-Outer", `${name}: ${value}`]));
  return concat([utf8(truth.map(field).join("") + "MIME-Version: 1.0\r\n" + fields + told.join("") + "\r\n"), octets]);
}

function wrapped(outer: FieldPair[], told: string, armored: Bytes): Bytes {
  const line = newBoundary();
  const head =
    told +
    outer.map(field).join("") +
    "MIME-Version: 1.0\r\n" +
    `Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="${line}"\r\n\r\n` +
    `--${line}\r\nContent-Type: application/pgp-encrypted\r\nContent-Description: PGP/MIME version identification\r\n\r\nVersion: 1\r\n\r\n` +
    `--${line}\r\nContent-Type: application/octet-stream; name="encrypted.asc"\r\nContent-Description: OpenPGP encrypted message\r\n` +
    'Content-Disposition: inline; filename="encrypted.asc"\r\n\r\n';
  return concat([utf8(head), armored, utf8(`\r\n--${line}--\r\n`)]);
}
