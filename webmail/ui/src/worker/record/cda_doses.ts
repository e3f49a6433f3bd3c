// How much, how often, by which way: the dosage of a treatment in words; the same as
// `mail_server/payloads/record/cda/doses.py`. French, as the documents are.
import { cut, listed, type Narrative, numberOf, period, quantity, typeOf } from "./cda_values.ts";
import type { XmlElement } from "./xml.ts";

export const EVENTS: ReadonlyMap<string, string> = new Map([
  ["HS", "au coucher"],
  ["WAKE", "au réveil"],
  ["AC", "avant le repas"],
  ["ACM", "avant le petit déjeuner"],
  ["ACD", "avant le déjeuner"],
  ["ACV", "avant le dîner"],
  ["C", "au repas"],
  ["IC", "entre les repas"],
  ["CM", "au petit déjeuner"],
  ["CD", "au déjeuner"],
  ["CV", "au dîner"],
  ["PC", "après le repas"],
  ["PCM", "après le petit déjeuner"],
  ["PCD", "après le déjeuner"],
  ["PCV", "après le dîner"],
  ["MORN", "le matin"],
  ["MORN.early", "tôt le matin"],
  ["NOON", "à midi"],
  ["AFT", "l’après-midi"],
  ["EVE", "le soir"],
  ["NIGHT", "la nuit"],
]);
// Words for the unit of a period: several of it, once in it.
const UNITS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["s", ["secondes", "par seconde"]],
  ["min", ["minutes", "par minute"]],
  ["h", ["heures", "par heure"]],
  ["d", ["jours", "par jour"]],
  ["wk", ["semaines", "par semaine"]],
  ["mo", ["mois", "par mois"]],
  ["a", ["ans", "par an"]],
]);
const RHYTHMS = new Set(["PIVL_TS", "EIVL_TS", "SXPR_TS", "PIVL_PPD_TS"]);

/** "1 comprimé, 3 fois par jour, voie orale". */
export function dosage(statement: XmlElement, narrative: Narrative): string {
  const told = statement.elements("effectiveTime").flatMap(rhythms);
  return listed([quantity(statement.child("doseQuantity")), ...new Set(told), narrative.nameOf(statement.child("routeCode"))]);
}

/** From when until when: the times that are no rhythm. */
export function interval(statement: XmlElement): [start: string, end: string] {
  for (const one of statement.elements("effectiveTime")) {
    const times = RHYTHMS.has(typeOf(one)) || one.child("period") !== null ? [] : [one];
    for (const held of [...times, ...one.elements("comp")]) {
      const [start, end] = period(held);
      if (start !== "" || end !== "") return [start, end];
    }
  }
  return ["", ""];
}

/** A period in words: 8 h is "3 fois par jour", 2 d is "tous les 2 jours". */
export function every(number: number, unit: string): string {
  const words = UNITS.get(unit);
  if (number <= 0 || words === undefined) return "";
  if (unit === "h" && number <= 24 && Number.isInteger(24 / number)) return `${24 / number} fois par jour`;
  if (number === 1) return `1 fois ${words[1]}`;
  return `${["s", "min", "h", "wk"].includes(unit) ? "toutes les" : "tous les"} ${written(number)} ${words[0]}`;
}

/** A number as French writes it, without zeros that say nothing. */
export const written = (number: number): string => number.toFixed(3).replace(/0+$/, "").replace(/\.$/, "").replace(".", ",");

function rhythms(time: XmlElement): string[] {
  const told: string[] = [];
  const event = time.child("event");
  if (event !== null) told.push(EVENTS.get(cut(event.get("code"))) ?? "");
  const gap = time.child("period");
  if (gap !== null) {
    const number = numberOf(cut(gap.get("value")));
    told.push(number === null ? "" : every(number, cut(gap.get("unit"))));
  }
  for (const inner of time.elements("comp")) told.push(...rhythms(inner));
  return told;
}
