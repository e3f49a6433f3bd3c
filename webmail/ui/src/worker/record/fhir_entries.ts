// Results and entries from the resources of a FHIR document: the same as `mail_server/payloads/record/fhir_entries.py`.
import { EVENTS, every } from "./cda_doses.ts";
import { entry } from "./cda_entries.ts";
import type { ClinicalEntry, Code, Flag, Result } from "./cda_model.ts";
import { NOTHING_KNOWN } from "./cda_names.ts";
import { FLAGS } from "./cda_results.ts";
import { tidy } from "./cda_times.ts";
import { cut, listed } from "./cda_values.ts";
import { codeOf, codesOf, nameOf, Node, quantity, told, unitOf } from "./fhir_values.ts";

export const LIMIT = 5000;
const STATUS: ReadonlyMap<string, string> = new Map([
  ["active", "active"],
  ["recurrence", "active"],
  ["relapse", "active"],
  ["inactive", "completed"],
  ["remission", "completed"],
  ["resolved", "completed"],
  ["completed", "completed"],
  ["in-progress", "active"],
  ["intended", "planned"],
  ["preparation", "planned"],
  ["booked", "planned"],
  ["proposed", "planned"],
  ["pending", "planned"],
  ["draft", "planned"],
  ["on-hold", "stopped"],
  ["stopped", "stopped"],
  ["cancelled", "stopped"],
  ["not-done", ""],
  ["finished", "completed"],
]);
const GONE = "entered-in-error";

/** The resources of a bundle, by what refers to them. */
export class Resources {
  readonly all: Node[] = [];
  readonly #byName = new Map<string, Node>();

  constructor(bundle: Node) {
    for (const held of bundle.all("entry")) {
      const resource = held.at("resource");
      if (resource.text("resourceType") === "") continue;
      this.all.push(resource);
      const named = resource.text("id") === "" ? "" : `${resource.text("resourceType")}/${resource.text("id")}`;
      for (const name of [held.text("fullUrl"), named]) if (name !== "" && !this.#byName.has(name)) this.#byName.set(name, resource);
    }
  }

  of(kind: string): Node[] {
    return this.all.filter((one) => one.text("resourceType") === kind);
  }

  /** What a Reference points at: in the bundle, or contained in its holder; nothing when it is elsewhere. */
  find(reference: Node, holder: Node | null = null): Node {
    const name = reference.text("reference");
    if (name.startsWith("#") && holder !== null) return holder.all("contained").find((one) => one.text("id") === name.slice(1)) ?? new Node();
    // Absolute in one place and relative in the other.
    return this.#byName.get(name) ?? (name.includes("/") ? this.#byName.get(name.split("/").slice(-2).join("/")) : undefined) ?? new Node();
  }
}

/** Observations, and the components of those that have some. `groups`: the chapter, by the resource's id. */
export function resultsOf(resources: Resources, groups: ReadonlyMap<string, string>): Result[] {
  const found: Result[] = [];
  for (const one of resources.of("Observation")) {
    if (found.length >= LIMIT) break;
    if (one.text("status") === GONE || social(one)) continue;
    const specimen = nameOf(resources.find(one.at("specimen"), one).at("type"));
    for (const part of [one, ...one.all("component")]) {
      const made = result(one, part, groups.get(one.text("id")) ?? "", specimen);
      if (made.name !== "" && (made.value !== "" || made.comment !== "")) found.push(made);
    }
  }
  return found;
}

const social = (one: Node): boolean => one.all("category").some((category) => codesOf(category).includes("social-history"));

function result(one: Node, part: Node, group: string, specimen: string): Result {
  const [value, number, unit] = valueOf(part);
  const range = part.at("referenceRange");
  const [low, high] = [range.number("low", "value"), range.number("high", "value")];
  const boundUnit = unitOf(range.at("low")) || unitOf(range.at("high"));
  let flag = flagOf(part);
  if (flag === "" && number !== null && (boundUnit === "" || boundUnit === unit)) {
    if (low !== null && number < low) flag = "L";
    if (high !== null && number > high) flag = "H";
  }
  return {
    code: codeOf(part.at("code"))?.code ?? "",
    name: nameOf(part.at("code")),
    value,
    number,
    unit,
    low,
    high,
    reference: range.text("text") || between(low, high),
    flag,
    at: tidy(one.text("effectiveDateTime") || one.text("effectivePeriod", "start") || one.text("issued")),
    specimen,
    group,
    comment: cut(part.all("note").map((note) => note.text("text")).join(" ")),
    previous: false,
  };
}

function valueOf(part: Node): [value: string, number: number | null, unit: string] {
  const measured = part.at("valueQuantity");
  if (measured.there) {
    const number = measured.number("value");
    const sign = measured.text("comparator");
    return sign === "" ? [told(number), number, unitOf(measured)] : [`${sign} ${told(number)}`, null, unitOf(measured)];
  }
  for (const name of ["valueInteger", "valueDecimal"]) {
    const number = part.number(name);
    if (number !== null) return [told(number), number, ""];
  }
  const range = part.at("valueRange");
  if (range.there) return [between(range.number("low", "value"), range.number("high", "value")), null, unitOf(range.at("low")) || unitOf(range.at("high"))];
  const ratio = part.at("valueRatio");
  if (ratio.there) return [`${quantity(ratio.at("numerator"))} / ${quantity(ratio.at("denominator"))}`, null, ""];
  if (part.holds("valueBoolean", true)) return ["oui", null, ""];
  if (part.holds("valueBoolean", false)) return ["non", null, ""];
  return [part.text("valueString") || nameOf(part.at("valueCodeableConcept")), null, ""];
}

function between(low: number | null, high: number | null): string {
  if (low !== null && high !== null) return `${told(low)} – ${told(high)}`;
  return low !== null ? `≥ ${told(low)}` : high !== null ? `≤ ${told(high)}` : "";
}

function flagOf(part: Node): Flag {
  for (const concept of part.all("interpretation"))
    for (const code of codesOf(concept)) {
      const flag = FLAGS.get(code);
      if (flag !== undefined) return flag;
    }
  return "";
}

// -- entries

type Reader = (one: Node, resources: Resources) => ClinicalEntry | null;

export function entriesOf(resources: Resources): ClinicalEntry[] {
  const found: ClinicalEntry[] = [];
  for (const one of resources.all) {
    const reader = READERS.get(one.text("resourceType"));
    const wrong = one.text("status") === GONE || codesOf(one.at("verificationStatus")).includes(GONE);
    if (reader === undefined || wrong || found.length >= LIMIT) continue;
    const made = reader(one, resources);
    if (made !== null && made.name !== "") found.push(made);
  }
  return found;
}

/** `medicationCodeableConcept`, or the resource that `medicationReference` points at. */
function concept(one: Node, resources: Resources, name: string): [words: string, code: Code | null] {
  const told = one.at(`${name}CodeableConcept`);
  if (told.there) return [nameOf(told), codeOf(told)];
  const pointed = resources.find(one.at(`${name}Reference`), one);
  return [nameOf(pointed.at("code")) || one.text(`${name}Reference`, "display"), codeOf(pointed.at("code"))];
}

function medication(one: Node, resources: Resources): ClinicalEntry {
  const [name, code] = concept(one, resources, "medication");
  const dosages = one.all("dosage").length > 0 ? one.all("dosage") : one.all("dosageInstruction");
  const details = dosages.map(dosage);
  if (one.text("resourceType") === "MedicationDispense") details.push(quantity(one.at("quantity")));
  const bounds = one.at("dosageInstruction", "timing", "repeat", "boundsPeriod");
  const start = one.text("effectivePeriod", "start") || one.text("effectiveDateTime") || bounds.text("start") || one.text("whenHandedOver") || one.text("authoredOn");
  const end = one.text("effectivePeriod", "end") || bounds.text("end");
  return entry("medication", name, { code, status: statusOf(one), start: tidy(start), end: tidy(end), detail: listed(details), negated: negated(code) });
}

function dosage(one: Node): string {
  if (one.text("text") !== "") return one.text("text");
  const repeat = one.at("timing", "repeat");
  const moments = repeat.texts("when").map((when) => EVENTS.get(when) ?? "");
  return listed([quantity(one.at("doseAndRate", "doseQuantity")), rhythm(repeat), ...moments, nameOf(one.at("route"))]);
}

function rhythm(repeat: Node): string {
  const [period, unit] = [repeat.number("period"), repeat.text("periodUnit")];
  if (period === null) return "";
  const times = repeat.number("frequency") || 1;
  const words = every(period, unit);
  if (times === 1 || words === "") return words;
  if (period === 1) return unit === "h" ? `${told(times)} fois par heure` : words.replace("1 fois", `${told(times)} fois`);
  return `${told(times)} fois ${words}`;
}

function allergy(one: Node): ClinicalEntry {
  const code = codeOf(one.at("code"));
  const reactions = one.all("reaction").flatMap((reaction) => reaction.all("manifestation").map(nameOf));
  const severity = one.text("reaction", "severity") || (one.text("criticality") === "high" ? "severe" : "");
  return entry("allergy", nameOf(one.at("code")), {
    code,
    status: STATUS.get(firstCode(one.at("clinicalStatus"))) ?? "",
    start: tidy(one.text("onsetDateTime") || one.text("recordedDate")),
    detail: listed(reactions),
    severity: severity === "mild" ? "légère" : severity === "moderate" ? "modérée" : severity === "severe" ? "sévère" : "",
    negated: negated(code) || refuted(one),
  });
}

function condition(one: Node): ClinicalEntry {
  const code = codeOf(one.at("code"));
  const state = firstCode(one.at("clinicalStatus"));
  return entry(["inactive", "remission", "resolved"].includes(state) ? "history" : "problem", nameOf(one.at("code")), {
    code,
    status: STATUS.get(state) ?? "",
    start: tidy(one.text("onsetDateTime") || one.text("onsetPeriod", "start") || one.text("recordedDate")),
    end: tidy(one.text("abatementDateTime") || one.text("abatementPeriod", "end")),
    detail: notes(one),
    severity: nameOf(one.at("severity")),
    negated: negated(code) || refuted(one),
  });
}

function immunization(one: Node): ClinicalEntry {
  const code = codeOf(one.at("vaccineCode"));
  const number = told(one.number("protocolApplied", "doseNumberPositiveInt")) || one.text("protocolApplied", "doseNumberString");
  const lot = one.text("lotNumber");
  const parts = [number === "" ? "" : `rang ${number}`, lot === "" ? "" : `lot ${lot}`, one.text("manufacturer", "display")];
  return entry("vaccination", nameOf(one.at("vaccineCode")), {
    code,
    status: statusOf(one),
    start: tidy(one.text("occurrenceDateTime")),
    detail: listed([...parts, quantity(one.at("doseQuantity")), nameOf(one.at("route")), nameOf(one.at("site"))]),
    negated: negated(code) || one.text("status") === "not-done",
  });
}

function procedure(one: Node): ClinicalEntry {
  const code = codeOf(one.at("code"));
  const planned = one.text("resourceType") === "ServiceRequest";
  return entry(planned ? "plan" : "procedure", nameOf(one.at("code")), {
    code,
    status: planned && one.text("status") === "active" ? "planned" : statusOf(one),
    start: tidy(one.text("performedDateTime") || one.text("performedPeriod", "start") || one.text("occurrenceDateTime")),
    end: tidy(one.text("performedPeriod", "end")),
    detail: notes(one),
    negated: negated(code) || one.text("status") === "not-done",
  });
}

function device(one: Node, resources: Resources): ClinicalEntry {
  const held = resources.find(one.at("device"), one);
  const code = codeOf(held.at("type"));
  const name = held.text("deviceName", "name") || nameOf(held.at("type")) || one.text("device", "display");
  const [serial, lot] = [held.text("serialNumber"), held.text("lotNumber")];
  return entry("device", name, {
    code,
    status: statusOf(one),
    start: tidy(one.text("timingDateTime") || one.text("timingPeriod", "start") || one.text("recordedOn")),
    detail: listed([serial === "" ? "" : `n° ${serial}`, lot === "" ? "" : `lot ${lot}`, held.text("manufacturer")]),
    negated: negated(code),
  });
}

function family(one: Node): ClinicalEntry {
  const held = one.at("condition", "code");
  return entry("family", nameOf(held), { code: codeOf(held), detail: nameOf(one.at("relationship")) });
}

function socialEntry(one: Node): ClinicalEntry | null {
  if (!social(one)) return null;
  const [value, , unit] = valueOf(one);
  const start = tidy(one.text("effectiveDateTime") || one.text("effectivePeriod", "start"));
  return entry("risk", nameOf(one.at("code")), { code: codeOf(one.at("code")), start, detail: `${value} ${unit}`.replace(/^ +| +$/g, "") });
}

function appointment(one: Node): ClinicalEntry {
  const kind = one.at("serviceType").there ? one.at("serviceType") : one.at("appointmentType");
  return entry("plan", nameOf(kind) || one.text("description"), { code: codeOf(kind), status: statusOf(one), start: tidy(one.text("start")), end: tidy(one.text("end")) });
}

const wish = (one: Node): ClinicalEntry =>
  entry("wish", nameOf(one.at("category")) || nameOf(one.at("scope")), { code: codeOf(one.at("category")), status: statusOf(one), start: tidy(one.text("dateTime")) });

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["MedicationStatement", medication], ["MedicationRequest", medication], ["MedicationAdministration", medication], ["MedicationDispense", medication],
  ["AllergyIntolerance", allergy], ["Condition", condition], ["Immunization", immunization], ["Procedure", procedure], ["ServiceRequest", procedure],
  ["DeviceUseStatement", device], ["FamilyMemberHistory", family], ["Observation", socialEntry], ["Appointment", appointment], ["Consent", wish],
]);

const statusOf = (one: Node): string => STATUS.get(one.text("status")) ?? "";
const notes = (one: Node): string => cut(one.all("note").map((note) => note.text("text")).join(" "));
const firstCode = (held: Node): string => codesOf(held)[0] ?? "";
const negated = (code: Code | null): boolean => code !== null && NOTHING_KNOWN.has(code.code);
const refuted = (one: Node): boolean => codesOf(one.at("verificationStatus")).includes("refuted");
