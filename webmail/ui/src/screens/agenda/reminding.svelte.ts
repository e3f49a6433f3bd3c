// Reminders while the page is open, whichever screen is shown. What the device itself shows tells nothing of the
// appointment: it may lie on a table.
import { announce } from "../../components/announce.svelte.ts";
import { t } from "../../i18n/index.ts";
import { agenda } from "../../agenda.ts";
import type { Occurrence } from "../../lib/agenda_contract.ts";
import { here } from "../../place.svelte.ts";
import { known } from "../../session.svelte.ts";
import { last } from "../mail/undo.svelte.ts";
import { titleOf, whenWords } from "./times.ts";

class Reminded {
  /** Shown on the agenda's screens until they are closed. */
  all: readonly { id: string; occurrence: Occurrence }[] = $state.raw([]);

  close(id: string): void {
    this.all = this.all.filter((one) => one.id !== id);
  }
}

export const reminded = new Reminded();
export const remindWords = (one: Occurrence): string => t("agenda.reminders.now", { title: titleOf(one), when: whenWords(one) });
let startedFor: string | null = null;
let stop: (() => void) | null = null;

/** For who is here; a second person at the same page hears nothing of the first. */
export function startReminding(): void {
  const person = known.session?.account.id ?? null;
  if (person === null || startedFor === person) return;
  stop?.();
  startedFor = person;
  reminded.all = [];
  stop = agenda.onReminder(({ id, occurrence }) => {
    if (known.session?.account.id !== person) return;
    reminded.all = [...reminded.all.filter((one) => one.occurrence.id !== occurrence.id), { id, occurrence }];
    const words = remindWords(occurrence);
    if (here.place?.path.startsWith("/agenda")) announce(words);
    else last.tell(words, true);
    if (deviceShows() === "granted" && document.visibilityState !== "visible") new Notification("Vaguemestre", { body: t("agenda.reminders.quiet"), tag: "reminder" });
  });
}

export const deviceShows = (): NotificationPermission => (typeof Notification === "undefined" ? "denied" : Notification.permission);
export const askDevice = (): Promise<NotificationPermission> => Notification.requestPermission();
