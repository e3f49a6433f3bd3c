// Plays exchanges between people, each with what they hold; Python's twin is tests/webmail/vectors/itip/playing.py.
import { readCalendar, readMessages, writeMessage } from "../src/worker/agenda/calendar.ts";
import { occurrences } from "../src/worker/agenda/expansion.ts";
import * as itip from "../src/worker/agenda/itip.ts";
import { AgendaRefused } from "../src/worker/agenda/model.ts";
import type { Appointment, Component, Event, Made, Me, When } from "../src/worker/agenda/model.ts";
import { top } from "../src/worker/agenda/standing.ts";
import { keyOf, stampOf } from "../src/worker/agenda/zones.ts";

const HERE = "Europe/Paris";
const [FIRST, LAST] = [1_767_225_600_000, 1_861_920_000_000];
const SHOWN = 12;

export interface Step {
  who: string;
  at: string;
  do?: string;
  as?: string;
  given?: Record<string, unknown>;
  from?: string;
  take?: string;
  ics?: string[];
  events?: string[];
  sends?: { to: string[]; as: string; ics: string[] }[];
  refused?: string;
  view: unknown;
}

export interface Transcript {
  title: string;
  uid: string;
  people: Record<string, string[]>;
  steps: Step[];
}

export class Party {
  readonly held = new Map<string, Appointment>();
  readonly me: Me;
  constructor(me: Me) {
    this.me = me;
  }

  receive(text: string, sender: string, received: number): Event[] {
    return readMessages(text, sender, received).flatMap((message) => {
      const { uid } = message.components[0]!;
      const made = itip.receive(this.held.get(uid) ?? null, message, this.me);
      if (made.appointment !== null) this.held.set(uid, made.appointment);
      return [...made.events];
    });
  }

  act(deed: string, given: Record<string, unknown>, now: number): Made["outgoing"] {
    const component = "ics" in given ? readCalendar((given["ics"] as string[]).join("\r\n")).components[0]! : null;
    const uid = component?.uid ?? (given["uid"] as string);
    const held = this.held.get(uid);
    if (deed !== "organise" && deed !== "refresh" && held === undefined) throw new AgendaRefused("unknown");
    if (deed === "organise" && held !== undefined) throw new AgendaRefused("uid");
    const made = this.made(deed, given, held ?? itip.unheard(uid, String(given["organiser"] ?? "")), component, now);
    if (deed !== "refresh" || held !== undefined) this.held.set(uid, made.appointment);
    return made.outgoing;
  }

  private made(deed: string, given: Record<string, unknown>, held: Appointment, component: Component | null, now: number): Made {
    const address = given["address"] as string;
    switch (deed) {
      case "organise": return itip.organise(component!, this.me, now);
      case "change": return itip.change(held, component!, this.me, now);
      case "add": return itip.add(held, component!, this.me, now);
      case "answer": return itip.answer(held, given["status"] as string, this.me, now, given);
      case "propose": return itip.propose(held, when(given["start"] as string), when(given["end"] as string), this.me, now, given);
      case "cancel": return itip.cancel(held, this.me, now, given);
      case "decline_counter": return itip.declineCounter(held, address, this.me, now, given);
      case "accept_counter": return itip.acceptCounter(held, address, this.me, now, given);
      case "admit": return itip.admit(held, address, this.me, now);
      case "refreshed": return itip.refreshed(held, address, this.me, now);
      case "refresh": return itip.refresh(held, this.me, now);
      default: throw new Error(deed);
    }
  }

  view(uid: string): unknown {
    const held = this.held.get(uid);
    if (held === undefined) return null;
    const whole = held.master?.component;
    const { addresses } = this.me;
    return {
      role: held.role,
      trust: held.trust,
      organiser: held.organiser,
      sequence: top(held),
      cancelled: whole?.status === "CANCELLED",
      title: whole?.title ?? "",
      mine: itip.statusOf(held, "", addresses),
      times: occurrences(held, FIRST, LAST, HERE).slice(0, SHOWN).map((one) => [one.key, stampOf(one.start), stampOf(one.end), one.component.title, one.component.place, ...(one.cancelled ? [true] : [])]),
      answers: held.overrides.map((one) => [itip.componentKey(one.component), itip.statusOf(held, itip.componentKey(one.component), addresses)]),
      attendees: itip.attendeesOf(held).map((one) => [one.address, one.status]),
      proposals: itip.openProposals(held).map((one) => [one.address, one.recurrence, keyOf(one.start)]),
      crashers: held.role === "organiser" ? itip.crashers(held).map((one) => [one.address, one.status]) : [],
      former: held.former,
    };
  }
}

function when(text: string): When {
  const [local, zone = ""] = text.split("[") as [string, string?];
  return { local, zone: zone.replace("]", "") };
}

const told = (event: Event): string => [event.kind, event.recurrence, event.who, event.status, event.reason].filter((one) => one !== "").join(" ");

/** What a step came to, in the words of a transcript. */
export function play(party: Party, step: Step, sent: Map<string, string>): Pick<Step, "events" | "sends" | "refused"> {
  const now = Date.parse(step.at);
  try {
    if (step.do !== undefined) {
      const sends = party.act(step.do, step.given ?? {}, now).map(({ to, message }, number) => {
        const name = `${step.as}${number || ""}`;
        sent.set(name, writeMessage(message));
        return { to: [...to], as: name, ics: sent.get(name)!.split("\r\n").slice(0, -1) };
      });
      return { events: [], sends, refused: "" };
    }
    const text = step.take === undefined ? `${step.ics!.join("\r\n")}\r\n` : sent.get(step.take)!;
    return { events: party.receive(text, step.from!, now).map(told), sends: [], refused: "" };
  } catch (failure) {
    if (failure instanceof AgendaRefused) return { events: [], sends: [], refused: failure.slug };
    throw failure;
  }
}

export const partiesOf = (people: Record<string, string[]>): Map<string, Party> =>
  new Map(Object.entries(people).map(([name, addresses]) => [name, new Party({ addresses, name: name.replace(/^./, (one) => one.toUpperCase()) })]));
