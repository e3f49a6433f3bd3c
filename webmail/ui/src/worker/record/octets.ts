// The octets of an item, as they came: the part of the letter that its manifest names, or the part whose hash it gives.
import type { Bytes } from "../../lib/bytes.ts";
import { content, type Part } from "../mime/parts.ts";
import type { Whole } from "../open.ts";

/** Every part with its section number (RFC 9051 §6.4.5), as the manifest counts them. */
export function sections(tree: Part): { section: string; part: Part }[] {
  const found: { section: string; part: Part }[] = [];
  const walk = (part: Part, section: string): void => {
    if (!part.type.startsWith("multipart/")) found.push({ section: section === "" ? "1" : section, part });
    part.children.forEach((child, at) => walk(child, section === "" ? String(at + 1) : `${section}.${at + 1}`));
  };
  walk(tree, "");
  return found;
}

export function partOctets({ clear, inside }: Pick<Whole, "clear" | "inside">, section: string): Bytes | null {
  const found = sections(inside).find((one) => one.section === section);
  return found === undefined ? null : content(clear, found.part);
}
