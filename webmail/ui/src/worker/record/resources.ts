// The profile's entries as FHIR R4 resources, written and read: what a person writes of themself stays readable by any
// program that knows FHIR. Reading never throws; what cannot be read is no entry.
import type { Measure, ProfileArea, ProfileDraft } from "../../lib/record_contract.ts";
import { kindOfCode, loincOf, MEASURES, ucum, usualUnit } from "./measures.ts";

export type Resource = Record<string, unknown> & { resourceType: string };
type Json = Record<string, any>;

const LOINC = "http://loinc.org";
const UCUM = "http://unitsofmeasure.org";
const CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category";
const PATIENT = { reference: "#me", type: "Patient" };
const text = (name: string): Json => ({ text: name });
const noted = (detail: string): Json => (detail === "" ? {} : { note: [{ text: detail }] });
const coding = (code: string, display: string): Json => ({ coding: [{ system: LOINC, code, display }], text: display });
const period = ({ date, end = "" }: ProfileDraft): Json => ({ ...(date === "" ? {} : { start: date }), ...(end === "" ? {} : { end }) });

/** A whole day or a partial one is a FHIR dateTime as it stands; a time needs its zone. */
const dateTime = (given: string): string => (given.length > 10 ? new Date(given).toISOString() : given);

export function resourceOf(draft: ProfileDraft, id: string): Resource {
  const { area, name, detail, date, end = "" } = draft;
  const made = (resourceType: string, more: Json): Resource => ({ resourceType, id, ...more });
  const ended = end !== "";
  switch (area) {
    case "allergies":
      return made("AllergyIntolerance", {
        clinicalStatus: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", code: ended ? "resolved" : "active" }] },
        code: text(name), patient: PATIENT, ...(date === "" ? {} : ended ? { onsetPeriod: period(draft) } : { onsetDateTime: dateTime(date) }), ...noted(detail),
      });
    case "history":
      return made("Condition", {
        clinicalStatus: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code: ended ? "resolved" : "active" }] },
        code: text(name), subject: PATIENT, ...(date === "" ? {} : { onsetDateTime: dateTime(date) }), ...(ended ? { abatementDateTime: dateTime(end) } : {}), ...noted(detail),
      });
    case "family":
      return made("FamilyMemberHistory", {
        status: "completed", patient: PATIENT, ...(date === "" ? {} : { date: dateTime(date) }),
        relationship: text(detail === "" ? "-" : detail), condition: [{ code: text(name) }],
      });
    case "treatments":
      return made("MedicationStatement", {
        status: ended ? "completed" : "active", medicationCodeableConcept: text(name), subject: PATIENT, effectivePeriod: period(draft),
        ...(detail === "" ? {} : { dosage: [{ text: detail }] }),
      });
    case "vaccinations":
      return made("Immunization", { status: "completed", vaccineCode: text(name), patient: PATIENT, occurrenceDateTime: dateTime(date), ...noted(detail) });
    case "wishes":
      return made("Consent", {
        status: "active", scope: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentscope", code: "adr" }], text: name },
        category: [{ coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentcategorycodes", code: "acd" }], text: name }],
        patient: PATIENT, ...(date === "" ? {} : { dateTime: dateTime(date) }), policyRule: text(name),
        extension: [{ url: "https://vaguemestre.example/fhir/wish-text", valueString: detail }],
      });
    case "contacts":
      return made("RelatedPerson", { patient: PATIENT, name: [text(name)], relationship: [text(detail)], ...(date === "" ? {} : { period: period(draft) }) });
    case "measures":
      return made("Observation", observation(draft));
  }
}

function observation({ measure, detail, date }: ProfileDraft): Json {
  const { kind, values, unit } = measure ?? { kind: "weight", values: [], unit: "kg" };
  const about = MEASURES[kind];
  const quantity = (number: number): Json => ({ valueQuantity: { value: number, unit, system: UCUM, code: ucum(kind, unit) } });
  const value = about.parts === undefined
    ? quantity(values[0]?.number ?? 0)
    : { component: about.parts.map((part, at) => ({ code: coding(part.code, part.display), ...quantity(values[at]?.number ?? 0) })) };
  return {
    status: "final", category: [{ coding: [{ system: CATEGORY, code: kind === "steps" ? "activity" : kind === "pain" ? "survey" : "vital-signs" }] }],
    code: coding(loincOf(kind, unit), about.display), subject: PATIENT, effectiveDateTime: dateTime(date), ...value, ...noted(detail),
  };
}

const AREAS: Record<string, ProfileArea> = {
  AllergyIntolerance: "allergies", Condition: "history", FamilyMemberHistory: "family", MedicationStatement: "treatments",
  Observation: "measures", Immunization: "vaccinations", Consent: "wishes", RelatedPerson: "contacts",
};

const word = (value: unknown): string => (typeof value === "string" ? value : "");
const concept = (value: any): string => word(value?.text) || word(value?.coding?.[0]?.display) || word(value?.coding?.[0]?.code);

export function draftOf(json: string): ProfileDraft | null {
  try {
    const found = JSON.parse(json) as Json;
    const type = word(found["resourceType"]);
    const area = Object.hasOwn(AREAS, type) ? AREAS[type] : undefined;
    if (area === undefined) return null;
    const note = word(found["note"]?.[0]?.text);
    const draft = (name: string, detail: string, date: string, end = ""): ProfileDraft => ({ area, name, detail, date, end });
    switch (area) {
      case "allergies":
        return draft(concept(found["code"]), note, word(found["onsetDateTime"]) || word(found["onsetPeriod"]?.start), word(found["onsetPeriod"]?.end));
      case "history":
        return draft(concept(found["code"]), note, word(found["onsetDateTime"]), word(found["abatementDateTime"]));
      case "family": {
        const relation = concept(found["relationship"]);
        return draft(concept(found["condition"]?.[0]?.code), relation === "-" ? "" : relation, word(found["date"]));
      }
      case "treatments":
        return draft(concept(found["medicationCodeableConcept"]), word(found["dosage"]?.[0]?.text), word(found["effectivePeriod"]?.start), word(found["effectivePeriod"]?.end));
      case "vaccinations":
        return draft(concept(found["vaccineCode"]), note, word(found["occurrenceDateTime"]));
      case "wishes":
        return draft(concept(found["policyRule"]), word(found["extension"]?.[0]?.valueString), word(found["dateTime"]));
      case "contacts":
        return draft(word(found["name"]?.[0]?.text), concept(found["relationship"]?.[0]), word(found["period"]?.start), word(found["period"]?.end));
      case "measures": {
        const measure = measureOf(found);
        return measure === null ? null : { ...draft(concept(found["code"]), note, word(found["effectiveDateTime"])), measure };
      }
    }
  } catch {
    return null;
  }
}

function measureOf(found: Json): Measure | null {
  const kind = kindOfCode(word(found["code"]?.coding?.[0]?.code));
  if (kind === null) return null;
  const { parts } = MEASURES[kind];
  const quantities = parts === undefined ? [found["valueQuantity"]] : parts.map((_, at) => found["component"]?.[at]?.valueQuantity);
  if (quantities.some((one) => typeof one?.value !== "number")) return null;
  const values = quantities.map((one, at) => ({ name: parts?.[at]?.name ?? "", number: one.value as number }));
  return { kind, values, unit: word(quantities[0]?.unit) || usualUnit(kind) };
}
