// What strangers put into letters, where the record and the agenda draw from them: it stops nothing, opens nothing, and
// brings nothing out that was kept back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answer } from "../src/worker/agenda/door.ts";
import { Keyring } from "../src/worker/keyring.ts";
import { categoryOf } from "../src/worker/record/categories.ts";
import { contentsOf } from "../src/worker/record/contents.ts";
import { list, viewOf } from "../src/worker/record/documents.ts";
import { Letters } from "../src/worker/record/letters.ts";
import { lifeCycle, type Arrival } from "../src/worker/record/life_cycle.ts";
import { newItem } from "../src/worker/record/manifest.ts";
import type { Item } from "../src/worker/record/manifest_model.ts";
import { ucum } from "../src/worker/record/measures.ts";
import type { Kept } from "../src/worker/record/protocol.ts";
import { draftOf } from "../src/worker/record/resources.ts";
import { sendable } from "../src/worker/record/views.ts";
import { parse } from "../src/worker/mime/parts.ts";
import { utf8 } from "../src/lib/bytes.ts";
import { cpu } from "./effort.ts";

const WORDS = ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__", "prototype"];

let number = 0;
function letter(items: Item[], more: Partial<Kept> = {}): Kept {
  number += 1;
  return {
    id: `M${number}`, threadId: `T${number}`, blobId: `B${number}`, from: { name: "Somebody", address: "somebody@chu.example" }, to: ["me@patient.example"],
    at: 1_700_000_000_000 + number * 60_000, size: 1000, messageId: `m${number}@chu`, seen: false, roles: ["inbox"], guard: "sealed", keyIds: ["AA"], class: "record",
    way: "in", subject: "", signature: "gateway", locked: false, manifest: { items, patient: "p", flags: [], cut: 0 }, ...more,
  };
}

async function lettersOf(...put: Kept[]): Promise<Letters> {
  const keyring = new Keyring();
  keyring.begin("A1");
  const letters = new Letters(keyring);
  await letters.keep({ put });
  return letters;
}

test("no word of a stranger's is taken for what every object has", async () => {
  for (const word of WORDS) {
    assert.equal(categoryOf({ class: word, type: word }), "other");
    assert.equal(ucum("weight", word), word);
    assert.equal(draftOf(JSON.stringify({ resourceType: word })), null);
  }
  const items = WORDS.map((word) => newItem({ kind: "document", id: word, hash: word.padEnd(64, "0"), class: word, type: word, title: word, format: word, part: "2" }));
  const shown = list(viewOf(await lettersOf(letter(items)), "fr"), { position: 0, limit: 50 });
  assert.equal(shown.total, WORDS.length);
  structuredClone(shown); // it crosses to the page as it is
});

test("what is masked stays so when the same octets come under another name", async () => {
  const document = newItem({ kind: "document", id: "1.2.3", hash: "a".repeat(64), title: "Bilan", part: "2" });
  const decision = newItem({ kind: "decision", id: "d", decision: "mask", targets: ["1.2.3"], stamp: "2026-11-20T09:00:00.000Z" });
  const own = letter([decision], { way: "own", signature: "author", from: { name: "", address: "me@patient.example" }, roles: ["archive"] });
  const letters = await lettersOf(letter([document]), own, letter([{ ...document, id: "9.9.9" }]));
  const { lines } = list(viewOf(letters, "fr"), { position: 0, limit: 10 });
  assert.deepEqual(lines.map(({ id, masked }) => [id, masked]).sort(), [["1.2.3", true], ["9.9.9", true]]);
  assert.equal(sendable(letters, "9.9.9", "fr"), null);
});

test("nobody but the holder decides: the same words in a letter from outside change nothing", async () => {
  const document = newItem({ kind: "document", id: "1.2.3", hash: "a".repeat(64), title: "Bilan", part: "2" });
  const says = (kind: string, more: Partial<Item>): Item => newItem({ kind, id: `${kind}${more.decision ?? ""}`, targets: ["1.2.3"], withdraws: ["1.2.3"], stamp: "2999-01-01T00:00:00.000Z", ...more });
  const told = [says("decision", { decision: "archive" }), says("decision", { decision: "mask" }), says("withdrawal", {}), newItem({ kind: "document", id: "6.6.6", hash: "b".repeat(64), replaces: ["1.2.3"], part: "3" })];
  const stranger = { name: "", address: "stranger@other.example" };
  for (const more of [{ from: stranger }, { from: stranger, signature: "author" as const }, { way: "own" as const, signature: "gateway" as const, from: stranger }, { way: "own" as const, signature: "bad" as const, from: stranger }]) {
    const { lines } = list(viewOf(await lettersOf(letter([document]), letter(told, more)), "fr"), { position: 0, limit: 10 });
    const [found] = lines.filter(({ id }) => id === "1.2.3");
    assert.deepEqual([found?.state, found?.masked], ["current", false]);
  }
});

test("thousands of documents that each claim to replace others are drawn in a moment", () => {
  const many = 3000;
  for (const step of [1, 7]) {
    const claims = (at: number): string[] => (step === 1 ? (at > 0 ? [`d${at - 1}`] : []) : Array.from({ length: 20 }, (_, k) => `d${(at * step + k * 13) % many}`));
    const came = Array.from({ length: many }, (_, at): Arrival => ({ letter: `L${at}`, sender: "x@y.example", patient: "p", own: false, item: newItem({ kind: "document", id: `d${at}`, hash: String(at).padStart(64, "0"), replaces: claims(at) }) }));
    const begun = cpu();
    const found = lifeCycle(came);
    assert.equal(found.length, many);
    assert.equal(found.filter(({ state }) => state === "current").length, step === 1 ? 1 : many);
    assert.ok(cpu() - begun < 20_000, `${cpu() - begun} ms`);
  }
});

test("an item is opened on the octets that its manifest was drawn of, and on no others", async () => {
  const clear = utf8("Content-Type: application/fhir+json\r\n\r\n{}");
  const whole = { clear, inside: parse(clear), outside: parse(clear), signature: "gateway" } as never;
  const item = newItem({ kind: "fhir", id: "x", hash: "0".repeat(64), part: "1" });
  await assert.rejects(contentsOf(whole, item), { slug: "damaged" });
});

const invitation = (organiser: string, ...more: string[]): string =>
  ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "METHOD:REQUEST", "BEGIN:VEVENT", "UID:u1", "DTSTAMP:20991120T080000Z", "DTSTART:20991203T093000Z", "DTEND:20991203T100000Z", "SUMMARY:Consultation", organiser, "ATTENDEE:mailto:me@patient.example", ...more, "END:VEVENT", "END:VCALENDAR", ""].join("\r\n");

async function agendaOf(account: string, ...sent: [from: string, ics: string][]): Promise<{ keyring: Keyring; asking: { own: string[]; name: string; here: string; now: number }; letters: Kept[] }> {
  const { theLetters } = await import("../src/worker/record/letters.ts");
  const keyring = new Keyring();
  keyring.begin(account);
  Object.defineProperty(keyring, "unlocked", { value: true });
  const letters = sent.map(([address, ics]) => letter([newItem({ kind: "appointment", id: "u1", method: "REQUEST", ics, part: "2", hash: "c".repeat(64) })], { class: "agenda", from: { name: "", address } }));
  await (await theLetters(keyring)).keep({ put: letters });
  return { keyring, asking: { own: ["me@patient.example"], name: "", here: "Europe/Paris", now: Date.parse("2099-11-21T00:00:00Z") }, letters };
}

test("nobody is invited in the name of another: no answer goes to somebody who did not write", async () => {
  const doctor = "mailto:doctor@chu.example";
  const forged: [string, string][] = [
    ["stranger@other.example", invitation(`ORGANIZER:${doctor}`)],
    ["stranger@other.example", invitation(`ORGANIZER;SENT-BY="mailto:stranger@other.example":${doctor}`)],
    ["stranger@other.example", invitation(`ORGANIZER:${doctor}`, "ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO=\"mailto:me@patient.example\":mailto:stranger@other.example").replace("ATTENDEE:mailto:me", "ATTENDEE;DELEGATED-FROM=\"mailto:stranger@other.example\":mailto:me")],
  ];
  for (const [at, one] of forged.entries()) {
    const { keyring, asking } = await agendaOf(`forged${at}`, one);
    assert.deepEqual(await answer(keyring, { ask: "toAnswer", given: asking } as never), []);
    const [shown] = (await answer(keyring, { ask: "inLetter", given: { ...asking, texts: [one[1]], sender: one[0], letter: "x" } } as never)) as { trusted: boolean; answerable: boolean }[];
    assert.deepEqual([shown!.trusted, shown!.answerable], [false, false]);
  }
  const { keyring, asking } = await agendaOf("secretary", ["secretary@chu.example", invitation(`ORGANIZER;SENT-BY="mailto:secretary@chu.example":${doctor}`)]);
  assert.equal(((await answer(keyring, { ask: "toAnswer", given: asking } as never)) as unknown[]).length, 1);
});

test("a stranger who knows an appointment's UID takes no answer into a conversation of their own", async () => {
  const doctor = "mailto:doctor@chu.example";
  const { keyring, asking, letters } = await agendaOf("uid", ["doctor@chu.example", invitation(`ORGANIZER:${doctor}`)], ["stranger@other.example", invitation(`ORGANIZER:${doctor}`, "SEQUENCE:2147483647")], ["stranger@other.example", invitation("ORGANIZER:mailto:stranger@other.example", "SEQUENCE:9")]);
  const [one] = (await answer(keyring, { ask: "toAnswer", given: asking } as never)) as { id: string; letter: string; organiser: { address: string } }[];
  assert.deepEqual([one!.letter, one!.organiser.address], [letters[0]!.id, "doctor@chu.example"]);
  const sent = (await answer(keyring, { ask: "answer", given: { ...asking, id: one!.id, status: "accepted", scope: "one", comment: "" } } as never)) as { to: string; letter: string };
  assert.deepEqual([sent.to, sent.letter], ["doctor@chu.example", letters[0]!.id]);
});

test("a calendar that leaves for another program holds no link, attachment or markup of a stranger's", async () => {
  const ics = [
    "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "METHOD:REQUEST", "BEGIN:VEVENT", "UID:u1", "DTSTAMP:20261120T080000Z", "DTSTART:20261203T093000Z", "SUMMARY:Consultation",
    "ORGANIZER:mailto:somebody@chu.example", "ATTENDEE:mailto:me@patient.example", "CATEGORIES:Santé", "URL:javascript:alert(1)", "ATTACH:file:///etc/passwd", "ATTACH;FMTTYPE=text/html:http://tracker.example/x",
    "X-ALT-DESC;FMTTYPE=text/html:<script>alert(1)</script>", "IMAGE;VALUE=URI:http://tracker.example/i.png", "CONFERENCE;VALUE=URI:http://tracker.example/c", "CATEGORIES;ALTREP=\"http://tracker.example/a\":x",
    "BEGIN:VALARM", "ACTION:PROCEDURE", "ATTACH:file:///bin/sh", "TRIGGER:-PT1M", "END:VALARM", "BEGIN:VALARM", "ACTION:EMAIL", "ATTENDEE:mailto:spy@x.example", "TRIGGER:-PT1M", "END:VALARM", "END:VEVENT", "END:VCALENDAR", "",
  ].join("\r\n");
  const { theLetters } = await import("../src/worker/record/letters.ts");
  const keyring = new Keyring();
  keyring.begin("A2");
  Object.defineProperty(keyring, "unlocked", { value: true });
  const item = newItem({ kind: "appointment", id: "u1", method: "REQUEST", ics, part: "2", hash: "c".repeat(64) });
  await (await theLetters(keyring)).keep({ put: [letter([item], { class: "agenda" })] });
  const made = (await answer(keyring, { ask: "ics", given: { own: ["me@patient.example"], name: "", here: "Europe/Paris", id: "" } } as never)) as string;
  assert.match(made, /SUMMARY:Consultation/);
  assert.match(made, /CATEGORIES:Santé/);
  assert.doesNotMatch(made, /VALARM|ATTACH|URL|ALT-DESC|IMAGE|CONFERENCE|ALTREP|javascript|tracker|spy@/);
});
