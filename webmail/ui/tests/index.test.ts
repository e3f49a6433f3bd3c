// The index of letters that the record and the agenda are drawn from: what the line or another tab does to it meanwhile
// loses no letter.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../src/lib/bytes.ts";
import { Failed } from "../src/worker/failed.ts";
import { Keyring } from "../src/worker/keyring.ts";
import { Letters } from "../src/worker/record/letters.ts";
import type { LetterFacts } from "../src/worker/record/protocol.ts";
import { draw } from "../src/worker/record/taking.ts";
import { MemoryStorage } from "../src/worker/storage.ts";

const ME = "me@patient.example";
const WHOSE = { own: [ME], certificates: [], gateway: "" };
const FACTS: LetterFacts = {
  id: "M1", threadId: "T1", blobId: "B1", from: { name: "", address: "claire@chu.example" }, to: [ME], at: 1_700_000_000_000, size: 1000, messageId: "m1@chu",
  seen: false, roles: ["inbox"], guard: "sealed", keyIds: ["AA"], class: "agenda",
};
const SEALED = utf8(
  'Content-Type: multipart/encrypted; boundary=b; protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA\r\n-----END PGP MESSAGE-----\r\n\r\n--b--\r\n',
);

async function keyringOf(storage: MemoryStorage): Promise<Keyring> {
  const keyring = new Keyring();
  keyring.begin("A1");
  keyring.storage = storage;
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  keyring.storageKey = async () => key;
  return keyring;
}

test("a letter is not set aside because a part of the page did not come: it is looked at again", async () => {
  const keyring = await keyringOf(new MemoryStorage());
  const letters = new Letters(keyring);
  let cut = true;
  keyring.own = async () => {
    if (cut) throw new Failed("offline");
    return [];
  };
  const given = (): Parameters<typeof draw>[3] => ({ id: "M1", data: SEALED.slice().buffer, authors: [], gateway: "" });
  await assert.rejects(draw(keyring, letters, FACTS, given(), WHOSE), { slug: "offline" });
  assert.equal(letters.has("M1"), false);
  cut = false;
  await draw(keyring, letters, FACTS, given(), WHOSE);
  assert.equal(letters.has("M1"), true, "damaged for good, it is nothing");
});

test("what another tab adds while this one reads what is kept is not taken for read", async () => {
  const storage = new MemoryStorage();
  const keyring = await keyringOf(storage);
  const other = new Letters(keyring);
  await other.reach("1", true);
  const keys = storage.keys.bind(storage);
  storage.keys = async (store) => {
    const listed = await keys(store);
    await other.keep({ nothing: ["M2"] });
    await other.reach("2", true);
    return listed;
  };
  const here = new Letters(keyring);
  await here.load();
  assert.equal(here.has("M2"), false);
  assert.equal(here.reached.state, "1", "so what came since is asked for");
});
