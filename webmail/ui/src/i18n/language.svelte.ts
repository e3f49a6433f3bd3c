// Which language is spoken, and the words loaded so far. Reading them in a component makes it follow a change.

export type Language = "fr" | "en";
export type Tree = { readonly [name: string]: string | Tree };

class Speech {
  language: Language = $state("fr");
  areas: Readonly<Record<string, Tree>> = $state.raw({});
}

export const speech = new Speech();
