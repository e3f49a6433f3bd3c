// HL7 version 3 data types, read for people: the same as `mail_server/payloads/record/cda/values.py`. A value is read by
// its shape; `xsi:type` only settles what the shape leaves open.
import type { Code } from "./cda_model.ts";
import { XSI } from "./cda_names.ts";
import { dayOf, isoOf } from "./cda_times.ts";
import { ANY, type XmlElement } from "./xml.ts";

export const LONGEST = 4000;
const NUMBER = /^[+-]?[0-9]{1,20}(?:[.,][0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?$/;
const APART = new Set(["td", "th", "tr", "item", "li", "paragraph", "p", "br", "list", "table", "caption", "div"]);

/** What the document says in words, by the IDs that entries point at. */
export class Narrative {
  readonly #byId = new Map<string, XmlElement>();
  readonly #told = new Map<string, string>();

  constructor(root: XmlElement) {
    for (const one of root.descendants(ANY, ANY)) {
      const name = one.get("ID") || one.get("id");
      if (name !== "" && !this.#byId.has(name)) this.#byId.set(name, one);
    }
  }

  element(reference: string): XmlElement | null {
    return this.#byId.get(reference.startsWith("#") ? reference.slice(1) : reference) ?? null;
  }

  /** The words at an ID, read once. */
  said(reference: string): string {
    let told = this.#told.get(reference);
    if (told === undefined) {
      const found = this.element(reference);
      told = found === null ? "" : plain(found);
      this.#told.set(reference, told);
    }
    return told;
  }

  /** What stands in an element, or where its `reference` points. */
  textOf(element: XmlElement | null): string {
    if (element === null) return "";
    const pointed = element.child("reference");
    const here = plain(element);
    return here !== "" || pointed === null ? here : this.said(pointed.get("value"));
  }

  /** The words for a coded value: its own, those of a translation, or the code itself. */
  nameOf(coded: XmlElement | null): string {
    if (coded === null) return "";
    const told = cut(coded.get("displayName")) || this.textOf(coded.child("originalText"));
    if (told !== "") return told;
    for (const other of coded.elements("translation")) if (other.get("displayName") !== "") return cut(other.get("displayName"));
    return cut(coded.get("code"));
  }
}

/** Collapsed and bounded. */
export function cut(text: string): string {
  const collapsed = text.replace(/[ \t\r\n]+/g, " ").replace(/^ | $/g, "");
  if (collapsed.length <= LONGEST) return collapsed;
  return [...collapsed].slice(0, LONGEST).join("").replace(/ $/, "");
}

/** All words under it, cells and lines apart by a space. */
export function plain(element: XmlElement): string {
  const pieces: string[] = [];
  gather(element, pieces);
  return cut(pieces.join(""));
}

function gather(element: XmlElement, pieces: string[]): void {
  for (const one of element.children) {
    if (typeof one === "string") {
      pieces.push(one);
      continue;
    }
    const apart = APART.has(one.name) ? " " : "";
    pieces.push(apart);
    gather(one, pieces);
    pieces.push(apart);
  }
}

/** A code with its words; a translation where the code itself is missing; null where there is neither. */
export function codeOf(coded: XmlElement | null, narrative: Narrative): Code | null {
  if (coded === null) return null;
  if (coded.get("code") !== "") return { code: cut(coded.get("code")), system: cut(coded.get("codeSystem")), display: narrative.nameOf(coded) };
  for (const other of coded.elements("translation")) {
    if (other.get("code") === "") continue;
    const display = cut(other.get("displayName")) || narrative.nameOf(coded);
    return { code: cut(other.get("code")), system: cut(other.get("codeSystem")), display };
  }
  return null;
}

/** A number as it stands alone, with a point or a comma; null for what is none or is beyond a float. */
export function numberOf(text: string): number | null {
  if (!NUMBER.test(text)) return null;
  const number = Number(text.replace(",", "."));
  return Number.isFinite(number) ? number : null;
}

export function unitOf(quantity: XmlElement | null): string {
  return quantity === null ? "" : unit(quantity.get("unit"));
}

/** As people write it: UCUM's "1" is none, and "{comprimé}" a word that is no unit of its own. */
export function unit(told: string): string {
  const found = /^\{([^{}]*)\}$/.exec(cut(told))?.[1] ?? cut(told);
  return found === "1" ? "" : found;
}

const stripped = (text: string, ends: string): string => {
  let [start, stop] = [0, text.length];
  while (start < stop && ends.includes(text[start] ?? "")) start++;
  while (stop > start && ends.includes(text[stop - 1] ?? "")) stop--;
  return text.slice(start, stop);
};

/** A quantity with its unit: "5 mg", "1 – 2 comprimé". */
export function quantity(element: XmlElement | null): string {
  if (element === null) return "";
  const value = cut(element.get("value"));
  if (value === "") {
    const [low, high] = [element.child("low"), element.child("high")];
    if (low !== null && high !== null && low.get("value") !== high.get("value")) {
      const first = unitOf(low) === unitOf(high) ? cut(low.get("value")) : quantity(low);
      return stripped(`${first} – ${quantity(high)}`, " –");
    }
    return quantity(low ?? high);
  }
  return stripped(`${value} ${unitOf(element)}`, " ");
}

export const typeOf = (value: XmlElement): string => value.get("type", XSI).split(":").at(-1) ?? "";

/** A value as a person reads it, without its unit where it is one quantity. */
export function shown(value: XmlElement | null, narrative: Narrative): string {
  if (value === null) return "";
  const [numerator, denominator] = [value.child("numerator"), value.child("denominator")];
  if (numerator !== null && denominator !== null) return stripped(`${quantity(numerator)} / ${quantity(denominator)}`, " /");
  const kind = typeOf(value);
  const [low, high] = [value.child("low"), value.child("high")];
  if (low !== null || high !== null) return between(low, high, kind.endsWith("TS"));
  const told = cut(value.get("value"));
  if (told !== "") {
    if (kind === "BL") return told === "true" ? "oui" : told === "false" ? "non" : told;
    return kind === "TS" ? dayOf(isoOf(told)) || told : told;
  }
  if (value.get("code") !== "" || value.get("displayName") !== "" || value.child("originalText") !== null || value.child("translation") !== null)
    return narrative.nameOf(value);
  return narrative.textOf(value);
}

function between(low: XmlElement | null, high: XmlElement | null, dated: boolean): string {
  let first = low === null ? "" : cut(low.get("value"));
  let last = high === null ? "" : cut(high.get("value"));
  if (dated) [first, last] = [dayOf(isoOf(first)), dayOf(isoOf(last))];
  if (first !== "" && last !== "") return `${first} – ${last}`;
  if (first !== "") return `${low?.get("inclusive") === "false" ? ">" : "≥"} ${first}`;
  if (last !== "") return `${high?.get("inclusive") === "false" ? "<" : "≤"} ${last}`;
  return "";
}

/** Beginning and end of an interval of time; a moment is its own beginning. */
export function period(element: XmlElement | null): [start: string, end: string] {
  if (element === null) return ["", ""];
  const [low, high] = [element.child("low"), element.child("high")];
  return [isoOf(element.get("value")) || (low === null ? "" : isoOf(low.get("value"))), high === null ? "" : isoOf(high.get("value"))];
}

export const templates = (element: XmlElement): ReadonlySet<string> =>
  new Set(element.elements("templateId").map((one) => one.get("root")));

/** What a code says it is, "" for nothing. */
export const bare = (element: XmlElement | null): string => (element === null ? "" : element.get("code"));

/** Joined by commas, without the parts that say nothing. */
export const listed = (parts: readonly string[]): string => parts.filter((part) => part !== "").join(", ");
