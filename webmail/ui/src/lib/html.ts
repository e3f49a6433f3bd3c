// A letter's HTML on the screen: washed by DOMPurify, then shut into a frame of its own without scripts, forms or
// network. Three walls, each enough by itself: what could act is cut out, the document's own policy forbids it to load
// or run, the sandbox gives it no origin. In a chunk of its own.
import DOMPurify, { type Config } from "dompurify";
import type { Attachment } from "./contract.ts";

const FORBIDDEN_TAGS = [
  "style", "form", "input", "button", "select", "option", "textarea", "label", "fieldset", "svg", "math", "template", "dialog",
  "video", "audio", "source", "track", "picture", "map", "area", "link", "meta", "base", "title", "iframe", "object", "embed",
];
const FORBIDDEN_ATTRIBUTES = [
  "style", "srcset", "sizes", "ping", "background", "poster", "action", "formaction", "autofocus", "contenteditable", "id", "name",
  "class", "tabindex", "accesskey", "popover", "popovertarget", "slot", "is", "part", "usemap", "longdesc", "cite", "lowsrc", "dynsrc",
];
const WASH: Config = {
  FORBID_TAGS: FORBIDDEN_TAGS,
  FORBID_ATTR: FORBIDDEN_ATTRIBUTES,
  USE_PROFILES: { html: true },
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOW_UNKNOWN_PROTOCOLS: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel|cid|data|blob):/i,
  SANITIZE_DOM: true,
  WHOLE_DOCUMENT: false,
  RETURN_TRUSTED_TYPE: false,
};
const LINK = /^(?:https?|mailto|tel):/i;
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const DATA = /^data:image\/(?:png|jpe?g|gif|webp);base64,[a-z0-9+/=\s]*$/i;
const MOST = 2_000_000; // characters

// The frame inherits the page's own policy, which must name this sheet by its hash (webmail/built_page.py): a test
// holds the three together.
const SHEET =
  "body{font:1.05rem/1.5 system-ui,sans-serif;margin:.75rem;overflow-wrap:anywhere;color:#1a1a1a;background:#fff}" +
  "img{max-width:100%;height:auto}table{max-width:100%;border-collapse:collapse}td,th{vertical-align:top;padding:.15rem .3rem}" +
  "pre{white-space:pre-wrap}blockquote{margin:.5rem 0 .5rem .5rem;padding-left:.75rem;border-left:3px solid #bbb}a{color:#0b57a4}";
const SHEET_HASH = "sha256-eOJWk6hhv1mejYeL5lidJSpBXjEWoGlPdc7vo3y6d9Y=";
const POLICY = `default-src 'none'; img-src data:; style-src '${SHEET_HASH}'; base-uri 'none'; form-action 'none'`;

interface Policy {
  createHTML(html: string): string;
}

interface Factory {
  createPolicy(name: string, rules: Policy): Policy;
}

/** Only what `framed` made passes; it is the only one that writes into a frame. */
const made = new Set<string>();
let policy: Policy | null = null;

function trusted(html: string): string {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  const rules: Policy = {
    createHTML: (given) => {
      if (!made.delete(given)) throw new TypeError("not a washed letter");
      return given;
    },
  };
  policy ??= factory?.createPolicy("mail-body", rules) ?? rules;
  return policy.createHTML(html);
}

type Washer = ReturnType<typeof DOMPurify>;

/** One for the page's life: a second one could not have its Trusted Types policy, and could wash nothing. */
let washer: Washer | null = null;
let shown: ReadonlyMap<string, string> = new Map();

function theWasher(): Washer {
  if (washer !== null) return washer;
  const made = DOMPurify(window);
  made.addHook("afterSanitizeAttributes", (node) => {
    if (node.hasAttribute("href")) link(node);
    if (node.hasAttribute("src")) picture(node, shown);
  });
  return (washer = made);
}

/** The washed fragment. `pictures` gives an address to the letter's own pictures, by content id. */
export function wash(html: string, pictures: ReadonlyMap<string, string>): string {
  shown = pictures;
  return theWasher().sanitize(html.slice(0, MOST), WASH);
}

function link(node: Element): void {
  const to = (node.getAttribute("href") ?? "").trim();
  if (node.nodeName !== "A" || !LINK.test(to)) {
    node.removeAttribute("href");
    return;
  }
  node.setAttribute("rel", "noopener noreferrer");
  node.setAttribute("target", "_blank");
  if (!node.hasAttribute("title")) node.setAttribute("title", to); // where it really leads
}

function picture(node: Element, pictures: ReadonlyMap<string, string>): void {
  const source = (node.getAttribute("src") ?? "").trim();
  const own = /^cid:/i.test(source) ? pictures.get(decoded(source.slice(4))) : DATA.test(source) ? source : undefined;
  if (node.nodeName === "IMG" && own !== undefined) node.setAttribute("src", own);
  else {
    node.removeAttribute("src");
    node.setAttribute("hidden", ""); // else a broken picture would stand there
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function framed(washed: string): string {
  const html =
    `<!doctype html><html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">` +
    `<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width"><style>${SHEET}</style></head><body>${washed}</body></html>`;
  made.add(html);
  return html;
}

/** A picture as a data: address: a frame without an origin may not read the page's blob: ones. */
function address(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Shows HTML in a frame that stands in the page with its sandbox on. Call what it returns when the frame goes. */
export async function showHtml(frame: HTMLIFrameElement, html: string, parts: readonly Attachment[]): Promise<() => void> {
  const sandbox = frame.sandbox;
  if (!frame.hasAttribute("sandbox") || sandbox.contains("allow-scripts") || sandbox.contains("allow-same-origin")) {
    throw new TypeError("the frame has no sandbox");
  }
  const pictures = new Map<string, string>();
  for (const part of parts) {
    if (part.contentId === "" || !PICTURES.has(part.type)) continue;
    pictures.set(part.contentId, await address(await part.blob()));
  }
  frame.srcdoc = trusted(framed(wash(html, pictures)));
  return () => frame.removeAttribute("srcdoc");
}
