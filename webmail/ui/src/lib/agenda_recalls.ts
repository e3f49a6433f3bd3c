// Recalls with the rules as they were published: fetched when the screen of recalls is.
import adults from "../worker/agenda/recalls/vaccinations.json";
import children from "../worker/agenda/recalls/examinations.json";
import prevention from "../worker/agenda/recalls/prevention.json";
import screenings from "../worker/agenda/recalls/screenings.json";
import teeth from "../worker/agenda/recalls/teeth.json";
import { evaluate, type Done, type Rules } from "../worker/agenda/recalls/evaluate.ts";
import type { Facts, Recall } from "./agenda_contract.ts";

const ALL = [adults, children, teeth, screenings, prevention] as unknown as Rules[];

export function recallsFor(facts: Facts, done: readonly Done[], said: ReadonlyMap<string, string>, language: "fr" | "en", now = new Date()): Recall[] {
  const today = `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}-${String(now.getDate()).padStart(2, "0")}`;
  return evaluate(ALL, facts, done, said, today, language);
}
