// The line to the worker that holds the keys: one question, one answer. What fails there comes back as Refused.
import type { Answer, Given, Made, Operation, Question } from "../worker/protocol.ts";
import { Refused } from "./contract.ts";
import { startWorker } from "./workers.ts";

interface Waiting {
  resolve(made: never): void;
  reject(failure: Refused): void;
}

let worker: Worker | null = null;
let last = 0;
const waiting = new Map<number, Waiting>();

function start(): Worker {
  const made = startWorker("letters");
  made.onmessage = ({ data }: MessageEvent<Answer>) => {
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if ("made" in data) asked?.resolve(data.made as never);
    else asked?.reject(new Refused(data.slug));
  };
  // It did not load, or it ran out of memory: what it held is gone, and the next question starts another.
  made.onerror = () => {
    worker = null;
    for (const one of waiting.values()) one.reject(new Refused("other"));
    waiting.clear();
  };
  return made;
}

export function ask<K extends Operation>(operation: K, given: Given<K>, transfer: Transferable[] = []): Promise<Made<K>> {
  worker ??= start();
  const question: Question = { id: ++last, operation, given };
  return new Promise((resolve, reject) => {
    waiting.set(question.id, { resolve, reject });
    worker!.postMessage(question, transfer);
  });
}
