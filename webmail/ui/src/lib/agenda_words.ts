// What an answer says to people, and repetitions in words, in the language of the page. Apart from the screens' words: a
// letter is written here whatever is shown.
import type { Rule } from "../worker/agenda/model.ts";
import type { Occurrence } from "./agenda_contract.ts";
import { language } from "./record_language.ts";

type Language = "fr" | "en";
export type Said = "accepted" | "tentative" | "declined" | "proposed";
type Told = { title: string; when: string; other: string };

const SUBJECTS: Record<Language, Record<Said, string>> = {
  fr: { accepted: "Accepté\u00a0: ", tentative: "Peut-être\u00a0: ", declined: "Refusé\u00a0: ", proposed: "Autre moment proposé\u00a0: " },
  en: { accepted: "Accepted: ", tentative: "Maybe: ", declined: "Declined: ", proposed: "Another time proposed: " },
};
const TEXTS: Record<Language, Record<Said, (told: Told) => string>> = {
  fr: {
    accepted: ({ title, when }) => `Bonjour,\n\nJ’accepte ce rendez-vous\u00a0: ${title}, ${when}.`,
    tentative: ({ title, when }) => `Bonjour,\n\nJe viendrai peut-être à ce rendez-vous\u00a0: ${title}, ${when}.`,
    declined: ({ title, when }) => `Bonjour,\n\nJe ne viendrai pas à ce rendez-vous\u00a0: ${title}, ${when}.`,
    proposed: ({ title, when, other }) => `Bonjour,\n\nPour ce rendez-vous (${title}, ${when}), je propose un autre moment\u00a0: ${other}.`,
  },
  en: {
    accepted: ({ title, when }) => `Hello,\n\nI accept this appointment: ${title}, ${when}.`,
    tentative: ({ title, when }) => `Hello,\n\nI may come to this appointment: ${title}, ${when}.`,
    declined: ({ title, when }) => `Hello,\n\nI will not come to this appointment: ${title}, ${when}.`,
    proposed: ({ title, when, other }) => `Hello,\n\nFor this appointment (${title}, ${when}), I propose another time: ${other}.`,
  },
};
const UNTITLED: Record<Language, string> = { fr: "Rendez-vous", en: "Appointment" };
const OFTEN: Record<Language, Record<Rule["freq"], [one: string, many: string]>> = {
  fr: { DAILY: ["Chaque jour", "Tous les {n} jours"], WEEKLY: ["Chaque semaine", "Toutes les {n} semaines"], MONTHLY: ["Chaque mois", "Tous les {n} mois"], YEARLY: ["Chaque année", "Tous les {n} ans"] },
  en: { DAILY: ["Every day", "Every {n} days"], WEEKLY: ["Every week", "Every {n} weeks"], MONTHLY: ["Every month", "Every {n} months"], YEARLY: ["Every year", "Every {n} years"] },
};
const DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

const tag = (language: Language): string => (language === "fr" ? "fr-FR" : "en-GB");
export { language };

export function whenWords({ start, allDay }: Pick<Occurrence, "start" | "allDay">): string {
  const time: Intl.DateTimeFormatOptions = allDay ? {} : { hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  return new Intl.DateTimeFormat(tag(language()), { weekday: "long", day: "numeric", month: "long", year: "numeric", ...time }).format(start);
}

export function letterWords(said: Said, occurrence: Occurrence, comment: string, name: string, other = ""): { subject: string; text: string } {
  const now = language();
  const told = { title: occurrence.title || UNTITLED[now], when: whenWords(occurrence), other };
  const text = [TEXTS[now][said](told), comment.trim(), name].filter((one) => one !== "").join("\n\n");
  return { subject: SUBJECTS[now][said] + told.title, text };
}

/** A repetition in words; "" for what comes once. */
export function ruleWords(rule: Rule | null): string {
  if (rule === null) return "";
  const now = language();
  const [one, many] = OFTEN[now][rule.freq];
  let words = rule.interval === 1 ? one : many.replace("{n}", String(rule.interval));
  const days = rule.byday.map((day) => DAYS.indexOf(day.slice(-2))).filter((at) => at >= 0).map((at) => new Intl.DateTimeFormat(tag(now), { weekday: "long" }).format(new Date(2024, 0, 1 + at)));
  if (days.length > 0 && rule.freq === "WEEKLY") words += `${now === "fr" ? ", le " : ", on "}${new Intl.ListFormat(tag(now)).format(days)}`;
  if (rule.until !== null) {
    const [year, month, day] = rule.until.local.slice(0, 10).split("-").map(Number) as [number, number, number];
    words += `${now === "fr" ? ", jusqu’au " : ", until "}${new Intl.DateTimeFormat(tag(now), { dateStyle: "long" }).format(new Date(year, month - 1, day))}`;
  }
  if (rule.count > 0) words += now === "fr" ? `, ${rule.count} fois` : `, ${rule.count} time${rule.count > 1 ? "s" : ""}`;
  return words;
}
