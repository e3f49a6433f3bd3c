// The agenda from what its screens call to what the server is sent, with the worker in between: invitations that come,
// answers that leave, entries and decisions written to oneself, five years of them.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { base64, concat, utf8 } from "../src/lib/bytes.ts";
import { MOST, STRETCH } from "../src/lib/agenda_wakes.ts";
import type { AgendaWork, EntryDraft, Occurrence } from "../src/lib/agenda_contract.ts";
import { armor, dearmor } from "../src/worker/armor.ts";
import { readMessages } from "../src/worker/agenda/calendar.ts";
import { forgetAgenda } from "../src/worker/agenda/store.ts";
import { readCertificate } from "../src/worker/certificates.ts";
import { decodeWords, first } from "../src/worker/mime/fields.ts";
import { content, parse } from "../src/worker/mime/parts.ts";
import { generateKey } from "../src/worker/openpgp.ts";
import { openMessage, sealMessage } from "../src/worker/packets.ts";
import { newItem } from "../src/worker/record/manifest.ts";
import { sections } from "../src/worker/record/octets.ts";
import { summarise } from "../src/worker/summary.ts";
import { cpu } from "./effort.ts";
import { placed, seen } from "./place.ts";
import { Node, type Stored } from "./server.ts";

const { argv } = (globalThis as unknown as { process: { argv: string[] } }).process;
const node = new Node();
const DOCTOR = "claire@cab.example";
const THIEF = "voleur@cab.example";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const key = async (email: string) => (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email }], format: "object" })).privateKey;
const [gateway, doctor] = [await key("gateway@chu.example"), await key(DOCTOR)];
// A whole hour some days from now, in UTC.
const TODAY = Math.floor(Date.now() / DAY) * DAY; // also when midnight comes meanwhile
const soon = (days: number, hour = 10): number => TODAY + days * DAY + hour * HOUR;
const written = (at: number): string => new Date(at).toISOString().replace(/[-:]|\.\d+/g, "");

let agenda: AgendaWork;
before(async () => {
  placed(await node.start());
  node.gateway = base64(gateway.toPublic().write());
  for (const address of [DOCTOR, THIEF]) node.certificates.set(address, { address, guard: "sealed", certificates: [base64(doctor.toPublic().write())] });
  const { account } = await import("../src/lib/account.ts");
  ({ agenda } = await import("../src/lib/agenda.ts"));
  await account.startEnrolment({ code: "ABCD-EFGH-JKMC", birthDate: "1950-03-12", lastFive: "12345" });
  await account.finishEnrolment({ password: "Été 1948, la fin", recoveryCode: await account.newRecoveryCode(), key: { way: "make" } }, () => undefined);
});
after(() => node.stop());

interface Invitation {
  uid: string;
  start: number;
  sequence?: number;
  method?: string;
  title?: string;
  rule?: string;
  more?: string;
  invited?: boolean;
  who?: string;
  times?: string; // in place of the UTC ones
  organiser?: string;
}

function calendar({ uid, start, sequence = 0, method = "REQUEST", title = "Consultation", rule = "", more = "", invited = true, who = node.account.shown, times, organiser = `CN=Dr Martin:mailto:${DOCTOR}` }: Invitation): string {
  return [
    "BEGIN:VCALENDAR", "PRODID:-//Essai//FR", "VERSION:2.0", `METHOD:${method}`, "BEGIN:VEVENT", `UID:${uid}`, `DTSTAMP:${written(Date.now() + sequence * 1000)}`, `SEQUENCE:${sequence}`,
    times ?? `DTSTART:${written(start)}\r\nDTEND:${written(start + HOUR / 2)}`, `SUMMARY:${title}`, "LOCATION:12 rue des Lilas", `ORGANIZER;${organiser}`,
    ...(invited ? [`ATTENDEE;RSVP=TRUE;PARTSTAT=NEEDS-ACTION:mailto:${who}`] : []), ...(rule ? [`RRULE:${rule}`] : []), ...(more ? [more] : []), "END:VEVENT", "END:VCALENDAR", "",
  ].join("\r\n");
}

let number = 0;
/** A letter as the server lays it down: sealed by the gateway, with a summary that it signed. */
async function letter(ics: string, given: Partial<Stored> = {}): Promise<Stored> {
  const which = (number += 1);
  const mine = (await readCertificate(node.keys.at(-1)!["certificate"]))!;
  const { from = DOCTOR } = given;
  const [message] = readMessages(ics, from, 0);
  const items = message!.components.map((one, at) => newItem({ kind: "appointment", id: one.uid, method: message!.method, part: "2", title: one.title, ...(at === 0 && ics.length <= 4096 ? { ics } : {}) }));
  const clear = `Subject: Rendez-vous\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nBonjour\r\n--i\r\nContent-Type: text/calendar; method=${message!.method}\r\n\r\n${ics}\r\n--i--\r\n`;
  const frame = `From: ${from}\r\nTo: ${node.account.shown}\r\nMessage-ID: <${which}@chu>\r\nDate: Fri, 20 Nov 2026 09:02:00 +0100\r\nSubject: [...] abcd\r\nContent-Type: multipart/encrypted; boundary=b; protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const line = { ...summarise("Rendez-vous", "Dr Martin", "Bonjour", []), manifest: { v: 1, items } };
  const [, subkey] = mine.getKeyIDs();
  return {
    id: `L${which}`, threadId: `T${which}`, mailbox: "Finbox", keywords: {}, from, to: [node.account.shown], subject: "[...] abcd", receivedAt: Date.now() - 100_000 + which,
    message: concat([utf8(frame), armor(await sealMessage(utf8(clear), [mine], gateway)), utf8("\r\n--b--\r\n")]), summary: base64(await sealMessage(utf8(JSON.stringify(line)), [mine], gateway)),
    keyIds: [subkey!.toHex().toUpperCase()], guard: "sealed", messageId: `${which}@chu`, class: "agenda", ...given,
  };
}

async function arrives(...all: Stored[]): Promise<void> {
  node.arrived(...all);
  const { mail } = await import("../src/lib/mail.ts");
  await mail.list("inbox", 0, 1);
  const { announce } = await import("../src/lib/mail.ts");
  announce();
  await agenda.ready(() => undefined);
}

const all = (): Promise<Occurrence[]> => agenda.between(soon(-40, 0), soon(40, 0));
const titled = async (title: string): Promise<Occurrence> => (await all()).find((one) => one.title === title)!;

/** What left last, opened by whom it is for. */
async function left(): Promise<{ from: string; to: string; subject: string; text: string; calendar: string; type: string; types: string[]; answers: string }> {
  const stored = node.letters.findLast((one) => one.mailbox === "Fsent")!;
  const tree = parse(stored.message);
  const { data } = await openMessage(dearmor(content(stored.message, tree.children[1]!))!, [doctor]);
  const parts = sections(parse(data)).map(({ part }) => part).filter((part) => part.children.length === 0);
  const found = parts.find((part) => part.type === "text/calendar")!;
  return {
    from: first(tree.fields, "from"), to: first(tree.fields, "to"), subject: decodeWords(first(parse(data).fields, "subject")), answers: first(tree.fields, "in-reply-to"),
    text: new TextDecoder().decode(content(data, parts[0]!)), calendar: new TextDecoder().decode(content(data, found)), type: first(found.fields, "content-type"), types: parts.map((part) => part.type),
  };
}

test("an invitation waits for an answer, with its place, its organiser and its time", async () => {
  await arrives(await letter(calendar({ uid: "u1", start: soon(3), title: "Suivi" })));
  const [one] = await agenda.toAnswer();
  assert(one !== undefined);
  assert.deepEqual([one.title, one.start, one.end, one.place, one.organiser!.address, one.status, one.answerable], ["Suivi", soon(3), soon(3) + HOUR / 2, "12 rue des Lilas", DOCTOR, "needs-action", true]);
});

test("an id tells neither the UID nor the time, and is the same when it is made again", async () => {
  const { id } = await titled("Suivi");
  assert.match(id, /^[0-9a-f]{24}$/);
  forgetAgenda();
  assert.equal((await titled("Suivi")).id, id);
  forgetAgenda();
  assert.equal((await agenda.appointment(id)).occurrence.title, "Suivi");
});

test("accepted in one tap: a sealed REPLY to the organiser, in the invitation's thread, as the invitation names who answers", async () => {
  const { id } = await titled("Suivi");
  await agenda.answer(id, "accepted", "one", "J’apporterai mes analyses.");
  const sent = await left();
  assert.deepEqual([sent.from, sent.to, sent.answers], [node.account.shown, DOCTOR, "<1@chu>"]);
  assert.match(sent.type, /^text\/calendar; charset=utf-8; method=REPLY/);
  assert.deepEqual(sent.types, ["text/plain", "text/calendar"]);
  assert.match(sent.text, /J’accepte ce rendez-vous/);
  const [message] = readMessages(sent.calendar, node.account.shown, 0);
  const [component] = message!.components;
  assert.deepEqual([message!.method, component!.uid, component!.sequence, component!.attendees.map((one) => `${one.address} ${one.status}`), component!.comment], ["REPLY", "u1", 0, [`${node.account.shown} ACCEPTED`], "J’apporterai mes analyses."]);
  await agenda.ready(() => undefined);
  assert.equal((await titled("Suivi")).status, "accepted");
  assert.deepEqual((await agenda.appointment(id)).history.map((one) => one.what), ["asked", "answered"]);
});

test("an answer taken back is as if it had not been given", async () => {
  await arrives(await letter(calendar({ uid: "u2", start: soon(4), title: "Radio" })));
  const sent = await agenda.answer((await titled("Radio")).id, "declined", "one");
  await agenda.ready(() => undefined);
  assert.equal((await titled("Radio")).status, "declined");
  assert.equal(await sent.undo(), true);
  await agenda.ready(() => undefined);
  assert.equal((await titled("Radio")).status, "needs-action");
});

test("what moved since it was answered asks again; what is called off says so", async () => {
  await arrives(await letter(calendar({ uid: "u1", start: soon(5), sequence: 1, title: "Suivi" })));
  const moved = await titled("Suivi");
  assert.deepEqual([moved.start, moved.changed, moved.status], [soon(5), true, "needs-action"]);
  await arrives(await letter(calendar({ uid: "u1", start: soon(5), sequence: 2, method: "CANCEL", title: "Suivi" })));
  const off = await titled("Suivi");
  assert.deepEqual([off.status, off.answerable], ["cancelled", false]);
  assert.equal((await agenda.appointment(off.id)).cannotAnswer, "cancelled");
});

test("whoever is not the organiser changes nothing, and the letter says so", async () => {
  const forged = await letter(calendar({ uid: "u2", start: soon(6), sequence: 9, title: "Piège" }), { from: THIEF });
  await arrives(forged);
  assert.equal((await all()).some((one) => one.title === "Piège"), false);
  const { mail } = await import("../src/lib/mail.ts");
  const [shown] = await mail.conversation(forged.threadId);
  const [card] = await agenda.inLetter(shown!);
  assert.deepEqual([card!.trusted, card!.answerable, card!.occurrence], [false, false, null]);
});

test("a letter shows its invitation with the answer that stands, and one that was overtaken says so", async () => {
  const { mail } = await import("../src/lib/mail.ts");
  const [radio] = await mail.conversation("T2");
  const [card] = await agenda.inLetter(radio!);
  assert.deepEqual([card!.method, card!.title, card!.trusted, card!.answerable, card!.status, card!.past], ["REQUEST", "Radio", true, true, "needs-action", false]);
  const [old] = await mail.conversation("T1");
  assert.equal((await agenda.inLetter(old!))[0]!.past, true);
});

test("another time is proposed as a COUNTER, and stands as a proposal until it is answered", async () => {
  const { id } = await titled("Radio");
  await agenda.propose(id, soon(4, 15), soon(4, 15) + HOUR / 2, "Après mon travail");
  const [message] = readMessages((await left()).calendar, node.account.shown, 0);
  assert.deepEqual([message!.method, message!.components[0]!.comment], ["COUNTER", "Après mon travail"]);
  await agenda.ready(() => undefined);
  assert.deepEqual((await agenda.appointment(id)).proposal, { start: soon(4, 15), end: soon(4, 15) + HOUR / 2 });
});

test("two at the same time know of each other; a day, a refusal and what is called off collide with nothing", async () => {
  await arrives(await letter(calendar({ uid: "u5", start: soon(8), title: "Un" })), await letter(calendar({ uid: "u6", start: soon(8) + HOUR / 4, title: "Deux" })));
  const [one, two] = [await titled("Un"), await titled("Deux")];
  assert.deepEqual([one.conflicts, two.conflicts], [[two.id], [one.id]]);
  await agenda.answer(two.id, "declined", "one");
  await agenda.ready(() => undefined);
  assert.deepEqual((await titled("Un")).conflicts, []);
});

test("one occurrence of a series is answered alone, or the whole", async () => {
  await arrives(await letter(calendar({ uid: "u7", start: soon(2, 8), title: "Pansement", rule: "FREQ=DAILY;COUNT=3" })));
  const those = (await all()).filter((one) => one.title === "Pansement");
  assert.equal(those.length, 3);
  await agenda.answer(those[1]!.id, "declined", "one");
  await agenda.ready(() => undefined);
  const after_ = (await all()).filter((one) => one.title === "Pansement").map((one) => one.status);
  assert.deepEqual(after_, ["needs-action", "declined", "needs-action"]);
});

const waits = async (title: string) => (await agenda.toAnswer()).filter((one) => one.title === title);

test("a series waits as one, and one tap on what waits answers the whole", async () => {
  await arrives(await letter(calendar({ uid: "u10", start: soon(2, 18), title: "Bain", rule: "FREQ=DAILY;COUNT=3" })));
  const [one, ...more] = await waits("Bain");
  assert.deepEqual([one!.scope, more], ["all", []]);
  await agenda.answer(one!.id, "accepted", one!.scope);
  await agenda.ready(() => undefined);
  assert.deepEqual((await all()).filter(({ title }) => title === "Bain").map(({ status }) => status), ["accepted", "accepted", "accepted"]);
  assert.deepEqual(await waits("Bain"), []);
});

test("of a series that is answered, an occurrence moved since waits alone: one tap leaves the rest as it was", async () => {
  const third = (await all()).filter(({ title }) => title === "Bain")[2]!;
  const named = `RECURRENCE-ID:${written(third.start)}`;
  await arrives(await letter(calendar({ uid: "u10", start: third.start + HOUR, title: "Bain", sequence: 1, more: named })));
  const [one] = await waits("Bain");
  assert.deepEqual([one!.scope, one!.start], ["one", third.start + HOUR]);
  await agenda.answer(one!.id, "declined", one!.scope);
  await agenda.ready(() => undefined);
  assert.deepEqual((await all()).filter(({ title }) => title === "Bain").map(({ status }) => status), ["accepted", "accepted", "declined"]);
});

test("one appointment waits for itself", async () => {
  await arrives(await letter(calendar({ uid: "u11", start: soon(7, 18), title: "Dentiste" })));
  assert.equal((await waits("Dentiste"))[0]!.scope, "one");
});

test("a calendar too large for the manifest is fetched once", async () => {
  const large = calendar({ uid: "u8", start: soon(9), title: "Grand", more: `DESCRIPTION:${"a".repeat(6000)}` });
  await arrives(await letter(large));
  assert.equal((await agenda.appointment((await titled("Grand")).id)).description.length, 6000);
});

const DRAFT: EntryDraft = { title: "Don du sang", start: soon(6, 9), end: soon(6, 10), allDay: false, place: "Maison du don", description: "à jeun", repeat: "", until: "", reminders: [60, 15] };

test("an own entry is a letter to oneself, sealed, of class agenda; nobody else is told", async () => {
  const [letters, from] = [node.letters.length, seen.length];
  const id = await agenda.add(DRAFT);
  assert.equal(node.letters.length, letters + 1);
  const stored = node.letters.at(-1)!;
  assert.deepEqual([stored.class, stored.from, stored.to], ["agenda", node.account.shown, [node.account.shown]]);
  assert(!seen.slice(from).some(({ body }) => /Don du sang|Maison du don|EmailSubmission/.test(body)));
  const found = await agenda.appointment(id);
  assert.deepEqual([found.occurrence.title, found.occurrence.status, found.reminders, found.cannotAnswer], ["Don du sang", "own", [60, 15], ""]);
  assert.deepEqual(await agenda.draft(id), DRAFT);
});

test("changed, it keeps its id and one letter; removed, it leaves none", async () => {
  const { id } = await titled("Don du sang");
  const letters = node.letters.length;
  await agenda.change(id, { ...DRAFT, title: "Don de plasma", repeat: "weekly", until: "2030-01-01", reminders: [1440] });
  assert.equal(node.letters.length, letters);
  const found = await agenda.appointment(id);
  assert.deepEqual([found.occurrence.title, found.occurrence.repeats, found.reminders], ["Don de plasma", true, [1440]]);
  assert.deepEqual([(await agenda.draft(id)).repeat, (await agenda.draft(id)).until], ["weekly", "2030-01-01"]);
  await agenda.remove(id);
  await agenda.ready(() => undefined);
  assert.equal(node.letters.length, letters - 1);
  assert.equal((await all()).some((one) => one.title === "Don de plasma"), false);
});

test("what is due is reminded of once, as long as somebody listens; wakes are asked for whatever is due", async () => {
  const heard: string[] = [];
  const from = seen.length;
  const stop = agenda.onReminder(({ occurrence }) => heard.push(occurrence.title));
  const start = Date.now() + 59 * 60_000;
  const id = await agenda.add({ ...DRAFT, title: "Bientôt", start, end: start + HOUR, reminders: [60] });
  for (let turn = 0; turn < 3000 && heard.length === 0; turn += 1) await new Promise((done) => setTimeout(done, 20));
  await agenda.setReminders("rien", []);
  assert.deepEqual(heard, ["Bientôt"]);
  const asked = seen.slice(from).filter(({ path }) => path === "/api/wakes").map(({ body }) => (JSON.parse(body) as { at: number[] }).at);
  assert.equal(asked.length, 1);
  assert.deepEqual([asked[0]!.length, new Set(asked[0]!.map((at) => Math.floor(at / STRETCH))).size], [MOST, MOST]); // as with nothing due
  stop();
  await agenda.remove(id);
});

test("what is said twice is kept once: reminders and recalls leave no trail of letters", async () => {
  const { uid, id } = await titled("Un");
  const letters = node.letters.length;
  for (const minutes of [[10], [20], [30]]) await agenda.setReminders(uid, minutes);
  assert.equal(node.letters.length, letters + 1);
  assert.deepEqual((await agenda.appointment(id)).reminders, [30]);
});

test("recalls are worked out from what was told once, and what is refused can be taken back", async () => {
  assert.equal(await agenda.facts(), null);
  const from = seen.length;
  await agenda.setFacts({ birthDate: "1950-03-12", sex: "F" });
  assert.deepEqual(await agenda.facts(), { birthDate: "1950-03-12", sex: "F" });
  assert(!seen.slice(from).some(({ body }) => body.includes("1950-03-12")));
  const flu = (await agenda.recalls()).find((one) => one.id.startsWith("flu."))!;
  assert.match(flu.source, /Calendrier des vaccinations/);
  await agenda.refuseRecall(flu.id, true);
  assert.equal((await agenda.recalls()).find((one) => one.id === flu.id)!.state, "refused");
  await agenda.refuseRecall(flu.id, false);
  assert.equal((await agenda.recalls()).find((one) => one.id === flu.id)!.state, flu.state);
});

const day = (at: number): string => written(at).slice(0, 8);
const gone = (): number => node.letters.filter(({ mailbox }) => mailbox === "Fsent").length;

test("tapped twice, an answer leaves once; another answer leaves too, and so does the same one after it was called back", async () => {
  await arrives(await letter(calendar({ uid: "t1", start: soon(11), title: "Deux fois" })));
  const [{ id }, before] = [await titled("Deux fois"), gone()];
  const [first, second] = await Promise.all([agenda.answer(id, "accepted", "one"), agenda.answer(id, "accepted", "one")]);
  assert.equal(first, second);
  assert.equal(await agenda.answer(id, "accepted", "one"), first);
  assert.equal(gone(), before + 1);
  await agenda.answer(id, "tentative", "one");
  const last = await agenda.answer(id, "accepted", "one");
  assert.equal(gone(), before + 3);
  await last.undo();
  await agenda.answer(id, "accepted", "one");
  assert.equal(gone(), before + 3);
  await arrives(await letter(calendar({ uid: "t1", start: soon(12), sequence: 1, title: "Deux fois" })));
  await agenda.answer(id, "accepted", "one");
  assert.equal(gone(), before + 4); // to another time it is another answer
});

test("answered on two devices, the later word stands, in whatever order the letters are heard of", async () => {
  await arrives(await letter(calendar({ uid: "t2", start: soon(13), title: "Deux appareils" })));
  const said = (status: string, sequence: number): string => calendar({ uid: "t2", start: soon(13), method: "REPLY", title: "Deux appareils" }).replace("RSVP=TRUE;PARTSTAT=NEEDS-ACTION", `PARTSTAT=${status}`).replace(/DTSTAMP:.*/, `DTSTAMP:${written(Date.now() + sequence * 1000)}`);
  const sent = { from: node.account.shown, to: [DOCTOR], mailbox: "Fsent" };
  await arrives(await letter(said("DECLINED", 20), sent), await letter(said("ACCEPTED", 10), sent));
  assert.equal((await titled("Deux appareils")).status, "declined");
});

test("invited by one's own address or by the one that correspondents see, one is the same person", async () => {
  for (const [uid, who] of [["t3", node.account.address], ["t4", node.account.shown.toUpperCase()]] as const) {
    await arrives(await letter(calendar({ uid, start: soon(14), title: `Pour ${uid}`, who })));
    const one = await titled(`Pour ${uid}`);
    assert.deepEqual([one.status, one.answerable], ["needs-action", true]);
    await agenda.answer(one.id, "accepted", "one");
    const sent = await left();
    const [message] = readMessages(sent.calendar, node.account.shown, 0);
    assert.deepEqual([sent.from, message!.components[0]!.attendees.map(({ address }) => address)], [node.account.shown, [who.toLowerCase()]]);
    await agenda.ready(() => undefined);
    assert.equal((await titled(`Pour ${uid}`)).status, "accepted");
  }
});

test("an invitation in a letter that its sender sealed is drawn from the letter, on the device", async () => {
  await arrives(await letter(calendar({ uid: "t5", start: soon(15), title: "Scellée" }), { summary: null, class: "message" }));
  const one = await titled("Scellée");
  assert.deepEqual([one.status, one.answerable, one.organiser!.address], ["needs-action", true, DOCTOR]);
});

test("who writes for the organiser is believed where the calendar names them, and the answer goes to the organiser", async () => {
  const [secretary, organisation] = ["secretariat@chu.example", "cardio@chu.example"];
  for (const address of [secretary, organisation]) node.certificates.set(address, { address, guard: "sealed", certificates: [base64(doctor.toPublic().write())] });
  await arrives(await letter(calendar({ uid: "t6", start: soon(16), title: "Par le secrétariat", organiser: `SENT-BY="mailto:${secretary}":mailto:${organisation}` }), { from: secretary }));
  await arrives(await letter(calendar({ uid: "t7", start: soon(16), title: "Pour un autre", organiser: `CN=X:mailto:${organisation}` }), { from: secretary }));
  assert.equal(await titled("Pour un autre"), undefined);
  await agenda.answer((await titled("Par le secrétariat")).id, "accepted", "one");
  assert.equal((await left()).to, organisation);
});

test("days and what is called off collide with nothing, and stay in sight", async () => {
  const days = (from: number, to: number): string => `DTSTART;VALUE=DATE:${day(soon(from))}\r\nDTEND;VALUE=DATE:${day(soon(to))}`;
  await arrives(await letter(calendar({ uid: "t8", start: 0, title: "Cure", times: days(20, 23) })), await letter(calendar({ uid: "t9", start: soon(21), title: "Pendant" })), await letter(calendar({ uid: "ta", start: soon(21), title: "Annulée" })));
  await arrives(await letter(calendar({ uid: "ta", start: soon(21), sequence: 1, method: "CANCEL", title: "Annulée" })));
  const [days_, one, off] = [await titled("Cure"), await titled("Pendant"), await titled("Annulée")];
  assert.deepEqual([days_.conflicts, one.conflicts, off.conflicts, off.status], [[], [], [], "cancelled"]);
  assert.deepEqual([days_.allDay, days_.end - days_.start], [true, 3 * DAY]);
});

test("with a phone abroad, times are the same instants and days the same days; a series keeps its hour over a change of clocks", async () => {
  const { env } = (globalThis as unknown as { process: { env: Record<string, string> } }).process;
  const home = env["TZ"];
  try {
    env["TZ"] = "Europe/Paris";
    // Sunday 28 March 2027: clocks go on at 2:00 in Paris.
    const weekly = "DTSTART;TZID=Europe/Paris:20270325T090000\r\nDTEND;TZID=Europe/Paris:20270325T093000";
    await arrives(await letter(calendar({ uid: "tb", start: 0, title: "Kiné", times: weekly, rule: "FREQ=DAILY;COUNT=6", more: "EXDATE;TZID=Europe/Paris:20270327T090000" })));
    await arrives(await letter(calendar({ uid: "tc", start: 0, title: "Cure", times: "DTSTART;VALUE=DATE:20270327\r\nDTEND;VALUE=DATE:20270330" })));
    const look = async () => {
      const found = await agenda.between(Date.UTC(2027, 2, 20), Date.UTC(2027, 3, 5));
      const [days_] = found.filter(({ title }) => title === "Cure");
      return { times: found.filter(({ title }) => title === "Kiné").map(({ start }) => new Date(start).toISOString().slice(5, 16)), days: [days_!.day, (days_!.end - days_!.start) / HOUR], ids: found.map(({ id }) => id).sort() };
    };
    const paris = await look();
    assert.deepEqual(paris.times, ["03-25T08:00", "03-26T08:00", "03-28T07:00", "03-29T07:00", "03-30T07:00"]);
    assert.deepEqual(paris.days, ["2027-03-27", 71]); // one of its days has 23 hours
    for (const zone of ["Pacific/Auckland", "America/Cayenne"]) {
      env["TZ"] = zone;
      const abroad = await look();
      assert.deepEqual([abroad.times, abroad.ids], [paris.times, paris.ids], zone);
      assert.deepEqual(abroad.days, ["2027-03-27", 72], zone);
    }
    // An entry made abroad is at the hour of there.
    env["TZ"] = "Pacific/Auckland";
    const start = Date.UTC(2027, 3, 1, 20);
    const id = await agenda.add({ ...DRAFT, title: "Là-bas", start, end: start + HOUR });
    env["TZ"] = "Europe/Paris";
    const { occurrence } = await agenda.appointment(id);
    assert.deepEqual([occurrence.start, occurrence.zone, occurrence.day], [start, "Pacific/Auckland", "2027-04-01"]);
  } finally {
    if (home === undefined) delete env["TZ"];
    else env["TZ"] = home;
  }
});

test("of a series with an occurrence moved and one called off, each is listed once at its own time", async () => {
  await arrives(await letter(calendar({ uid: "td", start: soon(24, 8), title: "Série", rule: "FREQ=DAILY;COUNT=4" })));
  const apart = (at: number, more: Partial<Invitation>): string => calendar({ uid: "td", start: at, sequence: 1, title: "Série", ...more });
  await arrives(await letter(apart(soon(25, 15), { more: `RECURRENCE-ID:${written(soon(25, 8))}` })), await letter(apart(soon(26, 8), { method: "CANCEL", more: `RECURRENCE-ID:${written(soon(26, 8))}` })));
  const found = (await all()).filter((one) => one.title === "Série");
  assert.deepEqual(found.map(({ start, status }) => [start, status]), [[soon(24, 8), "needs-action"], [soon(25, 15), "needs-action"], [soon(26, 8), "cancelled"], [soon(27, 8), "needs-action"]]);
  assert.equal(new Set(found.map(({ id }) => id)).size, 4);
});

test("a letter shows what an attendee answered or proposed, and warns where somebody else says it", async () => {
  const { mail } = await import("../src/lib/mail.ts");
  const said = (method: string, status: string): string => calendar({ uid: "te", start: soon(5), method, title: "Réunion", who: DOCTOR, organiser: `CN=Moi:mailto:${node.account.shown}` }).replace("RSVP=TRUE;PARTSTAT=NEEDS-ACTION", `PARTSTAT=${status}`);
  for (const [method, status, from, trusted] of [["REPLY", "DECLINED", DOCTOR, true], ["COUNTER", "TENTATIVE", DOCTOR, true], ["REPLY", "ACCEPTED", THIEF, false]] as const) {
    const one = await letter(said(method, status), { from });
    await arrives(one);
    const [shown] = await mail.conversation(one.threadId);
    const [card] = await agenda.inLetter(shown!);
    assert.deepEqual([card!.method, card!.trusted, card!.answerable, card!.attendees.map((each) => `${each.person.address} ${each.status}`)], [method, trusted, false, [`${DOCTOR} ${status.toLowerCase()}`]]);
  }
});

test("all of it is one calendar that this same reader reads", async () => {
  const { readCalendar } = await import("../src/worker/agenda/calendar.ts");
  const text = await (await agenda.ics("")).text();
  const found = readCalendar(text);
  assert(found.components.length >= 15);
  const [, , , folder] = argv;
  if (folder !== undefined) writeFileSync(`${folder}/agenda.ics`, text);
});

test("five years of entries are an agenda in a moment", async () => {
  const rules = Array.from({ length: 400 }, (_, at) => ({ uid: `old${at}`, start: soon(-4 * at, 7), title: `Ancien ${at}`, rule: at % 8 === 0 ? "FREQ=WEEKLY;COUNT=20" : "" }));
  const many = await Promise.all(rules.map((one) => letter(calendar(one))));
  await arrives(...many);
  forgetAgenda();
  const began = cpu();
  const found = await agenda.between(soon(-1825, 0), soon(60, 0));
  const took = cpu() - began;
  assert(found.length >= 1300, `${found.length}`);
  console.log(`# ${found.length} occurrences of ${rules.length} letters in ${Math.round(took)} ms`);
  assert(took < 20_000, `${took} ms`);
});
