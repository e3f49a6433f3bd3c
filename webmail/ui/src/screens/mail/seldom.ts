// The parts of the letters' screens that few visits need, in one file: fetched together, by whichever is first shown.
export { default as Away } from "./Away.svelte";
export { default as BoxSwitch } from "./BoxSwitch.svelte";
export { default as Block } from "./Block.svelte";
export { default as Closed } from "./Closed.svelte";
export { default as Destroy } from "./Destroy.svelte";
export { default as Exchange } from "./Exchange.svelte";
export { default as HtmlBody } from "./HtmlBody.svelte";
export { default as Keyless } from "./Keyless.svelte";
export { default as LetterFiles } from "./LetterFiles.svelte";
export { default as LockedNote } from "./LockedNote.svelte";
export { default as NotGone } from "./NotGone.svelte";
export { default as PdfView } from "./PdfView.svelte";
export { default as PlainView } from "./PlainView.svelte";
export { default as ReceiptAsk } from "./ReceiptAsk.svelte";
export { default as Why } from "./Why.svelte";
export { default as WhyLine } from "./WhyLine.svelte";
