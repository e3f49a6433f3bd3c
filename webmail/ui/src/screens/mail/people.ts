// How people are called on these screens: by name, else by what stands before the @; addresses come second.

import type { Letter, LetterLine, Person, Session } from "../../lib/contract.ts";
import { t } from "../../i18n/index.ts";
import { known } from "../../session.svelte.ts";
import { boxes } from "./boxes.svelte.ts";
import { learned } from "./names.svelte.ts";
import { line } from "./words.ts";

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** For a name inside a sentence: one that runs from right to left must not turn the sentence around. */
export const isolated = (text: string): string => (RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text);

export function nameOf(person: Person, most = 80): string {
  const given = line(person.name, most);
  if (given !== "" && !given.includes("@")) return given;
  return line(learned(person.address), most) || line(person.address.split("@")[0] ?? "", most) || t("mail.list.noName");
}

export const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

export function isMe(address: string, session: Session | null | undefined): boolean {
  return session != null && (same(address, session.account.address) || same(address, session.account.shown));
}

/** Of the account whose letters are shown: mine, or the one I write for. */
export const isOurs = (address: string, session: Session | null | undefined): boolean =>
  boxes.shared === null ? isMe(address, session) : same(address, boxes.shared.address);

/** The account whose letters are shown, when it is not one's own. */
export const theirs = (): string => (boxes.shared === null ? "" : isolated(nameOf({ name: "", address: boxes.shared.address })));

export const ownName = (session: Session | null | undefined): string =>
  session ? line(`${session.name.given} ${session.name.family}`) || session.account.shown : "";

/** "Dr Martin et 2 autres". */
export function several(people: readonly Person[], session: Session | null | undefined): string {
  const first = people[0];
  if (first === undefined) return "";
  const name = isMe(first.address, session) ? t("mail.list.me") : isolated(nameOf(first));
  return people.length === 1 ? name : `${name} ${t("mail.list.others", { n: people.length - 1 })}`;
}

/** Each by name: who else has a letter matters to whoever answers it. */
export function everyone(people: readonly Person[], session: Session | null | undefined, most = 12): string {
  const names = people.slice(0, most).map((one) => (isMe(one.address, session) ? t("mail.list.me") : isolated(nameOf(one))));
  const rest = people.length - names.length;
  return names.join(", ") + (rest > 0 ? ` ${t("mail.list.others", { n: rest })}` : "");
}

/** Whom an answer goes to: who wrote last (or whom they named for it), or whom I wrote to last. */
export function answered(letters: readonly Letter[], session: Session | null | undefined): { person: Person; letter: Letter } | null {
  for (const letter of letters.toReversed()) {
    if (isOurs(letter.from.address, session)) continue;
    const person = letter.replyTo && !isOurs(letter.replyTo.address, session) ? letter.replyTo : letter.from;
    return { person, letter };
  }
  const letter = letters.at(-1);
  const person = letter?.to.find(({ address }) => !isOurs(address, session));
  return letter && person ? { person, letter } : null;
}

/** A professional whose secret never came into the page: letters open in their program, and none is lost. */
export const holdsNothing = (session: Session | null | undefined): boolean => session != null && !session.keys.some(({ held }) => held);

/** The subject by which a professional ends an exchange, in words. */
const ENDING = /^((re|r\u00e9)\s*:\s*)*\[FIN\]$/iu;

export function subjectOf(letter: LetterLine): string {
  if (letter.locked) return t(holdsNothing(known.session) ? "mail.list.elsewhere" : "mail.locked.title");
  const subject = line(letter.subject, 300);
  if (ENDING.test(subject)) return t("mail.list.ending");
  if (subject !== "") return subject;
  // What was sealed by its sender may not have been opened on this device yet: its subject is not known to be missing.
  return t(letter.guard === "sealed" && letter.preview === "" && letter.attachments.length === 0 ? "mail.list.unopened" : "mail.list.noSubject");
}

/** The subject of a conversation: without "Re:" and its sisters. */
export function topicOf(letters: readonly LetterLine[]): string {
  const letter = letters.find((one) => !one.locked && one.subject.trim() !== "" && !ENDING.test(one.subject.trim())) ?? letters[0];
  if (letter === undefined) return "";
  if (letter.locked || ENDING.test(letter.subject.trim())) return subjectOf(letter);
  return line(letter.subject.slice(0, 4000).replace(/^(\s*(re|r\u00e9|fwd?|tr)\s*:\s*)+/iu, ""), 300) || t("mail.list.noSubject");
}
