// Entries of coded sections: treatments, allergies, problems, vaccinations, acts, devices; the same as
// `mail_server/payloads/record/cda/entries.py`.
import { dosage, interval } from "./cda_doses.ts";
import type { ClinicalEntry, Code, EntryKind } from "./cda_model.ts";
import {
  ALLERGY, DISPENSE, FAMILY, FAMILY_OBSERVATION, IMMUNIZATION, LAB_BATTERY, LAB_OBSERVATION, LAB_SPECIMEN, MEDICATION, NOTHING_KNOWN,
  PROBLEM, SECTION_KINDS, SEVERITY, SOCIAL, VITAL_SIGN, VITAL_SIGNS,
} from "./cda_names.ts";
import { holdsResults } from "./cda_results.ts";
import { bare, codeOf, cut, listed, type Narrative, period, plain, quantity, shown, templates, unitOf } from "./cda_values.ts";
import type { XmlElement } from "./xml.ts";

export const LIMIT = 5000; // entries of one document
const DOSE_NUMBER = new Set(["30973-2", "30980-7"]);
const ASSERTIONS = new Set(["", "ASSERTION", "404684003", "55607006", "282291009", "418799008", "64572001"]);
const STATUS: ReadonlyMap<string, string> = new Map([
  ["active", "active"], ["completed", "completed"], ["aborted", "stopped"], ["cancelled", "stopped"], ["suspended", "stopped"],
]);
const PLANNED = new Set(["INT", "RQO", "PRMS", "PRP", "ARQ", "APT", "GOL"]);
const OBSERVED: ReadonlySet<EntryKind> = new Set(["allergy", "problem", "history", "family", "risk", "plan", "wish", "contact"] as const);

/** What stands around an entry: its section's kind, and the concern that holds it. */
interface Around {
  kind: EntryKind | null;
  results: boolean;
  status: string;
  start: string;
  end: string;
  relation: string;
}

const around = (kind: EntryKind | null = null, results = false): Around => ({ kind, results, status: "", start: "", end: "", relation: "" });

export function entriesOf(body: XmlElement, narrative: Narrative): ClinicalEntry[] {
  const reader = new Reader(narrative);
  for (const component of body.elements("component")) for (const section of component.elements("section")) reader.section(section, around());
  return reader.found;
}

export const entry = (kind: EntryKind, name: string, held: Partial<ClinicalEntry>): ClinicalEntry => ({
  kind, name, code: null, status: "", start: "", end: "", detail: "", severity: "", negated: false, ...held,
});

class Reader {
  readonly found: ClinicalEntry[] = [];
  readonly #narrative: Narrative;

  constructor(narrative: Narrative) {
    this.#narrative = narrative;
  }

  section(section: XmlElement, outer: Around): void {
    const kind = SECTION_KINDS.get(bare(section.child("code"))) ?? outer.kind;
    const here = around(kind, outer.results || holdsResults(section));
    for (const one of section.elements("entry")) this.#inside(one, here);
    for (const component of section.elements("component")) for (const inner of component.elements("section")) this.section(inner, here);
  }

  #inside(parent: XmlElement, here: Around): void {
    for (const one of parent.elements()) {
      if (this.found.length >= LIMIT) return;
      if (one.name === "substanceAdministration") this.#substance(one, here);
      else if (one.name === "supply") this.#supply(one, here);
      else if (one.name === "observation") this.#observation(one, here);
      else if (one.name === "procedure") this.#procedure(one, here);
      else if (one.name === "encounter") this.#encounter(one, here);
      else if (one.name === "act") this.#act(one, here);
      else if (one.name === "organizer") this.#organizer(one, here);
    }
  }

  #keep(made: ClinicalEntry): void {
    if (made.name !== "") this.found.push(made);
  }

  // -- treatments and vaccinations

  #substance(one: XmlElement, here: Around): void {
    const held = templates(one);
    const vaccine = held.has(IMMUNIZATION) || (here.kind === "vaccination" && !held.has(MEDICATION));
    const product = one.child("consumable", "manufacturedProduct");
    const [name, code] = this.#product(product);
    const [start, end] = interval(one);
    const planned = PLANNED.has(one.get("moodCode"));
    const told = statusOf(one);
    const details = [...(vaccine ? this.#vaccine(one, product) : [dosage(one, this.#narrative)]), ...this.#instructions(one)];
    const detail = listed(details) || this.#told(one, name);
    // IHE writes "completed" for each treatment, whether it goes on or not.
    const status = vaccine ? (planned ? "planned" : told) : planned ? "active" : told === "completed" ? "" : told;
    this.#keep(entry(vaccine ? "vaccination" : "medication", name, { code, status, start, end, detail, negated: negated(one, code) }));
  }

  /** A drug by the name on its box, else by its code; devices likewise. */
  #product(product: XmlElement | null): [name: string, code: Code | null] {
    const material = product?.child("manufacturedMaterial") ?? product?.child("manufacturedLabeledDrug") ?? null;
    if (material === null) return ["", null];
    const [coded, named] = [material.child("code"), material.child("name")];
    return [(named === null ? "" : plain(named)) || this.#narrative.nameOf(coded), codeOf(coded, this.#narrative)];
  }

  #vaccine(one: XmlElement, product: XmlElement | null): string[] {
    const told: string[] = [];
    for (const related of one.elements("entryRelationship")) {
      const rank = related.child("observation");
      if (rank === null || !DOSE_NUMBER.has(bare(rank.child("code")))) continue;
      const number = shown(rank.child("value"), this.#narrative);
      told.push(number === "" ? "" : `rang ${number}`);
    }
    const lot = product?.child("manufacturedMaterial", "lotNumberText") ?? null;
    const maker = product?.child("manufacturerOrganization", "name") ?? null;
    told.push(lot !== null && plain(lot) !== "" ? `lot ${plain(lot)}` : "", maker === null ? "" : plain(maker));
    told.push(quantity(one.child("doseQuantity")), this.#narrative.nameOf(one.child("routeCode")), this.#narrative.nameOf(one.child("approachSiteCode")));
    return told;
  }

  #instructions(one: XmlElement): string[] {
    const told: string[] = [];
    for (const related of one.elements("entryRelationship")) {
      const act = related.child("act");
      if (act !== null && ["SUBJ", "COMP"].includes(related.get("typeCode"))) told.push(this.#narrative.textOf(act.child("text")));
    }
    return told;
  }

  #supply(one: XmlElement, here: Around): void {
    if (one.child("participant", "participantRole", "playingDevice") !== null || here.kind === "device") {
      this.#device(one, here);
      return;
    }
    const [name, code] = this.#product(one.child("product", "manufacturedProduct"));
    const [start, end] = period(one.child("effectiveTime"));
    const details = [quantity(one.child("quantity")), ...this.#instructions(one)];
    for (const related of one.elements("entryRelationship")) {
      const given = related.child("substanceAdministration");
      if (given !== null) details.push(dosage(given, this.#narrative));
    }
    const status = templates(one).has(DISPENSE) || one.get("moodCode") === "EVN" ? "completed" : "";
    this.#keep(entry("medication", name, { code, status, start, end, detail: listed(details) || this.#told(one, name) }));
  }

  // -- devices, acts, meetings

  #device(one: XmlElement, here: Around): void {
    const role = one.child("participant", "participantRole");
    const device = role?.child("playingDevice") ?? null;
    let [name, code]: [string, Code | null] = ["", null];
    const details: string[] = [];
    if (role !== null && device !== null) {
      const coded = device.child("code");
      const named = device.child("manufacturerModelName");
      const model = named === null ? "" : plain(named);
      const number = cut(role.child("id")?.get("extension") ?? "");
      const maker = role.child("scopingEntity", "desc");
      code = codeOf(coded, this.#narrative);
      name = this.#narrative.nameOf(coded) || model;
      details.push(model === name ? "" : model, number === "" ? "" : `n° ${number}`, maker === null ? "" : plain(maker));
    } else [name, code] = this.#product(one.child("product", "manufacturedProduct"));
    if (name === "" && one.name === "procedure")
      [name, code] = [this.#narrative.nameOf(one.child("code")), codeOf(one.child("code"), this.#narrative)];
    const [start, end] = period(one.child("effectiveTime"));
    details.push(this.#told(one, name));
    this.#keep(entry("device", name, { code, status: here.status, start, end, detail: listed(details), negated: negated(one, code) }));
  }

  #procedure(one: XmlElement, here: Around): void {
    if (templates(one).has(LAB_SPECIMEN) || here.results) return;
    if (here.kind === "device" && one.child("participant", "participantRole", "playingDevice") !== null) this.#device(one, here);
    else this.#actLike(one, here.kind === "plan" ? "plan" : "procedure");
  }

  #encounter(one: XmlElement, here: Around): void {
    this.#actLike(one, PLANNED.has(one.get("moodCode")) || here.kind === "plan" ? "plan" : "procedure");
  }

  #actLike(one: XmlElement, kind: EntryKind): void {
    const coded = one.child("code");
    const code = codeOf(coded, this.#narrative);
    const name = this.#narrative.nameOf(coded) || this.#narrative.textOf(one.child("text"));
    const [start, end] = period(one.child("effectiveTime"));
    const status = PLANNED.has(one.get("moodCode")) ? "planned" : statusOf(one);
    this.#keep(entry(kind, name, { code, status, start, end, detail: this.#told(one, name), negated: negated(one, code) }));
  }

  /** A concern hands its state and times to what it holds; an act that holds nothing may itself be planned. */
  #act(one: XmlElement, here: Around): void {
    const [start, end] = period(one.child("effectiveTime"));
    const before = this.found.length;
    for (const related of one.elements("entryRelationship")) this.#inside(related, { ...here, status: statusOf(one), start, end });
    if (this.found.length === before && (here.kind === "plan" || here.kind === "procedure") && bare(one.child("code")) !== "")
      this.#actLike(one, here.kind);
  }

  /** Of a family, the organizer names the relative. */
  #organizer(one: XmlElement, here: Around): void {
    const relative = one.child("subject", "relatedSubject", "code");
    const held = templates(one);
    const inner: Around = {
      ...here,
      kind: held.has(FAMILY) || relative !== null ? "family" : here.kind,
      results: here.results || held.has(VITAL_SIGNS) || held.has(LAB_BATTERY),
      relation: this.#narrative.nameOf(relative) || here.relation,
    };
    for (const component of one.elements("component")) this.#inside(component, inner);
  }

  // -- what was observed

  #observation(one: XmlElement, here: Around): void {
    const kind = kindOf(templates(one), here);
    if (kind === null) return;
    const [coded, value] = [one.child("code"), one.child("value")];
    const [start, end] = period(one.child("effectiveTime"));
    let code = codeOf(value, this.#narrative);
    let name = shown(value, this.#narrative);
    const details = kind === "family" ? [here.relation] : [];
    if (kind === "allergy") {
      const [agent, agentCode] = this.#agent(one);
      if (agent !== "") [name, code] = [agent, agentCode];
      details.push(this.#reactions(one));
    } else if (!["problem", "history", "family"].includes(kind) && !ASSERTIONS.has(bare(coded))) {
      details.push(`${name} ${unitOf(value)}`.replace(/^ +| +$/g, ""));
      [name, code] = [this.#narrative.nameOf(coded), codeOf(coded, this.#narrative)];
    }
    if (name === "" && !ASSERTIONS.has(bare(coded))) [name, code] = [this.#narrative.nameOf(coded), codeOf(coded, this.#narrative)];
    if (name === "") name = this.#narrative.textOf(one.child("text"));
    details.push(this.#told(one, name));
    this.#keep(
      entry(kind, name, {
        code,
        status: PLANNED.has(one.get("moodCode")) ? "planned" : here.status,
        start: start || here.start,
        end: end || here.end,
        detail: listed([...new Set(details)]),
        severity: this.#severity(one),
        negated: negated(one, code),
      }),
    );
  }

  #agent(one: XmlElement): [name: string, code: Code | null] {
    for (const participant of one.elements("participant")) {
      const entity = participant.child("participantRole", "playingEntity");
      if (participant.get("typeCode") !== "CSM" || entity === null) continue;
      const [coded, named] = [entity.child("code"), entity.child("name")];
      return [this.#narrative.nameOf(coded) || (named === null ? "" : plain(named)), codeOf(coded, this.#narrative)];
    }
    return ["", null];
  }

  #reactions(one: XmlElement): string {
    const told = one.elements("entryRelationship").filter((related) => related.get("typeCode") === "MFST");
    return listed(told.map((related) => shown(related.child("observation")?.child("value") ?? null, this.#narrative)));
  }

  #severity(one: XmlElement): string {
    for (const related of one.elements("entryRelationship")) {
      const inner = related.child("observation");
      if (inner !== null && (templates(inner).has(SEVERITY) || bare(inner.child("code")) === "SEV"))
        return shown(inner.child("value"), this.#narrative);
    }
    return "";
  }

  /** What the statement says in words beyond its name. */
  #told(one: XmlElement, name: string): string {
    const told = this.#narrative.textOf(one.child("text"));
    return told === name ? "" : told;
  }
}

function kindOf(held: ReadonlySet<string>, here: Around): EntryKind | null {
  if (held.has(ALLERGY)) return "allergy";
  if (held.has(FAMILY_OBSERVATION)) return "family";
  if (held.has(SOCIAL)) return "risk";
  if (held.has(VITAL_SIGN) || held.has(LAB_OBSERVATION) || here.results) return null;
  if (held.has(PROBLEM)) return here.kind === "allergy" || here.kind === "history" || here.kind === "family" ? here.kind : "problem";
  return here.kind !== null && OBSERVED.has(here.kind) ? here.kind : null;
}

const statusOf = (one: XmlElement): string => STATUS.get(bare(one.child("statusCode"))) ?? "";
const negated = (one: XmlElement, code: Code | null): boolean => one.get("negationInd") === "true" || (code !== null && NOTHING_KNOWN.has(code.code));
