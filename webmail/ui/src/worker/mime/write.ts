// Writing MIME: fields, text, attachments. Lines end in CRLF and stay short; a value cannot open a second field.
import { base64, concat, random, hex, utf8, type Bytes } from "../../lib/bytes.ts";
import type { Person } from "../../lib/contract.ts";
import { base64Lines } from "../armor.ts";
import { clean } from "./fields.ts";

export type FieldPair = readonly [name: string, value: string];

const ASCII = /^[\x20-\x7e]*$/;

/** Encoded words (RFC 2047 §2) of at most 75 characters, never cutting a character. */
function words(text: string): string[] {
  const made: string[] = [];
  let piece = "";
  for (const one of text) {
    if (utf8(piece + one).length > 42) {
      made.push(piece);
      piece = "";
    }
    piece += one;
  }
  return [...made, piece].map((each) => `=?utf-8?b?${base64(utf8(each))}?=`);
}

export const unstructured = (text: string): string => {
  const one = clean(text);
  return ASCII.test(one) && !one.includes("=?") ? one : words(one).join(" ");
};

export function mailbox({ name, address }: Person): string {
  const spec = address.replace(/[\s<>,;"()\\]/g, "");
  const shown = clean(name);
  if (shown === "") return spec;
  const phrase = ASCII.test(shown) ? `"${shown.replace(/["\\]/g, "")}"` : words(shown).join(" ");
  return `${phrase} <${spec}>`;
}

/** `Name: value`, folded at blanks. */
export function field([name, value]: FieldPair): string {
  const lines: string[] = [];
  let line = `${name}:`;
  for (const word of value.split(" ").filter((one) => one !== "")) {
    if (line.length + 1 + word.length > 76 && line !== `${name}:`) {
      lines.push(line);
      line = "";
    }
    line += ` ${word}`;
  }
  return [...lines, line].join("\r\n") + "\r\n";
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** RFC 5322 §3.3, in UTC: a clock's zone would tell where one is. */
export function dateText(ms: number): string {
  const at = new Date(ms);
  const two = (one: number): string => String(one).padStart(2, "0");
  const day = `${DAYS[at.getUTCDay()]}, ${two(at.getUTCDate())} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
  return `${day} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} +0000`;
}

/** Quoted-printable (RFC 2045 §6.7) of text with CRLF. */
export function quoted(text: string): string {
  return text
    .replace(/\r\n?|\n/g, "\n")
    .split("\n")
    .map(quotedLine)
    .join("\r\n");
}

function quotedLine(line: string): string {
  const bytes = utf8(line);
  const made: string[] = [];
  let current = "";
  bytes.forEach((one, at) => {
    const blank = one === 32 || one === 9;
    const plain = (one > 32 && one < 127 && one !== 61) || (blank && at < bytes.length - 1);
    const piece = plain ? String.fromCharCode(one) : `=${one.toString(16).toUpperCase().padStart(2, "0")}`;
    if (current.length + piece.length > 75) {
      made.push(`${current}=`);
      current = "";
    }
    current += piece;
  });
  return [...made, current].join("\r\n");
}

export interface File {
  name: string;
  type: string;
  data: Uint8Array;
}

export const newBoundary = (): string => hex(random(16));

/** The content fields and the body of a letter; `marks` are parameters added to the outermost Content-Type. */
export function body(text: string, files: readonly File[], marks: string): { fields: string; octets: Bytes } {
  const plain = "Content-Transfer-Encoding: quoted-printable\r\n";
  if (files.length === 0) {
    return {
      fields: `Content-Type: text/plain; charset=utf-8${marks}\r\n${plain}`,
      octets: utf8(quoted(text.trimEnd()) + "\r\n"),
    };
  }
  const boundary = newBoundary();
  const pieces: Bytes[] = [
    utf8(`--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n${plain}\r\n${quoted(text.trimEnd())}\r\n`),
  ];
  for (const file of files) {
    pieces.push(utf8(`--${boundary}\r\n${attachmentFields(file)}\r\n`), base64Lines(file.data));
  }
  pieces.push(utf8(`--${boundary}--\r\n`));
  return { fields: `Content-Type: multipart/mixed; boundary="${boundary}"${marks}\r\n`, octets: concat(pieces) };
}

function attachmentFields({ name, type }: File): string {
  const shown = clean(name).replace(/["\\]/g, "_") || "document";
  const safe = ASCII.test(shown) ? shown : shown.normalize("NFD").replace(/[^\x20-\x7e]/g, "");
  // RFC 6047 §2.4: programs look for an answer in what is neither attached nor without its method.
  const method = /^text\/calendar; *method=([a-z]+)$/.exec(type)?.[1];
  if (method !== undefined) return `Content-Type: text/calendar; charset=utf-8; method=${method.toUpperCase()};\r\n name="${safe || "document"}"\r\nContent-Transfer-Encoding: base64\r\n`;
  const kind = /^[a-z]+\/[a-z0-9.+-]+$/.test(type) ? type : "application/octet-stream";
  // RFC 2231 §4 for names that are not ASCII, before a plain one for programs that know no better.
  const coded = encodeURIComponent(shown).replace(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
  const long = ASCII.test(shown) ? "" : `\r\n filename*=utf-8''${coded};`;
  return (
    `Content-Type: ${kind}${kind === "text/plain" ? "; charset=utf-8" : ""};\r\n name="${safe || "document"}"\r\n` +
    `Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;${long}\r\n filename="${safe || "document"}"\r\n`
  );
}
