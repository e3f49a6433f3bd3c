// Where in the page its visitor is. Written by router.ts alone.
import type { Place } from "./router.ts";

class Here {
  place: Place | null = $state.raw(null);
  /** Counts visits, so that the same address asked twice gives the focus to its title again. */
  visits = $state(0);
}

export const here = new Here();
