// The engine of iTIP (RFC 5546) in the page, as pure functions over one appointment: what is received, what is held, what
// is sent. Python's twin is mail_server/payloads/agenda; who holds what is the agenda's store.
export { receive } from "./receiving.ts";
export {
  acceptCounter, add, admit, answer, cancel, cannotAnswer, change, declineCounter, lengthOf, occurrenceOf, organise, propose, refresh, refreshed, unheard, whenOf,
} from "./composing.ts";
export type { Answer } from "./composing.ts";
export { attendee, attendeeOf, attendeesOf, blank, cancelled, componentKey, crashers, governing, openProposals, recurring, statusOf } from "./standing.ts";
