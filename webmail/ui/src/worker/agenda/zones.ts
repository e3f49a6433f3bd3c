// Local times and instants, by the time zones that the browser knows.
// A time that the clocks skip counts with the offset from before the gap, one that comes twice is its first
// (RFC 5545 §3.3.5): as Python's zoneinfo has it.
import type { When } from "./model.ts";

const formats = new Map<string, Intl.DateTimeFormat | null>();

function format(zone: string): Intl.DateTimeFormat | null {
  let found = formats.get(zone);
  if (found === undefined) {
    try {
      found = new Intl.DateTimeFormat("en-US", {
        timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", era: "short",
      });
    } catch {
      found = null;
    }
    formats.set(zone, found);
  }
  return found;
}

/** Whether a name is one of the time zone database's. */
export const isZone = (zone: string): boolean => /^[A-Z][A-Za-z0-9_+/-]*$/.test(zone) && format(zone) !== null;

/** Milliseconds to add to an instant for the time on the wall there. */
export function offset(zone: string, instant: number): number {
  if (zone === "UTC") return 0;
  const made = format(zone);
  if (made === null) return 0;
  const read: Record<string, string> = {};
  for (const { type, value } of made.formatToParts(instant)) read[type] = value;
  const year = read["era"] === "BC" ? 1 - Number(read["year"]) : Number(read["year"]);
  const wall = new Date(0);
  wall.setUTCFullYear(year, Number(read["month"]) - 1, Number(read["day"]));
  wall.setUTCHours(Number(read["hour"]), Number(read["minute"]), Number(read["second"]));
  return wall.getTime() - Math.floor(instant / 1000) * 1000;
}

/** What a clock on the wall shows, as if it were UTC: arithmetic on local times is done on these. */
export const wallOf = (local: string): number => Date.parse(local.length === 10 ? `${local}T00:00:00Z` : `${local}Z`);

export const localOf = (wall: number, day: boolean): string => new Date(wall).toISOString().slice(0, day ? 10 : 19);

export const isDay = (when: When): boolean => when.local.length === 10;

const DAY = 86_400_000;

/** Milliseconds since 1970; days and floating times are taken where the reader is (`here`). */
export function instantOf(when: When, here: string): number {
  const wall = wallOf(when.local);
  const zone = when.zone || here;
  if (zone === "UTC") return wall;
  const [before, after] = [offset(zone, wall - DAY), offset(zone, wall + DAY)];
  const first = wall - before;
  if (before === after || offset(zone, first) === before) return first;
  return offset(zone, wall - after) === after ? wall - after : first;
}

export const stampOf = (milliseconds: number): string => `${new Date(Math.floor(milliseconds / 1000) * 1000).toISOString().slice(0, 19)}Z`;

/** By which occurrences are told apart: the instant where there is one, else the local time. */
export const keyOf = (when: When | null): string =>
  when === null ? "" : isDay(when) || when.zone === "" ? when.local : stampOf(instantOf(when, "UTC"));

/** Later by so much on the wall; whole days for a day. */
export function moved(when: When, seconds: number): When {
  if (isDay(when)) return { local: localOf(wallOf(when.local) + Math.floor(seconds / 86_400) * DAY, true), zone: "" };
  return { local: localOf(wallOf(when.local) + seconds * 1000, false), zone: when.zone };
}

/** An instant as the wall shows it there. */
export const wallAt = (instant: number, zone: string): number => instant + offset(zone, instant);
