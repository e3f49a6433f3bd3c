// What a document says when it is opened, as far as the record needs it again: results for curves, entries for the
// profile, how long a prescription holds, whom it is about. Kept in the index by the hash of the document's octets, which never change.
import type { Named } from "../../lib/record_holder.ts";
import type { ClinicalEntry, Document, Result } from "./cda_model.ts";
import type { Letters } from "./letters.ts";
import type { Item } from "./manifest_model.ts";

export interface Reading {
  author: string;
  at: string;
  results: Result[];
  entries: ClinicalEntry[];
  until: string; // ISO date: the prescription holds until then; "" when it does not say
  renewable: boolean;
  about: Named; // as it says itself
}

/** It was looked into, and says nothing that can be read. */
export const NOTHING_READ: Reading = { author: "", at: "", results: [], entries: [], until: "", renewable: false, about: { ids: [], familyName: "", givenName: "", birthDate: "" } };

const MOST = 500; // results or entries of one document

/** null: not looked into yet, or before it was asked whom a document is about. */
export function readingOf(letters: Letters, { hash }: Pick<Item, "hash">): Reading | null {
  const found = hash === "" ? undefined : (letters.reading(hash) as Partial<Reading> | undefined);
  return found?.about === undefined ? null : (found as Reading);
}

export function toReading(document: Document): Reading {
  const { header, results, entries } = document;
  const [author] = header.authors;
  const name = author === undefined ? "" : [author.givenName, author.familyName].filter((one) => one !== "").join(" ") || author.organisation;
  return {
    author: name,
    at: header.serviceStart || header.at,
    results: results.filter((one) => !one.previous).slice(0, MOST),
    entries: entries.slice(0, MOST),
    until: validity(document),
    about: { ids: header.patientIds, familyName: header.traits.familyName, givenName: header.traits.givenName, birthDate: header.traits.birthDate },
    renewable: entries.some((one) => one.kind === "medication" && /renouvel|à renouveler|repeat|refill/i.test(one.detail)),
  };
}

/** Until when a prescription holds: the end of the act it covers, else of the longest treatment in it. */
function validity({ header, entries }: Document): string {
  const ends = entries.filter((one) => one.kind === "medication" && /^\d{4}-\d{2}-\d{2}/.test(one.end)).map((one) => one.end.slice(0, 10));
  const stop = /^\d{4}-\d{2}-\d{2}/.exec(header.serviceStop)?.[0] ?? "";
  const start = /^\d{4}-\d{2}-\d{2}/.exec(header.serviceStart)?.[0] ?? "";
  return ends.sort().at(-1) ?? (stop > start ? stop : "");
}

/** Whether it is worth opening: a wrapped PDF has no results nor entries, and is looked into only for whom it is about. */
export const tellsMore = ({ kind, format, hash }: Item, doubted: boolean): boolean =>
  hash !== "" && (kind === "fhir" || (kind === "document" && (doubted || !/xds-sd/.test(format))));
