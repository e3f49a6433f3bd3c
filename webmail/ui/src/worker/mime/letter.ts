// What a person sees of a MIME tree: one text, perhaps HTML, and attachments with the type their bytes tell.
import type { Bytes } from "../../lib/bytes.ts";
import { sniff } from "../sniff.ts";
import type { OpenedPart } from "../protocol.ts";
import { clean, first, parameterised } from "./fields.ts";
import { htmlToText } from "./html_text.ts";
import { content, text as textOf, type Part } from "./parts.ts";

export interface Seen {
  text: string;
  html: string | null;
  parts: OpenedPart[];
}

export function see(message: Bytes, tree: Part): Seen {
  const texts: string[] = [];
  const pages: string[] = [];
  const parts: OpenedPart[] = [];
  walk(tree, false);
  const html = pages.length > 0 ? pages.join("\n<hr>\n") : null;
  const text = texts.length > 0 ? texts.join("\n\n") : html === null ? "" : htmlToText(html);
  return { text: text.trimEnd(), html, parts };

  function walk(part: Part, reports: boolean): void {
    if (part.type.startsWith("multipart/")) {
      part.children.forEach((one) => walk(one, part.type === "multipart/report"));
      return;
    }
    const disposition = parameterised(first(part.fields, "content-disposition"));
    const named = disposition.params.get("filename") ?? part.params.get("name") ?? "";
    const shown = disposition.value !== "attachment" && named === "";
    if (shown && part.type === "text/plain") texts.push(unflowed(textOf(message, part), part.params));
    else if (shown && part.type === "text/html") pages.push(textOf(message, part));
    else if (reports && named === "" && MACHINE.has(part.type) && texts.length + pages.length > 0) return;
    else if (!/^application\/(pgp-(signature|keys|encrypted))$/.test(part.type)) parts.push(attachment(part, named, disposition.value));
  }

  function attachment(part: Part, named: string, disposition: string): OpenedPart {
    const data = content(message, part);
    const type = sniff(data);
    const contentId = first(part.fields, "content-id").replace(/^<|>$/g, "");
    const inline = disposition === "inline" || (disposition === "" && contentId !== "");
    // A copy of its own: it is handed over to the page.
    return { name: fileName(named, part.type, type), type, size: data.length, inline, contentId, data: data.slice().buffer };
  }
}

/** What a report says again to programs (RFC 3464, 8098, 6533), after it said it in words. */
const MACHINE = new Set(["message/delivery-status", "message/global-delivery-status", "message/disposition-notification", "message/global-disposition-notification", "text/rfc822-headers", "message/global-headers"]);

const ENDINGS: Record<string, string> = {
  "application/pdf": ".pdf",
  "image/jpeg": ".jpg",
  "image/png": ".png",
  "application/zip": ".zip",
  "text/calendar": ".ics",
  "text/plain": ".txt",
};

/** A name that is safe to show and to save: no path, no control or turning character. */
function fileName(named: string, claimed: string, type: string): string {
  const bare = clean(named.replace(/^.*[\\/]/s, "")).replace(/[<>:"|?*]+/g, "_").replace(/^\.+/, "").slice(0, 120);
  if (bare !== "") return bare;
  return claimed === "message/rfc822" ? "message.eml" : `document${ENDINGS[type] ?? ""}`;
}

/** RFC 3676: lines that end with a blank go on. */
function unflowed(text: string, params: Map<string, string>): string {
  const lines = text.replace(/\r\n?/g, "\n");
  if (params.get("format")?.toLowerCase() !== "flowed") return lines;
  const joined: string[] = [];
  const tight = params.get("delsp")?.toLowerCase() === "yes";
  let open: string | null = null;
  for (const line of lines.split("\n")) {
    const quote = /^>*/.exec(line)![0];
    const body = line.slice(quote.length).replace(/^ /, "");
    const flows = body.endsWith(" ") && body !== "-- ";
    const kept = flows && tight ? body.slice(0, -1) : body;
    if (open === quote) joined[joined.length - 1] += kept;
    else joined.push(quote === "" ? kept : `${quote} ${kept}`);
    open = flows ? quote : null;
  }
  return joined.join("\n");
}

