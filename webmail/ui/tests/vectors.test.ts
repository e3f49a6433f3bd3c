// The fixed vectors that Python checks too (tests/webmail/vectors): what they say must stay true for as long as anyone's
// sheet of paper does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { base64, concat, fromBase64, fromUtf8, utf8 } from "../src/lib/bytes.ts";
import { armor } from "../src/worker/armor.ts";
import { checkCharacter, parseRecoveryCode } from "../src/worker/crockford.ts";
import { aesKey, fromPassword, hkdf, kekOf, pair } from "../src/worker/derive.ts";
import { parse } from "../src/worker/mime/parts.ts";
import { see } from "../src/worker/mime/letter.ts";
import { readMessage, readPrivateKey } from "../src/worker/openpgp.ts";
import { openMessage } from "../src/worker/packets.ts";
import { accountKey, secretKey, unwrap, wrap } from "../src/worker/wraps.ts";
import { asked, refused, told } from "./asking.ts";

const folder = told();
const read = (name: string) => JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8"));
const derivations = read("derivations");
const letters = read("letters");

test("a password, however its accents were typed, gives the login value and opens the account key", async () => {
  for (const { password, salt, login, wrapped } of derivations.passwords) {
    const made = await fromPassword(password, fromBase64(salt), derivations.params);
    assert.equal(base64(made.login), login);
    assert.equal(base64(await unwrap(made.kek, fromBase64(wrapped), accountKey(derivations.account))), derivations.accountKey);
  }
});

test("two spellings of one password are one password", async () => {
  const [one, two] = derivations.passwords;
  const made = await fromPassword(two.password, fromBase64(one.salt), derivations.params);
  assert.equal(base64(made.login), one.login);
});

test("a recovery code is read however it was typed, and opens the account key", async () => {
  for (const typed of derivations.recovery.typed) {
    const made = await pair(parseRecoveryCode(typed));
    assert.equal(base64(made.login), derivations.recovery.login);
    assert.equal(base64(await unwrap(made.kek, fromBase64(derivations.recovery.wrapped), accountKey(derivations.account))), derivations.accountKey);
  }
});

test("a code with a wrong, missing or further character is refused", () => {
  for (const typed of derivations.recovery.refused) {
    assert.throws(() => parseRecoveryCode(typed), (failure) => (failure as { slug?: string }).slug === "recovery-refused");
  }
});

test("check characters are those of the server's codes", () => {
  for (const { body, check } of derivations.checkCharacters) assert.equal(checkCharacter(body), check);
});

test("a secret key's wrap is bound to its fingerprint", async () => {
  const key = await aesKey(fromBase64(derivations.accountKey));
  const { fingerprint, clear, wrapped } = derivations.secret;
  assert.equal(base64(await unwrap(key, fromBase64(wrapped), secretKey(fingerprint))), clear);
  await assert.rejects(unwrap(key, fromBase64(wrapped), secretKey(fingerprint.replace("0", "1"))));
  const again = await wrap(key, fromBase64(clear), secretKey(fingerprint), fromBase64(wrapped).slice(1, 13));
  assert.equal(base64(again), wrapped);
});

test("a password too short for anyone's is a wrong one like any other, and never the same", async () => {
  const salt = fromBase64(derivations.passwords[0].salt);
  const [one, two] = [await fromPassword("court", salt, derivations.params), await fromPassword("court", salt, derivations.params)];
  assert.equal(one.login.length, 32);
  assert.notEqual(base64(one.login), base64(two.login));
  assert.equal(await refused("passwordSlot", { password: "court" }), "password-short");
});

test("parameters that a server could not mean are refused", async () => {
  const salt = fromBase64(derivations.passwords[0].salt);
  for (const change of [{ memory: 64 }, { passes: 1 }, { memory: 4_000_000 }, { algorithm: "pbkdf2" }]) {
    await assert.rejects(fromPassword("x", salt, { ...derivations.params, ...change }));
  }
  await assert.rejects(fromPassword("x", salt.slice(0, 8), derivations.params));
});

// ---------------------------------------------------------------------------------------------------- letters

async function unlocked(): Promise<void> {
  const prf = crypto.getRandomValues(new Uint8Array(32));
  const ak = crypto.getRandomValues(new Uint8Array(32));
  const wrapped = base64(await wrap(await kekOf(prf), ak, accountKey(letters.account)));
  const wrappedSecret = base64(await wrap(await aesKey(ak), fromBase64(letters.secret), secretKey(letters.fingerprint)));
  const key = { fingerprint: letters.fingerprint, certificate: letters.certificate, wrappedSecret, current: true };
  await asked("fromPasskey", { prf: prf.buffer });
  const made = await asked("unlock", { account: letters.account, wrapped, keys: [key], persist: false });
  assert.deepEqual(made, { unlocked: true, readable: [letters.fingerprint] });
}

const framed = (): ArrayBuffer => {
  const { head, message, tail } = letters.server;
  return concat([fromBase64(head), armor(fromBase64(message)), fromBase64(tail)]).buffer;
};

test("a letter that the server sealed opens: true subject, text, attachment, the gateway's signature", async () => {
  await unlocked();
  const made = await asked("open", { id: "M1", data: framed(), authors: [], gateway: letters.gateway });
  assert.equal(made.opened, true);
  assert.equal(made.subject, "Résultats de la prise de sang");
  assert.equal(made.text, "Bonjour, vos résultats sont joints.");
  assert.deepEqual(made.from, { name: "Hôpital", address: "rapports@chu.mss.example" });
  assert.deepEqual(made.parts.map(({ name, type }) => [name, type]), [["analyse.pdf", "application/pdf"]]);
  assert.equal(made.signature, "gateway");
});

test("without the gateway's certificate its signature is unknown, not good", async () => {
  await unlocked();
  const made = await asked("open", { id: "M1", data: framed(), authors: [letters.certificate], gateway: "" });
  assert.equal(made.signature, "unknown");
});

test("the summary that the server sealed is the line of the list", async () => {
  await unlocked();
  const [made] = await asked("lines", { letters: [{ id: "M9", summary: letters.server.summary, keyIds: [] }] });
  assert.equal(made?.line?.subject, "Résultats de la prise de sang");
  assert.equal(made?.line?.from, "Hôpital");
  assert.equal(made?.line?.text, "Bonjour, vos résultats sont joints.");
  assert.deepEqual(made?.line?.parts, [["analyse.pdf", "application/pdf"]]);
});

test("a letter that waited opens with the own key once its key packets are swapped, body untouched", async () => {
  await unlocked();
  const own = await readPrivateKey({ binaryKey: fromBase64(letters.secret) });
  const { keyPackets, body, summaryKeyPackets, summaryBody } = letters.waited;
  await assert.rejects(openMessage(concat([fromBase64(keyPackets), fromBase64(body)]), [own]));
  await asked("takeWaitingKey", { message: await toOwn(fromBase64(letters.waitingSecret)) });
  const given = { id: 7, keyPackets, summaryKeyPackets };
  const damaged = { id: 8, keyPackets: base64(fromBase64(keyPackets).fill(0, 40)), summaryKeyPackets: null };
  const made = await asked("swap", { letters: [given, damaged] });
  assert.deepEqual(made.map((one) => one.id), [7], "a damaged one is left out");
  const opened = await openMessage(concat([fromBase64(made[0]!.keyPackets), fromBase64(body)]), [own]);
  assert.match(see(opened.data, parse(opened.data)).text, /vos résultats/);
  const summary = await openMessage(concat([fromBase64(made[0]!.summaryKeyPackets!), fromBase64(summaryBody)]), [own]);
  assert.equal(JSON.parse(fromUtf8(summary.data)).subject, "Résultats de la prise de sang");
  await asked("dropWaitingKey", null);
  assert.equal(await refused("swap", { letters: [given] }), "locked");
});

/** What the server would send: sealed to the account's own certificate. */
async function toOwn(clear: Uint8Array<ArrayBuffer>): Promise<string> {
  const { sealMessage } = await import("../src/worker/packets.ts");
  const own = await readPrivateKey({ binaryKey: fromBase64(letters.secret) });
  return base64(await sealMessage(clear, [own.toPublic()], null));
}

test("a letter that this page sealed still opens as it was written, signed by its author", async () => {
  await unlocked();
  const { message, letter, summary } = letters.page;
  const made = await asked("open", { id: "M2", data: fromBase64(message).buffer, authors: [letters.certificate], gateway: "" });
  assert.equal(made.subject, letter.subject);
  assert.equal(made.text, letter.text.trimEnd());
  assert.deepEqual(made.from, letter.from);
  assert.equal(made.signature, "author");
  assert.equal(made.parts[0]?.name, "été.txt");
  const [line] = await asked("lines", { letters: [{ id: "M3", summary, keyIds: [] }] });
  assert.equal(line?.line?.subject, letter.subject);
});

test("outside of a letter sealed here stands nothing of its subject, its text, its author's name or its file", () => {
  const outside = fromUtf8(fromBase64(letters.page.message)).replace(/-----BEGIN[\s\S]*END PGP MESSAGE-----/, "");
  assert.match(outside, /^Subject: \[\.\.\.\] abcd\r$/m);
  assert.match(outside, /^In-Reply-To: <report-1@chu\.mss\.example>\r$/m);
  assert.doesNotMatch(outside, /question|docteur|Durand|jeun|\.txt/i);
});

test("a challenge is answered with 64 hex digits, and nothing else is ever opened for the server", async () => {
  await unlocked();
  const nonce = "5f".repeat(32);
  assert.deepEqual(await asked("answerChallenge", { message: await toOwn(utf8(nonce)) }), { nonce });
  assert.equal(await refused("answerChallenge", { message: letters.server.summary }), "challenge-refused");
});

test("a library's words never leave the worker: a failure is a slug", async () => {
  await unlocked();
  assert.equal(await refused("exportKey", { fingerprint: "nobody", passphrase: "x" }), "locked");
  assert.equal(await refused("importKey", { armored: "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx", passphrase: "p", address: "a@b" }), "key-unreadable");
  assert.equal(await refused("takeWaitingKey", { message: "***" }), "other");
});

test("hkdf with an empty salt is RFC 5869's default", async () => {
  assert.equal((await hkdf(new Uint8Array(32), "x")).length, 32);
  assert(await readMessage({ binaryMessage: fromBase64(letters.server.message) }));
});
