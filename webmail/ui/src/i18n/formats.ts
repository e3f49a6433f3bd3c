// Moments and sizes, as the language spoken writes them. Apart from the words: the frame needs none of it.

import { speech } from "./language.svelte.ts";

/** "18 novembre", "hier, 14:05": what a list shows of a moment. */
export function shortDate(at: number): string {
  const then = new Date(at);
  const now = new Date();
  if (then.toDateString() === now.toDateString()) return format(then, { hour: "2-digit", minute: "2-digit" });
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (then.toDateString() === yesterday.toDateString()) {
    return new Intl.RelativeTimeFormat(speech.language, { numeric: "auto" }).format(-1, "day");
  }
  const thisYear = then.getFullYear() === now.getFullYear();
  return format(then, thisYear ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", year: "numeric" });
}

export function longDate(at: number): string {
  return format(new Date(at), { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

export function dayDate(at: number): string {
  return format(new Date(at), { day: "numeric", month: "long", year: "numeric" });
}

/** 1 200 000 → "1,2 Mo". */
export function fileSize(bytes: number): string {
  const unit = bytes < 1_000_000 ? "kilobyte" : "megabyte";
  const value = bytes < 1_000_000 ? Math.max(1, Math.round(bytes / 1000)) : bytes / 1_000_000;
  return new Intl.NumberFormat(speech.language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 }).format(value);
}

function format(when: Date, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat(speech.language === "fr" ? "fr-FR" : "en-GB", options).format(when);
}
