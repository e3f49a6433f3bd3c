// The measures of the profile: their LOINC codes and the units they are written in (UCUM).
import type { MeasureKind } from "../../lib/record_contract.ts";

interface Coded {
  code: string;
  display: string;
  parts?: { name: string; code: string; display: string }[];
  units: Record<string, string>; // as written → UCUM; the first is the usual one
}

export const MEASURES: Record<MeasureKind, Coded> = {
  weight: { code: "29463-7", display: "Body weight", units: { kg: "kg", g: "g" } },
  height: { code: "8302-2", display: "Body height", units: { cm: "cm", m: "m" } },
  bmi: { code: "39156-5", display: "Body mass index (BMI) [Ratio]", units: { "kg/m²": "kg/m2" } },
  temperature: { code: "8310-5", display: "Body temperature", units: { "°C": "Cel" } },
  "blood-pressure": {
    code: "85354-9", display: "Blood pressure panel with all children optional", units: { mmHg: "mm[Hg]" },
    parts: [
      { name: "systolic", code: "8480-6", display: "Systolic blood pressure" },
      { name: "diastolic", code: "8462-4", display: "Diastolic blood pressure" },
    ],
  },
  "heart-rate": { code: "8867-4", display: "Heart rate", units: { "/min": "/min", bpm: "/min" } },
  glucose: { code: "2339-0", display: "Glucose [Mass/volume] in Blood", units: { "g/L": "g/L", "mg/dL": "mg/dL", "mmol/L": "mmol/L" } },
  head: { code: "9843-4", display: "Head Occipital-frontal circumference", units: { cm: "cm" } },
  waist: { code: "8280-0", display: "Waist Circumference at umbilicus by Tape measure", units: { cm: "cm" } },
  pain: { code: "72514-3", display: "Pain severity - 0-10 verbal numeric rating [Score] - Reported", units: { "/10": "{score}" } },
  steps: { code: "41950-7", display: "Number of steps in 24 hour Measured", units: { "pas/j": "/d", "/d": "/d" } },
};

/** Of a substance amount, glucose has another code. */
export const loincOf = (kind: MeasureKind, unit: string): string => (kind === "glucose" && unit === "mmol/L" ? "15074-8" : MEASURES[kind].code);

export const kindOfCode = (code: string): MeasureKind | null =>
  code === "15074-8" ? "glucose" : ((Object.keys(MEASURES) as MeasureKind[]).find((kind) => MEASURES[kind].code === code) ?? null);

/** In what unit a kind is written when nothing else is said, and how UCUM calls a unit that was written. */
export const usualUnit = (kind: MeasureKind): string => Object.keys(MEASURES[kind].units)[0]!;
export const ucum = (kind: MeasureKind, unit: string): string => (Object.hasOwn(MEASURES[kind].units, unit) ? MEASURES[kind].units[unit] : undefined) ?? unit;
