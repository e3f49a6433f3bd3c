// Keys of people: made here, brought from another program, exported to one. In a chunk of its own with the library.
import { base64, fromBase64, fromUtf8, type Bytes } from "../lib/bytes.ts";
import { armor } from "./armor.ts";
import { Failed } from "./failed.ts";
import type { Keyring } from "./keyring.ts";
import {
  decryptKey,
  encryptKey,
  generateKey,
  readKey,
  readPrivateKey,
  type PrivateKey,
  type PublicKey,
} from "./openpgp.ts";
import { openMessage } from "./packets.ts";
import type { NewKey } from "./protocol.ts";

const YEAR = 365 * 86400; // seconds
const UNIVERSAL = new Set(["rsaEncryptSign", "rsaEncrypt", "eddsaLegacy", "ecdh", "ecdsa"]);

const upper = (key: PublicKey): string => key.getFingerprint().toUpperCase();

/** The universal profile: v4, Ed25519 and Cv25519 in their legacy forms, which every program reads. */
export async function makeKey(keyring: Keyring, address: string, years: number): Promise<NewKey> {
  const { privateKey } = await generateKey({
    type: "ecc",
    curve: "ed25519Legacy",
    userIDs: [{ email: address }],
    keyExpirationTime: years * YEAR,
    format: "object",
  });
  return keyring.add(upper(privateKey), privateKey.toPublic().write() as Bytes, privateKey.write() as Bytes);
}

/** A secret key exported by another program. Raises Failed with the reason in a slug. */
export async function importKey(keyring: Keyring, armored: string, passphrase: string, address: string): Promise<NewKey> {
  const read = await readKey({ armoredKey: armored }).catch(() => null);
  if (read === null) throw new Failed("key-unreadable");
  if (!read.isPrivate()) throw new Failed("key-public-only");
  const locked = await readPrivateKey({ armoredKey: armored });
  const key = locked.isDecrypted() ? locked : await decryptKey({ privateKey: locked, passphrase }).catch(() => null);
  if (key === null) throw new Failed("passphrase-wrong");
  await usable(key, address);
  return keyring.add(upper(key), key.toPublic().write() as Bytes, key.write() as Bytes);
}

/** The certificate alone, for who keeps the secret elsewhere. */
export async function readCertificate(armored: string, address: string): Promise<{ certificate: string }> {
  const read = await readKey({ armoredKey: armored }).catch(() => null);
  if (read === null) throw new Failed("key-unreadable");
  const certificate = read.toPublic();
  if (!bears(certificate, address)) throw new Failed("key-other-address");
  return { certificate: base64(certificate.write()) };
}

const bears = (key: PublicKey, address: string): boolean =>
  key.getUserIDs().some((id) => (/<([^<>]*)>\s*$/.exec(id)?.[1] ?? id).trim().toLowerCase() === address.toLowerCase());

async function usable(key: PrivateKey, address: string): Promise<void> {
  if (!bears(key, address)) throw new Failed("key-other-address");
  try {
    const signing = await key.getSigningKey();
    const sealing = await key.getEncryptionKey();
    for (const one of [signing, sealing]) {
      const packet = one.keyPacket as unknown as { version: number; isDummy?: () => boolean };
      const fits = packet.version === 4 && UNIVERSAL.has(one.getAlgorithmInfo().algorithm);
      if (!fits || packet.isDummy?.()) throw new Failed("key-refused");
    }
  } catch {
    throw new Failed("key-refused"); // expired, revoked, without a subkey to seal to
  }
}

/** Under a passphrase of its own, in the form every program imports. */
export async function exportKey(keyring: Keyring, fingerprint: string, passphrase: string): Promise<{ armored: string }> {
  if (passphrase === "") throw new Failed("passphrase-needed");
  const privateKey = await readPrivateKey({ binaryKey: keyring.secret(fingerprint) });
  return { armored: (await encryptKey({ privateKey, passphrase })).armor() };
}

/** What the server hid from all but the holder of the secret: 64 hex digits. */
export async function answerChallenge(keyring: Keyring, message: string): Promise<{ nonce: string }> {
  const keys = (await keyring.own()).map((one) => one.key);
  const nonce = fromUtf8((await openMessage(fromBase64(message), keys)).data).trim();
  // The holder's key must not become a tool that opens any letter for the server.
  if (!/^[0-9a-f]{64}$/i.test(nonce)) throw new Failed("challenge-refused");
  return { nonce };
}

export const armoredMessage = (message: string): { armored: string } => ({ armored: fromUtf8(armor(fromBase64(message))) });
