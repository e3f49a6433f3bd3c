// The record from what its screens call to what the server is sent, with the worker in between: the index, what patients
// put in, what is made for professionals, the export. Letters are those of the shared examples (tests/webmail/vectors).
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { inflateSync } from "node:zlib";
import { strFromU8, unzipSync } from "fflate";
import { base64, concat, fromBase64, fromUtf8, utf8, type Bytes } from "../src/lib/bytes.ts";
import type { DocumentLine, RecordWork } from "../src/lib/record_contract.ts";
import { armor } from "../src/worker/armor.ts";
import { readCertificate } from "../src/worker/certificates.ts";
import { content, parse } from "../src/worker/mime/parts.ts";
import { decodeWords, first } from "../src/worker/mime/fields.ts";
import { generateKey } from "../src/worker/openpgp.ts";
import { openMessage, sealMessage } from "../src/worker/packets.ts";
import { dearmor } from "../src/worker/armor.ts";
import { forgetLetters } from "../src/worker/record/letters.ts";
import type { Item, Manifest } from "../src/worker/record/manifest_model.ts";
import { manifestOf } from "../src/worker/record/manifest.ts";
import { sections } from "../src/worker/record/octets.ts";
import { summarise } from "../src/worker/summary.ts";
import { told } from "./asking.ts";
import { cutOff, placed, seen } from "./place.ts";
import { Node, type Stored } from "./server.ts";

const [vectors, outside = ""] = told().split(",") as [string, string?];
const examples = JSON.parse(readFileSync(`${vectors}/manifests.json`, "utf8")) as { letters: { name: string; letter: string; manifest?: Record<string, unknown> }[] };
const node = new Node();
const DOCTOR = "labo@chu.example";
const OTHER = "paul@cab.example";
const key = async (email: string) => (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email }], format: "object" })).privateKey;
const [gateway, doctor] = [await key("gateway@chu.example"), await key(DOCTOR)];

let record: RecordWork;
let items: typeof import("../src/lib/items.ts");
const own = async () => (await readCertificate(node.keys.at(-1)!["certificate"]))!;

before(async () => {
  placed(await node.start());
  node.gateway = base64(gateway.toPublic().write());
  for (const address of [DOCTOR, OTHER]) node.certificates.set(address, { address, guard: "sealed", certificates: [base64(doctor.toPublic().write())] });
  const { account } = await import("../src/lib/account.ts");
  items = await import("../src/lib/items.ts");
  ({ record } = await import("../src/lib/record.ts"));
  await account.startEnrolment({ code: "ABCD-EFGH-JKMC", birthDate: "1950-03-12", lastFive: "12345" });
  await account.finishEnrolment({ password: "Été 1948, la fin", recoveryCode: await account.newRecoveryCode(), key: { way: "make" } }, () => undefined);
});
after(() => node.stop());

let number = 0;
function example(name: string): { clear: Bytes; manifest: Manifest } {
  const found = examples.letters.find((one) => one.name === name)!;
  return { clear: new Uint8Array(inflateSync(fromBase64(found.letter))), manifest: manifestOf(found.manifest)! };
}

/** A letter as the server lays it down: sealed by the gateway, with a summary that it signed. */
async function sealed(clear: Bytes, manifest: Manifest | null, given: Partial<Stored> & { signer?: typeof gateway | null } = {}): Promise<Stored> {
  const { signer = gateway, ...more } = given;
  const mine = await own();
  const frame = `From: ${DOCTOR}\r\nTo: x@y.example\r\nMessage-ID: <${++number}@chu>\r\nDate: Fri, 20 Nov 2026 09:02:00 +0100\r\nSubject: [...] abcd\r\nContent-Type: multipart/encrypted; boundary=b; protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const line = { ...summarise("Vos résultats", "Laboratoire", "", []), ...(manifest === null ? {} : { manifest: { v: 1, ...manifest } }) };
  const [, subkey] = mine.getKeyIDs();
  return {
    id: `L${number}`, threadId: `T${number}`, mailbox: "Finbox", keywords: {}, from: DOCTOR, to: [node.account.shown], subject: "[...] abcd", receivedAt: 1e12 + number * 60_000,
    message: concat([utf8(frame), armor(await sealMessage(clear, [mine], gateway)), utf8("\r\n--b--\r\n")]), summary: base64(await sealMessage(utf8(JSON.stringify(line)), [mine], signer)),
    keyIds: [subkey!.toHex().toUpperCase()], guard: "sealed", messageId: `${number}@chu`, class: "record", ...more,
  };
}

const everything = { position: 0, limit: 100 };
const lines = async (): Promise<DocumentLine[]> => (await record.documents(everything)).lines;
const ready = () => record.ready(() => undefined);
const slugOf = (work: Promise<unknown>): Promise<string> => work.then(() => "done", (failure: { slug?: string }) => failure.slug ?? String(failure));
const downloads = (from: number): number => seen.slice(from).filter((one) => one.path.startsWith("/jmap/download/")).length;

/** What a letter that left here says, opened by whom it is for. */
async function openedBy(secret: typeof doctor, stored: Stored): Promise<{ subject: string; parts: { type: string; name: string; octets: Bytes }[] }> {
  const tree = parse(stored.message);
  const { data } = await openMessage(dearmor(content(stored.message, tree.children[1]!))!, [secret]);
  const inside = parse(data);
  return { subject: decodeWords(first(inside.fields, "subject")), parts: sections(inside).map(({ part }) => ({ type: part.type, name: part.params.get("name") ?? "", octets: content(data, part) })) };
}

test("the first index is read from signed summaries in pages of fifty, and opens no letter for it", async () => {
  const report = example("one document");
  const [document] = report.manifest.items;
  const many = await Promise.all(Array.from({ length: 60 }, async (_, at) => {
    const item: Item = { ...document!, id: `1.2.3.${at}`, hash: String(at).padStart(64, "0"), title: `Ancien ${at}`, at: `20${10 + (at % 10)}-01-02`, class: at % 2 ? "10" : "42" };
    return sealed(utf8("Subject: rien\r\n\r\nrien"), { ...report.manifest, items: [{ ...item, format: "urn:ihe:iti:xds-sd:pdf:2008" }] });
  }));
  node.arrived(...many, await sealed(utf8("Subject: Bonjour\r\n\r\nBonjour"), null, { class: "message" }));
  const [from, steps] = [seen.length, [] as number[]];
  await record.ready((done) => steps.push(done));
  assert.equal(downloads(from), 0);
  assert.equal(steps.at(-1), 61);
  const asked = seen.slice(from).filter((one) => one.body.includes("sealedSummary"));
  assert(asked.every((one) => (one.body.match(/"L\d+"/g) ?? []).length <= 50));
  const list = await record.documents({ ...everything, limit: 20 });
  assert.deepEqual([list.total, list.lines.length, list.lines[0]!.from.name, list.lines[0]!.typeLabel !== "11502-2"], [60, 20, "Laboratoire", true]);
  assert.deepEqual(list.categories.map((one) => `${one.category} ${one.count}`).sort(), ["prescriptions 30", "reports 30"]);
  assert.equal((await record.documents({ ...everything, year: 2013, category: "reports", words: "anci" })).total, 6);
});

test("what is read is kept encrypted on the device: a second visit lists at once, and asks only what changed", async () => {
  forgetLetters(); // the worker's memory, not the device
  const from = seen.length;
  assert.equal((await lines()).length, 60);
  assert.equal(seen.length, from, "nothing was asked of the server");
  node.arrived(await sealed(example("one document").clear, example("one document").manifest));
  const { mail } = await import("../src/lib/mail.ts");
  await mail.markRead(["L1"], true); // as push would tell that letters changed
  await ready();
  assert.equal((await lines()).length, 61);
  assert(!seen.slice(from).some((one) => one.body.includes("Email/query")), "changes were enough");
});

test("a document opens with its header, its results and its files, octet for octet", async () => {
  const { clear } = example("one document");
  const found = (await lines()).find((one) => one.id === "1.2.250.1.999.1.1")!;
  assert.deepEqual([found.title, found.category, found.state, found.unread], ["Bilan sanguin du 19 novembre", "reports", "current", true]);
  const view = await record.document(found.id);
  assert.equal(view.header?.id, found.id);
  const archive = view.files.find((one) => one.role === "archive")!;
  const part = sections(parse(clear)).find(({ section }) => section === "1")!.part;
  assert.deepEqual(new Uint8Array(await (await archive.blob()).arrayBuffer()), new Uint8Array(content(clear, part)));
  const cda = new Uint8Array(await (await view.files[0]!.blob()).arrayBuffer());
  assert.deepEqual(cda, unzipSync(content(clear, part))["IHE_XDM/SUBSET01/DOC0001.XML"]);
  assert.equal((await lines()).find((one) => one.id === found.id)!.unread, false);
});

test("a summary that nobody signed is not believed: its letter is opened, and the items drawn from what is in it", async () => {
  const lie = example("one document").manifest;
  lie.items[0] = { ...lie.items[0]!, id: "9.9.9", title: "Faux" };
  const before = (await lines()).length;
  node.arrived(await sealed(example("a FHIR document").clear, lie, { signer: null, class: "message" }));
  await items.itemsReady();
  items.itemsChanged();
  const { mail } = await import("../src/lib/mail.ts");
  await mail.markRead(["L2"], true);
  await ready();
  const now = await lines();
  assert.equal(now.length, before + 1);
  assert(!now.some((one) => one.title === "Faux"));
  assert(now.some((one) => one.title === "Synthèse médicale" && one.form === "fhir"));
});

const comes = async (...letters: Stored[]): Promise<void> => {
  node.arrived(...letters);
  const { mail } = await import("../src/lib/mail.ts");
  await mail.markRead(["L1"], true);
  await ready();
};

test("what its author withdraws leaves a stone; what comes by a second way stays one; what is invisible never shows", async () => {
  const { clear, manifest } = example("one document");
  const before = await lines();
  await comes(await sealed(clear, manifest, { threadId: "twice" }));
  assert.equal((await lines()).length, before.length);
  assert.equal((await record.document("1.2.250.1.999.1.1")).sources.length, 2);
  await comes(await sealed(example("not to be seen by the patient yet").clear, { ...example("not to be seen by the patient yet").manifest, items: example("not to be seen by the patient yet").manifest.items.map((one) => ({ ...one, id: "8.8", hash: "8".repeat(64) })) }));
  assert.equal((await record.documents(everything)).total, before.length);
  const gone = { ...manifest.items[0]!, kind: "withdrawal", id: "", withdraws: ["1.2.3.5"], title: "Erreur de patient" };
  await comes(await sealed(utf8("Subject: x\r\n\r\nx"), { ...manifest, items: [gone] }));
  const stone = (await lines()).find((one) => one.id === "1.2.3.5")!;
  assert.equal(stone.state, "withdrawn");
  assert.equal((await record.document("1.2.3.5")).tombstone?.reason, "Erreur de patient");
});

test("a letter sealed to a key that is not here is shown locked when the server says it is of the record", async () => {
  await comes(await sealed(utf8("x"), null, { keyIds: ["0123456789ABCDEF"] }));
  assert.equal((await lines()).filter((one) => one.locked).length, 1);
});

let mine = "";
test("a file put into the record is a letter to oneself, whose name, type and title stand nowhere outside its seal", async () => {
  const pdf = utf8("%PDF-1.4\nmes volontés\n%%EOF\n");
  const from = seen.length;
  mine = await record.add({ file: new File([pdf], "volontés.pdf", { type: "application/pdf" }), type: "EXPPAT_3", title: "Mes volontés", date: "2026-01-02" });
  const line = (await lines()).find((one) => one.id === mine)!;
  assert.deepEqual([line.title, line.own, line.category, line.form, line.at], ["Mes volontés", true, "mine", "file", "2026-01-02"]);
  const view = await record.document(mine);
  assert.equal(view.body.form, "pdf");
  assert.deepEqual(new Uint8Array(await (await view.files[0]!.blob()).arrayBuffer()), new Uint8Array(pdf));
  const sent = seen.slice(from).map((one) => one.body).join("\n");
  for (const word of ["volont", "EXPPAT", "Mes ", "urn:uuid", "2026-01-02"]) assert(!sent.includes(word), word);
  const stored = node.letters.find((one) => one.id === line.letter)!;
  assert.deepEqual([stored.class, stored.mailbox], ["record", "Farchive"]);
  const { mail } = await import("../src/lib/mail.ts");
  assert.equal((await mail.list("archive", 0, 50)).total, 0, "it is no letter among the letters");
  assert.equal(await slugOf(record.add({ file: new File([utf8("MZ\u0000\u0001")], "a.exe"), type: "DOCPAT01", title: "x", date: "" })), "file-type");
});

test("masking is decided in a letter to oneself and taken back without a trace; so is putting away", async () => {
  const letters = node.letters.length;
  await record.mask([mine], true);
  await record.archive([mine], true);
  assert.equal((await lines()).some((one) => one.id === mine), false);
  const [away] = (await record.documents({ ...everything, archived: true })).lines;
  assert.deepEqual([away!.id, away!.masked, away!.state], [mine, true, "archived"]);
  await record.archive([mine], false);
  await record.mask([mine], false);
  assert.equal((await lines()).find((one) => one.id === mine)!.masked, false);
  assert.equal(node.letters.length, letters + 2, "of each pair the first is gone");
});

test("profile entries are written, changed and taken out, each by a letter to oneself", async () => {
  await record.addEntry({ area: "allergies", name: "Noix", detail: "Urticaire", date: "2019-07" });
  await record.addEntry({ area: "measures", name: "", detail: "", date: "2026-01-02", measure: { kind: "blood-pressure", values: [{ name: "systolic", number: 132 }, { name: "diastolic", number: 78 }], unit: "mmHg" } });
  await record.addEntry({ area: "treatments", name: "Secret", detail: "", date: "2020-01-01" });
  const [nuts] = (await record.profile()).filter((one) => one.name === "Noix");
  await record.changeEntry(nuts!.id, { area: "allergies", name: "Noix de cajou", detail: "Urticaire", date: "2019-07" });
  const found = await record.profile();
  assert.deepEqual(found.filter((one) => one.source === "me").map((one) => `${one.area} ${one.name}`).sort(), ["allergies Noix de cajou", "measures ", "treatments Secret"]);
  assert.deepEqual(found.find((one) => one.area === "measures")?.measure?.values.map((one) => one.number), [132, 78]);
  await record.addEntry({ area: "wishes", name: "À ôter", detail: "", date: "" });
  await record.removeEntry((await record.profile()).find((one) => one.name === "À ôter")!.id);
  await record.maskEntry((await record.profile()).find((one) => one.name === "Secret")!.id, true);
  assert.deepEqual((await record.profile()).filter((one) => one.masked).map((one) => one.name), ["Secret"]);
  assert.equal(await slugOf(record.changeEntry("urn:uuid:none", { area: "allergies", name: "x", detail: "", date: "" })), "not-own");
});

test("one document goes to one professional as it came, and whom it went to is remembered; a masked one goes to nobody", async () => {
  const id = "1.2.250.1.999.1.1";
  const { until, undo } = await record.share({ ids: [id], to: OTHER, subject: "Mes résultats", text: "Bonjour docteur" });
  assert(until > Date.now());
  const sent = node.letters.find((one) => one.mailbox === "Fsent" && one.to.includes(OTHER))!;
  const { subject, parts } = await openedBy(doctor, sent);
  assert.equal(subject, "Mes résultats");
  const { clear } = example("one document");
  assert.deepEqual(parts.find((one) => one.type === "application/zip")!.octets, content(clear, sections(parse(clear))[0]!.part));
  const manifest = parts.find((one) => one.type.includes("manifest"))!;
  assert.deepEqual(manifestOf(JSON.parse(fromUtf8(manifest.octets)))!.items.map((one) => [one.kind, one.id, one.part]), [["document", id, "2"]]);
  await comes();
  assert.deepEqual((await record.document(id)).sharedWith.map((one) => one.person.address), [OTHER]);
  assert.equal(await undo(), true);
  await record.mask([id], true);
  const letters = node.letters.length;
  assert.equal(await slugOf(record.share({ ids: [id], to: OTHER, subject: "x", text: "x" })), "masked");
  assert.equal(await slugOf(record.askRenewal(id, "x")), "masked");
  assert.equal(node.letters.length, letters, "nothing was made");
  await record.mask([id], false);
});

test("a summary of the profile says nothing of what is masked", async () => {
  await record.summaryFor(OTHER, "Voici mon profil.");
  const { subject, parts } = await openedBy(doctor, node.letters.filter((one) => one.mailbox === "Fsent").at(-1)!);
  const whole = subject + parts.map((one) => fromUtf8(one.octets)).join("\n");
  assert(whole.includes("Noix de cajou") && whole.includes("132"));
  assert(!whole.includes("Secret"));
  const bundle = JSON.parse(fromUtf8(parts.find((one) => one.type === "application/fhir+json")!.octets)) as { type: string; entry: { resource: { resourceType: string } }[] };
  assert.equal(bundle.type, "document");
  assert.deepEqual(bundle.entry.map((one) => one.resource.resourceType).slice(0, 2), ["Composition", "Patient"]);
});

test("a renewal is asked in the author's conversation, waited for eight days, and over when they answer", async () => {
  const id = (await record.documents({ ...everything, category: "prescriptions" })).lines[0]!.id;
  assert.equal(await record.renewal(id), null);
  await record.askRenewal(id, "Pourriez-vous renouveler mon ordonnance ?");
  await comes();
  const asked = await record.renewal(id);
  assert.equal(asked!.until - asked!.askedAt, 8 * 86_400_000);
  const sent = node.letters.filter((one) => one.mailbox === "Fsent").at(-1)!;
  await comes(await sealed(utf8("Subject: Voici\r\n\r\nVoici"), null, { threadId: sent.threadId, receivedAt: Date.now() + 5000, class: "message" }));
  assert.equal(await record.renewal(id), null);
});

test("pharmacies are those who sent what pharmacies send, and may be written to", async () => {
  const { manifest } = example("one document");
  const dispensed = { ...manifest, items: [{ ...manifest.items[0]!, id: "7.7", hash: "7".repeat(64), class: "43", facility: "SA33" }] };
  await comes(await sealed(utf8("x"), dispensed, { from: "officine@pharma.example" }));
  assert.deepEqual((await record.pharmacies()).map((one) => one.address), ["officine@pharma.example"]);
  node.correspondents = [{ address: "officine@pharma.example", open: false, lastAt: 1 }];
  assert.deepEqual(await record.pharmacies(), []);
  node.correspondents.push({ address: "autre@officine.example", open: true, lastAt: 2, pharmacy: true });
  assert.deepEqual((await record.pharmacies()).map((one) => one.address), ["autre@officine.example"]);
});

test("a letter's own documents are found in it, with whom they are about", async () => {
  const { mail } = await import("../src/lib/mail.ts");
  await mail.list("inbox", 0, 100);
  const letter = node.letters.find((one) => one.id === (node.letters.find((each) => each.threadId === "twice")!.id))!;
  const [found] = await record.inLetter(letter.id);
  assert.equal(found!.title, "Bilan sanguin du 19 novembre");
  assert((found!.about?.name ?? "").length > 3);
  assert.equal((await found!.view()).header?.id, "1.2.250.1.999.1.1");
  assert.deepEqual(await record.inLetter(node.letters.find((one) => one.class === "message")!.id), []);
  const hidden = await sealed(example("not to be seen by the patient yet").clear, null);
  await comes(hidden);
  await mail.list("inbox", 0, 200);
  assert.deepEqual(await record.inLetter(hidden.id), [], "what its author keeps from patients is not told to one");
});

/** A letter with the laboratory's FHIR document of the corpus, about whom `digits` name. */
function laboratory(digits: string, oid: string): Bytes {
  const text = readFileSync(`${vectors}/cda/fhir-biologie.json`, "utf8").replaceAll("250033523804241", digits).replace("urn:oid:1.2.250.1.999.4.2", `urn:oid:${oid}`);
  const part = `Content-Type: application/fhir+json\r\nContent-Disposition: attachment; filename="biologie.json"\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64(utf8(text)).replace(/.{76}/g, "$&\r\n")}`;
  return utf8(`From: ${DOCTOR}\r\nSubject: Vos analyses\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nBonjour\r\n--m\r\n${part}\r\n--m--\r\n`);
}

test("what documents say of the holder comes into the curves behind the screens; what they say of somebody else stays in them, marked", async () => {
  await comes(await sealed(laboratory("267017506512334", "1.2.250.1.999.4.70"), null), await sealed(laboratory("250033523804241", "1.2.250.1.999.4.71"), null));
  for (let turn = 0; turn < 3000 && (await record.trends()).length === 0; turn++) await new Promise((next) => setTimeout(next, 20));
  const all = await record.trends();
  assert(all.length > 0);
  const found = await lines();
  const about = (id: string): string | undefined => found.find((one) => one.id.includes(id))?.about;
  assert.deepEqual([about("1.2.250.1.999.4.70"), about("1.2.250.1.999.4.71")], ["holder", "another"]);
  const points = all.flatMap((one) => one.points);
  assert(points.every((point) => typeof point.number === "number" && !point.document.includes("999.4.71")));
  assert(points.some((point) => point.document.includes("999.4.70")));
});

test("the export holds every file once, the letters as mbox, the profile as FHIR, and a page that reads it offline", async () => {
  const steps: number[] = [];
  const blob = await record.exportAll((done) => steps.push(done), true);
  assert.equal(steps.at(-1), node.letters.length);
  const data = new Uint8Array(await blob.arrayBuffer());
  const files = unzipSync(data);
  const names = Object.keys(files);
  for (const name of ["index.html", "letters.mbox", "profile.fhir.json", "LISEZMOI.txt", "README.txt"]) assert(names.includes(name), name);
  const { clear } = example("one document");
  const cda = unzipSync(content(clear, sections(parse(clear))[0]!.part))["IHE_XDM/SUBSET01/DOC0001.XML"]!;
  assert.equal(names.filter((name) => Buffer.from(files[name]!).equals(cda)).length, 1, "once, though two letters brought it");
  const page = strFromU8(files["index.html"]!);
  assert(page.includes("default-src 'none'") && !/https?:\/\//.test(page.replace(/"[^"]*urn:[^"]*"/g, "")), "nothing to fetch");
  assert(!strFromU8(files["index.html"]!).includes('"8.8"'));
  if (outside !== "") {
    if (!existsSync(outside)) mkdirSync(outside);
    writeFileSync(`${outside}/export.zip`, data);
  }
});

test("everything is what was never opened too; left out when its reader wishes, and then said", async () => {
  const { clear, manifest } = example("one document");
  await comes(await sealed(clear, manifest, { receipt: true, messageId: "unopened@chu" }));
  const read = async (unopened: boolean): Promise<[letters: number, told: string]> => {
    const files = unzipSync(new Uint8Array(await (await record.exportAll(() => undefined, unopened)).arrayBuffer()));
    return [strFromU8(files["letters.mbox"]!).split(/^From .+ \d{4}\r?$/m).length - 1, strFromU8(files["LISEZMOI.txt"]!)];
  };
  const [whole, without] = [await read(true), await read(false)];
  assert.equal(whole[0], without[0] + 1);
  assert(!whole[1].includes("pas encore ouvertes"));
  assert(without[1].includes("1 lettres pas encore ouvertes n’y sont pas"));
});

test("cut off from the server, the record still lists; what must be sent says so", async () => {
  cutOff(true);
  assert((await lines()).length > 50);
  assert.equal(await slugOf(record.addEntry({ area: "allergies", name: "x", detail: "", date: "" })), "offline");
  cutOff(false);
});

test("at logout the index is gone from memory and device", async () => {
  const { account } = await import("../src/lib/account.ts");
  const { deviceStorage } = await import("../src/worker/storage.ts");
  const storage = await deviceStorage();
  const kept = await storage.get("items", await storage.keys("items"));
  assert(kept.length > 0);
  const plain = kept.map((one) => (one instanceof Uint8Array ? Buffer.from(one).toString("latin1") : JSON.stringify(one))).join("");
  for (const word of ["Bilan", "Noix", "chu.example", "document"]) assert(!plain.includes(word), `${word} is on the device`);
  await account.logOut();
  for (let turn = 0; turn < 3000 && (await storage.keys("items")).length > 0; turn++) await new Promise((next) => setTimeout(next, 20));
  assert.deepEqual(await storage.keys("items"), []);
  assert.equal(await slugOf(record.documents(everything)), "locked");
});
