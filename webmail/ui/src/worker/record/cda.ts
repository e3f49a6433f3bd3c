// A CDA R2 document, read: header, words, results, entries, or the file it wraps; the same as
// `mail_server/payloads/record/cda/reading.py`, held to one answer by tests/webmail/vectors/cda/.
import { fromBase64, utf8 } from "../../lib/bytes.ts";
import { entriesOf } from "./cda_entries.ts";
import { contactsOf, headerOf } from "./cda_header.ts";
import type { Document, Header } from "./cda_model.ts";
import { HL7 } from "./cda_names.ts";
import { Narrator } from "./cda_narrative.ts";
import { resultsOf } from "./cda_results.ts";
import { Narrative } from "./cda_values.ts";
import { RecordRefused } from "./refusal.ts";
import { parse, type XmlElement } from "./xml.ts";

export const BODY_LIMIT = 24 * 1024 * 1024; // octets of a wrapped file
const BODY_TYPES = new Set(["application/pdf", "image/jpeg", "image/tiff", "image/png", "text/plain", "text/rtf", "application/rtf"]);
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The document in these octets. Raises RecordRefused, nothing else. */
export function readCda(data: Uint8Array): Document {
  const root = parse(data);
  if (root.name !== "ClinicalDocument" || (root.ns !== HL7 && root.ns !== "")) throw new RecordRefused("cda-none");
  const narrative = new Narrative(root);
  const header = headerOf(root, narrative);
  const wrapped = root.child("component", "nonXMLBody", "text");
  if (wrapped !== null) {
    const bodyType = wrapped.get("mediaType").toLowerCase() || "text/plain";
    if (!BODY_TYPES.has(bodyType)) throw new RecordRefused("cda-body-type");
    return { header, level: 1, body: octets(wrapped, true), bodyType, sections: [], results: [], entries: [] };
  }
  const body = root.child("component", "structuredBody");
  if (body === null) throw new RecordRefused("cda-no-body");
  return structured(root, header, body, narrative);
}

function structured(root: XmlElement, header: Header, body: XmlElement, narrative: Narrative): Document {
  const narrator = new Narrator(narrative);
  const copy = copyOf(body);
  return {
    header,
    level: body.descendants("entry").next().done === true ? 2 : 3,
    body: copy,
    bodyType: copy === null ? "" : "application/pdf",
    sections: body.elements("component").flatMap((component) => component.elements("section").map((section) => narrator.section(section))),
    results: resultsOf(body, narrative),
    entries: [...entriesOf(body, narrative), ...contactsOf(root, narrative)],
  };
}

/** The copy as a PDF that laboratories put among their entries: the first. */
function copyOf(body: XmlElement): Uint8Array | null {
  for (const media of body.descendants("observationMedia")) {
    const value = media.child("value");
    if (value !== null && value.get("mediaType").toLowerCase() === "application/pdf") {
      const found = octets(value, false);
      return found === null || found.length === 0 ? null : found;
    }
  }
  return null;
}

/** A file inside: base64, or text as it stands (a body of `text/plain` may be). A copy that is broken is none. */
function octets(value: XmlElement, wrapped: boolean): Uint8Array | null {
  const told = value.text();
  if (wrapped && value.get("representation") !== "B64" && value.get("mediaType").startsWith("text/")) return utf8(told).slice(0, BODY_LIMIT);
  const compact = told.replace(/[ \t\r\n]+/g, "");
  if (compact.length % 4 === 0 && BASE64.test(compact) && compact.length <= (BODY_LIMIT / 3) * 4) return fromBase64(compact);
  if (wrapped) throw new RecordRefused("cda-body-broken");
  return null;
}
