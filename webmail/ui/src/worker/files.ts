// A file before it is attached: its real type, its size, and a photograph drawn anew, so that neither the place where
// it was taken nor anything else hidden in it goes along. In a chunk of its own.
import { Failed } from "./failed.ts";
import { sniff } from "./sniff.ts";

const LONGEST_SIDE = 2000; // pixels
const MOST_PIXELS = 100_000_000;
const QUALITY = 0.85;
const MOST_INPUT = 64 * 1024 * 1024; // of a photograph, before it is made smaller
const KEPT = new Set(["application/pdf", "text/plain"]);
const DRAWN = new Set(["image/jpeg", "image/png"]);

export interface Prepared {
  name: string;
  type: string;
  data: ArrayBuffer;
}

export async function prepare(name: string, data: ArrayBuffer, limit: number): Promise<Prepared> {
  if (data.byteLength === 0) throw new Failed("file-empty");
  const type = sniff(new Uint8Array(data));
  if (!KEPT.has(type) && !DRAWN.has(type)) throw new Failed("file-type");
  if (data.byteLength > (DRAWN.has(type) ? MOST_INPUT : limit)) throw new Failed("file-too-large");
  if (KEPT.has(type)) return { name: named(name, type === "application/pdf" ? ".pdf" : ".txt"), type, data };
  const drawn = await redrawn(data, type);
  if (drawn.byteLength > limit) throw new Failed("file-too-large");
  return { name: named(name, ".jpg"), type: "image/jpeg", data: drawn };
}

/** The name a person gave, with the ending that is true. */
function named(name: string, ending: string): string {
  const bare = name.replace(/^.*[\\/]/s, "").replace(/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "");
  const stem = bare.replace(/\.(pdf|txt|jpe?g|png)$/i, "").slice(0, 80) || "document";
  return stem + ending;
}

async function redrawn(data: ArrayBuffer, type: string): Promise<ArrayBuffer> {
  if (type === "image/png" && pixels(data) > MOST_PIXELS) throw new Failed("file-too-large");
  let image: ImageBitmap;
  try {
    image = await createImageBitmap(new Blob([data], { type }), { imageOrientation: "from-image" });
  } catch {
    throw new Failed("file-type"); // damaged
  }
  const scale = Math.min(1, LONGEST_SIDE / Math.max(image.width, image.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
  const context = canvas.getContext("2d")!;
  context.fillStyle = "#fff"; // where a PNG lets through
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return (await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })).arrayBuffer();
}

/** Of a PNG, from its first chunk: a small file may say it is an enormous picture. */
function pixels(data: ArrayBuffer): number {
  if (data.byteLength < 24) return 0;
  const view = new DataView(data);
  return view.getUint32(16) * view.getUint32(20);
}
