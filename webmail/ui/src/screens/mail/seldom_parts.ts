// How the parts of `seldom.ts` are brought: each caller names one.
type Parts = typeof import("./seldom.ts");

let here: Parts | null = null;

/** Once they are here, each is there at once: a screen that is come back to stands as it stood. */
export const seldom =
  <Name extends keyof Parts>(name: Name): (() => Parts[Name] | Promise<Parts[Name]>) =>
  () =>
    here?.[name] ?? import("./seldom.ts").then((parts) => (here = parts)[name]);
