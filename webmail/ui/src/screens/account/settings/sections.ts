// The sections of the settings: their addresses, who has them, and the groups they are shown in.
import type { IconName } from "../../../components/Icon.svelte";
import type { Session } from "../../../lib/contract.ts";

export type SectionName = "password" | "passkeys" | "sheet" | "oldSheet" | "sessions" | "totp" | "history" | "operator" | "display" | "key" | "programs" | "readers" | "blocks" | "contact" | "copy" | "notices" | "leaving" | "listing";

export const SECTIONS: Readonly<Record<SectionName, { path: string; icon: IconName; who: "all" | "PER" | "PATIENT" }>> = {
  password: { path: "mot-de-passe", icon: "lock", who: "all" },
  passkeys: { path: "appareils", icon: "device", who: "all" },
  sheet: { path: "feuille", icon: "print", who: "all" },
  oldSheet: { path: "ancienne-feuille", icon: "unlock", who: "all" },
  sessions: { path: "connexions", icon: "people", who: "all" },
  totp: { path: "second-controle", icon: "shield", who: "all" },
  history: { path: "historique", icon: "clock", who: "all" },
  operator: { path: "operateur", icon: "eye", who: "all" },
  display: { path: "affichage", icon: "settings", who: "all" },
  key: { path: "cle", icon: "key", who: "PER" },
  programs: { path: "logiciel", icon: "inbox", who: "PER" },
  readers: { path: "lecteurs", icon: "people", who: "PER" },
  contact: { path: "premier-message", icon: "pen", who: "PER" },
  copy: { path: "copie-logiciel", icon: "copy", who: "PER" },
  listing: { path: "annuaire", icon: "search", who: "PER" },
  leaving: { path: "autres-operateurs", icon: "sent", who: "PER" },
  notices: { path: "avis", icon: "inbox", who: "PATIENT" },
  blocks: { path: "adresses-bloquees", icon: "close", who: "PATIENT" },
};

/** The four that protect against loss and theft stand above, on a card of their own. */
export const GROUPS: readonly { title: "access" | "work" | "trust" | "comfort"; names: readonly SectionName[] }[] = [
  { title: "work", names: ["key", "programs", "readers", "contact", "listing", "copy", "leaving"] },
  { title: "access", names: ["notices", "sessions", "oldSheet", "blocks"] },
  { title: "trust", names: ["history", "operator"] },
  { title: "comfort", names: ["display"] },
];

export const isFor = (name: SectionName, { account }: Session): boolean => SECTIONS[name].who === "all" || SECTIONS[name].who === account.kind;

export function sectionAt(path: string): SectionName | null {
  if (path === "secours") return "oldSheet"; // where locked letters lead
  const found = (Object.keys(SECTIONS) as SectionName[]).find((name) => SECTIONS[name].path === path);
  return found ?? null;
}
