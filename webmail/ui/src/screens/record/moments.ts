// Moments of documents, told no more precisely than they came: "2024", "mai 2024", "12 mai 2024".
import { speech } from "../../i18n/language.svelte.ts";

const SHAPE = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?(T\d{2}:\d{2}.*)?$/u;
const DAY = 86_400_000;

interface Read {
  at: Date;
  precision: "year" | "month" | "day" | "time";
}

function read(at: string): Read | null {
  const [, year, month, date, time] = SHAPE.exec(at) ?? [];
  if (!year) return null;
  if (time) {
    const exact = new Date(at);
    return Number.isNaN(exact.getTime()) ? null : { at: exact, precision: "time" };
  }
  const found = new Date(Number(year), Number(month ?? 1) - 1, Number(date ?? 1));
  return { at: found, precision: date ? "day" : month ? "month" : "year" };
}

/** "" for what is no date. `time`: with the hour, where it came with one. */
export function when(at: string, { time = false, short = false } = {}): string {
  const found = read(at);
  if (!found) return "";
  const { precision } = found;
  const options: Intl.DateTimeFormatOptions = { year: "numeric" };
  if (precision !== "year") options.month = short ? "short" : "long";
  if (precision === "day" || precision === "time") options.day = "numeric";
  if (time && precision === "time") Object.assign(options, { hour: "2-digit", minute: "2-digit" });
  return new Intl.DateTimeFormat(speech.language === "fr" ? "fr-FR" : "en-GB", options).format(found.at);
}

export const yearOf = (at: string): string => read(at)?.at.getFullYear().toString() ?? "";

/** For `<time datetime>`: what the standard takes, or nothing. */
export const machine = (at: string): string | undefined => (read(at) ? at : undefined);

/** Milliseconds, for a chart. */
export const instant = (at: string): number => read(at)?.at.getTime() ?? Number.NaN;

/** Whole days from today until that day; negative when it is past. */
export function daysUntil(day: string | number): number {
  const then = typeof day === "number" ? new Date(day) : read(day)?.at;
  if (!then) return Number.NaN;
  const [to, from] = [new Date(then), new Date()].map((one) => one.setHours(12, 0, 0, 0));
  return Math.round(((to ?? 0) - (from ?? 0)) / DAY);
}
