// The record for its screens: documents, profile and curves drawn from the index on this device, and what is done with
// them. Writing for professionals and the export come in chunks of their own with their first use.
//
// Invariants: nothing that is read stays outside the worker but what is shown; own letters only, but for what one letter
// in a box carries; octets of files are those that came.
import type { Contents, Known } from "../worker/record/protocol.ts";
import { account, speaker } from "./account.ts";
import { Refused, type Person } from "./contract.ts";
import { itemsChanged, itemsReady, letterToOpen, onItems, ownId } from "./items.ts";
import { accountId, emails, mail, set } from "./mail.ts";
import type { DocumentBody, DocumentView, LetterDocument, RecordFile, RecordWork } from "./record_contract.ts";
import { language } from "./record_language.ts";

import { askRecord } from "./record_link.ts";
import * as own from "./record_own.ts";

const LOOK = 20; // letters looked into before the screens are told
const LARGEST = 12_000_000; // octets of a letter that is looked into unasked

let types: { code: string; label: string }[] = [];
let typesIn = "";
let looking: Promise<void> | null = null;
let stopped = false;

account.onChange((session) => {
  if (session !== null && session.unlocked) return;
  stopped = true;
  looking = null;
});

async function ready(progress: (done: number, total: number) => void): Promise<void> {
  await itemsReady(progress);
  await learnTypes();
  lookInside();
}

async function learnTypes(): Promise<void> {
  if (typesIn === language()) return;
  types = await askRecord("types", { language: language() });
  typesIn = language();
}

/** Behind the screens: what documents say, for curves and the profile. */
function lookInside(): void {
  stopped = false;
  looking ??= lookAtAll().finally(() => (looking = null));
  looking.catch(() => undefined); // offline: the next visit goes on
}

async function lookAtAll(): Promise<void> {
  for (;;) {
    const found = await askRecord("unread", { limit: LOOK });
    if (found.length === 0 || stopped) return;
    for (const { letter, items } of found) {
      if (stopped) return;
      const opened = letter.size > LARGEST ? null : await letterToOpen(letter);
      if (opened === null) await askRecord("look", { letter: { id: letter.id, data: new ArrayBuffer(0), authors: [], gateway: "" }, items });
      else await askRecord("look", { letter: opened, items }, [opened.data]);
    }
    itemsChanged();
  }
}

// ---------------------------------------------------------------------------------------------------- documents

export const fileOf = ({ data, ...about }: Contents["parts"][number]): RecordFile => ({ ...about, blob: async () => new Blob([data], { type: about.type }) });

function bodyOf({ body }: Contents, files: RecordFile[]): DocumentBody {
  if ("file" in body) return { form: body.form, file: files[body.file]! };
  return body;
}

const called = (known: readonly Person[]) => (one: Person): Person => known.find(({ address }) => address.toLowerCase() === one.address.toLowerCase()) ?? one;

async function document(id: string): Promise<DocumentView> {
  const known = await askRecord("document", { id, language: language() });
  const people = known.sharedWith.length === 0 ? [] : (await mail.correspondents().catch(() => [])).map((one) => one.person);
  const view = viewOf(known, null, people);
  if (known.item === null || known.letter === null || known.line.state === "withdrawn") return view;
  const letter = await letterToOpen(known.letter);
  const contents = await askRecord("contents", { letter, item: known.item }, [letter.data]);
  if (known.line.unread) void markRead(known).catch(() => undefined);
  const read = await askRecord("document", { id, language: language() }); // opened, it tells whom it is about
  if (read.line.about !== known.line.about) itemsChanged();
  return viewOf(read, contents, people);
}

function viewOf(known: Known, contents: Contents | null, people: readonly Person[]): DocumentView {
  const files = (contents?.parts ?? []).map(fileOf);
  return {
    line: known.line,
    header: contents?.header ?? null,
    body: contents === null ? { form: "none" } : bodyOf(contents, files),
    results: contents?.results ?? [],
    entries: contents?.entries ?? [],
    files,
    history: known.history,
    sources: known.ways.map(({ id, threadId, from, at }) => ({ letter: id, threadId, from, receivedAt: at })),
    tombstone: known.tombstone,
    flags: known.flags,
    sharedWith: known.sharedWith.map(({ person, at }) => ({ person: called(people)(person), at })),
  };
}

async function markRead({ ways }: Known): Promise<void> {
  const fresh = ways.filter((one) => !one.seen);
  await askRecord("moved", { letters: fresh.map(({ id, roles }) => ({ id, seen: true, roles })) });
  await set({ update: Object.fromEntries(fresh.map(({ id }) => [id, { "keywords/$seen": true }])) }, ownId());
}

async function inLetter(id: string): Promise<LetterDocument[]> {
  const email = emails.get(id);
  if (email === undefined) throw new Refused("no-such-letter");
  const from = { name: "", address: email.from?.[0]?.email ?? "" };
  const open = () => letterToOpen({ id, blobId: email.blobId, from }, accountId());
  const found = await askRecord("carried", { letter: await open(), patient: speaker().session.account.kind === "PATIENT", language: language() });
  return found.map(({ item, line, about }) => ({
    id: item.id,
    form: item.kind as LetterDocument["form"],
    ...line,
    about,
    view: async () => {
      const contents = await askRecord("contents", { letter: await open(), item });
      const view = viewOf(await lineIn(id, item.id, from, line, item.kind), contents, []);
      return { ...view, flags: [...(view.line.about === "another" ? ["about-another"] : []), ...item.flags] };
    },
  }));
}

/** As the record knows it, when it is one's own; else as the letter says. */
async function lineIn(letter: string, id: string, from: Person, told: { typeLabel: string; title: string; at: string; author: string }, form: string): Promise<Known> {
  const own = accountId() === ownId() ? await askRecord("document", { id, language: language() }).catch(() => null) : null;
  if (own !== null) return own;
  const email = emails.get(letter)!;
  const line = {
    id, letter, threadId: email.threadId, form: form as LetterDocument["form"], type: "", ...told, category: "other" as const, receivedAt: Date.parse(email.receivedAt), from,
    state: "current" as const, masked: false, confidentiality: [], unread: false, own: false, guard: email.guard, locked: false, versions: 1, about: "unknown" as const,
  };
  return { line, item: null, letter: null, ways: [], history: [], tombstone: null, flags: [], sharedWith: [], ids: [id] };
}

async function decided(ids: string[], decision: Parameters<typeof own.decide>[0]): Promise<void> {
  const all = await Promise.all(ids.map(async (id) => (await askRecord("document", { id, language: language() })).ids));
  await own.decide(decision, [...new Set(all.flat())]);
}

const professional = () => import("./record_professional.ts");

export const record: RecordWork = {
  ready,
  documents: (filter) => askRecord("documents", { filter, language: language() }),
  document,
  inLetter,
  async trends() {
    lookInside();
    return askRecord("trends", { language: language() });
  },

  add: own.add,
  remove: own.remove,
  mask: (ids, masked) => decided(ids, masked ? "mask" : "unmask"),
  archive: (ids, archived) => decided(ids, archived ? "archive" : "unarchive"),

  share: async (given) => (await professional()).share(given),
  askRenewal: async (id, text) => (await professional()).askRenewal(id, text),
  renewal: async (id) => (await professional()).renewal(id),
  pharmacies: async () => (await professional()).pharmacies(),

  async profile() {
    lookInside();
    return askRecord("profile", { language: language() });
  },
  addEntry: own.addEntry,
  changeEntry: own.changeEntry,
  removeEntry: own.removeEntry,
  maskEntry: own.maskEntry,
  summaryFor: async (to, text) => (await professional()).summaryFor(to, text),

  exportAll: async (progress, unopened) => (await import("./record_export.ts")).exportAll(progress, unopened),
  types: () => types,
  onChange: onItems,
};
