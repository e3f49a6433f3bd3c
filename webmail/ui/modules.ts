// Which files are modules of the page itself. An import map cannot speak for workers, so theirs need not be in it.
import type { Plugin } from "vite";

/** Writes `fileName`, read by integrity.py and then removed: one JSON list of file names. */
export function modules(fileName: string): Plugin {
  return {
    name: "modules-of-the-page",
    generateBundle(_options, bundle) {
      const files = Object.values(bundle).filter((file) => file.type === "chunk");
      const names = files.map((file) => file.fileName).sort();
      this.emitFile({ type: "asset", fileName, source: JSON.stringify(names) });
    },
  };
}
