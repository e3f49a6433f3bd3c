// XML of strangers, read into a small tree of our own: METADATA.XML, CDA. The twin of
// `mail_server/payloads/record/xml.py`, with its limits and its verdicts; saxes reads, nothing here touches the DOM.
import { SaxesParser } from "saxes";
import { latin1 } from "../../lib/bytes.ts";
import { RecordRefused } from "./refusal.ts";

export const LIMIT = 32 * 1024 * 1024; // octets of one file
export const DEPTH = 100;
export const MARKS = 250_000; // "<": two for an element, one for a comment
export const QUOTES = 1_000_000; // two for an attribute
export const ATTRIBUTES = 100; // of one element
export const ANY = "*"; // whatever the namespace

/** An element: its local name and namespace. Attributes in a namespace of their own are named `{namespace}name`. */
export class XmlElement {
  readonly name: string;
  readonly ns: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: (XmlElement | string)[] = [];

  constructor(name: string, ns: string, attributes: ReadonlyMap<string, string> = new Map()) {
    this.name = name;
    this.ns = ns;
    this.attributes = attributes;
  }

  /** The value of an attribute; "" when it is not there. */
  get(name: string, ns = ""): string {
    return this.attributes.get(ns === "" ? name : `{${ns}}${name}`) ?? "";
  }

  /** Its children of this name, in its own namespace unless another is named. */
  elements(name: string = ANY, ns: string = this.ns): XmlElement[] {
    const found: XmlElement[] = [];
    for (const one of this.children)
      if (typeof one !== "string" && (name === ANY || one.name === name) && (ns === ANY || one.ns === ns)) found.push(one);
    return found;
  }

  /** The first child of this name; with several names, the first of the first, and so on down. */
  child(...path: string[]): XmlElement | null {
    let at: XmlElement = this;
    for (const name of path) {
      const found = at.elements(name)[0];
      if (found === undefined) return null;
      at = found;
    }
    return at;
  }

  /** All text under it, as it stands. */
  text(): string {
    return this.children.map((one) => (typeof one === "string" ? one : one.text())).join("");
  }

  /** Every element under it (not itself) of this name, in the order of the document. */
  *descendants(name: string = ANY, ns: string = this.ns): Generator<XmlElement> {
    const path = [this.children.values()]; // no generator inside a generator: each step would pay for the whole depth
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const { done, value: one } = at.next();
      if (done === true) path.pop();
      else if (typeof one !== "string") {
        if ((name === ANY || one.name === name) && (ns === ANY || one.ns === ns)) yield one;
        path.push(one.children.values());
      }
    }
  }
}

/** The root of a file. Raises RecordRefused for what is hostile or is not XML. */
export function parse(data: Uint8Array): XmlElement {
  if (data.length > LIMIT) throw new RecordRefused("xml-too-large");
  const text = decoded(data);
  const start = afterProlog(text);
  if (text.startsWith("<!", start)) throw new RecordRefused("xml-doctype");
  bounded(text, start);
  try {
    return treeOf(text.slice(start));
  } catch (refused) {
    throw refused instanceof RecordRefused ? refused : new RecordRefused("xml-malformed");
  }
}

function treeOf(text: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true, position: false });
  const open: XmlElement[] = [];
  let root: XmlElement | null = null;
  let pieces = "";
  const flush = (): void => {
    if (pieces !== "") open.at(-1)?.children.push(pieces);
    pieces = "";
  };
  const words = (piece: string): void => {
    pieces += piece;
  };
  parser.on("opentag", (tag) => {
    if (open.length >= DEPTH) throw new RecordRefused("xml-too-deep");
    const attributes = new Map<string, string>();
    for (const one of Object.values(tag.attributes))
      if (one.uri !== "http://www.w3.org/2000/xmlns/") attributes.set(one.uri === "" ? one.local : `{${one.uri}}${one.local}`, one.value);
    if (attributes.size > ATTRIBUTES) throw new RecordRefused("xml-too-many");
    const made = new XmlElement(tag.local, tag.uri, attributes);
    flush();
    if (open.length > 0) open.at(-1)?.children.push(made);
    else root = made;
    open.push(made);
  });
  parser.on("closetag", () => {
    flush();
    open.pop();
  });
  parser.on("text", words);
  parser.on("cdata", words);
  parser.on("doctype", () => {
    throw new RecordRefused("xml-doctype");
  });
  parser.write(text).close();
  if (root === null) throw new RecordRefused("xml-malformed");
  return root;
}

/** Too many marks or quotes are known before memory is spent on their elements and attributes. */
function bounded(text: string, start: number): void {
  let marks = 0;
  let quotes = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 60) marks++;
    else if (code === 34 || code === 39) quotes++;
  }
  if (marks > MARKS || quotes > QUOTES) throw new RecordRefused("xml-too-many");
}

// Names of encodings that producers use, and what each is read as. Windows programs say ISO-8859-1 and write
// Windows-1252; .NET writes UTF-8 and says UTF-16.
const ENCODINGS: Readonly<Record<string, string>> = {
  "utf-8": "utf-8", utf8: "utf-8", "utf-16": "utf-8", "us-ascii": "utf-8", ascii: "utf-8",
  "iso-8859-1": "windows-1252", "iso8859-1": "windows-1252", latin1: "windows-1252", "latin-1": "windows-1252",
  "windows-1252": "windows-1252", cp1252: "windows-1252", "iso-8859-15": "iso-8859-15",
};
const DECLARED = /^<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9._-]{1,40})["']/;

/** Text of a file, by its mark or its declaration; what says UTF-8 and is not, is read as Windows-1252. */
export function decoded(data: Uint8Array): string {
  const [a, b, c] = data;
  if (a === 0xef && b === 0xbb && c === 0xbf) return decode(data.subarray(3), "utf-8");
  if (a === 0xff && b === 0xfe) return decode(data.subarray(2), "utf-16le");
  if (a === 0xfe && b === 0xff) return decode(data.subarray(2), "utf-16be");
  if (a === 0x3c && b === 0) return decode(data, "utf-16le");
  if (a === 0 && b === 0x3c) return decode(data, "utf-16be");
  let start = 0;
  while (data[start] === 32 || data[start] === 9 || data[start] === 10 || data[start] === 13) start++;
  const name = DECLARED.exec(latin1(data.subarray(start, start + 300)))?.[1]?.toLowerCase() ?? "utf-8";
  if (!Object.hasOwn(ENCODINGS, name)) throw new RecordRefused("xml-encoding");
  return decode(data, ENCODINGS[name] ?? "utf-8");
}

function decode(data: Uint8Array, encoding: string): string {
  if (encoding === "windows-1252") return windows(data);
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    if (encoding === "utf-8") return windows(data);
    throw new RecordRefused("xml-encoding");
  }
}

// Windows-1252 where it is not Latin-1 (0x80 to 0x9f). Its own table: Node's TextDecoder takes one for the other.
const WINDOWS = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";
const windows = (data: Uint8Array): string => latin1(data).replace(/[\x80-\x9f]/g, (one) => WINDOWS[one.charCodeAt(0) - 0x80] ?? one);

/** Where the first mark stands that is no declaration, instruction, comment or space: the root, or a DOCTYPE. */
function afterProlog(text: string): number {
  let at = 0;
  for (;;) {
    while (" \t\r\n".includes(text[at] ?? "x")) at++;
    const comment = text.startsWith("<!--", at);
    if (!comment && !text.startsWith("<?", at)) return at;
    const end = comment ? text.indexOf("-->", at + 4) : text.indexOf("?>", at + 2);
    if (end < 0) throw new RecordRefused("xml-malformed");
    at = end + (comment ? 3 : 2);
  }
}
