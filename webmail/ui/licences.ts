// Whose code is in the page: every package that the page or its workers carry, with the whole text of its licence.
// A package without a licence text stops the build: it may not be shipped.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

interface Carried {
  name: string;
  version: string;
  licence: string;
  text: string;
}

const HEAD = `This page is Vaguemestre, free software under the GNU Affero General Public License, version 3 or later.
It carries the following packages. openpgp (LGPL) is in a file of its own, so that it can be replaced;
openpgp_reading is the same with functions left out that opening letters does not call (webmail/ui/reading.ts).
`;

/** One for the page (writes `fileName`), one for its workers, over the same record. */
export function licences(fileName: string): { page: () => Plugin; worker: () => Plugin } {
  const carried = new Map<string, Carried>();
  const note = (id: string): void => {
    const folder = id.startsWith("\0") ? null : packageFolder(id.replace(/\?.*$/, ""));
    if (folder && !carried.has(folder)) carried.set(folder, read(folder));
  };
  const noting: Plugin["generateBundle"] = (_options, bundle) => {
    for (const file of Object.values(bundle)) if (file.type === "chunk") file.moduleIds.forEach(note);
  };
  return {
    worker: () => ({ name: "licences-of-workers", generateBundle: noting }),
    page: () => ({
      name: "licences",
      generateBundle(options, bundle, ...rest) {
        noting.call(this, options, bundle, ...rest);
        const all = [...carried.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        const line = "-".repeat(100);
        const source = [HEAD, ...all.map((one) => `${line}\n${one.name} ${one.version} (${one.licence})\n${line}\n\n${one.text}\n`)].join("\n");
        this.emitFile({ type: "asset", fileName, source });
      },
    }),
  };
}

/** The folder of the package a module belongs to; null for the page's own modules. */
function packageFolder(file: string): string | null {
  if (!file.includes("/node_modules/")) return null;
  const parts = file.split("/");
  const start = parts.lastIndexOf("node_modules") + 1;
  const length = parts[start]?.startsWith("@") ? 2 : 1;
  const folder = parts.slice(0, start + length).join("/");
  return existsSync(join(folder, "package.json")) ? folder : dirname(file);
}

function read(folder: string): Carried {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf-8")) as Record<string, string>;
  const own = readdirSync(folder).find((one) => /^(licen[cs]e|copying)(\.(md|txt))?$/i.test(one));
  // One whose package leaves its text out has it in `licences/`, as its authors publish it.
  const file = own ? join(folder, own) : fileURLToPath(new URL(`licences/${name}.txt`, import.meta.url));
  if (!name || !existsSync(file)) throw new Error(`no licence text in ${folder}`);
  return { name, version: version ?? "", licence: license ?? "see below", text: readFileSync(file, "utf-8").trim() };
}
