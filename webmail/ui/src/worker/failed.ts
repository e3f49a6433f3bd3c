// What goes wrong in the worker, as a slug: the text of a library never leaves it, since it might quote a letter or a key.

export class Failed extends Error {
  constructor(readonly slug: string) {
    super(slug);
  }
}
