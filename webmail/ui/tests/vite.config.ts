// The page's own modules as programs for Node: what the tests run is what the browser runs, but for the worker, which is
// called in place. Out of the tree: nothing built is kept.
import { defineConfig } from "vite";
import { reading } from "../reading.ts";

const entries = ["command", "mime.test", "crypto.test", "vectors.test", "flows.test", "codes.test"];

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
