// The letters of each mailbox as far as they are known to this page: pages of 50, newest first, kept while one reads a
// letter and comes back. Invariants: what is shown changes at once and is put right by the server's answer; an answer
// that a newer question has overtaken is dropped; nothing is kept here once nobody can open letters any more.

import { Refused, type LetterLine, type MailboxRole, type Session } from "../../lib/contract.ts";
import { known } from "../../session.svelte.ts";
import { account, mail } from "../../work.ts";
import { learn } from "./names.svelte.ts";

export const PAGE = 50;

/** Those that the page shows; programs may have made others. */
export const ROLES = ["inbox", "sent", "archive", "trash"] as const satisfies readonly MailboxRole[];
const KNOWN: readonly string[] = [...ROLES, "drafts", "junk"] satisfies MailboxRole[];

export const roleOf = (name: string | null | undefined): MailboxRole => (name && KNOWN.includes(name) ? (name as MailboxRole) : "inbox");
export const pathOf = (role: MailboxRole): string => (role === "inbox" ? "/messages" : `/messages/${role}`);

/** The letters of one conversation that lie in the same mailbox: the newest stands for all. */
export interface Row {
  readonly line: LetterLine;
  readonly count: number;
  readonly unread: boolean;
}

export class Mailbox {
  readonly role: MailboxRole;
  #lines: readonly LetterLine[] = $state.raw([]);
  // Not derived: a mailbox outlives the screen that asked for it first, and a derived value would not.
  #rows: readonly Row[] = $state.raw([]);
  total = $state(0);
  unread = $state(0);
  ready = $state(false);
  busy = $state(false);
  failed = $state(false);
  /** How far the list was scrolled when it was left. */
  scrolled = 0;
  paneScrolled = 0;
  stale = true;
  #question = 0;

  constructor(role: MailboxRole) {
    this.role = role;
  }

  get lines(): readonly LetterLine[] {
    return this.#lines;
  }

  set lines(lines: readonly LetterLine[]) {
    this.#lines = lines;
    this.#rows = rowsOf(lines);
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get more(): boolean {
    return this.lines.length < this.total;
  }

  /** Asks anew for all that is shown. Tells how many unread letters came on top. */
  async refresh(): Promise<number> {
    const wanted = Math.max(PAGE, this.lines.length);
    const known = this.lines[0]?.receivedAt ?? Infinity;
    const found = await this.#ask(0, wanted);
    if (found === null) return 0;
    const seen = new Set(this.lines.map((line) => line.id));
    this.lines = found.lines;
    this.stale = false;
    return found.lines.filter((line) => line.unread && line.receivedAt >= known && !seen.has(line.id)).length;
  }

  async older(): Promise<void> {
    const found = await this.#ask(this.lines.length, PAGE);
    if (found === null) return;
    const seen = new Set(this.lines.map((line) => line.id));
    this.lines = [...this.lines, ...found.lines.filter((line) => !seen.has(line.id))];
  }

  read(ids: ReadonlySet<string>, read: boolean): void {
    const changed = this.lines.filter((line) => ids.has(line.id) && line.unread === read).length;
    if (changed === 0) return;
    this.lines = this.lines.map((line) => (ids.has(line.id) ? { ...line, unread: !read } : line));
    this.unread = Math.max(0, this.unread + (read ? -changed : changed));
  }

  drop(ids: ReadonlySet<string>): void {
    const left = this.lines.filter((line) => !ids.has(line.id));
    this.total = Math.max(0, this.total - (this.lines.length - left.length));
    this.unread = Math.max(0, this.unread - this.lines.filter((line) => ids.has(line.id) && line.unread).length);
    this.lines = left;
  }

  async #ask(position: number, limit: number): Promise<{ lines: LetterLine[] } | null> {
    const question = (this.#question += 1);
    this.busy = true;
    try {
      const found = await mail.list(this.role, position, limit);
      if (question !== this.#question) return null;
      learn(found.lines.flatMap(({ from }) => [from]));
      this.total = Math.max(found.total, position + found.lines.length);
      this.unread = found.unread;
      this.ready = true;
      this.failed = false;
      return found;
    } catch (fault) {
      if (question !== this.#question) return null;
      // A mailbox that nobody has made yet is an empty one.
      if (fault instanceof Refused && fault.slug === "no-such-mailbox") this.ready = true;
      else this.failed = true;
      return null;
    } finally {
      if (question === this.#question) this.busy = false;
    }
  }
}

function rowsOf(lines: readonly LetterLine[]): readonly Row[] {
  const rows = new Map<string, { line: LetterLine; count: number; unread: boolean }>();
  for (const line of lines) {
    const row = rows.get(line.threadId);
    if (row === undefined) rows.set(line.threadId, { line, count: 1, unread: line.unread });
    else {
      row.count += 1;
      row.unread ||= line.unread;
    }
  }
  return [...rows.values()];
}

const readableKeys = (session: Session | null | undefined): string =>
  (session?.keys ?? []).flatMap(({ fingerprint, readable }) => (readable ? [fingerprint] : [])).sort().join();

class Shelf {
  offline = $state(false);
  #mailboxes = new Map<MailboxRole, Mailbox>();
  #account: string | null = known.session?.unlocked ? known.session.account.id : null;
  #readable = readableKeys(known.session);

  constructor() {
    mail.onOffline((offline) => (this.offline = offline));
    mail.onChange(() => this.each((mailbox) => (mailbox.stale = true)));
    account.onChange((session) => {
      const open = session?.unlocked ? session.account.id : null;
      const readable = readableKeys(session);
      if (open !== this.#account) this.#mailboxes.clear();
      // A key that was found again opens letters that the lists still show as closed.
      else if (readable !== this.#readable) this.each((mailbox) => (mailbox.stale = true));
      this.#account = open;
      this.#readable = readable;
    });
  }

  mailbox(role: MailboxRole): Mailbox {
    const known = this.#mailboxes.get(role);
    if (known) return known;
    const fresh = new Mailbox(role);
    this.#mailboxes.set(role, fresh);
    return fresh;
  }

  /** Another letterbox is looked at. */
  clear(): void {
    this.#mailboxes.clear();
  }

  each(act: (mailbox: Mailbox) => void): void {
    this.#mailboxes.forEach(act);
  }
}

export const shelf = new Shelf();

/** Read or unread, shown at once everywhere. */
export async function markRead(ids: readonly string[], read: boolean): Promise<void> {
  const set = new Set(ids);
  shelf.each((mailbox) => mailbox.read(set, read));
  try {
    await mail.markRead([...ids], read);
  } catch (fault) {
    shelf.each((mailbox) => mailbox.read(set, !read));
    throw fault;
  }
}

/** Out of where they are, shown at once; back in the lists when it cannot be done. */
export async function move(ids: readonly string[], to: MailboxRole): Promise<void> {
  if (ids.length === 0) return;
  const set = new Set(ids);
  shelf.each((mailbox) => {
    mailbox.drop(set);
    mailbox.stale = true;
  });
  await mail.move([...ids], to);
}
