// Everything in one archive: each letter is fetched and handed to the worker, which opens it and writes. In a chunk of
// its own. Nothing of it is kept on this device but the archive that the person saves.
import { speaker } from "./account.ts";
import { items, itemsReady, letterIds, lettersBy, letterToOpen } from "./items.ts";
import { language } from "./record_language.ts";
import { askRecord } from "./record_link.ts";
import { documentOf } from "./record_summary.ts";

const PAGE = 50;
const AHEAD = 3; // letters fetched while one is written

async function calendar(): Promise<string> {
  if ((await items(["appointment"])).length === 0) return "";
  const { agenda } = await import("./agenda.ts");
  await agenda.ready(() => undefined);
  return (await agenda.ics("")).text();
}

/** `unopened`: letters that were not opened yet too, though their senders are then told, if they asked to be. */
export async function exportAll(progress: (done: number, total: number) => void, unopened: boolean): Promise<Blob> {
  await itemsReady();
  const { session } = speaker();
  const ids = await letterIds();
  let done = 0;
  progress(done, ids.length);
  await askRecord("beginExport", null);
  for (let at = 0; at < ids.length; at += PAGE) {
    const page = await lettersBy(ids.slice(at, at + PAGE), unopened);
    const fetching = page.slice(0, AHEAD).map((one) => letterToOpen(one));
    for (const [place, facts] of page.entries()) {
      const letter = await fetching[place]!;
      delete fetching[place];
      const next = page[place + AHEAD];
      if (next !== undefined) fetching[place + AHEAD] = letterToOpen(next);
      await askRecord("exportLetter", { facts, letter, language: language() }, [letter.data]);
      progress((done += 1), ids.length);
    }
  }
  const now = new Date();
  const name = `${session.name.given} ${session.name.family}`.trim();
  const french = language() === "fr";
  const title = french ? `Espace de santé de ${name}` : `Health space of ${name}`;
  const made = new Intl.DateTimeFormat(french ? "fr-FR" : "en-GB", { dateStyle: "long" }).format(now);
  const own = (await askRecord("profile", { language: language() })).filter((one) => one.source === "me");
  const bundle = JSON.stringify(documentOf(own, language(), title, `urn:uuid:${crypto.randomUUID()}`, now.toISOString()), null, 1);
  const ended = { language: language(), title, made, calendar: await calendar(), bundle, left: ids.length - done };
  return askRecord("endExport", ended);
}
