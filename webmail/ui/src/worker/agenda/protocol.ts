// What the page may ask of the agenda's side of the worker. Types only. Words are the page's: here are values.
import type { AgendaStatus, Appointment as Shown, Asked, EntryDraft, LetterAppointment, Occurrence } from "../../lib/agenda_contract.ts";
import type { Item } from "../record/manifest_model.ts";
import type { Kept } from "../record/protocol.ts";
import type { Rule } from "./model.ts";

/** Who asks, and from where. */
export interface Asking {
  own: string[]; // addresses of the holder: the one that is shown first
  name: string;
  here: string; // time zone of the page
}

export interface Told extends Omit<Shown, "rule"> {
  rule: Rule | null;
  letter: string | null; // the newest one that came about it
}

/** What is to be sent, and in answer to which letter. */
export interface ToSend {
  to: string;
  ics: string;
  item: Item;
  letter: string | null;
  occurrence: Occurrence;
}

/** What is to be kept as a letter to oneself; `drop`: letters whose place it takes. */
export interface ToKeep {
  ics: string;
  items: Item[];
  drop: string[];
  id: string;
}

/** A calendar too large to stand in the manifest: its part is to be fetched. */
export interface Unread {
  item: Item;
  letter: Kept;
}

export interface Said {
  decision: string; // "remind", "facts", "recall"
  target: string;
  value: string;
  stamp: string;
  letter: string;
  spent?: string[]; // letters whose word this one took the place of
  alone: boolean; // its letter holds nothing else
}

export interface AgendaOperations {
  unread(_: null): Unread[];
  /** The text of such a calendar; "" for one that could not be fetched. */
  read(_: { letter: string; part: string; text: string }): null;
  between(_: Asking & { from: number; to: number; now: number }): Occurrence[];
  toAnswer(_: Asking & { now: number }): Asked[];
  appointment(_: Asking & { id: string; now: number }): Told;
  inLetter(_: Asking & { texts: string[]; sender: string; letter: string; now: number }): (Omit<LetterAppointment, "rule"> & { rule: Rule | null })[];
  answer(_: Asking & { id: string; status: AgendaStatus; scope: "one" | "all"; comment: string; now: number }): ToSend;
  propose(_: Asking & { id: string; start: number; end: number; comment: string; now: number }): ToSend;
  draft(_: Asking & { id: string }): EntryDraft;
  entry(_: Asking & { id: string | null; draft: EntryDraft; now: number }): ToKeep;
  /** Letters of one's own entry, to be destroyed. */
  lettersOf(_: Asking & { id: string }): string[];
  ics(_: Asking & { id: string }): string;
  said(_: Asking): Said[];
}

export type AgendaOperation = keyof AgendaOperations;
export type AgendaGiven<K extends AgendaOperation> = Parameters<AgendaOperations[K]>[0];
export type AgendaMade<K extends AgendaOperation> = ReturnType<AgendaOperations[K]>;

export interface AgendaQuestion {
  ask: AgendaOperation;
  given: unknown;
}
