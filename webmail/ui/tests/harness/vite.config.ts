// The harness as a page, built as the page itself is.
import { defineConfig } from "vite";
import { reading } from "../../reading.ts";

export default defineConfig({
  root: import.meta.dirname,
  base: "/",
  logLevel: "warn",
  worker: { format: "es" as const, plugins: () => [reading()] },
  build: { target: "es2022", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
