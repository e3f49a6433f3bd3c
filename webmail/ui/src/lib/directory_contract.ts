// What the screens may ask of the directory. Names are typed by people and shown as text, never as markup.

export type ListedKind = "PER" | "ORG" | "APP" | "CAB";

/** Somebody who may be written to. */
export interface Found {
  address: string;
  kind: ListedKind;
  name: string;
  profession: string;
  speciality: string;
  organisation: string;
  postcode: string;
  commune: string;
  digitization: boolean; // takes no paper any more
  reachable?: boolean; // false: no letter goes to that operator
  known: boolean; // letters went to or came from there lately
}

export interface Looked {
  cards: Found[];
  more: boolean;
  corrected: { typed: string; taken: string }[]; // words that nobody has, and what they were taken for
}

export interface Narrowed {
  profession: string; // code of TRE_G15, "": any
  department: string; // "69", "": any
}

export interface DirectoryWork {
  /** Raises Refused: "too-many" with `retryAfter`, "forbidden", "offline"; "superseded" once `signal` is aborted. */
  search(words: string, narrowed: Narrowed, signal: AbortSignal): Promise<Looked>;
}
