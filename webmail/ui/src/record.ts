// The door to the record, fetched by its screens and by a letter that carries a document.
export { record } from "./lib/record.ts";
