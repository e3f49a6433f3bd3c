// Letters for the screens: lists, conversations, and what is done to them. What opens them is the worker's; writing,
// search and files come in chunks of their own when first used.
import type { OpenedLetter } from "../worker/protocol.ts";
import { account, operatorKnown, speaker } from "./account.ts";
import { api, Listeners, offline } from "./api.ts";
import { Refused, type Addressee, type Away, type Correspondent, type Letter, type LetterLine, type MailboxRole, type MailWork, type Person } from "./contract.ts";
import { download, from, jmap, refusedBy, watch, type Arguments, type Call } from "./jmap.ts";
import { ask } from "./link.ts";
import { accountId, boxes, enter, forgetBoxes, isOthers } from "./mail_boxes.ts";
import { awayOf, fateOf, forgetFates, learnFates } from "./mail_fate.ts";
import { letterLine, OWN, properties, sealedLine, shownSubject, type WireEmail, type WireMailbox } from "./mail_wire.ts";

interface Certified extends Partial<Addressee> {
  address: string;
  certificates?: string[];
  error?: string;
}

const KEPT = 24; // opened letters in memory
const NAMES = 1_000; // people remembered by name
const AHEAD = 1_000_000; // octets: letters without a summary up to this size are opened for their line

const changed = new Listeners<null>();
export const emails = new Map<string, WireEmail>();
const letters = new Map<string, Letter>();
const names = new Map<string, string>();
const certificates = new Map<string, Promise<Certified>>();
let mailboxes: Map<string, string> | null = null; // role → id
let namesRead: Promise<void> | null = null;
let watched: { account: string; stop: () => void } | null = null;

export { accountId } from "./mail_boxes.ts";

let person: string | null = null;
account.onChange((session) => {
  if (session !== null && session.account.id === person) return;
  person = session?.account.id ?? null;
  if (session === null) forgetBoxes();
  leave();
  namesRead = null;
  forgetFates();
  for (const held of [emails, letters, names, certificates]) held.clear();
});

/** What was known of one letterbox is not known of the next. */
function leave(): void {
  watched?.stop();
  watched = null;
  mailboxes = null;
}

/** What this device remembers, for each letterbox apart. */
const memo = (name: string): string => (isOthers() ? `${name}:${accountId()}` : name);

export function watching(): void {
  if (watched !== null || typeof EventSource === "undefined") return;
  const id = accountId();
  watched = { account: id, stop: watch(id, () => changed.tell(null)) };
}

// -------------------------------------------------------------------------------------------------- mailboxes

const MAILBOXES = (): Call => ["Mailbox/get", { accountId: accountId(), ids: null, properties: ["id", "role", "totalEmails", "unreadEmails"] }, "m"];

async function mailboxId(role: string): Promise<string> {
  if (mailboxes === null) {
    const stored = await ask("recall", { name: memo("mailboxes") }).catch(() => null);
    if (stored === null) await knowMailboxes((await jmap([MAILBOXES()])).get("m"));
    else mailboxes = new Map(JSON.parse(stored) as [string, string][]);
  }
  const found = mailboxes!.get(role);
  if (found === undefined) throw new Refused("no-such-mailbox");
  return found;
}

async function knowMailboxes(answer: Arguments | undefined): Promise<WireMailbox[]> {
  const list = (answer?.["list"] ?? []) as WireMailbox[];
  const found = list.flatMap((one): [string, string][] => (one.role === null ? [] : [[one.role, one.id]]));
  const before = mailboxes === null ? "" : JSON.stringify([...mailboxes]);
  mailboxes = new Map(found);
  const after = JSON.stringify(found);
  if (after !== before && speaker().unlocked) await ask("remember", { name: memo("mailboxes"), value: after });
  return list;
}

// ------------------------------------------------------------------------------------------------------ lists

async function list(role: MailboxRole, position: number, limit: number): Promise<{ lines: LetterLine[]; total: number; unread: number }> {
  watching();
  const inMailbox = await mailboxId(role);
  const id = accountId();
  // A device that kept lines from before needs no summaries but of what is new.
  const cold = !speaker().unlocked || (await ask("recall", { name: memo("warm") })) === null;
  const query = { accountId: id, filter: { inMailbox, ...(role === "archive" ? { notKeyword: OWN } : {}) }, sort: [{ property: "receivedAt", isAscending: false }], position, limit, calculateTotal: true };
  const made = await jmap([
    ["Email/query", query, "q"],
    ["Email/get", { accountId: id, "#ids": from("q", "Email/query", "/ids"), properties: properties(cold) }, "g"],
    MAILBOXES(),
  ]);
  const boxes = await knowMailboxes(made.get("m"));
  if (mailboxes!.get(role) !== inMailbox) return list(role, position, limit); // restored from a backup meanwhile
  const order = (made.get("q")?.["ids"] ?? []) as string[];
  const found = new Map(((made.get("g")?.["list"] ?? []) as WireEmail[]).map((one) => [one.id, one]));
  const wires = order.flatMap((one) => found.get(one) ?? []);
  const lines = await linesOf(wires, cold);
  if (cold && speaker().unlocked) await ask("remember", { name: memo("warm"), value: "1" });
  if (role === "sent") lookBack(lines, true);
  const box = boxes.find((one) => one.id === inMailbox);
  return { lines, total: (made.get("q")?.["total"] as number | undefined) ?? box?.totalEmails ?? lines.length, unread: box?.unreadEmails ?? 0 };
}

/** Lines of these letters, in their order. Summaries that are missing on this device are fetched. */
export async function linesOf(wires: WireEmail[], complete: boolean): Promise<LetterLine[]> {
  for (const one of wires) emails.set(one.id, { ...emails.get(one.id), ...one });
  const { unlocked } = speaker();
  if (!unlocked) return wires.map((one) => letterLine(one, undefined, false));
  const sealed = wires.filter((one) => one.keyIds.length > 0);
  if (!complete) await fetchSummaries(sealed);
  const opened = new Map((await ask("lines", { letters: sealed.map(sealedLine) })).map((one) => [one.id, one]));
  const lines = wires.map((one) => letterLine(one, opened.get(one.id), true));
  await learn(lines.map((one) => one.from));
  void openAhead(wires.filter((one) => one.keyIds.length > 0 && opened.get(one.id)?.line == null && !opened.get(one.id)?.locked));
  return lines.map(called);
}

/** How people are called, kept on this device as lines are: a letter that was sent has but an address. */
async function learn(people: Person[]): Promise<void> {
  namesRead ??= ask("recall", { name: "names" }).then((kept) => {
    for (const [address, name] of JSON.parse(kept ?? "[]") as [string, string][]) if (!names.has(address)) names.set(address, name);
  });
  await namesRead.catch(() => undefined);
  const fresh = people.filter(({ name, address }) => name !== "" && !name.includes("@") && names.get(address.toLowerCase()) !== name);
  if (fresh.length === 0) return;
  for (const { name, address } of fresh) names.set(address.toLowerCase(), name);
  await ask("remember", { name: "names", value: JSON.stringify([...names].slice(-NAMES)) });
}

const named = (one: Person): Person => (one.name === "" ? { ...one, name: names.get(one.address.toLowerCase()) ?? "" } : one);
/** A copy of one's own is sealed; what left readable for anybody is not called so. */
const left = (away: Away[] | undefined): Pick<LetterLine, "away"> & { guard?: "gate" } =>
  away === undefined ? {} : { away, ...(away.some(({ leaves, delivered }) => leaves === "gate" && delivered !== "no") ? { guard: "gate" } : {}) };

const called = <T extends LetterLine>(line: T): T => ({
  ...line, from: named(line.from), to: line.to.map(named), ...(line.replyTo ? { replyTo: named(line.replyTo) } : {}), ...(fateOf(line.id) ? { refused: fateOf(line.id)! } : {}), ...left(awayOf(line.id)),
});

/** Behind what is shown: were any of these refused after they were sent? */
function lookBack(lines: LetterLine[], sent: boolean): void {
  const { shown, address } = speaker().session.account;
  const own = lines.filter((one) => sent || [shown, address].includes(one.from.address)).map((one) => one.id);
  if (own.length > 0) void learnFates(accountId(), own).then((refused) => refused && changed.tell(null), () => undefined);
}

async function fetchSummaries(wires: WireEmail[]): Promise<void> {
  const known = new Set(await ask("known", { ids: wires.map((one) => one.id) }));
  const missing = wires.filter((one) => !known.has(one.id) && one.sealedSummary === undefined);
  if (missing.length === 0) return;
  const ids = missing.map((one) => one.id);
  const made = await jmap([["Email/get", { accountId: accountId(), ids, properties: ["id", "sealedSummary"] }, "g"]]);
  const found = new Map(((made.get("g")?.["list"] ?? []) as WireEmail[]).map((one) => [one.id, one.sealedSummary ?? null]));
  for (const one of missing) one.sealedSummary = found.get(one.id) ?? null;
}

let ahead: Promise<void> = Promise.resolve();
const tried = new Set<string>();

/** Letters sealed by their sender come without a summary: they are opened behind the list, one after another. */
function openAhead(wires: WireEmail[]): Promise<void> {
  const small = wires.filter((one) => one.size <= AHEAD && !one.receiptRequested && !tried.has(one.id));
  if (small.length === 0) return ahead;
  for (const one of small) tried.add(one.id);
  ahead = ahead.then(async () => {
    let any = false;
    for (const one of small) any = (await opened(one).then((letter) => letter.opened, () => false)) || any;
    if (any) changed.tell(null);
  });
  return ahead;
}

// ---------------------------------------------------------------------------------------------------- letters

export async function authorsOf(address: string): Promise<string[]> {
  const { session } = speaker();
  const own = [session.account.address, session.account.shown].some((one) => one.toLowerCase() === address.toLowerCase());
  if (own) return session.keys.map((one) => one.certificate);
  return (await certified([address]).catch(() => []))[0]?.certificates ?? [];
}

/** What the server says of who is written to, asked once a visit for each address. */
export async function certified(addresses: string[], fresh = false): Promise<Certified[]> {
  const wanted = [...new Set(addresses.map((one) => one.trim()))];
  const missing = wanted.filter((one) => fresh || !certificates.has(one.toLowerCase()));
  if (missing.length > 0) {
    const asked = api<{ addressees: Certified[] }>("POST", "certificates", { addresses: missing });
    missing.forEach((address, at) => {
      const one = asked.then(({ addressees }) => addressees[at] ?? { address, error: "unknown-recipient" });
      certificates.set(address.toLowerCase(), one);
      one.catch(() => certificates.delete(address.toLowerCase()));
    });
  }
  return Promise.all(wanted.map((one) => certificates.get(one.toLowerCase())!));
}

export async function toOpen(email: WireEmail): Promise<{ id: string; data: ArrayBuffer; authors: string[]; gateway: string }> {
  const [data, authors, gateway] = await Promise.all([
    download(accountId(), email.blobId),
    authorsOf(email.from?.[0]?.email ?? ""),
    operatorKnown().then((one) => one.gateway ?? "", () => ""),
  ]);
  return { id: email.id, data, authors, gateway };
}

async function opened(email: WireEmail): Promise<Letter> {
  const kept = letters.get(email.id);
  const line = letterLine(email, undefined, speaker().unlocked);
  if (kept !== undefined) return { ...kept, unread: line.unread, answered: line.answered };
  if (!speaker().unlocked && email.keyIds.length > 0) return closed(line, true);
  // To fetch its body is to open it: until then it is what the list knows of it.
  if (email.receiptRequested) return closed((await linesOf([email], false))[0] ?? line, false);
  const given = await toOpen(email);
  const made = await ask("open", given, [given.data]);
  if (!made.opened) return closed(line, made.locked);
  const letter = shown(line, made, email);
  letters.set(email.id, letter);
  for (const old of letters.keys()) if (letters.size > KEPT) letters.delete(old);
  return letter;
}

const closed = (line: LetterLine, locked: boolean): Letter => ({
  ...line, locked, text: "", html: null, parts: [], signature: "unknown", closes: false, opened: false,
});

function shown(line: LetterLine, made: OpenedLetter, { closesExchange, answer, closedBy }: WireEmail): Letter {
  const parts = made.parts.map(({ data, ...about }) => ({ ...about, blob: async () => new Blob([data], { type: about.type }) }));
  return {
    ...line,
    from: made.from ?? line.from,
    subject: shownSubject(made.subject),
    preview: made.line?.text ?? "",
    attachments: made.line?.parts.map(([name, type]) => ({ name, type })) ?? [],
    locked: false,
    text: made.text,
    html: made.html,
    parts,
    signature: made.signature,
    closes: closesExchange || made.closes,
    noAnswer: made.noAnswer,
    answer,
    closedBy,
    opened: true,
  };
}

async function conversation(threadId: string): Promise<Letter[]> {
  watching();
  const id = accountId();
  const made = await jmap([
    ["Thread/get", { accountId: id, ids: [threadId] }, "t"],
    ["Email/get", { accountId: id, "#ids": from("t", "Thread/get", "/list/*/emailIds"), properties: [...properties(false), "answer", "closedBy"] }, "g"],
  ]);
  const wires = ((made.get("g")?.["list"] ?? []) as WireEmail[]).sort((a, b) => Date.parse(a.receivedAt) - Date.parse(b.receivedAt));
  if (wires.length === 0) throw new Refused("no-such-letter");
  for (const one of wires) emails.set(one.id, { ...emails.get(one.id), ...one });
  const found = await Promise.all(wires.map(opened));
  if (speaker().unlocked) await learn(found.map((one) => one.from));
  lookBack(found, false);
  return found.map(called);
}

// ---------------------------------------------------------------------------------------------------- changes

/** Changes letters; what could not be changed is raised, after the rest was done. */
export async function set(given: { update?: Record<string, Arguments>; destroy?: string[] }, id = accountId()): Promise<void> {
  const answer = (await jmap([["Email/set", { accountId: id, ...given }, "s"]])).get("s")!;
  const failed = { ...(answer["notUpdated"] as object | null), ...(answer["notDestroyed"] as object | null) };
  changed.tell(null);
  const [failure] = Object.values(failed) as Arguments[];
  if (failure !== undefined && failure["type"] !== "notFound") throw refusedBy(failure);
}

async function markRead(ids: string[], read: boolean): Promise<void> {
  if (ids.length === 0) return;
  for (const id of ids) {
    const email = emails.get(id);
    if (email !== undefined) email.keywords = { ...email.keywords, $seen: read };
  }
  await set({ update: Object.fromEntries(ids.map((id) => [id, { "keywords/$seen": read ? true : null }])) });
}

async function move(ids: string[], to: MailboxRole): Promise<void> {
  if (ids.length === 0) return;
  const into = await mailboxId(to);
  const gone = to === "trash" ? ids.filter((id) => emails.get(id)?.mailboxIds[into] === true) : [];
  const moved = ids.filter((id) => !gone.includes(id));
  await set({
    ...(moved.length > 0 ? { update: Object.fromEntries(moved.map((id) => [id, { mailboxIds: { [into]: true } }])) } : {}),
    ...(gone.length > 0 ? { destroy: gone } : {}),
  });
  for (const id of moved) {
    const email = emails.get(id);
    if (email !== undefined) email.mailboxIds = { [into]: true };
  }
}

export const sentMailbox = (): Promise<string> => mailboxId("sent");
export const announce = (): void => changed.tell(null);
const sending = () => import("./mail_send.ts");
const searching = () => import("./mail_search.ts");
let progress: () => { done: number; total: number } = () => ({ done: 0, total: 0 });

export const mail: MailWork = {
  boxes,
  box: accountId,
  enter(id) {
    if (id === accountId()) return;
    enter(id);
    leave();
    changed.tell(null);
  },

  list,
  conversation,
  markRead,
  move,

  async openWithReceipt(id) {
    await api("POST", "receipts", { account: accountId(), email: id });
    changed.tell(null);
  },

  async correspondents() {
    const { correspondents } = await api<{ correspondents: { address: string; open: boolean; lastAt: number; closedThreads?: string[]; pharmacy?: boolean }[] }>("GET", "correspondents");
    return correspondents.map(({ address, open, lastAt, closedThreads = [], pharmacy }): Correspondent => ({
      person: { name: names.get(address.toLowerCase()) ?? "", address }, open, lastAt, closedThreads, pharmacy,
    }));
  },

  async check(addresses) {
    const found = await certified(addresses, true);
    for (const { error, address, suggestions = [] } of found) if (error !== undefined) throw new Refused(error, { near: { address, suggestions } });
    return found.map(({ address, guard, patient = false, suggestions }) => ({ address, guard: guard ?? "sealed", patient, suggestions }));
  },

  async prepare(file) {
    const { limits } = await operatorKnown();
    const data = await file.arrayBuffer();
    const made = await ask("prepare", { name: file.name, data, limit: limits.attachment }, [data]);
    return new File([made.data], made.name, { type: made.type });
  },

  send: async (draft) => (await sending()).sendDraft(draft),
  askAgain: async (locked) => (await sending()).askAgain(locked),

  async search(words) {
    const found = await searching();
    progress = found.indexing;
    return found.search(words);
  },
  indexing: () => progress(),

  onChange: (listener) => changed.add(() => listener()),
  onOffline: offline.add,
};
