// Whom an item of the record never reaches: many invented records, drawn anew each time, held against what each way out
// of the record gives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { forProfessional } from "../src/lib/for_professional.ts";
import type { Item } from "../src/worker/record/manifest_model.ts";
import { newItem } from "../src/worker/record/manifest.ts";
import { list, viewOf } from "../src/worker/record/documents.ts";
import { Letters } from "../src/worker/record/letters.ts";
import { idsOfFact, profile, profileForProfessional, trends } from "../src/worker/record/profile.ts";
import type { Kept } from "../src/worker/record/protocol.ts";
import type { Reading } from "../src/worker/record/readings.ts";
import { draftOf, resourceOf } from "../src/worker/record/resources.ts";
import { asked, known, pharmacies, sendable } from "../src/worker/record/views.ts";
import { utf8 } from "../src/lib/bytes.ts";
import { parse } from "../src/worker/mime/parts.ts";
import { contentsOf } from "../src/worker/record/contents.ts";
import { Keyring } from "../src/worker/keyring.ts";
import type { ProfileDraft } from "../src/lib/record_contract.ts";
import { aboutWhom, holderOf, type Named } from "../src/lib/record_holder.ts";
import { cpu } from "./effort.ts";

const RECORDS = 400;
const NOBODY = { ids: [], familyName: "", givenName: "", birthDate: "" };

/** Numbers that are the same in each run: a record that fails is found again by its number. */
function drawing(seed: number): (below: number) => number {
  let state = seed * 2654435761;
  return (below) => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state % below;
  };
}

let number = 0;
function letter(items: Item[], more: Partial<Kept> = {}): Kept {
  number += 1;
  return {
    id: `M${number}`, threadId: `T${number}`, blobId: `B${number}`, from: { name: "Claire Martin", address: "claire@chu.example" }, to: ["me@patient.example"], at: 1_700_000_000_000 + number * 60_000,
    size: 1000, messageId: `m${number}@chu`, seen: false, roles: ["inbox"], guard: "sealed", keyIds: ["AA"], class: "record", way: "in", subject: "", signature: "gateway", locked: false,
    manifest: { items, patient: "p", flags: [], cut: 0 }, ...more,
  };
}

const ownLetter = (items: Item[]): Kept => letter(items, { way: "own", signature: "author", from: { name: "", address: "me@patient.example" }, roles: ["archive"] });
const CODES: string[][] = [[], [], [], ["N"], ["MASQUE_PS"], ["INVISIBLE_PATIENT"], ["INVISIBLE_REPRESENTANTS_LEGAUX"], ["N", "INVISIBLE_PATIENT"]];
const NAMES = ["Pénicilline", "Amiante", "Latex", "Iode", "Aspirine"];
const stamp = (at: number): string => new Date(1_750_000_000_000 + at * 1000).toISOString();

interface Drawn {
  letters: Letters;
  invisible: Set<string>; // ids of documents of which nothing may be seen
  masked: Set<string>; // ids that the patient or the author keeps from professionals
  hidden: Set<string>; // words that stand only in those
}

async function emptyLetters(): Promise<Letters> {
  const keyring = new Keyring();
  keyring.begin("A1");
  return new Letters(keyring);
}

async function record(seed: number): Promise<Drawn> {
  const pick = drawing(seed + 1);
  const letters = await emptyLetters();
  const put: Kept[] = [];
  const read: [string, Reading][] = [];
  const invisible = new Set<string>();
  const masked = new Set<string>();
  const words = new Map<string, Set<string>>();
  const ids: string[] = [];
  for (let at = 0, most = 1 + pick(12); at < most; at++) {
    const codes = CODES[pick(CODES.length)]!;
    const id = `1.2.${seed}.${at}`;
    const hash = `${seed}h${at}.`.padEnd(64, "0");
    const replaces = ids.length > 0 && pick(4) === 0 ? [ids[pick(ids.length)]!] : [];
    const item = newItem({ kind: pick(5) === 0 ? "fhir" : "document", id, hash, type: pick(2) ? "11502-2" : "57833-6", class: pick(2) ? "10" : "42", title: `secret-title-${seed}-${at}`, author: `secret-author-${seed}-${at}`, at: `20${10 + pick(15)}-0${1 + pick(9)}-1${pick(9)}`, confidentiality: codes, replaces, part: "2", entry: pick(2) ? "IHE_XDM/SUBSET01/DOC.XML" : "", made: stamp(at) });
    const together = put.length > 0 && put.at(-1)!.way === "in" && pick(4) === 0;
    if (together) put.at(-1)!.manifest.items.push({ ...item, entry: `IHE_XDM/SUBSET01/DOC${at}.XML` });
    else put.push(letter([item]));
    if (pick(5) === 0) put.push(letter([item])); // by a second way
    if (codes.includes("INVISIBLE_PATIENT")) invisible.add(id);
    else ids.push(id);
    if (codes.includes("MASQUE_PS")) masked.add(id);
    const name = `${NAMES[pick(NAMES.length)]!}${pick(3)}`;
    words.set(id, new Set([item.title, item.author]));
    if (pick(2)) {
      const entry = { kind: "allergy" as const, name, code: null, status: "active", start: "2011-01-01", end: "", detail: `secret-detail-${seed}-${at}`, severity: "", negated: false };
      const result = { code: "2345-7", name: "Glucose", value: "1", number: at, unit: "g/L", low: null, high: null, reference: "", flag: "" as const, at: item.at, specimen: "", group: "", comment: "", previous: false };
      read.push([hash, { author: item.author, at: item.at, results: [result], entries: [entry], until: "", renewable: false, about: NOBODY }]);
      words.get(id)!.add(entry.detail);
    }
  }
  for (let at = 0, most = pick(6); at < most; at++) {
    const draft = { area: "allergies" as const, name: `${NAMES[pick(NAMES.length)]!}${pick(3)}`, detail: `own-${seed}-${at}`, date: "2020-01-01" };
    const id = `urn:uuid:${seed}-${at}`;
    put.push(ownLetter([newItem({ kind: "entry", id, hash: `e${seed}${at}`, stamp: stamp(at), made: stamp(at), resource: JSON.stringify(resourceOf(draft, id)) })]));
    words.set(id, new Set([draft.detail]));
    if (pick(3) === 0) {
      masked.add(id);
      put.push(ownLetter([newItem({ kind: "decision", id: `d${id}`, decision: "mask", targets: [id], stamp: stamp(100 + at) })]));
    }
  }
  for (const id of ids) {
    if (pick(3) !== 0) continue;
    masked.add(id);
    put.push(ownLetter([newItem({ kind: "decision", id: `d${id}`, decision: "mask", targets: [id], stamp: stamp(200) })]));
  }
  await letters.keep({ put: put.sort(() => pick(3) - 1), read });
  const hidden = new Set([...words].filter(([id]) => masked.has(id) || invisible.has(id)).flatMap(([, all]) => [...all]));
  return { letters, invisible, masked, hidden };
}

const everything = { position: 0, limit: 1000 };
const holds = (found: unknown, word: string): boolean => JSON.stringify(found).includes(word);

test("what its author keeps from the patient is in no list, count, search, year, curve or profile", async () => {
  for (let seed = 0; seed < RECORDS; seed++) {
    const { letters, invisible } = await record(seed);
    const view = viewOf(letters, "fr");
    const shown = [list(view, everything), list(view, { ...everything, archived: true })];
    const without = await emptyLetters();
    await without.keep({ put: [...letters.all()].map((one) => ({ ...one, manifest: { ...one.manifest, items: one.manifest.items.filter((item) => !invisible.has(item.id)) } })) });
    const withoutIt = viewOf(without, "fr");
    const rest = list(withoutIt, everything);
    assert.deepEqual(pharmacies(letters), pharmacies(without), `record ${seed}: nor whom it came from`);
    assert.deepEqual([shown[0]!.total, shown[0]!.categories, shown[0]!.years], [rest.total, rest.categories, rest.years], `record ${seed}: no count tells of it`);
    for (const id of invisible) {
      const title = `secret-title-${seed}-${id.split(".").at(-1)}`;
      for (const found of [...shown, trends(letters, "fr"), profile(letters, "fr")]) assert(!holds(found, `"${id}"`) && !holds(found, `${title}"`), `record ${seed}: ${id}`);
      assert.equal(list(view, { ...everything, words: title.slice(0, -1) + title.slice(-1) }).lines.some((line) => line.id === id), false);
      const searched = [view, withoutIt].map((one) => list(one, { ...everything, words: title })).map((one) => [one.total, one.categories, one.years]);
      assert.deepEqual(searched[0], searched[1], `record ${seed}: no count of a search tells of it`);
      assert.throws(() => known(letters, id, "fr"), `record ${seed}: ${id} cannot be asked for`);
    }
  }
});

test("what is masked, by the patient or its author, is in nothing that is made for a professional", async () => {
  let kept = 0;
  for (let seed = 0; seed < RECORDS; seed++) {
    const { letters, masked, hidden } = await record(seed);
    const summary = profileForProfessional(letters, "fr");
    for (const word of hidden) assert(!holds(summary, `${word}"`), `record ${seed}: ${word} in the summary`);
    for (const id of masked) {
      assert(!summary.some((one) => one.id === id || one.document === id), `record ${seed}: ${id} is a source`);
      assert.equal(sendable(letters, id, "fr"), null, `record ${seed}: ${id} may not be sent`);
    }
    for (const { line } of viewOf(letters, "fr").all.values()) {
      const sent = sendable(letters, line.id, "fr");
      if (sent === null) continue;
      kept += 1;
      assert(!line.masked);
      assert.deepEqual(sent.known.history, [], "the other versions are not told");
      const together = sent.known.letter!.manifest.items.filter((one) => masked.has(one.id) || one.confidentiality.includes("INVISIBLE_PATIENT"));
      if (together.length > 0) assert.equal(sent.alone, false, `record ${seed}: an archive that holds a masked one does not go`);
    }
  }
  assert(kept > RECORDS, "and what is not masked may be sent");
});

test("a summary for a professional is the same as if what is masked had never been: no gap, no number", async () => {
  for (let seed = 0; seed < RECORDS; seed++) {
    const { letters, masked } = await record(seed);
    // What a masked one replaced tells nothing either: it holds no more.
    const closed = new Set([...viewOf(letters, "fr").all.values()].filter(({ line }) => line.masked || line.state === "superseded").map(({ line }) => line.id));
    const facts = profile(letters, "fr").filter((one) => one.masked && one.source === "me").map((one) => one.name);
    const told = profileForProfessional(letters, "fr");
    const without = await emptyLetters();
    const gone = (item: Item): boolean => item.kind === "decision" || masked.has(item.id) || closed.has(item.id);
    await without.keep({
      put: [...letters.all()].map((one) => ({ ...one, manifest: { ...one.manifest, items: one.manifest.items.filter((item) => !gone(item)) } })),
      read: [...letters.all()].flatMap((one) => one.manifest.items).flatMap((item) => (letters.reading(item.hash) === undefined ? [] : [[item.hash, letters.reading(item.hash)] as [string, unknown]])),
    });
    // A fact that the patient masked is masked whoever tells it.
    const rest = profileForProfessional(without, "fr").filter((one) => !facts.includes(one.name));
    assert.deepEqual(told.map((one) => `${one.name} ${one.detail}`).sort(), rest.map((one) => `${one.name} ${one.detail}`).sort(), `record ${seed}`);
  }
});

test("a fact masked once stays masked when a later document tells it again", async () => {
  const letters = await emptyLetters();
  const entry = { kind: "allergy" as const, name: "Pénicilline", code: null, status: "", start: "", end: "", detail: "", severity: "", negated: false };
  const reading = (author: string): Reading => ({ author, at: "2020", results: [], entries: [entry], until: "", renewable: false, about: NOBODY });
  await letters.keep({ put: [letter([newItem({ kind: "document", id: "1", hash: "a1" })])], read: [["a1", reading("Dr A")]] });
  const { id } = profile(letters, "fr")[0]!;
  const targets = idsOfFact(letters, "fr", id);
  await letters.keep({ put: [ownLetter([newItem({ kind: "decision", id: "d", decision: "mask", targets, stamp: stamp(0) })])] });
  await letters.keep({ put: [letter([newItem({ kind: "document", id: "2", hash: "a2" })])], read: [["a2", reading("Dr B")]] });
  assert.deepEqual(profile(letters, "fr").map((one) => one.masked), [true]);
  assert.deepEqual(profileForProfessional(letters, "fr"), []);
});

test("what was read in a document that is kept from professionals is marked so in the profile, and told to none of them", async () => {
  for (const code of ["MASQUE_PS", "INVISIBLE_PATIENT"]) {
    const letters = await emptyLetters();
    const entry = { kind: "allergy" as const, name: "Latex", code: null, status: "", start: "", end: "", detail: "", severity: "", negated: false };
    const reading: Reading = { author: "Dr A", at: "2020", results: [], entries: [entry], until: "", renewable: false, about: NOBODY };
    const document = newItem({ kind: "document", id: "1", hash: "a1", confidentiality: [code] });
    await letters.keep({ put: [code === "MASQUE_PS" ? letter([document]) : ownLetter([document])], read: [["a1", reading]] });
    assert.deepEqual(profile(letters, "fr").map((one) => [one.name, one.masked]), [["Latex", true]], code);
    assert.deepEqual(forProfessional(profile(letters, "fr")), [], code);
    assert.deepEqual(profileForProfessional(letters, "fr"), [], code);
  }
});

test("a masked document stays masked when its author replaces it", async () => {
  const letters = await emptyLetters();
  await letters.keep({ put: [letter([newItem({ kind: "document", id: "old", hash: "1", made: "2020" })]), ownLetter([newItem({ kind: "decision", id: "d", decision: "mask", targets: ["old"], stamp: stamp(0) })])] });
  await letters.keep({ put: [letter([newItem({ kind: "document", id: "new", hash: "2", made: "2021", replaces: ["old"] })])] });
  const { lines } = list(viewOf(letters, "fr"), everything);
  assert.deepEqual(lines.map((one) => [one.id, one.masked, one.versions]), [["new", true, 2]]);
  assert.equal(sendable(letters, "new", "fr"), null);
});

test("one document by two ways is one; withdrawn, it leaves a stone with who took it back; locked ones are shown locked", async () => {
  const letters = await emptyLetters();
  const item = newItem({ kind: "document", id: "1", hash: "1", title: "Compte rendu", at: "2024-02-03", class: "10" });
  await letters.keep({
    put: [
      letter([item]), letter([item], { threadId: "other" }),
      letter([newItem({ kind: "document", id: "2", hash: "2", title: "Erreur", at: "2024-02-04" })]),
      letter([newItem({ kind: "withdrawal", id: "w", withdraws: ["2"], title: "Envoyé par erreur" })]),
      letter([newItem({ kind: "document", id: "3", hash: "3", title: "Autre erreur", at: "2024-02-05" })]),
      letter([newItem({ kind: "withdrawal", id: "x", withdraws: ["3"] })], { subject: "Re: XDM/1.0/DDM+Autre erreur GARANCE Éloïse 14/03/1951" }),
      letter([], { locked: true, at: Date.parse("2024-01-01") }),
    ],
  });
  const { lines, total } = list(viewOf(letters, "fr"), everything);
  assert.equal(total, 4);
  assert.deepEqual(lines.map((one) => [one.title, one.state, one.locked]), [["Autre erreur", "withdrawn", false], ["Erreur", "withdrawn", false], ["Compte rendu", "current", false], ["", "current", true]]);
  assert.equal(known(letters, "1", "fr").ways.length, 2);
  assert.equal(known(letters, "2", "fr").tombstone?.reason, "Envoyé par erreur");
  assert.equal(known(letters, "3", "fr").tombstone?.reason, ""); // its author gave none
});

test("only whoever sent a document may withdraw it, and only the patient's own letters decide", async () => {
  const letters = await emptyLetters();
  const stranger = { from: { name: "", address: "x@other.example" } };
  await letters.keep({
    put: [
      letter([newItem({ kind: "document", id: "1", hash: "1", title: "Vrai" })]),
      letter([newItem({ kind: "withdrawal", id: "w", withdraws: ["1"] })], stranger),
      letter([newItem({ kind: "decision", id: "d", decision: "mask", targets: ["1"], stamp: stamp(0) })], stranger),
      letter([newItem({ kind: "decision", id: "d2", decision: "archive", targets: ["1"], stamp: stamp(0) })], { way: "own", signature: "unknown" }),
    ],
  });
  const [line] = list(viewOf(letters, "fr"), everything).lines;
  assert.deepEqual([line?.state, line?.masked], ["current", false]);
});

test("letters in the trash and drafts count for nothing; those sent are whom a document was shared with", async () => {
  const letters = await emptyLetters();
  const item = newItem({ kind: "document", id: "1", hash: "1", title: "Un" });
  await letters.keep({
    put: [
      letter([item]), letter([newItem({ kind: "document", id: "2", hash: "2" })], { roles: ["trash"] }),
      letter([item], { way: "out", to: ["paul@cab.example"], roles: ["sent"] }),
      letter([newItem({ kind: "decision", id: "r", decision: "renewal", targets: ["1"] })], { way: "out", to: ["claire@chu.example"], roles: ["sent"] }),
      letter([newItem({ kind: "document", id: "3", hash: "3", facility: "SA33", class: "43" })], { from: { name: "Pharmacie", address: "p@off.example" } }),
    ],
  });
  assert.equal(list(viewOf(letters, "fr"), everything).total, 2);
  assert.deepEqual(known(letters, "1", "fr").sharedWith.map((one) => one.person.address), ["paul@cab.example"]);
  assert.equal(asked(letters, "renewal", "1").length, 1);
  assert.deepEqual(pharmacies(letters).map((one) => one.address), ["p@off.example"]);
});

test("every kind of entry comes back from its FHIR resource as it was written", () => {
  const drafts: ProfileDraft[] = [
    { area: "allergies", name: "Noix", detail: "Urticaire", date: "2019-07", end: "" },
    { area: "allergies", name: "Œuf", detail: "", date: "2001", end: "2010-05-01" },
    { area: "history", name: "Fracture", detail: "Poignet", date: "1998-02", end: "1998-05" },
    { area: "family", name: "Diabète", detail: "Mère", date: "2020-01-01", end: "" },
    { area: "treatments", name: "Amlodipine 5 mg", detail: "Le matin", date: "2024-01-01", end: "2024-06-01" },
    { area: "vaccinations", name: "Grippe", detail: "Lot 12", date: "2025-10-12", end: "" },
    { area: "wishes", name: "Directives anticipées", detail: "Je souhaite…\nEt puis…", date: "2025-01-01", end: "" },
    { area: "contacts", name: "Yann Morvan", detail: "Fils, 06 00 00 00 00", date: "", end: "" },
    { area: "measures", name: "Body weight", detail: "", date: "2025-01-01", end: "", measure: { kind: "weight", values: [{ name: "", number: 68.4 }], unit: "kg" } },
    { area: "measures", name: "Glucose [Mass/volume] in Blood", detail: "à jeun", date: "2025-01-01", end: "", measure: { kind: "glucose", values: [{ name: "", number: 5.1 }], unit: "mmol/L" } },
    { area: "measures", name: "Blood pressure panel with all children optional", detail: "", date: "2025-01-01", end: "", measure: { kind: "blood-pressure", values: [{ name: "systolic", number: 132 }, { name: "diastolic", number: 78 }], unit: "mmHg" } },
  ];
  for (const draft of drafts) assert.deepEqual(draftOf(JSON.stringify(resourceOf(draft, "1"))), draft);
  for (const broken of ["", "{}", "[]", '{"resourceType":"Observation"}', '{"resourceType":"AllergyIntolerance","code":3}']) assert.doesNotThrow(() => draftOf(broken));
});

test("of many things, what may be shown to professionals keeps its order and loses no other", () => {
  const all = Array.from({ length: 50 }, (_, at) => ({ id: String(at), masked: at % 7 === 0, confidentiality: at % 5 === 0 ? ["MASQUE_PS"] : [], document: at % 11 === 0 ? "7" : null }));
  const shown = forProfessional(all);
  assert.deepEqual(shown.map((one) => one.id), all.filter((one) => !one.masked && one.confidentiality.length === 0 && one.document !== "7").map((one) => one.id));
});

test("two thousand documents and five years of entries are listed, searched and read within moments", async () => {
  const letters = await emptyLetters();
  const put = Array.from({ length: 2000 }, (_, at) => letter([newItem({ kind: "document", id: `1.${at}`, hash: `h${at}`, type: "11502-2", class: at % 3 ? "10" : "42", title: `Compte rendu ${at}`, author: `Dr ${at % 40}`, at: `20${10 + (at % 16)}-03-04` })]));
  const own = Array.from({ length: 1825 }, (_, at) => {
    const measure = { kind: "weight" as const, values: [{ name: "", number: 60 + (at % 20) }], unit: "kg" };
    const draft: ProfileDraft = { area: "measures", name: "", detail: "", date: new Date(1.6e12 + at * 86_400_000).toISOString().slice(0, 10), measure };
    return ownLetter([newItem({ kind: "entry", id: `e${at}`, hash: `e${at}`, stamp: stamp(at), made: stamp(at), resource: JSON.stringify(resourceOf(draft, `e${at}`)) })]);
  });
  await letters.keep({ put: [...put, ...own] });
  const timed = (work: () => unknown): number => {
    const started = cpu();
    work();
    return cpu() - started;
  };
  const first = timed(() => list(viewOf(letters, "fr"), { position: 0, limit: 50 }));
  const paged = timed(() => list(viewOf(letters, "fr"), { position: 950, limit: 50, words: "compte 19", category: "reports" }));
  const read = timed(() => profile(letters, "fr"));
  assert(first < 15_000 && paged < 1000 && read < 15_000, `first list ${first} ms, a page ${paged} ms, profile ${read} ms`);
  console.log(`# first list ${first.toFixed(0)} ms, a page ${paged.toFixed(1)} ms, profile ${read.toFixed(0)} ms`);
});

test("what a CDA wraps and what lies beside it are one file when their octets are one, by the name its sender gave", async () => {
  const pdf = "%PDF-1.4 the same";
  const cda = `<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/><code code="11488-4"/><title>x</title><effectiveTime value="20260101"/><component><nonXMLBody><text mediaType="application/pdf" representation="B64">${btoa(pdf)}</text></nonXMLBody></component></ClinicalDocument>`;
  const part = (type: string, name: string, body: string): string => `--b\r\nContent-Type: ${type}; name="${name}"\r\nContent-Disposition: attachment; filename="${name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n${btoa(body)}\r\n`;
  const clear = utf8(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${part("text/xml", "DOC.XML", cda)}${part("application/pdf", "20260101_CR.pdf", pdf)}--b--\r\n`);
  const tree = parse(clear);
  const item = newItem({ kind: "document", id: "1.2.3", part: "1", title: "Compte rendu d’hospitalisation" });
  const { contents } = await contentsOf({ clear, inside: tree, outside: tree, signature: "none" }, item);
  assert.deepEqual(contents.parts.map(({ name, role }) => [name, role]), [["Compte rendu d’hospitalisation.xml", "document"], ["20260101_CR.pdf", "copy"]]);
  assert.deepEqual(contents.body, { form: "pdf", file: 1 });
});

// ------------------------------------------------------------------------------------------------ whom it is about

const ELOISE = holderOf({ account: { shown: "267017506512334@patient.mss.example", kind: "PATIENT" }, name: { given: "Éloïse", family: "Le Goff" } })!;
const INS = "1.2.250.1.213.1.4.";
const said = (familyName: string, givenName: string, ids: [root: string, extension: string][] = [], birthDate = ""): Named => ({
  familyName, givenName, birthDate, ids: ids.map(([root, extension]) => ({ root, extension })),
});

test("a national number decides whom a document is about, whatever name stands beside it", () => {
  for (const last of [8, 9, 10, 11]) {
    assert.equal(aboutWhom(said("Autre", "Nom", [[`${INS}${last}`, "267017506512334"]]), ELOISE), "holder");
    assert.equal(aboutWhom(said("Le Goff", "Éloïse", [[`${INS}${last}`, "151057506512305"]]), ELOISE), "another");
  }
  assert.equal(aboutWhom(said("", "", [[`${INS}8`, "2670175065123"]]), ELOISE), "holder", "without its key");
  assert.equal(aboutWhom(said("", "", [[`${INS}8`, "2 67 01 75 065 123 34"]]), ELOISE), "holder");
  assert.equal(aboutWhom(said("", "", [[`${INS}8`, "2670175065124"]]), ELOISE), "another");
  assert.equal(aboutWhom(said("", "", [[`${INS}8`, "267017506512335"]]), ELOISE), "another", "another key");
  assert.equal(aboutWhom(said("", "", [["1.2.3", "7"], [`${INS}9`, "151057506512305"], [`${INS}8`, "267017506512334"]]), ELOISE), "holder", "one of several");
});

test("without a national number the name decides: case, accents, hyphens and order aside", () => {
  const local: [string, string][] = [["1.2.3", "7"]]; // a number of one hospital tells nothing
  for (const [family, given] of [["LE GOFF", "ELOISE"], ["Le-Goff", "éloïse"], ["Éloïse", "Le Goff"], ["LEGOFF", "Eloise"], ["Le Goff Morvan", "Éloïse"], ["Le Goff", "Éloïse Marie"]] as const) {
    assert.equal(aboutWhom(said(family, given, local), ELOISE), "holder", `${given} ${family}`);
  }
  for (const [family, given] of [["Le Goff", "Lou"], ["Morvan", "Éloïse"], ["Le Goff", "Éloïse-Marie"], ["Le Goff", "Marie Éloïse"]] as const) {
    assert.equal(aboutWhom(said(family, given, local), ELOISE), "another", `${given} ${family}`);
  }
  assert.equal(aboutWhom(said("", "", local), ELOISE), "unknown");
  assert.equal(aboutWhom(said("Le Goff", ""), ELOISE), "unknown");
  assert.equal(aboutWhom(said("Morvan", ""), ELOISE), "another");
});

test("a birth date tells apart who have one name, when both are known", () => {
  const born = { ...ELOISE, birthDate: "1967-01-12" };
  assert.deepEqual(["1967-01-12", "1967", "", "1999-01-12"].map((one) => aboutWhom(said("Le Goff", "Éloïse", [], one), born)), ["holder", "holder", "holder", "another"]);
  assert.equal(aboutWhom(said("Le Goff", "Éloïse", [], "1999-01-12"), ELOISE), "holder");
});

test("a box of professionals is nobody's record: its documents are about whomever they are about", () => {
  const holder = holderOf({ account: { shown: "claire@chu.example", kind: "PER" }, name: { given: "Claire", family: "Martin" } });
  assert.equal(aboutWhom(said("Le Goff", "Éloïse", [[`${INS}8`, "151057506512305"]]), holder), "unknown");
});

test("what a document says of somebody else is marked, readable, and in no profile, curve or summary", async () => {
  const letters = await emptyLetters();
  letters.isOf(ELOISE);
  const entry = (name: string) => ({ kind: "allergy" as const, name, code: null, status: "", start: "", end: "", detail: "", severity: "", negated: false });
  const result = (number: number) => ({ code: "2345-7", name: "Glucose", value: "1", number, unit: "g/L", low: null, high: null, reference: "", flag: "" as const, at: `202${number}`, specimen: "", group: "", comment: "", previous: false });
  const reading = (name: string, number: number, about: Named): Reading => ({ author: "Dr A", at: "2020", results: [result(number)], entries: [entry(name)], until: "", renewable: false, about });
  await letters.keep({ put: ["1", "2", "3"].map((id) => letter([newItem({ kind: "document", id, hash: `a${id}` })])).concat(ownLetter([newItem({ kind: "file", id: "4", hash: "a4" })])) });
  assert.deepEqual(list(viewOf(letters, "fr"), everything).lines.map((one) => one.about).sort(), ["holder", "unknown", "unknown", "unknown"], "nothing was looked into yet");
  assert.deepEqual([profile(letters, "fr"), trends(letters, "fr")], [[], []], "nor taken from it");
  const other = said("Le Goff", "Lou", [[`${INS}8`, "151057506512305"]]);
  const { about: _, ...before } = reading("Iode", 4, other);
  await letters.keep({ read: [["a1", reading("Latex", 1, said("LE GOFF", "ELOISE"))], ["a2", reading("Pénicilline", 2, other)], ["a3", before]] });
  assert.deepEqual(new Map(list(viewOf(letters, "fr"), everything).lines.map((one) => [one.id, one.about])), new Map([["4", "holder"], ["3", "unknown"], ["2", "another"], ["1", "holder"]]));
  assert.deepEqual(known(letters, "2", "fr").flags, ["about-another"]);
  assert.deepEqual(known(letters, "1", "fr").flags, []);
  for (const made of [profile(letters, "fr"), profileForProfessional(letters, "fr")]) assert.deepEqual(made.map((one) => one.name), ["Latex"], "what was read before this was asked is read again first");
  assert.deepEqual(trends(letters, "fr").flatMap((one) => one.points.map((point) => point.document)), ["1"]);
  const id = `2#allergy#allergies penicilline`;
  assert.deepEqual(idsOfFact(letters, "fr", id), []);
  await letters.keep({ put: [ownLetter([newItem({ kind: "decision", id: "d", decision: "archive", targets: ["2"], stamp: stamp(0) })])] });
  assert.deepEqual(list(viewOf(letters, "fr"), { ...everything, archived: true }).lines.map((one) => one.id), ["2"], "it is put away like any other");
});
