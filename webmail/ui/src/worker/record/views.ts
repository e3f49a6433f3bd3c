// What is known of one document: its line, its other versions, the ways it came, what became of it, whom it was sent to.
import type { DocumentLine } from "../../lib/record_contract.ts";
import { Failed } from "../failed.ts";
import { forProfessional } from "../../lib/for_professional.ts";
import { ABOUT_ANOTHER } from "../../lib/record_holder.ts";
import type { Person } from "../../lib/contract.ts";
import { categoryOf } from "./categories.ts";
import { here, viewOf, type Found } from "./documents.ts";
import type { Language } from "./labels.ts";
import type { Letters } from "./letters.ts";
import { identity } from "./life_cycle.ts";
import type { Kept, Known } from "./protocol.ts";

export function known(letters: Letters, id: string, language: Language): Known {
  const view = viewOf(letters, language);
  const found = view.all.get(id) ?? view.listed.find((one) => one.line.id === id);
  if (found === undefined) throw new Failed("not-found");
  const { line, standing, ways } = found;
  const history = (standing?.history ?? []).flatMap((key) => view.all.get(key)?.line ?? []);
  const [first] = ways;
  return {
    line,
    item: first?.item ?? null,
    letter: first?.letter ?? null,
    ways: ways.map((one) => one.letter),
    history,
    tombstone: tombstone(letters, found),
    flags: [...new Set([...(line.about === "another" ? [ABOUT_ANOTHER] : []), ...(standing?.flags ?? []), ...ways.flatMap((one) => [...one.item.flags, ...one.letter.manifest.flags])])],
    sharedWith: sharedWith(letters, standing?.id ?? ""),
    ids: [...new Set([standing?.id ?? id, ...(standing?.history ?? []).map((key) => view.all.get(key)?.standing?.id ?? key)])],
  };
}

function tombstone(letters: Letters, { standing }: Found): Known["tombstone"] {
  const by = (standing?.withdrawnIn ?? []).flatMap((id) => letters.get(id) ?? []).sort((a, b) => a.at - b.at)[0];
  if (by === undefined) return null;
  // A reason is what its author gave as one: the subject of the letter says what is withdrawn, not why.
  const reason = by.manifest.items.find((one) => one.kind === "withdrawal")?.title ?? "";
  return { at: by.at, by: by.from, reason };
}

/** From what was sent from here. */
function sharedWith(letters: Letters, id: string): Known["sharedWith"] {
  if (id === "") return [];
  return [...letters.all()]
    .filter((one) => one.way === "out" && here(one) && one.manifest.items.some((item) => identity(item) === id))
    .flatMap((one) => one.to.map((address) => ({ person: { name: "", address }, at: one.at })))
    .sort((a, b) => b.at - a.at);
}

/** One document for a professional; `alone`: the archive it came in holds nothing else, and may go whole. */
export function sendable(letters: Letters, id: string, language: Language): { known: Known; alone: boolean } | null {
  const view = viewOf(letters, language);
  const all: DocumentLine[] = [...view.all.values()].map((one) => one.line);
  const [line] = forProfessional(all.filter((one) => one.id === id), all);
  if (line === undefined || line.id !== id) return null;
  const made = known(letters, id, language);
  if (made.item === null || made.letter === null) return null;
  const { part, entry } = made.item;
  const others = made.letter.manifest.items.filter((one) => one.part !== part || one.entry !== entry);
  return { known: { ...made, history: [], sharedWith: [] }, alone: others.length === 0 && made.letter.manifest.cut === 0 };
}

export function asked(letters: Letters, decision: string, id: string): Kept[] {
  const found = letters.items(["decision"]).filter(({ item, letter }) => letter.way === "out" && item.decision === decision && item.targets.includes(id));
  return found.map(({ letter }) => letter).sort((a, b) => b.at - a.at);
}

const PHARMACY = "SA33"; // JDV_J02: officine

export function pharmacies(letters: Letters): Person[] {
  const found = new Map<string, Person>();
  for (const letter of letters.all()) {
    const theirs = letter.way === "in" && letter.manifest.items.some((item) => item.facility === PHARMACY || categoryOf(item) === "dispensations");
    if (theirs) found.set(letter.from.address.toLowerCase(), letter.from);
  }
  return [...found.values()];
}
