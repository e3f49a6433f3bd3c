// What the operator says of itself: whom to call, how large a letter may be. Asked once.

import type { Operator } from "../../lib/contract.ts";
import { account } from "../../work.ts";
import { line } from "./words.ts";

class Asked {
  said: Operator | null = $state.raw(null);
  asking: Promise<void> | null = null;
}
const asked = new Asked();

function ask(): void {
  asked.asking ??= account.operator().then(
    (operator) => void (asked.said = operator),
    () => void (asked.asking = null), // asked again when next wanted
  );
}

export function operator(): Operator | null {
  if (asked.said === null) queueMicrotask(ask);
  return asked.said;
}

export const contact = (): string => line(operator()?.contact ?? "", 200);
