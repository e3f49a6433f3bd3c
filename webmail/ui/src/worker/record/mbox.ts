// Letters as an mbox file (RFC 4155, the "mboxrd" way): any mail program reads it. Opened letters stand there in clear,
// with the fields that only stood outside; a letter that cannot be opened stands as it came.
import { concat, latin1, utf8, type Bytes } from "../../lib/bytes.ts";
import type { Part } from "../mime/parts.ts";

const OUTSIDE = ["from", "to", "cc", "date", "message-id", "in-reply-to", "references", "subject"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LF = 10;
const CR = 13;

function fromLine(address: string, at: number): string {
  const day = new Date(at);
  const two = (one: number): string => String(one).padStart(2, "0");
  const time = `${two(day.getUTCHours())}:${two(day.getUTCMinutes())}:${two(day.getUTCSeconds())}`;
  const sender = address.replace(/[^\x21-\x7e]/g, "") || "MAILER-DAEMON";
  return `From ${sender} ${DAYS[day.getUTCDay()]} ${MONTHS[day.getUTCMonth()]} ${String(day.getUTCDate()).padStart(2)} ${time} ${day.getUTCFullYear()}\n`;
}

/** One letter of the file. Lines end in LF, and one that could begin another letter gets a ">". */
export function entry(address: string, at: number, clear: Uint8Array, inside: Part | null, outside: Part | null): Bytes {
  const there = new Set(inside?.fields.map((one) => one.name));
  const missing = (outside?.fields ?? []).filter((one) => OUTSIDE.includes(one.name) && !there.has(one.name));
  const fields = inside === null || inside === outside ? "" : missing.map(({ name, value }) => `${name.replace(/(^|-)[a-z]/g, (one) => one.toUpperCase())}: ${value}\n`).join("");
  return concat([utf8(fromLine(address, at)), Uint8Array.from(fields, (one) => one.charCodeAt(0)), escaped(clear), utf8("\n")]);
}

function escaped(message: Uint8Array): Bytes {
  const made = new Uint8Array(message.length * 2 + 1);
  let to = 0;
  for (let at = 0; at < message.length; ) {
    const next = message.indexOf(LF, at);
    const end = next < 0 ? message.length : next;
    if (/^>*From /.test(latin1(message.subarray(at, Math.min(end, at + 64))))) made[to++] = 62;
    const line = message.subarray(at, message[end - 1] === CR && end > at ? end - 1 : end);
    made.set(line, to);
    to += line.length;
    made[to++] = LF;
    at = end + 1;
  }
  return made.slice(0, to);
}
