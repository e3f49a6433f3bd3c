// How hard a password is to guess, in words. Invariants: no rule of composition, only length and not being
// common; what people reach for first (words of the keyboard, years, their own name) counts for little.

export const SHORTEST = 12;

export type Strength = "empty" | "short" | "common" | "fair" | "good" | "strong";

/** Fragments that guessing programs try first, in French and English; each counts as one character. */
const COMMON = (
  "motdepasse motdepass mdp password passw0rd passwort azertyuiop azerty qwertyuiop qwerty qwertz wxcvbn asdfgh qsdfgh " +
  "bonjour soleil doudou loulou chouchou cheval chocolat jetaime amour coucou marseille paris france football psg " +
  "nicolas julien thomas camille marie sophie isabelle nathalie martin bernard dupont durand maman papa famille " +
  "docteur medecin hopital clinique sante santé patient ordonnance vitale ameli monespacesante vaguemestre messagerie " +
  "admin administrateur welcome bienvenue letmein iloveyou monkey dragon sunshine princess baseball master secret " +
  "janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre printemps automne hiver"
).split(" ");

const ROWS = ["abcdefghijklmnopqrstuvwxyz", "01234567890", "azertyuiopqsdfghjklmwxcvbn", "qwertyuiopasdfghjklzxcvbnm"];

const plain = (text: string): string =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[@àâ]/gu, "a").replace(/0/gu, "o").replace(/[1!]/gu, "i").replace(/3/gu, "e").replace(/[$5]/gu, "s");

/** Characters as a person counts them, after the normalisation that the key derivation applies as well. */
export const lengthOf = (password: string): number => [...password.normalize("NFKC")].length;

/** How many characters remain when common fragments, repetitions and runs are counted once. */
export function worth(password: string, personal: readonly string[] = []): number {
  let text = password.normalize("NFKC").toLowerCase();
  let counted = 0;
  const take = (fragment: string): void => {
    while (fragment.length >= 3 && text.includes(fragment)) {
      text = text.replace(fragment, "\u0000");
    }
  };
  // The years of a life are the commonest ending there is.
  text = text.replace(/(19|20)\d\d/gu, "\u0000");
  for (const own of personal.flatMap((word) => word.toLowerCase().split(/[^\p{L}\d]+/u))) take(own);
  const disguised = plain(text);
  if (disguised.length === text.length) text = letterwise(text, disguised);
  for (const word of COMMON) take(word);
  const characters = [...text];
  for (const [position, character] of characters.entries()) {
    const before = characters[position - 1];
    const run = before !== undefined && (before === character || ROWS.some((row) => inRow(row, before, character)));
    counted += run ? 0.25 : 1;
  }
  const different = new Set(characters).size;
  return Math.min(counted, different * 2);
}

/** Reads p@ssw0rd as password, but only where that makes a common word; elsewhere the text stays as it is. */
function letterwise(text: string, disguised: string): string {
  let best = text;
  for (const word of COMMON) {
    const at = disguised.indexOf(word);
    if (at >= 0 && word.length >= 4) best = best.slice(0, at) + word + best.slice(at + word.length);
  }
  return best;
}

function inRow(row: string, before: string, after: string): boolean {
  const at = row.indexOf(before);
  return at >= 0 && (row[at + 1] === after || row[at - 1] === after);
}

export function strengthOf(password: string, personal: readonly string[] = []): Strength {
  const length = lengthOf(password);
  if (length === 0) return "empty";
  if (length < SHORTEST) return "short";
  const value = worth(password, personal);
  if (value < 7) return "common";
  if (value < 11) return "fair";
  return value < 16 ? "good" : "strong";
}

export const acceptable = (strength: Strength): boolean => strength === "fair" || strength === "good" || strength === "strong";
