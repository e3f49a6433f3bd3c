// Who runs this page and whom to call: asked once, shown wherever help is offered.
import type { Operator } from "../../lib/contract.ts";
import { account } from "../../work.ts";

class Host {
  known: Operator | null = $state.raw(null);
  #asked = false;

  /** Asked when first needed; without an answer, screens offer the help page alone. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    account.operator().then(
      (operator) => (this.known = operator),
      () => (this.#asked = false),
    );
  }

  get contact(): string {
    return this.known?.contact ?? "";
  }
}

export const host = new Host();
