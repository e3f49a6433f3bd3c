// What became of letters that were sent from here. A letter is held back for a moment before it leaves, and may be
// refused then: who was told "sent" must be told so.
// Invariants: nothing is said of a letter whose end is not known; one whose end is known is not asked for again.
import type { Away } from "./contract.ts";
import { jmap, from, type Arguments } from "./jmap.ts";

interface Submission {
  emailId: string;
  undoStatus: string;
  deliveryStatus: Record<string, { delivered: string; reason?: string; leaves?: Away["leaves"] }> | null;
}

const ends = new Map<string, string>(); // email id → "" it left, else why not
const ways = new Map<string, Away[]>(); // email id → how it left for other operators

export function forgetFates(): void {
  ends.clear();
  ways.clear();
}
export const fateOf = (id: string): string | null => ends.get(id) ?? null;
export const awayOf = (id: string): Away[] | undefined => ways.get(id);

/** True when a refusal came to be known, or how a letter left for another operator. */
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
    const theirs = found.filter((one) => one.emailId === id);
    const away = theirs.flatMap(({ deliveryStatus }) => Object.entries(deliveryStatus ?? {}).flatMap(([address, { delivered, leaves }]): Away[] => (leaves === undefined ? [] : [{ address, leaves, delivered }])));
    if (away.length > 0 && JSON.stringify(ways.get(id)) !== JSON.stringify(away)) {
      ways.set(id, away);
      refused = true;
    }
    const why = end(theirs);
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
