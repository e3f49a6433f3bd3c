// The record's side of the line to the worker: one operation there, its own questions in it.
import type { RecordGiven, RecordMade, RecordOperation } from "../worker/record/protocol.ts";
import { speaker } from "./account.ts";
import { ask } from "./link.ts";
import { holderOf, type Holder } from "./record_holder.ts";

function whose(): Holder | null {
  try {
    return holderOf(speaker().session);
  } catch {
    return null; // nobody is here: the worker has no key, and refuses
  }
}

export const askRecord = <K extends RecordOperation>(question: K, given: RecordGiven<K>, transfer: Transferable[] = []): Promise<RecordMade<K>> =>
  ask("record", { ask: question, given, holder: whose() }, transfer) as Promise<RecordMade<K>>;
