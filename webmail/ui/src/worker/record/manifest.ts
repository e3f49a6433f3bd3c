// A manifest read and written: the same octets as `mail_server/payloads/manifest.py`, held together by
// `tests/webmail/vectors/manifests.json`. Reading never throws and drops no item, whatever its kind.
import { utf8, type Bytes } from "../../lib/bytes.ts";
import type { Item, Manifest } from "./manifest_model.ts";

export { drawManifest } from "./drawing.ts";

const VERSION = 1;
const LIMIT = 12_288; // octets of JSON
const READ = 65_536; // octets that are read at all
const ITEMS = 100;
const TEXT = 1000; // characters of one field
const LARGE = 4096; // of `ics` and `resource`
const LIST = 20;
const DEPTH = 64;

const EMPTY: Item = {
  kind: "", id: "", type: "", class: "", format: "", title: "", at: "", made: "", author: "", confidentiality: [],
  facility: "", setting: "", hash: "", size: 0, part: "", entry: "", set: "", version: 0, replaces: [], withdraws: [],
  targets: [], decision: "", method: "", sequence: 0, stamp: "", recurrence: "", ics: "", resource: "", flags: [],
};
const NAMES = Object.keys(EMPTY) as (keyof Item)[];

export const newItem = (told: Partial<Item> & { kind: string }): Item => ({ ...structuredClone(EMPTY), ...told });

/** Whether it says anything at all. */
export const tells = ({ items, flags, cut }: Manifest): boolean => items.length > 0 || flags.length > 0 || cut > 0;

/** A manifest as it came; null when it is none. Fields of another shape are left empty. */
export function readManifest(octets: Uint8Array): Manifest | null {
  if (octets.length > READ) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
    return manifestOf(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The same of what was read already (a summary's "manifest"). */
export function manifestOf(found: unknown): Manifest | null {
  const told = mapping(found);
  if (told === null || told.v !== VERSION || !Array.isArray(told.items) || tooDeep(found, DEPTH)) return null;
  const items = told.items.slice(0, ITEMS).map(mapping).filter((one) => one !== null).map(itemOf);
  return { items, patient: text(told.patient, TEXT), flags: texts(told.flags), cut: number(told.cut) + Math.max(told.items.length - ITEMS, 0) };
}

/** Compact JSON of at most LIMIT octets: calendars, then items from the end, are left out until it fits. */
export function writeManifest({ items, patient, flags, cut }: Manifest): Bytes {
  const kept = items.slice(0, ITEMS);
  for (let left = cut + items.length - kept.length; ; ) {
    const octets = utf8(wellFormed(JSON.stringify(told({ items: kept, patient, flags, cut: left }))));
    if (octets.length <= LIMIT || kept.length === 0) return octets;
    const large = kept.findLastIndex((one) => one.ics !== "" || one.resource !== "");
    if (large >= 0) kept[large] = { ...kept[large]!, ics: "", resource: "" };
    else {
      kept.pop();
      left += 1;
    }
  }
}

const bare = (item: Item): Partial<Item> =>
  Object.fromEntries(NAMES.filter((name) => Array.isArray(item[name]) ? item[name].length > 0 : Boolean(item[name])).map((name) => [name, item[name]]));

const told = ({ items, patient, flags, cut }: Manifest): object => ({
  v: VERSION,
  ...(patient === "" ? {} : { patient }),
  items: items.map(bare),
  ...(flags.length === 0 ? {} : { flags }),
  ...(cut === 0 ? {} : { cut }),
});

// Half a character has no UTF-8: JSON writes it as an escape, Python as a question mark.
const wellFormed = (json: string): string =>
  json.replace(/\\\\|\\u(d[89a-f][0-9a-f]{2})/gi, (all, half: string | undefined) => (half === undefined ? all : "?"));

/** The item as whoever reads it will have it: no field longer than is read. */
export const bounded = (item: Item): Item => itemOf(bare(item) as Record<string, unknown>);

function mapping(found: unknown): Record<string, unknown> | null {
  return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : null;
}

function itemOf(told: Record<string, unknown>): Item {
  const made: Record<string, unknown> = {};
  for (const name of NAMES) {
    const like = EMPTY[name];
    const value = told[name];
    if (Array.isArray(like)) made[name] = texts(value);
    else if (typeof like === "number") made[name] = number(value);
    else made[name] = text(value, name === "ics" || name === "resource" ? LARGE : TEXT);
  }
  return made as unknown as Item;
}

/** Cut by characters, not by halves of them, as Python counts. */
export function text(value: unknown, limit: number): string {
  if (typeof value !== "string") return "";
  return value.length <= limit ? value : [...value].slice(0, limit).join("");
}

function texts(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, LIST).filter((one) => typeof one === "string").map((one) => text(one, TEXT));
}

const number = (value: unknown): number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 31 ? value : 0;

function tooDeep(found: unknown, left: number): boolean {
  if (typeof found !== "object" || found === null) return false;
  return left === 0 || Object.values(found).some((one) => tooDeep(one, left - 1));
}

/** SHA-256 in lower-case hex. */
export async function hashOf(octets: Uint8Array): Promise<string> {
  const made = new Uint8Array(await crypto.subtle.digest("SHA-256", octets as Bytes));
  return [...made].map((one) => one.toString(16).padStart(2, "0")).join("");
}

export const patientHash = (root: string, extension: string): Promise<string> => hashOf(utf8(`${root}|${extension}`));
