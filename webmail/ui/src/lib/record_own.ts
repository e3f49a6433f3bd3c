// What patients put into their record themselves: files, profile entries, and what they decide about items. Each is a
// letter to oneself; taking one out destroys it.
//
// Invariants: nothing of it is told outside the seal; a decision about a document names all its versions; a later word
// about the same thing wins, by the time it was said.
import { newItem } from "../worker/record/manifest.ts";
import { resourceOf } from "../worker/record/resources.ts";
import { hex, utf8 } from "./bytes.ts";
import { Refused } from "./contract.ts";
import { dropOwn, items, keepOwn, type Item } from "./items.ts";
import { mail } from "./mail.ts";
import type { ProfileDraft } from "./record_contract.ts";
import { language } from "./record_language.ts";
import { askRecord } from "./record_link.ts";

const DETAIL = 2000; // characters of an entry
const TARGETS = 20; // of one decision

const uuid = (): string => `urn:uuid:${crypto.randomUUID()}`;
const now = (): string => new Date().toISOString();
const hashOf = async (octets: BufferSource): Promise<string> => hex(new Uint8Array(await crypto.subtle.digest("SHA-256", octets)));

export async function add({ file, type, title, date }: { file: File; type: string; title: string; date: string }): Promise<string> {
  const prepared = await mail.prepare(file);
  const data = await prepared.arrayBuffer();
  const about = { kind: "file", id: uuid(), type, class: "90", title, at: date, made: now(), stamp: now(), part: "2", hash: await hashOf(data), size: data.byteLength };
  const item = newItem({ ...about, setting: "EXP_PATIENT" });
  await keepOwn({ class: "record", subject: title, text: title, files: [{ name: prepared.name, type: prepared.type, data }], items: [item] });
  return item.id;
}

export async function remove(id: string): Promise<void> {
  const { line, ways } = await askRecord("document", { id, language: language() });
  if (!line.own) throw new Refused("not-own");
  await dropOwn(ways.filter((one) => one.way === "own").map((one) => one.id));
}

// --------------------------------------------------------------------------------------------------- decisions

const WORDS: Record<string, string> = { mask: "Masqué", unmask: "Démasqué", archive: "Archivé", unarchive: "Désarchivé" };

/** One letter for up to twenty targets. A decision taken back leaves no trace of itself where it stood alone. */
export async function decide(decision: "mask" | "unmask" | "archive" | "unarchive", targets: string[]): Promise<void> {
  for (let at = 0; at < targets.length; at += TARGETS) {
    const item = newItem({ kind: "decision", id: uuid(), decision, targets: targets.slice(at, at + TARGETS), stamp: now(), made: now() });
    await keepOwn({ class: "record", subject: WORDS[decision]!, text: WORDS[decision]!, files: [], items: [item] });
  }
  await forgetOvertaken();
}

/** Decisions that later ones about all the same targets overtook say nothing any more. */
async function forgetOvertaken(): Promise<void> {
  const found = (await items(["decision"])).filter(({ item, letter }) => letter.way === "own" && letter.manifest.items.length === 1 && KIND[item.decision] !== undefined);
  const later = (a: Item, b: Item): boolean => KIND[a.decision] === KIND[b.decision] && a.stamp > b.stamp;
  const overtaken = found.filter(({ item }) => item.targets.every((one) => found.some((other) => later(other.item, item) && other.item.targets.includes(one))));
  await dropOwn(overtaken.map(({ letter }) => letter.id));
}

const KIND: Record<string, string> = { mask: "mask", unmask: "mask", archive: "archive", unarchive: "archive" };

// ----------------------------------------------------------------------------------------------------- entries

async function write(draft: ProfileDraft, id: string): Promise<void> {
  const { area, name, detail, date } = draft;
  if (detail.length > DETAIL || name.length > DETAIL / 4) throw new Refused("entry-too-long");
  if (area !== "measures" && name.trim() === "") throw new Refused("entry-empty");
  const resource = JSON.stringify(resourceOf(draft, id.replace("urn:uuid:", "")));
  const data = utf8(resource).buffer;
  const about = { kind: "entry", id, type: resourceOf(draft, "").resourceType, class: area, title: name.slice(0, 200), at: date, made: now(), stamp: now() };
  const item = newItem({ ...about, part: "2", hash: await hashOf(data), size: data.byteLength, resource });
  const text = [name, detail, date].filter((one) => one !== "").join("\n");
  await keepOwn({ class: "record", subject: name || area, text, files: [{ name: "entry.json", type: "application/fhir+json", data }], items: [item] });
}

export const addEntry = (draft: ProfileDraft): Promise<void> => write(draft, uuid());

/** The new words are kept before the old ones go. */
export async function changeEntry(id: string, draft: ProfileDraft): Promise<void> {
  const { letters } = await askRecord("entry", { id, language: language() });
  if (letters.length === 0) throw new Refused("not-own");
  await write(draft, id);
  await dropOwn(letters);
}

export async function removeEntry(id: string): Promise<void> {
  const { letters } = await askRecord("entry", { id, language: language() });
  if (letters.length === 0) throw new Refused("not-own");
  await dropOwn(letters);
}

export async function maskEntry(id: string, masked: boolean): Promise<void> {
  const { ids } = await askRecord("entry", { id, language: language() });
  await decide(masked ? "mask" : "unmask", ids.length === 0 ? [id] : ids);
}
