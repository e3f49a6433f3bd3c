// What can be done with an attachment, by its sniffed type: opened in the page (PDF, picture, text), or saved only.

import type { IconName } from "../../components/Icon.svelte";
import type { Attachment } from "../../lib/contract.ts";

export type Viewer = "pdf" | "image" | "text";
export type FileKind = "pdf" | "image" | "text" | "zip" | "calendar" | "html" | "document" | "letter" | "file";

/** Pictures that every browser draws and that cannot hold a script. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"]);
const TEXTS = new Set(["text/plain", "text/csv", "text/markdown", "application/json", "application/pgp-keys"]);

const base = (type: string): string => (type.split(";")[0] ?? "").trim().toLowerCase();

export function viewerOf({ type }: { type: string }): Viewer | null {
  const plain = base(type);
  if (plain === "application/pdf") return "pdf";
  if (PICTURES.has(plain)) return "image";
  return TEXTS.has(plain) ? "text" : null;
}

export function kindOf(attachment: Pick<Attachment, "type">): FileKind {
  const plain = base(attachment.type);
  const viewer = viewerOf(attachment);
  if (viewer !== null) return viewer;
  if (plain.startsWith("image/") && plain !== "image/svg+xml") return "image";
  if (plain === "application/zip" || plain === "application/x-zip-compressed") return "zip";
  if (plain === "text/calendar") return "calendar";
  if (plain === "text/html" || plain === "application/xhtml+xml") return "html";
  if (plain === "message/rfc822") return "letter";
  return /officedocument|opendocument|msword|ms-excel|ms-powerpoint|rtf/u.test(plain) ? "document" : "file";
}

/** Kinds in which nothing can run when they are opened elsewhere. */
export const harmless = (kind: FileKind): boolean => kind !== "html" && kind !== "file" && kind !== "document" && kind !== "zip";

export function iconOf(kind: FileKind): IconName {
  if (kind === "image") return "image";
  if (kind === "calendar") return "clock";
  return kind === "letter" ? "inbox" : kind === "zip" ? "archive" : "file";
}
