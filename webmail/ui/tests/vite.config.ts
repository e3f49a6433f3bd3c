// The page's own modules as programs for Node: what the tests run is what the browser runs, but for the worker, which is
// called in place. Out of the tree: nothing built is kept.
import { readdirSync } from "node:fs";
import { defineConfig } from "vite";
import { reading } from "../reading.ts";

// Every test here, and the programs that Python asks.
const names = readdirSync(import.meta.dirname).filter((name) => /(\.test|command)\.ts$/.test(name));
const entries = names.map((name) => name.replace(/\.ts$/, ""));

export default defineConfig({
  root: import.meta.dirname,
  logLevel: "warn",
  plugins: [reading()],
  resolve: { conditions: ["browser", "import", "module", "default"] },
  worker: { format: "es" as const, plugins: () => [reading()] },
  build: {
    ssr: true,
    target: "node20",
    minify: false,
    emptyOutDir: true,
    rolldownOptions: {
      input: Object.fromEntries(entries.map((name) => [name, `${import.meta.dirname}/${name}.ts`])),
      output: { entryFileNames: "[name].mjs", chunkFileNames: "chunks/[name]-[hash].mjs" },
      external: [/^node:/],
    },
  },
  ssr: { noExternal: true, target: "webworker" },
});
