// What the picker offers: who wrote lately and whom the directory found, and how each of them is told apart.
import { t } from "../../i18n/index.ts";
import type { Correspondent } from "../../lib/contract.ts";
import type { Found } from "../../lib/directory_contract.ts";
import { learned } from "./names.svelte.ts";
import { nameOf, same } from "./people.ts";
import { line } from "./words.ts";

/** Of somebody who wrote lately, only name and address are known until the directory answers. */
export type Offered = Pick<Found, "address" | "name"> & Partial<Found>;

const MOST_OWN = 3;

const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Those who wrote lately, and of whom every word begins a part of the name or address. */
export function ownMet(people: readonly Correspondent[], words: string): Offered[] {
  const asked = folded(words).split(" ");
  const met = people.filter(({ person }) => {
    const text = folded(`${nameOf(person)} ${person.address}`).split(/[\s.\-_@']+/u);
    return asked.every((word) => text.some((one) => one.startsWith(word)) || folded(person.address).startsWith(word));
  });
  return met.slice(0, MOST_OWN).map(({ person }) => ({ address: person.address, name: nameOf(person), known: true }));
}

/** Who wrote lately stands where they stood when the directory answers: what is active stays what it was. */
export function together(own: readonly Offered[], found: readonly Offered[]): Offered[] {
  const first = own.map((one) => ({ ...found.find(({ address }) => same(address, one.address)), ...one }));
  const others = found.filter(({ address }) => !own.some((one) => same(one.address, address)));
  return [...first, ...others];
}

/** Whether this address is the mistyped one, also where it was written as one to be sealed. */
export const meant = (one: string, address: string): boolean => same(one, address) || same(one.replace("+sealed@", "@"), address);

export const calledShort = (address: string): string => line(learned(address), 80) || line(address, 120);

export const optionId = (i: number): string => `found-${i}`;

export const factsOf = (one: Offered): string => [one.profession, one.speciality].map((text) => line(text ?? "", 80)).filter(Boolean).join(", ");

export const placeOf = (one: Offered): string => [line(one.organisation ?? "", 90), [one.postcode, one.commune].map((text) => line(text ?? "", 60)).filter(Boolean).join(" ")].filter(Boolean).join(", ");

export const marksOf = (one: Offered): string[] => [
  ...(one.kind && one.kind !== "PER" ? [t(`directory.kind.${one.kind}`)] : []),
  ...(one.known ? [t("directory.known")] : []),
  ...(one.reachable === false ? [t("directory.unreachable")] : []),
  ...(one.digitization ? [t("directory.paperless")] : []),
];
