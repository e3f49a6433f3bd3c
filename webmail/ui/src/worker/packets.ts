// OpenPGP messages as packets, with the whole library: giving a session key to another certificate, and sealing.
// Low in the library on purpose: a swap must not touch the body. Reading, which comes first, is in reading.ts.
//
// Invariants: what is written is key packets v3 and one SEIPDv1, asserted; a failure is a Failed and tells nothing.
import { concat, random, type Bytes } from "../lib/bytes.ts";
import { Failed } from "./failed.ts";
import * as library from "./openpgp.ts";
import { createMessage, encrypt, enums, PacketList, PublicKeyEncryptedSessionKeyPacket, type PrivateKey, type PublicKey } from "./openpgp.ts";
import * as reading from "./reading.ts";
import type { Opened, SessionKey } from "./reading.ts";

// The library's declarations call these private; they are how its own Message does it.
interface KeyPacket {
  version: number;
  publicKeyID: { toHex(): string };
  publicKeyAlgorithm: number;
  sessionKey: Uint8Array | null;
  sessionKeyAlgorithm: number | null;
  encrypt(key: object): Promise<void>;
  write(): Uint8Array;
}

export const sessionKey = (packets: Iterable<unknown>, keys: readonly PrivateKey[]): Promise<SessionKey> =>
  reading.sessionKey(library, packets, keys);

export const openMessage = (bytes: Bytes, keys: readonly PrivateKey[], authors: PublicKey[] = []): Promise<Opened> =>
  reading.openMessage(library, bytes, keys, authors);

const ALLOWED = { [enums.packet.publicKeyEncryptedSessionKey]: PublicKeyEncryptedSessionKeyPacket };

/** The key packets in these bytes; bytes that are not such packets are passed over. */
export async function keyPackets(bytes: Bytes): Promise<Iterable<unknown>> {
  return PacketList.fromBinary(bytes, ALLOWED as never);
}

/** One v3 key packet (RFC 9580 §5.1.1) that gives this session key to the certificate's encryption subkey. */
export async function keyPacketFor(session: SessionKey, certificate: PublicKey): Promise<Bytes> {
  const { keyPacket } = await certificate.getEncryptionKey();
  const made = new PublicKeyEncryptedSessionKeyPacket() as unknown as KeyPacket;
  const to = keyPacket as unknown as { algorithm: number; getKeyID(): KeyPacket["publicKeyID"] };
  made.version = 3;
  made.publicKeyID = to.getKeyID();
  made.publicKeyAlgorithm = to.algorithm;
  made.sessionKey = session.data;
  made.sessionKeyAlgorithm = session.algorithm;
  await made.encrypt(keyPacket);
  const list = new PacketList();
  list.push(made as never);
  return new Uint8Array(list.write());
}

/** A key for one message: AES-256. */
export const newSession = (): SessionKey => ({ data: random(32), algorithm: enums.symmetric.aes256 });

/** Seals to exactly these certificates, one key packet each. Raises Failed rather than write another shape. */
export async function sealMessage(clear: Bytes, certificates: PublicKey[], signer: PrivateKey | null, session = newSession()): Promise<Bytes> {
  const message = await createMessage({ binary: clear, format: "binary" });
  try {
    const made = await encrypt({
      message,
      encryptionKeys: certificates,
      ...(signer === null ? {} : { signingKeys: [signer] }),
      // Given here, it is SEIPDv1 whatever the certificates say they could read.
      sessionKey: { data: session.data, algorithm: "aes256" },
      format: "binary",
    });
    const sealed = made as Bytes;
    if (!universal(sealed, certificates.length)) throw new Failed("wrong-shape");
    return sealed;
  } catch {
    throw new Failed("sealing-failed");
  }
}

/** Whether a message is so many v3 key packets, then one SEIPD packet of version 1. */
export function universal(message: Uint8Array, recipients: number): boolean {
  let at = 0;
  for (let left = recipients; left > 0; left--) {
    const packet = header(message, at);
    if (packet === null || packet.tag !== 1 || packet.length === null || message[packet.body] !== 3) return false;
    at = packet.body + packet.length;
  }
  const last = header(message, at);
  return last !== null && last.tag === 18 && message[last.body] === 1;
}

/** A packet's header (RFC 9580 §4.2); length null when it is partial. */
function header(bytes: Uint8Array, at: number): { tag: number; body: number; length: number | null } | null {
  const first = bytes[at];
  if (first === undefined || (first & 0xc0) !== 0xc0) return null;
  const tag = first & 0x3f;
  const one = bytes[at + 1] ?? 0;
  if (one < 192) return { tag, body: at + 2, length: one };
  if (one < 224) return { tag, body: at + 3, length: ((one - 192) << 8) + (bytes[at + 2] ?? 0) + 192 };
  if (one < 255) return { tag, body: at + 2, length: null };
  const four = concat([bytes.subarray(at + 2, at + 6), new Uint8Array(4)]);
  return { tag, body: at + 6, length: new DataView(four.buffer).getUint32(0) };
}
