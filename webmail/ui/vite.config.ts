// How the page is built: a plain single-page application, each screen its own chunk, no source map shipped.
// `--mode fake` puts invented people in memory (tests/browser/fake) in the place of the worker and the server.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { licences } from "./licences.ts";
import { modules } from "./modules.ts";
import { reading } from "./reading.ts";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const fake = `${repository}tests/browser/fake`;

const carried = licences("assets/licences.txt");

export default defineConfig(({ mode }) => ({
  base: "/",
  publicDir: "public",
  plugins: [svelte(), carried.page(), modules("modules.json")],
  resolve: {
    // Only src/work.ts, rights.ts, record.ts, agenda.ts and directory.ts import these, so that nothing else has to know whom it speaks to.
    alias: mode === "fake" ? [{ find: /^\.\/lib\/(account|mail|rights|record|agenda|directory)\.ts$/, replacement: `${fake}/$1.ts` }] : [],
  },
  server: { fs: { allow: [repository] } },
  worker: {
    format: "es" as const,
    plugins: () => [reading(), carried.worker()],
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "openpgp_reading", test: /openpgp\.mjs\?reading|openpgp_reading/, includeDependenciesRecursively: false },
            // What any letter needs, in one file.
            { name: "letter", test: /src[\\/]worker[\\/](?!autocrypt|entry|argon2|keys|openpgp\.|packets|seal|search|swap|files|mime[\\/]write|record[\\/]|agenda[\\/])|src[\\/]lib[\\/]bytes/, includeDependenciesRecursively: false },
          ],
        },
      },
    },
  },
  build: {
    target: "es2022",
    outDir: mode === "fake" ? "dist-fake" : "../static",
    emptyOutDir: true,
    sourcemap: false,
    assetsInlineLimit: 0,
    // What the shell brought is not fetched ahead of a screen a second time, nor named for it.
    modulePreload: { polyfill: false, resolveDependencies: (_file: string, wanted: string[]) => wanted.filter((name) => !/assets\/(svelte|frame|index|account)-[\w-]{8}\./.test(name)) },
    reportCompressedSize: false,
    rolldownOptions: {
      // Svelte does not say so itself: what no screen asks of it can go, and what one screen asks comes with that screen.
      treeshake: { moduleSideEffects: [{ test: /node_modules[\\/]svelte[\\/](?!.*flags)/, sideEffects: false }] },
      output: {
        codeSplitting: {
          groups: [
            // What the frame takes of Svelte, in one file; what most screens take comes with their parts.
            { name: "svelte", test: /node_modules[\\/](svelte[\\/](?!.*(reactivity[\\/](map|set|url|date)|bindings[\\/](?!shared)|blocks[\\/](html|await|svelte-element)|elements[\\/](class|style)|shared[\\/]attributes|motion|transition))|esm-env|clsx)/, includeDependenciesRecursively: false },
            // Under LGPL: replaceable, so in a file of its own.
            { name: "openpgp", test: /node_modules[\\/]openpgp/ },
            // What comes together anyway stands together: fewer files, and shorter than apart.
            { name: "frame", test: /vite[\\/]preload-helper|src[\\/](App|router|place|session|display|i18n[\\/](index|language)|components[\\/](Glyph|announce))/, includeDependenciesRecursively: false },
            { name: "parts", test: /svelte[\\/].*(bindings[\\/](this|input|size)|blocks[\\/]await|elements[\\/](class|style)|shared[\\/]attributes)\.js|src[\\/](i18n[\\/]formats|components[\\/](Button|Dialog|ErrorSummary|Field|Icon|Later|Page|Status|UrgencyNote|Words|drawings))/, includeDependenciesRecursively: false },
            // What a document in a letter takes of the screens of the record.
            { name: "sheet", test: /svelte[\\/].*bindings[\\/]select|src[\\/]screens[\\/]record[\\/](DocumentSheet|Heading|Sections|Blocks|Runs|Results|RangeBar|Entries|FileRow|Picture|RecordNav|ShareDialog|attached|drawings|moments|states|flags|refusals|units|more_parts)/, includeDependenciesRecursively: false },
            { name: "files", test: /src[\\/]screens[\\/]mail[\\/](saving|kinds)/, includeDependenciesRecursively: false },
            { name: "items", test: /src[\\/]lib[\\/](items|record_holder|record_language|record_link|record_own|for_professional)|src[\\/]worker[\\/]record[\\/](resources|octets)/, includeDependenciesRecursively: false },
            { name: "common", test: /src[\\/]screens[\\/]account[\\/](arrival|operator|proof|refusal|parts[\\/](Address|Card))|src[\\/]lib[\\/]provider_path/, includeDependenciesRecursively: false },
            { name: "account", test: /src[\\/]lib[\\/](account|api|link|workers|contract|bytes|mail_boxes)/, includeDependenciesRecursively: false },
            {
              name: "letters",
              test: /src[\\/](lib[\\/](mail|jmap|mail_wire|gate_leave)\.|screens[\\/]mail[\\/](Inbox|Panes|LetterList|LetterRow|Folders|Aftermath|GuardMark|Contact|Conversation|LetterView|GateWarning|carried|Marked|TextBody|names|mailbox|boxes|people|words|undo|operator|seldom_parts|drafts))/,
              includeDependenciesRecursively: false,
            },
          ],
        },
      },
    },
  },
}));
