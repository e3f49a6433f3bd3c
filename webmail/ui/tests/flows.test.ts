// From what the screens call to what the server is sent, with the worker in between: enrolment, ways in, re-sealing,
// lists, letters, sending, search, the end of a session.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Session } from "../src/lib/contract.ts";
import { base64, concat, fromBase64, fromUtf8, hex, utf8 } from "../src/lib/bytes.ts";
import { askBy } from "../src/lib/gate_leave.ts";
import { readCertificate } from "../src/worker/certificates.ts";
import { armor } from "../src/worker/armor.ts";
import { fromPassword } from "../src/worker/derive.ts";
import { generateKey, readPrivateKey } from "../src/worker/openpgp.ts";
import { openMessage, sealMessage } from "../src/worker/packets.ts";
import { summarise, summaryBytes } from "../src/worker/summary.ts";
import { accountKey, secretKey, unwrap, wrap } from "../src/worker/wraps.ts";
import { aesKey, pair } from "../src/worker/derive.ts";
import { parseRecoveryCode } from "../src/worker/crockford.ts";
import { beforeHearing, cutOff, forgetCookies, placed, seen } from "./place.ts";
import { Node, type Stored } from "./server.ts";

const node = new Node();
const PASSWORD = "Été 1948, la fin";
const DOCTOR = "claire.martin@chu.mss.example";
const told: (Session | null)[] = [];
let code = "";
let account: (typeof import("../src/lib/account.ts"))["account"];
let mail: (typeof import("../src/lib/mail.ts"))["mail"];
const slugOf = (work: Promise<unknown>): Promise<string> => work.then(() => "done", (failure: { slug?: string }) => failure.slug ?? String(failure));

const made = await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email: DOCTOR }], format: "object" });
const doctor = made.privateKey;

before(async () => {
  placed(await node.start());
  ({ account } = await import("../src/lib/account.ts"));
  ({ mail } = await import("../src/lib/mail.ts"));
  account.onChange((session) => told.push(session));
  node.certificates.set(DOCTOR, { address: DOCTOR, guard: "sealed", certificates: [base64(doctor.toPublic().write())] });
});

after(() => node.stop());

const own = async () => (await readCertificate(node.keys.at(-1)!["certificate"]))!;
let number = 0;

async function letter(subject: string, text: string, given: Partial<Stored> & { to?: string[]; bare?: boolean; key?: Awaited<ReturnType<typeof own>> } = {}): Promise<Stored> {
  const id = `M${++number}`;
  const key = given.key ?? (await own());
  const entity = utf8(`Subject: ${subject}\r\nFrom: Claire <${DOCTOR}>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${text}\r\n`);
  const sealed = armor(await sealMessage(entity, [key], doctor));
  const frame = `From: ${DOCTOR}\r\nSubject: [...] abcd\r\nContent-Type: multipart/encrypted; boundary=b; protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const summary = given.bare ? null : base64(await sealMessage(summaryBytes(summarise(subject, "Claire", text, [])), [key], null));
  const [, subkey] = key.getKeyIDs();
  const stored: Stored = {
    id, threadId: `T${number}`, mailbox: "Finbox", keywords: {}, from: DOCTOR, to: [], subject: "[...] abcd", receivedAt: 1e12 + number * 1000,
    message: concat([utf8(frame), sealed, utf8("\r\n--b--\r\n")]), summary, keyIds: [subkey!.toHex().toUpperCase()], guard: "sealed", messageId: `${id}@chu`, ...given,
  };
  node.letters.push(stored);
  return stored;
}

const bodies = (): string => seen.map((one) => one.body).join("\n");

test("a wrong activation code is told with the tries that are left", async () => {
  await account.startEnrolment({ code: "XXXX", birthDate: "1950-03-12", lastFive: "12345" }).then(
    () => assert(false, "it was accepted"),
    (failure: { slug: string; detail: object }) => assert.deepEqual([failure.slug, failure.detail], ["code-refused", { reference: "r1", triesLeft: 4, retryAfter: undefined, reason: undefined, status: 403 }]),
  );
});

test("enrolment makes slots and a key, and the session is open", async () => {
  const begun = await account.startEnrolment({ code: "ABCD-EFGH-JKMC", birthDate: "1950-03-12", lastFive: "12345" });
  assert.deepEqual(begun.name, { given: "Élise", family: "Durand" });
  code = await account.newRecoveryCode();
  assert.equal(account.recoveryGroups(code).join("-"), code);
  const steps: string[] = [];
  const session = await account.finishEnrolment({ password: PASSWORD, recoveryCode: code, key: { way: "make" } }, (step) => steps.push(step));
  assert.deepEqual(steps, ["password", "key", "send"]);
  assert.equal(session.unlocked, true);
  assert.deepEqual(session.keys.map(({ current, readable, held }) => [current, readable, held]), [[true, true, true]]);
  assert.deepEqual(told.at(-1), session);
});

test("of what the server was sent, nothing holds the password", () => {
  for (const one of [PASSWORD, PASSWORD.normalize("NFKD"), base64(utf8(PASSWORD)), hex(utf8(PASSWORD))]) assert(!bodies().includes(one));
});

test("of what the server was sent, nothing holds the recovery code", () => {
  for (const one of [code, code.replaceAll("-", ""), base64(parseRecoveryCode(code)), hex(parseRecoveryCode(code))]) assert(!bodies().includes(one));
});

test("of what the server was sent, nothing holds the account key, though both sheets open it", async () => {
  const [password, recovery] = ["password", "recovery"].map((kind) => node.slots.find((one) => one["kind"] === kind)!);
  const { salt, ...params } = password!["params"];
  const one = await unwrap((await fromPassword(PASSWORD, fromBase64(salt), params)).kek, fromBase64(password!["wrapped"]), accountKey("A1"));
  const two = await unwrap((await pair(parseRecoveryCode(code))).kek, fromBase64(recovery!["wrapped"]), accountKey("A1"));
  assert.deepEqual(one, two);
  for (const text of [base64(one), hex(one)]) assert(!bodies().includes(text));
  const secret = await unwrap(await aesKey(one), fromBase64(node.keys[0]!["wrappedSecret"]), secretKey(node.keys[0]!["fingerprint"]));
  assert((await readPrivateKey({ binaryKey: secret })).isDecrypted());
  for (const text of [base64(secret), hex(secret), base64(secret).slice(80, 160)]) assert(!bodies().includes(text), "nor the secret key");
});

test("letters that waited are re-sealed in batches; cut off in the middle, it goes on where it was", async () => {
  const waiting = (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email: "w@mss.example" }], format: "object" })).privateKey;
  node.waitingSecret = waiting.write() as Uint8Array<ArrayBuffer>;
  const whole = await sealMessage(utf8("clair"), [waiting.toPublic()], null);
  const end = 2 + whole[1]!; // one key packet, its length in one octet
  const [keyPackets, body] = [base64(whole.subarray(0, end)), whole.subarray(end)];
  node.waiting = Array.from({ length: 120 }, (_, at) => ({ id: at + 1, keyPackets, summaryKeyPackets: keyPackets }));
  node.failAfter = 4;
  assert.equal(await slugOf(account.reseal(() => undefined)), "offline");
  const left = node.waiting.length;
  assert(left > 0 && left < 120);
  node.failAfter = Infinity;
  const steps: number[] = [];
  await account.reseal((done) => steps.push(done));
  assert.equal(node.waiting.length, 0);
  assert.equal(node.resealed.size, 120);
  assert.equal(steps.at(-1), left);
  const { wrapped, params } = node.slots.find((one) => one["kind"] === "password") as any;
  const ak = await unwrap((await fromPassword(PASSWORD, fromBase64(params.salt), params)).kek, fromBase64(wrapped), accountKey("A1"));
  const secret = await unwrap(await aesKey(ak), fromBase64(node.keys[0]!["wrappedSecret"]), secretKey(node.keys[0]!["fingerprint"]));
  const opened = await openMessage(concat([fromBase64(node.resealed.get(77)!.keyPackets), body]), [await readPrivateKey({ binaryKey: secret })]);
  assert.equal(fromUtf8(opened.data), "clair");
});

test("a letter whose packets are damaged keeps no other waiting, and is told", async () => {
  node.waiting = [{ id: 500, keyPackets: base64(utf8("nothing")), summaryKeyPackets: null }];
  assert.equal(await slugOf(account.reseal(() => undefined)), "reseal-incomplete");
  node.waiting = [];
});

test("a list shows true subjects in one request once the mailboxes are known", async () => {
  await letter("Résultats", "Tout va bien.");
  await letter("Rendez-vous", "Mardi.");
  await mail.list("inbox", 0, 50);
  await letter("Nouvelle", "Plus récente.");
  const before = seen.length;
  const { lines, total } = await mail.list("inbox", 0, 50);
  assert.deepEqual(lines.map((one) => [one.subject, one.preview, one.from.name, one.locked]), [
    ["Nouvelle", "Plus récente.", "Claire", false], ["Rendez-vous", "Mardi.", "Claire", false], ["Résultats", "Tout va bien.", "Claire", false],
  ]);
  assert.equal(total, 3);
  const asked = seen.slice(before).filter((one) => one.path === "/jmap/api");
  assert(!asked[0]!.body.includes("sealedSummary"), "what is known is not fetched again");
  assert.equal(asked.length, 2, "one request, and one for the new letter's summary");
  const again = seen.length;
  await mail.list("inbox", 0, 50);
  assert.equal(seen.length - again, 1);
});

test("a letter without a summary is opened behind the list, which is told to look again", async () => {
  await letter("Scellée par son auteur", "Du texte.", { bare: true });
  const changed = new Promise<void>((resolve) => {
    const stop = mail.onChange(() => {
      stop();
      resolve();
    });
  });
  assert.equal((await mail.list("inbox", 0, 50)).lines[0]!.subject, "");
  await changed;
  assert.equal((await mail.list("inbox", 0, 50)).lines[0]!.subject, "Scellée par son auteur");
});

test("a letter to a key that is not here is locked and shows nothing", async () => {
  const other = (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email: "o@mss.example" }], format: "object" })).privateKey;
  const { threadId, id } = await letter("Perdue", "Secret", { key: other.toPublic() as never });
  const [line] = (await mail.list("inbox", 0, 50)).lines;
  assert.deepEqual([line!.locked, line!.subject, line!.preview], [true, "", ""]);
  const [opened] = await mail.conversation(threadId);
  assert.deepEqual([opened!.opened, opened!.locked, opened!.text], [false, true, ""]);
  node.letters = node.letters.filter((one) => one.id !== id);
});

test("a conversation opens its letters with their author's signature", async () => {
  const [first] = await mail.conversation("T1");
  assert.deepEqual([first!.subject, first!.text, first!.signature, first!.opened], ["Résultats", "Tout va bien.", "author", true]);
});

test("an answer is sealed to its reader and its author, kept among what was sent, and can be undone", async () => {
  const [answered] = await mail.conversation("T1");
  const sent = await mail.send({ to: [DOCTOR], subject: "Merci", text: "Un secret médical", files: [new File(["%PDF-1.4"], "x.pdf")], inReplyTo: answered! });
  const kept = node.letters.find((one) => one.id === sent.id)!;
  assert.equal(kept.mailbox, "Fsent");
  assert.equal(kept.subject, "[...] abcd", "the conversation's own four letters");
  assert(!bodies().includes("secret médical") && !bodies().includes("Merci"));
  const [submission] = [...node.submissions.values()];
  assert.deepEqual(submission!["envelope"], { mailFrom: { email: node.account.shown, parameters: { HOLDFOR: "15" } }, rcptTo: [{ email: DOCTOR, parameters: null }] });
  assert.equal(node.letters.find((one) => one.id === answered!.id)!.keywords["$answered"], true);
  const armored = fromUtf8(kept.message);
  const { dearmor } = await import("../src/worker/armor.ts");
  const opened = await openMessage(dearmor(utf8(armored))!, [doctor]);
  assert(fromUtf8(opened.data).includes("Un secret m=C3=A9dical"));
  const [line] = (await mail.list("sent", 0, 10)).lines;
  assert.deepEqual([line!.subject, line!.attachments.map((one) => one.name)], ["Merci", ["x.pdf"]]);
  assert.equal(await sent.undo(), true);
  assert.equal(submission!["undoStatus"], "canceled");
  assert(!node.letters.some((one) => one.id === sent.id));
});

test("whom a letter was sent to is called as their own letters call them", async () => {
  const sent = await mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null });
  node.letters.find((one) => one.id === sent.id)!.to = [DOCTOR];
  const [known] = (await mail.list("inbox", 0, 50)).lines.filter((one) => one.from.address === DOCTOR && one.from.name !== "");
  const [line] = (await mail.list("sent", 0, 10)).lines;
  assert.equal(line!.to[0]!.name, known!.from.name);
  assert.equal(await sent.undo(), true);
});

test("a patient's letter never says that the exchange is at its end", async () => {
  const sent = await mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null, closes: true });
  assert(!/x-mss-mes/i.test(fromUtf8(node.letters.find((one) => one.id === sent.id)!.message)));
  assert.equal(await sent.undo(), true);
});

test("what has left cannot be undone", async () => {
  const sent = await mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null });
  [...node.submissions.values()].at(-1)!["undoStatus"] = "final";
  assert.equal(await sent.undo(), false);
  assert(node.letters.some((one) => one.id === sent.id));
});

test("a letter that is refused after all, once it could not be undone any more, is told as such", async () => {
  const sent = await mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null });
  const submission = [...node.submissions.values()].at(-1)!;
  assert.equal(await sent.fate!(), null, "nothing is known while it is held back");
  Object.assign(submission, { undoStatus: "final", deliveryStatus: { [DOCTOR]: { delivered: "no", reason: "conversation-closed" } } });
  let looked = 0;
  const stop = mail.onChange(() => (looked += 1));
  assert.equal(await sent.fate!(), "conversation-closed");
  stop();
  assert.equal(looked, 1);
  assert.deepEqual((await mail.list("sent", 0, 20)).lines.filter((one) => one.refused !== undefined).map((one) => [one.id, one.refused]), [[sent.id, "conversation-closed"]]);
});

test("of a letter to another operator is told how it leaves, and that it is there", async () => {
  const sent = await mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null });
  const submission = [...node.submissions.values()].at(-1)!;
  const status = { delivered: "queued", leaves: "gate" };
  Object.assign(submission, { undoStatus: "final", deliveryStatus: { [DOCTOR]: status } });
  const away = async () => (await mail.list("sent", 0, 20)).lines.find((one) => one.id === sent.id)!.away;
  assert.equal(await sent.fate!(), null, "it is on its way");
  assert.deepEqual(await away(), [{ address: DOCTOR, ...status }]);
  status.delivered = "unknown"; // the other operator has it
  assert.equal(await sent.fate!(), "");
  assert.deepEqual(await away(), [{ address: DOCTOR, ...status }]);
});

test("a letter that left readable for anyone is not called sealed, one that did not leave is", async () => {
  const guardOf = async (delivered: string, leaves: string) => {
    const sent = await mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null });
    Object.assign([...node.submissions.values()].at(-1)!, { undoStatus: "final", deliveryStatus: { [DOCTOR]: { delivered, leaves } } });
    await sent.fate!();
    return (await mail.list("sent", 0, 20)).lines.find((one) => one.id === sent.id)!.guard;
  };
  assert.equal(await guardOf("queued", "gate"), "gate");
  assert.equal(await guardOf("unknown", "gate"), "gate");
  assert.equal(await guardOf("no", "gate"), "sealed");
  assert.equal(await guardOf("unknown", "sealed"), "sealed");
});

test("nothing is made when one addressee cannot be written to or has no certificate", async () => {
  const uploads = node.blobs.size;
  node.certificates.set("sans@chu.mss.example", { address: "sans@chu.mss.example", guard: "sealed", certificates: [] });
  const draft = { subject: "a", text: "b", files: [], inReplyTo: null };
  assert.equal(await slugOf(mail.send({ ...draft, to: [DOCTOR, "inconnu@x"] })), "not-a-correspondent");
  assert.equal(await slugOf(mail.send({ ...draft, to: [DOCTOR, "sans@chu.mss.example"] })), "no-certificate");
  assert.equal(await slugOf(mail.check(["inconnu@x"])), "not-a-correspondent");
  assert.equal(node.blobs.size, uploads);
});

test("through the gate leaves only what its author agreed to, and no stored letter can be opened by the gate", async () => {
  const gate = (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email: "porte@mss.example" }], format: "object" })).privateKey;
  const ward = "accueil@chu-voisin.example";
  node.certificates.set(ward, { address: ward, guard: "gate", certificates: [base64(gate.toPublic().write())] });
  const draft = { subject: "a", text: "Un secret", files: [], inReplyTo: null };
  assert.deepEqual(await mail.check([ward]), [{ address: ward, guard: "gate", patient: false, suggestions: undefined }]);
  const uploads = node.blobs.size;
  assert.equal(await slugOf(mail.send({ ...draft, to: [DOCTOR, ward] })), "gate-not-agreed");
  const asked: (readonly string[])[] = [];
  askBy((addresses) => (asked.push(addresses), Promise.resolve(asked.length > 1)));
  assert.equal(await slugOf(mail.send({ ...draft, to: [DOCTOR, ward] })), "gate-not-agreed", "asked, and a no");
  assert.equal(node.blobs.size, uploads);
  assert.equal(await (await mail.send({ ...draft, to: [DOCTOR, ward] })).undo(), true);
  assert.deepEqual(asked, [[ward], [ward]], "only who is not sealed to is asked about");
  const sent = await mail.send({ ...draft, to: [DOCTOR, ward], throughGate: [ward] });
  const { dearmor } = await import("../src/worker/armor.ts");
  const message = dearmor(utf8(fromUtf8(node.letters.find((one) => one.id === sent.id)!.message)))!;
  await openMessage(message, [doctor]);
  await assert.rejects(openMessage(message, [gate]));
  const packet = [...node.submissions.values()].at(-1)!["gateKeyPacket"] as string;
  assert(fromUtf8((await openMessage(concat([fromBase64(packet), message]), [gate])).data).includes("Un secret"));
  assert.equal(await sent.undo(), true);
  const plain = await mail.send({ ...draft, to: [DOCTOR], throughGate: [ward] });
  assert(!("gateKeyPacket" in [...node.submissions.values()].at(-1)!), "who needs no gate goes past it");
  assert.equal(await plain.undo(), true);
});

test("a letter that the server refuses to send does not stand among what was sent", async () => {
  node.submissionRefused = { type: "forbiddenToSend", reason: "conversation-closed" };
  const before = node.letters.length;
  assert.equal(await slugOf(mail.send({ to: [DOCTOR], subject: "a", text: "b", files: [], inReplyTo: null })), "conversation-closed");
  assert.equal(node.letters.length, before);
  node.submissionRefused = null;
});

test("asking again writes one letter to each sender of locked letters", async () => {
  const line = (await mail.list("inbox", 0, 1)).lines[0]!;
  const locked = { ...line, locked: true };
  const before = node.submissions.size;
  assert.equal(await mail.askAgain([locked, { ...locked, receivedAt: 5 }, { ...locked, locked: false }]), 1);
  assert.equal(node.submissions.size, before + 1);
});

test("reading, moving and destroying reach the server; trash from trash destroys", async () => {
  await mail.markRead(["M1"], true);
  assert.equal(node.letters.find((one) => one.id === "M1")!.keywords["$seen"], true);
  await mail.move(["M2"], "trash");
  assert.equal(node.letters.find((one) => one.id === "M2")!.mailbox, "Ftrash");
  await mail.list("trash", 0, 10);
  await mail.move(["M2"], "trash");
  assert(!node.letters.some((one) => one.id === "M2"));
});

test("search finds the beginning of words, without accents, in letters opened for it", async () => {
  await mail.search("x");
  for (let turn = 0; turn < 3000 && mail.indexing().done < node.letters.length; turn++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual((await mail.search("resul")).map((one) => one.id), ["M1"]);
  assert.deepEqual((await mail.search("bien TOUT")).map((one) => one.id), ["M1"]);
  assert.deepEqual(await mail.search("bien mardi"), []);
});

test("without a line to the server everything says offline, and screens are told both ways", async () => {
  const heard: boolean[] = [];
  const stop = mail.onOffline((offline) => heard.push(offline));
  cutOff(true);
  assert.equal(await slugOf(mail.list("inbox", 0, 5)), "offline");
  assert.equal(await slugOf(account.resume()), "offline");
  cutOff(false);
  await mail.list("inbox", 0, 5);
  stop();
  assert.deepEqual(heard, [true, false]);
});

test("to ask again who is here closes nothing", async () => {
  assert.equal((await account.resume())?.unlocked, true);
});

test("a session that ended elsewhere is told, and nothing stays open here", async () => {
  node.cookie = "another";
  assert.equal(await slugOf(mail.list("inbox", 0, 5)), "no-session");
  assert.equal(told.at(-1), null);
  assert.equal(await account.resume(), null);
  forgetCookies();
});

test("on a shared device letters open too, and a wrong password or sheet opens nothing", async () => {
  assert.equal(await slugOf(account.logIn("267017506512334", "faux", { shared: true })), "login-refused");
  assert.equal((await account.logIn("267017506512334", PASSWORD, { shared: true })).unlocked, true);
  assert.equal((await account.resume())?.unlocked, true);
  assert.equal(await slugOf(account.unlock({ password: "faux" })), "unlock-refused");
  assert.equal(await slugOf(account.unlock({ recovery: "ABCD" })), "recovery-refused");
  assert.equal((await account.unlock({ recovery: code })).unlocked, true);
});

for (const when of ["while a password is looked at", "once somebody is here"]) {
  test(`that nobody was here, heard ${when}, ends nothing of who logs in again`, async () => {
    await account.logOut();
    let heard = (): void => undefined;
    const late = new Promise<void>((resolve) => (heard = resolve));
    const asked = account.resume; // what follows letters asks like this after a refusal
    let before: Promise<unknown> | null = null;
    beforeHearing(async (path) => {
      if (path === "/api/session") await late;
      if (path !== "/api/login" || when !== "while a password is looked at") return;
      heard();
      await before;
    });
    before = asked();
    const session = await account.logIn("x", PASSWORD, { shared: false });
    heard();
    assert.equal(await before, null);
    beforeHearing(async () => undefined);
    assert.equal(session.unlocked, true);
    assert.deepEqual(told.at(-1), session);
    assert.equal((await account.resume())?.unlocked, true);
  });
}

test("a changed password opens, the former one does not, and the sheet still does", async () => {
  assert.equal(await slugOf(account.changePassword("faux", "un nouveau")), "password-wrong");
  await account.changePassword(PASSWORD, "un nouveau mot");
  const next = await account.newRecoveryCode();
  await account.replaceRecovery(next);
  await account.logOut();
  assert.equal(await slugOf(account.logIn("x", PASSWORD, { shared: true })), "login-refused");
  assert.equal((await account.logIn("x", "un nouveau mot", { shared: true })).unlocked, true);
  await account.logOut();
  assert.equal(await slugOf(account.logInWithRecovery("x", code)), "login-refused");
  const session = await account.logInWithRecovery("x", next);
  assert.deepEqual([session.unlocked, session.mustRenew], [true, true]);
  await account.changePassword(null, PASSWORD);
  await account.replaceRecovery(code);
  assert.equal((await account.resume())?.mustRenew, false);
});

test("an older sheet opens an older key, and its letters", async () => {
  const before = (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email: "v@mss.example" }], format: "object" })).privateKey;
  const fingerprint = before.getFingerprint().toUpperCase();
  const sheet = await account.newRecoveryCode();
  const ak = crypto.getRandomValues(new Uint8Array(32));
  const wrapped = base64(await wrap((await pair(parseRecoveryCode(sheet))).kek, ak, accountKey("A1")));
  const wrappedSecret = base64(await wrap(await aesKey(ak), before.write() as Uint8Array<ArrayBuffer>, secretKey(fingerprint)));
  node.old = [{ fingerprint, wrappedSecret, recovery: { wrapped } }];
  node.keys = [{ fingerprint, certificate: base64(before.toPublic().write()), wrappedSecret: null, current: false }, ...node.keys];
  const { threadId } = await letter("Ancienne", "D’avant.", { key: before.toPublic() as never });
  await account.resume();
  assert.equal((await mail.list("inbox", 0, 1)).lines[0]!.locked, true);
  assert.equal(await slugOf(account.openOldKey(code)), "old-sheet-refused");
  assert.equal(await account.openOldKey(sheet), 1);
  assert.equal((await mail.list("inbox", 0, 1)).lines[0]!.subject, "Ancienne");
  assert.equal((await mail.conversation(threadId))[0]!.text, "D’avant.");
});

test("a key that the server refuses is forgotten, and the one before stays", async () => {
  const { armored } = { armored: doctor.armor() };
  assert.equal(await slugOf(account.setKey({ way: "import", armored, passphrase: "", address: "" } as never)), "key-other-address");
  const fingerprint = node.keys.find((one) => one["current"])!["fingerprint"];
  const session = await account.resume();
  assert.equal(session!.keys.find((one) => one.current)!.fingerprint, fingerprint);
  assert((await account.exportKey("une phrase")).startsWith("-----BEGIN PGP PRIVATE KEY BLOCK-----"));
});

test("who brings a certificate alone is asked a question that their own program can open", async () => {
  const own = (await generateKey({ type: "ecc", curve: "ed25519Legacy", userIDs: [{ email: node.account.address }], format: "object" })).privateKey;
  const question = await account.setKey({ way: "certificate", armored: own.toPublic().armor() });
  assert.match(question!.message, /^-----BEGIN PGP MESSAGE-----\r?\n\r?\n/);
  const { dearmor } = await import("../src/worker/armor.ts");
  const nonce = fromUtf8((await openMessage(dearmor(utf8(question!.message))!, [own])).data);
  assert.equal(await slugOf(question!.answer("0".repeat(64))), "nonce-wrong");
  await question!.answer(` ${nonce.toUpperCase()}\n`);
  const [current] = (await account.resume())!.keys.filter((one) => one.current);
  assert.deepEqual([current!.fingerprint, current!.held], [own.getFingerprint().toUpperCase(), false]);
});

test("logout leaves nothing on the device: a new session there has to be opened", async () => {
  await account.logOut();
  assert.equal(told.at(-1), null);
  node.cookie = "kept";
  assert.equal(await account.resume(), null);
  assert.equal(await slugOf(mail.list("inbox", 0, 5)), "no-session");
});
