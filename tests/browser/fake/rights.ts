// Who may, who reads and who writes, without a server: each answer of the contract, and what may be done with it.
import { Refused, type AppPassword, type Blocked, type Exchange, type Leaving, type Listing, type NoticeAddress, type ReadAccount, type RightsWork } from "../../../webmail/ui/src/lib/contract.ts";
import { isFresh, NOW, prove, refuseStale, vouched } from "./account.ts";
import { pause, scene } from "./scene.ts";

const DAY = 86_400_000;
const LATER = Date.now() + 90 * DAY;

let asked = 0; // how often the telephone was asked after
let lastApp = 2;
let passwords: AppPassword[] = [
  { id: "p1", label: "Thunderbird, bureau", protocols: ["imap", "submission"], created: NOW - 60 * DAY, expires: Date.now() + 9 * DAY, lastUsed: NOW - DAY, network: "192.0.2.0/24" },
  { id: "p2", label: "iPhone", protocols: ["imap"], created: NOW - 20 * DAY, expires: LATER, lastUsed: null, network: "" },
];
let accounts: ReadAccount[] = [
  {
    account: "A2", address: "claire.martin@cabinet.vallees.example", kind: "PER", own: true, rights: "", mayShare: true, seenPerPerson: false,
    readers: [
      { person: "A7", address: "secretariat.martin@cabinet.vallees.example", role: "delegate", rights: "lrswip", since: NOW - 30 * DAY, until: null, past: null },
      { person: "A8", address: "paul.remplacant@cabinet.vallees.example", role: "delegate", rights: "lrs", since: NOW - 3 * DAY, until: LATER, past: { left: 120, total: 340 } },
    ],
  },
  {
    account: "A9", address: "cardiologie@hopital.vallees.example", kind: "ORG", own: false, rights: "lrswipkxtea", mayShare: true, seenPerPerson: true,
    readers: [
      { person: "A2", address: "claire.martin@cabinet.vallees.example", role: "member", rights: "lrswipkxtea", since: NOW - 200 * DAY, until: null, past: null },
      { person: "A10", address: "sophie.infirmiere.de.nuit@hopital.vallees.example", role: "member", rights: "lrswipkte", since: NOW - 100 * DAY, until: null, past: { left: 0, total: 80 } },
    ],
  },
];
let exchanges: Exchange[] = scene("ended")
  ? [{ id: "C1", correspondent: "250039935012345@patient.vallees.example", open: false, closedBy: "claire.martin@cabinet.vallees.example", closedAt: NOW - DAY, closedHow: "page" }]
  : [{ id: "C1", correspondent: "250039935012345@patient.vallees.example", open: true, closedBy: null, closedAt: null, closedHow: null }];
let blocks: Blocked[] = scene("empty") ? [] : [{ address: "publicite@labo-nord.vallees.example", kind: "ORG", since: NOW - 12 * DAY }];
let contact = "replies_only";
let leaving: Leaving = { sealedOnly: false, results: "readable" };
let notices: NoticeAddress = { offered: !scene("nonotices"), shown: "", language: "fr", confirmed: false, refused: false };
let listed: Listing[] = [
  {
    account: "A2", address: "claire.martin@cabinet.vallees.example", kind: "PER", own: true, may: ["redList", "rank"], redList: false, rank: 1, description: "", service: "",
    shown: { name: "Dr Claire Martin", profession: "Médecin", speciality: "Médecine générale", organisation: "Cabinet des Vallées", service: "", description: "", rank: 1 },
  },
  {
    account: "A9", address: "cardiologie@hopital.vallees.example", kind: "ORG", own: false, may: ["redList", "rank", "description", "service"], redList: true, rank: 1,
    description: "", service: "Cardiologie", shown: null,
  },
];
const once = new Map(listed.map(({ account, shown }) => [account, shown]));
const copied = new Set<string>(); // accounts whose documents the software gets too

async function answer(): Promise<void> {
  await pause();
  if (scene("offline")) throw new Refused("offline");
}

export const rights: RightsWork = {
  async startCiba(_provider, user) {
    await answer();
    if (user === "inconnu") throw new Refused("no-account-here", { status: 403 });
    return { id: "c1", code: "47-QK", interval: 1, expires: Date.now() + 120_000 };
  },
  async pollCiba() {
    await answer();
    if ((asked += 1) < 2 || scene("slow")) return 1;
    vouched();
    return null;
  },
  async prove(proof) {
    await answer();
    prove("password" in proof ? proof.password : null);
  },
  async proved() {
    await answer();
    return isFresh();
  },
  async appPasswords() {
    await answer();
    return { passwords, allowed: true };
  },
  async makeAppPassword({ label, protocols, days, network }) {
    await answer();
    refuseStale();
    lastApp += 1;
    const expires = Date.now() + days * DAY;
    passwords = [...passwords, { id: `p${lastApp}`, label, protocols, created: NOW, expires, lastUsed: null, network }];
    return { password: "r4vt-k9wm-x2hn-b7qd-s5yc-j8fp-m3z6", expires };
  },
  async revokeAppPassword(id) {
    await answer();
    passwords = passwords.filter((one) => one.id !== id);
  },
  async readers() {
    await answer();
    return accounts;
  },
  async addReader(account, address, given) {
    await answer();
    refuseStale();
    if (address.startsWith("inconnu")) throw new Refused("reader-unknown", { status: 404 });
    const reader = { person: `A${20 + accounts.length}`, address, ...given, since: NOW, past: null };
    accounts = accounts.map((one) => (one.account === account ? { ...one, readers: [...one.readers, reader] } : one));
  },
  async endReader(account, person) {
    await answer();
    accounts = accounts.map((one) => (one.account === account ? { ...one, readers: one.readers.filter((reader) => reader.person !== person) } : one));
  },
  async seenPerPerson(account, seenPerPerson) {
    await answer();
    accounts = accounts.map((one) => (one.account === account ? { ...one, seenPerPerson } : one));
  },
  async givePast(account, person, progress) {
    refuseStale();
    const past = (left: number): void => {
      accounts = accounts.map((one) => (one.account === account ? { ...one, readers: one.readers.map((reader) => (reader.person === person ? { ...reader, past: { left, total: 340 } } : reader)) } : one));
    };
    for (let done = 220; done <= 340; done += 40) {
      progress(done, 340);
      past(340 - done);
      await pause(120);
    }
    await answer();
    return 0;
  },
  async exchanges() {
    await answer();
    return scene("several") ? [] : exchanges;
  },
  async closeExchange() {
    await answer();
    exchanges = exchanges.map((one) => ({ ...one, open: false, closedBy: "claire.martin@cabinet.vallees.example", closedAt: NOW, closedHow: "page" }));
    return exchanges;
  },
  async blocks() {
    await answer();
    return blocks;
  },
  async block(address) {
    await answer();
    blocks = [...blocks, { address, kind: "PER", since: NOW }];
  },
  async unblock(address) {
    await answer();
    blocks = blocks.filter((one) => one.address !== address);
  },
  async contact() {
    await answer();
    return { contact, choices: ["replies_only", "opted_in", "open"] };
  },
  async setContact(next) {
    await answer();
    contact = next;
  },
  async practiceCopy(account) {
    await answer();
    return { software: scene("nosoftware") ? null : "logiciel@cabinet.vallees.example", on: copied.has(account ?? "") };
  },
  async setPracticeCopy(on, account) {
    await answer();
    refuseStale();
    if (on) copied.add(account ?? "");
    else copied.delete(account ?? "");
  },
  async leaving() {
    await answer();
    return leaving;
  },
  async setLeaving(wanted) {
    await answer();
    if (wanted.sealedOnly === false) refuseStale();
    leaving = { ...leaving, ...wanted };
    return leaving;
  },
  async listings() {
    await answer();
    return listed;
  },
  async describe(account, told) {
    await answer();
    if (told.description?.includes("interdit")) throw new Refused("bad-request");
    listed = listed.map((one) => {
      if (one.account !== account) return one;
      const next = { ...one, ...told };
      const shown = { name: "Cardiologie", profession: "", speciality: "", organisation: "Hôpital des Vallées", ...once.get(account), service: next.service, description: next.description, rank: next.rank };
      return { ...next, shown: next.redList ? null : shown };
    });
    return listed.find((one) => one.account === account)!;
  },
  async keyPeriods() {
    await answer();
    const day = 86_400_000;
    const now = Date.now();
    return [
      { fingerprint: "ab".repeat(20), family: "openpgp", since: now - 20 * day, until: null, why: "", ends: now + 700 * day },
      { fingerprint: "5e".repeat(32), family: "x509", since: now - 90 * day, until: null, why: "", ends: null },
      { fingerprint: "cd".repeat(20), family: "openpgp", since: now - 400 * day, until: now - 20 * day, why: "replaced", ends: now + 300 * day },
    ];
  },
  async noticeAddress() {
    await answer();
    return notices;
  },
  async setNoticeAddress(address, language) {
    await answer();
    refuseStale();
    notices = { ...notices, shown: `${address[0]}…@${address.split("@")[1]}`, language, confirmed: false };
    return notices;
  },
  async confirmNoticeAddress(code) {
    await answer();
    if (code !== "123456") throw new Refused("totp-refused");
    notices = { ...notices, confirmed: true };
    return notices;
  },
  async forgetNoticeAddress() {
    await answer();
    notices = { ...notices, shown: "", confirmed: false };
    return notices;
  },
  historyPath: (format, since, until, language) => `/api/access-log.${format}?since=${since}&until=${until}&lang=${language}`,
};
