// Which vaccinations and examinations public rules provide for, for somebody born then: worked out on the device from a
// birth date, a sex that may be untold, and the vaccinations their record shows. The rules are data (`*.json` beside).
//
// Invariants: pure; a rule that wants a sex is silent when none was told; each recall names its source and its reason; what
// the person said (done, refused) always wins.
import type { Facts, Recall } from "../../../lib/agenda_contract.ts";

export interface Words {
  fr: string;
  en: string;
}

/** Ages are [years, months, days]. */
type Age = readonly [years: number, months?: number, days?: number];

export interface Rule {
  id: string;
  title: Words;
  why: Words;
  sex?: "F" | "M";
  /** Once for each: due from, late after; without `until` it is never too late. */
  at?: readonly { from: Age; until?: Age; label?: Words }[];
  /** Every so many months from an age on, up to another. */
  every?: { from: Age; to: Age; months: number; late: number };
  /** Each year between two days ("10-15", "01-31"), from an age on. */
  season?: { from: Age; to: Age; begins: string; ends: string };
  /** Only for who was born on or after, or before, that day. */
  bornFrom?: string;
  bornBefore?: string;
  /** Months after it became late that it is still asked for, where that is not BEHIND: 0 for what cannot be made up for. */
  behind?: number;
  /** Names by which a vaccination in the record shows that it was done: whole words, the beginning of one before "*". */
  shownBy?: readonly string[];
  /** A dose of any age shows it. */
  ever?: boolean;
}

export interface Rules {
  source: Words;
  date: string; // of the source
  read: string; // when it was read
  rules: readonly Rule[];
}

/** Something done, as the record shows it. */
export interface Done {
  name: string;
  date: string; // ISO, of any precision
  id: string;
}

export type Verdict = { value: "done" | "refused" | "open" };

const plain = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const two = (number: number): string => String(number).padStart(2, "0");

/** The day somebody reaches an age; the 29th of February becomes the 1st of March. */
export function dayAt(birthDate: string, [years, months = 0, days = 0]: Age): string {
  const [year, month, day] = birthDate.split("-").map(Number) as [number, number, number];
  const whole = month - 1 + months;
  const last = new Date(Date.UTC(year + years + Math.floor(whole / 12), (whole % 12) + 1, 0)).getUTCDate();
  const at = new Date(Date.UTC(year + years, whole, days === 0 && day > last ? last + 1 : day + days));
  return `${String(at.getUTCFullYear()).padStart(4, "0")}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
}

const later = (day: string, months: number): string => dayAt(day, [0, months]);

const FOR_LIFE = "9999-12-31";

interface Due {
  id: string;
  from: string;
  until: string;
  before: string; // when the next one of its rule takes its place; "": never
  label: Words | null;
}

function dues(rule: Rule, birthDate: string, today: string): Due[] {
  const made: Due[] = [];
  rule.at?.forEach(({ from, until, label }, i) => {
    made.push({ id: `${rule.id}.${i}`, from: dayAt(birthDate, from), until: until === undefined ? FOR_LIFE : dayAt(birthDate, until), before: "", label: label ?? null });
  });
  if (rule.every) {
    const { from, to, months, late } = rule.every;
    const end = dayAt(birthDate, to);
    // Each from the birth date: who was born on a leap day has one again every four years.
    const turnAt = (turn: number): string => dayAt(birthDate, [from[0], (from[1] ?? 0) + turn * months, from[2] ?? 0]);
    for (let turn = 0; turnAt(turn) < end && turn < 60; turn++) {
      const [at, next] = [turnAt(turn), turnAt(turn + 1)];
      made.push({ id: `${rule.id}.${turn}`, from: at, until: later(at, late), before: next < end ? next : end, label: null });
    }
  }
  if (rule.season) {
    const { from, to, begins, ends } = rule.season;
    const year = Number(today.slice(0, 4)) - (today.slice(5) <= ends ? 1 : 0);
    const [first, last] = [`${year}-${begins}`, `${year + (ends < begins ? 1 : 0)}-${ends}`];
    if (dayAt(birthDate, from) <= last && first < dayAt(birthDate, to)) made.push({ id: `${rule.id}.${year}`, from: first, until: last, before: `${year + 1}-${begins}`, label: null });
  }
  return made;
}

/** Words of a rule's list: "grippe" is in "Vaccin antigrippe", "influenza" is not in "Haemophilus influenzae". */
function namedBy(words: readonly string[]): (name: string) => boolean {
  const written = words.map((one) => plain(one).replace(/[^\p{L}\p{N}]+$/u, "").replace(/[.+?^${}()|[\]\\]/g, "\\$&") + (one.endsWith("*") ? "" : "(?![\\p{L}\\p{N}])"));
  const any = new RegExp(`(?<![\\p{L}\\p{N}])(?:anti[- ]?)?(?:${written.join("|")})`, "u");
  return (name) => words.length > 0 && any.test(plain(name));
}

const APART = 24; // months between boosters of fixed ages: a dose then counts for the age it was given at

/** Doses of a series count in their order; boosters that lie years apart each at their own age. */
function shown(rule: Rule, found: readonly Due[], done: readonly Done[], birthDate: string): Map<string, Done> {
  const named = namedBy(rule.shownBy ?? []);
  const doses = done.filter(({ name, date }) => date !== "" && date >= birthDate.slice(0, date.length) && named(name)).sort((a, b) => (a.date < b.date ? -1 : 1));
  const made = new Map<string, Done>();
  if (rule.every || rule.season) {
    for (const due of found) {
      const dose = doses.findLast(({ date }) => date >= later(due.from, rule.season ? -1 : -6) && (due.before === "" || date < later(due.before, rule.season ? -1 : -6)));
      if (dose) made.set(due.id, dose);
    }
    return made;
  }
  const left = [...doses];
  for (const [at, due] of found.entries()) {
    const next = found[at + 1];
    const end = next !== undefined && later(due.from, APART) < next.from ? later(next.from, -6) : "9";
    const index = left.findIndex(({ date }) => (rule.ever === true || date >= later(due.from, -6).slice(0, date.length)) && date < end);
    if (index < 0) continue;
    made.set(due.id, left[index]!);
    left.splice(0, index + 1);
  }
  return made;
}

const AHEAD = 24; // months: what comes later is not spoken of
const BEHIND = 36; // months after which what was missed is not asked for any more, unless its rule says otherwise

export function evaluate(all: readonly Rules[], facts: Facts, done: readonly Done[], said: ReadonlyMap<string, string>, today: string, language: "fr" | "en"): Recall[] {
  const made: Recall[] = [];
  for (const { source, date, rules } of all) {
    for (const rule of rules) {
      if (rule.sex !== undefined && rule.sex !== facts.sex) continue;
      if (rule.bornFrom !== undefined && facts.birthDate < rule.bornFrom) continue;
      if (rule.bornBefore !== undefined && facts.birthDate >= rule.bornBefore) continue;
      const found = dues(rule, facts.birthDate, today);
      const proved = shown(rule, found, done, facts.birthDate);
      for (const due of found) {
        const word = said.get(due.id) ?? "";
        const proof = proved.get(due.id) ?? null;
        if (due.from > later(today, AHEAD)) continue;
        const over = due.before !== "" && due.before <= today;
        const gone = due.until !== FOR_LIFE && later(due.until, proof === null && word === "" ? (rule.behind ?? BEHIND) : BEHIND) < today;
        if (gone || (over && proof === null && word !== "done")) continue; // the next one stands in its place
        const open = due.from > today ? "coming" : today > due.until ? "late" : "due";
        const state = word === "done" || word === "refused" ? word : proof !== null ? "done" : open;
        const label = due.label === null ? "" : ` – ${due.label[language]}`;
        made.push({
          id: due.id, title: rule.title[language] + label, why: rule.why[language], source: `${source[language]} (${date})`, from: due.from, until: due.until === FOR_LIFE ? "" : due.until,
          state, doneBy: state === "done" ? (proof?.id ?? null) : null, said: word === "done" || word === "refused",
        });
      }
    }
  }
  return made.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : a.id < b.id ? -1 : 1));
}
