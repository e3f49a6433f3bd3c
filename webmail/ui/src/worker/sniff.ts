// What a file is, from its first bytes: what its sender or its name says counts for nothing.
import { latin1 } from "../lib/bytes.ts";

const MAGIC: [string, string][] = [
  ["%PDF-", "application/pdf"],
  ["\xff\xd8\xff", "image/jpeg"],
  ["\x89PNG\r\n\x1a\n", "image/png"],
  ["GIF8", "image/gif"],
  ["PK\x03\x04", "application/zip"],
  ["PK\x05\x06", "application/zip"],
];

export function sniff(data: Uint8Array): string {
  const start = latin1(data.subarray(0, 64));
  for (const [magic, type] of MAGIC) if (start.startsWith(magic)) return type;
  if (/^RIFF....WEBP/s.test(start)) return "image/webp";
  if (!plainText(data)) return "application/octet-stream";
  return /^\ufeff?\s*BEGIN:VCALENDAR/i.test(start.replace("\xef\xbb\xbf", "")) ? "text/calendar" : "text/plain";
}

/** UTF-8 without control characters; looked at from its beginning. */
function plainText(data: Uint8Array): boolean {
  const piece = data.subarray(0, 65536);
  if (piece.some((one) => (one < 32 && one !== 9 && one !== 10 && one !== 13 && one !== 12) || one === 127)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(piece, { stream: data.length > piece.length });
    return true;
  } catch {
    return false;
  }
}
