// What the page may ask of the worker. Types only. A secret goes in (password, code, PRF output, imported key) and
// comes out only as what the server may keep: a login value, a wrap, a sealed letter. The two exceptions are what a
// person is to hold: a new recovery code, and the key they export under a passphrase of their own.
import type { Attachment, Person, Signature } from "../lib/contract.ts";
import type { AgendaQuestion } from "./agenda/protocol.ts";
import type { Manifest } from "./record/manifest_model.ts";
import type { RecordAnswer, RecordQuestion } from "./record/protocol.ts";

export interface PasswordParams {
  algorithm: string;
  memory: number; // KiB
  passes: number;
  lanes: number;
}

export interface WrappedKey {
  fingerprint: string;
  certificate: string; // base64, as all bytes that come from or go to the server
  wrappedSecret: string | null;
  current: boolean;
}

export interface NewKey {
  certificate: string;
  wrappedSecret: string;
}

export interface SealedLine {
  id: string;
  summary: string | null;
  keyIds: string[];
}

/** What a list shows of a letter; kept encrypted on this device. */
export interface Line {
  subject: string;
  from: string;
  text: string;
  parts: [name: string, type: string][];
}

export interface OpenedLine {
  id: string;
  line: Line | null;
  locked: boolean;
}

export type OpenedPart = Omit<Attachment, "blob"> & { data: ArrayBuffer };

export interface OpenedLetter {
  opened: boolean;
  locked: boolean;
  from: Person | null; // the name inside, when it goes with the address outside
  subject: string;
  text: string;
  html: string | null;
  parts: OpenedPart[];
  signature: Signature;
  closes: boolean;
  noAnswer: boolean;
  line: Line | null;
}

export interface LetterToOpen {
  id: string;
  data: ArrayBuffer;
  /** Base64 certificates of who wrote it, as the server gives them for the address outside. */
  authors: string[];
  gateway: string;
}

export interface LetterToSeal {
  from: Person;
  to: string[];
  subject: string;
  text: string;
  files: { name: string; type: string; data: ArrayBuffer }[];
  inReplyTo: string;
  references: string[];
  outerSubject: string; // "": a new conversation
  closes?: boolean; // X-MSS-MES: FIN, outside as well: the server acts on it
  certificates: string[];
  /** Of the operator's egress gate, when somebody it is for has no certificate: they get it in clear from their operator. */
  gate?: string;
  date: number;
  /** What structured items it carries: a part of the letter, and in its summary. */
  manifest?: Manifest;
  told?: boolean; // its parts tell its items: the manifest goes with the summary alone
}

export interface KeyPackets {
  id: number;
  keyPackets: string;
  summaryKeyPackets: string | null;
}

export interface Unlocked {
  unlocked: boolean;
  readable: string[]; // fingerprints of the keys this worker can use
}

export interface Operations {
  newRecoveryCode(_: null): string;

  /** Each leaves the derived pair waiting for `unlock`. */
  fromPassword(_: { password: string; salt: string; params: PasswordParams }): { login: string };
  fromRecovery(_: { code: string }): { login: string };
  fromPasskey(_: { prf: ArrayBuffer }): null;

  /** Opens the account with the pair that waits. `persist`: this device may keep a slot and caches. */
  unlock(_: { account: string; wrapped: string; keys: WrappedKey[]; persist: boolean }): Unlocked;
  unlockDevice(_: { account: string; keys: WrappedKey[] }): Unlocked;
  /** The server's view of the keys, after one was added or re-wrapped. */
  keys(_: { keys: WrappedKey[] }): Unlocked;
  forget(_: null): null;

  beginAccount(_: { account: string }): null;
  /** What was begun is on the server now. */
  accountMade(_: { keys: WrappedKey[]; persist: boolean }): Unlocked;

  passwordSlot(_: { password: string }): { salt: string; params: PasswordParams; login: string; wrapped: string };
  recoverySlot(_: { code: string }): { login: string; wrapped: string };
  passkeySlot(_: { prf: ArrayBuffer }): { wrapped: string };
  /** The pair of a password without disturbing anything: for "current". */
  loginOf(_: { password: string; salt: string; params: PasswordParams }): { login: string };

  makeKey(_: { address: string; years: number }): NewKey;
  importKey(_: { armored: string; passphrase: string; address: string }): NewKey;
  readCertificate(_: { armored: string; address: string }): { certificate: string };
  answerChallenge(_: { message: string }): { nonce: string };
  armoredMessage(_: { message: string }): { armored: string };
  exportKey(_: { fingerprint: string; passphrase: string }): { armored: string };
  openOldKeys(_: {
    code: string;
    keys: { fingerprint: string; wrappedSecret: string; recovery: { wrapped: string } }[];
  }): { fingerprint: string; wrappedSecret: string }[];

  /** Session keys of letters this account reads, closed again for one more reader. */
  rewrap(_: { letters: KeyPackets[]; certificate: string }): KeyPackets[];
  takeWaitingKey(_: { message: string }): null;
  swap(_: { letters: KeyPackets[] }): KeyPackets[];
  dropWaitingKey(_: null): null;

  lines(_: { letters: SealedLine[] }): OpenedLine[];
  /** Which of these have a line on this device. */
  known(_: { ids: string[] }): string[];
  remember(_: { name: string; value: string }): null;
  recall(_: { name: string }): string | null;
  open(_: LetterToOpen): OpenedLetter;
  seal(_: LetterToSeal): { message: ArrayBuffer; summary: string; messageId: string; gateKeyPacket: string };

  prepare(_: { name: string; data: ArrayBuffer; limit: number }): { name: string; type: string; data: ArrayBuffer };

  notIndexed(_: { ids: string[] }): string[];
  index(_: { letters: { id: string; at: number; letter: LetterToOpen | null }[] }): null;
  search(_: { words: string; limit: number }): string[];

  /** Everything of the record and of the items it is drawn from: a protocol of its own, in a chunk of its own. */
  record(_: RecordQuestion): RecordAnswer;
  agenda(_: AgendaQuestion): unknown;
}

export type Operation = keyof Operations;
export type Given<K extends Operation> = Parameters<Operations[K]>[0];
export type Made<K extends Operation> = ReturnType<Operations[K]>;

export interface Question {
  id: number;
  operation: Operation;
  given: unknown;
}

export type Answer = { id: number; made: unknown } | { id: number; slug: string };
