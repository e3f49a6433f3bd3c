// What a calendar part holds, as items of a manifest: the same look at its content lines as
// `mail_server/payloads/calendar_items.py`. Never throws; nothing is expanded.
import { latin1 } from "../../lib/bytes.ts";
import { hashOf, newItem } from "./manifest.ts";
import type { Item } from "./manifest_model.ts";

const MOST = 1 << 20; // octets looked at
const ICS = 4096; // characters of a calendar that its item carries whole
const EVENTS = 101;
const WANTED = new Set(["UID", "SEQUENCE", "DTSTAMP", "RECURRENCE-ID", "SUMMARY", "DTSTART", "ORGANIZER"]);

/** One item for each VEVENT. `method`: what the part's type says, for a calendar that says nothing itself.
 * None where the two say otherwise (RFC 6047 §2.4): what cannot be told is a file, and nothing comes of it by itself. */
export async function appointments(content: Uint8Array, part: string, method: string): Promise<Item[]> {
  const text = decoded(content.subarray(0, MOST));
  const look = looked(text);
  const [outer, inner] = [method.trim().toUpperCase(), look.method.toUpperCase()];
  if (outer !== "" && inner !== "" && outer !== inner) return [];
  const hash = await hashOf(content);
  const told = inner || outer;
  return look.events.slice(0, EVENTS).map((event, at) =>
    newItem({
      kind: "appointment",
      id: event.get("UID") ?? "",
      title: unescaped(event.get("SUMMARY") ?? ""),
      at: iso(event.get("DTSTART") ?? ""),
      author: address(event.get("ORGANIZER") ?? ""),
      hash,
      size: content.length,
      part,
      method: told,
      sequence: sequence(event.get("SEQUENCE") ?? ""),
      stamp: iso(event.get("DTSTAMP") ?? ""),
      recurrence: event.get("RECURRENCE-ID") ?? "",
      ics: at === 0 && [...text].length <= ICS ? text : "", // once: the others lie in the same part
    }),
  );
}

function decoded(content: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return latin1(content);
  }
}

function looked(text: string): { method: string; events: Map<string, string>[] } {
  const events: Map<string, string>[] = [];
  const open: string[] = [];
  let method = "";
  for (const line of text.replace(/\r?\n[ \t]/g, "").split(/\r?\n/)) {
    const [name, value] = split(line);
    const inside = open.join("/");
    if (name === "BEGIN") {
      open.push(value.trim().toUpperCase());
      if (open.join("/") === "VCALENDAR/VEVENT") events.push(new Map());
    } else if (name === "END") open.pop();
    else if (name === "METHOD" && inside === "VCALENDAR") method ||= value.trim();
    else if (WANTED.has(name) && inside === "VCALENDAR/VEVENT") {
      const event = events.at(-1)!;
      if (!event.has(name)) event.set(name, value.trim());
    }
  }
  return { method, events };
}

/** Name and value of a content line; parameters, whose quotes may hold a colon, are passed over. */
function split(line: string): [name: string, value: string] {
  const name = /^[A-Za-z0-9-]+/.exec(line)?.[0] ?? "";
  if (name === "") return ["", ""];
  let quoted = false;
  for (let at = name.length; at < line.length; at++) {
    if (line[at] === '"') quoted = !quoted;
    else if (line[at] === ":" && !quoted) return [name.toUpperCase(), line.slice(at + 1)];
  }
  return ["", ""];
}

const unescaped = (value: string): string => value.replace(/\\([nN,;\\])/g, (_, one: string) => (one === "n" || one === "N" ? "\n" : one));

function iso(value: string): string {
  const found = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?$/.exec(value);
  if (found === null) return "";
  const [, year, month, day, hour, minute, second, zone] = found;
  return `${year}-${month}-${day}${hour === undefined ? "" : `T${hour}:${minute}:${second}${zone}`}`;
}

const address = (value: string): string => value.replace(/^mailto:/i, "").toLowerCase();
const sequence = (value: string): number => (/^\d{1,9}$/.test(value) ? Number(value) : 0);
