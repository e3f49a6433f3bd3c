// How large the text is and which colours it has, when the device's own settings are not wanted. Kept on this device.

export type TextSize = "normal" | "large" | "larger";
export type Colours = "auto" | "light" | "dark";

const KEPT = "vaguemestre.display";
const SIZES: Record<TextSize, string> = { normal: "", large: "131.25%", larger: "150%" };

class Display {
  text: TextSize = $state("normal");
  colours: Colours = $state("auto");
}

export const display = new Display();

/** What was chosen before on this device; called once, before the first screen. */
export function chooseDisplay(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as { text?: string; colours?: string };
    if (kept.text === "large" || kept.text === "larger") display.text = kept.text;
    if (kept.colours === "light" || kept.colours === "dark") display.colours = kept.colours;
  } catch {
    // Storage is refused here, or holds something else: the device's own settings serve.
  }
  apply();
}

export function keepDisplay(change: { text?: TextSize; colours?: Colours }): void {
  if (change.text) display.text = change.text;
  if (change.colours) display.colours = change.colours;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ text: display.text, colours: display.colours }));
  } catch {
    // Not kept: it holds until the page is closed.
  }
  apply();
}

function apply(): void {
  const { style, dataset } = document.documentElement;
  style.fontSize = SIZES[display.text];
  dataset["colours"] = display.colours; // base.css has the rest
}
