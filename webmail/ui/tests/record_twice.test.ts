// Results told by the text and by the data of a document are read once, and nothing else of the text is lost.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { told } from "./asking.ts";
import { named, withoutResults } from "../src/screens/record/twice.ts";
import { readCda } from "../src/worker/record/cda.ts";
import type { Block, Cell, Document, Result, Section } from "../src/worker/record/cda_model.ts";

const vectors = told();
const cda = (name: string): Document => readCda(new Uint8Array(readFileSync(`${vectors}/cda/${name}.xml`)));
const cell = (text: string): Cell => ({ runs: [{ text, style: "", lineBreak: false }], header: false, columns: 1, rows: 1 });
const nothing: Block = { form: "table", runs: [], ordered: false, items: [], caption: "", head: [], rows: [], image: "", imageType: "" };
const table = (...rows: string[][]): Block => ({ ...nothing, rows: rows.map((row) => row.map(cell)) });
const section = (...blocks: Block[]): Section => ({ code: "", title: "Biochimie", blocks, sections: [] });
const result = (name: string, value: string): Result => ({ code: "", name, value, number: Number(value), unit: "", low: null, high: null, reference: "", flag: "", at: "", specimen: "", group: "", comment: "", previous: false });
const glucose = result("Glucose", "6.10");

test("a laboratory's table whose every row is a result is left out beside the results", () => {
  const { sections, results } = cda("biologie-1");
  assert.deepEqual(withoutResults(sections, results), []);
});

test("a figure is the same with a comma, a point, a unit or a nought at its end", () => {
  assert.deepEqual(withoutResults([section(table(["glucose", "6,1 mmol/L", "3,9 – 5,8"]))], [glucose]), []);
});

test("what stands beside the table stays: paragraphs, a table that says more, another value", () => {
  const words: Block = { ...nothing, form: "paragraph", runs: [{ text: "À contrôler", style: "", lineBreak: false }] };
  const whole = [section(table(["Glucose", "6.10"]), words)];
  assert.deepEqual(withoutResults(whole, [glucose])[0]!.blocks, [words]);
  for (const more of [table(["Glucose", "6.10"], ["Sodium", "140"]), table(["Glucose", "7.10"]), table(["Glucose", "6.10"], ["Conclusion", "normale"]), words]) {
    const sections = [section(more)];
    assert.equal(withoutResults(sections, [glucose]), sections, "the text is shown as it is");
  }
});

test("data is folded only where the text names most of it", () => {
  const { sections, entries } = cda("ordonnance");
  assert(named(sections, entries.map((one) => one.name)));
  const { sections: silent, results } = cda("signes-vitaux");
  assert(results.length > 0 && !named(silent, results.map((one) => one.name)));
  assert(!named(sections, []));
});
