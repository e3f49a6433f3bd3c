// The server's REST side: requests of this page alone carry its header, errors come as slugs. Who listens learns when
// the session is over and when the server does not answer.
import { Refused } from "./contract.ts";

type Listener<T> = (value: T) => void;

export class Listeners<T> {
  private readonly all = new Set<Listener<T>>();

  readonly add = (listener: Listener<T>): (() => void) => {
    this.all.add(listener);
    return () => void this.all.delete(listener);
  };

  tell(value: T): void {
    for (const listener of [...this.all]) listener(value);
  }
}

export const sessionEnded = new Listeners<null>();
/** Which session of this page it is: what one asked says nothing of the next. */
export const turn = { now: 0 };
export const offline = new Listeners<boolean>();
let isOffline = false;

function connected(yes: boolean): void {
  if (isOffline === !yes) return;
  isOffline = !yes;
  offline.tell(isOffline);
}

const PATIENCE = 60_000; // ms; a large letter on a slow line has its own

/** A request to our own server. Raises Refused("offline") when there is no answer. */
export async function send(path: string, init: RequestInit = {}, patience = PATIENCE): Promise<Response> {
  const headers = { "X-Vaguemestre": "1", ...(init.headers as Record<string, string> | undefined) };
  const signal = AbortSignal.timeout(patience);
  const asked = turn.now;
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", redirect: "error", signal, ...init, headers });
  } catch {
    connected(false);
    throw new Refused("offline");
  }
  connected(answer.status !== 502 && answer.status !== 504);
  if (answer.status === 401 && asked !== turn.now) throw new Refused("no-session", { status: 401 });
  return answer;
}

// What the server calls otherwise than the page's words do.
const SAID: Record<string, string> = {
  "password-refused": "password-wrong",
  "slot-needed": "last-slot",
  "renew-first": "must-renew",
  "challenge-refused": "nonce-wrong",
};

interface Told {
  error?: string;
  reference?: string;
  triesLeft?: number;
  retryAfter?: number;
  reason?: string;
}

export async function refusal(answer: Response): Promise<Refused> {
  const told = (await answer.json().catch(() => ({}))) as Told;
  const { error, reference, triesLeft, retryAfter, reason } = told;
  const slug = typeof error === "string" ? error : answer.status >= 500 ? "offline" : "other";
  return new Refused(SAID[slug] ?? slug, { reference, triesLeft, retryAfter, reason, status: answer.status });
}

export async function api<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) Object.assign(init, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const answer = await send(`/api/${path}`, init);
  if (answer.ok) return (answer.status === 204 ? null : await answer.json().catch(() => null)) as T;
  const refused = await refusal(answer);
  if (refused.slug === "no-session") sessionEnded.tell(null);
  throw refused;
}
