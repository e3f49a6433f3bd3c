// When this page asks to be woken. One time in each stretch of the hours to come, drawn anew each time it asks, whether
// or not anything is due in it: what the server holds is the same with an appointment and without. At a wake the page
// looks for itself what is due.
import { api } from "./api.ts";

export const STRETCH = 20 * 60_000; // ms
export const MOST = 60;

/** A time in each of the stretches after `now`. `random` gives numbers in [0, 1[. */
export function wakeTimes(now: number, random: () => number): number[] {
  const first = Math.ceil((now + 1) / STRETCH) * STRETCH;
  return Array.from({ length: MOST }, (_, i) => first + i * STRETCH + Math.floor(random() * STRETCH));
}

export async function askToBeWoken(now: number): Promise<void> {
  const drawn = crypto.getRandomValues(new Uint32Array(MOST));
  let at = 0;
  await api("PUT", "wakes", { at: wakeTimes(now, () => drawn[at++]! / 2 ** 32) });
}
