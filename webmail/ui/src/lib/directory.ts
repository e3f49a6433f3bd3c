// Looking somebody up in the directory: what is typed goes in the body of a request, and is kept nowhere. A search that
// the next letter overtakes is given up, and says nothing of whether the server can be reached.
import { refusal, sessionEnded } from "./api.ts";
import { Refused } from "./contract.ts";
import type { DirectoryWork, Looked } from "./directory_contract.ts";
import { accountId } from "./mail_boxes.ts";

const MOST = 8;
const PATIENCE = 10_000; // ms

export const directory: DirectoryWork = {
  async search(words, { profession, department }, signal) {
    const asked = { q: words, profession, department, account: accountId(), limit: MOST };
    try {
      const answer = await fetch("/api/directory", {
        method: "POST",
        body: JSON.stringify(asked),
        headers: { "Content-Type": "application/json", "X-Vaguemestre": "1" },
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
      });
      if (!answer.ok) throw await refusal(answer);
      return (await answer.json()) as Looked;
    } catch (fault) {
      if (signal.aborted) throw new Refused("superseded");
      if (!(fault instanceof Refused)) throw new Refused("offline");
      if (fault.slug === "no-session") sessionEnded.tell(null);
      throw fault;
    }
  },
};
