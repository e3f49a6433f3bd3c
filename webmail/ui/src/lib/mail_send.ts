// Writing: everyone who is to read is known and has a certificate before anything is made; the worker seals and signs;
// the copy for "sent" and the letter itself are the same sealed bytes; the server holds it back while one may undo.
import type { Manifest } from "../worker/record/manifest_model.ts";
import { account as accountWork, operatorKnown, speaker } from "./account.ts";
import { Refused, type Box, type Draft, type LetterLine, type Sent } from "./contract.ts";
import { leaveFor } from "./gate_leave.ts";
import { jmap, refusedBy, upload, type Arguments } from "./jmap.ts";
import { ask } from "./link.ts";
import { box } from "./mail_boxes.ts";
import { fateOf, learnFates } from "./mail_fate.ts";
import { accountId, announce, certified, emails, sentMailbox, set } from "./mail.ts";

let identity: { account: string; id: string } | null = null;

async function identityId(): Promise<string> {
  const id = accountId();
  if (identity?.account !== id) {
    const made = await jmap([["Identity/get", { accountId: id, ids: null }, "i"]]);
    const found = (made.get("i")?.["list"] ?? []) as { id: string }[];
    const first = found.find((one) => one.id === id) ?? found[0]; // one's own account may also write as others
    if (first === undefined) throw new Refused("forbidden");
    identity = { account: id, id: first.id };
  }
  return identity.id;
}

accountWork.onChange((session) => {
  if (session === null) identity = null;
});

/** Certificates of all addressees, and the gate's when one has none. Raises Refused rather than leave one out. */
async function readers(addresses: string[], throughGate: readonly string[]): Promise<{ certificates: string[]; gate: { gate?: string }; largest: number }> {
  const found = await certified(addresses, true);
  let gate: { gate?: string } = {};
  const toAsk: string[] = [];
  const certificates = found.flatMap(({ address, error, guard, certificates }) => {
    if (error !== undefined) throw new Refused(error);
    const first = certificates?.[0];
    if (certificates === undefined || first === undefined) throw new Refused("no-certificate");
    if (guard !== "gate") return certificates;
    if (!throughGate.includes(address)) toAsk.push(address);
    gate = { gate: first };
    return [];
  });
  // Nobody's letter leaves readable who was not told so before: what was shown may have changed meanwhile.
  if (toAsk.length > 0 && !(await leaveFor(toAsk))) throw new Refused("gate-not-agreed");
  return { certificates, gate, largest: Math.min(...found.map(({ largest }) => largest ?? Infinity)) };
}

/** `manifest`: what structured items its files are; `told`: the files say so themselves, to whoever reads them. */
export async function sendDraft(draft: Draft, manifest?: Manifest, told = false): Promise<Sent> {
  const { session, unlocked } = speaker();
  if (!unlocked) throw new Refused("locked");
  const to = [...new Set(draft.to.map((one) => one.trim()).filter((one) => one !== ""))];
  if (to.length === 0) throw new Refused("no-recipient");
  const from = await box();
  const { limits, undoSeconds } = await operatorKnown();
  if (draft.files.length > limits.attachments) throw new Refused("files-too-many");
  // What is sent for another account lies among what it sent, for each of its readers.
  const { certificates, gate, largest } = await readers(from.own ? to : [...to, from.address], draft.throughGate ?? []);
  const files = await Promise.all(draft.files.map(async (one) => ({ name: one.name, type: one.type, data: await one.arrayBuffer() })));
  const answered = draft.inReplyTo === null ? undefined : emails.get(draft.inReplyTo.id);
  const name = from.own ? `${session.name.given} ${session.name.family}`.trim() : "";
  const made = await ask(
    "seal",
    {
      from: { name, address: from.address },
      to,
      subject: draft.subject,
      text: draft.text,
      files,
      inReplyTo: answered?.messageId?.[0] ?? "",
      references: answered?.references ?? [],
      outerSubject: answered?.subject ?? "",
      closes: draft.closes === true && session.account.kind === "PER",
      certificates,
      ...gate,
      date: Date.now(),
      ...(manifest === undefined ? {} : { manifest, told }),
    },
    files.map((one) => one.data),
  );
  if (made.message.byteLength > Math.min(limits.message, largest)) throw new Refused("too-large");
  const blobId = await upload(from.id, made.message);
  return submitted({ blobId, summary: from.own ? made.summary : null, gateKeyPacket: made.gateKeyPacket }, from, to, undoSeconds, answered?.id);
}

interface Created extends Arguments {
  created?: Record<string, { id: string }> | null;
  notCreated?: Record<string, Arguments> | null;
}

function createdId(answer: Arguments | undefined): string {
  const { created, notCreated } = (answer ?? {}) as Created;
  const id = created?.["n"]?.id;
  if (id === undefined) throw refusedBy(notCreated?.["n"] ?? {});
  return id;
}

interface Made {
  blobId: string;
  summary: string | null;
  gateKeyPacket: string;
}

/** `summary` is the author's alone: among what another account sent there is none, and each reader opens the letter. */
async function submitted({ blobId, summary, gateKeyPacket }: Made, sender: Box, to: string[], hold: number, answers: string | undefined): Promise<Sent> {
  const id = sender.id;
  const [sent, identityOf] = [await sentMailbox(), await identityId()];
  const email = { blobId, mailboxIds: { [sent]: true }, keywords: { $seen: true }, ...(summary === null ? {} : { sealedSummary: summary }) };
  const kept = createdId((await jmap([["Email/import", { accountId: id, emails: { n: email } }, "e"]])).get("e"));
  const mailFrom = { email: sender.address, parameters: { HOLDFOR: String(hold) } };
  const envelope = { mailFrom, rcptTo: to.map((one) => ({ email: one, parameters: null })) };
  let submission: string;
  const until = Date.now() + hold * 1000;
  try {
    const create = { n: { identityId: identityOf, emailId: kept, envelope, ...(gateKeyPacket === "" ? {} : { gateKeyPacket }) } };
    submission = createdId((await jmap([["EmailSubmission/set", { accountId: id, create }, "s"]])).get("s"));
  } catch (failure) {
    // What did not leave must not stand among what was sent.
    await set({ destroy: [kept] }, id).catch(() => undefined);
    throw failure instanceof Refused && failure.slug === "over-quota" ? new Refused("recipient-full", failure.detail) : failure;
  }
  if (answers !== undefined) await set({ update: { [answers]: { "keywords/$answered": true } } }, id).catch(() => undefined);
  announce();
  const fate = (): Promise<string | null> => learnFates(id, [kept]).then((refused) => (refused && announce(), fateOf(kept)));
  return { id: kept, until, undo: () => undone(id, submission, kept, answers), fate };
}

async function undone(accountId: string, submission: string, kept: string, answers: string | undefined): Promise<boolean> {
  const update = { [submission]: { undoStatus: "canceled" } };
  const answer = (await jmap([["EmailSubmission/set", { accountId, update }, "u"]])).get("u");
  if (answer?.["notUpdated"] != null && Object.keys(answer["notUpdated"] as object).length > 0) return false;
  const unmarked = answers === undefined ? {} : { update: { [answers]: { "keywords/$answered": null } } };
  await set({ destroy: [kept], ...unmarked }, accountId).catch(() => undefined);
  return true;
}

// ------------------------------------------------------------------------------------------- asking once more

const SUBJECT = "Pouvez-vous m’envoyer de nouveau votre lettre\u00a0?";

function askingText(letters: LetterLine[]): string {
  const french = new Intl.DateTimeFormat("fr-FR", { dateStyle: "long" });
  const english = new Intl.DateTimeFormat("en-GB", { dateStyle: "long" });
  const days = [...new Set(letters.map((one) => one.receivedAt))].sort((a, b) => a - b);
  const list = (format: Intl.DateTimeFormat): string => days.map((one) => `- ${format.format(one)}`).join("\n");
  return (
    "Bonjour,\n\nJe ne peux plus ouvrir ce que vous m’avez envoyé à ces dates\u00a0:\n" +
    `${list(french)}\n\nPouvez-vous me l’envoyer de nouveau, s’il vous plaît\u00a0? Merci.\n\n` +
    `---\n\nHello,\n\nI can no longer open what you sent me on these dates:\n${list(english)}\n\nCould you please send it again? Thank you.\n`
  );
}

/** One letter to each sender of locked letters; one sender who cannot be written to stops no other. */
export async function askAgain(letters: LetterLine[]): Promise<number> {
  const bySender = new Map<string, LetterLine[]>();
  for (const one of letters) {
    if (!one.locked || one.from.address === "") continue;
    bySender.set(one.from.address, [...(bySender.get(one.from.address) ?? []), one]);
  }
  let asked = 0;
  let failure: unknown = null;
  for (const [address, theirs] of bySender) {
    try {
      await sendDraft({ to: [address], subject: SUBJECT, text: askingText(theirs), files: [], inReplyTo: null });
      asked += 1;
    } catch (reason) {
      failure = reason;
    }
  }
  if (asked === 0 && failure !== null) throw failure;
  return asked;
}
