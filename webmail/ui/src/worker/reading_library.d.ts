// Made by ui/reading.ts: the library without what reading never calls.
declare module "openpgp/reading" {
  export * from "openpgp/lightweight";
  /** Whether something was called that was left out: then nothing that came of it counts. */
  export function missed(): boolean;
  /** Settles when that happens: what waits for such a call may wait for ever. */
  export const missing: Promise<void>;
}

declare module "*/argon2id.min.mjs" {
  const load: () => Promise<(asked: import("./argon2.ts").Asked) => Uint8Array>;
  export default load;
}
