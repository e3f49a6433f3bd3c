// Letters are given to another key: those that waited, to the holder's own, with the waiting secret that the server
// hands over once; those of the past, to a new reader's, with one's own. Each session key is opened and closed again
// for the certificate that is to read; bodies are never fetched.
//
// Invariants: the waiting secret lives in this module's memory alone, until `dropWaitingKey`; a letter whose packet
// cannot be opened is left out, and stops no other.
import { base64, fromBase64 } from "../lib/bytes.ts";
import { readCertificate } from "./certificates.ts";
import { Failed } from "./failed.ts";
import type { Keyring } from "./keyring.ts";
import { readPrivateKey, type PrivateKey, type PublicKey } from "./openpgp.ts";
import { keyPacketFor, keyPackets, openMessage, sessionKey } from "./packets.ts";
import type { KeyPackets } from "./protocol.ts";

let waiting: PrivateKey | null = null;

export async function takeWaitingKey(keyring: Keyring, message: string): Promise<null> {
  const keys = (await keyring.own()).map((one) => one.key);
  const { data } = await openMessage(fromBase64(message), keys);
  waiting = await readPrivateKey({ binaryKey: data }).catch(() => null);
  if (waiting === null) throw new Failed("damaged");
  return null;
}

export function dropWaitingKey(): null {
  waiting = null;
  return null;
}

export async function swap(keyring: Keyring, letters: KeyPackets[]): Promise<KeyPackets[]> {
  if (waiting === null) throw new Failed("locked");
  return given(letters, [waiting], (await keyring.current()).toPublic());
}

export async function rewrap(keyring: Keyring, letters: KeyPackets[], certificate: string): Promise<KeyPackets[]> {
  const reader = await readCertificate(certificate);
  if (reader === null) throw new Failed("key-unreadable");
  await reader.getEncryptionKey().catch(() => {
    throw new Failed("key-refused"); // expired or revoked meanwhile: nothing is given to it
  });
  return given(letters, (await keyring.own()).map((one) => one.key), reader);
}

async function given(letters: KeyPackets[], secrets: PrivateKey[], reader: PublicKey): Promise<KeyPackets[]> {
  const made: KeyPackets[] = [];
  for (const { id, keyPackets: packets, summaryKeyPackets } of letters) {
    try {
      const summary = summaryKeyPackets === null ? null : await swapped(summaryKeyPackets, secrets, reader);
      made.push({ id, keyPackets: await swapped(packets, secrets, reader), summaryKeyPackets: summary });
    } catch {
      continue; // damaged: it keeps its state, and the server keeps the key it needs
    }
  }
  return made;
}

async function swapped(packets: string, secrets: PrivateKey[], reader: PublicKey): Promise<string> {
  const session = await sessionKey(await keyPackets(fromBase64(packets)), secrets);
  return base64(await keyPacketFor(session, reader));
}
