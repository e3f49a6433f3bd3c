// The worker's door: questions in, answers out, each by its number. A failure leaves as a slug and nothing more.
import { Failed } from "./failed.ts";
import { handlers } from "./operations.ts";
import type { Answer, Question } from "./protocol.ts";

export async function answer({ id, operation, given }: Question): Promise<Answer> {
  try {
    const handler = handlers[operation] as (given: unknown) => unknown;
    return { id, made: await handler(given) };
  } catch (failure) {
    return { id, slug: failure instanceof Failed ? failure.slug : "other" };
  }
}

/** Buffers that are handed over instead of copied: an opened letter's parts, a sealed letter. */
export function transferred(made: unknown): Transferable[] {
  if (typeof made !== "object" || made === null) return [];
  const { message, data, parts } = made as { message?: unknown; data?: unknown; parts?: { data?: unknown }[] };
  const all = [message, data, ...(Array.isArray(parts) ? parts.map((one) => one.data) : [])];
  return all.filter((one): one is ArrayBuffer => one instanceof ArrayBuffer);
}

interface Scope {
  onmessage: ((event: MessageEvent<Question>) => Promise<void>) | null;
  postMessage(made: Answer, transfer: Transferable[]): void;
}

if ("WorkerGlobalScope" in globalThis) {
  const scope = globalThis as unknown as Scope;
  scope.onmessage = async ({ data }): Promise<void> => {
    const made = await answer(data);
    scope.postMessage(made, "made" in made ? transferred(made.made) : []);
  };
}
