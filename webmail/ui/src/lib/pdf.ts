// A PDF drawn in the page by pdf.js, in a worker of its own that we start ourselves: under Trusted Types the library
// could not, and would draw on the page's thread. In a chunk of its own, with its worker.
import { getDocument, GlobalWorkerOptions, PDFWorker, type PDFPageProxy } from "pdfjs-dist";
import { startWorker } from "./workers.ts";

export interface Pdf {
  readonly pages: number;
  /** Of a page at scale 1, in CSS pixels. */
  size(page: number): Promise<{ width: number; height: number }>;
  /** Draws a page; a drawing begun later on the same canvas stops the one before. */
  draw(page: number, canvas: HTMLCanvasElement, scale: number): Promise<void>;
  text(page: number): Promise<string>;
  close(): void;
}

const MOST_PIXELS = 16_000_000; // beyond that phones give up the canvas

export async function openPdf(file: Blob): Promise<Pdf> {
  const port = startWorker("pdf");
  GlobalWorkerOptions.workerPort = port; // else the library looks for an address of its own
  const worker = PDFWorker.create({ port } as never);
  const loading = getDocument({
    data: new Uint8Array(await file.arrayBuffer()),
    worker,
    isEvalSupported: false,
    enableXfa: false,
    stopAtErrors: false,
    disableAutoFetch: true,
    disableStream: true,
    useWorkerFetch: false,
  } as never);
  const close = (): void => {
    void loading.destroy().finally(() => port.terminate());
    GlobalWorkerOptions.workerPort = null;
  };
  try {
    const document = await loading.promise;
    const running = new WeakMap<HTMLCanvasElement, { cancel(): void }>();
    return {
      pages: document.numPages,
      size: async (page) => {
        const { width, height } = (await document.getPage(page)).getViewport({ scale: 1 });
        return { width, height };
      },
      draw: async (page, canvas, scale) => draw(await document.getPage(page), canvas, scale, running),
      text: async (page) => textOf(await document.getPage(page)),
      close,
    };
  } catch (failure) {
    close();
    throw failure;
  }
}

async function draw(page: PDFPageProxy, canvas: HTMLCanvasElement, scale: number, running: WeakMap<HTMLCanvasElement, { cancel(): void }>): Promise<void> {
  running.get(canvas)?.cancel();
  const shown = page.getViewport({ scale });
  const density = Math.min(globalThis.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (shown.width * shown.height)));
  const viewport = page.getViewport({ scale: scale * density });
  canvas.width = Math.floor(viewport.width);
  canvas.height = Math.floor(viewport.height);
  canvas.style.inlineSize = `${Math.floor(shown.width)}px`;
  canvas.style.blockSize = `${Math.floor(shown.height)}px`;
  const task = page.render({ canvas, viewport });
  running.set(canvas, task);
  try {
    await task.promise;
  } catch (failure) {
    if ((failure as Error).name !== "RenderingCancelledException") throw failure;
  } finally {
    if (running.get(canvas) === task) running.delete(canvas);
  }
}

async function textOf(page: PDFPageProxy): Promise<string> {
  const { items } = await page.getTextContent();
  return items.map((item) => ("str" in item ? item.str + (item.hasEOL ? "\n" : "") : "")).join("");
}
