// The manifest of a letter that came without one in its summary: drawn from what lies in it.
import type { Whole } from "../open.ts";
import { drawManifest } from "./manifest.ts";
import type { Manifest } from "./manifest_model.ts";

/** Raises RecordRefused when what lies in it is hostile: it stays a letter with attachments. */
export const drawn = async ({ clear, inside }: Pick<Whole, "clear" | "inside">): Promise<Manifest> => (await drawManifest(clear, inside)).manifest;
