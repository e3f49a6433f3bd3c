// The page's engine as a program: one question a line, one answer a line, so that Python's tests hold the two together
// over calendars and exchanges made up at random.
import { createInterface } from "node:readline";
import { fromBase64 } from "../src/lib/bytes.ts";
import { readCalendar, writeCalendar } from "../src/worker/agenda/calendar.ts";
import { occurrences } from "../src/worker/agenda/expansion.ts";
import { AgendaRefused } from "../src/worker/agenda/model.ts";
import type { Component } from "../src/worker/agenda/model.ts";
import { unheard } from "../src/worker/agenda/itip.ts";
import { partiesOf, play } from "./agenda_playing.ts";
import type { Transcript } from "./agenda_playing.ts";

interface Question {
  read?: string; // a calendar, base64
  expand?: { component: Component; first: number; last: number; here: string };
  play?: Transcript;
}

function answer({ read, expand, play: transcript }: Question): unknown {
  if (read !== undefined) {
    const { method, components } = readCalendar(fromBase64(read));
    return { method, components, written: writeCalendar(method, components) };
  }
  if (expand !== undefined) {
    const { component, first, last, here } = expand;
    const held = { ...unheard(component.uid, ""), master: { component, sequence: 0, stamp: "" } };
    return occurrences(held, first, last, here).map((one) => [one.key, one.start, one.end, one.day]);
  }
  const parties = partiesOf(transcript!.people);
  const sent = new Map<string, string>();
  const made = transcript!.steps.map((step) => play(parties.get(step.who)!, step, sent));
  return { made, held: Object.fromEntries([...parties].map(([name, party]) => [name, party.held.get(transcript!.uid) ?? null])) };
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const started = performance.now();
  let made: unknown;
  try {
    made = { made: answer(JSON.parse(line) as Question) };
  } catch (failure) {
    if (!(failure instanceof AgendaRefused)) throw failure;
    made = { refused: failure.slug };
  }
  process.stdout.write(`${JSON.stringify({ ...(made as object), ms: performance.now() - started })}\n`);
}
