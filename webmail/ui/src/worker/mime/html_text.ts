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

const HIDDEN = /<!--[\s\S]*?(?:-->|$)|<(style|script|title|head|template|svg|math)\b[^>]*>[\s\S]*?(?:<\/\1\s*>|$)/gi;

export function htmlToText(html: string): string {
  const marked = html
    .slice(0, 2_000_000)
    .replace(HIDDEN, " ")
    .replace(/\s+/g, " ")
    .replace(/<br\b[^>]*>/gi, "\n")
    .replace(/<li\b[^>]*>/gi, "\n• ")
    .replace(/<\/(td|th)\s*>/gi, "\t")
    .replace(/<\/?(p|div|h[1-6]|ul|ol|table|tr|blockquote|section|article|header|footer|pre|hr)\b[^>]*>/gi, "\n")
    .replace(/<\/?[a-z!][^>]*>?/gi, "");
  return entities(marked)
    .replace(/[ \u00a0]*\t[ ]*/g, "  ")
    .replace(/ *\n */g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function entities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z][a-z0-9]{1,8}));?/gi, (all, decimal, hexadecimal, name) => {
    if (name !== undefined) return NAMES.get(name) ?? all;
    const code = decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal);
    return code > 31 && code < 0x110000 && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : " ";
  });
}
