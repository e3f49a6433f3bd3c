// What a refusal says to a person: the sentence for its slug, how many tries are left, when to try again, and the
// reference to give on the telephone when nothing better can be said.
import { Refused } from "../../lib/contract.ts";
import { t, tMaybe } from "../../i18n/index.ts";

/** The same refusal under the name it has elsewhere. */
const SAME: Readonly<Record<string, string>> = { "password-wrong": "password-refused", "last-slot": "slot-needed", "must-renew": "renew-first" };

/** The sentence for a slug; those about keys and rights lie among the words of the settings. */
function sentence(slug: string): string {
  const other = t("account.errors.other");
  const found = ["account", "rights", "security.key"].map((area) => tMaybe(`${area}.errors.${slug}`, "account.errors.other")).find((words) => words !== other);
  return found ?? other;
}

/** `special`: slugs that mean something more precise on this screen, and the slug whose sentence says it. */
export function wordsOf(error: unknown, special: Readonly<Record<string, string>> = {}): string {
  if (!(error instanceof Refused)) return t("account.errors.other");
  const slug = special[error.slug] ?? SAME[error.slug] ?? error.slug;
  const { triesLeft, retryAfter, reference } = error.detail;
  const sentences = [sentence(slug)];
  if (triesLeft === 0) sentences.push(t("account.errors.noTries"));
  else if (triesLeft !== undefined) sentences.push(t("account.errors.triesLeft", { n: triesLeft }));
  if (retryAfter !== undefined) sentences.push(t("account.errors.retryAfter", { time: lasting(retryAfter) }));
  const unexplained = slug === "failure" || sentences[0] === t("account.errors.other");
  if (reference && unexplained) sentences.push(t("account.errors.reference", { reference }));
  return sentences.join(" ");
}

export const slugOf = (error: unknown): string => (error instanceof Refused ? error.slug : "");

function lasting(seconds: number): string {
  const minutes = Math.max(1, Math.ceil(seconds / 60));
  return minutes < 90 ? t("account.errors.minutes", { n: minutes }) : t("account.errors.hours", { n: Math.round(minutes / 60) });
}
