// A ZIP of a stranger, read whole in memory and believed in nothing: the twin of `mail_server/payloads/record/archive.py`,
// with its limits and its verdicts. fflate unpacks, a piece at a time, never beyond the size that the directory states.
import { Inflate } from "fflate";
import { latin1, utf8 } from "../../lib/bytes.ts";
import { RecordRefused } from "./refusal.ts";

export const LIMIT = 32 * 1024 * 1024; // octets of the archive
export const TOTAL = 64 * 1024 * 1024; // octets of all its files
export const RATIO = 200; // how much smaller a file may be packed, beyond the first SMALL octets
export const SMALL = 1024 * 1024;
export const FILES = 500;
export const NAME = 240;

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;
const ENCRYPTED = 0x0001 | 0x0040 | 0x2000; // APPNOTE 4.4.4: encrypted, strongly, or the directory itself
const DEFERRED = 0x0008; // sizes stand after the data
const UTF8 = 0x0800;

interface Entry {
  name: string;
  raw: Uint8Array;
  folder: boolean;
  flags: number;
  method: number;
  crc: number;
  packed: number;
  size: number;
  offset: number;
}

interface Place {
  at: number;
  start: number;
  end: number;
}

const refused = (slug: string): RecordRefused => new RecordRefused(slug);

/** Its files by name, in the order of its directory. Raises RecordRefused. */
export function readZip(data: Uint8Array): Map<string, Uint8Array> {
  if (data.length > LIMIT) throw refused("zip-too-large");
  try {
    return read(data);
  } catch (error) {
    // A figure read beyond the end.
    throw error instanceof RecordRefused ? error : refused("zip-broken");
  }
}

function read(data: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const directory = directoryOf(data, view);
  const entries = entriesOf(data, view, directory);
  checkNames(entries);
  checkSizes(entries);
  const places = entries.map((entry) => placeOf(data, view, entry, directory.start));
  checkPlaces(view, places, directory.start);
  const files = new Map<string, Uint8Array>();
  entries.forEach((entry, at) => {
    if (!entry.folder) files.set(entry.name, unpacked(data, entry, places[at]!.start));
  });
  return files;
}

const is = (view: DataView, at: number, signature: number): boolean =>
  at >= 0 && at + 4 <= view.byteLength && view.getUint32(at, true) === signature;

/** A figure of eight octets; what no file can be as large as is too large. */
function wide(view: DataView, at: number): number {
  const figure = view.getBigUint64(at, true);
  return figure > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(figure);
}

/** Where the central directory lies (APPNOTE 4.3.16), with ZIP64's figures where they are needed (4.3.14). */
function directoryOf(data: Uint8Array, view: DataView): { start: number; end: number; entries: number } {
  let at = data.length - 4;
  const first = Math.max(0, data.length - 22 - FULL16);
  while (at >= first && !is(view, at, END)) at--;
  if (at < first || !(is(view, 0, LOCAL) || is(view, 0, END))) throw refused("zip-broken");
  const disk = view.getUint16(at + 4, true);
  const firstDisk = view.getUint16(at + 6, true);
  let here = view.getUint16(at + 8, true);
  let entries = view.getUint16(at + 10, true);
  let size = view.getUint32(at + 12, true);
  let start = view.getUint32(at + 16, true);
  const after = at + 22 + view.getUint16(at + 20, true);
  if (after > data.length || data.length - after > 16) throw refused("zip-broken");
  if (data.subarray(after).some((octet) => octet !== 13 && octet !== 10 && octet !== 0 && octet !== 32)) throw refused("zip-broken");
  let end = at;
  const located = at >= 20 && is(view, at - 20, LOCATOR64);
  if (here === FULL16 || entries === FULL16 || size === FULL32 || start === FULL32 || located) {
    if (!located) throw refused("zip-lie");
    end = wide(view, at - 12);
    if (view.getUint32(at - 16, true) !== 0 || view.getUint32(at - 4, true) > 1) throw refused("zip-lie");
    if (end + 56 > at - 20 || !is(view, end, END64)) throw refused("zip-lie");
    const true_ = [wide(view, end + 24), wide(view, end + 32), wide(view, end + 40), wide(view, end + 48)] as const;
    const agrees = (told: number, figure: number): boolean => told === figure || told === FULL16 || told === FULL32;
    const agreed = [here, entries, size, start].every((told, which) => agrees(told, true_[which]!));
    if (view.getUint32(end + 16, true) !== 0 || view.getUint32(end + 20, true) !== 0 || !agreed) throw refused("zip-lie");
    [here, entries, size, start] = true_;
  } else if (disk !== 0 || firstDisk !== 0) throw refused("zip-parts");
  if (here !== entries) throw refused("zip-parts");
  if (start + size !== end) throw refused("zip-lie");
  if (entries > FILES) throw refused("zip-too-many");
  return { start, end, entries };
}

function entriesOf(data: Uint8Array, view: DataView, directory: { start: number; end: number; entries: number }): Entry[] {
  const found: Entry[] = [];
  let at = directory.start;
  for (let count = 0; count < directory.entries; count++) {
    if (!is(view, at, ENTRY) || at + 46 > directory.end) throw refused("zip-lie");
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const after = extraEnd + view.getUint16(at + 32, true);
    if (after > directory.end) throw refused("zip-lie");
    if ((flags & ENCRYPTED) !== 0 || method === 99) throw refused("zip-encrypted");
    if (method !== 0 && method !== 8) throw refused("zip-method");
    const kind = view.getUint32(at + 38, true) >>> 28; // of a Unix file: 4 a folder, 8 a file
    if (kind !== 0 && kind !== 4 && kind !== 8) throw refused("zip-link");
    const raw = data.subarray(at + 46, nameEnd);
    const extras = data.subarray(nameEnd, extraEnd);
    const narrow = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)] as const;
    const [size, packed, offset] = widened(extras, narrow);
    const disk = view.getUint16(at + 34, true);
    if (disk !== 0 && disk !== FULL16) throw refused("zip-parts");
    const name = nameOf(raw, flags, extras);
    found.push({ name, raw, folder: name.endsWith("/"), flags, method, crc: view.getUint32(at + 16, true), packed, size, offset });
    at = after;
  }
  if (at !== directory.end) throw refused("zip-lie");
  return found;
}

function extraOf(extras: Uint8Array, wanted: number): Uint8Array | null {
  const view = new DataView(extras.buffer, extras.byteOffset, extras.byteLength);
  for (let at = 0; at + 4 <= extras.length; ) {
    const size = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === wanted) return extras.subarray(at + 4, at + 4 + size);
    at += 4 + size;
  }
  return null;
}

type Figures = readonly [number, number, number];

/** Size, packed size and offset, each from the ZIP64 field where the narrow one is full (APPNOTE 4.5.3). */
function widened(extras: Uint8Array, narrow: Figures): Figures {
  if (!narrow.includes(FULL32)) return narrow;
  const field = extraOf(extras, 0x0001) ?? new Uint8Array();
  const view = new DataView(field.buffer, field.byteOffset, field.byteLength);
  let at = 0;
  const one = (figure: number): number => {
    if (figure !== FULL32) return figure;
    if (at + 8 > field.length) throw refused("zip-lie");
    at += 8;
    return wide(view, at - 8);
  };
  return [one(narrow[0]), one(narrow[1]), one(narrow[2])];
}

function nameOf(raw: Uint8Array, flags: number, extras: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    if ((flags & UTF8) !== 0) throw refused("zip-name");
    text = latin1(raw);
  }
  const other = extraOf(extras, 0x7075)?.subarray(5); // Info-ZIP's Unicode path: version, CRC, name
  if (other !== undefined && !same(other, utf8(text))) throw refused("zip-name");
  text = text.replaceAll("\\", "/");
  if (text.startsWith("/") || /^[A-Za-z]:/.test(text)) throw refused("zip-absolute");
  const parts = text.split("/");
  if (parts.includes("..")) throw refused("zip-slip");
  if (/[\x00-\x1f\x7f:]/.test(text) || [...text].length > NAME) throw refused("zip-name");
  const kept = parts.filter((part) => part !== "" && part !== ".").join("/");
  if (kept === "") throw refused("zip-name");
  return text.endsWith("/") ? `${kept}/` : kept;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, at) => octet === b[at]);

/** A name as it is compared: whatever the case of its ASCII letters. */
export const folded = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function checkNames(entries: readonly Entry[]): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    const name = folded(entry.folder ? entry.name.slice(0, -1) : entry.name);
    if (seen.has(name)) throw refused("zip-duplicate");
    seen.add(name);
  }
}

function checkSizes(entries: readonly Entry[]): void {
  let total = 0;
  for (const entry of entries) {
    total += entry.size;
    if (entry.size > SMALL && entry.size > RATIO * entry.packed) throw refused("zip-bomb");
    if (entry.folder && (entry.size > 0 || entry.packed > 2)) throw refused("zip-lie");
    if (entry.method === 0 && entry.size !== entry.packed) throw refused("zip-lie");
  }
  if (total > TOTAL) throw refused("zip-bomb");
}

/** Where a file's header begins, its data, and where both end. The header must agree with the directory. */
function placeOf(data: Uint8Array, view: DataView, entry: Entry, directory: number): Place {
  const at = entry.offset;
  if (at + 30 > directory || !is(view, at, LOCAL)) throw refused("zip-disagree");
  const flags = view.getUint16(at + 6, true);
  const nameEnd = at + 30 + view.getUint16(at + 26, true);
  const start = nameEnd + view.getUint16(at + 28, true);
  let end = start + entry.packed;
  if ((flags & ENCRYPTED) !== 0) throw refused("zip-encrypted");
  if (end > directory) throw refused("zip-overlap");
  if (!same(data.subarray(at + 30, nameEnd), entry.raw) || view.getUint16(at + 8, true) !== entry.method) throw refused("zip-disagree");
  if (((flags ^ entry.flags) & DEFERRED) !== 0) throw refused("zip-disagree");
  const crc = view.getUint32(at + 14, true);
  const narrow = [view.getUint32(at + 22, true), view.getUint32(at + 18, true), 0] as const;
  const [size, packed] = widened(data.subarray(nameEnd, start), narrow);
  const told = crc === entry.crc && size === entry.size && packed === entry.packed;
  const nothing = crc === 0 && size === 0 && packed === 0;
  if (!told && !((flags & DEFERRED) !== 0 && nothing)) throw refused("zip-disagree");
  if ((flags & DEFERRED) !== 0) end += descriptor(view, end, entry, told);
  return { at, start, end };
}

/** How long the figures after a file's data are (APPNOTE 4.3.9); they must be true. */
function descriptor(view: DataView, at: number, entry: Entry, needless: boolean): number {
  for (const signed of [true, false])
    for (const long of [false, true]) {
      const from = signed ? at + 4 : at;
      const length = long ? 20 : 12;
      if (from + length > view.byteLength || (signed && !is(view, at, DESCRIPTOR))) continue;
      const packed = long ? wide(view, from + 4) : view.getUint32(from + 4, true);
      const size = long ? wide(view, from + 12) : view.getUint32(from + 8, true);
      if (view.getUint32(from, true) === entry.crc && packed === entry.packed && size === entry.size) return from + length - at;
    }
  if (needless) return 0;
  throw refused("zip-disagree");
}

/** No two files share an octet, and nothing that looks like a file lies where the directory names none. */
function checkPlaces(view: DataView, places: readonly Place[], directory: number): void {
  let before = 0;
  for (const place of [...places].sort((a, b) => a.at - b.at)) {
    if (place.at < before) throw refused("zip-overlap");
    if (place.at > before && is(view, before, LOCAL)) throw refused("zip-hidden");
    before = place.end;
  }
  if (before < directory && is(view, before, LOCAL)) throw refused("zip-hidden");
}

const PIECE = 16_384; // so that what one piece unpacks to (a thousandfold at most) stays bounded

function unpacked(data: Uint8Array, entry: Entry, start: number): Uint8Array {
  const packed = data.subarray(start, start + entry.packed);
  const made = entry.method === 0 ? packed.slice() : inflated(packed, entry.size);
  if (crc32(made) !== entry.crc) throw refused("zip-broken");
  return made;
}

function inflated(packed: Uint8Array, size: number): Uint8Array {
  const made = new Uint8Array(size);
  let at = 0;
  const inflate = new Inflate((piece) => {
    if (at + piece.length > size) throw refused("zip-lie");
    made.set(piece, at);
    at += piece.length;
  });
  // A stream that is empty is none, which fflate does not mind.
  if (packed.length === 0) throw refused("zip-broken");
  for (let from = 0; from < packed.length; from += PIECE) {
    const to = Math.min(from + PIECE, packed.length);
    inflate.push(packed.subarray(from, to), to === packed.length);
  }
  // What is left when the stream has ended: fflate does not tell, but keeps it.
  const { p: left, s: state } = inflate as unknown as { p: Uint8Array; s: { p: number } };
  if (left.length - (state.p > 0 ? 1 : 0) > 0 || at !== size) throw refused("zip-lie");
  return made;
}

const CRC = Uint32Array.from({ length: 256 }, (_, octet) => {
  let value = octet;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) !== 0 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(data: Uint8Array): number {
  let value = 0xffffffff;
  for (let at = 0; at < data.length; at++) value = CRC[(value ^ data[at]!) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
