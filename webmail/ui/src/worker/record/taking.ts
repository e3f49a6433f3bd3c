// Letters taken into the index: by their sealed summary, which names their items, or by opening them.
//
// Invariants: items are believed from a summary only when the gateway or the holder's own key signed it, else the letter
// itself is opened and its items drawn from what lies in it; a letter that cannot be opened is no item, and never raises;
// where a part of the page could not be fetched, nothing is said of the letter (Failed "offline"): it is looked at again.
import { fromBase64, fromUtf8 } from "../../lib/bytes.ts";
import type { Person, Signature } from "../../lib/contract.ts";
import { readCertificate } from "../certificates.ts";
import { Failed, ofLetter } from "../failed.ts";
import type { Keyring } from "../keyring.ts";
import { openWhole, shown, type Whole } from "../open.ts";
import type { LetterToOpen } from "../protocol.ts";
import { HIDDEN, keyIds as idsOf, openMessage, reading, type Library } from "../reading.ts";
import { drawn } from "./drawn.ts";
import type { Letters } from "./letters.ts";
import { manifestOf, tells } from "./manifest.ts";
import type { Manifest } from "./manifest_model.ts";
import type { Kept, LetterFacts, Way, Whose } from "./protocol.ts";

export const NO_ITEMS: Manifest = { items: [], patient: "", flags: [], cut: 0 };
const SLICE = 10; // summaries opened at once

type Sealed = LetterFacts & { summary: string | null };
type Outcome = { kept: Kept } | { nothing: string } | { open: string };

/** Takes them in; answers with those that must be opened for it. */
export async function take(keyring: Keyring, letters: Letters, given: Sealed[], whose: Whose): Promise<string[]> {
  const made: Outcome[] = [];
  for (let at = 0; at < given.length; at += SLICE) {
    made.push(...(await Promise.all(given.slice(at, at + SLICE).map((one) => ofSummary(keyring, one, whose)))));
  }
  await letters.keep({
    put: made.flatMap((one) => ("kept" in one ? one.kept : [])),
    nothing: made.flatMap((one) => ("nothing" in one ? one.nothing : [])),
  });
  return made.flatMap((one) => ("open" in one ? one.open : []));
}

export function wayOf({ from, to }: LetterFacts, { own }: Whose): Way {
  const mine = (address: string): boolean => own.some((one) => one.toLowerCase() === address.toLowerCase());
  if (!mine(from.address)) return "in";
  return to.length > 0 && to.every(mine) ? "own" : "out";
}

function keptOf(facts: LetterFacts & { summary?: unknown }, whose: Whose, about: Pick<Kept, "subject" | "signature" | "manifest"> & { from: string }): Kept {
  const { summary: _, ...told } = facts;
  const { from, ...rest } = about;
  const name = from !== "" && !from.includes("@") ? from : told.from.name;
  return { ...told, from: { ...told.from, name }, way: wayOf(facts, whose), locked: false, ...rest };
}

const lockedOf = (facts: Sealed, whose: Whose): Outcome =>
  facts.class === "" ? { nothing: facts.id } : { kept: { ...keptOf(facts, whose, { subject: "", signature: "unknown", manifest: NO_ITEMS, from: "" }), locked: true } };

async function ofSummary(keyring: Keyring, facts: Sealed, whose: Whose): Promise<Outcome> {
  try {
    return await reading(async (library): Promise<Outcome> => {
      const keys = (await keyring.own(library)).map((one) => one.key);
      const mine = idsOf(keys);
      const ours = facts.keyIds.length === 0 || facts.keyIds.some((one) => one === HIDDEN || mine.has(one.toUpperCase()));
      if (!ours) return lockedOf(facts, whose);
      if (facts.summary === null) return { open: facts.id };
      const who = await certificates(library, whose);
      const { data, signatures } = await openMessage(library, fromBase64(facts.summary), keys, [...who.own, ...who.gateway]);
      const told = JSON.parse(fromUtf8(data)) as { subject?: unknown; from?: unknown; manifest?: unknown };
      // What the server did not seal may carry items that its short summary does not tell of.
      if (told.manifest === undefined) return facts.class === "" ? { nothing: facts.id } : { open: facts.id };
      const signature = await signedBy(signatures, who);
      const manifest = manifestOf(told.manifest);
      if (signature === null || manifest === null) return { open: facts.id };
      if (!tells(manifest)) return { nothing: facts.id };
      return { kept: keptOf(facts, whose, { subject: String(told.subject ?? ""), from: String(told.from ?? ""), signature, manifest }) };
    });
  } catch (failure) {
    return failure instanceof Failed && failure.slug === "locked" ? lockedOf(facts, whose) : { open: facts.id };
  }
}

interface Certificates {
  own: NonNullable<Awaited<ReturnType<typeof readCertificate>>>[];
  gateway: NonNullable<Awaited<ReturnType<typeof readCertificate>>>[];
}

async function certificates(library: Library, { certificates: own, gateway }: Whose): Promise<Certificates> {
  const parse = async (all: string[]) => (await Promise.all(all.map((one) => readCertificate(one, library)))).filter((one) => one !== null);
  return { own: await parse(own), gateway: await parse(gateway === "" ? [] : [gateway]) };
}

/** "author": the holder's own key; null: nobody whose word counts here. */
async function signedBy(signatures: Awaited<ReturnType<typeof openMessage>>["signatures"], who: Certificates): Promise<Signature | null> {
  for (const { keyID, verified } of signatures) {
    const own = who.own.some((one) => one.getKeys(keyID).length > 0);
    const gateway = who.gateway.some((one) => one.getKeys(keyID).length > 0);
    if ((own || gateway) && (await verified.catch(() => false))) return own ? "author" : "gateway";
  }
  return null;
}

/** Takes in a letter by opening it. */
export async function draw(keyring: Keyring, letters: Letters, facts: LetterFacts, letter: LetterToOpen, whose: Whose): Promise<void> {
  let whole: Whole;
  try {
    whole = await openWhole(keyring, letter);
  } catch (failure) {
    ofLetter(failure);
    const locked = failure instanceof Failed && failure.slug === "locked";
    const made = locked ? lockedOf({ ...facts, summary: null }, whose) : { nothing: facts.id };
    await letters.keep("kept" in made ? { put: [made.kept] } : { nothing: [facts.id] });
    return;
  }
  const { from, subject } = shown(whole);
  const manifest = await drawn(whole).catch(ofLetter);
  const name = (from as Person | null)?.name ?? "";
  if (manifest === null || !tells(manifest)) await letters.keep({ nothing: [facts.id] });
  else await letters.keep({ put: [keptOf(facts, whose, { subject, from: name, signature: whole.signature, manifest })] });
}
