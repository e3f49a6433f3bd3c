// What the screens of the agenda may ask, and what they get. Times of appointments are milliseconds with the time zone
// they were made in; a whole day is "YYYY-MM-DD".
import type { Letter, Person, Sent } from "./contract.ts";

export type AgendaStatus = "needs-action" | "accepted" | "declined" | "tentative" | "cancelled" | "own" | "told";

/** One occurrence, as the list and the month show it. */
export interface Occurrence {
  id: string; // of the appointment and its occurrence
  uid: string;
  recurrence: string; // RECURRENCE-ID in UTC, "" when it comes once
  title: string;
  start: number;
  end: number;
  allDay: boolean;
  day: string; // YYYY-MM-DD, where the page is
  zone: string; // IANA name
  place: string;
  organiser: Person | null; // null: one's own entry
  status: AgendaStatus;
  changed: boolean; // moved since it was answered: look again
  repeats: boolean;
  conflicts: string[]; // ids of occurrences at the same time
  answerable: boolean;
  letter: string | null;
  threadId: string | null;
}

/** What waits for an answer, by its next occurrence. */
export interface Asked extends Occurrence {
  scope: "one" | "all"; // what is asked about: this occurrence, or the whole series
}

export interface Appointment {
  occurrence: Occurrence;
  description: string;
  rule: string; // its repetition, in words of the page's language
  history: { at: number; what: "asked" | "changed" | "answered" | "proposed" | "refused-proposal" | "cancelled"; by: Person; detail: string }[];
  proposal: { start: number; end: number } | null; // another time proposed from here, not answered yet
  /** Why nothing can be answered: "closed", "no-way", "not-from-organiser", ""; words.agenda.cannot[...]. */
  cannotAnswer: string;
  reminders: number[]; // minutes before
}

export interface EntryDraft {
  title: string;
  start: number;
  end: number;
  allDay: boolean;
  place: string;
  description: string;
  repeat: "" | "daily" | "weekly" | "monthly" | "yearly";
  until: string; // YYYY-MM-DD, "": for ever
  reminders: number[];
}

/** A vaccination or examination that public rules say is due. */
export interface Recall {
  id: string; // of the rule and the occurrence
  title: string;
  why: string; // the rule in words, with its source and date
  source: string;
  from: string; // YYYY-MM-DD: due from
  until: string; // late after
  state: "coming" | "due" | "late" | "done" | "refused";
  doneBy: string | null; // uniqueId or entry that shows it was done
  said: boolean; // done or refused: the patient's own word, which they may take back
}

/** What public rules ask of a person; kept in the patient's own letters, and told to nobody. */
export interface Facts {
  birthDate: string; // YYYY-MM-DD
  sex: "F" | "M" | ""; // "": not told; what depends on it is not offered
}

export interface Reminder {
  id: string;
  at: number;
  occurrence: Occurrence;
}

/** An invitation found in one letter, for the view of that letter (professionals too: answers are shown there). */
export interface LetterAppointment {
  method: string; // "REQUEST", "REPLY", "COUNTER", "CANCEL", "DECLINECOUNTER", "ADD", "PUBLISH", "REFRESH"
  uid: string;
  title: string;
  start: number;
  end: number;
  allDay: boolean;
  zone: string;
  place: string;
  organiser: Person | null;
  attendees: { person: Person; status: string }[];
  comment: string;
  trusted: boolean; // its organiser (or who answers) is who sent the letter
  answerable: boolean;
  occurrence: string | null; // id in one's own agenda
  status: AgendaStatus; // as it stands now, whatever this letter said
  past: boolean; // a later letter took this one's place
  rule: string;
}

export interface AgendaWork {
  ready(progress: (done: number, total: number) => void): Promise<void>;
  /** Occurrences that touch [from, to[, in order. */
  between(from: number, to: number): Promise<Occurrence[]>;
  appointment(id: string): Promise<Appointment>;
  /** Those of the days to come that wait for an answer, soonest first. */
  toAnswer(): Promise<Asked[]>;
  inLetter(letter: Letter): Promise<LetterAppointment[]>;
  /** Answers, sealed to the organiser. `scope`: this one, or the whole series. */
  answer(id: string, status: "accepted" | "declined" | "tentative", scope: "one" | "all", comment?: string): Promise<Sent>;
  propose(id: string, start: number, end: number, comment: string): Promise<Sent>;
  draft(id: string): Promise<EntryDraft>; // of one's own entry
  add(draft: EntryDraft): Promise<string>;
  change(id: string, draft: EntryDraft): Promise<void>;
  remove(id: string): Promise<void>;
  setReminders(uid: string, minutes: number[]): Promise<void>;
  /** Called when something is to be reminded of while the page is open. */
  onReminder(listener: (reminder: Reminder) => void): () => void;
  facts(): Promise<Facts | null>; // null: to be asked for
  setFacts(facts: Facts): Promise<void>;
  recalls(): Promise<Recall[]>;
  refuseRecall(id: string, refused: boolean): Promise<void>;
  recallDone(id: string, done: boolean): Promise<void>;
  /** text/calendar of one appointment ("" : of all). */
  ics(id: string): Promise<Blob>;
  onChange(listener: () => void): () => void;
}
