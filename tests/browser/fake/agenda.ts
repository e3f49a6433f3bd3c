// An agenda without a server: invented appointments around today, in memory. Scenes (beside those of scene.ts):
//   years: five years of entries      quietagenda: nothing yet      nofacts: birth date not told yet
//   askedseries: a series waits for an answer
//   closedexchange: the organiser ended the exchange               reminder: one is due a second after the page opens
import type {
  AgendaWork, Appointment, EntryDraft, Facts, LetterAppointment, Occurrence, Recall, Reminder,
} from "../../../webmail/ui/src/lib/agenda_contract.ts";
import { Refused, type Person, type Sent } from "../../../webmail/ui/src/lib/contract.ts";
import { leave } from "./gate.ts";
import { pause, scene } from "./scene.ts";

const HOUR = 3_600_000;
const ME: Person = { name: "Jeanne Morvan", address: "250039935012345@patient.vallees.example" };
const MARTIN: Person = { name: "Dr Claire Martin", address: "claire.martin@cabinet.vallees.example" };
const HOSPITAL: Person = { name: "CHU des Vallées, cardiologie", address: "cardiologie@hopital.vallees.example" };
const NURSE: Person = { name: "Cabinet infirmier Le Goff et associés, Saint-Jacques-de-la-Lande", address: "cabinet.infirmier.le.goff.et.associes@soins-infirmiers.vallees.example" };

const midnight = new Date(new Date().setHours(0, 0, 0, 0));
/** A time of day, so many days from today. */
const at = (days: number, hours: number, minutes = 0): number =>
  new Date(midnight.getFullYear(), midnight.getMonth(), midnight.getDate() + days, hours, minutes).getTime();

function key(when: number): string {
  const day = new Date(when);
  return [day.getFullYear(), String(day.getMonth() + 1).padStart(2, "0"), String(day.getDate()).padStart(2, "0")].join("-");
}

interface Kept extends Appointment {
  draft?: EntryDraft;
}

let last = 0;
function made(title: string, start: number, minutes: number, given: Partial<Occurrence> = {}, more: Partial<Appointment> = {}): Kept {
  last += 1;
  const organiser = given.organiser === undefined ? MARTIN : given.organiser;
  const status = given.status ?? "accepted";
  const occurrence: Occurrence = {
    id: `o${last}`, uid: `u${last}@invented`, recurrence: "", title, start, end: start + minutes * 60_000, allDay: false, day: key(start),
    zone: "Europe/Paris", place: "", status, changed: false, repeats: false, conflicts: [], answerable: organiser !== null && start > Date.now() && status !== "cancelled" && status !== "told",
    letter: organiser ? `M${30 + last}` : null, threadId: organiser ? "T1" : null, ...given, organiser,
  };
  return {
    occurrence, description: "", rule: "", proposal: null, cannotAnswer: "", reminders: organiser ? [1440, 120] : [60],
    history: [{ at: start - 9 * 24 * HOUR, what: "asked", by: organiser ?? ME, detail: "" }], ...more,
  };
}

function invented(): Kept[] {
  if (scene("quietagenda")) return [];
  const zone = scene("closedexchange") ? "closed" : "";
  const found = [
    made("Consultation de suivi", at(3, 10, 30), 30, { status: "needs-action", place: "12 rue des Lilas, Rennes", answerable: zone === "" }, { description: "Apportez vos dernières analyses et la liste de vos médicaments.\nSalle d’attente au premier étage.", cannotAnswer: zone }),
    made("Échographie cardiaque", at(3, 10, 45), 45, { organiser: HOSPITAL, place: "CHU des Vallées, bâtiment B, 2e étage, porte 214" }),
    made("Téléconsultation", at(6, 17), 20, { organiser: { name: "Dr Ana Sousa", address: "ana.sousa@clinica.vallees.example" }, zone: "Europe/Lisbon", status: "tentative" }),
    made("Pansement", at(1, 8), 20, { organiser: NURSE, repeats: true, recurrence: "x" }, { rule: "Chaque semaine, le lundi et le jeudi" }),
    made("Consultation d’anesthésie", at(12, 14), 30, { organiser: HOSPITAL, changed: true, place: "CHU des Vallées, rez-de-chaussée" }, {
      history: [
        { at: at(-9, 9), what: "asked", by: HOSPITAL, detail: "" }, { at: at(-8, 18), what: "answered", by: ME, detail: "Accepté" },
        { at: at(-1, 11), what: "changed", by: HOSPITAL, detail: "" },
      ],
    }),
    made("Bilan de kinésithérapie", at(16, 9), 60, { organiser: { name: "Cabinet de kinésithérapie", address: "kine@soins.vallees.example" }, status: "cancelled" }),
    made("Radio du genou", at(20, 11), 30, { organiser: HOSPITAL }, { proposal: { start: at(21, 15), end: at(21, 15, 30) } }),
    made("Don du sang", at(9, 0), 24 * 60, { organiser: null, status: "own", allDay: true, answerable: false, place: "Maison du don" }),
    ...(scene("askedseries") ? [2, 9].map((days) => made("Rééducation", at(days, 15), 30, { uid: "weekly@invented", status: "needs-action", repeats: true, recurrence: `x${days}` }, { rule: "Chaque semaine" })) : []),
    made("Prise de tension", at(0, 20), 15, { organiser: null, status: "own", repeats: true, answerable: false }, { rule: "Chaque jour" }),
    made("Journée de prévention", at(25, 9), 480, { organiser: HOSPITAL, status: "told", answerable: false, place: "Hall du CHU" }, { cannotAnswer: "not-invited" }),
    made("Contrôle annuel", at(-20, 9), 30, {}),
  ];
  found[0]!.occurrence.conflicts = [found[1]!.occurrence.id];
  found[1]!.occurrence.conflicts = [found[0]!.occurrence.id];
  if (scene("years")) for (let day = -1825; day < 60; day++) found.push(made(day % 3 ? "Kinésithérapie" : "Piqûre", at(day, 7 + (day & 7)), 30, { organiser: NURSE }));
  return found;
}

let kept = invented();
let facts: Facts | null = scene("nofacts") ? null : { birthDate: "1950-03-12", sex: "F" };
const said = new Map<string, "done" | "refused">();
const listeners = new Set<() => void>();
const reminded = new Set<(reminder: Reminder) => void>();
const tell = (): void => listeners.forEach((listener) => listener());

async function answer(): Promise<void> {
  await pause();
  if (scene("offline")) throw new Refused("offline");
}

function found(id: string): Kept {
  const one = kept.find(({ occurrence }) => occurrence.id === id);
  if (one === undefined) throw new Refused("not-found", { status: 404 });
  return one;
}

function update(id: string, occurrence: Partial<Occurrence>, more: Partial<Kept> = {}): void {
  kept = kept.map((one) => (one.occurrence.id === id ? { ...one, ...more, occurrence: { ...one.occurrence, ...occurrence } } : one));
  tell();
}

function sent(id: string, before: Kept): Sent {
  const until = Date.now() + 60_000;
  return {
    id, until,
    async undo() {
      await answer();
      kept = kept.map((one) => (one.occurrence.id === id ? before : one));
      tell();
      return true;
    },
  };
}

const ofDraft = (draft: EntryDraft): Kept =>
  ({ ...made(draft.title, draft.start, (draft.end - draft.start) / 60_000, { organiser: null, status: "own", allDay: draft.allDay, place: draft.place, repeats: draft.repeat !== "", answerable: false }, { description: draft.description, reminders: draft.reminders }), draft });

const RULES = "Calendrier des vaccinations (ministère chargé de la santé), avril 2025";
const RECALLS: Recall[] = [
  { id: "flu.2026", title: "Vaccin contre la grippe", why: "À partir de 65 ans, la grippe est plus souvent grave : le vaccin est recommandé chaque automne.", source: RULES, from: "2026-10-15", until: "2027-01-31", state: "due", doneBy: null, said: false },
  { id: "dtp.75", title: "Rappel diphtérie, tétanos, poliomyélite", why: "À partir de 65 ans, un rappel est recommandé tous les dix ans : à 65, 75, 85 ans.", source: RULES, from: "2025-03-12", until: "2026-03-12", state: "late", doneBy: null, said: false },
  { id: "breast.2027", title: "Mammographie de dépistage", why: "De 50 à 74 ans, une mammographie est proposée tous les deux ans.", source: "Institut national du cancer, 2024", from: "2027-02-01", until: "2027-08-01", state: "coming", doneBy: null, said: false },
  { id: "zona.65", title: "Vaccin contre le zona", why: "À partir de 65 ans, deux doses sont recommandées.", source: RULES, from: "2025-03-12", until: "", state: "done", doneBy: "1.2.3", said: false },
];

export const agenda: AgendaWork = {
  async ready(progress) {
    await answer();
    progress(1, 1);
  },
  async between(from, to) {
    await answer();
    return kept.map(({ occurrence }) => occurrence).filter(({ start, end }) => start < to && end > from).sort((a, b) => a.start - b.start);
  },
  async appointment(id) {
    await answer();
    return found(id);
  },
  async toAnswer() {
    await answer();
    const waiting = kept.map(({ occurrence }) => occurrence).filter((one) => one.answerable && (one.status === "needs-action" || one.changed));
    const once = waiting.filter((one, at) => waiting.findIndex(({ uid }) => uid === one.uid) === at);
    return once.map((one) => ({ ...one, scope: one.repeats ? "all" : "one" }));
  },
  async inLetter(letter) {
    await answer();
    const asked = kept[0]?.occurrence;
    const base: LetterAppointment = {
      method: "REQUEST", uid: "u1@invented", title: "Consultation de suivi", start: at(3, 10, 30), end: at(3, 11), allDay: false, zone: "Europe/Paris", place: "12 rue des Lilas, Rennes", organiser: MARTIN,
      attendees: [{ person: ME, status: "needs-action" }], comment: "", trusted: true, answerable: true, occurrence: asked?.id ?? null, status: asked?.status ?? "needs-action", past: false, rule: "",
    };
    const reply: LetterAppointment = { ...base, method: "REPLY", answerable: false, occurrence: null, attendees: [{ person: ME, status: "accepted" }], comment: "J’apporterai mes analyses." };
    if (letter.id === "M31") return [reply];
    if (letter.id === "M32") return [{ ...reply, method: "COUNTER", start: at(4, 9), end: at(4, 9, 30), comment: "Je travaille ce matin-là." }];
    if (letter.id === "M33") return [{ ...base, trusted: false, answerable: false, occurrence: null }];
    return [base];
  },
  async answer(id, status, scope) {
    await answer();
    const before = found(id);
    await leave([before.occurrence.organiser?.address ?? ""]);
    const meant = kept.filter(({ occurrence }) => occurrence.id === id || (scope === "all" && occurrence.uid === before.occurrence.uid));
    for (const { occurrence, history } of meant) update(occurrence.id, { status, changed: false }, { history: [...history, { at: Date.now(), what: "answered", by: ME, detail: status }] });
    return sent(id, before);
  },
  async propose(id, start, end) {
    await answer();
    const before = found(id);
    await leave([before.occurrence.organiser?.address ?? ""]);
    update(id, {}, { proposal: { start, end } });
    return sent(id, before);
  },
  async draft(id) {
    await answer();
    const { draft, occurrence, description, reminders } = found(id);
    return draft ?? { title: occurrence.title, start: occurrence.start, end: occurrence.end, allDay: occurrence.allDay, place: occurrence.place, description, repeat: occurrence.repeats ? "daily" : "", until: "", reminders };
  },
  async add(draft) {
    await answer();
    const one = ofDraft(draft);
    kept = [...kept, one];
    tell();
    return one.occurrence.id;
  },
  async change(id, draft) {
    await answer();
    const { occurrence } = ofDraft(draft);
    update(id, { ...occurrence, id, uid: found(id).occurrence.uid }, { description: draft.description, reminders: draft.reminders, draft });
  },
  async remove(id) {
    await answer();
    kept = kept.filter(({ occurrence }) => occurrence.id !== id);
    tell();
  },
  async setReminders(uid, minutes) {
    await answer();
    const one = kept.find(({ occurrence }) => occurrence.uid === uid);
    if (one) update(one.occurrence.id, {}, { reminders: minutes });
  },
  onReminder(listener) {
    reminded.add(listener);
    const first = kept[0]?.occurrence;
    if (scene("reminder") && first) setTimeout(() => listener({ id: "r1", at: Date.now(), occurrence: first }), 1_000);
    return () => reminded.delete(listener);
  },
  async facts() {
    await answer();
    return facts;
  },
  async setFacts(next) {
    await answer();
    facts = next;
    tell();
  },
  async recalls() {
    await answer();
    return facts === null ? [] : RECALLS.map((one) => (said.has(one.id) ? { ...one, state: said.get(one.id)!, said: true } : one));
  },
  async refuseRecall(id, refused) {
    await answer();
    if (refused) said.set(id, "refused");
    else said.delete(id);
    tell();
  },
  async recallDone(id, done) {
    await answer();
    if (done) said.set(id, "done");
    else said.delete(id);
    tell();
  },
  async ics() {
    await answer();
    return new Blob(["BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Vaguemestre//agenda//FR\r\nEND:VCALENDAR\r\n"], { type: "text/calendar" });
  },
  onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
