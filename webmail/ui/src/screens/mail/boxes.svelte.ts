// The letterboxes of who is here: their own, and those of the accounts they read. Known before a list asks for them.

import type { Box, Session } from "../../lib/contract.ts";
import { known } from "../../session.svelte.ts";
import { account, mail } from "../../work.ts";

class Boxes {
  all: readonly Box[] = $state.raw([]);
  entered = $state("");
  #of: string | null = null; // whose they are

  constructor() {
    account.onChange((session) => void this.#load(session));
    void this.#load(known.session);
  }

  /** The one that was entered, where it is not one's own. */
  get shared(): Box | null {
    return this.all.find(({ id, own }) => id === this.entered && !own) ?? null;
  }

  /** Whether these rights (RFC 4314 letters) are held where one is. */
  may(rights: string): boolean {
    const held = this.shared?.rights;
    return held === undefined || [...rights].every((one) => held.includes(one));
  }

  enter(box: Box): void {
    mail.enter(box.id);
    this.entered = box.id;
  }

  async #load(session: Session | null | undefined): Promise<void> {
    const of = session?.unlocked && session.account.kind === "PER" ? session.account.id : null;
    if (of === this.#of) return;
    this.#of = of;
    this.all = [];
    this.entered = "";
    if (of === null) return;
    try {
      const found = await mail.boxes();
      if (of !== this.#of) return;
      this.all = found;
      this.entered = mail.box();
    } catch {
      this.#of = null; // asked again when the session is told again
    }
  }
}

export const boxes = new Boxes();
