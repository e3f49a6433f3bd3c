// The few words a list shows of a letter, sealed beside it so that a page of fifty needs fifty small openings and not
// fifty letters. Same shape and same limit as the server's own (payloads.findings).
import { fromUtf8, utf8, type Bytes } from "../lib/bytes.ts";
import type { Line, OpenedLetter } from "./protocol.ts";

const LIMIT = 1024; // octets
const encode = (line: Line): Bytes =>
  utf8(JSON.stringify({ subject: line.subject, from: line.from, text: line.text, parts: line.parts }));

export function summarise(subject: string, from: string, text: string, parts: [string, string][]): Line {
  const words = text.slice(0, 1200).split(/\s+/).join(" ").trim().slice(0, 300);
  const line: Line = {
    subject: subject.slice(0, 200),
    from: from.slice(0, 80),
    text: whole(words),
    parts: parts.slice(0, 5).map(([name, type]) => [name.slice(0, 60), type.slice(0, 60)]),
  };
  while (encode(line).length > LIMIT) {
    if (line.text !== "") line.text = line.text.length > 8 ? whole(line.text.slice(0, (line.text.length * 3) / 4 - 1)) : "";
    else if (line.parts.length > 0) line.parts.pop();
    else {
      line.subject = whole(line.subject.slice(0, line.subject.length / 2));
      line.from = whole(line.from.slice(0, line.from.length / 2));
    }
  }
  return line;
}

/** Without half a character at its end. */
const whole = (text: string): string => text.replace(/[\ud800-\udbff]$/, "");

export const summaryBytes = encode;

export const lineOf = (letter: OpenedLetter): Line =>
  summarise(letter.subject, letter.from?.name ?? "", letter.text, letter.parts.filter((part) => !part.inline).map((part) => [part.name, part.type]));

/** A summary as it came out of its seal; null when it is none. */
export function readSummary(clear: Uint8Array): Line | null {
  try {
    const found = JSON.parse(fromUtf8(clear)) as Partial<Record<keyof Line, unknown>>;
    const parts = Array.isArray(found.parts) ? (found.parts as unknown[]) : [];
    return {
      subject: String(found.subject ?? "").slice(0, 400),
      from: String(found.from ?? "").slice(0, 200),
      text: String(found.text ?? "").slice(0, 600),
      parts: parts
        .filter((one): one is unknown[] => Array.isArray(one))
        .slice(0, 10)
        .map((one) => [String(one[0] ?? "").slice(0, 120), String(one[1] ?? "").slice(0, 120)]),
    };
  } catch {
    return null;
  }
}
