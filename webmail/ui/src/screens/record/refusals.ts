// What a refusal of the record says to a person. What was to be sent speaks with the words of letters that are not.
import { loadWords, t, tMaybe } from "../../i18n/index.ts";
import { Refused } from "../../lib/contract.ts";

export async function refusalWords(error: unknown, name: string): Promise<string> {
  await loadWords("compose").catch(() => undefined);
  const slug = error instanceof Refused ? error.slug : "other";
  const own = tMaybe(`record.errors.${slug}`, "record.errors.other");
  return own === t("record.errors.other") ? tMaybe(`compose.errors.send.${slug}`, "record.errors.other", { name }) : own;
}
