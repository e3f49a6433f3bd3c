// FHIR's JSON, walked without trust, and its data types read for people: the same as
// `mail_server/payloads/record/fhir_values.py`. What has another shape is as if it were not there.
import type { Code } from "./cda_model.ts";
import { cut, unit } from "./cda_values.ts";

const MANY = 2000; // elements of one list
const SYSTEMS: ReadonlyMap<string, string> = new Map([
  ["http://loinc.org", "2.16.840.1.113883.6.1"],
  ["http://snomed.info/sct", "2.16.840.1.113883.6.96"],
  ["http://www.whocc.no/atc", "2.16.840.1.113883.6.73"],
  ["http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3"],
]);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Without halves of characters, which JSON can write and nothing else can. */
const whole = (text: string): string => text.replace(/[\uD800-\uDFFF]/gu, "\ufffd");

/** A place in the document; nothing is a place too. */
export class Node {
  readonly value: unknown;

  constructor(value: unknown = null) {
    this.value = value;
  }

  get there(): boolean {
    return isObject(this.value);
  }

  /** The object at a path; the first of a list of them. */
  at(...path: string[]): Node {
    let here: Node = this;
    for (const name of path) {
      const found = here.#get(name);
      here = new Node(Array.isArray(found) && found.length > 0 ? found[0] : found);
    }
    return here;
  }

  all(name: string): Node[] {
    const found = this.#get(name);
    return Array.isArray(found) ? found.slice(0, MANY).filter(isObject).map((one) => new Node(one)) : [];
  }

  text(...path: string[]): string {
    return cut(this.raw(...path));
  }

  /** A text as it stands, however long. */
  raw(...path: string[]): string {
    const found = this.at(...path).value;
    return typeof found === "string" ? whole(found) : "";
  }

  texts(name: string): string[] {
    const found = this.#get(name);
    return Array.isArray(found) ? found.slice(0, MANY).filter((one) => typeof one === "string").map((one) => cut(whole(one))) : [];
  }

  number(...path: string[]): number | null {
    const found = this.at(...path).value;
    return typeof found === "number" && Number.isFinite(found) ? found : null;
  }

  holds(name: string, value: unknown): boolean {
    return this.#get(name) === value;
  }

  #get(name: string): unknown {
    return isObject(this.value) && Object.hasOwn(this.value, name) ? this.value[name] : null;
  }
}

export const told = (number: number | null): string => {
  if (number === null) return "";
  return Number.isInteger(number) && Math.abs(number) < 1e15 ? String(number === 0 ? 0 : number) : String(number);
};

/** The words of a CodeableConcept, or of a Coding. */
export function nameOf(concept: Node): string {
  if (concept.text("text") !== "") return concept.text("text");
  for (const coding of concept.all("coding")) if (coding.text("display") !== "") return coding.text("display");
  return concept.text("display") || concept.text("coding", "code") || concept.text("code");
}

export function codeOf(concept: Node): Code | null {
  const coding = concept.at("coding").there ? concept.at("coding") : concept;
  if (coding.text("code") === "") return null;
  return { code: coding.text("code"), system: systemOf(coding.text("system")), display: nameOf(concept) };
}

export const codesOf = (concept: Node): string[] => concept.all("coding").map((coding) => coding.text("code"));

/** A system by its OID where it has one. */
export const systemOf = (uri: string): string => SYSTEMS.get(uri) ?? uri.replace(/^urn:oid:/, "");

export const quantity = (node: Node): string => `${told(node.number("value"))} ${unitOf(node)}`.replace(/^ +| +$/g, "");

export const unitOf = (node: Node): string => unit(node.text("unit") || node.text("code"));
