// Reads a corpus of archives, XML files and subjects, and prints of each what the page makes of it: the code and slug of a refusal,
// or what was read. The Python test beside `tests/webmail/vectors/xdm/` compares it with the table and with Python.
import { readFileSync } from "node:fs";
import { fromUtf8, hex } from "../src/lib/bytes.ts";
import { RecordRefused } from "../src/worker/record/refusal.ts";
import { parsedSubject, shownSubject } from "../src/worker/record/subject.ts";
import { readXdm } from "../src/worker/record/xdm.ts";
import { parse, type XmlElement } from "../src/worker/record/xml.ts";
import { told } from "./asking.ts";
import { cpu } from "./effort.ts";

interface Line {
  kind: "archive" | "xml" | "subject";
  at: number;
  length: number;
  fill: number | null; // an octet that is the whole file
}

const lines = JSON.parse(readFileSync(`${told()}/index.json`, "utf8")) as Line[];
const corpus = readFileSync(`${told()}/corpus.bin`);

async function read(line: Line, data: Uint8Array): Promise<unknown> {
  if (line.kind === "subject") return { ...parsedSubject(fromUtf8(data)), shown: shownSubject(fromUtf8(data)) };
  if (line.kind === "xml") return tree(parse(data));
  const archive = await readXdm(data);
  const documents: Record<string, string> = {};
  for (const [uri, content] of archive.documents)
    documents[uri] = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", content as Uint8Array<ArrayBuffer>)));
  return { submission: archive.submission, entries: archive.entries, documents, beside: [...archive.beside.keys()] };
}

const tree = (element: XmlElement): unknown => [
  element.name,
  element.ns,
  Object.fromEntries(element.attributes),
  element.children.map((child) => (typeof child === "string" ? child : tree(child))),
];

const made: unknown[] = [];
for (const line of lines) {
  const data = line.fill === null ? corpus.subarray(line.at, line.at + line.length) : new Uint8Array(line.length).fill(line.fill);
  const started = cpu();
  let answer: { slug: string; code: number; read: unknown };
  try {
    answer = { slug: "", code: 0, read: await read(line, data) };
  } catch (refused) {
    answer = refused instanceof RecordRefused ? { slug: refused.slug, code: refused.code, read: null } : { slug: String(refused), code: -1, read: null };
  }
  made.push({ ...answer, ms: cpu() - started });
}
process.stdout.write(JSON.stringify(made));
