// What happens once an answer is on its way: it may be called back for some seconds, and whether it was refused is told.
import { announce } from "../../components/announce.svelte.ts";
import { t } from "../../i18n/index.ts";
import type { Sent } from "../../lib/contract.ts";
import { last } from "../mail/undo.svelte.ts";

const SOON = 3_000;

export function answered(sent: Sent, words: string): void {
  last.did({
    kind: "sent",
    words,
    until: sent.until,
    async undo() {
      const undone = await sent.undo().catch(() => null);
      last.tell(t(undone === null ? "agenda.answer.failed" : undone ? "agenda.answer.undone" : "agenda.answer.tooLate"));
    },
  });
  announce(t("agenda.answer.announced", { words, n: last.left }));
  setTimeout(() => void look(sent, 3), sent.until - Date.now() + SOON);
}

async function look(sent: Sent, tries: number): Promise<void> {
  const fate = await sent.fate?.().catch(() => null);
  if (fate) last.tell(t("agenda.answer.refused"), true);
  else if (fate === null && tries > 1) setTimeout(() => void look(sent, tries - 1), SOON);
}
