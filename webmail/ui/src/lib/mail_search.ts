// Search: the worker's index is filled behind the screens, in slices, newest letters first, from the first search on;
// what is found is told at once from what is indexed so far.
import { Refused, type LetterLine } from "./contract.ts";
import { account, speaker } from "./account.ts";
import { from, jmap } from "./jmap.ts";
import { ask } from "./link.ts";
import { accountId, announce, linesOf, toOpen } from "./mail.ts";
import { properties, type WireEmail } from "./mail_wire.ts";

const PAGE = 200; // ids asked at once
const SLICE = 8; // letters opened at once
const LARGEST = 2_000_000; // octets; of larger letters the line is indexed
const FOUND = 50;

let running: { account: string; done: number; total: number; stopped: boolean } | null = null;
let finished: string | null = null;

account.onChange((session) => {
  if (session?.account.id === running?.account && session?.unlocked) return;
  if (running !== null) running.stopped = true;
  running = finished = null;
});

export const indexing = (): { done: number; total: number } => ({ done: running?.done ?? 0, total: running?.total ?? 0 });

export async function search(words: string): Promise<LetterLine[]> {
  if (!speaker().unlocked) throw new Refused("locked");
  const id = accountId();
  if (running?.account !== id || finished === id) void fill(id);
  const ids = await ask("search", { words, limit: FOUND });
  if (ids.length === 0) return [];
  const made = await jmap([["Email/get", { accountId: id, ids, properties: properties(false) }, "g"]]);
  const found = (made.get("g")?.["list"] ?? []) as WireEmail[]; // destroyed ones are not there any more
  const lines = await linesOf(found, false);
  return lines.sort((a, b) => b.receivedAt - a.receivedAt);
}

/** Letters that are not in the index yet. One that cannot be opened is indexed by what little is known of it. */
async function fill(id: string): Promise<void> {
  const mine = { account: id, done: 0, total: 0, stopped: false };
  running = mine;
  finished = null;
  try {
    for (let position = 0; !mine.stopped; position += PAGE) {
      const query = { accountId: id, sort: [{ property: "receivedAt", isAscending: false }], position, limit: PAGE, calculateTotal: true };
      const made = await jmap([
        ["Email/query", query, "q"],
        ["Email/get", { accountId: id, "#ids": from("q", "Email/query", "/ids"), properties: properties(false) }, "g"],
      ]);
      const page = ((made.get("g")?.["list"] ?? []) as WireEmail[]).sort((a, b) => Date.parse(b.receivedAt) - Date.parse(a.receivedAt));
      mine.total = (made.get("q")?.["total"] as number | undefined) ?? position + page.length;
      if (page.length === 0) break;
      await indexed(mine, page);
    }
    if (!mine.stopped) finished = id;
  } catch {
    // Offline, or logged out: the next search goes on from here.
    if (running === mine) running = null;
    return;
  }
  announce();
}

async function indexed(mine: { done: number; stopped: boolean }, page: WireEmail[]): Promise<void> {
  const wanted = new Set(await ask("notIndexed", { ids: page.map((one) => one.id) }));
  mine.done += page.length - wanted.size;
  const left = page.filter((one) => wanted.has(one.id));
  for (let at = 0; at < left.length && !mine.stopped; at += SLICE) {
    const slice = left.slice(at, at + SLICE);
    await linesOf(slice, false);
    const letters = await Promise.all(
      slice.map(async (one) => ({ id: one.id, at: Date.parse(one.receivedAt), letter: one.size > LARGEST ? null : await toOpen(one) })),
    );
    if (mine.stopped) return;
    await ask("index", { letters }, letters.flatMap((one) => (one.letter === null ? [] : [one.letter.data])));
    mine.done += slice.length;
  }
}
