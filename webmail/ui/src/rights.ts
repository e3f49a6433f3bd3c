// The third door, beside `work.ts`: fetched by the screens that ask who may, who reads and who writes.
export { rights } from "./lib/rights.ts";
