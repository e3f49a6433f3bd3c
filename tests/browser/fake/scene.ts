// Which state the invented world is in: `?scene=locked,empty` at the first load, kept for the tab.
//   out: nobody is logged in          locked: logged in, nothing can be opened      renew: came in by the recovery sheet
//   per: a professional               nokey: a professional whose letters this page cannot open
//   empty: no letter yet              slow: each answer takes 1.5 s                 offline: the server does not answer
//   cut: letters do not answer any more         many: ten thousand letters             hostile: letters that attack
//   providers: identity providers are offered     stepup: what opens a way to letters wants a fresh proof first
//   ward: a professional who reads a ward's letters, and a colleague's (with per)
//   ended: the professional ended the exchange
//   reading: the record reads the letters of this device for the first time     nopharmacy: no pharmacy ever wrote
//   nosoftware: no software of a practice is named
//   gate: nobody has a key: each letter leaves readable by another operator
//   nonotices: the operator sends no notices
//   many: two thousand documents too
//   swept: the directory was searched too much
//   reseal: letters wait to be taken over                   several: a letter to several people, to be answered elsewhere

const KEPT = "fake.scene";
const asked = new URLSearchParams(location.search).get("scene");
if (asked !== null) sessionStorage.setItem(KEPT, asked);
const words = new Set((sessionStorage.getItem(KEPT) ?? "").split(",").filter(Boolean));

export function scene(word: string): boolean {
  return words.has(word);
}

export function forget(word: string): void {
  words.delete(word);
  sessionStorage.setItem(KEPT, [...words].join(","));
}

export function remember(word: string): void {
  words.add(word);
  sessionStorage.setItem(KEPT, [...words].join(","));
}

/** How many answers are on their way, for who waits until all has come. */
const coming = globalThis as { answersComing?: number };

export async function pause(ms = 30): Promise<void> {
  coming.answersComing = (coming.answersComing ?? 0) + 1;
  await new Promise((done) => setTimeout(done, scene("slow") ? 1500 : ms));
  coming.answersComing -= 1;
}
