// What is said of a document beside its title: a word and a drawing for each of its states.
import { DRAWINGS } from "../../components/drawings.ts";
import { t } from "../../i18n/index.ts";
import type { DocumentLine } from "../../lib/record_contract.ts";
import { line as one } from "../mail/words.ts";
import { HIDDEN } from "./drawings.ts";
import { daysUntil, when } from "./moments.ts";

export interface Mark {
  name: string;
  tone: "plain" | "new" | "alert" | "good";
  path: string;
  words: string;
}

const SOON = 30; // days before its end that a prescription is told to end

export function titleOf(line: DocumentLine): string {
  if (line.locked) return t("record.lockedTitle");
  return one(line.title) || one(line.typeLabel) || t("record.untitled");
}

/** "Valable encore 12 jours", "Expirée depuis le 3 mai 2026"; null: it says nothing of its end. */
export function expiry({ prescription }: DocumentLine): { words: string; tone: Mark["tone"]; over: boolean; left: number } | null {
  const until = prescription?.until;
  if (!until) return null;
  const left = daysUntil(until);
  if (Number.isNaN(left)) return null;
  if (left < 0) return { words: t("record.prescription.over", { date: when(until) }), tone: "alert", over: true, left };
  if (left === 0) return { words: t("record.prescription.today"), tone: "alert", over: false, left };
  if (left <= SOON) return { words: t("record.prescription.left", { n: left }), tone: "alert", over: false, left };
  return { words: t("record.prescription.until", { date: when(until) }), tone: "good", over: false, left };
}

export function marksOf(line: DocumentLine): Mark[] {
  const found: Mark[] = [];
  const add = (name: string, tone: Mark["tone"], path: string, words: string): void => void found.push({ name, tone, path, words });
  if (line.unread) add("new", "new", DRAWINGS.inbox, t("record.marks.new"));
  if (line.locked) add("locked", "alert", DRAWINGS.lock, t("record.marks.locked"));
  if (line.about === "another") add("another", "alert", DRAWINGS.warning, t("record.marks.another"));
  if (line.state === "withdrawn") add("withdrawn", "alert", DRAWINGS.close, t("record.marks.withdrawn"));
  if (line.state === "superseded") add("superseded", "plain", DRAWINGS.refresh, t("record.marks.superseded"));
  if (line.state === "archived") add("archived", "plain", DRAWINGS.archive, t("record.marks.archived"));
  if (line.masked) add("masked", "plain", HIDDEN, t("record.marks.masked"));
  if (line.confidentiality.includes("INVISIBLE_REPRESENTANTS_LEGAUX")) add("guardians", "plain", DRAWINGS.people, t("record.marks.guardians"));
  const ends = line.state === "current" ? expiry(line) : null;
  if (ends) add("expiry", ends.tone, DRAWINGS.clock, ends.words);
  if (line.versions > 1 && line.state === "current") add("versions", "plain", DRAWINGS.copy, t("record.marks.versions", { n: line.versions }));
  if (line.own) add("own", "plain", DRAWINGS.person, t("record.marks.own"));
  return found;
}
