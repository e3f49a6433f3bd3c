// The transcripts that Python plays too (tests/webmail/vectors/itip), played by the page's own engine.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { partiesOf, play } from "./agenda_playing.ts";
import type { Transcript } from "./agenda_playing.ts";
import { told } from "./asking.ts";

const folder = `${told()}/itip`;

for (const name of readdirSync(folder).filter((one: string) => one.endsWith(".json"))) {
  for (const transcript of JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Transcript[]) {
    test(transcript.title, () => {
      const parties = partiesOf(transcript.people);
      const sent = new Map<string, string>();
      transcript.steps.forEach((step, number) => {
        const party = parties.get(step.who)!;
        const { events = [], sends = [], refused = "" } = step;
        assert.deepEqual(play(party, step, sent), { events, sends, refused }, `step ${number}`);
        assert.deepEqual(party.view(transcript.uid), step.view, `step ${number}`);
      });
    });
  }
}
