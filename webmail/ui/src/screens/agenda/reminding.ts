// Reminders while the page is open, whichever screen is shown. What the device itself shows tells nothing of the
// appointment: it may lie on a table.
import { t } from "../../i18n/index.ts";
import { agenda } from "../../agenda.ts";
import { last } from "../mail/undo.svelte.ts";
import { titleOf, whenWords } from "./times.ts";

let started = false;

export function startReminding(): void {
  if (started) return;
  started = true;
  agenda.onReminder(({ occurrence }) => {
    last.tell(t("agenda.reminders.now", { title: titleOf(occurrence), when: whenWords(occurrence) }), true);
    if (deviceShows() === "granted" && document.visibilityState !== "visible") new Notification("Vaguemestre", { body: t("agenda.reminders.quiet"), tag: "reminder" });
  });
}

export const deviceShows = (): NotificationPermission => (typeof Notification === "undefined" ? "denied" : Notification.permission);
export const askDevice = (): Promise<NotificationPermission> => Notification.requestPermission();
