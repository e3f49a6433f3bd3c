// What was searched for and found, kept in memory so that one comes back to it from a letter; gone with who searched.

import type { LetterLine } from "../../lib/contract.ts";
import { account } from "../../work.ts";

class Searched {
  words = $state("");
  asked = $state("");
  found: readonly LetterLine[] | null = $state.raw(null);

  clear(): void {
    this.words = "";
    this.asked = "";
    this.found = null;
  }
}

export const searched = new Searched();

account.onChange((session) => {
  if (!session?.unlocked) searched.clear();
});
