// What a patient may measure: units, values, and the usual values where an authority gives some.
// Sources: blood pressure at home under 135/85 mmHg (HAS, SFHTA, 2016); body mass index 18.5 to 25 (OMS); glucose before
// breakfast 0.70 to 1.10 g/L (HAS); fever from 38 °C. A threshold is shown, never a verdict.
import type { MeasureKind, ProfileEntry } from "../../lib/record_contract.ts";

export interface Measurable {
  units: readonly string[];
  values: readonly ("systolic" | "diastolic" | "")[];
  usual: { unit: string; low: number | null; high: number | null; source: string } | null;
  least: number;
  most: number;
}

const one = (units: readonly string[], least: number, most: number, usual: Measurable["usual"] = null): Measurable => ({ units, values: [""], usual, least, most });

export const MEASURES: Readonly<Record<MeasureKind, Measurable>> = {
  weight: one(["kg"], 0.3, 500),
  height: one(["cm"], 20, 260),
  bmi: one(["kg/m²"], 5, 150, { unit: "kg/m²", low: 18.5, high: 25, source: "OMS" }),
  temperature: one(["°C"], 25, 45, { unit: "°C", low: 36, high: 38, source: "" }),
  "blood-pressure": { units: ["mmHg"], values: ["systolic", "diastolic"], usual: { unit: "mmHg", low: null, high: 135, source: "HAS, SFHTA 2016" }, least: 20, most: 300 },
  "heart-rate": one(["/min"], 20, 300),
  glucose: one(["g/L", "mmol/L"], 0.1, 60, { unit: "g/L", low: 0.7, high: 1.1, source: "HAS" }),
  head: one(["cm"], 15, 80),
  waist: one(["cm"], 20, 300),
  pain: one(["/10"], 0, 10),
  steps: one(["/j"], 0, 200_000),
};
export const KINDS = Object.keys(MEASURES) as MeasureKind[];

/** "132/84 mmHg". */
export function told({ measure }: ProfileEntry, language: string): string {
  if (!measure) return "";
  const shown = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const joint = measure.unit.startsWith("/") ? "" : " ";
  return measure.values.map(({ number }) => shown.format(number)).join("/") + joint + measure.unit;
}
