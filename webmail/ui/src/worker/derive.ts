// From what a person knows or holds to a pair: `login`, which the server may see, and `kek`, which never leaves the
// worker. Argon2id for passwords (a wasm build, fetched when first needed), HKDF for what is random already.
import { random, utf8, type Bytes } from "../lib/bytes.ts";
import { Failed } from "./failed.ts";
import type { PasswordParams } from "./protocol.ts";

export interface Pair {
  login: Bytes;
  kek: CryptoKey;
}

export const PARAMS: PasswordParams = { algorithm: "argon2id", memory: 65536, passes: 3, lanes: 1 };
// A server that asked for less would have passwords guessed faster; one that asked for too much would freeze phones.
const LEAST = { memory: 19456, passes: 2 };
const MOST = { memory: 262144, passes: 12, lanes: 4 };
const SHORTEST = 8; // octets

const octets = (password: string): Bytes => utf8(password.normalize("NFKC"));
/** Nothing may be closed with it: it could not be opened again. */
export const tooShort = (password: string): boolean => octets(password).length < SHORTEST;

export async function hkdf(secret: Bytes, info: string, length = 32): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, length * 8));
}

export const aesKey = (raw: Bytes): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);

export async function pair(secret: Bytes): Promise<Pair> {
  const login = await hkdf(secret, "vaguemestre/login/v1");
  return { login, kek: await kekOf(secret) };
}

/** A passkey's PRF output opens; it logs nobody in by itself. */
export async function kekOf(secret: Bytes): Promise<CryptoKey> {
  return aesKey(await hkdf(secret, "vaguemestre/kek/v1"));
}

export async function fromPassword(password: string, salt: Bytes, params: PasswordParams): Promise<Pair> {
  const { algorithm, memory, passes, lanes } = params;
  const weak = memory < LEAST.memory || passes < LEAST.passes || lanes < 1 || salt.length < 16;
  const heavy = memory > MOST.memory || passes > MOST.passes || lanes > MOST.lanes;
  if (algorithm !== "argon2id" || weak || heavy) throw new Failed("unknown-parameters");
  // The library takes no fewer, and none is chosen so short: it is a wrong one, and the server shall say so.
  if (tooShort(password)) return pair(random(32));
  const { argon2id } = await import("./argon2.ts");
  const secret = await argon2id({ password: octets(password), salt, memorySize: memory, passes, parallelism: lanes, tagLength: 32 });
  return pair(secret as Bytes);
}

export const newSalt = (): Bytes => random(16);
