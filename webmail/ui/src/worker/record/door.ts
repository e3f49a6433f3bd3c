// What the worker does for the record and for the index behind the agenda, one function per question. In a chunk of its
// own, fetched with the first question.
import { numbersOf } from "../../lib/record_holder.ts";
import { Failed, ofLetter } from "../failed.ts";
import type { Keyring } from "../keyring.ts";
import { PATIENT_TYPES } from "./categories.ts";
import { contentsOf, octetsOf } from "./contents.ts";
import { forgetDocuments, HIDDEN_FROM_PATIENT, list, viewOf } from "./documents.ts";
import { drawn } from "./drawn.ts";
import { aboutWhom } from "./formats.ts";
import { typeLabel } from "./labels.ts";
import { openWhole } from "../open.ts";
import { forgetLetters, theLetters } from "./letters.ts";
import { idsOfFact, lettersOfEntry, profile, profileForProfessional, trends } from "./profile.ts";
import { patientHash } from "./manifest.ts";
import type { RecordGiven, RecordMade, RecordOperation, RecordQuestion } from "./protocol.ts";
import { NOTHING_READ, readingOf, tellsMore, toReading } from "./readings.ts";
import { draw, take } from "./taking.ts";
import { asked, known, pharmacies, sendable } from "./views.ts";

let exportModule: Promise<typeof import("./export.ts")> | null = null;
const exporting = () => (exportModule ??= import("./export.ts"));

type Handlers = { [K in RecordOperation]: (keyring: Keyring, given: RecordGiven<K>) => Promise<RecordMade<K>> };

const handlers: Handlers = {
  async begin(keyring) {
    const letters = await theLetters(keyring);
    await letters.retry();
    return { ...letters.reached, letters: letters.size };
  },
  async unknown(keyring, { ids }) {
    const { has } = await theLetters(keyring);
    return ids.filter((id) => !has(id));
  },
  take: async (keyring, { letters, whose }) => take(keyring, await theLetters(keyring), letters, whose),
  async draw(keyring, { facts, letter, whose }) {
    await draw(keyring, await theLetters(keyring), facts, letter, whose);
    return null;
  },
  async moved(keyring, { letters: all }) {
    const letters = await theLetters(keyring);
    const put = all.flatMap(({ id, seen, roles }) => {
      const one = letters.get(id);
      const same = one === undefined || (one.seen === seen && one.roles.join() === roles.join());
      return same ? [] : [{ ...one, seen, roles }];
    });
    await letters.keep({ put });
    return null;
  },
  async drop(keyring, { ids }) {
    const letters = await theLetters(keyring);
    await letters.keep({ drop: ids.filter(letters.has) });
    return null;
  },
  held: async (keyring) => (await theLetters(keyring)).held(),
  async reached(keyring, { state, complete }) {
    await (await theLetters(keyring)).reach(state, complete);
    return null;
  },
  items: async (keyring, { kinds }) => (await theLetters(keyring)).items(kinds),
  async octets(keyring, { letter, item }) {
    return { data: (await octetsOf(await openWhole(keyring, letter), item)).slice().buffer };
  },

  documents: async (keyring, { filter, language }) => list(viewOf(await theLetters(keyring), language), filter),
  document: async (keyring, { id, language }) => known(await theLetters(keyring), id, language),
  contents: async (keyring, { letter, item }) => {
    const { contents, document } = await contentsOf(await openWhole(keyring, letter), item);
    const letters = await theLetters(keyring);
    if (document !== null && item.hash !== "" && readingOf(letters, item) === null) await letters.keep({ read: [[item.hash, toReading(document)]] });
    return contents;
  },
  async carried(keyring, { letter, patient, language }) {
    const whole = await openWhole(keyring, letter);
    const manifest = await drawn(whole).catch(() => null);
    const found = (manifest?.items ?? []).filter((one) => ["document", "fhir"].includes(one.kind) && !(patient && one.confidentiality.includes(HIDDEN_FROM_PATIENT)));
    return Promise.all(
      found.map(async (item) => ({
        item,
        line: { typeLabel: typeLabel(item.type, language), title: item.title || typeLabel(item.type, language), at: item.at || item.made, author: item.author },
        about: await aboutWhom(await octetsOf(whole, item)).catch(() => null),
      })),
    );
  },
  async unread(keyring, { limit }) {
    const letters = await theLetters(keyring);
    const wanted = [...letters.all()].filter((one) => one.way === "in" && !one.locked).sort((a, b) => b.at - a.at);
    const { holder } = letters;
    const mine = new Set(await Promise.all((holder === null ? [] : numbersOf(holder)).map(({ root, extension }) => patientHash(root, extension))));
    const found: RecordMade<"unread"> = [];
    for (const letter of wanted) {
      if (found.length >= limit) break;
      const items = letter.manifest.items.filter((one) => tellsMore(one, holder !== null && !mine.has(letter.manifest.patient)) && readingOf(letters, one) === null);
      if (items.length > 0) found.push({ letter, items });
    }
    return found;
  },
  async look(keyring, { letter, items }) {
    const whole = await openWhole(keyring, letter).catch(ofLetter);
    const read: [string, unknown][] = [];
    for (const item of items) {
      const document = whole === null ? null : await contentsOf(whole, item).then((one) => one.document, ofLetter);
      read.push([item.hash, document === null ? NOTHING_READ : toReading(document)]);
    }
    await (await theLetters(keyring)).keep({ read });
    return null;
  },
  trends: async (keyring, { language }) => trends(await theLetters(keyring), language),
  profile: async (keyring, { language }) => profile(await theLetters(keyring), language),
  profileForProfessional: async (keyring, { language }) => profileForProfessional(await theLetters(keyring), language),
  async entry(keyring, { id, language }) {
    const letters = await theLetters(keyring);
    return { letters: lettersOfEntry(letters, id), ids: idsOfFact(letters, language, id) };
  },
  sendable: async (keyring, { id, language }) => sendable(await theLetters(keyring), id, language),
  asked: async (keyring, { decision, id }) => asked(await theLetters(keyring), decision, id),
  pharmacies: async (keyring) => pharmacies(await theLetters(keyring)),

  async beginExport() {
    (await exporting()).beginExport();
    return null;
  },
  async exportLetter(keyring, { language, ...given }) {
    await (await exporting()).exportLetter(keyring, await theLetters(keyring), given, language);
    return null;
  },
  endExport: async (keyring, given) => (await exporting()).endExport(await theLetters(keyring), given),
  types: async (_, { language }) => PATIENT_TYPES.map((code) => ({ code, label: typeLabel(code, language) })),
};

export async function answer(keyring: Keyring, { ask, given, holder }: RecordQuestion): Promise<unknown> {
  if (!keyring.unlocked) throw new Failed("locked");
  const handler = handlers[ask] as (keyring: Keyring, given: unknown) => Promise<unknown>;
  (await theLetters(keyring)).isOf(holder);
  return handler(keyring, given);
}

/** Nobody is here any more. What the device kept goes with everything else (keyring.forget). */
export function forgetRecord(): void {
  forgetLetters();
  forgetDocuments();
  void exportModule?.then((one) => one.forgetExport());
}
