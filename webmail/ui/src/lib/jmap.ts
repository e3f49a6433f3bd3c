// A small JMAP client (RFC 8620): several calls in one request, back-references, states, changes, push with polling to
// fall back on. Paths are those of our own origin; the account is the session's.
import { refusal, send, sessionEnded } from "./api.ts";
import { Refused } from "./contract.ts";

export const MAIL = "https://vaguemestre.example/jmap/mail";
export const ACCESS_LOG = "https://vaguemestre.example/jmap/access-log";
const CAPABILITIES = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission", MAIL];

export type Arguments = Record<string, unknown>;
export type Call = [method: string, given: Arguments, id: string];

/** Takes an argument from an earlier call of the same request (RFC 8620 §3.7). */
export const from = (resultOf: string, name: string, path: string): Arguments => ({ resultOf, name, path });

/** The answers by call id. The first method error is raised: what was asked together is wanted together. */
export async function jmap(calls: Call[], using: string[] = CAPABILITIES): Promise<Map<string, Arguments>> {
  const answer = await send("/jmap/api", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ using: using === CAPABILITIES ? using : [CAPABILITIES[0], ...using], methodCalls: calls }),
  });
  await accepted(answer);
  const { methodResponses } = (await answer.json()) as { methodResponses: Call[] };
  const made = new Map<string, Arguments>();
  for (const [method, given, id] of methodResponses) {
    if (method === "error") throw refusedBy(given);
    if (!made.has(id)) made.set(id, given);
  }
  return made;
}

interface Failure extends Arguments {
  type?: string;
  reason?: string;
  reference?: string;
}

/** Of a method or of one object; a refusal's own reason says more than the type that carries it. */
export function refusedBy({ type, reason, reference }: Failure): Refused {
  const slug = reason ?? (type === "overQuota" ? "over-quota" : (type ?? "other"));
  return new Refused(slug, { reference });
}

async function accepted(answer: Response): Promise<void> {
  if (answer.ok) return;
  const refused = await refusal(answer);
  if (answer.status === 401) {
    // Over, or one that may do nothing yet: the session itself knows.
    const session = await send("/api/session");
    if (session.status === 401) sessionEnded.tell(null);
    throw new Refused(session.status === 401 ? "no-session" : "forbidden", { status: 401 });
  }
  throw refused;
}

export async function download(account: string, blob: string): Promise<ArrayBuffer> {
  const path = `/jmap/download/${encodeURIComponent(account)}/${encodeURIComponent(blob)}/letter.eml?type=message%2Frfc822`;
  const answer = await send(path, {}, 600_000);
  await accepted(answer);
  return answer.arrayBuffer();
}

export async function upload(account: string, data: ArrayBuffer): Promise<string> {
  const init = { method: "POST", body: data, headers: { "Content-Type": "message/rfc822" } };
  const answer = await send(`/jmap/upload/${encodeURIComponent(account)}/`, init, 600_000);
  await accepted(answer);
  return ((await answer.json()) as { blobId: string }).blobId;
}

// ------------------------------------------------------------------------------------------------------ changes

const POLL = 30_000; // ms, when push does not get through
const RETRY = 60_000;

/** Tells when letters changed on the server, until stopped. */
export function watch(account: string, changed: () => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let state: string | null = null;
  let stopped = false;

  const told = (next: string | undefined): void => {
    if (next === undefined || next === state) return;
    const first = state === null;
    state = next;
    if (!first) changed();
  };

  const listen = (): void => {
    if (stopped) return;
    source = new EventSource("/jmap/events?types=Email,Mailbox,EmailSubmission&closeafter=no&ping=60");
    source.addEventListener("state", ({ data }: MessageEvent<string>) => {
      const { changed: types } = JSON.parse(data) as { changed?: Record<string, Record<string, string>> };
      state ??= ""; // what push tells is news from the first time on
      const { Email, Mailbox = Email, EmailSubmission } = types?.[account] ?? {};
      if ((Email ?? Mailbox) !== undefined) told(Email ?? Mailbox);
      else if (EmailSubmission !== undefined) changed(); // what became of a letter that was sent
    });
    source.onerror = () => {
      // The browser tries again by itself unless the answer was an error for good.
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(() => void poll(Date.now() + RETRY), POLL);
    };
  };

  const poll = async (until: number): Promise<void> => {
    if (stopped) return;
    try {
      if (document.visibilityState === "visible") {
        const asked = state === null || state === "" ? null : state;
        told(await latest(account, asked));
      }
    } catch (failure) {
      if (failure instanceof Refused && failure.slug === "no-session") return;
    }
    if (Date.now() >= until) listen();
    else timer = setTimeout(() => void poll(until), POLL);
  };

  listen();
  return () => {
    stopped = true;
    source?.close();
    clearTimeout(timer);
  };
}

/** The newest state of letters. With one known, /changes says whether anything came since. */
async function latest(account: string, since: string | null): Promise<string | undefined> {
  if (since === null) {
    const made = await jmap([["Email/get", { accountId: account, ids: [] }, "g"]]);
    return made.get("g")?.["state"] as string | undefined;
  }
  const made = await jmap([["Email/changes", { accountId: account, sinceState: since, maxChanges: 1 }, "c"]]).catch((failure: unknown) => {
    if (failure instanceof Refused && failure.slug === "cannotCalculateChanges") return null;
    throw failure;
  });
  return made === null ? latest(account, null) : (made.get("c")?.["newState"] as string | undefined);
}
