// What the worker does for the page, one function per operation. What is heavy comes with the first call that needs it.
import { base64, fromBase64, type Bytes } from "../lib/bytes.ts";
import { newRecoveryCode, parseRecoveryCode } from "./crockford.ts";
import { fromPassword, kekOf, newSalt, pair, PARAMS, tooShort, type Pair } from "./derive.ts";
import { Failed } from "./failed.ts";
import { Keyring } from "./keyring.ts";
import * as lines from "./lines.ts";
import type { Given, Made, Operation, PasswordParams } from "./protocol.ts";
import { fetchLibrary } from "./reading.ts";
import { unwrap, accountKey, secretKey } from "./wraps.ts";

type Async<T> = T | Promise<T>;
type Handlers = { [K in Operation]: (given: Given<K>) => Async<Made<K>> };

const keyring = new Keyring();
let waiting: { login: Bytes | null; kek: CryptoKey } | null = null;

let swapModule: Promise<typeof import("./swap.ts")> | null = null;
let recordModule: Promise<typeof import("./record/door.ts")> | null = null;
let searchModule: Promise<typeof import("./search.ts")> | null = null;

const keys = () => import("./keys.ts");
const swapping = () => (swapModule ??= import("./swap.ts"));
let agendaModule: Promise<typeof import("./agenda/door.ts")> | null = null;
const dating = () => (agendaModule ??= import("./agenda/door.ts"));
const recording = () => (recordModule ??= import("./record/door.ts"));
const searching = () => (searchModule ??= import("./search.ts"));

async function ofPassword(password: string, salt: string, params: PasswordParams): Promise<Pair> {
  fetchLibrary(); // while Argon2id runs
  return fromPassword(password, fromBase64(salt), params);
}

function hold(found: Pair): { login: string } {
  waiting = found;
  return { login: base64(found.login) };
}

export const handlers: Handlers = {
  newRecoveryCode: () => newRecoveryCode(),

  fromPassword: async ({ password, salt, params }) => hold(await ofPassword(password, salt, params)),
  fromRecovery: async ({ code }) => hold(await pair(parseRecoveryCode(code))),
  fromPasskey: async ({ prf }) => {
    waiting = { login: null, kek: await kekOf(new Uint8Array(prf)) };
    return null;
  },

  unlock: async ({ account, wrapped, keys: all, persist }) => {
    if (waiting === null) throw new Failed("locked");
    const { kek } = waiting;
    waiting = null;
    return keyring.unlock(account, kek, fromBase64(wrapped), all, persist);
  },
  unlockDevice: ({ account, keys: all }) => keyring.unlockDevice(account, all),
  keys: async ({ keys: all }) => (keyring.unlocked ? keyring.take(all) : { unlocked: false, readable: [] }),
  forget: async () => {
    waiting = null;
    lines.forgetLines();
    (await swapModule)?.dropWaitingKey();
    (await searchModule)?.forgetIndex();
    (await recordModule)?.forgetRecord();
    (await agendaModule)?.forgetAgenda();
    await keyring.forget();
    return null;
  },

  beginAccount: ({ account }) => {
    keyring.begin(account);
    return null;
  },
  accountMade: async ({ keys: all, persist }) => {
    if (persist) await keyring.persist();
    return keyring.take(all);
  },

  passwordSlot: async ({ password }) => {
    if (tooShort(password)) throw new Failed("password-short");
    const salt = base64(newSalt());
    const made = await ofPassword(password, salt, PARAMS);
    return { salt, params: PARAMS, login: base64(made.login), wrapped: base64(await keyring.slot(made.kek)) };
  },
  recoverySlot: async ({ code }) => {
    const made = await pair(parseRecoveryCode(code));
    return { login: base64(made.login), wrapped: base64(await keyring.slot(made.kek)) };
  },
  passkeySlot: async ({ prf }) => ({ wrapped: base64(await keyring.slot(await kekOf(new Uint8Array(prf)))) }),
  loginOf: async ({ password, salt, params }) => ({ login: base64((await ofPassword(password, salt, params)).login) }),

  makeKey: async ({ address, years }) => (await keys()).makeKey(keyring, address, years),
  importKey: async ({ armored, passphrase, address }) => (await keys()).importKey(keyring, armored, passphrase, address),
  readCertificate: async ({ armored, address }) => (await keys()).readCertificate(armored, address),
  answerChallenge: async ({ message }) => (await keys()).answerChallenge(keyring, message),
  armoredMessage: async ({ message }) => (await keys()).armoredMessage(message),
  exportKey: async ({ fingerprint, passphrase }) => (await keys()).exportKey(keyring, fingerprint, passphrase),
  openOldKeys: async ({ code, keys: old }) => {
    const { kek } = await pair(parseRecoveryCode(code));
    const made: Made<"openOldKeys"> = [];
    for (const { fingerprint, wrappedSecret, recovery } of old) {
      const ak = await unwrap(kek, fromBase64(recovery.wrapped), accountKey(keyring.account)).catch(() => null);
      if (ak === null) continue;
      const key = await crypto.subtle.importKey("raw", ak, "AES-GCM", false, ["decrypt"]);
      const secret = await unwrap(key, fromBase64(wrappedSecret), secretKey(fingerprint)).catch(() => null);
      if (secret !== null) made.push({ fingerprint, wrappedSecret: await keyring.wrapSecret(fingerprint, secret) });
    }
    return made;
  },

  rewrap: async ({ letters, certificate }) => (await swapping()).rewrap(keyring, letters, certificate),
  takeWaitingKey: async ({ message }) => (await swapping()).takeWaitingKey(keyring, message),
  swap: async ({ letters }) => (await swapping()).swap(keyring, letters),
  dropWaitingKey: async () => (await swapping()).dropWaitingKey(),

  lines: ({ letters }) => lines.lines(keyring, letters),
  known: ({ ids }) => lines.known(keyring, ids),
  remember: ({ name, value }) => lines.remember(keyring, name, value),
  recall: ({ name }) => lines.recall(keyring, name),
  open: async (given) => {
    const made = await (await import("./open.ts")).open(keyring, given);
    if (made.line !== null) await lines.keepLine(keyring, given.id, made.line);
    return made;
  },
  seal: async (given) => (await import("./seal.ts")).seal(keyring, given),

  prepare: async ({ name, data, limit }) => (await import("./files.ts")).prepare(name, data, limit),

  notIndexed: async ({ ids }) => {
    const index = await (await searching()).indexOf(keyring);
    return ids.filter((id) => !index.has(id));
  },
  index: async ({ letters }) => {
    const { addTo, entryOf } = await searching();
    const { open } = await import("./open.ts");
    const entries = [];
    for (const { id, at, letter } of letters) {
      const made = letter === null ? null : await open(keyring, letter);
      if (made?.line) await lines.keepLine(keyring, id, made.line);
      const [kept] = made?.opened ? [] : await lines.lines(keyring, [{ id, summary: null, keyIds: [] }]);
      const line = made?.line ?? kept?.line ?? null;
      const names = line?.parts.map(([name]) => name) ?? [];
      const words = [made?.subject ?? line?.subject ?? "", made?.from?.name ?? line?.from ?? "", made?.text ?? line?.text ?? ""];
      entries.push(entryOf(id, at, [...words, ...names]));
    }
    await addTo(keyring, entries);
    return null;
  },
  record: async (question) => (await recording()).answer(keyring, question),
  agenda: async (question) => (await dating()).answer(keyring, question),
  search: async ({ words, limit }) => (await (await searching()).indexOf(keyring)).find(words, limit),
};
