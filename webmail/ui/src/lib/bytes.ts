// Bytes as text and back. Pure; used on the page's thread and in the worker.

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const utf8 = (text: string): Bytes => encoder.encode(text) as Bytes;
export const fromUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

export function concat(pieces: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");

/** One character per byte, 0 to 255. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  // Bounded pieces: a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

export const base64 = (bytes: Uint8Array): string => btoa(latin1(bytes));

/** Raises on what is not base64. */
export function fromBase64(text: string): Bytes {
  const clear = atob(text);
  const bytes = new Uint8Array(clear.length);
  for (let at = 0; at < clear.length; at++) bytes[at] = clear.charCodeAt(at);
  return bytes;
}

export const base64url = (bytes: Uint8Array): string =>
  base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

export const fromBase64url = (text: string): Bytes => fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
