// How the parts of `more.ts` are brought: each caller names one.
type Parts = typeof import("./more.ts");

let here: Parts | null = null;

export const more =
  <Name extends keyof Parts>(name: Name): (() => Parts[Name] | Promise<Parts[Name]>) =>
  () =>
    here?.[name] ?? import("./more.ts").then((parts) => (here = parts)[name]);
