// What few visits need of identity providers, in one file.
export { default as Ciba } from "./parts/Ciba.svelte";
export { default as Confirmed } from "./Confirmed.svelte";
export { default as NoWay } from "./parts/NoWay.svelte";
export { default as Refusal } from "./Refusal.svelte";
