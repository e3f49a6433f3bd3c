// ASCII armor (RFC 9580 §6.2) and base64 in lines of 76 with CRLF, written and read over bytes: letters are large.
import { concat, latin1, utf8, type Bytes } from "../lib/bytes.ts";
import { unbase64 } from "./mime/parts.ts";

const ALPHABET = utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PAD = 61;
const LINE = 76;
const BEGIN = "-----BEGIN PGP MESSAGE-----";
const END = "-----END PGP MESSAGE-----";

/** Base64, each line ended by CRLF. */
export function base64Lines(data: Uint8Array): Bytes {
  const characters = Math.ceil(data.length / 3) * 4;
  const made = new Uint8Array(characters + 2 * Math.ceil(characters / LINE));
  let at = 0;
  let column = 0;
  for (let index = 0; index < data.length; index += 3) {
    const left = data.length - index;
    const three = (data[index]! << 16) | ((data[index + 1] ?? 0) << 8) | (data[index + 2] ?? 0);
    made[at++] = ALPHABET[three >> 18]!;
    made[at++] = ALPHABET[(three >> 12) & 63]!;
    made[at++] = left > 1 ? ALPHABET[(three >> 6) & 63]! : PAD;
    made[at++] = left > 2 ? ALPHABET[three & 63]! : PAD;
    column += 4;
    if (column === LINE || left <= 3) {
      made[at++] = 13;
      made[at++] = 10;
      column = 0;
    }
  }
  return made;
}

const CRC = Uint32Array.from({ length: 256 }, (_, one) => {
  let crc = one << 16;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x800000 ? 0x1864cfb : 0);
  return crc & 0xffffff;
});

function crc24(data: Uint8Array): number {
  let crc = 0xb704ce;
  for (let at = 0; at < data.length; at++) crc = ((crc << 8) ^ CRC[((crc >> 16) ^ data[at]!) & 255]!) & 0xffffff;
  return crc;
}

/** GnuPG 2.2 needs the checksum: without it the END line is taken for data now and then. */
export function armor(data: Bytes): Bytes {
  const crc = crc24(data);
  const checksum = base64Lines(Uint8Array.of(crc >> 16, (crc >> 8) & 255, crc & 255));
  return concat([utf8(`${BEGIN}\r\n\r\n`), base64Lines(data), utf8("="), checksum, utf8(`${END}\r\n`)]);
}

/** The first armored message in these bytes; binary ones are taken as they are; null when there is none. */
export function dearmor(bytes: Bytes): Bytes | null {
  if ((bytes[0] ?? 0) >= 0x80) return bytes;
  const text = new TextDecoder("latin1").decode(bytes); // one character per byte, whatever it is
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) return null;
  const body = begin + BEGIN.length;
  // Armor headers end with an empty line; some programs leave both out.
  const blank = /\n[ \t]*\r?\n/.exec(text.slice(body, Math.min(end, body + 4096)));
  const start = blank === null ? body : body + blank.index + blank[0].length;
  const checksum = /\n=[A-Za-z0-9+/]{4}\s*$/.exec(latin1(bytes.subarray(Math.max(start, end - 64), end)));
  const stop = checksum === null ? end : end - checksum[0].length;
  const data = unbase64(bytes.subarray(start, stop));
  return data.length > 0 ? data : null;
}
