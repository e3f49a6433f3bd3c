// The worker as a program: questions as lines of JSON, answers as lines of JSON; buffers are {"bytes": base64}. With it
// the Python tests hold the page's OpenPGP against GnuPG's, Sequoia's and the server's own.
import { createInterface } from "node:readline";
import { base64, fromBase64 } from "../src/lib/bytes.ts";
import { answer } from "../src/worker/entry.ts";
import type { Question } from "../src/worker/protocol.ts";
import { cpu } from "./effort.ts";

const read = (_: string, value: unknown): unknown => {
  const bytes = (value as { bytes?: unknown } | null)?.bytes;
  return typeof bytes === "string" ? fromBase64(bytes).buffer : value;
};
const write = (_: string, value: unknown): unknown => (value instanceof ArrayBuffer ? { bytes: base64(new Uint8Array(value)) } : value);

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const started = cpu();
  const made = await answer(JSON.parse(line, read) as Question);
  process.stdout.write(`${JSON.stringify({ ...made, ms: cpu() - started }, write)}\n`);
}
