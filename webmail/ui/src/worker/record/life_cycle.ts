// What became of each document: current, superseded, archived, withdrawn; masked or not. The same rules as
// `mail_server/payloads/record/life_cycle.py`, whose docstring tells why; `tests/webmail/vectors/life_cycle.json` holds
// both to one answer. Pure: the order in which letters came changes nothing, nor how often.
import type { Item } from "./manifest_model.ts";

export type State = "current" | "superseded" | "archived" | "withdrawn";

/** One item as one letter brought it. */
export interface Arrival {
  letter: string;
  sender: string; // the address that the server verified
  item: Item;
  patient: string; // of the letter's manifest
  own: boolean; // the holder wrote it to themself
}

/** One document, and what became of it. `key` is its id, with the beginning of its hash when that differs. */
export interface Standing {
  key: string;
  id: string;
  hash: string;
  state: State;
  masked: boolean;
  archived: boolean;
  letters: string[]; // that brought it
  replacedBy: string[]; // keys
  history: string[]; // keys of the other versions, newest first
  withdrawnIn: string[]; // letters that took it back
  flags: string[];
}

interface Known {
  key: string;
  id: string;
  hash: string;
  made: string;
  senders: Set<string>;
  letters: Set<string>;
  claims: { by: string; old: string }[];
}

const LIVING = new Set(["document", "fhir", "file", "entry"]);
const UNDOES = new Map([["unmask", "mask"], ["unarchive", "archive"]]);

/** By which an item is known: its own id, or its bytes when it has none. */
export const identity = (item: Item): string => item.id || `sha256:${item.hash}`;

/** Every document of these letters, by key. */
export function lifeCycle(arrivals: readonly Arrival[]): Standing[] {
  const documents = known(arrivals);
  const byId = new Map<string, Known[]>();
  for (const one of documents.values()) byId.set(one.id, [...(byId.get(one.id) ?? []), one]);
  const { replaced, unheeded } = replacements(documents, byId);
  const circular = inCircles(replaced);
  const newer = new Map<string, Set<string>>();
  for (const [key, olds] of replaced) {
    for (const old of olds) if (old !== key && !(circular.has(key) && circular.has(old))) into(newer, old, key);
  }
  const withdrawn = withdrawals(arrivals, byId);
  const masked = decided(arrivals, "mask");
  const archived = decided(arrivals, "archive");
  const chains = inChains(documents, newer);
  return sorted(documents.keys()).map((key) => {
    const { id, hash, letters } = documents.get(key)!;
    const flags = [
      ...(circular.has(key) ? ["cycle"] : []),
      ...(byId.get(id)!.length > 1 ? ["differs"] : []),
      ...(unheeded.has(key) ? ["replaces-unheeded"] : []),
    ];
    const replacedBy = sorted(newer.get(key) ?? []);
    const state = withdrawn.has(key) ? "withdrawn" : replacedBy.length > 0 ? "superseded" : archived.has(id) ? "archived" : "current";
    return {
      key,
      id,
      hash,
      state,
      masked: masked.has(id),
      archived: archived.has(id),
      letters: sorted(letters),
      replacedBy,
      history: chains.get(key)!.filter((other) => other !== key),
      withdrawnIn: sorted(withdrawn.get(key) ?? []),
      flags,
    };
  });
}

const order = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
const sorted = (texts: Iterable<string>): string[] => [...texts].sort(order);
const pair = (sender: string, patient: string): string => `${sender.toLowerCase()}\n${patient}`;

function into(sets: Map<string, Set<string>>, name: string, value: string): void {
  const found = sets.get(name) ?? new Set<string>();
  sets.set(name, found.add(value));
}

function known(arrivals: readonly Arrival[]): Map<string, Known> {
  const living = arrivals.filter(({ item }) => LIVING.has(item.kind) && (item.id !== "" || item.hash !== ""));
  const hashes = new Map<string, Set<string>>();
  for (const { item } of living) into(hashes, identity(item), item.hash);
  const found = new Map<string, Known>();
  for (const { letter, sender, patient, item } of living) {
    const id = identity(item);
    const key = hashes.get(id)!.size === 1 ? id : `${id}#${item.hash.slice(0, 16)}`;
    const one = found.get(key) ?? { key, id, hash: item.hash, made: "", senders: new Set(), letters: new Set(), claims: [] };
    found.set(key, one);
    if (order(item.made, one.made) > 0) one.made = item.made; // one way may tell more than another
    one.senders.add(pair(sender, patient));
    one.letters.add(letter);
    for (const old of item.replaces) one.claims.push({ by: pair(sender, patient), old });
  }
  return found;
}

/** Keys that each document replaces; those whose word about a document that is here does not count. */
function replacements(documents: Map<string, Known>, byId: Map<string, Known[]>): { replaced: Map<string, Set<string>>; unheeded: Set<string> } {
  const replaced = new Map<string, Set<string>>();
  const unheeded = new Set<string>();
  for (const [key, { claims }] of documents) {
    const heeded = new Set<string>();
    for (const { by, old } of claims) {
      for (const target of byId.get(old) ?? []) {
        if (!target.senders.has(by)) continue;
        into(replaced, key, target.key);
        heeded.add(old);
      }
    }
    if (claims.some(({ old }) => byId.has(old) && !heeded.has(old))) unheeded.add(key);
  }
  return { replaced, unheeded };
}

/** Documents that, by what they say, replace themselves in the end: those of a strongly connected part, or that name
 *  themselves. In one walk (R. Tarjan, 1972): whoever writes letters may write many that each name many. */
function inCircles(replaced: Map<string, Set<string>>): Set<string> {
  const found = new Set<string>();
  const met = new Map<string, { at: number; low: number; open: boolean }>();
  const open: string[] = [];
  const path: { key: string; ahead: IterableIterator<string> }[] = [];
  const enter = (key: string): void => {
    met.set(key, { at: met.size, low: met.size, open: true });
    open.push(key);
    path.push({ key, ahead: (replaced.get(key) ?? new Set<string>()).values() });
  };
  const leave = (key: string): void => {
    path.pop();
    const mine = met.get(key)!;
    const before = path.at(-1);
    if (before !== undefined) met.get(before.key)!.low = Math.min(met.get(before.key)!.low, mine.low);
    if (mine.low !== mine.at) return;
    const part: string[] = [];
    do {
      part.push(open.pop()!);
      met.get(part.at(-1)!)!.open = false;
    } while (part.at(-1) !== key);
    if (part.length > 1) for (const one of part) found.add(one);
  };
  for (const start of replaced.keys()) {
    if (!met.has(start)) enter(start);
    for (let here = path.at(-1); here !== undefined; here = path.at(-1)) {
      const { value: other, done } = here.ahead.next();
      if (done === true) leave(here.key);
      else if (other === here.key) found.add(other);
      else if (!met.has(other)) enter(other);
      else if (met.get(other)!.open) met.get(here.key)!.low = Math.min(met.get(here.key)!.low, met.get(other)!.at);
    }
  }
  return found;
}

/** Letters that took a document back, by its key. A letter without documents may name nobody. */
function withdrawals(arrivals: readonly Arrival[], byId: Map<string, Known[]>): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { letter, sender, patient, item } of arrivals) {
    if (item.kind !== "withdrawal") continue;
    for (const target of item.withdraws.flatMap((old) => byId.get(old) ?? [])) {
      const by = [...target.senders].map((one) => one.split("\n"));
      if (by.some(([who, about]) => who === sender.toLowerCase() && (patient === "" || patient === about))) into(found, target.key, letter);
    }
  }
  return found;
}

/** Ids that the holder's last word about is `what`; of two at one instant, the one that hides more. */
export function decided(arrivals: readonly Arrival[], what: string): Set<string> {
  const last = new Map<string, { stamp: string; holds: boolean }>();
  for (const { item, own } of arrivals) {
    if (!own || item.kind !== "decision" || (UNDOES.get(item.decision) ?? item.decision) !== what) continue;
    const said = { stamp: item.stamp.replace(/Z$/, ""), holds: item.decision === what };
    for (const target of item.targets) {
      const before = last.get(target);
      const later = before === undefined ? 1 : order(said.stamp, before.stamp) || Number(said.holds) - Number(before.holds);
      if (later > 0) last.set(target, said);
    }
  }
  return new Set([...last].filter(([, { holds }]) => holds).map(([target]) => target));
}

/** All versions of each document, newest first. */
function inChains(documents: Map<string, Known>, newer: Map<string, Set<string>>): Map<string, string[]> {
  const beside = new Map<string, Set<string>>();
  for (const [old, news] of newer) {
    for (const one of news) {
      into(beside, old, one);
      into(beside, one, old);
    }
  }
  const found = new Map<string, string[]>();
  for (const start of documents.keys()) {
    if (found.has(start)) continue;
    const chain = new Set<string>();
    const ahead = [start];
    for (let key = ahead.pop(); key !== undefined; key = ahead.pop()) {
      if (chain.has(key)) continue;
      chain.add(key);
      ahead.push(...(beside.get(key) ?? []));
    }
    const ordered = newestFirst(chain, documents, newer);
    for (const key of chain) found.set(key, ordered);
  }
  return found;
}

/** What replaces stands before what it replaces; else by when it was made, then by key. */
function newestFirst(chain: Set<string>, documents: Map<string, Known>, newer: Map<string, Set<string>>): string[] {
  const olds = new Map<string, string[]>();
  const waits = new Map<string, number>(); // for how many that replace it
  for (const key of chain) {
    const above = [...(newer.get(key) ?? [])];
    waits.set(key, above.length);
    for (const one of above) {
      const below = olds.get(one);
      if (below === undefined) olds.set(one, [key]);
      else below.push(key);
    }
  }
  const ordered: string[] = [];
  let free = [...chain].filter((key) => waits.get(key) === 0);
  while (free.length > 0) {
    free.sort((one, other) => order(documents.get(other)!.made, documents.get(one)!.made) || order(other, one));
    ordered.push(...free);
    const next: string[] = [];
    for (const old of free.flatMap((key) => olds.get(key) ?? [])) {
      waits.set(old, waits.get(old)! - 1);
      if (waits.get(old) === 0) next.push(old);
    }
    free = next;
  }
  return ordered;
}
