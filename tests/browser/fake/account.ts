// An account without a server or a key: the screens' tests and their writers see each state at once.
// Password "mot de passe du test", TOTP "123456", code ABCD-EFGH-JKMC, birth date 1950-03-12, last five 12345.
import { Refused, type AccessEntry, type AccountWork, type Enrolment, type KeyChoice, type Provider, type Session, type Slot } from "../../../webmail/ui/src/lib/contract.ts";
import { forget, pause, remember, scene } from "./scene.ts";

const DAY = 86_400_000;
// Invented people, always the same day, so that two screenshots are the same.
export const NOW = Date.UTC(2026, 10, 20, 14, 5);
const PASSWORD = "mot de passe du test";

const listeners = new Set<(session: Session | null) => void>();
let session: Session | null = scene("out") ? null : start();

function start(): Session {
  const professional = scene("per") || scene("nokey");
  const recovery: Slot = { id: "s2", kind: "recovery", label: "", created: NOW - 230 * DAY, lastUsed: null, opens: true };
  return {
    account: professional
      ? { id: "A2", address: "claire.martin@cabinet.vallees.example", shown: "claire.martin@cabinet.vallees.example", kind: "PER" }
      : { id: "A1", address: "p-7f3k2m@patient.vallees.example", shown: "250039935012345@patient.vallees.example", kind: "PATIENT" },
    name: professional ? { given: "Claire", family: "Martin" } : { given: "Jeanne", family: "Morvan" },
    slots: [
      { id: "s1", kind: "password", label: "", created: NOW - 230 * DAY, lastUsed: NOW - DAY, opens: true },
      ...(professional ? [recovery] : [recovery, { id: "s3", kind: "passkey" as const, label: "Téléphone de Jeanne", created: NOW - 40 * DAY, lastUsed: NOW, opens: true }]),
    ],
    keys: [
      { fingerprint: "8F2A11D07C3E49B6A5D0E1F2938475665F6E7D8C", current: true, readable: !scene("nokey"), held: !scene("nokey") },
      ...(scene("nokey") ? [] : [{ fingerprint: "1B7D9C20AA5577E0C4D2B6A8F09E8D7C6B5A4938", current: false, readable: false, held: false }]),
    ],
    resealLeft: scene("reseal") ? 120 : 0,
    mustRenew: scene("renew"),
    totp: professional,
    unlocked: !scene("locked"),
  };
}

/** Somebody came in by an identity provider: letters are closed. */
export function vouched(): void {
  forget("out");
  remember("locked");
  become({ ...start(), provider: "psc" });
}

/** In the scene "stepup" the server wants a fresh proof, once. */
let fresh = !scene("stepup");
export function refuseStale(): void {
  if (!fresh) throw new Refused("step-up-needed", { status: 403 });
}
export function prove(password: string | null): void {
  if (password !== null && password !== PASSWORD) throw new Refused("login-refused", { status: 401 });
  fresh = true;
}
export const isFresh = (): boolean => fresh;

function become(next: Session | null): void {
  session = next;
  for (const listener of listeners) listener(next);
}

function update(change: Partial<Session>): Session {
  const next = { ...(session ?? start()), ...change };
  become(next);
  return next;
}

async function answer(): Promise<void> {
  await pause();
  if (scene("offline")) throw new Refused("offline");
}

function refuseWrong(password: string): void {
  if (password !== PASSWORD) throw new Refused("login-refused", { status: 401, reference: "R-7QK2" });
}

const PROVIDERS: Provider[] = [
  { name: "psc", label: "Pro Santé Connect", people: "professional", ciba: true },
  { name: "cv", label: "l’appli carte Vitale", people: "patient", ciba: false },
];
const CODE = /^ABCDEFGHJKMC$/;
let enrolling: Enrolment | null = null;
let sessions = [
  { id: "n1", label: "Firefox, Android", created: NOW - 3 * DAY, lastSeen: NOW, network: "203.0.113.0/24", current: true },
  { id: "n2", label: "Chromium, Linux", created: NOW - 30 * DAY, lastSeen: NOW - 9 * DAY, network: "198.51.100.0/24", current: false },
];

const LOG: AccessEntry[] = (
  [
    ["login", "done", "you", "", "Firefox, Android"],
    ["letter-read", "done", "you", "", ""],
    ["letter-arrived", "done", "correspondent", "chu.rennes@hopital.vallees.example", ""],
    ["login-failed", "login-refused", "unknown", "", ""],
    ["reseal", "done", "you", "", ""],
    ["reseal", "done", "you", "", ""],
    ["operator-key-destroyed", "done", "operator", "", ""],
    ["passkey-add", "done", "you", "", "Téléphone de Jeanne"],
    ["something-new", "done", "operator", "", ""],
    ["activate", "done", "you", "", ""],
  ] as const
).map(([action, outcome, who, address, label], i) => ({ seq: 900 - i, at: NOW - i * 5 * 3_600_000, action, outcome, who, address, network: who === "operator" ? "" : "203.0.113.0/24", label }));

let sheets = 0;
export const account: AccountWork = {
  async operator() {
    await answer();
    return { operator: "GRADES des Trois Vallées", contact: "04 00 00 00 00", limits: { attachment: 10_000_000, message: 15_000_000, attachments: 10 }, undoSeconds: 15, providers: scene("providers") ? PROVIDERS : [] };
  },
  async resume() {
    await answer();
    return session;
  },
  async startEnrolment(given) {
    await answer();
    const code = given.code.toUpperCase().replace(/[\s-]/g, "");
    if (code === "MMMMMMMMMMM8") throw new Refused("code-dead", { status: 410 });
    if (!CODE.test(code)) throw new Refused("code-refused", { status: 403 });
    const professional = Boolean(given.address);
    if (!professional && (given.birthDate !== "1950-03-12" || given.lastFive !== "12345")) throw new Refused("code-refused", { status: 403, triesLeft: 4 });
    enrolling = professional
      ? { kind: "PER", shown: given.address ?? "", name: { given: "Claire", family: "Martin" }, lost: false, hasCertificate: scene("nokey") }
      : { kind: "PATIENT", shown: "250039935012345@patient.vallees.example", name: { given: "Jeanne", family: "Morvan" }, lost: scene("lost"), hasCertificate: false };
    return enrolling;
  },
  async newRecoveryCode() {
    await pause();
    return (sheets += 1) === 1 ? "K3F7-9QXM-2TBW-8HRN-5VCD-J6YPM" : "9QXM-K3F7-2TBW-8HRN-5VCD-J6YPM"; // each is another
  },
  recoveryGroups: (code) => code.split("-"),
  async finishEnrolment(_choice, progress) {
    for (const step of ["password", "key", "send"] as const) {
      progress(step);
      await pause(250);
    }
    await answer();
    if (enrolling?.kind === "PER") remember("per");
    forget("out");
    become({ ...start(), totp: false, resealLeft: 120 });
    return session ?? start();
  },
  async reseal(progress) {
    const total = session?.resealLeft ?? 0;
    for (let done = 0; done <= total; done += 20) {
      progress(Math.min(done, total), total);
      await pause(120);
    }
    await answer();
    update({ resealLeft: 0 });
  },
  async logIn(_user, password, more) {
    await answer();
    if (password === "trop") throw new Refused("too-many", { status: 429, retryAfter: 60 });
    refuseWrong(password);
    if (scene("per") && more.totp === undefined) throw new Refused("totp-needed", { status: 401 });
    if (scene("per") && more.totp !== "123456") throw new Refused("totp-refused", { status: 401 });
    forget("out");
    forget("locked");
    return update(start());
  },
  async logInWithPasskey() {
    await answer();
    forget("out");
    return update(start());
  },
  async logInWithRecovery(_user, code) {
    await answer();
    if (!code.toUpperCase().startsWith("K3F7")) throw new Refused("login-refused", { status: 401 });
    forget("out");
    remember("renew");
    return update(start());
  },
  async unlock(way) {
    await answer();
    if ("password" in way) refuseWrong(way.password);
    if ("recovery" in way && !way.recovery.toUpperCase().startsWith("K3F7")) throw new Refused("recovery-refused");
    forget("locked");
    return update({ unlocked: true });
  },
  async logOut() {
    await pause();
    remember("out");
    become(null);
  },
  async changePassword(current, _next) {
    await answer();
    if (current !== null && current !== PASSWORD) throw new Refused("password-refused", { status: 403 });
  },
  async replaceRecovery(_code) {
    await answer();
    forget("renew");
    update({ mustRenew: false });
  },
  async openOldKey(code) {
    await answer();
    if (!code.toUpperCase().startsWith("K3F7")) throw new Refused("recovery-refused");
    return 2;
  },
  async passkeysPossible() {
    return !scene("nopasskey");
  },
  async addPasskey(label) {
    await answer();
    refuseStale();
    const slots = session?.slots ?? [];
    update({ slots: [...slots, { id: `s${slots.length + 1}`, kind: "passkey", label, created: NOW, lastUsed: null, opens: true }] });
    return { opens: true };
  },
  async removeSlot(id) {
    await answer();
    update({ slots: (session?.slots ?? []).filter((slot) => slot.id !== id) });
  },
  async startTotp() {
    await answer();
    return { secret: "JBSWY3DPEHPK3PXP", uri: "otpauth://totp/Vaguemestre:claire.martin?secret=JBSWY3DPEHPK3PXP&issuer=Vaguemestre" };
  },
  async confirmTotp(code) {
    await answer();
    if (code !== "123456") throw new Refused("totp-refused", { status: 403 });
    update({ totp: true });
  },
  async stopTotp(code) {
    await answer();
    if (code !== "123456") throw new Refused("totp-refused", { status: 403 });
    if (session?.account.kind === "PER") throw new Refused("totp-required", { status: 403 });
    update({ totp: false });
  },
  async sessions() {
    await answer();
    return sessions;
  },
  async endSession(id) {
    await answer();
    sessions = sessions.filter((one) => one.id !== id);
  },
  async endOtherSessions() {
    await answer();
    sessions = sessions.filter((one) => one.current);
  },
  async setKey(choice: KeyChoice) {
    await answer();
    if (choice.way !== "certificate") {
      update({ keys: [{ fingerprint: "0C9D8E7F60718293A4B5C6D7E8F9012345678ABC", current: true, readable: true, held: true }] });
      return null;
    }
    if (!choice.armored.includes("BEGIN PGP PUBLIC KEY")) throw new Refused("key-refused");
    return {
      message: "-----BEGIN PGP MESSAGE-----\n\nwV4DinventedForTheTestsOnly\n=Zg1p\n-----END PGP MESSAGE-----\n",
      async answer(nonce: string) {
        await answer();
        if (!/^[0-9a-f]{64}$/i.test(nonce.trim())) throw new Refused("challenge-refused");
      },
    };
  },
  async exportKey(_passphrase) {
    await answer();
    return "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\ninvented\n-----END PGP PRIVATE KEY BLOCK-----\n";
  },
  async accessLog(before) {
    await answer();
    const rest = LOG.filter((entry) => before === null || entry.seq < before);
    return { entries: rest.slice(0, 7), more: rest.length > 7 };
  },
  onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
