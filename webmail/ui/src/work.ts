// The two doors to what opens letters. Screens import from here only; `vite --mode fake` puts invented people behind them.
export { account } from "./lib/account.ts";
export { mail } from "./lib/mail.ts";
