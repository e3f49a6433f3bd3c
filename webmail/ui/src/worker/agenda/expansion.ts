// Which occurrences an appointment has between two instants; as `expansion.py`. Repetitions are walked on the wall of the
// series' own time zone; occurrences with components of their own, dates left out and "this and future" are laid over.
import { lengthOf, occurrenceOf } from "./composing.ts";
import { AgendaRefused } from "./model.ts";
import type { Appointment, Component, Held, When } from "./model.ts";
import { cancelled, componentKey, recurring } from "./standing.ts";
import { dateOf, dayOf, days } from "./walking.ts";
import { instantOf, isDay, keyOf, localOf, moved, wallAt, wallOf } from "./zones.ts";

export const SPAN = 6 * 366 * 86_400_000; // milliseconds that may be asked about at once
export const OCCURRENCES = 2000;
const EARLIEST = -2_208_988_800_000; // year 1900
const LATEST = 7_289_654_400_000; // year 2201
const DAY = 86_400_000;

export interface Occurrence {
  readonly key: string; // "" when the appointment comes once
  readonly start: number;
  readonly end: number;
  readonly day: string; // date of one that lasts whole days
  readonly cancelled: boolean;
  readonly component: Component;
}

/** Those that touch [first, last[, in order. `here`: the zone of who asks, for whole days and floating times. */
export function occurrences(appointment: Appointment, first: number, last: number, here: string): Occurrence[] {
  if (last - first > SPAN || !(EARLIEST <= first && first <= last && last <= LATEST)) throw new AgendaRefused("span");
  const found: Occurrence[] = [];
  for (const one of all(appointment, first, last, here)) {
    if ((one.start < last && one.end > first) || (one.start === one.end && first <= one.start && one.start < last)) found.push(one);
    if (found.length > OCCURRENCES) throw new AgendaRefused("too-many-instances");
  }
  return found.sort((one, other) => one.start - other.start || (one.key < other.key ? -1 : one.key > other.key ? 1 : 0));
}

function* all(appointment: Appointment, first: number, last: number, here: string): Generator<Occurrence> {
  const { master } = appointment;
  const gone = master?.component.status === "CANCELLED";
  const own = new Set(appointment.overrides.map((one) => componentKey(one.component)));
  if (master !== null && master.component.start !== null) {
    const leftOut = new Set(master.component.exdates.map(keyOf));
    const repeats = recurring(appointment);
    for (const start of startsOf(master.component, reachOf(appointment), first, last, here)) {
      const key = repeats ? keyOf(start) : "";
      if (key !== "" && (own.has(key) || leftOut.has(key) || leftOut.has(start.local.slice(0, 10)))) continue;
      const one = key === "" ? master.component : occurrenceOf(appointment, key);
      const off = gone || cancelled(appointment, key);
      yield occurrence(off ? { ...one, status: "CANCELLED" } : one, key, here, off);
    }
  }
  for (const held of appointment.overrides) yield* ownOf(appointment, held, here, gone);
  for (const { component } of appointment.added) {
    const leftOut = new Set(component.exdates.map(keyOf));
    for (const start of startsOf(component, 0, first, last, here)) {
      const key = keyOf(start);
      if (own.has(key) || leftOut.has(key)) continue;
      yield occurrence({ ...component, start, end: component.end === null ? null : moved(start, lengthOf(component)) }, key, here, gone);
    }
  }
}

/** An occurrence that has a component of its own; a series stated later, by DTSTAMP, may leave it out. */
function* ownOf(appointment: Appointment, held: Held, here: string, gone: boolean): Generator<Occurrence> {
  const { master } = appointment;
  const [one, key] = [held.component, componentKey(held.component)];
  if (master !== null && master.component.exdates.some((each) => keyOf(each) === key) && held.stamp <= master.stamp) return;
  if (one.status === "CANCELLED" && master !== null && master.component.start !== null) {
    const told = occurrenceOf({ ...appointment, overrides: [] }, key);
    yield occurrence({ ...told, status: "CANCELLED", comment: one.comment }, key, here, true);
  } else yield occurrence(one, key, here, gone || one.status === "CANCELLED");
}

function occurrence(component: Component, key: string, here: string, off: boolean): Occurrence {
  const start = component.start!;
  const begins = instantOf(start, here);
  const ends = instantOf(component.end ?? moved(start, lengthOf(component)), here);
  return { key, start: begins, end: Math.max(begins, ends), day: isDay(start) ? start.local : "", cancelled: off, component };
}

/** How far "this and future" may move what the rule gives, in milliseconds. */
function reachOf(appointment: Appointment): number {
  let far = 0;
  for (const { component } of appointment.overrides) {
    if (component.future && component.start !== null && component.recurrence !== null) far = Math.max(far, Math.abs(wallOf(component.start.local) - wallOf(component.recurrence.local)));
  }
  return Math.min(far, 366 * DAY);
}

/** When the component's occurrences begin, at least those that touch the window. */
function startsOf(one: Component, reach: number, first: number, last: number, here: string): When[] {
  const start = one.start!;
  if (one.rule === null && one.rdates.length === 0) return [start];
  const zone = start.zone || here;
  const low = wallAt(first, zone) - 2 * DAY - reach - lengthOf(one) * 1000;
  const high = wallAt(last, zone) + 2 * DAY + reach;
  const dates = one.rule === null ? new Set([start.local]) : byRule(one, start, low, high);
  for (const extra of one.rdates) dates.add(alike(extra, start).local);
  return [...dates].sort().filter((local) => low <= wallOf(local) && wallOf(local) <= high).map((local) => ({ local, zone: start.zone }));
}

/** A date of the series in the form of its start: day, floating, or time in the same zone. */
function alike(when: When, start: When): When {
  if (isDay(start)) return { local: when.local.slice(0, 10), zone: "" };
  if (isDay(when)) return { local: when.local + start.local.slice(10), zone: start.zone };
  if (start.zone === "" || when.zone === "" || start.zone === when.zone) return { local: when.local, zone: start.zone };
  return { local: localOf(wallAt(instantOf(when, "UTC"), start.zone), false), zone: start.zone };
}

/** Local starts that the rule gives between two moments of the wall, the very first always among its own. */
function byRule(one: Component, start: When, low: number, high: number): Set<string> {
  const rule = one.rule!;
  let until = "";
  // a day said for a time means that whole day
  if (rule.until !== null) until = isDay(start) || !isDay(rule.until) ? alike(rule.until, start).local : `${rule.until.local}T23:59:59`;
  if (until !== "" && until < start.local) return new Set();
  const clock = start.local.slice(10);
  const found = new Set([start.local]);
  for (const day of days(rule, dayOf(start.local), Math.floor(low / DAY), Math.floor(high / DAY))) found.add(dateOf(day) + clock);
  return until === "" ? found : new Set([...found].filter((local) => local <= until));
}
