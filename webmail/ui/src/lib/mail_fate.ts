// What became of letters that were sent from here. A letter is held back for a moment before it leaves, and may be
// refused then: who was told "sent" must be told so.
// Invariants: nothing is said of a letter whose end is not known; one whose end is known is not asked for again.
import { jmap, from, type Arguments } from "./jmap.ts";

interface Submission {
  emailId: string;
  undoStatus: string;
  deliveryStatus: Record<string, { delivered: string; reason?: string }> | null;
}

const ends = new Map<string, string>(); // email id → "" it left, else why not

export const forgetFates = (): void => ends.clear();
export const fateOf = (id: string): string | null => ends.get(id) ?? null;

/** True when a refusal came to be known. */
export async function learnFates(accountId: string, ids: string[]): Promise<boolean> {
  const emailIds = ids.filter((id) => !ends.has(id));
  if (emailIds.length === 0) return false;
  const made = await jmap([
    ["EmailSubmission/query", { accountId, filter: { emailIds } }, "q"],
    ["EmailSubmission/get", { accountId, "#ids": from("q", "EmailSubmission/query", "/ids"), properties: ["emailId", "undoStatus", "deliveryStatus"] }, "g"],
  ]);
  const found = ((made.get("g") as Arguments)["list"] ?? []) as Submission[];
  let refused = false;
  for (const id of emailIds) {
    const why = end(found.filter((one) => one.emailId === id));
    if (why === null) continue;
    ends.set(id, why);
    refused ||= why !== "";
  }
  return refused;
}

function end(submissions: Submission[]): string | null {
  const kept = submissions.filter(({ undoStatus }) => undoStatus !== "canceled");
  const outcomes = kept.flatMap((one) => Object.values(one.deliveryStatus ?? {}));
  const failed = outcomes.find(({ delivered }) => delivered === "no");
  if (failed) return failed.reason === "over-quota" ? "recipient-full" : (failed.reason ?? "other");
  const open = kept.some(({ undoStatus }) => undoStatus === "pending") || outcomes.some(({ delivered }) => delivered === "queued");
  return open ? null : "";
}
