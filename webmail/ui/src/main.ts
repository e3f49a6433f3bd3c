// The page starts here: words of the frame first, then the frame, which brings each screen when it is wanted.
import { mount } from "svelte";
import App from "./App.svelte";
import { chooseDisplay } from "./display.svelte.ts";
import { chooseLanguage, loadWords } from "./i18n/index.ts";
import "./styles/base.css";

const work = import("./lib/account.ts"); // on its way while the words are
chooseLanguage();
chooseDisplay();
await loadWords("shell");
const target = document.getElementById("app");
if (target) mount(App, { target, props: { work } });
