// Documents read by the page, held to what Python read of the same octets (tests/webmail/vectors/cda).
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { hex, type Bytes } from "../src/lib/bytes.ts";
import { readCda } from "../src/worker/record/cda.ts";
import type { Document } from "../src/worker/record/cda_model.ts";
import { readFhir } from "../src/worker/record/fhir.ts";
import { RecordRefused } from "../src/worker/record/refusal.ts";
import { told } from "./asking.ts";

const folder = `${told()}/cda`;
const expected = JSON.parse(readFileSync(`${folder}/expected.json`, "utf8"));
const files = readdirSync(folder).filter((name) => name !== "expected.json");

async function verdict(name: string): Promise<unknown> {
  const data = readFileSync(`${folder}/${name}`);
  let found: Document;
  try {
    found = name.endsWith(".json") ? readFhir(data) : readCda(data);
  } catch (refused) {
    if (refused instanceof RecordRefused) return { refused: refused.slug, code: refused.code };
    throw refused;
  }
  const body = found.body === null ? null : hex(new Uint8Array(await crypto.subtle.digest("SHA-256", found.body as Bytes)));
  return { ...found, body };
}

test("there is an answer of Python's for every document", () => {
  assert.deepEqual(files.toSorted(), Object.keys(expected).toSorted());
});

for (const name of files) {
  test(`read as the server reads it: ${name}`, async () => {
    assert.deepEqual(JSON.parse(JSON.stringify(await verdict(name))), expected[name]);
  });
}

test("a document that is read holds no mark in its words", () => {
  for (const name of files.filter((one) => one.startsWith("fhir-") && expected[one].refused === undefined))
    assert.doesNotMatch(JSON.stringify(readFhir(readFileSync(`${folder}/${name}`)).sections), /<[a-z]|javascript:|onclick/);
});
