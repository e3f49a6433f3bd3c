// A place for the page's modules in Node: a server to speak to, cookies, and the worker called where it is.
import { answer, transferred } from "../src/worker/entry.ts";
import type { Question } from "../src/worker/protocol.ts";

export interface Seen {
  method: string;
  path: string;
  body: string;
}

const direct = globalThis.fetch;
const cookies = new Map<string, string>();

/** Every request made, with its body: what the server saw. */
export const seen: Seen[] = [];
let base = "";
let cut = false;

/** The line to the server goes down, or comes back. */
export const cutOff = (yes: boolean): void => {
  cut = yes;
};

let between: (path: string) => Promise<void> = async () => undefined;

/** What happens once the server has answered, before the page hears it. */
export const beforeHearing = (happens: typeof between): void => {
  between = happens;
};

export const forgetCookies = (): void => cookies.clear();

async function send(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  if (cut) throw new TypeError("fetch failed");
  const path = String(input);
  const headers = new Headers(init.headers);
  if (cookies.size > 0) headers.set("Cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
  headers.set("Sec-Fetch-Site", "same-origin");
  headers.set("Origin", new URL(base).origin);
  const { body, method = "GET" } = init;
  seen.push({ method, path, body: body instanceof ArrayBuffer ? new TextDecoder("latin1").decode(body) : String(body ?? "") });
  const made = await direct(new URL(path, base), { method, headers, body: body ?? null, redirect: "error" });
  for (const one of made.headers.getSetCookie()) {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(one) ?? [];
    if (value === "" || /max-age=0/i.test(one)) cookies.delete(name);
    else cookies.set(name, value);
  }
  await between(path);
  return made;
}

class PlacedWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: (() => void) | null = null;

  postMessage(question: Question, transfer: Transferable[] = []): void {
    // As between threads: what is handed over is gone here, the rest is copied.
    const given = structuredClone(question, { transfer });
    void answer(given).then((made) => {
      const data = structuredClone(made, { transfer: "made" in made ? transferred(made.made) : [] });
      this.onmessage?.({ data });
    });
  }
}

export function placed(address: string): void {
  base = address;
  Object.assign(globalThis, { fetch: send, Worker: PlacedWorker, EventSource: undefined, BroadcastChannel: undefined });
}
