// The manifest of a letter that came without one in its summary: drawn from what lies in it.
import type { Whole } from "../open.ts";
import { drawManifest } from "./drawing.ts";
import type { Manifest } from "./manifest_model.ts";
import { RecordRefused } from "./refusal.ts";

export async function drawn({ clear, inside }: Whole, _subject = ""): Promise<Manifest | null> {
  try {
    return (await drawManifest(clear, inside)).manifest;
  } catch (refused) {
    // Hostile, or about two people: it stays an attachment of its letter, and is no document.
    if (refused instanceof RecordRefused) return null;
    throw refused;
  }
}
