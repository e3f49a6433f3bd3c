// Secrets under a key: 0x01, 12 bytes of nonce, AES-256-GCM. The associated data says what it is and whose, so that
// no wrap can stand in another's place.
import { concat, random, utf8, type Bytes } from "../lib/bytes.ts";
import { Failed } from "./failed.ts";

const VERSION = 1;

export const accountKey = (account: string): string => `vaguemestre/account-key/v1/${account}`;
export const secretKey = (fingerprint: string): string => `vaguemestre/secret-key/v1/${fingerprint.toUpperCase()}`;
export const deviceKey = (account: string): string => `vaguemestre/device/v1/${account}`;

export async function wrap(key: CryptoKey, clear: Bytes, what: string, nonce: Bytes = random(12)): Promise<Bytes> {
  const how = { name: "AES-GCM", iv: nonce, additionalData: utf8(what) };
  return concat([Uint8Array.of(VERSION), nonce, new Uint8Array(await crypto.subtle.encrypt(how, key, clear))]);
}

/** Raises Failed with `slug` when the key does not fit or the bytes were touched. */
export async function unwrap(key: CryptoKey, wrapped: Bytes, what: string, slug = "unlock-refused"): Promise<Bytes> {
  if (wrapped[0] !== VERSION || wrapped.length < 29) throw new Failed(slug);
  const how = { name: "AES-GCM", iv: wrapped.subarray(1, 13), additionalData: utf8(what) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, key, wrapped.subarray(13)));
  } catch {
    throw new Failed(slug);
  }
}
