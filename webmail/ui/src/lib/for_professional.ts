// What of the record may be in anything made for a professional: one document shared, a summary, a prescription sent.
//
// Invariants: everything made for a professional goes through `forProfessional`; what the patient keeps from
// professionals, what came masked or hidden, and what was read in such a document is not in it; nothing stands in its
// place: no gap, no number, no count, no name of it in what replaces it.
const KEPT_BACK = ["MASQUE_PS", "INVISIBLE_PATIENT"];

export interface Guarded {
  id: string;
  masked: boolean;
  confidentiality?: readonly string[];
  locked?: boolean;
  state?: string;
  /** The document it was read in. */
  document?: string | null;
}

/** Whether it came with a code that keeps it from professionals. */
export const keptBack = (confidentiality: readonly string[]): boolean => confidentiality.some((one) => KEPT_BACK.includes(one));

/** Whether one thing may be shown to professionals by itself. */
const open = ({ masked, confidentiality = [], locked = false, state = "current" }: Guarded): boolean =>
  !masked && !locked && state !== "withdrawn" && !keptBack(confidentiality);

/** `among`: everything there is, so that what was read in a masked document goes with it. */
export function forProfessional<T extends Guarded>(items: readonly T[], among: readonly Guarded[] = []): T[] {
  const closed = new Set([...items, ...among].filter((one) => !open(one)).map((one) => one.id));
  return items.filter((one) => open(one) && !closed.has(one.id) && !(one.document != null && closed.has(one.document)));
}
