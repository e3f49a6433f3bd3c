// What only some letters need, brought when one of them is opened: the washing of HTML, the drawing of PDF.

import type { Attachment } from "../../lib/contract.ts";

export interface Pdf {
  readonly pages: number;
  /** Pages count from 1. A new drawing on the same canvas cancels the former. */
  draw(page: number, canvas: HTMLCanvasElement, scale: number): Promise<void>;
  size(page: number): Promise<{ width: number; height: number }>;
  text(page: number): Promise<string>;
  close(): void;
}

interface Html {
  showHtml(frame: HTMLIFrameElement, html: string, parts: readonly Attachment[]): Promise<() => void>;
}
interface Pdfs {
  openPdf(blob: Blob): Promise<Pdf>;
}

const FOUND = import.meta.glob(["../../lib/html.ts", "../../lib/pdf.ts"]);

async function bring(name: string): Promise<unknown> {
  const found = FOUND[`../../lib/${name}.ts`];
  if (!found) throw new Error("not built in");
  return found();
}

export const html = async (): Promise<Html> => (await bring("html")) as Html;
export const pdf = async (): Promise<Pdfs> => (await bring("pdf")) as Pdfs;
