// Whom a document is about: the holder of the record, or somebody else whose document came into it by mistake.
//
// Invariants: pure; a national number that is there decides, and a name only where there is none; what tells nothing of
// whom it is about is not taken for somebody else's.
import type { PatientId, Traits } from "../worker/record/cda_model.ts";

/** Who the record is of, as the session tells. */
export interface Holder {
  number: string; // 15 or 13 characters of the national number; "" when it is not known
  familyName: string;
  givenName: string;
  birthDate: string; // "" when it is not known
}

/** The flag of such a document. */
export const ABOUT_ANOTHER = "about-another";

export type About = "holder" | "another" | "unknown";

/** What a document says of whom it is about. */
export interface Named extends Pick<Traits, "familyName" | "givenName" | "birthDate"> {
  ids: PatientId[];
}

const NATIONAL = new Set([8, 9, 10, 11].map((last) => `1.2.250.1.213.1.4.${last}`)); // INS: NIR, NIA, and both of trials
const KEYLESS = 13; // characters of a number without its check digits
const NUMBER = /^\d{5}(\d\d|2[AB])\d{6}(\d\d)?$/;

const bare = (text: string): string => text.replace(/[\s.-]/g, "").toUpperCase();

/** The holder, by the address that is shown; a box that is nobody's record has none. */
export function holderOf({ account, name }: { account: { shown: string; kind: string }; name: { given: string; family: string } }): Holder | null {
  if (account.kind !== "PATIENT") return null;
  const local = bare(account.shown.split("@")[0] ?? "");
  return { number: NUMBER.test(local) ? local : "", familyName: name.family, givenName: name.given, birthDate: "" };
}

export function aboutWhom({ ids, familyName, givenName, birthDate }: Named, holder: Holder | null): About {
  if (holder === null) return "unknown";
  const national = ids.filter((one) => NATIONAL.has(one.root.replace(/^urn:oid:/i, "")) && bare(one.extension) !== "");
  if (national.length > 0 && holder.number !== "") return national.some((one) => sameNumber(bare(one.extension), holder.number)) ? "holder" : "another";
  return byName({ family: familyName, given: givenName, birthDate }, { family: holder.familyName, given: holder.givenName, birthDate: holder.birthDate });
}

const sameNumber = (one: string, other: string): boolean =>
  one.length === other.length ? one === other : Math.min(one.length, other.length) === KEYLESS && one.slice(0, KEYLESS) === other.slice(0, KEYLESS);

/** How the national number may stand in what letters say of their patient. */
export const numbersOf = ({ number }: Holder): PatientId[] => (number === "" ? [] : [...NATIONAL].map((root) => ({ root, extension: number })));

// -------------------------------------------------------------------------------------------------------- names

interface Called {
  family: string;
  given: string;
  birthDate: string;
}

const plain = (text: string): string => text.replace(/[œŒ]/g, "oe").replace(/[æÆ]/g, "ae").normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
/** Words of a name: those that a hyphen or an apostrophe joins are several. */
const wordsOf = (text: string): string[] => plain(text).split(/[^\p{L}\p{N}]+/u).filter((one) => one !== "");
/** Names apart: those that a hyphen joins are one. */
const namesOf = (text: string): string[] => plain(text).split(/[\s,]+/).map((one) => wordsOf(one).join("")).filter((one) => one !== "");

function byName(said: Called, holder: Called): About {
  if (wordsOf(said.family).length + wordsOf(said.given).length === 0 || wordsOf(holder.family).length + wordsOf(holder.given).length === 0) return "unknown";
  const turned = { family: said.given, given: said.family };
  const whole = [said.family, said.given, holder.family, holder.given].every((one) => wordsOf(one).length > 0);
  if (!sameName(said, holder) && !sameName(turned, holder)) return "another";
  if (said.birthDate !== "" && holder.birthDate !== "" && !sameDay(said.birthDate, holder.birthDate)) return "another";
  return whole ? "holder" : "unknown"; // half a name is nobody else's, nor surely the holder's
}

const sameName = (one: Omit<Called, "birthDate">, other: Omit<Called, "birthDate">): boolean => sameFamily(wordsOf(one.family), wordsOf(other.family)) && sameGiven(one.given, other.given);

/** One of two names of a couple may be left out; what is not said differs from nothing. */
function sameFamily(one: string[], other: string[]): boolean {
  if (one.length === 0 || other.length === 0 || one.join("") === other.join("")) return true;
  const [fewer, more] = one.length < other.length ? [one, other] : [other, one];
  return fewer.every((word) => more.includes(word));
}

/** The first of several may stand alone; "Marie" is not "Marie-Claude", who is "Marie Claude". */
function sameGiven(one: string, other: string): boolean {
  const [a, b] = [namesOf(one), namesOf(other)];
  return a.length === 0 || b.length === 0 || a.join("") === b.join("") || a[0] === b[0];
}

/** To the precision that both have. */
function sameDay(one: string, other: string): boolean {
  const length = Math.min(one.length, other.length, 10);
  return one.slice(0, length) === other.slice(0, length);
}
