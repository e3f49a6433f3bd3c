// Why an answer to an appointment did not leave: it is a letter, and what stops a letter is said in the same words.
import { loadWords, t, tMaybe } from "../../i18n/index.ts";
import { Refused } from "../../lib/contract.ts";

const PLAIN = new Set(["other", "failure", "offline"]); // "the message is still here" would not be true of an answer

export async function whyNot(fault: unknown, name: string): Promise<string> {
  const slug = fault instanceof Refused ? fault.slug : "other";
  if (PLAIN.has(slug)) return t("agenda.answer.failed");
  await loadWords("compose").catch(() => undefined);
  return tMaybe(`compose.errors.send.${slug}`, "agenda.answer.failed", { name });
}
