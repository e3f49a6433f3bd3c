// The door to the directory: fetched by the screen where a professional chooses whom to write to.
export { directory } from "./lib/directory.ts";
