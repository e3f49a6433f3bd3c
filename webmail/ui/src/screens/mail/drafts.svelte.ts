// What is being written. Invariants: kept in memory alone, never on the disk nor in an address; it survives going to
// another screen and back, is given back when a sending is undone, and goes with whoever wrote it.

import { SvelteMap } from "svelte/reactivity";
import { account } from "../../work.ts";

export class Writing {
  to: string[] = $state([]);
  subject = $state("");
  text = $state("");
  files: File[] = $state.raw([]);
  closes = $state(false); // ends the exchange

  get empty(): boolean {
    return this.to.length === 0 && this.subject.trim() === "" && this.nothingSaid;
  }

  /** Nothing that would be missed. */
  get nothingSaid(): boolean {
    return this.text.trim() === "" && this.files.length === 0;
  }
}

const PATIENCE = 15 * 60_000;

class Drafts {
  #writings = new SvelteMap<string, Writing>();
  #author: string | null = null;
  #forgetting: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    account.onChange((session) => {
      clearTimeout(this.#forgetting);
      if (session === null) {
        // A session that ends while someone writes must not cost them their letter: they have a while to come back.
        this.#forgetting = setTimeout(() => this.#writings.clear(), PATIENCE);
        return;
      }
      if (this.#author !== null && this.#author !== session.account.id) this.#writings.clear();
      this.#author = session.account.id;
    });
  }

  /** "new" for a new letter, else the conversation answered. */
  of(key: string): Writing {
    const known = this.#writings.get(key);
    if (known) return known;
    const fresh = new Writing();
    this.#writings.set(key, fresh);
    return fresh;
  }

  drop(key: string): void {
    this.#writings.delete(key);
  }

  /** Undone: what had been sent is being written again. */
  giveBack(key: string, writing: Writing): void {
    this.#writings.set(key, writing);
  }
}

export const drafts = new Drafts();
