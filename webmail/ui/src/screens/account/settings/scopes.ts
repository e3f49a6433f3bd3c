// What a reader may do, as words for people; below them stand the letters of RFC 4314 §2.1.

export const SCOPES = { read: "lrs", answer: "lrswip", tidy: "lrswipkte", manage: "lrswipkxtea" } as const;
export type Scope = keyof typeof SCOPES;

export const scopesFor = (kind: "own" | "shared"): readonly Scope[] => (kind === "own" ? ["read", "answer", "tidy"] : ["read", "answer", "tidy", "manage"]);

/** The widest that these letters hold whole; null when they hold none. */
export function scopeOf(rights: string): Scope | null {
  const found = (Object.keys(SCOPES) as Scope[]).filter((scope) => [...SCOPES[scope]].every((letter) => rights.includes(letter)));
  return found.at(-1) ?? null;
}
