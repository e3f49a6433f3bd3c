// Who is unlocked in this worker: the account key, the secret keys under it, and where this device keeps things.
//
// Invariants: the account key and the secret keys never leave the worker but wrapped; nothing is kept on the device
// unless the person said it is theirs (`persist`); `forget` leaves nothing, in memory or on the device.
import { base64, fromBase64, random, type Bytes } from "../lib/bytes.ts";
import { aesKey, hkdf } from "./derive.ts";
import { Failed } from "./failed.ts";
import type { PrivateKey, PublicKey } from "./openpgp.ts";
import type { NewKey, Unlocked, WrappedKey } from "./protocol.ts";
import { whole, type Library } from "./reading.ts";
import { deviceStorage, MemoryStorage, wipeDevice, type Storage } from "./storage.ts";
import * as wraps from "./wraps.ts";

interface DeviceSlot {
  account: string;
  key: CryptoKey; // not extractable: the browser uses it and shows it to nobody
  wrapped: Bytes;
}

const LOCKED: Unlocked = { unlocked: false, readable: [] };

async function deviceSlot(storage: Storage): Promise<DeviceSlot | undefined> {
  const [slot] = await storage.get("slot", ["device"]);
  return slot as DeviceSlot | undefined;
}

export interface Own {
  fingerprint: string;
  current: boolean;
  key: PrivateKey;
}

export class Keyring {
  account = "";
  storage: Storage = new MemoryStorage();
  private ak: Bytes | null = null;
  private readonly secrets = new Map<string, Bytes>();
  private known: WrappedKey[] = [];
  private readonly parsed = new Map<Library, Promise<Own[]>>();
  private readonly derived = new Map<string, Promise<CryptoKey>>();

  get unlocked(): boolean {
    return this.ak !== null;
  }

  /** A fresh account key: an account begins here, or begins anew. */
  begin(account: string): void {
    this.drop();
    this.account = account;
    this.ak = random(32);
  }

  async unlock(account: string, kek: CryptoKey, wrapped: Bytes, keys: WrappedKey[], persist: boolean): Promise<Unlocked> {
    const ak = await wraps.unwrap(kek, wrapped, wraps.accountKey(account));
    this.drop();
    this.account = account;
    this.ak = ak;
    if (persist) await this.persist();
    return this.take(keys);
  }

  /** With what an earlier visit left on this device. */
  async unlockDevice(account: string, keys: WrappedKey[]): Promise<Unlocked> {
    if (this.unlocked && this.account === account) return this.take(keys);
    try {
      const storage = await deviceStorage();
      const slot = await deviceSlot(storage);
      if (slot === undefined || slot.account !== account) return LOCKED;
      const ak = await wraps.unwrap(slot.key, slot.wrapped, wraps.deviceKey(account));
      this.drop();
      this.account = account;
      this.ak = ak;
      this.storage = storage;
    } catch {
      return LOCKED;
    }
    return this.take(keys);
  }

  /** From now on this device keeps a slot of its own, and caches. Whatever another account left here goes. */
  async persist(): Promise<void> {
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const wrapped = await wraps.wrap(key, this.accountKey(), wraps.deviceKey(this.account));
    const slot: DeviceSlot = { account: this.account, key, wrapped };
    try {
      const storage = await deviceStorage();
      const before = await deviceSlot(storage);
      if (before !== undefined && before.account !== this.account) await wipeDevice();
      await storage.put("slot", [["device", slot]]);
      this.storage = storage;
    } catch {
      this.storage = new MemoryStorage(); // no room, or storage refused: this visit only
    }
  }

  /** The keys as the server holds them; those whose secret opens become usable. */
  async take(keys: WrappedKey[]): Promise<Unlocked> {
    const ak = await aesKey(this.accountKey());
    this.known = keys;
    this.secrets.clear();
    this.parsed.clear();
    for (const { fingerprint, wrappedSecret } of keys) {
      if (wrappedSecret === null) continue;
      const what = wraps.secretKey(fingerprint);
      const secret = await wraps.unwrap(ak, fromBase64(wrappedSecret), what).catch(() => null);
      if (secret !== null) this.secrets.set(fingerprint, secret);
    }
    return { unlocked: true, readable: [...this.secrets.keys()] };
  }

  /** The account key under another key: a slot. */
  async slot(kek: CryptoKey): Promise<Bytes> {
    return wraps.wrap(kek, this.accountKey(), wraps.accountKey(this.account));
  }

  async wrapSecret(fingerprint: string, secret: Bytes): Promise<string> {
    return base64(await wraps.wrap(await aesKey(this.accountKey()), secret, wraps.secretKey(fingerprint)));
  }

  /** A key just made or imported is usable before the server has it: it must answer the challenge. */
  async add(fingerprint: string, certificate: Bytes, secret: Bytes): Promise<NewKey> {
    const made = { certificate: base64(certificate), wrappedSecret: await this.wrapSecret(fingerprint, secret) };
    this.known = [...this.known.map((one) => ({ ...one, current: false })), { fingerprint, current: true, ...made }];
    this.secrets.set(fingerprint, secret);
    this.parsed.clear();
    return made;
  }

  secret(fingerprint: string): Bytes {
    const found = this.secrets.get(fingerprint);
    if (found === undefined) throw new Failed("locked");
    return found;
  }

  /** Own secret keys, read once by each library: the whole one unless another is named. */
  async own(library?: Library): Promise<Own[]> {
    const by = library ?? (await whole());
    const found = this.parsed.get(by) ?? this.parse(by);
    this.parsed.set(by, found);
    return found;
  }

  private async parse({ readPrivateKey }: Library): Promise<Own[]> {
    const made: Own[] = [];
    for (const { fingerprint, current } of this.known) {
      const binaryKey = this.secrets.get(fingerprint);
      if (binaryKey === undefined) continue;
      const key = await readPrivateKey({ binaryKey }).catch(() => null);
      if (key !== null) made.push({ fingerprint, current, key });
    }
    return made;
  }

  async current(): Promise<PrivateKey> {
    const found = (await this.own()).find((one) => one.current);
    if (found === undefined) throw new Failed("locked");
    return found.key;
  }

  async certificates(): Promise<PublicKey[]> {
    return (await this.own()).map((one) => one.key.toPublic());
  }

  /** A key of its own for each thing this device keeps. */
  storageKey(name: "lines" | "index" | "items"): Promise<CryptoKey> {
    let key = this.derived.get(name);
    if (key === undefined) {
      key = hkdf(this.accountKey(), `vaguemestre/${name}/v1`).then(aesKey);
      this.derived.set(name, key);
    }
    return key;
  }

  async forget(): Promise<void> {
    this.drop();
    await wipeDevice();
  }

  private drop(): void {
    this.ak?.fill(0);
    for (const secret of this.secrets.values()) secret.fill(0);
    this.ak = null;
    this.account = "";
    this.secrets.clear();
    this.known = [];
    this.parsed.clear();
    this.derived.clear();
    this.storage = new MemoryStorage();
  }

  private accountKey(): Bytes {
    if (this.ak === null) throw new Failed("locked");
    return this.ak;
  }
}
