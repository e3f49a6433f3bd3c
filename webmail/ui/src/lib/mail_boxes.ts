// Which letterbox is looked at: one's own, or a shared account one is a member of (a ward's). Letters are asked for, and
// written, in the name of that one; keys stay one's own, since what comes to a ward is sealed to each of its members.
// Invariants: who is a patient has one box; a box that one is no member of any more is left for one's own.
import { speaker } from "./account.ts";
import { send } from "./api.ts";
import { Refused, type Box } from "./contract.ts";

const KEPT = "vaguemestre.box"; // an id, for this tab alone: reloading stays where one was

interface JmapSession {
  accounts: Record<string, { name: string; isPersonal: boolean }>;
}

let person: string | null = null;
let entered: string | null = null; // null: one's own
let asked: Promise<Box[]> | null = null;

const tab = (): Storage | null => {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // storage is refused here: the tab forgets
  }
};

function settle(): string {
  const { account } = speaker().session;
  if (person !== account.id) {
    person = account.id;
    asked = null;
    const kept = account.kind === "PER" ? (tab()?.getItem(KEPT) ?? null) : null;
    entered = kept?.startsWith(`${person} `) ? kept.slice(person.length + 1) : null;
  }
  return person;
}

/** The account whose letters are shown. */
export function accountId(): string {
  const own = settle();
  return entered ?? own;
}

export const isShared = (): boolean => accountId() !== person;

export async function boxes(): Promise<Box[]> {
  const own = settle();
  const { account } = speaker().session;
  const mine: Box = { id: own, address: account.shown, own: true };
  if (account.kind !== "PER") return [mine];
  asked ??= send("/jmap/session").then(async (answer) => {
    if (!answer.ok) throw new Refused("failure", { status: answer.status });
    const { accounts } = (await answer.json()) as JmapSession;
    const shared = Object.entries(accounts).filter(([id, { isPersonal }]) => id !== own && !isPersonal);
    return [mine, ...shared.map(([id, { name }]): Box => ({ id, address: name, own: false }))];
  });
  asked.catch(() => (asked = null));
  const found = await asked;
  if (entered !== null && !found.some(({ id }) => id === entered)) enter(own);
  return found;
}

/** The box whose letters are shown, with its address. */
export async function box(): Promise<Box> {
  const own = settle();
  if (entered === null) return { id: own, address: speaker().session.account.shown, own: true };
  const found = await boxes();
  return found.find(({ id }) => id === accountId()) ?? found[0]!;
}

export function enter(id: string): void {
  const own = settle();
  entered = id === own ? null : id;
  try {
    if (entered === null) tab()?.removeItem(KEPT);
    else tab()?.setItem(KEPT, `${own} ${entered}`);
  } catch {
    // The tab forgets.
  }
}
