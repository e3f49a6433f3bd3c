// A small server for one person, in memory, with the page's contract: what it holds is what ours would hold, and the
// tests look into it. It keeps what it is sent and opens nothing.
import { createServer, type Incoming, type Server } from "node:http";
import { base64, hex, random, utf8 } from "../src/lib/bytes.ts";
import { readCertificate } from "../src/worker/certificates.ts";
import { sealMessage } from "../src/worker/packets.ts";

type Json = Record<string, any>;

export interface Stored {
  id: string;
  threadId: string;
  mailbox: string;
  keywords: Record<string, boolean>;
  from: string;
  to: string[];
  subject: string;
  receivedAt: number;
  message: Uint8Array<ArrayBuffer>;
  summary: string | null;
  keyIds: string[];
  guard: string;
  messageId: string;
  class?: string;
  receipt?: boolean; // asked for, and not sent yet
  state?: number; // at which it came, for who follows changes
  changed?: number;
}

export interface Waiting {
  id: number;
  keyPackets: string;
  summaryKeyPackets: string | null;
}

export class Node {
  readonly account = { id: "A1", address: "0f3c@patient.mss.example", shown: "267017506512334@patient.mss.example", kind: "PATIENT" };
  slots: Json[] = [];
  logins = new Map<string, string>(); // kind → login value
  keys: Json[] = [];
  old: Json[] = [];
  mustRenew = false;
  cookie = "";
  waiting: Waiting[] = [];
  waitingSecret: Uint8Array<ArrayBuffer> | null = null;
  letters: Stored[] = [];
  certificates = new Map<string, Json>();
  blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  submissions = new Map<string, Json>();
  submissionRefused: Json | null = null;
  held = 15;
  failAfter = Infinity; // requests until the line breaks
  state = 1;
  gateway = "";
  classes = true; // it knows the classes of letters
  correspondents: Json[] = [];
  private gone: { id: string; state: number }[] = [];
  private challenges = new Map<string, string>();
  private server: Server | null = null;

  async start(): Promise<string> {
    this.server = createServer((incoming, outgoing) => {
      void this.answer(incoming).then(([status, body, headers]) => {
        outgoing.writeHead(status, { "Content-Type": "application/json", ...headers });
        outgoing.end(body instanceof Uint8Array ? body : JSON.stringify(body));
      });
    });
    await new Promise<void>((ready) => this.server!.listen(0, "127.0.0.1", ready));
    return `http://127.0.0.1:${this.server.address().port}/`;
  }

  stop(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  private session(): Json {
    return {
      account: this.account, name: { given: "Élise", family: "Durand" }, slots: this.slots, keys: this.keys,
      resealLeft: this.waiting.length, mustRenew: this.mustRenew, totp: false, expires: 0,
    };
  }

  private async answer(incoming: Incoming): Promise<[number, Json | Uint8Array, Record<string, string>?]> {
    const pieces: Uint8Array[] = [];
    for await (const piece of incoming) pieces.push(piece);
    const size = pieces.reduce((sum, one) => sum + one.length, 0);
    const bytes = new Uint8Array(size);
    pieces.reduce((at, one) => (bytes.set(one, at), at + one.length), 0);
    const path = incoming.url;
    if (incoming.headers["x-vaguemestre"] !== "1") return [403, { error: "foreign-request" }];
    if ((this.failAfter -= 1) < 0) return [502, {}];
    const body = incoming.headers["content-type"] === "application/json" && size > 0 ? (JSON.parse(new TextDecoder().decode(bytes)) as Json) : {};
    if (path.startsWith("/api/")) return this.rest(`${incoming.method} ${path.slice(5)}`, body, incoming.headers["cookie"] ?? "");
    if (this.cookie === "" || !(incoming.headers["cookie"] ?? "").includes(this.cookie)) return [401, { error: "no-session" }];
    if (path === "/jmap/api") return [200, { methodResponses: body["methodCalls"].map((call: any, _: number, all: any[]) => this.method(call, all)) }];
    if (path.startsWith("/jmap/upload/")) {
      const blobId = `U${this.blobs.size}`;
      this.blobs.set(blobId, bytes);
      return [201, { blobId }];
    }
    const blob = path.split("/")[4]!;
    const found = this.letters.find((one) => `B${one.id}` === blob);
    return found === undefined ? [404, { error: "unknown-blob" }] : [200, found.message];
  }

  private entered(): [number, Json, Record<string, string>] {
    this.cookie = hex(random(16));
    return [200, this.session(), { "Set-Cookie": `vaguemestre=${this.cookie}; Path=/; HttpOnly` }];
  }

  private async rest(what: string, body: Json, cookie: string): Promise<[number, Json, Record<string, string>?]> {
    const open = /^(GET operator|POST enrolment|POST keys\/challenge|POST login)/.test(what);
    if (!open && (this.cookie === "" || !cookie.includes(this.cookie))) return [401, { error: "no-session" }];
    const slot = (kind: string, given: Json): void => {
      const params = kind === "password" ? { salt: given["salt"], ...given["params"] } : {};
      this.logins.set(kind, given["login"]);
      this.slots = [...this.slots.filter((one) => one["kind"] !== kind), { id: kind, kind, label: "", created: 1, lastUsed: null, params, wrapped: given["wrapped"] }];
    };
    const key = (given: Json, fingerprint: string): void => {
      this.keys = [...this.keys.map((one) => ({ ...one, current: false })), { fingerprint, certificate: given["certificate"], wrappedSecret: given["wrappedSecret"], current: true }];
    };
    if (what === "GET operator") return [200, { operator: "CHU", contact: "", limits: { attachment: 5_000_000, message: 8_000_000, attachments: 5 }, undoSeconds: this.held, gateway: this.gateway }];
    if (what === "POST enrolment/start") {
      if (body["code"] !== "ABCD-EFGH-JKMC") return [403, { error: "code-refused", triesLeft: 4, reference: "r1" }];
      return [200, { ...this.account, account: this.account.id, givenName: "Élise", familyName: "Durand", lost: false, hasCertificate: false }];
    }
    if (what === "POST keys/challenge") {
      const nonce = hex(random(32));
      const certificate = await readCertificate(body["certificate"]);
      const message = base64(await sealMessage(utf8(nonce), [certificate!], null));
      this.challenges.set("c1", nonce);
      return [200, { challenge: "c1", message }];
    }
    if (what === "POST enrolment/complete" || what === "PUT key") {
      const given = what === "PUT key" ? body : body["key"];
      if (given !== null && this.challenges.get(given["challenge"]) !== given["nonce"]) return [400, { error: "challenge-refused" }];
      const certificate = given === null ? null : await readCertificate(given["certificate"]);
      if (certificate !== null) key(given, certificate.getFingerprint().toUpperCase());
      if (what === "PUT key") return [200, this.session()];
      slot("password", body["password"]);
      slot("recovery", body["recovery"]);
      return this.entered();
    }
    if (what === "POST login/parameters") {
      const { salt = base64(new Uint8Array(16)), ...params } = this.slots.find((one) => one["kind"] === "password")?.["params"] ?? {};
      return [200, { salt, params }];
    }
    if (what === "POST login" || what === "POST login/recovery") {
      const kind = what === "POST login" ? "password" : "recovery";
      if (body["login"] !== this.logins.get(kind)) return [401, { error: "login-refused" }];
      this.mustRenew = kind === "recovery";
      return this.entered();
    }
    if (what === "GET session") return [200, this.session()];
    if (what === "POST logout") {
      this.cookie = "";
      return [204, {}];
    }
    if (what === "PUT password" || what === "PUT recovery") {
      const kind = what === "PUT password" ? "password" : "recovery";
      if (!this.mustRenew && body["current"] !== this.logins.get("password")) return [403, { error: "password-refused" }];
      slot(kind, kind === "password" ? body["password"] : body);
      if (kind === "recovery") this.mustRenew = false;
      return [200, this.session()];
    }
    if (what === "GET keys/old") return [200, { keys: this.old }];
    if (what.startsWith("PUT keys/")) {
      const fingerprint = what.slice(9);
      this.keys = this.keys.map((one) => (one["fingerprint"] === fingerprint ? { ...one, wrappedSecret: body["wrappedSecret"] } : one));
      return [200, this.session()];
    }
    if (what === "GET reseal") {
      const own = await readCertificate(this.keys.at(-1)!["certificate"]);
      const waitingKey = this.waiting.length === 0 ? null : base64(await sealMessage(this.waitingSecret!, [own!], null));
      return [200, { left: this.waiting.length, total: this.waiting.length, waitingKey }];
    }
    if (what.startsWith("GET reseal/letters")) {
      const after = Number(/after=(\d+)/.exec(what)![1]);
      return [200, { letters: this.waiting.filter((one) => one.id > after).slice(0, 50), left: this.waiting.length }];
    }
    if (what === "POST reseal/letters") {
      const done = (body["letters"] as Waiting[]).map((one) => one.id);
      for (const one of body["letters"] as Waiting[]) this.resealed.set(one.id, one);
      this.waiting = this.waiting.filter((one) => !done.includes(one.id));
      return [200, { done, left: this.waiting.length }];
    }
    if (what === "POST certificates") {
      const addressees = (body["addresses"] as string[]).map((address) => this.certificates.get(address) ?? { address, error: "not-a-correspondent", message: "" });
      return [200, { addressees }];
    }
    if (what === "GET correspondents") return [200, { correspondents: this.correspondents }];
    return [404, { error: "other" }];
  }

  readonly resealed = new Map<number, Waiting>();

  // -------------------------------------------------------------------------------------------------- JMAP

  /** Letters come, and who follows changes is told. */
  arrived(...letters: Stored[]): void {
    this.state += 1;
    for (const one of letters) this.letters.push({ ...one, state: this.state });
  }

  private email(one: Stored, properties: string[] | undefined): Json {
    const all: Json = {
      id: one.id, blobId: `B${one.id}`, threadId: one.threadId, mailboxIds: { [one.mailbox]: true }, keywords: one.keywords,
      size: one.message.length, receivedAt: new Date(one.receivedAt).toISOString(), from: [{ name: null, email: one.from }],
      to: one.to.map((email) => ({ name: null, email })), subject: one.subject, preview: "", messageId: [one.messageId], references: null,
      guard: one.guard, closesExchange: false, keyIds: one.keyIds, sealedSummary: one.summary, coarseClass: one.class ?? "message", receiptRequested: one.receipt ?? false,
    };
    return properties === undefined ? all : Object.fromEntries(["id", ...properties].map((name) => [name, all[name]]));
  }

  private method([name, given, id]: [string, Json, string], all: [string, Json, string][]): [string, Json, string] {
    const made = this.called(name, given, all);
    return "type" in made ? ["error", made, id] : [name, { accountId: this.account.id, state: String(this.state), ...made }, id];
  }

  private readonly toOf = (message: Uint8Array): string[] => (/^To: (.*)\r$/m.exec(new TextDecoder().decode(message))?.[1] ?? "").split(", ");

  private last: string[] = [];

  private called(name: string, given: Json, all: [string, Json, string][]): Json {
    if (given["accountId"] !== this.account.id) return { type: "accountNotFound" };
    if (name === "Mailbox/get") {
      return { list: ["inbox", "sent", "archive", "trash"].map((role) => ({ id: `F${role}`, role, totalEmails: this.letters.filter((one) => one.mailbox === `F${role}`).length, unreadEmails: 0 })) };
    }
    if (name === "Email/query") {
      const { inMailbox, class: named, notKeyword } = (given["filter"] ?? {}) as { inMailbox?: string; class?: string; notKeyword?: string };
      if (named !== undefined && !this.classes) return { type: "unsupportedFilter" };
      const found = this.letters.filter((one) => (inMailbox === undefined || one.mailbox === inMailbox) && (named === undefined || one.class === named) && (notKeyword === undefined || one.keywords[notKeyword] !== true)).sort((a, b) => b.receivedAt - a.receivedAt);
      this.last = found.slice(given["position"], given["position"] + given["limit"]).map((one) => one.id);
      return { ids: this.last, total: found.length };
    }
    if (name === "Thread/get") {
      this.last = this.letters.filter((one) => given["ids"].includes(one.threadId)).map((one) => one.id);
      return { list: [{ id: given["ids"][0], emailIds: this.last }] };
    }
    if (name === "Email/get") {
      const back = given["#ids"] as { resultOf: string } | undefined;
      if (back !== undefined && !all.some((call) => call[2] === back.resultOf)) return { type: "invalidResultReference" };
      const ids = back === undefined ? (given["ids"] as string[]) : this.last;
      return { list: ids.flatMap((one) => this.letters.filter((letter) => letter.id === one)).map((one) => this.email(one, given["properties"])) };
    }
    if (name === "Email/changes") {
      const since = Number(given["sinceState"]);
      const created = this.letters.filter((one) => (one.state ?? 0) > since).map((one) => one.id);
      const updated = this.letters.filter((one) => (one.changed ?? 0) > since && !created.includes(one.id)).map((one) => one.id);
      return { newState: String(this.state), created, updated, destroyed: this.gone.filter((one) => one.state > since).map((one) => one.id), hasMoreChanges: false };
    }
    if (name === "Email/set") {
      this.state += 1;
      for (const [id, patch] of Object.entries((given["update"] ?? {}) as Record<string, Json>)) {
        const letter = this.letters.find((one) => one.id === id)!;
        letter.changed = this.state;
        if (patch["mailboxIds"] !== undefined) letter.mailbox = Object.keys(patch["mailboxIds"])[0]!;
        for (const [path, value] of Object.entries(patch)) if (path.startsWith("keywords/")) letter.keywords[path.slice(9)] = value === true;
      }
      for (const id of (given["destroy"] ?? []) as string[]) this.gone.push({ id, state: this.state });
      this.letters = this.letters.filter((one) => !((given["destroy"] ?? []) as string[]).includes(one.id));
      return {};
    }
    if (name === "Identity/get") return { list: [{ id: "I1" }] };
    if (name === "Email/import") {
      const { blobId, mailboxIds, keywords, sealedSummary, class: named } = given["emails"]["n"];
      if (named !== undefined && !this.classes) return { notCreated: { n: { type: "invalidProperties", properties: ["class"] } } };
      this.state += 1;
      const id = `M${100 + this.letters.length + this.gone.length}`;
      const message = this.blobs.get(blobId)!;
      const subject = /^Subject: (.*)\r$/m.exec(new TextDecoder().decode(message))![1]!;
      this.letters.push({
        id, threadId: "Tsent", mailbox: Object.keys(mailboxIds)[0]!, keywords, from: this.account.shown, to: this.toOf(message), subject, state: this.state,
        ...(named === undefined ? {} : { class: named }), receivedAt: Date.now(),
        message, summary: sealedSummary, keyIds: ["0000000000000000"], guard: "sealed", messageId: "x@y",
      });
      return { created: { n: { id } } };
    }
    if (name === "EmailSubmission/query") {
      return { ids: [...this.submissions].filter(([, one]) => given["filter"]["emailIds"].includes(one["emailId"])).map(([id]) => id) };
    }
    if (name === "EmailSubmission/get") return { list: [...this.submissions].map(([id, one]) => ({ id, deliveryStatus: {}, ...one })) };
    if (name === "EmailSubmission/set") {
      if (this.submissionRefused !== null) return { notCreated: { n: this.submissionRefused } };
      for (const [id, patch] of Object.entries((given["update"] ?? {}) as Record<string, Json>)) {
        const found = this.submissions.get(id)!;
        if (found["undoStatus"] !== "pending") return { notUpdated: { [id]: { type: "cannotUnsend" } } };
        Object.assign(found, patch);
      }
      if (given["create"] === undefined) return {};
      const id = `S${this.submissions.size}`;
      this.submissions.set(id, { ...given["create"]["n"], undoStatus: "pending" });
      return { created: { n: { id } } };
    }
    return { type: "unknownMethod" };
  }
}
