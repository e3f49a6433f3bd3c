// Locked letters whose senders were asked in this visit: nobody is asked twice by an impatient thumb.

import { SvelteSet } from "svelte/reactivity";

export const asked = new SvelteSet<string>();
