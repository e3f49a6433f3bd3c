// What lies around the documents, in one file: fetched together, by whichever is first shown.
export { default as Add } from "./Add.svelte";
export { default as Evolution } from "./Evolution.svelte";
export { default as ExportAll } from "./ExportAll.svelte";
export { default as Profile } from "./Profile.svelte";
export { default as Trends } from "./Trends.svelte";
