// The days of a repetition (RFC 5545 §3.3.10), walked with a bound; as `walking.py`. Days are numbers since 1970.
import { AgendaRefused } from "./model.ts";
import type { Rule } from "./model.ts";

export const STEPS = 60_000; // days looked at
const NAMES = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const DAY = 86_400_000;

export const dayOf = (local: string): number => Date.parse(`${local.slice(0, 10)}T00:00:00Z`) / DAY;
export const dateOf = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);

const dayNumber = (year: number, month: number, day: number): number => Date.UTC(year, month - 1, day) / DAY;
const weekdayOf = (day: number): number => (((day + 3) % 7) + 7) % 7; // Monday 0
const modulo = (one: number, other: number): number => ((one % other) + other) % other;

interface Parts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

function partsOf(day: number): Parts {
  const date = new Date(day * DAY);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** Days of the rule from `start` on that lie in [low, high], in order; those before count for COUNT alone. */
export function* days(rule: Rule, start: number, low: number, high: number): Generator<number> {
  const fits = filterOf(rule, start);
  let left = rule.count;
  let steps = 0;
  for (const period of periods(rule, start, rule.count > 0 ? start : Math.max(start, low), high)) {
    steps += period.length;
    if (steps > STEPS) throw new AgendaRefused("too-far");
    for (const one of chosen(rule, period.filter(fits))) {
      if (one < start) continue;
      if (one > high) return;
      if (one >= low) yield one;
      left -= 1;
      if (left === 0) return;
    }
  }
}

function chosen(rule: Rule, found: number[]): number[] {
  if (rule.bysetpos.length === 0) return found;
  const places = new Set(rule.bysetpos.map((one) => (one > 0 ? one - 1 : found.length + one)));
  return found.filter((_, place) => places.has(place));
}

/** The days of each period, from the one `low` lies in to the one `high` lies in. */
function* periods(rule: Rule, start: number, low: number, high: number): Generator<number[]> {
  const step = rule.interval;
  const [begin, from, to] = [partsOf(start), partsOf(low), partsOf(high)];
  if (rule.freq === "DAILY") {
    for (let at = start + Math.ceil((low - start) / step) * step; at <= high; at += step) yield [at];
  } else if (rule.freq === "WEEKLY") {
    const first = start - modulo(weekdayOf(start) - wkst(rule), 7);
    const skipped = Math.floor(Math.floor((low - first) / 7) / step) * step;
    for (let at = first + skipped * 7; at <= high; at += step * 7) yield Array.from({ length: 7 }, (_, more) => at + more);
  } else if (rule.freq === "MONTHLY") {
    const first = begin.year * 12 + begin.month - 1;
    const last = to.year * 12 + to.month - 1;
    for (let month = first + Math.floor((from.year * 12 + from.month - 1 - first) / step) * step; month <= last; month += step) yield monthOf(Math.floor(month / 12), (month % 12) + 1);
  } else {
    const whole = rule.byweekno.length > 0 || rule.byyearday.length > 0 || rule.bymonth.length === 0;
    const months = whole ? Array.from({ length: 12 }, (_, month) => month + 1) : [...new Set(rule.bymonth)].sort((one, other) => one - other);
    for (let year = begin.year + Math.floor((from.year - begin.year) / step) * step; year <= to.year; year += step) yield months.flatMap((month) => monthOf(year, month));
  }
}

const sizeOf = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();
const yearSize = (year: number): number => dayNumber(year + 1, 1, 1) - dayNumber(year, 1, 1);

function monthOf(year: number, month: number): number[] {
  const first = dayNumber(year, month, 1);
  return Array.from({ length: sizeOf(year, month) }, (_, more) => first + more);
}

const wkst = (rule: Rule): number => NAMES.indexOf(rule.wkst || "MO");

/** Whether a day is one of the rule's; what the rule leaves out comes from its start. */
function filterOf(rule: Rule, start: number): (day: number) => boolean {
  let [months, monthdays] = [new Set(rule.bymonth), new Set(rule.bymonthday)];
  let weekdays = new Set(rule.byday.filter((one) => one.length === 2).map((one) => NAMES.indexOf(one)));
  const nth = new Set(rule.byday.filter((one) => one.length > 2).map((one) => `${Number(one.slice(0, -2))} ${NAMES.indexOf(one.slice(-2))}`));
  const [yeardays, weeks] = [new Set(rule.byyearday), new Set(rule.byweekno)];
  if (rule.byday.length + rule.bymonthday.length + rule.byyearday.length === 0) {
    const { month, day } = partsOf(start);
    if (rule.freq === "WEEKLY" || weeks.size > 0) weekdays = new Set([weekdayOf(start)]);
    else if (rule.freq === "MONTHLY" || rule.freq === "YEARLY") {
      monthdays = new Set([day]);
      if (rule.freq === "YEARLY" && months.size === 0) months = new Set([month]);
    }
  }
  const ofYear = rule.freq === "YEARLY" && rule.bymonth.length === 0;
  return (one) => {
    const { year, month, day } = partsOf(one);
    if (months.size > 0 && !months.has(month)) return false;
    if (monthdays.size > 0 && !monthdays.has(day) && !monthdays.has(day - sizeOf(year, month) - 1)) return false;
    const number = one - dayNumber(year, 1, 1) + 1;
    if (yeardays.size > 0 && !yeardays.has(number) && !yeardays.has(number - yearSize(year) - 1)) return false;
    if (weeks.size > 0 && !inWeeks(one, year, weeks, wkst(rule))) return false;
    if (weekdays.size === 0 && nth.size === 0) return true;
    const weekday = weekdayOf(one);
    if (weekdays.has(weekday)) return true;
    const [place, size] = ofYear ? [number, yearSize(year)] : [day, sizeOf(year, month)];
    return nth.has(`${Math.floor((place - 1) / 7) + 1} ${weekday}`) || nth.has(`${-(Math.floor((size - place) / 7) + 1)} ${weekday}`);
  };
}

function firstWeek(year: number, begins: number): number {
  const fourth = dayNumber(year, 1, 4);
  return fourth - modulo(weekdayOf(fourth) - begins, 7);
}

/** Weeks as RFC 5545 numbers them: the first has four days of its year at least. */
function inWeeks(one: number, year: number, weeks: ReadonlySet<number>, begins: number): boolean {
  const [first, following] = [firstWeek(year, begins), firstWeek(year + 1, begins)];
  if (one >= following) return weeks.has(1);
  if (one < first) return weeks.has((first - firstWeek(year - 1, begins)) / 7) || weeks.has(-1);
  const [number, size] = [Math.floor((one - first) / 7) + 1, (following - first) / 7];
  return weeks.has(number) || weeks.has(number - size - 1);
}
