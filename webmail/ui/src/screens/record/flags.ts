// How a result is told: a word and a drawing, the same everywhere. Colour comes after, and alone says nothing.
import { DRAWINGS } from "../../components/drawings.ts";
import type { Result } from "../../lib/record_contract.ts";
import { DOWN, UP } from "./drawings.ts";

export type Reading = "normal" | "high" | "veryHigh" | "low" | "veryLow" | "odd" | "veryOdd";
const READINGS: Record<Exclude<Result["flag"], "">, Reading> = { N: "normal", H: "high", HH: "veryHigh", L: "low", LL: "veryLow", A: "odd", AA: "veryOdd" };

/** As the laboratory said; null where it said nothing: the page judges nobody's blood. */
export const readingOf = (flag: Result["flag"]): Reading | null => (flag === "" ? null : (READINGS[flag] ?? null));

export const DRAWN: Record<Reading, string> = {
  normal: DRAWINGS.check,
  high: UP,
  veryHigh: `${UP} M6 4h12`,
  low: DOWN,
  veryLow: `${DOWN} M6 21h12`,
  odd: DRAWINGS.warning,
  veryOdd: DRAWINGS.warning,
};
