// What senders wrote (names, subjects, file names, texts), made fit to be shown as text: no control characters, no
// marks that turn the reading direction around, no endless lines; links found; searched words marked.
// Invariant: what comes out is text and only ever text. Nothing here makes markup.

/** Bidirectional controls: `rapport\u202Efdp.exe` must not read as `rapportexe.pdf`. */
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const INVISIBLE = /[\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]|\u{e0001}|[\u{e0020}-\u{e007f}]/gu;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/gu;
const PILED_MARKS = /(\p{M}{4})\p{M}+/gu; // accents piled over the lines above

export const clean = (text: string): string =>
  text.replace(DIRECTION, "").replace(INVISIBLE, "").replace(CONTROL, "").replace(PILED_MARKS, "$1");

/** One line, at most `most` characters. */
export function line(text: string, most = 200): string {
  // Cut before cleaning: a name of ten megabytes costs no more than one of a few kilobytes.
  const flat = clean(text.slice(0, most * 8).replace(/\s+/gu, " ")).trim();
  const characters = [...flat];
  return characters.length > most ? `${characters.slice(0, most - 1).join("").trimEnd()}…` : flat;
}

/** A file name keeps its end: the extension is what people go by. */
export function fileName(name: string, most = 60): string {
  const whole = clean(name.slice(0, 4096).replace(/\s+/gu, " ")).trim();
  const characters = [...whole];
  if (characters.length <= most) return whole;
  const dot = whole.lastIndexOf(".");
  const ending = dot > 0 && whole.length - dot <= 10 ? [...whole.slice(dot)] : [];
  return `${characters.slice(0, most - ending.length - 1).join("")}…${ending.join("")}`;
}

/** A text of many lines: the lines stay. */
export const lines = (text: string): string => clean(text.replace(/\r\n?/gu, "\n")).replace(/\n{4,}/gu, "\n\n\n").trimEnd();

export interface Piece {
  readonly text: string;
  readonly href: string | null;
}

const LINK = /\b(?:https?:\/\/[^\s<>"'`\u00ab\u00bb]{3,2000}|www\.[^\s<>"'`\u00ab\u00bb]{3,2000})/giu;

/** Text and links, in order. Only http and https become links, each shown as the address it leads to. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let last = 0;
  for (const match of text.matchAll(LINK)) {
    const address = withoutTail(match[0]);
    const href = webAddress(address);
    if (href === null) continue;
    if (match.index > last) found.push({ text: text.slice(last, match.index), href: null });
    found.push({ text: address, href });
    last = match.index + address.length;
  }
  if (last < text.length) found.push({ text: text.slice(last), href: null });
  return found;
}

/** The full stop after an address is not part of it, nor a closing bracket that it did not open. */
function withoutTail(address: string): string {
  let end = address.length;
  for (;;) {
    const character = address[end - 1] ?? "";
    const closes = character === ")" && !address.slice(0, end).includes("(");
    if (!closes && !/[.,;:!?\]}…]/u.test(character)) return address.slice(0, end);
    end -= 1;
  }
}

function webAddress(address: string): string | null {
  try {
    const url = new URL(/^www\./iu.test(address) ? `https://${address}` : address);
    const plain = (url.protocol === "https:" || url.protocol === "http:") && url.username === "" && url.password === "";
    return plain && url.hostname.includes(".") ? url.href : null;
  } catch {
    return null;
  }
}

export interface Passage {
  readonly quoted: boolean;
  readonly text: string;
}

/** French marks stay with their word: a line never begins with a semicolon, however the blank before it was typed. */
const kept = (text: string): string => text.replace(/ (?=[;:!?»%€])/gu, "\u00a0").replace(/(?<=«) /gu, "\u00a0");

/** Own words and quoted ones (lines with `>`), so that a long quotation can be folded. */
export function passages(text: string): Passage[] {
  const found: { quoted: boolean; rows: string[] }[] = [];
  for (const row of kept(lines(text)).split("\n")) {
    const quoted = row.startsWith(">");
    const last = found.at(-1);
    if (last !== undefined && last.quoted === quoted) last.rows.push(row);
    else found.push({ quoted, rows: [row] });
  }
  return found
    .map(({ quoted, rows }) => ({ quoted, text: rows.join("\n").replace(/^\n+|\n+$/gu, "") }))
    .filter(({ text: passage }) => passage.trim() !== "");
}

export interface Stretch {
  readonly text: string;
  readonly marked: boolean;
}

const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** The searched words in a text, whatever their accents and capitals. */
export function marked(text: string, words: string): Stretch[] {
  const wanted = folded(words).split(/[^\p{L}\p{N}]+/u).filter((word) => word.length > 1);
  const characters = [...text];
  // Each character is folded alone, so that a place in the folded text leads back to the text as it is shown.
  const plain = characters.map((character) => folded(character));
  const whole = plain.join("");
  const starts: number[] = [];
  let length = 0;
  for (const character of plain) {
    starts.push(length);
    length += character.length;
  }
  const hit = new Array<boolean>(characters.length).fill(false);
  for (const word of wanted) {
    for (let at = whole.indexOf(word); at >= 0; at = whole.indexOf(word, at + word.length)) {
      if (at > 0 && /[\p{L}\p{N}]/u.test(whole[at - 1] ?? "")) continue; // search finds the beginnings of words
      for (let i = 0; i < characters.length; i++) {
        const start = starts[i] ?? 0;
        if (start >= at && start < at + word.length) hit[i] = true;
      }
    }
  }
  const found: { text: string; marked: boolean }[] = [];
  characters.forEach((character, i) => {
    const last = found.at(-1);
    if (last !== undefined && last.marked === hit[i]) last.text += character;
    else found.push({ text: character, marked: hit[i] ?? false });
  });
  return found;
}
