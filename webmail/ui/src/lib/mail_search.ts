// Search: the worker's index is filled behind the screens, in slices, newest letters first, from the first search on;
// what is found is told at once from what is indexed so far.
import { Refused, type LetterLine } from "./contract.ts";
import { account, speaker } from "./account.ts";
import { from, jmap } from "./jmap.ts";
import { ask } from "./link.ts";
import { accountId, announce, linesOf, mail, toOpen } from "./mail.ts";
import { OWN, properties, type WireEmail } from "./mail_wire.ts";

const PAGE = 200; // ids asked at once
const SLICE = 8; // letters opened at once
const LARGEST = 2_000_000; // octets; of larger letters the line is indexed
const FOUND = 50;

interface Filling {
  account: string;
  done: number;
  total: number;
  stopped: boolean;
  ended: boolean;
}

let running: Filling | null = null;
let stale = false; // letters came or went since the index was filled

account.onChange((session) => {
  if (session?.account.id === running?.account && session?.unlocked) return;
  if (running !== null) running.stopped = true;
  running = null;
});
mail.onChange(() => {
  stale = true;
});

export const indexing = (): { done: number; total: number } => ({ done: running?.done ?? 0, total: running?.total ?? 0 });

export async function search(words: string): Promise<LetterLine[]> {
  if (!speaker().unlocked) throw new Refused("locked");
  const id = accountId();
  if (running?.account !== id || (running.ended && stale)) void fill(id);
  const ids = await ask("search", { words, limit: FOUND });
  if (ids.length === 0) return [];
  const made = await jmap([["Email/get", { accountId: id, ids, properties: properties(false) }, "g"]]);
  const found = (made.get("g")?.["list"] ?? []) as WireEmail[]; // destroyed ones are not there any more
  const lines = await linesOf(found, false);
  return lines.sort((a, b) => b.receivedAt - a.receivedAt);
}

/** Letters that are not in the index yet. One that cannot be opened is indexed by what little is known of it. */
async function fill(id: string): Promise<void> {
  const mine: Filling = { account: id, done: 0, total: 0, stopped: false, ended: false };
  if (running?.account === id) Object.assign(mine, { done: running.done, total: running.total });
  running = mine;
  stale = false;
  try {
    for (let position = 0; !mine.stopped; position += PAGE) {
      if (position === 0) mine.done = 0;
      const query = { accountId: id, filter: { notKeyword: OWN }, sort: [{ property: "receivedAt", isAscending: false }], position, limit: PAGE, calculateTotal: true };
      const made = await jmap([
        ["Email/query", query, "q"],
        ["Email/get", { accountId: id, "#ids": from("q", "Email/query", "/ids"), properties: properties(false) }, "g"],
      ]);
      const page = ((made.get("g")?.["list"] ?? []) as WireEmail[]).sort((a, b) => Date.parse(b.receivedAt) - Date.parse(a.receivedAt));
      mine.total = (made.get("q")?.["total"] as number | undefined) ?? position + page.length;
      if (page.length === 0) break;
      await indexed(mine, page);
    }
    mine.ended = !mine.stopped;
  } catch {
    // Offline, or logged out: the next search goes on from here.
    if (running === mine) running = null;
    return;
  }
  announce();
  stale = false; // that was ourselves
}

async function indexed(mine: Filling, page: WireEmail[]): Promise<void> {
  const wanted = new Set(await ask("notIndexed", { ids: page.map((one) => one.id) }));
  mine.done += page.length - wanted.size;
  const left = page.filter((one) => wanted.has(one.id));
  for (let at = 0; at < left.length && !mine.stopped; at += SLICE) {
    const slice = left.slice(at, at + SLICE);
    await linesOf(slice, false);
    const letters = await Promise.all(
      slice.map(async (one) => ({ id: one.id, at: Date.parse(one.receivedAt), letter: one.size > LARGEST || one.receiptRequested ? null : await toOpen(one) })),
    );
    if (mine.stopped) return;
    await ask("index", { letters }, letters.flatMap((one) => (one.letter === null ? [] : [one.letter.data])));
    mine.done += slice.length;
  }
}
