// Whose letters are looked at: one's own, or those of an account one reads (a ward's, or of who let one in). They are
// asked for, and written, in that account's name; keys stay one's own, since what comes there is sealed to each reader.
// Invariants: who is a patient has one box; a box that one reads no more is left for one's own.
import { speaker } from "./account.ts";
import { api } from "./api.ts";
import type { Box, ReadAccount } from "./contract.ts";

const KEPT = "vaguemestre.box"; // an id, for this tab alone: reloading stays where one was

let person: string | null = null;
let entered: string | null = null; // null: one's own
let asked: Promise<Box[]> | null = null;

function kept(next?: string | null): string | null {
  try {
    if (next === null) sessionStorage.removeItem(KEPT);
    else if (next !== undefined) sessionStorage.setItem(KEPT, next);
    return sessionStorage.getItem(KEPT);
  } catch {
    return null; // storage is refused here: the tab forgets
  }
}

function settle(): string {
  const { account } = speaker().session;
  if (person !== account.id) {
    person = account.id;
    asked = null;
    const [of, box] = account.kind === "PER" ? (kept()?.split(" ") ?? []) : [];
    entered = of === person && box !== undefined ? box : null;
  }
  return person;
}

/** The account whose letters are shown. */
export function accountId(): string {
  const own = settle();
  return entered ?? own;
}

export const isOthers = (): boolean => accountId() !== person;

export async function boxes(): Promise<Box[]> {
  const own = settle();
  const { account } = speaker().session;
  const mine: Box = { id: own, address: account.shown, own: true, rights: "" };
  if (account.kind !== "PER") return [mine];
  asked ??= api<{ accounts: ReadAccount[] }>("GET", "readers").then(({ accounts }) => [
    mine,
    ...accounts.flatMap((one): Box[] => (one.own || !one.rights.includes("r") ? [] : [{ id: one.account, address: one.address, own: false, rights: one.rights }])),
  ]);
  asked.catch(() => (asked = null));
  const found = await asked;
  if (entered !== null && !found.some(({ id }) => id === entered)) enter(own);
  return found;
}

/** The box whose letters are shown, with its address. */
export async function box(): Promise<Box> {
  const found = await boxes();
  return found.find(({ id }) => id === accountId()) ?? found[0]!;
}

export function enter(id: string): void {
  const own = settle();
  entered = id === own ? null : id;
  kept(entered === null ? null : `${own} ${entered}`);
}

/** Nobody is here any more. */
export function forgetBoxes(): void {
  person = entered = asked = null;
  kept(null);
}
