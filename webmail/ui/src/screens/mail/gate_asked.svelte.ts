// The warning of the gate wherever something is sent that is not the composer's: over the screen as it stands.
import { mount } from "svelte";
import { loadWords } from "../../i18n/index.ts";
import GateAsked from "./GateAsked.svelte";
import { learned } from "./names.svelte.ts";
import { isolated } from "./people.ts";
import { line } from "./words.ts";

class Asking {
  names = $state("");
  answer: ((yes: boolean) => void) | null = $state.raw(null);
}
export const asking = new Asking();

const called = (address: string): string => isolated(learned(address) || line(address, 120));
let shown = false;

export async function asked(addresses: readonly string[]): Promise<boolean> {
  await loadWords("compose");
  asking.answer?.(false); // one question at a time
  if (!shown) mount(GateAsked, { target: document.body });
  shown = true;
  return new Promise((answer) => {
    asking.names = addresses.map(called).join(", ");
    asking.answer = answer;
  });
}
