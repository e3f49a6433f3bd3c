// What goes wrong in the worker, as a slug: the text of a library never leaves it, since it might quote a letter or a key.

export class Failed extends Error {
  constructor(readonly slug: string) {
    super(slug);
  }
}

/** A chunk of the worker, or Failed("offline"): that it did not come says nothing of a letter. */
export const fetched = <T>(chunk: Promise<T>): Promise<T> =>
  chunk.catch(() => {
    throw new Failed("offline");
  });

/** For what is not done for a fault of the letter itself. Raises what is the line's. */
export function ofLetter(failure: unknown): null {
  if (failure instanceof Failed && failure.slug === "offline") throw failure;
  return null;
}
