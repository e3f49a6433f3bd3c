// Search over letters that only this page can read: an index of words, built in slices as letters are opened for it,
// kept on this device under a key of its own. In a chunk of its own, loaded with the first search.
//
// Accents and case do not count; the beginning of a word is enough; all words asked must be there.
import { fromUtf8, utf8, type Bytes } from "../lib/bytes.ts";
import type { Keyring } from "./keyring.ts";
import { wrap, unwrap } from "./wraps.ts";

const MOST_WORDS = 4000; // of one letter
const FRESH = 3000; // new words looked at one by one before they are sorted in

export interface Entry {
  id: string;
  at: number;
  words: string[];
}

export function wordsOf(text: string): string[] {
  const folded = text.normalize("NFD").replace(/\p{M}+/gu, "").toLowerCase().replaceAll("œ", "oe").replaceAll("æ", "ae");
  return folded.match(/[\p{L}\p{N}]+/gu) ?? [];
}

export class Index {
  private readonly entries: { id: string; at: number }[] = [];
  private readonly ids = new Set<string>();
  private readonly postings = new Map<string, number[]>();
  private sorted: string[] = [];
  private fresh: string[] = [];

  has(id: string): boolean {
    return this.ids.has(id);
  }

  add(all: readonly Entry[]): void {
    for (const { id, at, words } of all) {
      if (this.ids.has(id)) continue;
      this.ids.add(id);
      const place = this.entries.push({ id, at }) - 1;
      for (const word of words) {
        const list = this.postings.get(word);
        if (list !== undefined) list.push(place);
        else {
          this.postings.set(word, [place]);
          this.fresh.push(word);
        }
      }
    }
    if (this.fresh.length > FRESH) {
      this.sorted = [...this.sorted, ...this.fresh].sort();
      this.fresh = [];
    }
  }

  /** Newest first. */
  find(asked: string, limit: number): string[] {
    const words = [...new Set(wordsOf(asked))];
    if (words.length === 0) return [];
    let places: Set<number> | null = null;
    for (const word of words) {
      const here: Set<number> = new Set();
      for (const each of this.beginning(word)) for (const place of this.postings.get(each)!) here.add(place);
      places = places === null ? here : both(places, here);
    }
    const found = [...places!].map((place) => this.entries[place]!).sort((a, b) => b.at - a.at);
    return found.slice(0, limit).map((one) => one.id);
  }

  private *beginning(start: string): Iterable<string> {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sorted[middle]! < start) low = middle + 1;
      else high = middle;
    }
    for (; low < this.sorted.length && this.sorted[low]!.startsWith(start); low++) yield this.sorted[low]!;
    for (const word of this.fresh) if (word.startsWith(start)) yield word;
  }
}

const both = (a: Set<number>, b: Set<number>): Set<number> => new Set([...a].filter((one) => b.has(one)));

export function entryOf(id: string, at: number, texts: readonly string[]): Entry {
  return { id, at, words: [...new Set(texts.flatMap(wordsOf))].slice(0, MOST_WORDS) };
}

// ------------------------------------------------------------------------------------------------ on this device

let loaded: { account: string; index: Promise<Index> } | null = null;

export function indexOf(keyring: Keyring): Promise<Index> {
  if (loaded?.account !== keyring.account) loaded = { account: keyring.account, index: load(keyring) };
  return loaded.index;
}

export const forgetIndex = (): void => {
  loaded = null;
};

const what = (record: string): string => `vaguemestre/index/v1/${record}`;

async function load(keyring: Keyring): Promise<Index> {
  const index = new Index();
  const key = await keyring.storageKey("index");
  const records = (await keyring.storage.keys("index").catch(() => [])).filter((one) => one.startsWith(`${keyring.account}/`));
  const stored = await keyring.storage.get("index", records).catch((): unknown[] => []);
  for (const [at, sealed] of stored.entries()) {
    if (!(sealed instanceof Uint8Array)) continue;
    const clear = await unwrap(key, sealed as Bytes, what(records[at]!)).catch(() => null);
    if (clear !== null) index.add(read(clear));
  }
  return index;
}

export async function addTo(keyring: Keyring, entries: Entry[]): Promise<void> {
  (await indexOf(keyring)).add(entries);
  const record = `${keyring.account}/${entries[0]?.id ?? ""}`;
  const clear = utf8(entries.map(({ id, at, words }) => `${id} ${at} ${words.join(" ")}`).join("\n"));
  const sealed = await wrap(await keyring.storageKey("index"), clear, what(record));
  await keyring.storage.put("index", [[record, sealed]]).catch(() => undefined);
}

const read = (clear: Uint8Array): Entry[] =>
  fromUtf8(clear)
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([id]) => id !== undefined && id !== "")
    .map(([id, at, ...words]) => ({ id: id!, at: Number(at), words }));

