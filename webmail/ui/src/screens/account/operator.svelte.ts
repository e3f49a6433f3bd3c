// Who runs this page and whom to call: asked once, shown wherever help is offered.
import type { Operator } from "../../lib/contract.ts";
import { t } from "../../i18n/index.ts";
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

  /** Whom to call, in a sentence: an operator who gives no number is still somebody who wrote. */
  get callee(): string {
    return this.contact || t("account.help.whoWrote");
  }
}

export const host = new Host();
