// A QR code (ISO/IEC 18004) for the secret of one-time codes: drawn here, so that the secret goes to no library and no
// server. Invariants: byte mode, level M, versions 1 to 10 (213 bytes), the mask with the least penalty.

/** Per version at level M: check bytes per block, then the data bytes of each block. */
const BLOCKS: readonly (readonly [number, readonly number[]])[] = [
  [10, [16]],
  [16, [28]],
  [26, [44]],
  [18, [32, 32]],
  [24, [43, 43]],
  [16, [27, 27, 27, 27]],
  [18, [31, 31, 31, 31]],
  [22, [38, 38, 39, 39]],
  [22, [36, 36, 36, 37, 37]],
  [26, [43, 43, 43, 43, 44]],
];

const ALIGNMENTS: readonly (readonly number[])[] = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50],
];

const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = value & 0x80 ? (value << 1) ^ 0x11d : value << 1;
}

const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : (EXP[(LOG[a] ?? 0) + (LOG[b] ?? 0)] ?? 0));

/** The remainder that repairs a block (Reed-Solomon, §7.5.2). */
function checkBytes(data: readonly number[], count: number): number[] {
  let generator = [1];
  for (let root = 0; root < count; root++) {
    const next = new Array<number>(generator.length + 1).fill(0);
    generator.forEach((factor, at) => {
      next[at] = (next[at] ?? 0) ^ factor;
      next[at + 1] = (next[at + 1] ?? 0) ^ times(factor, EXP[root] ?? 0);
    });
    generator = next;
  }
  const rest = [...data, ...new Array<number>(count).fill(0)];
  for (let at = 0; at < data.length; at++) {
    const factor = rest[at] ?? 0;
    generator.forEach((part, offset) => {
      rest[at + offset] = (rest[at + offset] ?? 0) ^ times(part, factor);
    });
  }
  return rest.slice(data.length);
}

/** Length, text and filling as bytes, then interleaved with their check bytes (§7.4 and §7.6). */
function codewords(bytes: Uint8Array, version: number): number[] {
  const [checks, sizes] = BLOCKS[version - 1] ?? [0, []];
  const capacity = sizes.reduce((sum, size) => sum + size, 0);
  const bits: number[] = [];
  const put = (value: number, width: number): void => {
    for (let bit = width - 1; bit >= 0; bit--) bits.push((value >> bit) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  put(0, Math.min(4, capacity * 8 - bits.length));
  while (bits.length % 8 !== 0) bits.push(0);
  const data: number[] = [];
  for (let at = 0; at < bits.length; at += 8) data.push(parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let filler = 0xec; data.length < capacity; filler ^= 0xec ^ 0x11) data.push(filler);
  let start = 0;
  const blocks = sizes.map((size) => data.slice(start, (start += size)));
  const repairs = blocks.map((block) => checkBytes(block, checks));
  return [...interleaved(blocks), ...interleaved(repairs)];
}

function interleaved(blocks: readonly number[][]): number[] {
  const longest = Math.max(...blocks.map((block) => block.length));
  const out: number[] = [];
  for (let at = 0; at < longest; at++) for (const block of blocks) if (at < block.length) out.push(block[at] ?? 0);
  return out;
}

const MASKS: readonly ((row: number, column: number) => boolean)[] = [
  (r, c) => (r + c) % 2 === 0,
  (r) => r % 2 === 0,
  (_, c) => c % 3 === 0,
  (r, c) => (r + c) % 3 === 0,
  (r, c) => (Math.floor(r / 2) + Math.floor(c / 3)) % 2 === 0,
  (r, c) => ((r * c) % 2) + ((r * c) % 3) === 0,
  (r, c) => (((r * c) % 2) + ((r * c) % 3)) % 2 === 0,
  (r, c) => (((r + c) % 2) + ((r * c) % 3)) % 2 === 0,
];

/** What is fixed (finders, timing, alignment, version) and which places data may not take. */
class Grid {
  readonly size: number;
  readonly dark: boolean[][];
  readonly fixed: boolean[][];

  constructor(readonly version: number) {
    this.size = version * 4 + 17;
    this.dark = Array.from({ length: this.size }, () => new Array<boolean>(this.size).fill(false));
    this.fixed = Array.from({ length: this.size }, () => new Array<boolean>(this.size).fill(false));
    this.#patterns();
  }

  at(row: number, column: number): boolean {
    return this.dark[row]?.[column] ?? false;
  }

  set(row: number, column: number, dark: boolean, fixed = true): void {
    const line = this.dark[row];
    const kept = this.fixed[row];
    if (line === undefined || kept === undefined || column < 0 || column >= this.size) return;
    line[column] = dark;
    if (fixed) kept[column] = true;
  }

  isFixed(row: number, column: number): boolean {
    return this.fixed[row]?.[column] ?? true;
  }

  #patterns(): void {
    const last = this.size - 7;
    for (const [top, left] of [[0, 0], [0, last], [last, 0]] as const) {
      for (let row = -1; row < 8; row++) {
        for (let column = -1; column < 8; column++) {
          const ring = Math.max(Math.abs(row - 3), Math.abs(column - 3));
          this.set(top + row, left + column, ring !== 2 && ring < 4);
        }
      }
    }
    for (let at = 8; at < this.size - 8; at++) {
      this.set(6, at, at % 2 === 0);
      this.set(at, 6, at % 2 === 0);
    }
    const centres = ALIGNMENTS[this.version - 1] ?? [];
    for (const row of centres) {
      for (const column of centres) {
        const corner = (row === 6 && column === 6) || (row === 6 && column === this.size - 7) || (row === this.size - 7 && column === 6);
        if (!corner) this.#alignment(row, column);
      }
    }
    this.format(0);
    if (this.version >= 7) this.#versionBits();
  }

  #alignment(row: number, column: number): void {
    for (let down = -2; down <= 2; down++) {
      for (let right = -2; right <= 2; right++) {
        this.set(row + down, column + right, Math.max(Math.abs(down), Math.abs(right)) !== 1);
      }
    }
  }

  /** Level M is 00; five bits, ten to check them, and a pattern against emptiness (§7.9). */
  format(mask: number): void {
    let rest = mask;
    for (let step = 0; step < 10; step++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
    const bits = ((mask << 10) | rest) ^ 0x5412;
    const bit = (at: number): boolean => ((bits >> at) & 1) === 1;
    for (let at = 0; at < 15; at++) {
      const row = at < 6 ? at : at < 8 ? at + 1 : this.size - 15 + at;
      this.set(row, 8, bit(at));
      const column = at < 8 ? this.size - 1 - at : at < 9 ? 15 - at : 14 - at;
      this.set(8, column, bit(at));
    }
    this.set(this.size - 8, 8, true);
  }

  #versionBits(): void {
    let rest = this.version;
    for (let step = 0; step < 12; step++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
    const bits = (this.version << 12) | rest;
    for (let at = 0; at < 18; at++) {
      const dark = ((bits >> at) & 1) === 1;
      const along = Math.floor(at / 3);
      const across = this.size - 11 + (at % 3);
      this.set(along, across, dark);
      this.set(across, along, dark);
    }
  }

  /** Two columns at a time, upwards then downwards, right to left, stepping over the timing column (§7.7.3). */
  fill(words: readonly number[], mask: (row: number, column: number) => boolean): void {
    let at = 0;
    for (let right = this.size - 1; right > 0; right -= 2) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.size; step++) {
        const upwards = ((right + 1) & 2) === 0;
        const row = upwards ? this.size - 1 - step : step;
        for (const column of [right, right - 1]) {
          if (this.isFixed(row, column)) continue;
          const bit = ((words[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
          this.set(row, column, (bit === 1) !== mask(row, column), false);
          at++;
        }
      }
    }
  }

  /** §7.8.3: long runs, blocks of four, finder look-alikes, imbalance. */
  penalty(): number {
    let total = 0;
    let black = 0;
    for (let row = 0; row < this.size; row++) {
      let across = "";
      let down = "";
      for (let column = 0; column < this.size; column++) {
        across += this.at(row, column) ? "1" : "0";
        down += this.at(column, row) ? "1" : "0";
        if (this.at(row, column)) black++;
        const here = this.at(row, column);
        const inside = row > 0 && column > 0;
        if (inside && here === this.at(row - 1, column) && here === this.at(row, column - 1) && here === this.at(row - 1, column - 1)) total += 3;
      }
      for (const line of [across, down]) {
        for (const run of line.match(/0{5,}|1{5,}/gu) ?? []) total += run.length - 2;
        for (let from = 0; from + 11 <= this.size; from++) {
          const look = line.slice(from, from + 11);
          if (look === "10111010000" || look === "00001011101") total += 40;
        }
      }
    }
    return total + Math.floor(Math.abs((black * 20) / (this.size * this.size) - 10)) * 10;
  }
}

/** Rows of dark and light squares, without the quiet border. */
export function qrSquares(text: string): boolean[][] {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex(([, sizes], index) => {
    const overhead = index + 1 < 10 ? 2 : 3;
    return bytes.length + overhead <= sizes.reduce((sum, size) => sum + size, 0);
  }) + 1;
  if (version === 0) throw new RangeError("too long for a QR code of this size");
  const words = codewords(bytes, version);
  let best: Grid | null = null;
  let least = Infinity;
  MASKS.forEach((mask, number) => {
    const grid = new Grid(version);
    grid.fill(words, mask);
    grid.format(number);
    const penalty = grid.penalty();
    if (penalty < least) [best, least] = [grid, penalty];
  });
  return (best as Grid | null)?.dark ?? [];
}

/** One SVG path, in units of a square, for a viewBox with a border of four squares (§5.3.8). */
export function qrPath(squares: readonly (readonly boolean[])[]): { path: string; side: number } {
  let path = "";
  squares.forEach((row, y) => {
    row.forEach((dark, x) => {
      if (dark) path += `M${String(x + 4)} ${String(y + 4)}h1v1h-1z`;
    });
  });
  return { path, side: squares.length + 8 };
}
