// The letterboxes of who is here: their own, and those of the shared accounts they are a member of.

import type { Box } from "../../lib/contract.ts";
import { known } from "../../session.svelte.ts";
import { account, mail } from "../../work.ts";

class Boxes {
  all: readonly Box[] = $state.raw([]);
  entered = $state("");
  #of: string | null = null; // whose they are

  constructor() {
    account.onChange((session) => {
      if (session?.account.id === this.#of) return;
      this.#of = null;
      this.all = [];
      this.entered = "";
    });
  }

  /** A shared one, when it is the one that was entered. */
  get shared(): Box | null {
    return this.all.find(({ id, own }) => id === this.entered && !own) ?? null;
  }

  async load(): Promise<void> {
    const session = known.session;
    if (session?.account.kind !== "PER" || this.#of === session.account.id) return;
    this.#of = session.account.id;
    try {
      this.all = await mail.boxes();
      this.entered = mail.box();
    } catch {
      this.#of = null; // asked again with the next list
    }
  }

  enter(box: Box): void {
    mail.enter(box.id);
    this.entered = box.id;
  }
}

export const boxes = new Boxes();
