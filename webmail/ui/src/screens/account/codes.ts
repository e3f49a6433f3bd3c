// Codes that people copy from paper: the activation code (12 characters) and the recovery sheet (25).
// Invariants: alphabet without I L O U; what looks alike is read alike (O as 0, I and L as 1); the last character
// checks the others, so that a typing error is told before anything is sent, and costs no try.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export const CODE_LENGTH = 12;
export const SHEET_LENGTH = 25;

/** What was meant by what was typed or pasted: capitals, no dashes, no blanks, look-alikes resolved. */
export function plainCode(typed: string): string {
  return typed
    .normalize("NFKC")
    .toUpperCase()
    .replace(/[\s\u2010-\u2015\u2212._-]+/gu, "")
    .replace(/O/gu, "0")
    .replace(/[IL]/gu, "1");
}

/** In groups of four, as on paper. */
export function groupsOf(typed: string): string[] {
  return plainCode(typed).match(/.{1,4}/gu) ?? [];
}

export const dashed = (typed: string): string => groupsOf(typed).join("-");

export type CodeFault = "empty" | "character" | "short" | "long" | "mistyped";

/** Why this cannot be a code; null when it can. */
export function codeFault(typed: string, length: number): CodeFault | null {
  const code = plainCode(typed);
  if (code === "") return "empty";
  let sum = 0;
  for (const [position, character] of [...code].entries()) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return "character";
    if (position < length - 1) sum += value * (position + 1);
  }
  if (code.length < length) return "short";
  if (code.length > length) return "long";
  return ALPHABET[sum % 32] === code[length - 1] ? null : "mistyped";
}

/** The code that a letter's link carries behind its `#`: browsers never send that part to a server. */
export function codeInFragment(fragment: string): string {
  const given = new URLSearchParams(fragment.replace(/^#/u, "")).get("code");
  return given === null ? "" : dashed(given.slice(0, 40));
}

// The beginning of a month's name, without accents, in French or English.
const MONTHS = ["jan", "fe", "mar", "a[vp]r", "ma[iy]", "juin|jun", "juil|jul", "ao|aug", "sep", "oct", "nov", "dec"].map((start) => new RegExp(`^(?:${start})`, "u"));

/** A professional's link names their address beside the code, and so tells that it is theirs. */
export function addressInFragment(fragment: string): string {
  const given = new URLSearchParams(fragment.replace(/^#/u, "")).get("adresse") ?? "";
  return /^[^\s@]{1,64}@[^\s@]{1,255}$/u.test(given) ? given : "";
}

export type DayFault = "empty" | "form" | "year" | "unreal";

/** Day, month and year as people write them, day first: 3/5/1948, 03.05.48, 03 05 1948, 03051948, 3 mai 1948. */
function dayParts(typed: string): [day: number, month: number, year: string] | null {
  const text = typed.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/u.exec(text);
  if (iso) return [Number(iso[3]), Number(iso[2]), iso[1] ?? ""];
  const numbers = /^(\d{1,2})[^\da-z]+(\d{1,2})[^\da-z]+(\d{4}|\d{2})$/u.exec(text) ?? /^(\d{2})(\d{2})(\d{4}|\d{2})$/u.exec(text);
  if (numbers) return [Number(numbers[1]), Number(numbers[2]), numbers[3] ?? ""];
  const words = /^(\d{1,2})(?:er|st|nd|rd|th)?[^\da-z]*([a-z]{3,})[^\da-z]*(\d{4}|\d{2})$/u.exec(text);
  const month = words ? MONTHS.findIndex((name) => name.test(words[2] ?? "")) + 1 : 0;
  return words && month > 0 ? [Number(words[1]), month, words[3] ?? ""] : null;
}

/** A birth date as people write it. null: see `dayFault`. */
export function isoDay(typed: string, today: Date = new Date()): string | null {
  const parts = dayParts(typed);
  if (parts === null) return null;
  const [day, month, written] = parts;
  const year = written.length === 2 ? wholeYear(Number(written), today) : Number(written);
  if (year === null) return null;
  const date = new Date(Date.UTC(year, month - 1, day));
  const real = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!real || year < 1880 || date.getTime() > today.getTime()) return null;
  return date.toISOString().slice(0, 10);
}

/** Two digits mean one year alone when the other century's is still to come. */
const wholeYear = (two: number, today: Date): number | null => (two > today.getFullYear() % 100 ? 1900 + two : null);

/** Why this is no birth date; null when it is one. */
export function dayFault(typed: string, today: Date = new Date()): DayFault | null {
  if (typed.trim() === "") return "empty";
  if (isoDay(typed, today) !== null) return null;
  const parts = dayParts(typed);
  if (parts === null) return "form";
  return parts[2].length === 2 && wholeYear(Number(parts[2]), today) === null ? "year" : "unreal";
}

/** The last five of the 15 digits, also when all of them were typed. */
export function lastFiveOf(typed: string): string | null {
  const plain = typed.replace(/[\s\u2010-\u2015.-]+/gu, "").toUpperCase();
  if (/^\d{5}$/u.test(plain)) return plain;
  return /^\d{5}[\dAB]{2}\d{8}$/u.test(plain) ? plain.slice(-5) : null;
}

/** Two different groups to ask back, so that a sheet that was never written down is noticed now. */
export function twoOf(count: number, random: () => number = unpredictable): [number, number] {
  const first = Math.floor(random() * count);
  const second = (first + 1 + Math.floor(random() * (count - 1))) % count;
  return first < second ? [first, second] : [second, first];
}

function unpredictable(): number {
  const draw = crypto.getRandomValues(new Uint32Array(1));
  return (draw[0] ?? 0) / 2 ** 32;
}
