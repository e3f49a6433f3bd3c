// The little of Node that the tests use; its whole declarations are not among the page's dependencies.
declare module "node:test" {
  export function test(name: string, work: () => void | Promise<void>): void;
  export function before(work: () => void | Promise<void>): void;
  export function after(work: () => void | Promise<void>): void;
}
declare module "node:assert/strict" {
  const assert: {
    (value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown, message?: string): void;
    notEqual(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    match(text: string, pattern: RegExp, message?: string): void;
    doesNotMatch(text: string, pattern: RegExp, message?: string): void;
    rejects(work: Promise<unknown> | (() => Promise<unknown>), expected?: (failure: unknown) => boolean): Promise<void>;
    throws(work: () => unknown, expected?: (failure: unknown) => boolean): void;
  };
  export default assert;
}
declare module "node:fs" {
  export function readFileSync(path: string, encoding: "utf8"): string;
  export function readFileSync(path: string): Uint8Array;
  export function readdirSync(path: string): string[];
  export function writeFileSync(path: string, text: string | Uint8Array): void;
}
declare module "node:readline" {
  export function createInterface(given: { input: unknown; crlfDelay: number }): AsyncIterable<string>;
}
declare module "node:http" {
  export interface Incoming extends AsyncIterable<Uint8Array> {
    method: string;
    url: string;
    headers: Record<string, string | undefined>;
  }
  export interface Outgoing {
    writeHead(status: number, headers?: Record<string, string>): void;
    end(data?: string | Uint8Array): void;
    write(data: string): void;
  }
  export interface Server {
    listen(port: number, host: string, ready: () => void): void;
    close(): void;
    closeAllConnections(): void;
    address(): { port: number };
  }
  export function createServer(work: (incoming: Incoming, outgoing: Outgoing) => void): Server;
}
declare const process: { stdin: unknown; stdout: { write(text: string): void } };
