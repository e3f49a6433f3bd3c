// Text drawn from HTML, for letters that have no other, for lists and for search. Not a sanitizer: what it gives is
// shown as text.

// The Latin-1 names, in the order of their characters from 160 on: French letters need them.
const LATIN =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para " +
  "middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute " +
  "Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute " +
  "THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde " +
  "ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";
const NAMES = new Map<string, string>([
  ...LATIN.split(" ").map((name, at) => [name, String.fromCharCode(160 + at)] as const),
  ...Object.entries({
    amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", oelig: "œ", OElig: "Œ", euro: "€", hellip: "…", bull: "•",
    ndash: "–", mdash: "—", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", trade: "™", rarr: "→", le: "≤", ge: "≥",
  }),
]);

/** What stands in these is not text for people. */
const HIDDEN = new Map(
  ["style", "script", "title", "head", "template", "svg", "math"].map((name) => [name, new RegExp(`</${name}(?![a-z0-9])`, "gi")]),
);
const LINES = new Set(
  "p div h1 h2 h3 h4 h5 h6 ul ol table tr blockquote section article header footer pre hr br".split(" "),
);
const TAG = /<(\/?)([a-z][a-z0-9]*|!)/iy;
const MOST = 2_000_000; // characters

export function htmlToText(html: string): string {
  return entities(unmarked(html.slice(0, MOST)))
    .split("\n")
    .map((line) => line.split("\t").map((cell) => cell.trim()).join("  ").trim())
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

/** In one pass that never looks back: a letter may be made so that a pattern which tries again takes hours. */
function unmarked(html: string): string {
  const made: string[] = [];
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    made.push(html.slice(at, open < 0 ? html.length : open).replace(/\s+/g, " "));
    if (open < 0) break;
    if (html.startsWith("<!--", open)) {
      made.push(" ");
      at = past(html, "-->", open + 4);
      continue;
    }
    TAG.lastIndex = open;
    const tag = TAG.exec(html);
    if (tag === null) {
      made.push("<");
      at = open + 1;
      continue;
    }
    at = past(html, ">", open);
    const closing = tag[1] === "/";
    const name = tag[2]!.toLowerCase();
    const end = closing ? undefined : HIDDEN.get(name);
    if (end !== undefined) {
      end.lastIndex = at;
      const closed = end.exec(html);
      at = closed === null ? html.length : past(html, ">", closed.index);
      made.push(" ");
    } else if (LINES.has(name)) made.push("\n");
    else if (name === "li" && !closing) made.push("\n• ");
    else if ((name === "td" || name === "th") && closing) made.push("\t");
  }
  return made.join("");
}

/** Where reading goes on after `mark`; at the end when it does not come any more. */
function past(html: string, mark: string, from: number): number {
  const found = html.indexOf(mark, from);
  return found < 0 ? html.length : found + mark.length;
}

function entities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z][a-z0-9]{1,8}));?/gi, (all, decimal, hexadecimal, name) => {
    if (name !== undefined) return NAMES.get(name) ?? all;
    const code = decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal);
    return code > 31 && code < 0x110000 && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : " ";
  });
}
