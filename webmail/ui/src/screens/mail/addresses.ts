// Addresses as people type and paste them: one, or many with names and brackets around them.

const ADDRESS = /^[^\s@<>,;"]{1,64}@[^\s@<>,;"]+\.[^\s@<>,;".]{2,}$/u;

export const isAddress = (text: string): boolean => text.length <= 320 && ADDRESS.test(text);

/** "Zoé Martin <zoe@x.fr>" is "zoe@x.fr". */
export const bare = (text: string): string => text.trim().replace(/^[^<>]*<([^<>]+)>$/u, "$1").trim();

/** What was pasted: its addresses, each once, and what of it is none. */
export function apart(text: string): { addresses: string[]; rest: string } {
  const addresses = new Map<string, string>();
  const rest: string[] = [];
  // A name before brackets may hold commas and spaces: brackets first, with the name before them.
  const outside = text.replace(/(?:"[^"\n]{0,200}"|[^<>,;"\n]{0,200})\s{0,3}<([^<>\s]{3,320})>/gu, (whole, inside: string) => (isAddress(inside) ? (addresses.set(inside.toLowerCase(), inside), " ") : whole));
  for (const word of outside.split(/[\s,;]+/u)) {
    if (word === "") continue;
    if (isAddress(word)) addresses.set(word.toLowerCase(), word);
    else rest.push(word);
  }
  return { addresses: [...addresses.values()], rest: rest.join(" ") };
}
