// What a refusal of an identity provider, or of what it said, means to a person. The slug itself is for the trace.
import { tMaybe } from "../../i18n/index.ts";
import { slugOf, wordsOf } from "./refusal.ts";

/** Several reasons that ask the same of a person. */
const SAME: Readonly<Record<string, string>> = { "unknown-provider": "provider-unreachable", "replayed": "expired" };

export const refusalOf = (slug: string): string => tMaybe(`rights.refused.${SAME[slug] ?? slug}`, "rights.refused.unverified");

/** The server's other refusals (too many, offline) have their own words. */
export function providerWords(error: unknown): string {
  const slug = slugOf(error);
  const other = tMaybe("", "rights.refused.unverified");
  return refusalOf(slug) === other ? wordsOf(error) : refusalOf(slug);
}
