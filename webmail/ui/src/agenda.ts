// The door of the agenda, beside `work.ts`: fetched by the screens that show appointments.
export { agenda } from "./lib/agenda.ts";
