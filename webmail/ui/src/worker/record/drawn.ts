// The manifest of a letter that came without one in its summary: drawn from what lies in it.
import { content } from "../mime/parts.ts";
import type { Whole } from "../open.ts";
import { readManifest } from "./manifest.ts";
import { MANIFEST_TYPE, type Manifest } from "./manifest_model.ts";
import { sections } from "./octets.ts";

export async function drawn({ clear, inside }: Whole, _subject: string): Promise<Manifest | null> {
  const part = sections(inside).find((one) => one.part.type === MANIFEST_TYPE);
  return part === undefined ? null : readManifest(content(clear, part.part));
}
