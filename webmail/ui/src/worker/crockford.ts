// Codes for people: Crockford's base32, no I L O U. The recovery code is 24 characters (120 random bits) and one
// that checks them. Read tolerantly: case, blanks and dashes do not count, O is 0, I and L are 1.
import { random, type Bytes } from "../lib/bytes.ts";
import { Failed } from "./failed.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 24;

/** The character that checks those before it: sum of value × weight, weights from 1. */
export function checkCharacter(body: string): string {
  let sum = 0;
  for (let at = 0; at < body.length; at++) sum += ALPHABET.indexOf(body[at]!) * (at + 1);
  return ALPHABET[sum % 32]!;
}

export const plain = (typed: string): string =>
  typed.toUpperCase().replace(/[\s\p{Pd}_.]/gu, "").replaceAll("O", "0").replace(/[IL]/g, "1");

export function encode(secret: Uint8Array): string {
  let bits = "";
  for (const one of secret) bits += one.toString(2).padStart(8, "0");
  let body = "";
  for (let at = 0; at < bits.length; at += 5) body += ALPHABET[parseInt(bits.slice(at, at + 5), 2)];
  return grouped(body + checkCharacter(body));
}

/** Six groups; the last holds the check character as well. */
const grouped = (code: string): string => code.replace(/^(.{4})(.{4})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-$5-");

export const newRecoveryCode = (): string => encode(random(15));

/** The 15 bytes of a recovery code. Raises Failed when it cannot be one. */
export function parseRecoveryCode(typed: string): Bytes {
  const code = plain(typed);
  const body = code.slice(0, LENGTH);
  const known = [...code].every((one) => ALPHABET.includes(one));
  if (code.length !== LENGTH + 1 || !known || checkCharacter(body) !== code[LENGTH]) throw new Failed("recovery-refused");
  const secret = new Uint8Array(15);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const one of body) {
    bits = (bits << 5) | ALPHABET.indexOf(one);
    held += 5;
    if (held >= 8) {
      held -= 8;
      secret[at++] = (bits >> held) & 0xff;
      bits &= (1 << held) - 1;
    }
  }
  return secret;
}
