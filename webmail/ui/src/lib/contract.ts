// What the screens may ask, and what they get. The screens know these shapes and nothing of keys, JMAP or MIME.
// Secrets (password, recovery code, secret keys, account key) go into the worker and never come back.

export class Refused extends Error {
  constructor(
    /** A slug: words.account.errors[slug] has the sentence; "offline" when the server does not answer. */
    readonly slug: string,
    readonly detail: { triesLeft?: number; retryAfter?: number; reference?: string; status?: number; reason?: string; near?: Near } = {},
  ) {
    super(slug);
  }
}

/** An address that may be mistyped, and whom else it may mean. */
export interface Near {
  address: string;
  suggestions: readonly string[];
  refused?: boolean; // the letter cannot go there
}

export type Kind = "PATIENT" | "PER";
export type SlotKind = "password" | "passkey" | "recovery";

export interface Operator {
  operator: string;
  contact: string;
  limits: { attachment: number; message: number; attachments: number };
  undoSeconds: number;
  totpForProfessionals?: boolean; // a professional without a second check may do nothing but set one up
  providers?: Provider[];
}

/** Who vouches for people: an identity provider, named by its label. It lets in, and opens no letter. */
export interface Provider {
  name: string;
  label: string;
  people: "professional" | "patient";
  ciba: boolean; // may be approved on a telephone, without leaving the page
}

/** Someone is known to the server; `unlocked` tells whether this page can open letters now. */
export interface Session {
  account: { id: string; address: string; shown: string; kind: Kind };
  name: { given: string; family: string };
  slots: Slot[];
  keys: { fingerprint: string; current: boolean; readable: boolean; held: boolean }[]; // held: its secret is in our slots
  resealLeft: number;
  mustRenew: boolean; // came in by the recovery sheet: choose a new password, print a new sheet
  totp: boolean;
  unlocked: boolean;
  provider?: string | null; // the one that vouched for this session
  freshUntil?: number; // ms: what asks for a fresh proof is done until then without one
}

export interface Slot {
  id: string;
  kind: SlotKind;
  label: string;
  created: number;
  lastUsed: number | null;
  opens: boolean; // false: a passkey without PRF logs in but opens nothing
}

export interface Enrolment {
  kind: Kind;
  shown: string;
  name: { given: string; family: string };
  lost: boolean; // the space was open before: old letters will be locked
  hasCertificate: boolean; // a professional whose certificate is known already
}

export type KeyChoice =
  | { way: "make" }
  | { way: "import"; armored: string; passphrase: string }
  | { way: "certificate"; armored: string } // only the public part: envelopes and states are shown
  | { way: "later" };

export interface NonceQuestion {
  message: string; // armored: the holder decrypts it with their own program
  answer(nonce: string): Promise<void>;
}

export interface AccountWork {
  operator(): Promise<Operator>;
  /** The session of the cookie, if any; tries the slot of this device. null: log in. */
  resume(): Promise<Session | null>;
  startEnrolment(given: { code: string; birthDate?: string; lastFive?: string; address?: string }): Promise<Enrolment>;
  /** 24 characters and a check character, in groups of four; made here, shown once. */
  newRecoveryCode(): Promise<string>;
  recoveryGroups(code: string): string[];
  finishEnrolment(
    choice: { password: string; recoveryCode: string; key: KeyChoice },
    progress: (step: "password" | "key" | "send") => void,
  ): Promise<Session>;
  /** Letters that waited: their key packets are swapped here. Resumable; resolves when none is left. */
  reseal(progress: (done: number, total: number) => void): Promise<void>;
  logIn(user: string, password: string, more: { totp?: string; shared: boolean }): Promise<Session>;
  logInWithPasskey(): Promise<Session>;
  logInWithRecovery(user: string, code: string, more?: { totp?: string }): Promise<Session>;
  /** The cookie still lives but this page holds no key. */
  unlock(with_: { password: string } | { passkey: true } | { recovery: string }): Promise<Session>;
  logOut(): Promise<void>;
  changePassword(current: string | null, next: string): Promise<void>;
  replaceRecovery(code: string): Promise<void>;
  /** An older sheet opens an older key: locked letters open again. */
  openOldKey(code: string): Promise<number>;
  passkeysPossible(): Promise<boolean>;
  addPasskey(label: string): Promise<{ opens: boolean }>;
  removeSlot(id: string): Promise<void>;
  startTotp(): Promise<{ secret: string; uri: string }>;
  confirmTotp(code: string): Promise<void>;
  stopTotp(code: string): Promise<void>;
  sessions(): Promise<PageSession[]>;
  endSession(id: string): Promise<void>;
  endOtherSessions(): Promise<void>;
  /** A professional brings or renews a key. With way "certificate", the question to be answered by their program. */
  setKey(choice: KeyChoice): Promise<NonceQuestion | null>;
  /** The secret key for a mail program, protected by a passphrase of its own. */
  exportKey(passphrase: string): Promise<string>;
  accessLog(before: number | null): Promise<{ entries: AccessEntry[]; more: boolean }>;
  onChange(listener: (session: Session | null) => void): () => void;
}

export interface PageSession {
  id: string;
  label: string; // "Firefox, Android"
  created: number;
  lastSeen: number;
  network: string;
  current: boolean;
}

export interface AccessEntry {
  seq: number;
  at: number;
  action: string; // words.security.log[action], else words.security.log.other
  outcome: string;
  who: "you" | "operator" | "correspondent" | "unknown";
  address: string; // a correspondent's, as seen; "" otherwise
  network: string;
  label: string;
}

// ---------------------------------------------------------------------------------------------- letters

export type Guard = "sealed" | "waiting" | "custody" | "kept" | "gate" | "subjectOutside";
export type MailboxRole = "inbox" | "sent" | "archive" | "trash" | "drafts" | "junk";
export type Signature = "author" | "gateway" | "none" | "bad" | "unknown";

export interface Person {
  name: string;
  address: string;
}

/** How a letter left, or will, for an addressee of another operator: "gate" is readable by that operator. */
export interface Away {
  address: string;
  leaves: "sealed" | "sealed-to-operator" | "gate";
  delivered: string; // "queued", "yes", "no", "unknown"
}

export interface LetterLine {
  id: string;
  threadId: string;
  from: Person;
  to: Person[]; // and in copy
  replyTo?: Person; // whom its sender wants to be answered, when not themselves
  subject: string; // the true one, opened here; "" while locked
  preview: string;
  receivedAt: number;
  unread: boolean;
  answered: boolean;
  guard: Guard;
  locked: boolean; // sealed to a key this page has not
  attachments: { name: string; type: string }[];
  refused?: string; // sent from here, and refused after all: why
  away?: readonly Away[]; // sent from here to other operators
  receipt?: boolean; // not opened yet, and its sender will be told when it is
}

export interface Letter extends LetterLine {
  text: string; // text/plain, or text drawn from HTML when there is none
  html: string | null; // as it came: only `showHtml` may put it on the screen
  parts: Attachment[];
  signature: Signature;
  closes: boolean; // its sender ended the exchange with it
  noAnswer?: boolean; // its sender wants no answer to this one
  answer?: "open" | "closed" | "message-closed"; // what the server would say to an answer
  closedBy?: string | null;
  opened: boolean; // false: locked or damaged, and `text` is empty
}

export interface Attachment {
  name: string;
  type: string; // sniffed, not what the sender said
  size: number;
  inline: boolean;
  contentId: string;
  blob(): Promise<Blob>;
}

export interface Draft {
  to: string[];
  subject: string;
  text: string;
  files: File[];
  inReplyTo: Letter | null;
  closes?: boolean; // a professional wants no answer to it
  /** Addressees whose operator will be able to read it: its author was told so, and wants to send it all the same. */
  throughGate?: readonly string[];
}

export interface Sent {
  id: string;
  until: number; // ms: undo possible until then
  undo(): Promise<boolean>; // false: it had left
  /** What became of it, asked after `until`: "" when it left, else the slug of the refusal; null: not known yet. */
  fate?(): Promise<string | null>;
}

/** One's own letters, or those of an account that one reads: a ward's, or of who let one in. */
export interface Box {
  id: string;
  address: string;
  own: boolean;
  rights: string; // RFC 4314 letters; "" in one's own, where all may be done
}

export interface Correspondent {
  person: Person;
  open: boolean; // false: they ended the exchange
  closedThreads?: readonly string[]; // conversations that take no answer, though another with them may
  lastAt: number;
  pharmacy?: boolean;
}

export interface Addressee {
  address: string;
  /** The last two are at another operator: sealed to a certificate that it holds, or readable by it. */
  guard: "sealed" | "custody" | "waiting" | "sealed-to-operator" | "gate";
  patient?: boolean;
  suggestions?: readonly string[]; // the directory does not know the address: who else may be meant
  largest?: number; // octets of a letter that their operator takes, where it said so
}

export interface MailWork {
  /** Own first. Lists, conversations and what is written are those of the box entered last. */
  boxes(): Promise<Box[]>;
  box(): string; // id of the one entered
  enter(id: string): void;
  list(role: MailboxRole, position: number, limit: number): Promise<{ lines: LetterLine[]; total: number; unread: number }>;
  conversation(threadId: string): Promise<Letter[]>; // oldest first
  markRead(ids: string[], read: boolean): Promise<void>;
  move(ids: string[], to: MailboxRole): Promise<void>; // trash from trash destroys
  /** Opens a letter whose sender is then told so; until then its body is not even fetched. */
  openWithReceipt(id: string): Promise<void>;
  correspondents(): Promise<Correspondent[]>;
  /** Whether each may be written to, and who will be able to read it. Raises Refused. */
  check(addresses: string[]): Promise<Addressee[]>;
  /** Looks at a file before it is attached: real type, size, and a photograph without its hidden data. */
  prepare(file: File): Promise<File>; // Refused: "file-too-large", "file-type", "file-empty"
  send(draft: Draft): Promise<Sent>;
  askAgain(letters: LetterLine[]): Promise<number>; // one letter to each sender of locked letters
  search(words: string): Promise<LetterLine[]>;
  indexing(): { done: number; total: number };
  onChange(listener: () => void): () => void;
  onOffline(listener: (offline: boolean) => void): () => void;
}

// ---------------------------------------------------------------------------------- who may, who reads, who writes

/** A fresh proof of who is here, for what the server does not do without (`step-up-needed`). */
export type Proof = { password: string; totp?: string } | { passkey: true };

export type Protocol = "imap" | "submission" | "jmap" | "ldap";

export interface AppPassword {
  id: string;
  label: string;
  protocols: readonly Protocol[];
  created: number;
  expires: number;
  lastUsed: number | null;
  network: string; // "": from anywhere
}

export type ReaderRole = "member" | "delegate";

export interface Reader {
  person: string; // account id
  address: string;
  role: ReaderRole;
  rights: string; // RFC 4314 letters
  since: number;
  until: number | null;
  past: { left: number; total: number } | null; // earlier letters being given; null: none were
}

/** An account that this person holds or reads, and who reads it. */
export interface ReadAccount {
  account: string;
  address: string;
  kind: string;
  own: boolean;
  rights: string;
  mayShare: boolean;
  seenPerPerson: boolean;
  readers: Reader[];
}

export interface Exchange {
  id: string;
  correspondent: string;
  open: boolean;
  closedBy: string | null;
  closedAt: number | null;
  closedHow: string | null;
}

export interface Blocked {
  address: string;
  kind: string;
  since: number;
}

export interface Ciba {
  id: string;
  code: string; // shown here and on the telephone: the same
  interval: number; // seconds
  expires: number; // ms
}

/** What an account asks of its letters to other operators. */
export interface Leaving {
  sealedOnly: boolean;
  results: "readable" | "always" | "asked";
}

/** From when until when an address had a certificate (ms; null: it has it, it ends by itself never). */
export interface KeyPeriod {
  fingerprint: string;
  family: "openpgp" | "x509";
  since: number;
  until: number | null;
  why: "" | "replaced" | "withdrawn" | "revoked" | "expired";
  ends: number | null;
}

/** What the directory tells of a mailbox; `shown` is null where it shows nothing of it. */
export interface Listing {
  account: string;
  address: string;
  kind: string;
  own: boolean;
  may: readonly ("redList" | "rank" | "description" | "service")[];
  redList: boolean;
  rank: number;
  description: string;
  service: string;
  shown: { name: string; profession: string; speciality: string; organisation: string; service: string; description: string; rank: number } | null;
}

/** Where a holder is told of new letters, cut short; "" when nowhere. */
export interface NoticeAddress {
  offered: boolean;
  shown: string;
  language: string;
  confirmed: boolean;
  refused: boolean; // mail to it comes back
}

export interface RightsWork {
  startCiba(provider: string, user: string): Promise<Ciba>;
  /** Seconds until the next question, or null: approved, and somebody is logged in. */
  pollCiba(provider: string, id: string, shared: boolean): Promise<number | null>;
  prove(proof: Proof): Promise<void>;
  /** Asks the server whether the proof was given elsewhere (at a provider's). */
  proved(): Promise<boolean>;
  appPasswords(): Promise<{ passwords: AppPassword[]; allowed: boolean }>;
  makeAppPassword(given: { label: string; protocols: readonly Protocol[]; days: number; network: string }): Promise<{ password: string; expires: number }>;
  revokeAppPassword(id: string): Promise<void>;
  readers(): Promise<ReadAccount[]>;
  addReader(account: string, address: string, given: { role: ReaderRole; rights: string; until: number | null }): Promise<void>;
  endReader(account: string, person: string): Promise<void>;
  seenPerPerson(account: string, perPerson: boolean): Promise<void>;
  /** Gives a reader the earlier letters, here: their session keys, closed again for the reader. Resumable. */
  givePast(account: string, person: string, progress: (done: number, total: number) => void): Promise<number>;
  exchanges(email: string): Promise<Exchange[]>;
  closeExchange(email: string): Promise<Exchange[]>;
  blocks(): Promise<Blocked[]>;
  block(address: string): Promise<void>;
  unblock(address: string): Promise<void>;
  contact(account?: string): Promise<{ contact: string; choices: string[] }>;
  setContact(contact: string, account?: string): Promise<void>;
  /** The software that may be given a copy of documents that come in clear (null: none is named), and whether it is. */
  practiceCopy(account?: string): Promise<{ software: string | null; on: boolean }>;
  setPracticeCopy(on: boolean, account?: string): Promise<void>;
  leaving(account?: string): Promise<Leaving>;
  setLeaving(wanted: Partial<Leaving>, account?: string): Promise<Leaving>;
  /** One's own mailbox and the shared ones that one may describe. */
  listings(): Promise<Listing[]>;
  describe(account: string, told: Partial<Pick<Listing, "redList" | "rank" | "description" | "service">>): Promise<Listing>;
  /** The certificates that the directory gives, and gave, for one's own address: newest first. */
  keyPeriods(): Promise<KeyPeriod[]>;
  noticeAddress(): Promise<NoticeAddress>;
  setNoticeAddress(address: string, language: string): Promise<NoticeAddress>;
  confirmNoticeAddress(code: string): Promise<NoticeAddress>;
  forgetNoticeAddress(): Promise<NoticeAddress>;
  /** Where the browser fetches the history of a period. */
  historyPath(format: "csv" | "pdf", since: number, until: number, language: string): string;
}
