// Moments of the agenda in words, days as "YYYY-MM-DD" where the page is, and the weeks of a month.
import { language, t } from "../../i18n/index.ts";
import type { Occurrence } from "../../lib/agenda_contract.ts";
import { line } from "../mail/words.ts";

type Spoken = Pick<Occurrence, "start" | "end" | "allDay" | "zone">;

const tag = (): string => (language() === "fr" ? "fr-FR" : "en-GB");
const two = (number: number): string => String(number).padStart(2, "0");

export const titleOf = ({ title }: { title: string }): string => line(title, 160) || t("agenda.untitled");

export function dayKey(at: number): string {
  const day = new Date(at);
  return `${String(day.getFullYear()).padStart(4, "0")}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** Midnight of a day, here; NaN for what is none. */
export function dayStart(key: string): number {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/u.exec(key);
  if (!found) return NaN;
  const day = new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
  return dayKey(day.getTime()) === key ? day.getTime() : NaN;
}

/** A time of a day, here; NaN for what is none. */
export function moment(key: string, time: string): number {
  const found = /^(\d{2}):(\d{2})$/u.exec(time);
  const start = new Date(dayStart(key));
  return found ? new Date(start.getFullYear(), start.getMonth(), start.getDate(), Number(found[1]), Number(found[2])).getTime() : NaN;
}

export function plusDays(key: string, days: number): string {
  const day = new Date(dayStart(key));
  return dayKey(new Date(day.getFullYear(), day.getMonth(), day.getDate() + days).getTime());
}

/** The same day of another month, or its last one. */
export function plusMonths(key: string, months: number): string {
  const day = new Date(dayStart(key));
  const last = new Date(day.getFullYear(), day.getMonth() + months + 1, 0);
  return dayKey(new Date(last.getFullYear(), last.getMonth(), Math.min(day.getDate(), last.getDate())).getTime());
}

/** Six weeks at most, Monday first, that hold the month of this day. */
export function weeks(key: string): string[][] {
  const day = new Date(dayStart(key));
  const first = new Date(day.getFullYear(), day.getMonth(), 1);
  const last = dayKey(new Date(day.getFullYear(), day.getMonth() + 1, 0).getTime());
  let at = plusDays(dayKey(first.getTime()), -((first.getDay() + 6) % 7));
  const found: string[][] = [];
  while (at <= last) {
    found.push(Array.from({ length: 7 }, (_, i) => plusDays(at, i)));
    at = plusDays(at, 7);
  }
  return found;
}

const written = (at: number, options: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat(tag(), options).format(at);

export const monthWords = (key: string): string => written(dayStart(key), { month: "long", year: "numeric" });
export const dayWords = (key: string): string => written(dayStart(key), { weekday: "long", day: "numeric", month: "long", year: "numeric" });
export const dateWords = (key: string): string => written(dayStart(key), { day: "numeric", month: "long", year: "numeric" });
export const weekdays = (style: "long" | "narrow" | "short"): string[] => Array.from({ length: 7 }, (_, i) => written(new Date(2024, 0, i + 1).getTime(), { weekday: style }));
export const timeWords = (at: number): string => written(at, { hour: "2-digit", minute: "2-digit" });
export const timeField = (at: number): string => `${two(new Date(at).getHours())}:${two(new Date(at).getMinutes())}`;

/** The last day of what lasts whole days: its end is the midnight after it. */
export const lastDay = ({ start, end }: Pick<Spoken, "start" | "end">): string => dayKey(Math.max(start, end - 1));

/** "10:30 – 11:00", "Toute la journée": beside a day that is told already. */
export function timesWords(one: Spoken): string {
  if (one.allDay) return t("agenda.allDay");
  if (one.end <= one.start) return timeWords(one.start);
  return dayKey(one.start) === dayKey(one.end) ? `${timeWords(one.start)} – ${timeWords(one.end)}` : `${timeWords(one.start)} – ${written(one.end, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })}`;
}

/** "mardi 24 novembre 2026, 10:30 – 11:00". */
export function whenWords(one: Spoken): string {
  const first = dayKey(one.start);
  if (!one.allDay) return `${dayWords(first)}, ${timesWords(one)}`;
  const last = lastDay(one);
  return last > first ? `${dayWords(first)} – ${dayWords(last)}` : dayWords(first);
}

const here = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The same times where it was made, when clocks differ there; "" else. */
export function zoneWords(one: Spoken): string {
  // UTC is how calendars write a time, not a place where somebody waits.
  if (one.allDay || one.zone === "" || one.zone === "UTC" || one.zone === here()) return "";
  try {
    const format = new Intl.DateTimeFormat(tag(), { weekday: "long", hour: "2-digit", minute: "2-digit", timeZone: one.zone });
    if (format.format(one.start) === written(one.start, { weekday: "long", hour: "2-digit", minute: "2-digit" })) return "";
    return t("agenda.detail.zone", { time: format.format(one.start), zone: (one.zone.split("/").at(-1) ?? one.zone).replaceAll("_", " ") });
  } catch {
    return ""; // a zone this browser does not know
  }
}

/** What a browser saves a file by. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
