// OpenPGP.js again, shorter: what opening a letter calls, and nothing else. A first letter waits for half as many bytes,
// and the whole library (imported as before) comes when something is written, made, exported or out of the ordinary.
//
// `reading.json` lists the functions that stay; tests/browser/reading_list.py finds them by opening letters. Invariants:
// nothing is changed but the bodies of functions that are not listed: each notes that it was called, and throws, so that
// whatever such a call led to can be thrown away and done again with the whole library (src/worker/reading.ts); a list
// made for another version of the library stops the build.
import { readFileSync } from "node:fs";
import { parseAst, type Plugin } from "vite";

const NAME = "openpgp/reading";
const LIBRARY = new URL("node_modules/openpgp/", import.meta.url);
const FILE = new URL("dist/lightweight/openpgp.mjs", LIBRARY).pathname;
const LIST = new URL("reading.json", import.meta.url).pathname;
const SMALL = 40; // characters of a body that is not worth cutting

interface Node {
  type: string;
  start: number;
  end: number;
}
type Found = Node & Record<string, unknown>;

export interface Written {
  name: string; // of the function in those around it, numbered where names repeat
  start: number;
  end: number;
  body: Node;
}

const isNode = (one: unknown): one is Found => typeof (one as Found | null)?.type === "string";

/** Every function of a module, as a tree: `visit` says whether to look inside. */
function walk(code: string, visit: (one: Written) => boolean): void {
  const times = new Map<string, number>();
  const named = (one: Found, path: string): string => {
    const key = (one["id"] ?? one["key"] ?? one["left"]) as Found | null | undefined;
    return isNode(key) && key.type !== "ObjectPattern" ? `${path}/${code.slice(key.start, key.end).replace(/\s+/g, "")}` : path;
  };
  const into = (one: unknown, path: string, start: number | null): void => {
    if (Array.isArray(one)) for (const each of one) into(each, path, null);
    if (!isNode(one)) return;
    if (/Function/.test(one.type)) {
      const place = named(one, path);
      const time = (times.get(place) ?? 0) + 1;
      times.set(place, time);
      const name = time === 1 ? place : `${place}#${time}`;
      if (!visit({ name, start: start ?? one.start, end: one.end, body: one["body"] as Found })) return;
      for (const part of ["params", "body"]) into(one[part], name, null);
      return;
    }
    const inner = /^(Class|VariableDeclarator|Method|Property|Assignment)/.test(one.type) ? named(one, path) : path;
    const method = one.type === "MethodDefinition" || (one.type === "Property" && (one["method"] === true || one["kind"] !== "init"));
    for (const [part, value] of Object.entries(one)) into(value, inner, method && part === "value" ? one.start : null);
  };
  into(parseAst(code), "", null);
}

/** Names of the functions that ran, in order. `ran`: as the browser's profiler tells it. */
export function list(ran: { startOffset: number; endOffset: number }[]): { version: string; functions: string[] } {
  const code = readFileSync(FILE, "utf8");
  const functions: string[] = [];
  walk(code, ({ name, start, end, body }) => {
    const did = ran.some((one) => one.endOffset === end && one.startOffset >= start && one.startOffset <= body.start);
    if (did) functions.push(name);
    return did;
  });
  return { version: version(), functions };
}

const version = (): string => (JSON.parse(readFileSync(new URL("package.json", LIBRARY).pathname, "utf8")) as { version: string }).version;

const CUT = "leftOut$()";
const NOTE = `
let missed$ = false, tell$;
export const missed = () => missed$;
export const missing = new Promise((resolve) => (tell$ = resolve));
function leftOut$() { missed$ = true; tell$(); throw new Error("left out"); }
`;

/** The module without the bodies of functions that are not listed. */
export function cut(code: string, functions: readonly string[]): string {
  const kept = new Set(functions);
  const bodies: Node[] = [];
  walk(code, ({ name, body }) => {
    if (kept.delete(name)) return true;
    if (body.end - body.start > SMALL) bodies.push(body);
    return false;
  });
  if (kept.size > 0) throw new Error(`reading.json names what the library has not: ${[...kept].slice(0, 3).join(", ")}`);
  let made = code;
  for (const { type, start, end } of bodies.sort((a, b) => b.start - a.start)) {
    made = made.slice(0, start) + (type === "BlockStatement" ? `{ return ${CUT}; }` : CUT) + made.slice(end);
  }
  return made.replace(/(import\('\.\/\w+)\.mjs'/g, "$1.min.mjs'") + NOTE;
}

export function reading(): Plugin {
  return {
    name: "reading",
    enforce: "pre",
    resolveId: (id) => (id === NAME ? `${FILE}?reading` : null),
    load(id) {
      if (id !== `${FILE}?reading`) return null;
      const { version: made, functions } = JSON.parse(readFileSync(LIST, "utf8")) as ReturnType<typeof list>;
      if (made !== version()) throw new Error(`reading.json was made for openpgp ${made}: run python -m tests.browser.reading_list`);
      return { code: cut(readFileSync(FILE, "utf8"), functions), map: null };
    },
  };
}
