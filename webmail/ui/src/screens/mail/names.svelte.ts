// Names by address, learned from the letters that this page has shown: one letter signs "Dr Camille Aubry", the next only
// gives an address. Invariant: gone with whoever could read those letters.

import { SvelteMap } from "svelte/reactivity";
import type { Person } from "../../lib/contract.ts";
import { account } from "../../work.ts";

const names = new SvelteMap<string, string>();

export function learn(people: readonly Person[]): void {
  for (const { name, address } of people) {
    const key = address.toLowerCase();
    if (name !== "" && !name.includes("@") && names.get(key) !== name) names.set(key, name);
  }
}

export const learned = (address: string): string => names.get(address.toLowerCase()) ?? "";

account.onChange((session) => {
  if (!session?.unlocked) names.clear();
});
