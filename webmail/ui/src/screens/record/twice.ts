// Results that a document tells twice: as a table of its text, and as data. Data reads better (usual values, curves, on a
// telephone too), so a table of text that says nothing more is left out beside it; the whole text stays within reach.
//
// Invariant: a table is left out only when each of its rows is a result, by its name and its value.
import type { Block, Cell, Result, Section } from "../../worker/record/cda_model.ts";

const plain = (text: string): string => text.normalize("NFD").replace(/\p{M}+/gu, "").toLowerCase().replace(/,/g, ".").replace(/[^\p{L}\p{N}.]+/gu, " ").trim();
const textOf = (cell: Cell): string => plain(cell.runs.map((run) => run.text).join(" "));
/** A figure however it is written: 6.10 and 6,1 are one. */
const figure = (text: string): string => (/^-?\d+(\.\d+)?$/.test(text) ? String(Number(text)) : text);

/** A row of one result, or a title among the rows. */
function says(row: readonly Cell[], values: Map<string, Set<string>>): "result" | "title" | "more" {
  const cells = row.map(textOf).filter((text) => text !== "");
  if (cells.length <= 1 && row.length <= 1) return "title";
  const known = values.get(cells[0] ?? "");
  const words = cells.slice(1).flatMap((text) => [text, ...text.split(" ").map(figure)]);
  return known !== undefined && words.some((word) => known.has(word)) ? "result" : "more";
}

function known(results: readonly Result[]): Map<string, Set<string>> {
  const values = new Map<string, Set<string>>();
  for (const one of results) {
    const told = values.get(plain(one.name)) ?? new Set<string>();
    values.set(plain(one.name), told.add(plain(one.value)).add(figure(plain(one.value))));
  }
  return values;
}

const isTwice = ({ form, rows }: Block, values: Map<string, Set<string>>): boolean => {
  const found = rows.map((row) => says(row, values));
  return form === "table" && found.includes("result") && !found.includes("more");
};

function* wordsOf(blocks: readonly Block[]): Generator<string> {
  for (const { runs, caption, head, rows, items } of blocks) {
    yield [caption, ...runs.map((run) => run.text)].join(" ");
    for (const row of [...head, ...rows]) yield row.flatMap((cell) => cell.runs.map((run) => run.text)).join(" ");
    for (const item of items) yield* wordsOf(item);
  }
}

const inside = (all: readonly Section[]): Section[] => all.flatMap((one) => [one, ...inside(one.sections)]);

/** Whether the text names most of what is told as data too: the data may then be folded, and nothing is out of sight. */
export function named(sections: readonly Section[], names: readonly string[]): boolean {
  const said = plain(inside(sections).flatMap((one) => [...wordsOf(one.blocks)]).join(" "));
  const asked = names.map(plain).filter((name) => name !== "");
  return asked.length > 0 && asked.filter((name) => said.includes(name)).length * 2 > asked.length;
}

/** The sections without the tables that the results tell; the same array when there are none. */
export function withoutResults(sections: readonly Section[], results: readonly Result[]): readonly Section[] {
  const values = known(results);
  let left = false;
  const kept = (all: readonly Section[]): Section[] =>
    all.flatMap((one) => {
      const blocks = one.blocks.filter((block) => !isTwice(block, values));
      const inside = kept(one.sections);
      const shorter = blocks.length < one.blocks.length || inside.length < one.sections.length;
      left ||= blocks.length < one.blocks.length;
      return shorter && blocks.length === 0 && inside.length === 0 ? [] : [{ ...one, blocks, sections: inside }];
    });
  const rest = kept(sections);
  return left ? rest : sections;
}
