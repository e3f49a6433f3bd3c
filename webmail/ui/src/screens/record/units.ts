// Units and figures as people write them: UCUM is for programs ("umol/L", "10*9/L", "mm[Hg]").
import { speech } from "../../i18n/language.svelte.ts";
import { line } from "../mail/words.ts";

const SAID: ReadonlyMap<string, string> = new Map(Object.entries({
  "10*9/L": "G/L", "10*12/L": "T/L", "10*6/L": "M/L", "10*3/uL": "G/L", "10*6/uL": "T/L", "mm[Hg]": "mmHg", "m[H2O]": "mH₂O", Cel: "°C",
  "[degF]": "°F", "[pH]": "pH", "1": "", "kg/m2": "kg/m²", "mL/min/{1.73_m2}": "mL/min/1,73 m²", "mL/min/1.73.m2": "mL/min/1,73 m²",
}));

export function unitOf(unit: string): string {
  const known = SAID.get(unit);
  if (known !== undefined) return known;
  const plain = line(unit, 30).replace(/\{([^}]*)\}/gu, "$1");
  return plain.replace(/\[[ia]?[iI]?U\]/gu, "UI").replace(/(^|\/)u(?=(g|mol|L|l|Eq|kat|m)\b)/gu, "$1µ");
}

/** "5.61" as the page's language writes it. What is no figure stays as it is. */
export const figures = (text: string): string => (speech.language === "fr" ? text.replace(/(?<![\d.])(\d+)\.(\d+)(?![\d.])/gu, "$1,$2") : text);
