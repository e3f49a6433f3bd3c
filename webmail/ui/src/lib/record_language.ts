// In which language labels are asked for: that of the page.
import type { Language } from "../worker/record/labels.ts";

export const language = (): Language => (typeof document !== "undefined" && document.documentElement.lang.startsWith("en") ? "en" : "fr");
