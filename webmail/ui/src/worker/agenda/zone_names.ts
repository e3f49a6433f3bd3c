// Names of time zones as calendars write them, and VTIMEZONE as we write it; as `zones.py`, octet for octet. A name that
// cannot be told is refused: an appointment an hour off is worse than one that must be read in the letter.
import { AgendaRefused } from "./model.ts";
import windows from "./windows_zones.json";
import { isZone, offset } from "./zones.ts";

/** STANDARD or DAYLIGHT of a VTIMEZONE: minutes from UTC, month it begins in (0: not said). */
export interface Observance {
  readonly daylight: boolean;
  readonly offset: number;
  readonly month: number;
}

export interface Zone {
  readonly name: string;
  readonly location: string; // X-LIC-LOCATION
  readonly observances: readonly Observance[];
}

const UTC = new Set(["utc", "gmt", "z", "etc/utc", "etc/gmt", "zulu", "coordinated universal time", "greenwich mean time"]);
// Zones told by what their VTIMEZONE does: offsets in minutes, month summer time begins in.
const RULES: Readonly<Record<string, string>> = {
  "60 120 3": "Europe/Paris", "0 60 3": "Europe/London", "120 180 3": "Europe/Helsinki", "-240 -180 3": "America/Halifax", "-300 -240 3": "America/New_York",
  "-360 -300 3": "America/Chicago", "-420 -360 3": "America/Denver", "-480 -420 3": "America/Los_Angeles",
};

/** The IANA name of a TZID; "UTC" for all names of that. */
export function zoneOf(written: string, zones: ReadonlyMap<string, Zone>): string {
  const name = written.trim().replace(/^"+|"+$/g, "");
  if (UTC.has(name.toLowerCase())) return "UTC";
  const segments = name.replace(/^\/+|\/+$/g, "").split("/");
  // "/mozilla.org/20050126_1/Europe/Paris" and the like end in the name
  const candidates = [name, ...[3, 2].filter((count) => segments.length > count).map((count) => segments.slice(-count).join("/"))];
  const known = candidates.find(isZone);
  if (known !== undefined) return known;
  const found = Object.hasOwn(windows, name) ? (windows as Readonly<Record<string, string>>)[name] : undefined;
  if (found !== undefined) return found;
  const zone = zones.get(written);
  if (zone === undefined) throw new AgendaRefused("zone");
  return isZone(zone.location) ? zone.location : byRules(zone.observances);
}

function byRules(observances: readonly Observance[]): string {
  const standard = observances.findLast((one) => !one.daylight);
  const summer = observances.findLast((one) => one.daylight);
  if (standard !== undefined && summer !== undefined) {
    const found = RULES[`${standard.offset} ${summer.offset} ${summer.month}`];
    if (found !== undefined) return found;
  } else if (standard !== undefined && standard.offset % 60 === 0 && Math.abs(standard.offset) <= 720) {
    const hours = standard.offset / 60;
    return hours === 0 ? "UTC" : `Etc/GMT${hours > 0 ? "-" : "+"}${Math.abs(hours)}`;
  }
  throw new AgendaRefused("zone");
}

/** Clocks change: at this instant, from and to these offsets; all in seconds. */
interface Change {
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

const offsetAt = (name: string, at: number): number => Math.round(offset(name, at * 1000) / 1000);
const wallOf = (change: Change): Date => new Date((change.at + change.before) * 1000);

/** Changes between the beginnings of two years: a look each week, then halving. */
function changesOf(name: string, first: number, last: number): Change[] {
  const found: Change[] = [];
  const end = Date.UTC(last, 0, 1) / 1000;
  for (let at = Date.UTC(first, 0, 1) / 1000; at < end; ) {
    const following = Math.min(at + 7 * 86_400, end);
    const [before, after] = [offsetAt(name, at), offsetAt(name, following)];
    if (before !== after) {
      let [low, high] = [at, following];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (offsetAt(name, middle) === before) low = middle;
        else high = middle;
      }
      found.push({ at: high, before, after });
    }
    at = following;
  }
  return found;
}

/** RRULE of changes that come each year on the same weekday of a month; "" when they do not. */
function weekdayRule(changes: readonly Change[]): string {
  const told = changes.map((one) => {
    const wall = wallOf(one);
    const size = new Date(Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth() + 1, 0)).getUTCDate();
    return {
      place: [wall.getUTCMonth() + 1, wall.getUTCDay(), wall.toISOString().slice(11, 19)].join(" "),
      month: wall.getUTCMonth() + 1, weekday: wall.getUTCDay(), last: wall.getUTCDate() + 7 > size, nth: Math.floor((wall.getUTCDate() - 1) / 7) + 1,
    };
  });
  if (new Set(told.map((one) => one.place)).size !== 1) return "";
  const [{ month, weekday, nth }] = told as [(typeof told)[number]];
  const name = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"][weekday];
  if (told.every((one) => one.last)) return `FREQ=YEARLY;BYMONTH=${month};BYDAY=-1${name}`;
  return new Set(told.map((one) => one.nth)).size === 1 ? `FREQ=YEARLY;BYMONTH=${month};BYDAY=${nth}${name}` : "";
}

function written(seconds: number): string {
  const two = (one: number) => String(one).padStart(2, "0");
  const rest = Math.abs(seconds);
  return `${seconds < 0 ? "-" : "+"}${two(Math.floor(rest / 3600))}${two(Math.floor(rest / 60) % 60)}${rest % 60 === 0 ? "" : two(rest % 60)}`;
}

function observance(change: Change, rule: string): string[] {
  const kind = change.after > change.before ? "DAYLIGHT" : "STANDARD";
  const start = wallOf(change).toISOString().slice(0, 19).replace(/[-:]/g, "");
  return [`BEGIN:${kind}`, `DTSTART:${start}`, ...(rule === "" ? [] : [`RRULE:${rule}`]), `TZOFFSETFROM:${written(change.before)}`, `TZOFFSETTO:${written(change.after)}`, `END:${kind}`];
}

const made = new Map<string, readonly string[]>();

/** VTIMEZONE (RFC 5545 §3.6.5) that holds from the year before `year` on. */
export function timezoneLines(name: string, year: number): readonly string[] {
  const cached = made.get(`${name} ${year}`);
  if (cached !== undefined) return cached;
  const changes = changesOf(name, year - 1, year + 2);
  const [up, down] = [changes.filter((one) => one.after > one.before), changes.filter((one) => one.after < one.before)];
  const lines = ["BEGIN:VTIMEZONE", `TZID:${name}`];
  if (changes.length === 0) {
    const still = offsetAt(name, Date.UTC(year, 0, 1) / 1000);
    lines.push(...observance({ at: -still, before: still, after: still }, ""));
  } else if (changes.length === 6 && up.length === 3 && weekdayRule(up) !== "" && weekdayRule(down) !== "") {
    for (const every of [up, down]) lines.push(...observance(every[0]!, weekdayRule(every)));
  } else {
    // no pattern: each change of the years around
    for (const one of changesOf(name, year - 1, year + 6)) lines.push(...observance(one, ""));
  }
  lines.push("END:VTIMEZONE");
  made.set(`${name} ${year}`, lines);
  return lines;
}
