// Names of document types in the language of the page, and the class that each belongs to: the national table (JDV_J07),
// whose date stands in it.
import tables from "./value_sets.json";

export type Language = "fr" | "en";

interface Told {
  fr: string;
  en: string;
  class: string;
}

const TYPES = new Map((tables.types as string[][]).map(([code, fr, en, class_]): [string, Told] => [code!, { fr: fr!, en: en!, class: class_! }]));

export const typeLabel = (type: string, language: Language): string => TYPES.get(type)?.[language] ?? type;
export const classOfType = (type: string): string => TYPES.get(type)?.class ?? "";
