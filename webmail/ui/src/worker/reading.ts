// Reading with OpenPGP: with a short library first, and with the whole one as soon as that is not enough.
//
// Invariants: what came of work in which something was left out is thrown away, be it a failure or a result, and done
// again with the whole library; from then on only that one reads. Keys of one library are never given to the other.
import type { Bytes } from "../lib/bytes.ts";
import { Failed, fetched } from "./failed.ts";
import type { PrivateKey, PublicKey } from "./openpgp.ts";

type Whole = typeof import("./openpgp.ts");
export type Library = Pick<
  Whole,
  "createMessage" | "decrypt" | "enums" | "PublicKeyEncryptedSessionKeyPacket" | "readKey" | "readMessage" | "readPrivateKey" | "readSignature" | "verify"
>;

const short = () => import("./openpgp_reading.ts");
/** Raises Failed("offline"), as does all reading. */
export const whole = (): Promise<Whole> => fetched(import("./openpgp.ts"));

let enough = true;

/** The short library is fetched early: while a password is derived. */
export const fetchLibrary = (): void => void short().catch(() => undefined);

export async function reading<T>(work: (library: Library) => Promise<T>): Promise<T> {
  const library = enough ? await short().catch(() => null) : null;
  if (library !== null) {
    try {
      const made = await Promise.race([work(library), library.missing]);
      if (!library.missed()) return made as T;
    } catch (failure) {
      if (!library.missed()) throw failure;
    }
    enough = false; // for good: a few letters of this kind seldom come alone
  }
  return work(await whole());
}

export const HIDDEN = "0000000000000000";

interface KeyPacket {
  version: number;
  publicKeyID: { toHex(): string };
  sessionKey: Uint8Array | null;
  sessionKeyAlgorithm: number | null;
  decrypt(key: object): Promise<void>;
}

export interface SessionKey {
  data: Uint8Array;
  algorithm: number;
}

export type Verifications = Awaited<ReturnType<Library["decrypt"]>>["signatures"];

const idOf = (key: { getKeyID(): { toHex(): string } }): string => key.getKeyID().toHex();

/** Tells which key packets these keys can open. */
export function keyIds(keys: readonly PrivateKey[]): Set<string> {
  return new Set(keys.flatMap((key) => key.getKeys().map((one) => idOf(one as never).toUpperCase())));
}

/** The session key in the first key packet one of these keys opens. Raises Failed("locked") when none does. */
export async function sessionKey(library: Library, packets: Iterable<unknown>, keys: readonly PrivateKey[]): Promise<SessionKey> {
  for (const packet of packets) {
    if (!(packet instanceof library.PublicKeyEncryptedSessionKeyPacket)) continue;
    const found = packet as unknown as KeyPacket;
    if (found.version !== 3) continue;
    const named = found.publicKeyID.toHex();
    for (const key of keys.flatMap((one) => one.getKeys())) {
      if (named !== HIDDEN && named !== idOf(key as never)) continue;
      try {
        await found.decrypt(key.keyPacket);
      } catch {
        continue;
      }
      if (found.sessionKey !== null && found.sessionKeyAlgorithm !== null) {
        return { data: found.sessionKey, algorithm: found.sessionKeyAlgorithm };
      }
    }
  }
  throw new Failed("locked");
}

export interface Opened {
  data: Bytes;
  signatures: Verifications;
}

/** Opens a binary message. Nothing comes out unless it is whole: the library checks before it gives. */
export async function openMessage(
  library: Library, bytes: Bytes, keys: readonly PrivateKey[], authors: PublicKey[] = [],
): Promise<Opened> {
  const { decrypt, enums, readMessage } = library;
  const message = await readMessage({ binaryMessage: bytes }).catch(() => null);
  if (message === null) throw new Failed("damaged");
  const packets = (message as unknown as { packets: Iterable<unknown> }).packets;
  const session = await sessionKey(library, packets, keys);
  try {
    const algorithm = enums.read(enums.symmetric, session.algorithm) as never;
    const sessionKeys = [{ data: session.data, algorithm }];
    const made = await decrypt({ message, sessionKeys, verificationKeys: authors, format: "binary" });
    return { data: made.data as Bytes, signatures: made.signatures };
  } catch {
    throw new Failed("damaged");
  }
}
