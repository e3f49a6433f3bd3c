// The items that letters carry (documents, appointments, entries, decisions), from the index on this device: the record
// and the agenda are drawn from it. Read once from every letter's sealed summary, then kept up by what changed.
//
// Invariants: letters with items come first, so that screens show what there is while the rest is looked through; a letter
// without a summary is opened behind; nothing is opened whose sender would be told; one's own letters only, never a box
// that one reads for others; what was written is in the index before `keepOwn` answers.
import type { FoundItem, LetterFacts, Whose } from "../worker/record/protocol.ts";
import type { Item, Manifest } from "../worker/record/manifest_model.ts";
import { account, operatorKnown, speaker } from "./account.ts";
import { Listeners } from "./api.ts";
import { Refused, type MailboxRole } from "./contract.ts";
import { download, jmap, refusedBy, upload, type Arguments } from "./jmap.ts";
import { ask } from "./link.ts";
import { authorsOf, emails, mail, watching } from "./mail.ts";
import { OWN, properties, type WireEmail } from "./mail_wire.ts";
import { askRecord } from "./record_link.ts";

export type { FoundItem, Item, Manifest };

type Progress = (done: number, total: number) => void;

const IDS = 500; // listed at once
const PAGE = 50; // summaries at once
const CHANGES = 500;
const WIRE = [...properties(true), "coarseClass"];
const BESIDE = 3; // letters opened at once

const changed = new Listeners<null>();
export const onItems = (listener: () => void): (() => void) => changed.add(() => listener());
export const itemsChanged = (): void => changed.tell(null);

/** One's own account, whatever box is looked at. */
export const ownId = (): string => speaker().session.account.id;

let person: string | null = null;
let running: Promise<void> | null = null;
let stale = true; // letters may have come since
let classes = true; // the server knows the classes of letters
let progress: { done: number; total: number } = { done: 0, total: 0 };
const followed = new Set<Progress>();

account.onChange((session) => {
  stale = true; // another key may open what was locked
  if (session !== null && session.account.id === person && session.unlocked) return;
  person = null;
  running = null;
});
mail.onChange(() => {
  stale = true;
  if (person !== null && running === null) void itemsReady().catch(() => undefined);
});

/** Reads what this device has not read yet. What was found so far can be asked for meanwhile. */
export async function itemsReady(told: Progress = () => undefined): Promise<void> {
  const { unlocked } = speaker();
  if (!unlocked) throw new Refused("locked");
  person = ownId();
  if (running === null && !stale) return told(progress.total, progress.total);
  watching();
  followed.add(told);
  if (running !== null) told(progress.done, progress.total);
  const mine = (running ??= whileStale());
  try {
    await mine;
  } finally {
    followed.delete(told);
    if (running === mine) running = null;
  }
}

async function whileStale(): Promise<void> {
  while (stale) {
    stale = false;
    try {
      await sync();
    } catch (failure) {
      stale = true;
      throw failure;
    }
  }
}

function step(done: number, total: number): void {
  progress = { done, total };
  for (const told of [...followed]) told(done, total);
}

export const items = (kinds: readonly string[]): Promise<FoundItem[]> => askRecord("items", { kinds: [...kinds] });

/** The octets of an item, as they came. */
export async function openItem({ item, letter }: FoundItem): Promise<ArrayBuffer> {
  return (await askRecord("octets", { item, letter: await letterToOpen(letter) })).data;
}

export async function letterToOpen({ id, blobId, from }: Pick<LetterFacts, "id" | "blobId" | "from">, box = ownId()): Promise<{ id: string; data: ArrayBuffer; authors: string[]; gateway: string }> {
  const [data, authors, { gateway }] = await Promise.all([download(box, blobId), authorsOf(from.address), whose()]);
  return { id, data, authors, gateway };
}

// ------------------------------------------------------------------------------------------------------ reading

export async function whose(): Promise<Whose> {
  const { session } = speaker();
  const { gateway = "" } = await operatorKnown();
  return { own: [session.account.address, session.account.shown], certificates: session.keys.map((one) => one.certificate), gateway };
}

async function sync(): Promise<void> {
  const begun = await askRecord("begin", null);
  if (begun.complete && begun.state !== null && (await follow(begun.state))) return;
  await readAll();
}

interface Changes {
  created?: string[];
  updated?: string[];
  destroyed?: string[];
  newState: string;
  hasMoreChanges?: boolean;
}

/** By what changed since; false when the server cannot tell. */
async function follow(since: string): Promise<boolean> {
  for (let state = since; ; ) {
    const made = await jmap([["Email/changes", { accountId: ownId(), sinceState: state, maxChanges: CHANGES }, "c"]]).catch((failure: unknown) => {
      if (failure instanceof Refused && failure.slug === "cannotCalculateChanges") return null;
      throw failure;
    });
    if (made === null) return false;
    const { created = [], updated = [], destroyed = [], newState, hasMoreChanges } = made.get("c") as unknown as Changes;
    const ids = [...new Set([...created, ...updated])].filter((id) => !destroyed.includes(id));
    if (destroyed.length > 0) await askRecord("drop", { ids: destroyed });
    await read(ids, step);
    if (newState !== state) {
      await askRecord("reached", { state: newState, complete: true });
      changed.tell(null);
    }
    if (hasMoreChanges !== true) return true;
    state = newState;
  }
}

async function readAll(): Promise<void> {
  const state = (await jmap([["Email/get", { accountId: ownId(), ids: [] }, "g"]])).get("g")?.["state"] as string;
  const first = [...(await listed("record")), ...(await listed("agenda"))];
  const order = [...new Set([...first, ...(await listed(null))])];
  step(0, order.length);
  await read(order, step);
  const left = new Set(order);
  const gone = (await askRecord("held", null)).filter((id) => !left.has(id));
  if (gone.length > 0) await askRecord("drop", { ids: gone });
  await askRecord("reached", { state, complete: true });
  changed.tell(null);
  stale = stale || (await follow(state)) === false;
}

/** Ids of all letters, or of one class, newest first. Listed again when letters came or went meanwhile. */
async function listed(name: string | null): Promise<string[]> {
  if (name !== null && !classes) return [];
  for (let turn = 0; ; turn++) {
    const ids = new Set<string>();
    let first: unknown;
    let same = true;
    for (let position = 0; ; ) {
      const query = { accountId: ownId(), ...(name === null ? {} : { filter: { class: name } }), sort: [{ property: "receivedAt", isAscending: false }], position, limit: IDS };
      const answer = await jmap([["Email/query", query, "q"]]).catch((failure: unknown) => {
        const unsupported = failure instanceof Refused && ["unsupportedFilter", "invalidArguments"].includes(failure.slug);
        if (name === null || !unsupported) throw failure;
        return null;
      });
      if (answer === null) {
        classes = false; // an older server: every letter is looked at alike
        return [];
      }
      const { ids: page, queryState } = answer.get("q") as { ids: string[]; queryState?: string };
      first ??= queryState;
      same &&= queryState === first;
      for (const id of page) ids.add(id);
      position += page.length;
      if (page.length === 0) break;
    }
    if (same || turn >= 2) return [...ids];
  }
}

async function roles(): Promise<Map<string, string>> {
  const made = await jmap([["Mailbox/get", { accountId: ownId(), ids: null, properties: ["id", "role"] }, "m"]]);
  const list = (made.get("m")?.["list"] ?? []) as { id: string; role: MailboxRole | null }[];
  return new Map(list.map(({ id, role }) => [id, role ?? ""]));
}

async function got(ids: string[], names: string[]): Promise<WireEmail[]> {
  if (ids.length === 0) return [];
  const made = await jmap([["Email/get", { accountId: ownId(), ids, properties: names }, "g"]]);
  return (made.get("g")?.["list"] ?? []) as WireEmail[];
}

/** Those known already have their marks and places renewed; the others are taken in, without a summary behind the rest. */
async function read(ids: string[], told: Progress): Promise<void> {
  if (ids.length === 0) return;
  const [boxes, holder] = [await roles(), await whose()];
  const toOpen: { wire: WireEmail; facts: LetterFacts }[] = [];
  let done = 0;
  for (let at = 0; at < ids.length; at += PAGE) {
    const page = ids.slice(at, at + PAGE);
    const unknown = await askRecord("unknown", { ids: page });
    const fresh = await got(unknown, WIRE);
    const known = page.filter((id) => !unknown.includes(id));
    const moved = await got(known, ["id", "keywords", "mailboxIds"]);
    const facts = (one: WireEmail): LetterFacts => factsOf(one, boxes);
    const needed = new Set(await askRecord("take", { letters: fresh.map((one) => ({ ...facts(one), summary: one.sealedSummary ?? null })), whose: holder }));
    for (const one of fresh) if (needed.has(one.id) && !one.receiptRequested) toOpen.push({ wire: one, facts: facts(one) });
    await askRecord("moved", { letters: moved.map((one) => ({ id: one.id, seen: one.keywords["$seen"] === true, roles: rolesOf(one, boxes) })) });
    done += page.length;
    told(done - toOpen.length, ids.length);
    changed.tell(null);
  }
  done -= toOpen.length;
  const opening = async (): Promise<void> => {
    for (let next = toOpen.shift(); next !== undefined; next = toOpen.shift()) {
      const letter = await letterToOpen(next.facts);
      await askRecord("draw", { facts: next.facts, letter, whose: holder }, [letter.data]);
      told((done += 1), ids.length);
    }
  };
  if (toOpen.length > 0) {
    await Promise.all(Array.from({ length: BESIDE }, opening));
    changed.tell(null);
  }
}

const rolesOf = ({ mailboxIds }: WireEmail, boxes: ReadonlyMap<string, string>): string[] => Object.keys(mailboxIds).map((id) => boxes.get(id) ?? "").filter((one) => one !== "").sort();

export function factsOf(one: WireEmail & { coarseClass?: string }, boxes: ReadonlyMap<string, string>): LetterFacts {
  emails.set(one.id, { ...emails.get(one.id), ...one });
  return {
    id: one.id,
    threadId: one.threadId,
    blobId: one.blobId,
    from: { name: one.from?.[0]?.name ?? "", address: one.from?.[0]?.email ?? "" },
    to: [...(one.to ?? []), ...(one.cc ?? [])].map(({ email }) => email),
    at: Date.parse(one.receivedAt),
    size: one.size,
    messageId: one.messageId?.[0] ?? "",
    seen: one.keywords["$seen"] === true,
    roles: rolesOf(one, boxes),
    guard: one.guard,
    keyIds: one.keyIds,
    class: one.coarseClass === "record" || one.coarseClass === "agenda" ? one.coarseClass : "",
  };
}

// -------------------------------------------------------------------------------------------------- own letters

export interface OwnLetter {
  class: "record" | "agenda";
  subject: string; // sealed with it
  text: string;
  files: { name: string; type: string; data: ArrayBuffer }[]; // parts 2, 3, …: `part` of the items that are in them
  items: Item[];
}

/** A letter to oneself: sealed and signed here, laid among what is kept. Outside it tells nothing. Raises Refused. */
export async function keepOwn({ class: class_, subject, text, files, items: carried }: OwnLetter): Promise<string> {
  const { session, unlocked } = speaker();
  if (!unlocked) throw new Refused("locked");
  const { limits } = await operatorKnown();
  const from = { name: `${session.name.given} ${session.name.family}`.trim(), address: session.account.shown };
  const manifest: Manifest = { items: carried, patient: "", flags: [], cut: 0 };
  const letter = { from, to: [from.address], subject, text, files, inReplyTo: "", references: [], outerSubject: "", certificates: [], date: Date.now(), manifest };
  const made = await ask("seal", letter, files.map((one) => one.data));
  if (made.message.byteLength > limits.message) throw new Refused("file-too-large");
  const blobId = await upload(ownId(), made.message);
  const into = [...(await roles())].find(([, role]) => role === "archive")?.[0];
  if (into === undefined) throw new Refused("no-such-mailbox");
  const id = await imported({ blobId, mailboxIds: { [into]: true }, keywords: { $seen: true, [OWN]: true }, sealedSummary: made.summary }, class_);
  stale = true;
  await itemsReady();
  return id;
}

async function imported(email: Arguments, class_: string): Promise<string> {
  interface Imported {
    created?: Record<string, { id: string }> | null;
    notCreated?: Record<string, Arguments & { properties?: string[] }> | null;
  }
  const told = classes ? { ...email, class: class_ } : email;
  const answer = (await jmap([["Email/import", { accountId: ownId(), emails: { n: told } }, "e"]])).get("e") as Imported | undefined;
  const id = answer?.created?.["n"]?.id;
  if (id !== undefined) return id;
  const failure = answer?.notCreated?.["n"] ?? {};
  if (classes && failure["type"] === "invalidProperties" && failure.properties?.includes("class")) {
    classes = false;
    return imported(email, class_);
  }
  throw refusedBy(failure);
}

/** Own letters destroyed for good. */
export async function dropOwn(ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  const answer = (await jmap([["Email/set", { accountId: ownId(), destroy: ids }, "s"]])).get("s");
  const [failure] = Object.values((answer?.["notDestroyed"] ?? {}) as Record<string, Arguments>);
  if (failure !== undefined && failure["type"] !== "notFound") throw refusedBy(failure);
  await askRecord("drop", { ids });
  changed.tell(null);
}

// ---------------------------------------------------------------------------------------------------- all of it

/** Every letter of one's own account, oldest first. */
export const letterIds = async (): Promise<string[]> => (await listed(null)).reverse();

/** `unopened`: those too whose opening is then told to their sender, who asked for it. */
export async function lettersBy(ids: string[], unopened: boolean): Promise<LetterFacts[]> {
  const [boxes, found] = [await roles(), await got(ids, properties(false))];
  const order = new Map(ids.map((id, at) => [id, at]));
  return found.filter((one) => unopened || !one.receiptRequested).map((one) => factsOf(one, boxes)).sort((a, b) => order.get(a.id)! - order.get(b.id)!);
}
