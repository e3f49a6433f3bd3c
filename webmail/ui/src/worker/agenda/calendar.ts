// iCalendar (RFC 5545) into values and back: the same rules, and octet for octet the same text, as `reading.py` and
// `writing.py` (which tells why lines are taken apart here and not by a library). The only thing thrown is AgendaRefused.
import { AgendaRefused } from "./model.ts";
import type { Attendee, Component, Message, Method, Organiser, Property, Rule, When } from "./model.ts";
import { ruleOf, ruleText } from "./rules.ts";
import { timezoneLines, zoneOf } from "./zone_names.ts";
import type { Observance, Zone } from "./zone_names.ts";
import { instantOf, isDay, moved } from "./zones.ts";

export const SIZE = 1_000_000; // octets of a file
const LINES = 20_000;
const LINE = 65_536; // characters of one, unfolded
const EVENTS = 500;
const DATES = 1000; // RDATE and EXDATE of one event
const ATTENDEES = 500;
const EXTRA = 100; // properties kept that nothing is known of
const EXTRA_VALUE = 4000;
const DEPTH = 4;
const METHODS: readonly string[] = ["PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"];
const PRODID = "-//Vaguemestre//Agenda 1//FR";

interface Line {
  readonly name: string;
  readonly params: readonly (readonly [string, string])[];
  readonly value: string;
}

interface Block {
  readonly kind: string;
  readonly lines: Line[];
  readonly blocks: Block[];
}

export interface Calendar {
  readonly method: string; // "": it has none
  readonly components: readonly Component[];
}

/** The one VCALENDAR of a file. */
export function readCalendar(data: Uint8Array | string): Calendar {
  if (data.length > SIZE) throw new AgendaRefused("too-large");
  const text = typeof data === "string" ? data : new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
  const found = blocksOf(linesOf(text)).filter((one) => one.kind === "VCALENDAR");
  const [whole] = found;
  if (whole === undefined || found.length !== 1) throw new AgendaRefused("not-a-calendar");
  const method = valueOf(whole, "METHOD").trim().toUpperCase();
  if (method !== "" && !METHODS.includes(method)) throw new AgendaRefused("method");
  const zones = new Map(whole.blocks.filter((one) => one.kind === "VTIMEZONE").map((one) => [valueOf(one, "TZID"), zoneBlock(one)]));
  const events = whole.blocks.filter((one) => one.kind === "VEVENT");
  if (events.length === 0) throw new AgendaRefused("not-an-event");
  if (events.length > EVENTS) throw new AgendaRefused("too-many");
  return { method, components: events.map((one) => componentOf(one, zones)) };
}

/** The iTIP messages of a file, one for each UID (RFC 5546 §3: one per message; Outlook and Google send more). */
export function readMessages(data: Uint8Array | string, sender: string, received: number): Message[] {
  const { method, components } = readCalendar(data);
  if (method === "") throw new AgendaRefused("method");
  const found = new Map<string, Component[]>();
  for (const one of components) found.set(one.uid, [...(found.get(one.uid) ?? []), one]);
  return [...found.values()].map((each) => ({ method: method as Method, components: each, sender, received }));
}

function* linesOf(text: string): Generator<Line> {
  const raw = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/, LINES * 4 + 1);
  if (raw.length > LINES * 4) throw new AgendaRefused("too-many");
  const lines: string[][] = [];
  for (const one of raw) {
    if ((one[0] === " " || one[0] === "\t") && lines.length > 0) lines.at(-1)!.push(one.slice(1));
    else if (one !== "") lines.push([one]);
  }
  if (lines.length > LINES) throw new AgendaRefused("too-many");
  for (const pieces of lines) {
    const whole = pieces.join("").replace(/[\0-\x08\x0b-\x1f\x7f]/g, "");
    if (whole.length > LINE) throw new AgendaRefused("too-large");
    const line = lineOf(whole);
    if (line !== null) yield line;
  }
}

const CARETS: Readonly<Record<string, string>> = { "^n": "\n", "^'": '"', "^^": "^" };

/** Name, parameters, value (RFC 5545 §3.1, RFC 6868). */
function lineOf(written: string): Line | null {
  const name = /^[A-Za-z0-9-]+/.exec(written)?.[0];
  if (name === undefined) return null;
  const param = /;([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)/y;
  const told: [string, string][] = [];
  let at = (param.lastIndex = name.length);
  for (let found = param.exec(written); found !== null; found = param.exec(written)) {
    at = param.lastIndex;
    for (const [one] of found[2]!.matchAll(/"[^"]*"|[^",]+/g)) {
      const value = one.startsWith('"') ? one.slice(1, -1) : one;
      told.push([found[1]!.toUpperCase(), value.replace(/\^[n'^]/g, (each) => CARETS[each]!)]);
    }
  }
  return written[at] === ":" ? { name: name.toUpperCase(), params: told, value: written.slice(at + 1) } : null;
}

function blocksOf(lines: Iterable<Line>): Block[] {
  const top: Block = { kind: "", lines: [], blocks: [] };
  const stack = [top];
  for (const line of lines) {
    if (line.name === "BEGIN") {
      if (stack.length > DEPTH) throw new AgendaRefused("nested");
      const block: Block = { kind: line.value.trim().toUpperCase(), lines: [], blocks: [] };
      stack.at(-1)!.blocks.push(block);
      stack.push(block);
    } else if (line.name === "END") {
      if (stack.length === 1 || stack.at(-1)!.kind !== line.value.trim().toUpperCase()) throw new AgendaRefused("not-a-calendar");
      stack.pop();
    } else stack.at(-1)!.lines.push(line);
  }
  if (stack.length !== 1) throw new AgendaRefused("not-a-calendar");
  return top.blocks;
}

const first = (block: Block, name: string): Line | null => block.lines.find((one) => one.name === name) ?? null;
const valueOf = (block: Block, name: string): string => first(block, name)?.value ?? "";
const param = (line: Line, name: string): string => line.params.find(([one]) => one === name)?.[1] ?? "";

function zoneBlock(block: Block): Zone {
  const observances = block.blocks
    .filter((one) => one.kind === "STANDARD" || one.kind === "DAYLIGHT")
    .map((one): Observance => ({ daylight: one.kind === "DAYLIGHT", offset: minutes(valueOf(one, "TZOFFSETTO")), month: monthOf(one) }));
  return { name: valueOf(block, "TZID"), location: valueOf(block, "X-LIC-LOCATION").trim(), observances };
}

function minutes(written: string): number {
  const found = /^([+-])(\d{2})(\d{2})(?:\d{2})?$/.exec(written.trim());
  if (found === null) throw new AgendaRefused("zone");
  return (found[1] === "+" ? 1 : -1) * (Number(found[2]) * 60 + Number(found[3]));
}

function monthOf(block: Block): number {
  const rule = /BYMONTH=(\d{1,2})(?:;|$)/.exec(valueOf(block, "RRULE").toUpperCase());
  if (rule !== null) return Number(rule[1]);
  const month = valueOf(block, "DTSTART").slice(4, 6);
  return /^\d+$/.test(month) ? Number(month) : 0;
}

// ---------------------------------------------------------------------------------------------------- one event

type Zones = ReadonlyMap<string, Zone>;

const READ = new Set([
  "UID", "RECURRENCE-ID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE", "STATUS", "ORGANIZER",
  "ATTENDEE", "SUMMARY", "LOCATION", "DESCRIPTION", "COMMENT",
]);

function componentOf(block: Block, zones: Zones): Component {
  const uid = valueOf(block, "UID").trim();
  if (uid.length === 0 || length(uid) > 1000) throw new AgendaRefused("uid");
  const start = whenOf(first(block, "DTSTART"), zones);
  const recurrence = first(block, "RECURRENCE-ID");
  const attendees = block.lines.filter((one) => one.name === "ATTENDEE");
  if (attendees.length > ATTENDEES) throw new AgendaRefused("too-many");
  const people = new Map(attendees.map(attendeeOf).filter((one) => one.address !== "").reverse().map((one) => [one.address, one]));
  return {
    uid,
    recurrence: whenOf(recurrence, zones),
    future: recurrence !== null && param(recurrence, "RANGE").toUpperCase() === "THISANDFUTURE",
    sequence: sequenceOf(valueOf(block, "SEQUENCE")),
    stamp: stampOf(valueOf(block, "DTSTAMP")),
    start,
    end: endOf(block, start, zones),
    rule: theRule(block, start),
    rdates: datesOf(block, "RDATE", zones),
    exdates: datesOf(block, "EXDATE", zones),
    status: statusOf(valueOf(block, "STATUS")),
    title: textOf(block, "SUMMARY", 1000),
    place: textOf(block, "LOCATION", 1000),
    description: textOf(block, "DESCRIPTION", 20_000),
    comment: textOf(block, "COMMENT", 2000),
    organiser: organiserOf(first(block, "ORGANIZER")),
    attendees: [...people.values()].reverse(),
    extra: extraOf(block),
  };
}

const whenOf = (line: Line | null, zones: Zones): When | null => (line === null ? null : timeOf(line.value, param(line, "TZID"), zones));

function timeOf(written: string, tzid: string, zones: Zones): When {
  const found = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?$/.exec(written.trim());
  if (found === null) throw new AgendaRefused("time");
  const [, year, month, day, hour, minute, second, utc] = found;
  const date = `${year}-${month}-${day}`;
  const local = hour === undefined ? date : `${date}T${hour}:${minute}:${second === "60" ? "59" : second}`; // a leap second
  const made: When = { local, zone: utc ? "UTC" : tzid !== "" && hour !== undefined ? zoneOf(tzid, zones) : "" };
  const wall = Date.parse(hour === undefined ? `${date}T00:00:00Z` : `${local}Z`);
  if (Number.isNaN(wall) || new Date(wall).toISOString().slice(0, local.length) !== local) throw new AgendaRefused("time");
  if (Number(year) < 1900 || Number(year) > 2200) throw new AgendaRefused("time");
  return made;
}

function stampOf(written: string): string {
  if (written.trim() === "") return "";
  const { local } = timeOf(written, "", new Map());
  return local.length === 10 ? `${local}T00:00:00Z` : `${local}Z`;
}

function sequenceOf(written: string): number {
  const value = written.trim();
  return /^\d{1,9}$/.test(value) ? Number(value) : 0;
}

function statusOf(written: string): string {
  const value = written.trim().toUpperCase();
  return ["TENTATIVE", "CONFIRMED", "CANCELLED"].includes(value) ? value : "";
}

function endOf(block: Block, start: When | null, zones: Zones): When | null {
  let end = whenOf(first(block, "DTEND"), zones);
  const length = first(block, "DURATION");
  if (end === null && start !== null && length !== null) end = moved(start, seconds(length.value));
  if (end === null || start === null) return null;
  if (isDay(end) !== isDay(start)) throw new AgendaRefused("time");
  if (isDay(start) && end.local <= start.local) return null; // a day that ends where it begins is that day
  return instantOf(end, "UTC") >= instantOf(start, "UTC") ? end : null;
}

function seconds(written: string): number {
  const found = /^([+-]?)P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$/.exec(written.trim());
  if (found === null) throw new AgendaRefused("time");
  const [weeks, days, hours, minute, second] = found.slice(2).map((one) => Number(one ?? 0)) as [number, number, number, number, number];
  const total = ((weeks * 7 + days) * 24 + hours) * 3600 + minute * 60 + second;
  if (found[1] === "-" || total > 3660 * 86_400) throw new AgendaRefused("time");
  return total;
}

function theRule(block: Block, start: When | null): Rule | null {
  const rules = block.lines.filter((one) => one.name === "RRULE" || one.name === "EXRULE");
  const [rule] = rules;
  if (rule === undefined) return null;
  if (rules.length > 1 || rule.name === "EXRULE" || start === null) throw new AgendaRefused("rule");
  return ruleOf(rule.value, start, (written) => timeOf(written, "", new Map()));
}

function datesOf(block: Block, name: string, zones: Zones): When[] {
  const found: When[] = [];
  for (const line of block.lines) {
    if (line.name !== name) continue;
    const pieces = line.value.split(",");
    if (pieces.length + found.length > DATES) throw new AgendaRefused("too-many-instances");
    // of a PERIOD its start counts
    found.push(...pieces.filter((one) => one.trim() !== "").map((one) => timeOf(one.split("/", 1)[0]!, param(line, "TZID"), zones)));
  }
  return found;
}

const length = (text: string): number => [...text].length;
const cut = (text: string, most: number): string => (text.length <= most ? text : [...text].slice(0, most).join(""));

const textOf = (block: Block, name: string, most: number): string => cut(unescaped(valueOf(block, name)), most);

/** RFC 5545 §3.3.11. */
const unescaped = (written: string): string => written.replace(/\\([\s\S])/gu, (_, one: string) => (one === "n" || one === "N" ? "\n" : one));

/** The address of a "mailto:" however it is written; "" for any other URI. */
export function addressOf(written: string): string {
  const trimmed = written.trim();
  const colon = trimmed.indexOf(":");
  if (colon >= 0 && trimmed.slice(0, colon).toLowerCase() !== "mailto") return "";
  const address = unquoted(trimmed.slice(colon + 1).split("?", 1)[0]!).trim().toLowerCase();
  return address.includes("@") && length(address) <= 320 && !/[\s<>,;]/.test(address) ? address : "";
}

function unquoted(text: string): string {
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  for (const [piece] of text.matchAll(/%[0-9A-Fa-f]{2}|[\s\S]/gu)) {
    if (piece.length === 3 && piece.startsWith("%")) bytes.push(Number.parseInt(piece.slice(1), 16));
    else bytes.push(...new TextEncoder().encode(piece));
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

function organiserOf(line: Line | null): Organiser | null {
  const address = line === null ? "" : addressOf(line.value);
  if (line === null || address === "") return null;
  return { address, name: cut(param(line, "CN"), 200), sentby: addressOf(param(line, "SENT-BY")) };
}

const attendeeOf = (line: Line): Attendee => ({
  address: addressOf(line.value),
  name: cut(param(line, "CN"), 200),
  status: cut(param(line, "PARTSTAT").toUpperCase(), 40) || "NEEDS-ACTION",
  role: cut(param(line, "ROLE").toUpperCase(), 40) || "REQ-PARTICIPANT",
  kind: cut(param(line, "CUTYPE").toUpperCase(), 40) || "INDIVIDUAL",
  rsvp: param(line, "RSVP").toUpperCase() === "TRUE",
  delegates: addressesOf(line, "DELEGATED-TO"),
  delegators: addressesOf(line, "DELEGATED-FROM"),
  sentby: addressOf(param(line, "SENT-BY")),
});

const addressesOf = (line: Line, name: string): string[] =>
  [...new Set(line.params.filter(([one]) => one === name).flatMap(([, value]) => value.split(",").map(addressOf)).filter((one) => one !== ""))].slice(0, 20);

const extraOf = (block: Block): Property[] =>
  block.lines.filter((one) => !READ.has(one.name) && length(one.value) <= EXTRA_VALUE).slice(0, EXTRA).map(({ name, params, value }) => ({ name, params, value }));

// ------------------------------------------------------------------------------------------------------ writing

export const writeMessage = (message: Message): string => writeCalendar(message.method, message.components);

/** A VCALENDAR with the time zones it needs. */
export function writeCalendar(method: string, components: readonly Component[]): string {
  const lines = ["BEGIN:VCALENDAR", `PRODID:${PRODID}`, "VERSION:2.0", "CALSCALE:GREGORIAN"];
  if (method !== "") lines.push(`METHOD:${method}`);
  lines.push(...zonesOf(components));
  for (const one of components) lines.push(...eventLines(one));
  lines.push("END:VCALENDAR");
  return lines.flatMap(folded).map((line) => `${line}\r\n`).join("");
}

function zonesOf(components: readonly Component[]): string[] {
  const found = new Map<string, number>();
  for (const one of components) {
    for (const when of [one.start, one.end, one.recurrence, one.rule?.until ?? null, ...one.rdates, ...one.exdates]) {
      if (when === null || when.zone === "" || when.zone === "UTC") continue;
      found.set(when.zone, Math.min(found.get(when.zone) ?? 9999, Number(when.local.slice(0, 4))));
    }
  }
  return [...found.keys()].sort().flatMap((name) => timezoneLines(name, found.get(name)!));
}

function eventLines(one: Component): string[] {
  const lines = ["BEGIN:VEVENT", `UID:${plain(one.uid)}`];
  if (one.recurrence !== null) lines.push(at("RECURRENCE-ID", one.recurrence, one.future ? ";RANGE=THISANDFUTURE" : ""));
  lines.push(`SEQUENCE:${one.sequence}`);
  if (one.stamp !== "") lines.push(`DTSTAMP:${compact(one.stamp)}`);
  if (one.start !== null) lines.push(at("DTSTART", one.start));
  if (one.end !== null) lines.push(at("DTEND", one.end));
  if (one.rule !== null) lines.push(`RRULE:${ruleText(one.rule, one.rule.until === null ? "" : writtenOf(one.rule.until))}`);
  lines.push(...one.rdates.map((when) => at("RDATE", when)), ...one.exdates.map((when) => at("EXDATE", when)));
  if (one.status !== "") lines.push(`STATUS:${one.status}`);
  for (const [name, text] of [["SUMMARY", one.title], ["LOCATION", one.place], ["DESCRIPTION", one.description], ["COMMENT", one.comment]] as const) {
    if (text !== "") lines.push(`${name}:${escaped(text)}`);
  }
  if (one.organiser !== null) {
    const { address, name, sentby } = one.organiser;
    lines.push(`ORGANIZER${params([...(name ? [["CN", name] as const] : []), ...(sentby ? [["SENT-BY", `mailto:${sentby}`] as const] : [])])}:mailto:${plain(address)}`);
  }
  lines.push(...one.attendees.map(attendeeLine));
  lines.push(...one.extra.map((kept) => `${kept.name}${params(kept.params)}:${plain(kept.value)}`), "END:VEVENT");
  return lines;
}

function at(name: string, when: When, more = ""): string {
  if (isDay(when)) return `${name}${more};VALUE=DATE:${writtenOf(when)}`;
  return `${name}${more}${when.zone === "" || when.zone === "UTC" ? "" : `;TZID=${when.zone}`}:${writtenOf(when)}`;
}

const writtenOf = (when: When): string => compact(when.local) + (when.zone === "UTC" ? "Z" : "");
const compact = (text: string): string => text.replace(/[-:]/g, "");

function attendeeLine(one: Attendee): string {
  const told: (readonly [string, string])[] = one.name ? [["CN", one.name]] : [];
  if (one.kind !== "INDIVIDUAL") told.push(["CUTYPE", one.kind]);
  if (one.role !== "REQ-PARTICIPANT") told.push(["ROLE", one.role]);
  told.push(["PARTSTAT", one.status]);
  if (one.rsvp) told.push(["RSVP", "TRUE"]);
  if (one.sentby) told.push(["SENT-BY", `mailto:${one.sentby}`]);
  let written = params(told);
  for (const [name, people] of [["DELEGATED-TO", one.delegates], ["DELEGATED-FROM", one.delegators]] as const) {
    if (people.length > 0) written += `;${name}=${people.map((each) => `"mailto:${plain(each)}"`).join(",")}`;
  }
  return `ATTENDEE${written}:mailto:${plain(one.address)}`;
}

/** RFC 6868 for what a quoted value cannot hold. */
const params = (told: readonly (readonly [string, string])[]): string =>
  told
    .map(([name, value]) => {
      const kept = value.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, "").replace(/\^/g, "^^").replace(/\r/g, "").replace(/\n/g, "^n").replace(/"/g, "^'");
      return `;${name}=${/[^A-Za-z0-9_.+/@-]/.test(kept) ? `"${kept}"` : kept}`;
    })
    .join("");

const plain = (text: string): string => text.replace(/[\0-\x1f\x7f]/g, "");

/** RFC 5545 §3.3.11. */
const escaped = (text: string): string =>
  text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, "").replace(/\\/g, "\\\\").replace(/;/g, "\\;").replace(/,/g, "\\,").replace(/\r\n|\n|\r/g, "\\n");

/** RFC 5545 §3.1, never within a character. */
function folded(line: string): string[] {
  const pieces: string[] = [];
  let [piece, size] = ["", 0];
  for (const character of line) {
    const code = character.codePointAt(0)!;
    const octets = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? (code >= 0xd800 && code < 0xe000 ? 1 : 3) : 4;
    if (size + octets > 75) {
      pieces.push(piece);
      [piece, size] = [" ", 1];
    }
    piece += character;
    size += octets;
  }
  return [...pieces, piece];
}
