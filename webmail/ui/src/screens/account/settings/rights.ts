// The settings of who may, who reads and who writes, in one file: fetched when one of them is opened.
export { default as StepUp } from "../parts/StepUp.svelte";
export { default as Blocks } from "./Blocks.svelte";
export { default as FirstContact } from "./FirstContact.svelte";
export { default as HistoryFiles } from "./HistoryFiles.svelte";
export { default as KeyPeriods } from "./KeyPeriods.svelte";
export { default as Listed } from "./Listed.svelte";
export { default as Notices } from "./Notices.svelte";
export { default as Outbound } from "./Outbound.svelte";
export { default as Programs } from "./Programs.svelte";
export { default as PracticeCopy } from "./PracticeCopy.svelte";
export { default as Readers } from "./Readers.svelte";
