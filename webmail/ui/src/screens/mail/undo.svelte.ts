// What was just done and can still be undone: a letter sent (for some seconds), a conversation moved (until the next act).

import { announce } from "../../components/announce.svelte.ts";
import { t } from "../../i18n/index.ts";
import type { Sent } from "../../lib/contract.ts";
import { askBy } from "../../lib/gate_leave.ts";

// Whoever sends anything imports this: what would leave readable is asked of them first.
askBy(async (addresses) => (await import("./gate_asked.svelte.ts")).asked(addresses));

export interface Undoable {
  readonly kind: "sent" | "done";
  readonly words: string;
  /** Moment when it cannot be undone any more; null: no such moment. */
  readonly until: number | null;
  undo(): Promise<void>;
}

class Last {
  act: Undoable | null = $state.raw(null);
  left = $state(0); // seconds
  busy = $state(false);
  /** What came of it, when the act itself is gone. */
  outcome = $state("");
  #fading: ReturnType<typeof setTimeout> | undefined;
  #clock: ReturnType<typeof setInterval> | undefined;

  did(act: Undoable): void {
    clearInterval(this.#clock);
    this.act = act;
    this.outcome = "";
    this.busy = false;
    if (act.until !== null) {
      this.#tick();
      this.#clock = setInterval(() => this.#tick(), 250);
    }
  }

  async undo(): Promise<void> {
    const act = this.act;
    if (act === null || this.busy) return;
    this.busy = true;
    clearInterval(this.#clock);
    try {
      await act.undo();
    } finally {
      this.busy = false;
      if (this.act === act) this.act = null;
    }
  }

  /** One sentence that needs no answer; one that `stays` until it is closed. */
  tell(words: string, stays = false): void {
    clearTimeout(this.#fading);
    this.act = null;
    this.outcome = words;
    announce(words);
    if (!stays) this.#fading = setTimeout(() => (this.outcome = ""), 10_000);
  }

  close(): void {
    clearInterval(this.#clock);
    this.act = null;
    this.outcome = "";
  }

  #tick(): void {
    const until = this.act?.until ?? 0;
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    if (left === this.left && left > 0) return;
    this.left = left;
    if (left === 5) announce(t("compose.sent.still", { n: left }));
    if (left === 0 && !this.busy) this.close();
  }
}

export const last = new Last();

/** After a letter was handed over: it can be called back for a while. */
export function justSent(sent: Sent, givenBack: () => void): void {
  last.did({
    kind: "sent",
    words: t("compose.sent.done"),
    until: sent.until,
    async undo() {
      try {
        if (await sent.undo()) {
          givenBack();
          last.tell(t("compose.sent.undone"));
        } else last.tell(t("compose.sent.tooLate"));
      } catch {
        last.tell(t("compose.sent.failed"));
      }
    },
  });
  announce(t("compose.sent.announced", { n: last.left }));
  setTimeout(() => void look(sent, 3), sent.until - Date.now() + SOON);
}

const SOON = 3_000;

/** A letter leaves only when it cannot be undone any more, and may then be refused: whoever was told "sent" is told so. */
async function look(sent: Sent, tries: number): Promise<void> {
  const fate = await sent.fate?.().catch(() => null);
  if (fate) last.tell(t("compose.sent.refused"), true);
  else if (fate === null && tries > 1) setTimeout(() => void look(sent, tries - 1), SOON);
}
