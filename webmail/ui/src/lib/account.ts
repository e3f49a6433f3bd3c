// Who is here: enrolment, ways in, slots, keys. Between the screens, the server's REST side and the worker; what is
// secret goes to the worker, and what the server may have goes to the server.
import type { PasswordParams, Unlocked, WrappedKey } from "../worker/protocol.ts";
import { api, Listeners, sessionEnded, turn } from "./api.ts";
import { Refused, type AccessEntry, type AccountWork, type Enrolment, type KeyChoice, type Operator, type PageSession, type Session, type Slot } from "./contract.ts";
import { ask } from "./link.ts";
import type { Started } from "./passkeys.ts";

interface WireSlot extends Omit<Slot, "opens"> {
  params: { salt?: string; credentialId?: string; prf?: boolean } & Partial<PasswordParams>;
  wrapped: string | null;
}

export interface WireSession extends Omit<Session, "slots" | "keys" | "unlocked"> {
  shared?: boolean; // on a device of several people
  slots: WireSlot[];
  keys: WrappedKey[];
}

interface Begun {
  account: string;
  address: string;
  kind: "PATIENT" | "PER";
}

interface Challenge {
  challenge: string;
  message: string;
}

interface SentKey extends Record<string, string | null> {
  certificate: string;
  wrappedSecret: string | null;
  challenge: string;
  nonce: string;
}

const LOCKED: Unlocked = { unlocked: false, readable: [] };
const YEARS = { PATIENT: 0, PER: 2 };

const changed = new Listeners<Session | null>();
/** So that one tab's logout empties the others at once, and not at their next request. */
const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("vaguemestre");

let session: WireSession | null = null;
let state: Unlocked = LOCKED;
let left = false; // what this device held is forgotten already
let begun: Begun | null = null;
let login: string | null = null; // the login value of the last password typed: what the server already knows
let operator: Promise<Operator & { gateway?: string }> | null = null;
const passkeys = () => import("./passkeys.ts");

const shaped = (wire: WireSession, { unlocked, readable }: Unlocked): Session => ({
  account: wire.account,
  name: wire.name,
  slots: wire.slots.map(({ id, kind, label, created, lastUsed, wrapped }) => ({ id, kind, label, created, lastUsed, opens: wrapped !== null })),
  keys: wire.keys.map(({ fingerprint, current, wrappedSecret }) => ({
    fingerprint,
    current,
    readable: readable.includes(fingerprint),
    held: wrappedSecret !== null,
  })),
  resealLeft: wire.resealLeft,
  mustRenew: wire.mustRenew,
  totp: wire.totp,
  unlocked,
  provider: wire.provider,
  freshUntil: wire.freshUntil,
});

function now(wire: WireSession, unlocked: Unlocked): Session {
  if (session === null) turn.now++;
  session = wire;
  left = false;
  state = unlocked;
  const made = shaped(wire, unlocked);
  changed.tell(made);
  return made;
}

/** The server's view after a change; the worker learns of new keys. */
export const renewed = async (wire: WireSession): Promise<Session> =>
  now(wire, state.unlocked ? await ask("keys", { keys: wire.keys }) : LOCKED);

/** Once: who logs in again right after must not be forgotten by an answer that says again that nobody is here. */
function gone(): void {
  if (left) return;
  left = true;
  turn.now++;
  login = null;
  state = LOCKED;
  void ask("forget", null).catch(() => undefined);
  if (session === null) return;
  session = null;
  changed.tell(null);
}

sessionEnded.add(gone);
tabs?.addEventListener("message", gone);

function here(): WireSession {
  if (session === null) throw new Refused("no-session");
  return session;
}

/** For letters: who speaks, and what their signatures are checked with. */
export function speaker(): { session: WireSession; unlocked: boolean } {
  return { session: here(), unlocked: state.unlocked };
}

export function operatorKnown(): Promise<Operator & { gateway?: string }> {
  operator ??= api<Operator & { gateway?: string }>("GET", "operator").catch((failure: unknown) => {
    operator = null;
    throw failure;
  });
  return operator;
}

const slotOf = (wire: WireSession, kind: Slot["kind"]): WireSlot | undefined => wire.slots.find((one) => one.kind === kind && one.wrapped !== null);

/** Opens with the pair the worker just derived. */
async function opened(wire: WireSession, slot: WireSlot | undefined, persist: boolean): Promise<Session> {
  if (slot?.wrapped == null) return now(wire, LOCKED);
  return now(wire, await ask("unlock", { account: wire.account.id, wrapped: slot.wrapped, keys: wire.keys, persist }));
}

const paramsOf = ({ params }: WireSlot): { salt: string; params: PasswordParams } => {
  const { salt = "", algorithm = "", memory = 0, passes = 0, lanes = 0 } = params;
  return { salt, params: { algorithm, memory, passes, lanes } };
};

/** What the server knows of a password; null for who has none. */
export async function loginOf(password: string): Promise<string | null> {
  const slot = slotOf(here(), "password");
  return slot === undefined ? null : (await ask("loginOf", { password, ...paramsOf(slot) })).login;
}

// ------------------------------------------------------------------------------------------------------ keys

async function proved(key: { certificate: string; wrappedSecret: string }): Promise<SentKey> {
  const { challenge, message } = await api<Challenge>("POST", "keys/challenge", { certificate: key.certificate });
  return { ...key, challenge, ...(await ask("answerChallenge", { message })) };
}

/** A key that comes with its secret; null for what comes later. */
async function madeKey(choice: KeyChoice, { address, kind }: Begun): Promise<SentKey | null> {
  if (choice.way === "make") return proved(await ask("makeKey", { address, years: YEARS[kind] }));
  if (choice.way !== "import") return null;
  const { armored, passphrase } = choice;
  return proved(await ask("importKey", { armored, passphrase, address }));
}

async function resealed(progress: (done: number, total: number) => void): Promise<void> {
  interface Letters {
    letters: { id: number; keyPackets: string; summaryKeyPackets: string | null }[];
    left: number;
  }
  const { left, total, waitingKey } = await api<{ left: number; total: number; waitingKey: string | null }>("GET", "reseal");
  let remaining = left;
  progress(total - remaining, total);
  if (remaining > 0 && waitingKey !== null) {
    await ask("takeWaitingKey", { message: waitingKey });
    try {
      for (let after = 0; remaining > 0; ) {
        const { letters } = await api<Letters>("GET", `reseal/letters?after=${after}&limit=50`);
        if (letters.length === 0) break;
        after = Math.max(...letters.map((one) => one.id));
        const swapped = await ask("swap", { letters });
        if (swapped.length > 0) remaining = (await api<Letters>("POST", "reseal/letters", { letters: swapped })).left;
        progress(total - remaining, total);
      }
    } finally {
      await ask("dropWaitingKey", null);
    }
  }
  await renewed(await api<WireSession>("GET", "session"));
  if (remaining > 0) throw new Refused("reseal-incomplete");
}

export const account: AccountWork = {
  operator: operatorKnown,

  async resume() {
    let wire: WireSession;
    try {
      wire = await api<WireSession>("GET", "session");
    } catch (failure) {
      if (failure instanceof Refused && failure.detail.status === 401) return null;
      throw failure;
    }
    return now(wire, await ask("unlockDevice", { account: wire.account.id, keys: wire.keys }));
  },

  async startEnrolment(given) {
    interface Answer extends Begun, Omit<Enrolment, "name" | "kind"> {
      givenName: string;
      familyName: string;
    }
    const answer = await api<Answer>("POST", "enrolment/start", given);
    begun = { account: answer.account, address: answer.address, kind: answer.kind };
    const { kind, shown, lost, hasCertificate } = answer;
    return { kind, shown, lost, hasCertificate, name: { given: answer.givenName, family: answer.familyName } };
  },

  newRecoveryCode: () => ask("newRecoveryCode", null),
  recoveryGroups: (code) => code.split("-"),

  async finishEnrolment({ password, recoveryCode, key }, progress) {
    if (begun === null) throw new Refused("no-session");
    progress("password");
    await ask("beginAccount", { account: begun.account });
    const slot = await ask("passwordSlot", { password });
    const recovery = await ask("recoverySlot", { code: recoveryCode });
    progress("key");
    const made = await madeKey(key, begun);
    progress("send");
    const wire = await api<WireSession>("POST", "enrolment/complete", { password: slot, recovery, key: made });
    begun = null;
    login = slot.login;
    return now(wire, await ask("accountMade", { keys: wire.keys, persist: true }));
  },

  reseal: resealed,

  async logIn(user, password, { totp, shared }) {
    const known = await api<{ salt: string; params: PasswordParams }>("POST", "login/parameters", { user });
    const made = await ask("fromPassword", { password, ...known });
    const wire = await api<WireSession>("POST", "login", { user, login: made.login, totp, shared });
    login = made.login;
    return opened(wire, slotOf(wire, "password"), !shared);
  },

  async logInWithPasskey() {
    const started = await api<Started>("POST", "login/passkey/start", {});
    const signed = await (await passkeys()).get(started);
    const wire = await api<WireSession>("POST", "login/passkey", { id: started.id, credential: signed.credential, shared: false });
    return withPasskey(wire, signed, true);
  },

  async logInWithRecovery(user, code, more) {
    const made = await ask("fromRecovery", { code });
    const wire = await api<WireSession>("POST", "login/recovery", { user, login: made.login, totp: more?.totp });
    return opened(wire, slotOf(wire, "recovery"), true);
  },

  async unlock(way) {
    const wire = here();
    if ("passkey" in way) {
      const { options } = await api<Started>("POST", "login/passkey/start", {});
      const ids = wire.slots.flatMap((one) => (one.kind === "passkey" && one.wrapped !== null ? [one.params.credentialId ?? ""] : []));
      return withPasskey(wire, await (await passkeys()).opens(ids, options.rpId), wire.shared === false);
    }
    const slot = slotOf(wire, "password" in way ? "password" : "recovery");
    if (slot === undefined) throw new Refused("unlock-refused");
    const kept = wire.shared === false; // whose device it is was said at the log-in, a provider's too
    if ("recovery" in way) {
      await ask("fromRecovery", { code: way.recovery });
      return opened(wire, slot, kept);
    }
    const made = await ask("fromPassword", { password: way.password, ...paramsOf(slot) });
    const session = await opened(wire, slot, kept);
    login = made.login; // it opened, so it is the right one
    return session;
  },

  async logOut() {
    try {
      await api<null>("POST", "logout", {});
    } finally {
      tabs?.postMessage("out");
      gone();
    }
  },

  async changePassword(current, next) {
    const told = current === null ? null : await loginOf(current);
    const password = await ask("passwordSlot", { password: next });
    const wire = await api<WireSession>("PUT", "password", { current: told, password });
    login = password.login;
    await renewed(wire);
  },

  async replaceRecovery(code) {
    const current = here().mustRenew ? null : login;
    await renewed(await api<WireSession>("PUT", "recovery", { current, ...(await ask("recoverySlot", { code })) }));
  },

  async openOldKey(code) {
    interface Old {
      keys: { fingerprint: string; wrappedSecret: string; recovery: { wrapped: string } }[];
    }
    const { keys } = await api<Old>("GET", "keys/old");
    const found = await ask("openOldKeys", { code, keys });
    if (found.length === 0) throw new Refused("old-sheet-refused");
    for (const { fingerprint, wrappedSecret } of found) {
      await renewed(await api<WireSession>("PUT", `keys/${fingerprint}`, { wrappedSecret }));
    }
    return found.length;
  },

  // Asked by the first screen already: not worth the chunk that does the rest.
  async passkeysPossible() {
    const found = globalThis.PublicKeyCredential as typeof PublicKeyCredential | undefined;
    return (await found?.isUserVerifyingPlatformAuthenticatorAvailable?.().catch(() => false)) ?? false;
  },

  async addPasskey(label) {
    const started = await api<Started>("POST", "passkeys/start", {});
    const { credential, prf } = await (await passkeys()).create(started);
    const wrapped = prf === null ? null : (await ask("passkeySlot", { prf }, [prf])).wrapped;
    await renewed(await api<WireSession>("POST", "passkeys", { id: started.id, credential, label, wrapped }));
    return { opens: wrapped !== null };
  },

  removeSlot: async (id) => void (await renewed(await api<WireSession>("DELETE", `slots/${encodeURIComponent(id)}`))),
  startTotp: () => api("POST", "totp/start", {}),
  confirmTotp: async (code) => void (await renewed(await api<WireSession>("POST", "totp", { code }))),
  stopTotp: async (code) => void (await renewed(await api<WireSession>("DELETE", "totp", { code }))),
  sessions: async () => (await api<{ sessions: PageSession[] }>("GET", "sessions")).sessions,
  endSession: (id) => api("DELETE", `sessions/${encodeURIComponent(id)}`),
  endOtherSessions: () => api("DELETE", "sessions"),

  async setKey(choice) {
    const wire = here();
    const about = { account: wire.account.id, address: wire.account.address, kind: wire.account.kind };
    if (choice.way === "certificate") {
      const { certificate } = await ask("readCertificate", { armored: choice.armored, address: about.address });
      const { challenge, message } = await api<Challenge>("POST", "keys/challenge", { certificate });
      const answer = async (nonce: string): Promise<void> => {
        const sent = { certificate, wrappedSecret: null, challenge, nonce: nonce.replace(/\s/g, "").toLowerCase() };
        await renewed(await api<WireSession>("PUT", "key", sent));
      };
      return { message: (await ask("armoredMessage", { message })).armored, answer };
    }
    try {
      const key = await madeKey(choice, about);
      if (key !== null) await renewed(await api<WireSession>("PUT", "key", key));
    } catch (failure) {
      await ask("keys", { keys: wire.keys }); // the worker forgets the key that did not come to be
      throw failure;
    }
    return null;
  },

  async exportKey(passphrase) {
    const { fingerprint } = here().keys.find((one) => one.current) ?? {};
    if (fingerprint === undefined) throw new Refused("locked");
    return (await ask("exportKey", { fingerprint, passphrase })).armored;
  },

  async accessLog(before) {
    const { jmap, ACCESS_LOG } = await import("./jmap.ts");
    interface Page {
      list: AccessEntry[];
      more: boolean;
      next?: number | null;
    }
    let from = before;
    for (let turn = 0; ; turn++) {
      const given = { accountId: here().account.id, before: from, limit: 50 };
      const page = (await jmap([["AccessLog/get", given, "l"]], [ACCESS_LOG])).get("l") as unknown as Page;
      if (page.list.length > 0 || !page.more || page.next == null || turn > 20) return { entries: page.list, more: page.more };
      from = page.next; // a page may be empty while there is more
    }
  },

  onChange: changed.add,
};

async function withPasskey(wire: WireSession, { credentialId, prf }: { credentialId: string; prf: ArrayBuffer | null }, persist: boolean): Promise<Session> {
  const slot = wire.slots.find((one) => one.kind === "passkey" && one.params.credentialId === credentialId);
  if (prf === null || slot?.wrapped == null) {
    if (!persist) throw new Refused("passkey-locked");
    return now(wire, LOCKED);
  }
  await ask("fromPasskey", { prf }, [prf]);
  return opened(wire, slot, persist);
}
