// Header fields: unfolding, encoded words (RFC 2047), parameters (RFC 2045, RFC 2231), addresses. Never raises: what
// cannot be read is shown as it came.
import { fromBase64, latin1, type Bytes } from "../../lib/bytes.ts";
import type { Person } from "../../lib/contract.ts";

export interface Field {
  name: string; // lower case
  value: string; // unfolded, one character per byte
}

const MOST_HEADER = 256 * 1024;
const MOST_FIELDS = 1000;

export function decodeCharset(bytes: Uint8Array, charset: string): string {
  // "us-ascii" and silence cover UTF-8 sent by programs that say nothing.
  if (!/^(|us-ascii|ascii|utf-?8|unknown-8bit)$/i.test(charset)) {
    try {
      return new TextDecoder(charset).decode(bytes);
    } catch {
      // a charset nobody knows
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

const bytesOf = (text: string): Bytes => Uint8Array.from(text, (one) => one.charCodeAt(0));

/** The fields between `start` and `end`. */
export function fields(message: Uint8Array, start: number, end: number): Field[] {
  const text = latin1(message.subarray(start, Math.min(end, start + MOST_HEADER)));
  const found: Field[] = [];
  for (const line of text.split(/\r?\n(?![ \t])/)) {
    const colon = line.indexOf(":");
    if (colon <= 0 || found.length >= MOST_FIELDS) continue;
    const value = line.slice(colon + 1).replace(/\r?\n/g, "");
    found.push({ name: line.slice(0, colon).trim().toLowerCase(), value: value.trim() });
  }
  return found;
}

export const first = (all: readonly Field[], name: string): string => all.find((one) => one.name === name)?.value ?? "";

const WORD = /=\?([^\s?*]+)(?:\*[^\s?]*)?\?([bq])\?([^\s?]*)\?=/gi;

/** Text of an unstructured field for people: encoded words decoded, control characters gone. */
export function decodeWords(value: string): string {
  const joined = value.replace(/(\?=)\s+(?==\?[^\s?]+\?[bq]\?)/gi, "$1");
  // A character may be cut between two words of one charset: their bytes are joined before they are decoded.
  const runs: { charset: string; bytes: number[] }[] = [];
  const add = (charset: string, bytes: Uint8Array): void => {
    const last = runs.at(-1);
    if (last?.charset === charset) bytes.forEach((one) => last.bytes.push(one));
    else if (bytes.length > 0) runs.push({ charset, bytes: [...bytes] });
  };
  let at = 0;
  for (const match of joined.matchAll(WORD)) {
    add("", bytesOf(joined.slice(at, match.index)));
    add(match[1]!.toLowerCase(), wordBytes(match[2]!, match[3]!));
    at = match.index + match[0].length;
  }
  add("", bytesOf(joined.slice(at)));
  return clean(runs.map(({ charset, bytes }) => decodeCharset(Uint8Array.from(bytes), charset)).join(""));
}

function wordBytes(encoding: string, text: string): Uint8Array {
  if (/b/i.test(encoding)) {
    try {
      return fromBase64(text);
    } catch {
      return bytesOf(text);
    }
  }
  return bytesOf(text.replaceAll("_", " ").replace(/=([0-9a-f]{2})/gi, (_, pair: string) => String.fromCharCode(parseInt(pair, 16))));
}

/** Without what could turn a line around or hide in it. */
export const clean = (text: string): string => text.replace(/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]+/g, " ").trim();

export interface Parameterised {
  value: string; // lower case
  params: Map<string, string>;
}

const PARAMETER = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/g;

export function parameterised(field: string): Parameterised {
  const value = (/^[^;]*/.exec(field)?.[0] ?? "").trim().toLowerCase();
  const plain = new Map<string, string>();
  const pieces = new Map<string, { at: number; text: string; coded: boolean }[]>();
  for (const [, name = "", quoted, bare] of field.matchAll(PARAMETER)) {
    const text = quoted === undefined ? (bare ?? "").trim() : quoted.replace(/\\(.)/g, "$1");
    const starred = /^([^*]+)(?:\*(\d{1,3}))?(\*)?$/.exec(name.toLowerCase());
    if (starred === null) continue;
    if (starred[2] === undefined && starred[3] === undefined) {
      if (!plain.has(starred[1]!)) plain.set(starred[1]!, decodeWords(text));
      continue;
    }
    const list = pieces.get(starred[1]!) ?? [];
    list.push({ at: Number(starred[2] ?? 0), text, coded: starred[3] !== undefined });
    pieces.set(starred[1]!, list);
  }
  // RFC 2231 §3, §4: numbered pieces, percent signs where starred, a charset before the first.
  for (const [name, list] of pieces) plain.set(name, continued(list.sort((a, b) => a.at - b.at)));
  return { value, params: plain };
}

function continued(list: { text: string; coded: boolean }[]): string {
  const charset = list[0]!.coded ? /^([^']*)'[^']*'/.exec(list[0]!.text) : null;
  const text = list
    .map(({ text, coded }, at) => {
      const rest = at === 0 && charset !== null ? text.slice(charset[0].length) : text;
      return coded ? rest.replace(/%([0-9a-f]{2})/gi, (_, pair: string) => String.fromCharCode(parseInt(pair, 16))) : rest;
    })
    .join("");
  return clean(decodeCharset(bytesOf(text), charset?.[1] ?? ""));
}

/** The mailboxes of From, To or Cc. */
export function people(value: string): Person[] {
  const found: Person[] = [];
  for (const piece of separated(value)) {
    const angled = /^(.*)<([^<>]*)>[^<>]*$/s.exec(piece);
    const address = (angled?.[2] ?? piece).trim();
    const phrase = (angled?.[1] ?? "").trim().replace(/^"(.*)"$/s, "$1");
    if (/^[^\s@]+@[^\s@]+$/.test(address)) found.push({ name: decodeWords(phrase.replace(/\\(.)/g, "$1")), address });
  }
  return found;
}

/** Split at commas and semicolons outside quotes. */
function separated(value: string): string[] {
  const pieces = [""];
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const one = value[at]!;
    if (one === '"') quoted = !quoted;
    if (one === "\\" && quoted) pieces[pieces.length - 1] += one + (value[++at] ?? "");
    else if (!quoted && (one === "," || one === ";")) pieces.push("");
    else pieces[pieces.length - 1] += one;
  }
  return pieces;
}
