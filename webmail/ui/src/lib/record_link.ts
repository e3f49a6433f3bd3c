// The record's side of the line to the worker: one operation there, its own questions in it.
import type { RecordGiven, RecordMade, RecordOperation } from "../worker/record/protocol.ts";
import { ask } from "./link.ts";

export const askRecord = <K extends RecordOperation>(question: K, given: RecordGiven<K>, transfer: Transferable[] = []): Promise<RecordMade<K>> =>
  ask("record", { ask: question, given }, transfer) as Promise<RecordMade<K>>;
