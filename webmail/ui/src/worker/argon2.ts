// Argon2id in WebAssembly (MIT, of the makers of OpenPGP.js, who carry it): half the bytes of other builds. Its memory
// is made anew each time, so that what it held goes with it.
import load from "../../node_modules/openpgp/dist/lightweight/argon2id.min.mjs";

export interface Asked {
  password: Uint8Array;
  salt: Uint8Array;
  memorySize: number; // KiB
  passes: number;
  parallelism: number;
  tagLength: number;
}

export async function argon2id(asked: Asked): Promise<Uint8Array> {
  return (await load())(asked);
}
