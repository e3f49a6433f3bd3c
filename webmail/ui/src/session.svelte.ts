// Who is logged in, as `account` tells it. undefined: not asked yet; null: nobody.
import type { Session } from "./lib/contract.ts";

class Known {
  session: Session | null | undefined = $state.raw(undefined);
  /** Where to go once logged in or unlocked, when a link led here first. */
  wanted: string | null = $state(null);
}

export const known = new Known();
