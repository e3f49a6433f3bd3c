// Each file of a folder beside itself, smaller: .br and .gz, when that saves something. `node compress.mjs FOLDER`.
// Done once at the build, at the highest level, so that the server never compresses.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = process.argv[2];
for (const name of readdirSync(folder, { recursive: true })) {
  if (!/\.(js|mjs|css|html|svg|txt|json|wasm)$/.test(name) || name.startsWith("manifest.")) continue;
  const plain = readFileSync(join(folder, name));
  const smaller = {
    gz: gzipSync(plain, { level: 9 }),
    br: brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }),
  };
  for (const [ending, packed] of Object.entries(smaller)) {
    if (packed.length < plain.length) writeFileSync(join(folder, `${name}.${ending}`), packed);
  }
}
