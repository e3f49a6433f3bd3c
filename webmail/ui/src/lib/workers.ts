// Workers are started through one Trusted Types policy that lets through our own addresses and nothing else.
import letters from "../worker/entry.ts?worker&url";
import pdf from "pdfjs-dist/build/pdf.worker.min.mjs?worker&url";

const OURS = { letters, pdf };

interface Policy {
  createScriptURL(url: string): unknown;
}

interface Factory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): Policy;
}

let policy: Policy | null = null;

function trusted(url: string): string {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  policy ??= factory?.createPolicy("app-workers", { createScriptURL: ours }) ?? { createScriptURL: ours };
  return policy.createScriptURL(url) as string;
}

function ours(url: string): string {
  if (!Object.values(OURS).includes(url)) throw new TypeError("not our own worker");
  return url;
}

export const startWorker = (which: keyof typeof OURS): Worker => new Worker(trusted(OURS[which]), { type: "module" });
