// What a screen reader is told without the focus moving: "Lettre envoyée". One region for the whole page, in App.

class Announced {
  words = $state("");
}

export const announced = new Announced();
let clearing: ReturnType<typeof setTimeout> | undefined;

export function announce(words: string): void {
  clearTimeout(clearing);
  announced.words = "";
  setTimeout(() => (announced.words = words), 50); // the same words twice must be heard twice
  clearing = setTimeout(() => (announced.words = ""), 10_000);
}
