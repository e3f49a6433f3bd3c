// What is made of the record for professionals: one document sent, a prescription to a pharmacy, a renewal asked, a
// summary of the profile. In a chunk of its own.
//
// Invariants: what is sent was chosen by `forProfessional` (in the worker, where all of it is known) and nothing else is
// added to it; a document whose letter carries others goes alone, without the archive that holds them; what it replaces
// is not named.
import { newItem } from "../worker/record/manifest.ts";
import type { Item, Manifest } from "../worker/record/manifest_model.ts";
import type { Contents, Known } from "../worker/record/protocol.ts";
import { Refused, type Letter, type Person, type Sent } from "./contract.ts";
import { letterToOpen, ownId } from "./items.ts";
import { jmap } from "./jmap.ts";
import { emails, mail } from "./mail.ts";
import { properties, type WireEmail } from "./mail_wire.ts";
import { sendDraft } from "./mail_send.ts";
import { language } from "./record_language.ts";
import { askRecord } from "./record_link.ts";

const DAYS = 8 * 86_400_000; // a renewal is waited for so long
const RENEWAL = "renewal";

type Undoable = Pick<Sent, "undo" | "until">;

const asFile = ({ name, type, data }: Contents["parts"][number]): File => new File([data], name, { type });

interface Packed {
  files: File[];
  item: Item;
  patient: string;
}

/** A document's own files, and its item with the place it gets in the new letter. Raises Refused("masked"). */
async function packed(id: string, from: number): Promise<Packed & { known: Known }> {
  const found = await askRecord("sendable", { id, language: language() });
  if (found === null) throw new Refused("masked");
  const { known, alone } = found;
  const letter = await letterToOpen(known.letter!);
  const { parts, body } = await askRecord("contents", { letter, item: known.item! }, [letter.data]);
  const [itself] = parts;
  const archive = parts.find((one) => one.role === "archive");
  const inside = "file" in body && body.file > 0 ? [parts[body.file]!] : [];
  const whole = alone && archive !== undefined;
  const sent = whole ? [archive, ...parts.filter((one) => one.role === "copy")] : [itself!, ...(alone ? parts.filter((one) => one.role === "copy") : inside)];
  const item = { ...known.item!, part: String(from), entry: whole ? known.item!.entry : "", replaces: [], flags: [] };
  return { known, files: sent.map(asFile), item, patient: known.letter!.manifest.patient };
}

export async function share({ ids, to, subject, text }: { ids: string[]; to: string; subject: string; text: string }): Promise<Undoable> {
  const files: File[] = [];
  const items: Item[] = [];
  const patients = new Set<string>();
  for (const id of ids) {
    const one = await packed(id, 2 + files.length); // part 1 is the text
    files.push(...one.files);
    items.push(one.item);
    if (one.patient !== "") patients.add(one.patient);
  }
  const manifest: Manifest = { items, patient: patients.size === 1 ? [...patients][0]! : "", flags: [], cut: 0 };
  return sendDraft({ to: [to], subject, text, files, inReplyTo: null }, manifest);
}

// ------------------------------------------------------------------------------------------------ prescriptions

/** To whom it came from, in the conversation it came in. */
export async function askRenewal(id: string, text: string): Promise<void> {
  const found = await askRecord("sendable", { id, language: language() });
  if (found === null) throw new Refused("masked");
  const { line, letter } = found.known;
  const answered = await fetched(letter!.id);
  const target = found.known.item!.id;
  const stamp = new Date().toISOString();
  const item = newItem({ kind: "decision", id: `urn:uuid:${crypto.randomUUID()}`, decision: RENEWAL, targets: [target], stamp, made: stamp });
  const title = language() === "fr" ? "Demande de renouvellement\u00a0: " : "Renewal request: ";
  const draft = { to: [line.from.address], subject: `${title}${line.title}`, text, files: [], inReplyTo: answered };
  await sendDraft(draft, { items: [item], patient: "", flags: [], cut: 0 });
}

async function fetched(id: string): Promise<Letter> {
  const made = await jmap([["Email/get", { accountId: ownId(), ids: [id], properties: properties(false) }, "g"]]);
  const [email] = (made.get("g")?.["list"] ?? []) as WireEmail[];
  if (email === undefined) throw new Refused("no-such-letter");
  emails.set(id, { ...emails.get(id), ...email });
  return { id } as Letter; // sending looks up the rest by it
}

export async function renewal(id: string): Promise<{ askedAt: number; until: number } | null> {
  const { item } = await askRecord("document", { id, language: language() });
  const [asked] = await askRecord("asked", { decision: RENEWAL, id: item?.id ?? id });
  if (asked === undefined) return null;
  return (await answeredSince(asked)) ? null : { askedAt: asked.at, until: asked.at + DAYS };
}

async function answeredSince({ threadId, to, at }: { threadId: string; to: string[]; at: number }): Promise<boolean> {
  const made = await jmap([
    ["Thread/get", { accountId: ownId(), ids: [threadId] }, "t"],
    ["Email/get", { accountId: ownId(), "#ids": { resultOf: "t", name: "Thread/get", path: "/list/*/emailIds" }, properties: ["id", "from", "receivedAt"] }, "g"],
  ]);
  const list = (made.get("g")?.["list"] ?? []) as Pick<WireEmail, "id" | "from" | "receivedAt">[];
  const theirs = to.map((one) => one.toLowerCase());
  return list.some((one) => Date.parse(one.receivedAt) > at && theirs.includes((one.from?.[0]?.email ?? "").toLowerCase()));
}

/** Who is a pharmacy, by the server's word or by what it sent, and may be written to. */
export async function pharmacies(): Promise<Person[]> {
  const [known, correspondents] = await Promise.all([askRecord("pharmacies", null), mail.correspondents()]);
  const closed = new Set(correspondents.filter((one) => !one.open).map((one) => one.person.address.toLowerCase()));
  const all = [...correspondents.filter((one) => one.pharmacy).map((one) => one.person), ...known];
  const found = new Map(all.map((one) => [one.address.toLowerCase(), one]));
  return [...found].filter(([address]) => !closed.has(address)).map(([, person]) => person);
}

// ------------------------------------------------------------------------------------------------------ summary

export async function summaryFor(to: string, text: string): Promise<Undoable> {
  const entries = await askRecord("profileForProfessional", { language: language() });
  const { summarised } = await import("./record_summary.ts");
  const { bundle, words, title, id, hash } = await summarised(entries, language());
  const stamp = new Date().toISOString();
  const file = new File([bundle], "profile.json", { type: "application/fhir+json" });
  const item = newItem({ kind: "fhir", id, type: "60591-5", class: "11", title, at: stamp, made: stamp, part: "2", hash, size: file.size });
  const whole = [text.trim(), words].filter((one) => one !== "").join("\n\n");
  return sendDraft({ to: [to], subject: title, text: whole, files: [file], inReplyTo: null }, { items: [item], patient: "", flags: [], cut: 0 });
}
