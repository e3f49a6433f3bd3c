// How the page is built: a plain single-page application, each screen its own chunk, no source map shipped.
// `--mode fake` puts invented people in memory (tests/browser/fake) in the place of the worker and the server.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { licences } from "./licences.ts";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const fake = `${repository}tests/browser/fake`;

const carried = licences("assets/licences.txt");

export default defineConfig(({ mode }) => ({
  base: "/",
  publicDir: "public",
  plugins: [svelte(), carried.page()],
  resolve: {
    // Only src/work.ts imports these two, so that nothing else has to know which pair it speaks to.
    alias: mode === "fake" ? [{ find: /^\.\/lib\/(account|mail)\.ts$/, replacement: `${fake}/$1.ts` }] : [],
  },
  server: { fs: { allow: [repository] } },
  worker: { format: "es" as const, plugins: () => [carried.worker()] },
  build: {
    target: "es2022",
    outDir: mode === "fake" ? "dist-fake" : "../static",
    emptyOutDir: true,
    sourcemap: false,
    // One style sheet, named by index.html with its hash: lazy ones would come without one.
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // Under LGPL: replaceable, so each in a file of its own.
        codeSplitting: { groups: [{ name: "openpgp", test: /node_modules[\\/]openpgp/ }] },
      },
    },
  },
}));
