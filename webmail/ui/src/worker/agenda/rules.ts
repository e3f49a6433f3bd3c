// Repetitions (RFC 5545 §3.3.10): read, written, and refused before anything is worked out from them; as `rules.py`.
import { AgendaRefused } from "./model.ts";
import type { Rule, When } from "./model.ts";
import { isDay } from "./zones.ts";

export const COUNT = 10_000; // instances that a rule may claim
const INTERVAL = 1000;
const LENGTH = 2000;
const NAMES = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
// highest value, and whether counting from the end is allowed
const LISTS: Readonly<Record<string, readonly [number, boolean]>> = {
  BYMONTHDAY: [31, true], BYYEARDAY: [366, true], BYWEEKNO: [53, true], BYMONTH: [12, false], BYSETPOS: [366, true],
};
const CLOCK: Readonly<Record<string, readonly [number, number]>> = { BYHOUR: [11, 13], BYMINUTE: [14, 16], BYSECOND: [17, 19] };
const NUMBER = /^[+-]?\d{1,6}$/;

/** A rule as written. `when` reads the time of UNTIL. */
export function ruleOf(written: string, start: When | null, when: (written: string) => When): Rule {
  if (written.length > LENGTH) throw new AgendaRefused("rule");
  const parts = new Map<string, string>();
  for (const piece of written.trim().replace(/;+$/, "").split(";")) {
    const equals = piece.indexOf("=");
    const name = piece.slice(0, Math.max(equals, 0)).trim().toUpperCase();
    if (equals < 0 || parts.has(name)) throw new AgendaRefused("rule");
    parts.set(name, piece.slice(equals + 1).trim().toUpperCase());
  }
  const take = (name: string): string | undefined => {
    const found = parts.get(name);
    parts.delete(name);
    return found;
  };
  const freq = take("FREQ") ?? "";
  if (["SECONDLY", "MINUTELY", "HOURLY"].includes(freq)) throw new AgendaRefused("sub-daily");
  if (freq !== "DAILY" && freq !== "WEEKLY" && freq !== "MONTHLY" && freq !== "YEARLY") throw new AgendaRefused("rule");
  for (const name of Object.keys(CLOCK)) {
    const said = take(name);
    if (said !== undefined) ofTheClock(name, said, start);
  }
  const interval = oneOf(take("INTERVAL") ?? "1", INTERVAL);
  const counted = take("COUNT");
  const count = counted === undefined ? 0 : oneOf(counted, 1_000_000);
  if (count > COUNT) throw new AgendaRefused("too-many-instances");
  const last = take("UNTIL");
  const until = last === undefined ? null : when(last);
  const byday = take("BYDAY")?.split(",").map(dayOf) ?? [];
  const wkst = take("WKST") ?? "";
  const lists = new Map(Object.keys(LISTS).map((name) => [name, manyOf(name, take(name))]));
  // RSCALE (RFC 7529), EASTER and what else there may be
  if (parts.size > 0 || byday.length > 366 || (wkst !== "" && !NAMES.includes(wkst))) throw new AgendaRefused("rule");
  const rule: Rule = {
    freq, interval, count, until, byday, bymonthday: lists.get("BYMONTHDAY")!, byyearday: lists.get("BYYEARDAY")!, byweekno: lists.get("BYWEEKNO")!,
    bymonth: lists.get("BYMONTH")!, bysetpos: lists.get("BYSETPOS")!, wkst,
  };
  allowed(rule);
  return rule;
}

/** What RFC 5545 §3.3.10 forbids to stand together. */
function allowed({ freq, count, until, byday, bymonthday, byyearday, byweekno, bymonth, bysetpos }: Rule): void {
  const numbered = byday.some((one) => one.length > 2);
  const filters = byday.length + bymonthday.length + byyearday.length + byweekno.length + bymonth.length;
  const wrong =
    (byweekno.length > 0 && freq !== "YEARLY") ||
    (byyearday.length > 0 && freq !== "YEARLY") ||
    (bymonthday.length > 0 && freq === "WEEKLY") ||
    (numbered && ((freq !== "MONTHLY" && freq !== "YEARLY") || byweekno.length > 0)) ||
    (bysetpos.length > 0 && filters === 0) ||
    (count > 0 && until !== null);
  if (wrong) throw new AgendaRefused("rule");
}

/** BYHOUR and its like may say again what the start says; more of them would come oftener than daily. */
function ofTheClock(name: string, value: string, start: When | null): void {
  if (value.includes(",")) throw new AgendaRefused("sub-daily");
  const [low, high] = CLOCK[name]!;
  const said = start !== null && !isDay(start) ? start.local.slice(low, high) : "0";
  if (!NUMBER.test(value) || Number(value) !== Number(said)) throw new AgendaRefused("rule");
}

function oneOf(value: string, highest: number): number {
  if (!/^\d{1,9}$/.test(value) || Number(value) < 1) throw new AgendaRefused("rule");
  if (Number(value) > highest) throw new AgendaRefused(highest === 1_000_000 ? "too-many-instances" : "rule");
  return Number(value);
}

function manyOf(name: string, value: string | undefined): number[] {
  if (value === undefined) return [];
  const [highest, signed] = LISTS[name]!;
  const pieces = value.split(",").map((one) => one.trim());
  if (!pieces.every((one) => NUMBER.test(one))) throw new AgendaRefused("rule");
  const numbers = pieces.map(Number);
  if (!numbers.every((one) => one !== 0 && Math.abs(one) <= highest && (signed || one > 0))) throw new AgendaRefused("rule");
  return numbers;
}

function dayOf(written: string): string {
  const found = /^([+-]?)0?([1-9]|[1-4]\d|5[0-3])?(MO|TU|WE|TH|FR|SA|SU)$/.exec(written.trim());
  if (found === null || (found[1] !== "" && found[2] === undefined)) throw new AgendaRefused("rule");
  return `${found[1] === "-" ? "-" : ""}${found[2] ?? ""}${found[3]}`;
}

/** As RFC 5545 writes it; `until` is UNTIL, written. */
export function ruleText(rule: Rule, until: string): string {
  const parts = [`FREQ=${rule.freq}`];
  if (rule.until !== null) parts.push(`UNTIL=${until}`);
  if (rule.count > 0) parts.push(`COUNT=${rule.count}`);
  if (rule.interval !== 1) parts.push(`INTERVAL=${rule.interval}`);
  const lists = [["BYMONTH", rule.bymonth], ["BYWEEKNO", rule.byweekno], ["BYYEARDAY", rule.byyearday], ["BYMONTHDAY", rule.bymonthday], ["BYDAY", rule.byday], ["BYSETPOS", rule.bysetpos]] as const;
  for (const [name, values] of lists) if (values.length > 0) parts.push(`${name}=${values.join(",")}`);
  if (rule.wkst !== "") parts.push(`WKST=${rule.wkst}`);
  return parts.join(";");
}
