// The manifest of a letter and the life of documents, held to the answers that Python gives (tests/webmail/vectors).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromBase64, fromUtf8, utf8, type Bytes } from "../src/lib/bytes.ts";
import { parse } from "../src/worker/mime/parts.ts";
import { drawManifest } from "../src/worker/record/drawing.ts";
import { lifeCycle, type Arrival } from "../src/worker/record/life_cycle.ts";
import { newItem, readManifest, writeManifest } from "../src/worker/record/manifest.ts";
import { RecordRefused } from "../src/worker/record/refusal.ts";
import { told } from "./asking.ts";

const read = (name: string) => JSON.parse(readFileSync(`${told()}/${name}.json`, "utf8"));
const { letters, texts } = read("manifests");
const histories = read("life_cycle");

async function inflated(data: Bytes): Promise<Bytes> {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

for (const { name, letter, manifest, confidentiality, refused } of letters) {
  test(`drawn as the server draws it: ${name}`, async () => {
    const message = await inflated(fromBase64(letter));
    const drawing = drawManifest(message, parse(message));
    if (refused !== undefined) {
      await assert.rejects(drawing, (failure) => failure instanceof RecordRefused && failure.slug === refused.slug && failure.code === refused.code);
      return;
    }
    const drawn = await drawing;
    assert.deepEqual(JSON.parse(fromUtf8(writeManifest(drawn.manifest))), manifest);
    assert.deepEqual(drawn.confidentiality, confidentiality);
  });
}

test("a manifest is read and written again as the server does, whatever its shape", () => {
  for (const { text, written } of texts) {
    const found = readManifest(utf8(text));
    assert.equal(found === null ? null : fromUtf8(writeManifest(found)), written, text.slice(0, 80));
  }
});

for (const { name, arrivals, standing } of histories) {
  test(`what becomes of documents: ${name}`, () => {
    const given = arrivals.map((one: Arrival) => ({ ...one, item: newItem(one.item) }));
    assert.deepEqual(lifeCycle(given), standing);
    assert.deepEqual(lifeCycle(given.toReversed()), standing, "the order of arrival changes nothing");
    assert.deepEqual(lifeCycle([...given, ...given]), standing, "nor coming twice");
  });
}
