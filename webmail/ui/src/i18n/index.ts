// Words for people, in French first. `<area>.fr.json` is the source: its keys are the type of `t`'s first argument, and
// `<area>.en.json` must have the same. A plural is an object with "one" and "other", chosen by the number `n`.
// A key that is missing shows itself: a screen with a hole in it helps nobody.

import type access from "./access.fr.json";
import type account from "./account.fr.json";
import type agenda from "./agenda.fr.json";
import type compose from "./compose.fr.json";
import type directory from "./directory.fr.json";
import { speech, type Language, type Tree } from "./language.svelte.ts";
import type mail from "./mail.fr.json";
import type record from "./record.fr.json";
import type rights from "./rights.fr.json";
import type security from "./security.fr.json";
import type seldom from "./seldom.fr.json";
import type shell from "./shell.fr.json";

interface Words {
  shell: typeof shell;
  account: typeof account;
  access: typeof access;
  rights: typeof rights;
  security: typeof security;
  mail: typeof mail;
  compose: typeof compose;
  directory: typeof directory;
  seldom: typeof seldom;
  record: typeof record;
  agenda: typeof agenda;
}

export { dayDate, fileSize, longDate, shortDate } from "./formats.ts";

export type Area = keyof Words;
type Leaves<T> = {
  [K in keyof T & string]: T[K] extends string ? K : T[K] extends { one: string; other: string } ? K : `${K}.${Leaves<T[K]>}`;
}[keyof T & string];
export type Key = Leaves<Words>;
export type Values = Readonly<Record<string, string | number>>;

const FILES = import.meta.glob<Tree>("./*.json", { import: "default" });
const KEPT = "vaguemestre.language";
const loaded = new Set<Area>();

export function language(): Language {
  return speech.language;
}

/** The language kept on this device, else the browser's, else French. */
export function chooseLanguage(): void {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // Storage is refused here: the browser's language serves.
  }
  const wanted = [kept, ...navigator.languages].find((tag) => tag && /^(fr|en)\b/.test(tag));
  say(wanted?.startsWith("en") ? "en" : "fr");
}

export async function switchLanguage(to: Language): Promise<void> {
  const areas = [...loaded];
  const words = await Promise.all(areas.map((area) => fetchWords(area, to)));
  speech.areas = Object.fromEntries(areas.map((area, i) => [area, words[i] ?? {}]));
  say(to);
  try {
    localStorage.setItem(KEPT, to);
  } catch {
    // Not kept: asked again next time.
  }
}

export async function loadWords(...areas: Area[]): Promise<void> {
  const missing = areas.filter((area) => !loaded.has(area));
  const words = await Promise.all(missing.map((area) => fetchWords(area, speech.language)));
  const found = Object.fromEntries(missing.map((area, i) => [area, words[i] ?? {}]));
  if (missing.length) speech.areas = { ...speech.areas, ...found };
  missing.forEach((area) => loaded.add(area));
}

/** Whether these words are here. */
export const spoken = (...areas: Area[]): boolean => areas.every((area) => loaded.has(area));

/** The words for a key; `{name}` is replaced by `values.name`, and `values.n` chooses the plural. */
export function t(key: Key, values: Values = {}): string {
  return fill(find(key), values) ?? key;
}

/** As `t`, for a key put together at run time (an error's slug, an action); `otherwise` when there are no such words. */
export function tMaybe(key: string, otherwise: Key, values: Values = {}): string {
  return fill(find(key), values) ?? t(otherwise, values);
}

function say(which: Language): void {
  speech.language = which;
  document.documentElement.lang = which;
}

async function fetchWords(area: Area, which: Language): Promise<Tree> {
  return (await FILES[`./${area}.${which}.json`]?.()) ?? {};
}

function find(key: string): string | Tree | undefined {
  let here: string | Tree | undefined = speech.areas;
  for (const name of key.split(".")) {
    if (typeof here !== "object" || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  return here;
}

function fill(words: string | Tree | undefined, values: Values): string | undefined {
  let text = words;
  if (typeof text === "object") text = text[new Intl.PluralRules(speech.language).select(Number(values["n"] ?? 0))] ?? text["other"];
  if (typeof text !== "string") return undefined;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(speech.language).format(value) : value;
  });
}
