// Addresses of the page, and the way from one to the next. Ordinary links work: clicks on our own addresses are caught.
// Each screen is a chunk of its own, brought with its words. Nothing secret is ever put into an address.
import type { Component } from "svelte";
import type { Area } from "./i18n/index.ts";
import { here } from "./place.svelte.ts";

export type Params = Readonly<Record<string, string>>;
/** What each screen is given. */
export interface ScreenProps {
  params: Params;
  query: URLSearchParams;
}
type Screen = Component<ScreenProps>;
type Loader = () => Promise<{ default: Screen }>;

/** "nobody": only who is not logged in; "unlocked": who can open letters; "anyone": all. */
export type Needs = "nobody" | "anyone" | "session" | "unlocked";

export interface Route {
  pattern: string;
  needs: Needs;
  areas: readonly Area[];
  load: Loader | null;
}

export interface Place {
  path: string;
  route: Route | null;
  params: Params;
  query: URLSearchParams;
}

const activate: Loader = () => import("./screens/account/Activate.svelte");
const logIn: Loader = () => import("./screens/account/LogIn.svelte");
const recover: Loader = () => import("./screens/account/Recover.svelte");
const unlock: Loader = () => import("./screens/account/Unlock.svelte");
const settings: Loader = () => import("./screens/account/Settings.svelte");
const inbox: Loader = () => import("./screens/mail/Inbox.svelte");
const conversation: Loader = () => import("./screens/mail/Conversation.svelte");
const compose: Loader = () => import("./screens/mail/Compose.svelte");
const refusal: Loader = async () => ({ default: (await import("./screens/account/providers.ts")).Refusal });
const confirmed: Loader = async () => ({ default: (await import("./screens/account/providers.ts")).Confirmed });
const search: Loader = () => import("./screens/mail/Search.svelte");
const record: Loader = () => import("./screens/record/Record.svelte");
const agenda: Loader = () => import("./screens/agenda/Agenda.svelte");

export const ROUTES: readonly Route[] = [
  { pattern: "/", needs: "anyone", areas: [], load: null },
  { pattern: "/activer", needs: "anyone", areas: ["account", "access"], load: activate },
  { pattern: "/connexion", needs: "nobody", areas: ["account"], load: logIn },
  { pattern: "/secours", needs: "anyone", areas: ["account", "access"], load: recover },
  { pattern: "/deverrouiller", needs: "session", areas: ["account", "access"], load: unlock },
  { pattern: "/refus", needs: "anyone", areas: ["account", "rights"], load: refusal },
  { pattern: "/confirme", needs: "anyone", areas: ["account", "rights"], load: confirmed },
  { pattern: "/messages", needs: "unlocked", areas: ["mail"], load: inbox },
  { pattern: "/messages/:role", needs: "unlocked", areas: ["mail"], load: inbox },
  { pattern: "/conversation/:thread", needs: "unlocked", areas: ["mail"], load: conversation },
  { pattern: "/ecrire", needs: "unlocked", areas: ["mail", "compose", "seldom"], load: compose },
  { pattern: "/recherche", needs: "unlocked", areas: ["mail", "compose"], load: search },
  { pattern: "/dossier", needs: "unlocked", areas: ["mail", "record"], load: record },
  { pattern: "/dossier/:part", needs: "unlocked", areas: ["mail", "record"], load: record },
  { pattern: "/dossier/:part/:id", needs: "unlocked", areas: ["mail", "record"], load: record },
  { pattern: "/agenda", needs: "unlocked", areas: ["mail", "agenda"], load: agenda },
  { pattern: "/agenda/:part", needs: "unlocked", areas: ["mail", "agenda"], load: agenda },
  { pattern: "/agenda/:part/:id", needs: "unlocked", areas: ["mail", "agenda"], load: agenda },
  { pattern: "/reglages", needs: "unlocked", areas: ["account", "access", "security", "rights"], load: settings },
  { pattern: "/reglages/:section", needs: "unlocked", areas: ["account", "access", "security", "rights"], load: settings },
];

export function find(path: string): { route: Route | null; params: Params } {
  const wanted = parts(path);
  for (const route of ROUTES) {
    const pattern = parts(route.pattern);
    if (pattern.length !== wanted.length) continue;
    const params: Record<string, string> = {};
    const fits = pattern.every((name, i) => {
      const given = wanted[i] ?? "";
      if (!name.startsWith(":")) return name === given;
      params[name.slice(1)] = given;
      return true;
    });
    if (fits) return { route, params };
  }
  return { route: null, params: {} };
}

/** Go to an address of the page. `replace` leaves no step behind for the Back button. */
export function go(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  arrive();
}

/** One step back, or to `otherwise` when the visitor came straight here. */
export function back(otherwise: string): void {
  if (steps > 0) history.back();
  else go(otherwise, { replace: true });
}

let steps = 0;
let onStep: ((name: string) => boolean) | null = null;

/** A step within the screen that is shown, for the Back button to come back from. */
export function step(name: string): void {
  history.pushState({ step: name }, "");
}

/** The screen that is shown has steps: it is told which one Back or Forward leads to ("" the first), and takes it or not. */
export function stepping(listener: (name: string) => boolean): () => void {
  onStep = listener;
  return () => {
    if (onStep === listener) onStep = null;
  };
}

export function startRouter(): void {
  history.scrollRestoration = "auto";
  addEventListener("popstate", (event) => {
    const name = (event.state as { step?: unknown } | null)?.step;
    if (location.pathname === here.place?.path && onStep?.(typeof name === "string" ? name : "")) return;
    steps = Math.max(0, steps - 1);
    arrive();
  });
  addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || !ours(link, event)) return;
    event.preventDefault();
    steps += 1;
    go(link.pathname + link.search + link.hash);
  });
  arrive();
}

function ours(link: HTMLAnchorElement, event: MouseEvent): boolean {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return false;
  if (link.getAttribute("href")?.startsWith("#")) return false;
  return find(link.pathname).route !== null;
}

function arrive(): void {
  const { route, params } = find(location.pathname);
  here.place = { path: location.pathname, route, params, query: new URLSearchParams(location.search) };
  here.visits += 1;
}

function parts(path: string): string[] {
  return path.split("/").filter(Boolean).map(decoded);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
