// The lines of a list: opened summaries, kept on this device under a key of their own, so that yesterday's page shows
// at once. A letter's content never changes under its id, so a line never grows old.
import { fromBase64, fromUtf8, utf8, type Bytes } from "../lib/bytes.ts";
import { Failed } from "./failed.ts";
import type { Keyring } from "./keyring.ts";
import type { Line, OpenedLine, SealedLine } from "./protocol.ts";
import { HIDDEN, keyIds as idsOf, openMessage, reading, type Library } from "./reading.ts";
import { readSummary, summaryBytes } from "./summary.ts";
import { unwrap, wrap } from "./wraps.ts";

const memory = new Map<string, Line>();
const keyFor = (keyring: Keyring, id: string): string => `${keyring.account}/${id}`;
const what = (key: string): string => `vaguemestre/line/v1/${key}`;

export const forgetLines = (): void => memory.clear();

export async function lines(keyring: Keyring, letters: SealedLine[]): Promise<OpenedLine[]> {
  const found = await cached(keyring, letters.map((one) => one.id));
  const missing = letters.filter((one) => !found.has(one.id));
  const opened = missing.length === 0 ? [] : await Promise.all(missing.map((one) => reading((library) => openLine(library, keyring, one))));
  await keep(keyring, opened);
  const made = new Map(opened.map((one) => [one.id, one]));
  return letters.map(({ id }) => made.get(id) ?? { id, line: found.get(id) ?? null, locked: false });
}

export async function known(keyring: Keyring, ids: string[]): Promise<string[]> {
  return [...(await cached(keyring, ids)).keys()];
}

/** What came to be known of a letter when it was opened, for letters without a summary. */
export async function keepLine(keyring: Keyring, id: string, line: Line): Promise<void> {
  await keep(keyring, [{ id, line, locked: false }]);
}

async function cached(keyring: Keyring, ids: string[]): Promise<Map<string, Line>> {
  const found = new Map<string, Line>();
  const asked: string[] = [];
  for (const id of ids) {
    const line = memory.get(keyFor(keyring, id));
    if (line === undefined) asked.push(id);
    else found.set(id, line);
  }
  if (asked.length === 0) return found;
  const stored = await keyring.storage.get("lines", asked.map((id) => keyFor(keyring, id))).catch(() => []);
  const key = await keyring.storageKey("lines");
  await Promise.all(
    asked.map(async (id, at) => {
      if (!(stored[at] instanceof Uint8Array)) return;
      const clear = await unwrap(key, stored[at] as Bytes, what(keyFor(keyring, id))).catch(() => null);
      const line = clear === null ? null : readSummary(clear);
      if (line === null) return;
      memory.set(keyFor(keyring, id), line);
      found.set(id, line);
    }),
  );
  return found;
}

async function openLine(library: Library, keyring: Keyring, { id, summary, keyIds }: SealedLine): Promise<OpenedLine> {
  const keys = (await keyring.own(library)).map((one) => one.key);
  const mine = idsOf(keys);
  const ours = keyIds.length === 0 || keyIds.some((one) => one === HIDDEN || mine.has(one.toUpperCase()));
  if (!ours) return { id, line: null, locked: true };
  if (summary === null) return { id, line: null, locked: false };
  try {
    const { data } = await openMessage(library, fromBase64(summary), keys);
    return { id, line: readSummary(data), locked: false };
  } catch (failure) {
    return { id, line: null, locked: failure instanceof Failed && failure.slug === "locked" };
  }
}

async function keep(keyring: Keyring, opened: OpenedLine[]): Promise<void> {
  const key = await keyring.storageKey("lines");
  const records = await Promise.all(
    opened
      .filter((one) => one.line !== null)
      .map(async ({ id, line }) => {
        const name = keyFor(keyring, id);
        memory.set(name, line!);
        return [name, await wrap(key, summaryBytes(line!), what(name))] as const;
      }),
  );
  // Full or refused: the list still shows, and is opened again next time.
  if (records.length > 0) await keyring.storage.put("lines", records).catch(() => undefined);
}

/** Small things the page wants to know at its next start (ids of mailboxes). Encrypted as well. */
export async function remember(keyring: Keyring, name: string, value: string): Promise<null> {
  const record = `${keyring.account}/memo/${name}`;
  await keyring.storage
    .put("lines", [[record, await wrap(await keyring.storageKey("lines"), utf8(value), what(record))]])
    .catch(() => undefined);
  return null;
}

export async function recall(keyring: Keyring, name: string): Promise<string | null> {
  const record = `${keyring.account}/memo/${name}`;
  const [stored] = await keyring.storage.get("lines", [record]).catch(() => []);
  if (!(stored instanceof Uint8Array)) return null;
  const clear = await unwrap(await keyring.storageKey("lines"), stored as Bytes, what(record)).catch(() => null);
  return clear === null ? null : fromUtf8(clear);
}
