// What a letter carries that has a viewer of its own, told from its parts; the viewer is fetched when there is one.
import type { Attachment } from "../../lib/contract.ts";

/** An archive (IHE_XDM), or a document that came bare (CDA, FHIR: text, to who sniffs). */
export function carried({ type, name }: Attachment): "document" | "invitation" | null {
  if (type === "text/calendar") return "invitation";
  return type === "application/zip" || /\.(xml|json)$/i.test(name) ? "document" : null;
}

export const invitation = async () => (await import("../agenda/LetterInvitation.svelte")).default;
export const documents = async () => (await import("../record/LetterDocuments.svelte")).default;
