// A MIME message as a tree with offsets (RFC 2046): nothing is copied until a part is asked for. Never raises; depth and
// number of parts are bounded, and what lies beyond is left unread.
import { latin1, type Bytes } from "../../lib/bytes.ts";
import { decodeCharset, fields, first, parameterised, type Field } from "./fields.ts";

export interface Part {
  type: string; // "text/plain"
  params: Map<string, string>;
  fields: Field[];
  start: number;
  body: number;
  end: number;
  children: Part[];
}

const MOST_DEPTH = 16;
const MOST_PARTS = 500;
const LF = 10;
const DASH = 45;

export function parse(message: Bytes): Part {
  return part(message, 0, message.length, 0, { left: MOST_PARTS }, "text/plain");
}

function part(message: Bytes, start: number, end: number, depth: number, count: { left: number }, silent: string): Part {
  count.left -= 1;
  const body = headerEnd(message, start, end);
  const all = fields(message, start, body);
  const { value, params } = parameterised(first(all, "content-type"));
  const type = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(value) ? value : silent;
  const made: Part = { type, params, fields: all, start, body, end, children: [] };
  const boundary = params.get("boundary") ?? "";
  if (type.startsWith("multipart/") && boundary !== "" && depth < MOST_DEPTH) {
    const inside = type === "multipart/digest" ? "message/rfc822" : "text/plain";
    for (const [from, to] of between(message, body, end, boundary)) {
      if (count.left <= 0) break;
      made.children.push(part(message, from, to, depth + 1, count, inside));
    }
  }
  return made;
}

/** Where the body begins: after the first empty line. */
function headerEnd(message: Bytes, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const next = message.indexOf(LF, at);
    if (next < 0 || next >= end) return end;
    const length = next - at;
    if (length === 0 || (length === 1 && message[at] === 13)) return next + 1;
    at = next + 1;
  }
  return end;
}

/** Ranges between delimiter lines; the line end before a delimiter belongs to it (RFC 2046 §5.1.1). */
function between(message: Bytes, start: number, end: number, boundary: string): [number, number][] {
  const ranges: [number, number][] = [];
  let from = -1;
  for (let at = lineWithDashes(message, start, end); at >= 0; at = lineWithDashes(message, at + 1, end)) {
    const stop = Math.min(lineEnd(message, at, end), at + 2048);
    const line = latin1(message.subarray(at + 2, stop)).trimEnd();
    const closes = line === `${boundary}--`;
    if (!closes && line !== boundary) continue;
    if (from >= 0) {
      const cut = message[at - 2] === 13 ? at - 2 : at - 1;
      ranges.push([from, Math.max(from, cut)]);
    }
    from = closes ? -1 : Math.min(lineEnd(message, at, end) + 1, end);
    if (closes || ranges.length > MOST_PARTS) return ranges;
  }
  if (from >= 0) ranges.push([from, end]); // cut short: what there is
  return ranges;
}

function lineEnd(message: Bytes, at: number, end: number): number {
  const next = message.indexOf(LF, at);
  return next < 0 || next > end ? end : next;
}

/** The next line that begins with two dashes, from the start of a line on. */
function lineWithDashes(message: Bytes, start: number, end: number): number {
  for (let at = start; at < end; ) {
    const begins = at === 0 || message[at - 1] === LF;
    if (begins && message[at] === DASH && message[at + 1] === DASH) return at;
    const next = message.indexOf(LF, at);
    if (next < 0) return -1;
    at = next + 1;
  }
  return -1;
}

/** The decoded octets of a part. */
export function content(message: Bytes, of: Part): Bytes {
  const body = message.subarray(of.body, of.end);
  const encoding = first(of.fields, "content-transfer-encoding").toLowerCase();
  if (encoding === "base64") return unbase64(body);
  if (encoding === "quoted-printable") return unquoted(body);
  return body;
}

export const text = (message: Bytes, of: Part): string => decodeCharset(content(message, of), of.params.get("charset") ?? "");

const DIGITS = new Uint8Array(256).fill(255);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((one, at) => {
  DIGITS[one.charCodeAt(0)] = at;
});

/** Base64 with whatever else stands between its digits. */
export function unbase64(coded: Uint8Array): Bytes {
  const made = new Uint8Array(Math.ceil((coded.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let index = 0; index < coded.length; index++) {
    const digit = DIGITS[coded[index]!]!;
    if (digit === 255) continue;
    bits = ((bits << 6) | digit) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      made[at++] = bits >> held;
    }
  }
  return made.subarray(0, at);
}

export function unquoted(coded: Uint8Array): Bytes {
  const made = new Uint8Array(coded.length);
  let at = 0;
  for (let index = 0; index < coded.length; index++) {
    const one = coded[index]!;
    if (one !== 61) {
      made[at++] = one;
      continue;
    }
    const soft = /^=[ \t]*\r?\n/.exec(latin1(coded.subarray(index, index + 80)));
    if (soft !== null) {
      index += soft[0].length - 1;
      continue;
    }
    const pair = latin1(coded.subarray(index + 1, index + 3));
    if (/^[0-9a-f]{2}$/i.test(pair)) {
      made[at++] = parseInt(pair, 16);
      index += 2;
    } else made[at++] = one;
  }
  return made.subarray(0, at);
}
