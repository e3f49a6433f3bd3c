// Letters that waited are given to the holder's own key: each key packet is opened with the waiting secret, which the
// server hands over once, and closed again for the holder's certificate. Bodies are never fetched.
//
// Invariants: the waiting secret lives in this module's memory alone, until `dropWaitingKey`; a letter whose packet
// cannot be opened is left out, and stops no other.
import { base64, fromBase64 } from "../lib/bytes.ts";
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
  const secret = waiting;
  if (secret === null) throw new Failed("locked");
  const own = (await keyring.current()).toPublic();
  const made: KeyPackets[] = [];
  for (const { id, keyPackets: packets, summaryKeyPackets } of letters) {
    try {
      const summary = summaryKeyPackets === null ? null : await swapped(summaryKeyPackets, secret, own);
      made.push({ id, keyPackets: await swapped(packets, secret, own), summaryKeyPackets: summary });
    } catch {
      continue; // damaged: it keeps its state, and the server keeps the key it needs
    }
  }
  return made;
}

async function swapped(packets: string, secret: PrivateKey, own: PublicKey): Promise<string> {
  const session = await sessionKey(await keyPackets(fromBase64(packets)), [secret]);
  return base64(await keyPacketFor(session, own));
}
