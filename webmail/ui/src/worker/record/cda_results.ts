// Laboratory results and measures: the same as `mail_server/payloads/record/cda/results.py`. A value is told as it was
// written; nothing is converted.
import type { Flag, Result } from "./cda_model.ts";
import { COMMENT, LAB_DATA, LAB_OBSERVATION, LAB_SECTIONS, VITAL_SECTIONS, VITAL_SIGN, VITAL_SIGNS } from "./cda_names.ts";
import { bare, codeOf, cut, type Narrative, numberOf, period, plain, shown, templates, unitOf } from "./cda_values.ts";
import type { XmlElement } from "./xml.ts";

export const LIMIT = 5000; // results of one document
const WHOLE = new Set(["11502-2", "26436-6", "30954-2", "8716-3", "29274-8"]); // no chapter: all of them
export const FLAGS: ReadonlyMap<string, Flag> = new Map([
  ["N", "N"], ["L", "L"], ["H", "H"], ["LL", "LL"], ["HH", "HH"], ["A", "A"], ["AA", "AA"],
  ["<", "L"], [">", "H"], ["LU", "LL"], ["HU", "HH"],
]);

interface Around {
  group: string;
  at: string;
  specimen: string;
  previous: boolean;
  results: boolean; // whether any observation here is a result
}

export function resultsOf(body: XmlElement, narrative: Narrative): Result[] {
  const reader = new Reader(narrative);
  const nothing: Around = { group: "", at: "", specimen: "", previous: false, results: false };
  for (const component of body.elements("component")) for (const section of component.elements("section")) reader.section(section, nothing);
  return reader.found;
}

export function holdsResults(section: XmlElement): boolean {
  const told = bare(section.child("code"));
  return LAB_SECTIONS.has(told) || VITAL_SECTIONS.has(told);
}

class Reader {
  readonly found: Result[] = [];
  readonly #narrative: Narrative;

  constructor(narrative: Narrative) {
    this.#narrative = narrative;
  }

  section(section: XmlElement, around: Around): void {
    const title = section.child("title");
    const results = around.results || holdsResults(section);
    const chapter = results && around.group === "" && !WHOLE.has(bare(section.child("code")));
    const here = { ...around, results, group: chapter && title !== null ? plain(title) : around.group };
    for (const entry of section.elements("entry")) this.#inside(entry, { ...here, results: results || templates(entry).has(LAB_DATA) });
    for (const component of section.elements("component")) for (const inner of component.elements("section")) this.section(inner, here);
  }

  /** The statements that stand in an entry, a component or a relationship. */
  #inside(parent: XmlElement, around: Around): void {
    for (const one of parent.elements()) {
      if (this.found.length >= LIMIT) return;
      if (one.name === "act" || one.name === "organizer") {
        const here = this.#around(one, around);
        for (const inner of [...one.elements("component"), ...one.elements("entryRelationship")]) this.#inside(inner, here);
      } else if (one.name === "observation") {
        const held = templates(one);
        if (around.results || held.has(LAB_OBSERVATION) || held.has(VITAL_SIGN)) this.#observation(one, around);
      }
    }
  }

  #around(statement: XmlElement, around: Around): Around {
    return {
      ...around,
      at: period(statement.child("effectiveTime"))[0] || around.at,
      specimen: this.#specimen(statement) || around.specimen,
      results: around.results || templates(statement).has(VITAL_SIGNS),
    };
  }

  #observation(one: XmlElement, around: Around): void {
    const here = { ...this.#around(one, around), results: true };
    const made = this.#result(one, here);
    if (made.name !== "" && (made.value !== "" || made.comment !== "")) this.found.push(made);
    for (const related of one.elements("entryRelationship"))
      this.#inside(related, { ...here, previous: here.previous || related.get("typeCode") === "REFR" });
    for (const component of one.elements("component")) this.#inside(component, here);
  }

  #result(one: XmlElement, around: Around): Result {
    const coded = one.child("code");
    const value = one.child("value");
    const told = shown(value, this.#narrative);
    const [number, unit] = [numberOf(told), unitOf(value)];
    const { low, high, reference, boundUnit } = this.#range(one);
    let flag = this.#flag(one);
    if (flag === "" && number !== null && (boundUnit === "" || boundUnit === unit)) {
      if (low !== null && number < low) flag = "L";
      if (high !== null && number > high) flag = "H";
    }
    return {
      code: codeOf(coded, this.#narrative)?.code ?? "",
      name: this.#narrative.nameOf(coded),
      value: told,
      number,
      unit: unit || unitOf(value?.child("low") ?? null) || unitOf(value?.child("high") ?? null),
      low,
      high,
      reference,
      flag,
      at: around.at,
      specimen: around.specimen,
      group: around.group,
      comment: this.#comment(one),
      previous: around.previous,
    };
  }

  /** Bounds, the range as written, and its unit: the normal one where several stand. */
  #range(one: XmlElement): { low: number | null; high: number | null; reference: string; boundUnit: string } {
    const held = one.elements("referenceRange").flatMap((each) => each.elements("observationRange"));
    const range = held.find((each) => ["", "N"].includes(bare(each.child("interpretationCode"))));
    if (range === undefined) return { low: null, high: null, reference: "", boundUnit: "" };
    const value = range.child("value");
    const [low, high] = [value?.child("low") ?? null, value?.child("high") ?? null];
    const reference = this.#narrative.textOf(range.child("text")) || shown(value, this.#narrative);
    return { low: bound(low), high: bound(high), reference, boundUnit: unitOf(low) || unitOf(high) };
  }

  #flag(one: XmlElement): Flag {
    for (const each of one.elements("interpretationCode")) {
      const flag = FLAGS.get(each.get("code"));
      if (flag !== undefined) return flag;
    }
    return "";
  }

  #comment(one: XmlElement): string {
    const found: string[] = [];
    for (const related of one.elements("entryRelationship")) {
      const act = related.child("act");
      if (act !== null && (templates(act).has(COMMENT) || bare(act.child("code")) === "48767-8"))
        found.push(this.#narrative.textOf(act.child("text")));
    }
    return cut(found.join(" "));
  }

  /** Of the sampling that stands among the components, or of the statement itself. */
  #specimen(statement: XmlElement): string {
    const own = statement.child("specimen", "specimenRole", "specimenPlayingEntity");
    if (own !== null) return this.#narrative.nameOf(own.child("code")) || plain(own);
    for (const inner of [...statement.elements("component"), ...statement.elements("entryRelationship")]) {
      const entity = inner.child("procedure", "participant", "participantRole", "playingEntity");
      if (entity !== null) return this.#narrative.nameOf(entity.child("code")) || plain(entity);
    }
    return "";
  }
}

const bound = (element: XmlElement | null): number | null => (element === null ? null : numberOf(cut(element.get("value"))));
