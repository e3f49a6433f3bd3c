// Letters as JMAP tells them (RFC 8621 and our own properties), and the line a list shows of each.
import type { OpenedLine, SealedLine } from "../worker/protocol.ts";
import type { Guard, LetterLine, MailboxRole, Person } from "./contract.ts";

export interface WireMailbox {
  id: string;
  role: MailboxRole | null;
  totalEmails: number;
  unreadEmails: number;
}

export interface WireEmail {
  id: string;
  blobId: string;
  threadId: string;
  mailboxIds: Record<string, boolean>;
  keywords: Record<string, boolean>;
  size: number;
  receivedAt: string;
  from: { name: string | null; email: string }[] | null;
  to: { name: string | null; email: string }[] | null;
  cc?: { name: string | null; email: string }[] | null;
  replyTo?: { name: string | null; email: string }[] | null;
  subject: string | null;
  preview?: string | null;
  messageId?: string[] | null;
  references?: string[] | null;
  sealedSummary?: string | null;
  guard: Guard;
  closesExchange: boolean;
  receiptRequested?: boolean;
  answer?: "open" | "closed" | "message-closed";
  closedBy?: string | null;
  keyIds: string[];
}

/** What its holder wrote for themself (record_own.ts): among what is kept, and in no list of letters. */
export const OWN = "vaguemestre-own";

const LIGHT = [
  "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "cc", "replyTo", "subject",
  "messageId", "references", "guard", "closesExchange", "keyIds", "receiptRequested",
];

/** What a list needs; the summaries only where this device has not opened them yet. */
export const properties = (withSummaries: boolean): string[] => (withSummaries ? [...LIGHT, "preview", "sealedSummary"] : [...LIGHT, "preview"]);

/** A subject without the mark by which software knows documents (ECO.2.1.3); what stands before it stays ("Re:"). */
export const shownSubject = (subject: string): string => subject.replace(/^([^+]{0,60})XDM\/1\.0\/DDM\+\s*/i, "$1");

const person = (one: { name: string | null; email: string }): Person => ({ name: one.name ?? "", address: one.email });

export const sealedLine = ({ id, sealedSummary, keyIds }: WireEmail): SealedLine => ({ id, summary: sealedSummary ?? null, keyIds });

export function letterLine(email: WireEmail, opened: OpenedLine | undefined, unlocked: boolean): LetterLine {
  const clear = email.keyIds.length === 0;
  const line = opened?.line ?? null;
  const from = email.from?.[0] === undefined ? { name: "", address: "" } : person(email.from[0]);
  const told = line !== null && line.from !== "" && !line.from.includes("@") ? line.from : from.name;
  return {
    id: email.id,
    threadId: email.threadId,
    from: { name: told, address: from.address },
    to: [...(email.to ?? []), ...(email.cc ?? [])].map(person),
    ...(email.replyTo?.[0] === undefined ? {} : { replyTo: person(email.replyTo[0]) }),
    subject: shownSubject(line?.subject ?? (clear || email.guard === "subjectOutside" ? (email.subject ?? "") : "")),
    preview: line?.text ?? (clear ? (email.preview ?? "") : ""),
    receivedAt: Date.parse(email.receivedAt),
    unread: email.keywords["$seen"] !== true,
    answered: email.keywords["$answered"] === true,
    guard: email.guard,
    locked: !clear && (opened?.locked ?? !unlocked),
    ...(email.receiptRequested ? { receipt: true } : {}),
    attachments: (line?.parts ?? []).map(([name, type]) => ({ name, type })),
  };
}
