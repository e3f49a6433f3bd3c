// The letters of a person that carry items (documents, appointments, entries, decisions), with their manifests: the index
// that the record and the agenda are drawn from. Held in memory, kept on this device under a key of its own.
//
// Invariants: what is kept is encrypted and bound to its place; it is a log of slabs, each written once under a name that
// no other tab takes, so that tabs never write over each other; what is lost of it is read again from the server, never
// guessed; only what was taken into memory is ever cleared away.
import { fromUtf8, hex, random, utf8, type Bytes } from "../../lib/bytes.ts";
import type { Keyring } from "../keyring.ts";
import { unwrap, wrap } from "../wraps.ts";
import type { Holder } from "../../lib/record_holder.ts";
import type { FoundItem, Kept } from "./protocol.ts";

interface Slab {
  put: Kept[];
  nothing: string[]; // letters that carry no item
  drop: string[];
  read: [key: string, found: unknown][]; // what documents said when they were opened (readings.ts)
}

interface Reached {
  state: string | null;
  complete: boolean;
  keys: string; // which keys could be used: with another, locked letters are tried again
}

const SLAB = 250; // letters in one slab when they are put together anew
const MOST_SLABS = 60;
const EMPTY: Reached = { state: null, complete: false, keys: "" };
const what = (record: string): string => `vaguemestre/items/v1/${record}`;

export class Letters {
  reached: Reached = EMPTY;
  /** Grows with each change: what was derived from an earlier one is made anew. */
  version = 0;
  /** Whose record it is; null: nobody's, such as a box of professionals. */
  holder: Holder | null = null;
  private readonly letters = new Map<string, Kept>();
  private readonly nothing = new Set<string>();
  private readonly readings = new Map<string, unknown>();
  private readonly slabs: string[] = [];
  private lost = false; // something was not kept: what follows must not say that all was
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly keyring: Keyring) {}

  get size(): number {
    return this.letters.size;
  }

  get(id: string): Kept | undefined {
    return this.letters.get(id);
  }

  all(): IterableIterator<Kept> {
    return this.letters.values();
  }

  has = (id: string): boolean => this.letters.has(id) || this.nothing.has(id);
  held = (): string[] => [...this.letters.keys(), ...this.nothing];

  items(kinds: readonly string[]): FoundItem[] {
    const found: FoundItem[] = [];
    for (const letter of this.letters.values()) {
      for (const item of letter.manifest.items) if (kinds.includes(item.kind)) found.push({ item, letter });
    }
    return found;
  }

  reading = (key: string): unknown => this.readings.get(key);

  isOf(holder: Holder | null): void {
    if (JSON.stringify(holder) === JSON.stringify(this.holder)) return;
    this.holder = holder;
    this.version += 1;
  }

  async keep(given: Partial<Slab>): Promise<void> {
    const slab = { put: [], nothing: [], drop: [], read: [], ...given };
    if (slab.put.length + slab.nothing.length + slab.drop.length + slab.read.length === 0) return;
    this.apply(slab);
    await this.write([slab], []);
  }

  async reach(state: string, complete: boolean): Promise<void> {
    this.reached = { state, complete, keys: await this.keys() };
    await this.write([], []);
  }

  async load(): Promise<void> {
    const { account, storage } = this.keyring;
    const place = `${account}/reached`;
    // First how far it got, then the letters: what another tab adds meanwhile is read again, and nothing is missed.
    const [far] = await storage.get("items", [place]).catch((): unknown[] => []);
    const reached = (await this.opened(place, far)) as Reached | null;
    const records = (await storage.keys("items").catch(() => [])).filter((one) => one.startsWith(`${account}/slab/`)).sort();
    const stored = await storage.get("items", records).catch((): unknown[] => []);
    const clear = await Promise.all(stored.map((one, at) => this.opened(records[at]!, one)));
    clear.forEach((slab, at) => {
      if (slab === null) return;
      this.slabs.push(records[at]!);
      this.apply(slab as Slab);
    });
    // A slab that cannot be read leaves a hole: what it held is looked for again.
    const whole = this.slabs.length === records.length;
    this.reached = reached === null ? EMPTY : { ...reached, complete: reached.complete && whole };
    await this.retry();
    if (this.slabs.length > MOST_SLABS + this.letters.size / SLAB) await this.pack();
  }

  /** With another key than last time, what was locked is looked at again. */
  async retry(): Promise<void> {
    const keys = await this.keys();
    if (this.reached.keys === keys) return;
    this.reached = { ...this.reached, keys };
    for (const { id, locked } of [...this.letters.values()]) {
      if (!locked) continue;
      this.letters.delete(id);
      this.reached = { ...this.reached, complete: false };
      this.version += 1;
    }
  }

  private async keys(): Promise<string> {
    return (await this.keyring.own()).map((one) => one.fingerprint).sort().join(" ");
  }

  private apply({ put, nothing, drop, read }: Slab): void {
    this.version += 1;
    for (const one of put) {
      this.nothing.delete(one.id);
      this.letters.set(one.id, one);
    }
    for (const id of nothing) {
      this.letters.delete(id);
      this.nothing.add(id);
    }
    for (const id of drop) {
      this.letters.delete(id);
      this.nothing.delete(id);
    }
    for (const [key, found] of read) {
      if (found === null) this.readings.delete(key);
      else this.readings.set(key, found);
    }
  }

  /** All that is known in few slabs, in the place of those it was read from. */
  private async pack(): Promise<void> {
    const all = [...this.letters.values()];
    const read = [...this.readings];
    const made: Slab[] = [{ put: [], nothing: [...this.nothing], drop: [], read: [] }];
    for (let at = 0; at < Math.max(all.length, read.length); at += SLAB) {
      made.push({ put: all.slice(at, at + SLAB), nothing: [], drop: [], read: read.slice(at, at + SLAB) });
    }
    await this.write(made, this.slabs.splice(0));
  }

  private write(slabs: Slab[], gone: string[]): Promise<void> {
    const { account, storage } = this.keyring;
    const step = this.writing.then(async () => {
      const records: [string, unknown][] = [];
      for (const [at, slab] of slabs.entries()) {
        const name = `${account}/slab/${String(Date.now()).padStart(15, "0")}-${String(at).padStart(4, "0")}-${hex(random(6))}`;
        records.push([name, await this.sealed(name, slab)]);
        this.slabs.push(name);
      }
      const place = `${account}/reached`;
      records.push([place, await this.sealed(place, { ...this.reached, complete: this.reached.complete && !this.lost })], ...gone.map((one): [string, unknown] => [one, undefined]));
      await storage.put("items", records);
    });
    // Full or refused: what is in memory serves this visit, and the next one reads again what was not kept.
    this.writing = step.catch(() => void (this.lost = true));
    return this.writing;
  }

  private async sealed(name: string, value: unknown): Promise<Bytes> {
    return wrap(await this.keyring.storageKey("items"), utf8(JSON.stringify(value)), what(name));
  }

  private async opened(name: string, sealed: unknown): Promise<unknown> {
    if (!(sealed instanceof Uint8Array)) return null;
    const clear = await unwrap(await this.keyring.storageKey("items"), sealed as Bytes, what(name)).catch(() => null);
    return clear === null ? null : (JSON.parse(fromUtf8(clear)) as unknown);
  }
}

let loaded: { account: string; letters: Promise<Letters> } | null = null;

/** The letters of who is unlocked. */
export function theLetters(keyring: Keyring): Promise<Letters> {
  if (loaded?.account !== keyring.account) {
    const letters = new Letters(keyring);
    loaded = { account: keyring.account, letters: letters.load().then(() => letters) };
  }
  return loaded.letters;
}

export const forgetLetters = (): void => {
  loaded = null;
};
