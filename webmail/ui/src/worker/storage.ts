// What this device keeps between two visits, in IndexedDB. Everything but the device's own key is encrypted before
// it comes here. On a shared device nothing is kept: the same calls, in memory.

export type Store = "slot" | "lines" | "index" | "items";

export interface Storage {
  get(store: Store, keys: readonly string[]): Promise<unknown[]>;
  /** What is put as undefined is taken away. */
  put(store: Store, records: readonly (readonly [key: string, value: unknown])[]): Promise<void>;
  keys(store: Store): Promise<string[]>;
  clear(store: Store): Promise<void>;
}

const NAME = "vaguemestre";
const STORES: readonly Store[] = ["slot", "lines", "index", "items"];
const VERSION = 2; // 1: without "items"

export class MemoryStorage implements Storage {
  private readonly held = new Map<string, unknown>();

  async get(store: Store, keys: readonly string[]): Promise<unknown[]> {
    return keys.map((key) => this.held.get(`${store}/${key}`));
  }

  async put(store: Store, records: readonly (readonly [string, unknown])[]): Promise<void> {
    for (const [key, value] of records) {
      if (value === undefined) this.held.delete(`${store}/${key}`);
      else this.held.set(`${store}/${key}`, value);
    }
  }

  async keys(store: Store): Promise<string[]> {
    const start = `${store}/`;
    return [...this.held.keys()].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  }

  async clear(store: Store): Promise<void> {
    for (const key of await this.keys(store)) this.held.delete(`${store}/${key}`);
  }
}

class DatabaseStorage implements Storage {
  constructor(private readonly database: IDBDatabase) {}

  async get(store: Store, keys: readonly string[]): Promise<unknown[]> {
    const found = this.database.transaction(store).objectStore(store);
    return Promise.all(keys.map((key) => asked<unknown>(found.get(key))));
  }

  async put(store: Store, records: readonly (readonly [string, unknown])[]): Promise<void> {
    const transaction = this.database.transaction(store, "readwrite");
    const into = transaction.objectStore(store);
    for (const [key, value] of records) value === undefined ? into.delete(key) : into.put(value, key);
    return done(transaction);
  }

  async keys(store: Store): Promise<string[]> {
    const found = this.database.transaction(store).objectStore(store);
    return (await asked(found.getAllKeys())).map(String);
  }

  async clear(store: Store): Promise<void> {
    const transaction = this.database.transaction(store, "readwrite");
    transaction.objectStore(store).clear();
    return done(transaction);
  }
}

const asked = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const done = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });

let opening: Promise<Storage> | null = null;

/** The device's storage; memory where the browser has none to give (private windows, storage refused). */
export function deviceStorage(): Promise<Storage> {
  opening ??= openDatabase().catch(() => new MemoryStorage());
  return opening;
}

async function openDatabase(): Promise<Storage> {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    const { result } = request;
    for (const store of STORES) if (!result.objectStoreNames.contains(store)) result.createObjectStore(store);
  };
  const database = await asked(request);
  // Wiped from outside (logout clears the site's storage), or in another tab's way: the next call opens it anew.
  const closed = (): void => {
    database.close();
    opening = null;
  };
  database.onclose = closed;
  database.onversionchange = closed;
  return new DatabaseStorage(database);
}

/** Nothing of anybody stays. */
export async function wipeDevice(): Promise<void> {
  const storage = await deviceStorage();
  // A store that the browser wiped already cannot be cleared, and need not be.
  for (const store of STORES) await storage.clear(store).catch(() => undefined);
}
