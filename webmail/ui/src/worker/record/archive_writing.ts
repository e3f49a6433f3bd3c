// A zip written piece by piece (fflate) into a Blob: what is written leaves memory for wherever the browser keeps Blobs.
// Names are made here: no path of a sender's, each once.
import { Zip, ZipDeflate, ZipPassThrough } from "fflate";

const PIECE = 4 * 1024 * 1024;
const PACKED = /\.(pdf|jpe?g|png|zip)$/i; // these would not get smaller

export class ArchiveWriter {
  private held: Uint8Array[] = [];
  private size = 0;
  private readonly blobs: Blob[] = [];
  private readonly names = new Set<string>();
  private readonly zip: Zip;
  private failure: Error | null = null;

  constructor() {
    this.zip = new Zip((failure, piece) => {
      if (failure !== null) this.failure = failure;
      else this.take(piece);
    });
  }

  private take(piece: Uint8Array): void {
    this.held.push(piece);
    this.size += piece.length;
    if (this.size < PIECE) return;
    this.blobs.push(new Blob(this.held as BlobPart[]));
    this.held = [];
    this.size = 0;
  }

  /** A path that is free, in this folder. */
  free(path: string): string {
    const [, stem, ending = ""] = /^(.*?)(\.\w+)?$/s.exec(path)!;
    let name = path;
    for (let number = 2; this.names.has(name.toLowerCase()); number++) name = `${stem} (${number})${ending}`;
    this.names.add(name.toLowerCase());
    return name;
  }

  add(path: string, data: Uint8Array, at: number): void {
    const file = this.begin(path, at);
    file.push(data, true);
    this.check();
  }

  async addBlob(path: string, data: Blob, at: number): Promise<void> {
    const file = this.begin(path, at);
    for (let from = 0; from < data.size; from += PIECE) {
      const piece = data.slice(from, from + PIECE);
      file.push(new Uint8Array(await piece.arrayBuffer()), from + PIECE >= data.size);
    }
    if (data.size === 0) file.push(new Uint8Array(0), true);
    this.check();
  }

  private begin(path: string, at: number): ZipDeflate | ZipPassThrough {
    const file = PACKED.test(path) ? new ZipPassThrough(path) : new ZipDeflate(path, { level: 6 });
    file.mtime = new Date(Math.min(Math.max(at, Date.UTC(1981, 0, 1)), Date.UTC(2099, 0, 1))); // a zip knows no others
    this.zip.add(file);
    return file;
  }

  private check(): void {
    if (this.failure !== null) throw this.failure;
  }

  end(): Blob {
    this.zip.end();
    this.check();
    const whole = new Blob([...this.blobs, ...(this.held as BlobPart[])], { type: "application/zip" });
    this.held = [];
    return whole;
  }
}

/** Blobs of pieces, so that what is gathered does not stay in memory. */
export class Gathered {
  private held: Uint8Array[] = [];
  private size = 0;
  private readonly blobs: Blob[] = [];

  push(piece: Uint8Array): void {
    this.held.push(piece);
    this.size += piece.length;
    if (this.size < PIECE) return;
    this.blobs.push(new Blob(this.held as BlobPart[]));
    this.held = [];
    this.size = 0;
  }

  blob = (): Blob => new Blob([...this.blobs, ...(this.held as BlobPart[])]);
}
