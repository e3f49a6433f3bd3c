// Reminders of who is reading letters: brought some time after the letters are, so that these never wait for it.
import { loadWords } from "../../i18n/index.ts";
import { startReminding } from "./reminding.svelte.ts";

void loadWords("agenda", "mail").then(startReminding, () => undefined);
