// Questions to the worker, called in place.
import { answer } from "../src/worker/entry.ts";
import type { Given, Made, Operation } from "../src/worker/protocol.ts";

let last = 0;

export async function asked<K extends Operation>(operation: K, given: Given<K>): Promise<Made<K>> {
  const made = await answer({ id: ++last, operation, given });
  if ("slug" in made) throw new Error(`${operation}: ${made.slug}`);
  return made.made as Made<K>;
}

/** The slug of a question that must be refused. */
export async function refused<K extends Operation>(operation: K, given: Given<K>): Promise<string> {
  const made = await answer({ id: ++last, operation, given });
  if (!("slug" in made)) throw new Error(`${operation} was answered`);
  return made.slug;
}

const { argv } = (globalThis as unknown as { process: { argv: string[] } }).process;

/** What the test was told behind its own name. */
export const told = (): string => argv.at(-1) ?? "";
