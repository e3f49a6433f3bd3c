// What the server does not do without a fresh proof of who is here is tried, proved, and tried again: the act goes on
// where it was. One question at a time; a question that is closed without a proof ends the act.
import { Refused } from "../../lib/contract.ts";

class Proving {
  asked = $state(false);
  /** A password alone would not do. */
  strong = $state(false);
  #answer: ((proved: boolean) => void) | null = null;

  ask(strong: boolean): Promise<boolean> {
    this.#answer?.(false);
    this.strong = strong;
    this.asked = true;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(proved: boolean): void {
    this.asked = false;
    this.#answer?.(proved);
    this.#answer = null;
  }
}

export const proving = new Proving();

export async function proven<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Refused) || error.slug !== "step-up-needed") throw error;
    if (!(await proving.ask(error.detail.reason === "strong"))) throw new Refused("step-up-cancelled");
    return act();
  }
}
