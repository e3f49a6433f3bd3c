// The medical profile as one document: a FHIR R4 document Bundle laid out like the International Patient Summary, and
// the same in words. It is made of the entries it is given and of nothing else.
import { resourceOf, type Resource } from "../worker/record/resources.ts";
import type { Language } from "../worker/record/labels.ts";
import { hex, utf8 } from "./bytes.ts";
import { speaker } from "./account.ts";
import type { ProfileArea, ProfileEntry } from "./record_contract.ts";

interface Part {
  area: ProfileArea;
  code: string; // LOINC; "": none is fitting
  fr: string;
  en: string;
}

const PARTS: readonly Part[] = [
  { area: "allergies", code: "48765-2", fr: "Allergies", en: "Allergies" },
  { area: "treatments", code: "10160-0", fr: "Traitements", en: "Treatments" },
  { area: "history", code: "11450-4", fr: "Antécédents", en: "Medical history" },
  { area: "vaccinations", code: "11369-6", fr: "Vaccinations", en: "Vaccinations" },
  { area: "measures", code: "8716-3", fr: "Mesures", en: "Measures" },
  { area: "family", code: "10157-6", fr: "Antécédents familiaux", en: "Family history" },
  { area: "wishes", code: "42348-3", fr: "Volontés", en: "Wishes" },
  { area: "contacts", code: "", fr: "Proches", en: "Contacts" },
];

const MEASURE_NAMES: Record<string, readonly [fr: string, en: string]> = {
  weight: ["Poids", "Weight"], height: ["Taille", "Height"], bmi: ["Indice de masse corporelle", "Body mass index"], temperature: ["Température", "Temperature"],
  "blood-pressure": ["Tension artérielle", "Blood pressure"], "heart-rate": ["Fréquence cardiaque", "Heart rate"], glucose: ["Glycémie", "Blood glucose"],
  head: ["Périmètre crânien", "Head circumference"], waist: ["Tour de taille", "Waist"], pain: ["Douleur", "Pain"], steps: ["Nombre de pas", "Steps"],
};

export interface Summary {
  id: string;
  title: string;
  words: string;
  bundle: Uint8Array<ArrayBuffer>;
  hash: string;
}

const nameOf = ({ name, measure }: ProfileEntry, language: Language): string =>
  measure === undefined ? name : `${MEASURE_NAMES[measure.kind]![language === "fr" ? 0 : 1]} ${measure.values.map((one) => one.number).join("/")} ${measure.unit}`;

function line(entry: ProfileEntry, language: Language): string {
  const said = entry.source === "me" ? (language === "fr" ? "dit par le patient" : "said by the patient") : entry.by;
  const dates = [entry.date, entry.end].filter((one) => one !== "").join(" – ");
  return [nameOf(entry, language), entry.detail, dates, said === "" ? "" : `(${said})`].filter((one) => one !== "").join(", ").replace(/, \(/, " (");
}

const xhtml = (lines: string[]): string => {
  const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<div xmlns="http://www.w3.org/1999/xhtml"><ul>${lines.map((one) => `<li>${escaped(one)}</li>`).join("")}</ul></div>`;
};

function resources(entries: readonly ProfileEntry[]): { url: string; resource: Resource; entry: ProfileEntry }[] {
  return entries.map((entry) => {
    const id = crypto.randomUUID();
    const { area, name, detail, date, end, measure } = entry;
    const by = entry.source === "document" && entry.by !== "" ? { note: [{ text: [detail, entry.by].filter((one) => one !== "").join(" · ") }] } : {};
    const resource = { ...resourceOf({ area, name, detail, date, end, ...(measure === undefined ? {} : { measure }) }, id), ...(NOTED.has(area) ? by : {}) };
    const own = JSON.parse(JSON.stringify(resource).replaceAll('"#me"', `"${PATIENT}"`)) as Resource;
    return { url: `urn:uuid:${id}`, resource: own, entry };
  });
}

const NOTED = new Set<ProfileArea>(["allergies", "history", "treatments", "vaccinations", "measures"]);
const PATIENT = "urn:uuid:00000000-0000-4000-8000-000000000001"; // within one document: whom it is about

/** A FHIR document of these entries; of own entries alone it is what the export holds. */
export function documentOf(entries: readonly ProfileEntry[], language: Language, title: string, id: string, at: string): object {
  const { session } = speaker();
  const made = resources(entries);
  const section = ({ area, code, fr, en }: Part): object[] => {
    const mine = made.filter((one) => one.entry.area === area);
    if (mine.length === 0) return [];
    const heading = language === "fr" ? fr : en;
    const coded = code === "" ? {} : { code: { coding: [{ system: "http://loinc.org", code }], text: heading } };
    return [{ title: heading, ...coded, text: { status: "generated", div: xhtml(mine.map((one) => line(one.entry, language))) }, entry: mine.map((one) => ({ reference: one.url })) }];
  };
  const composition = {
    resourceType: "Composition", id: crypto.randomUUID(), status: "final", language: language === "fr" ? "fr-FR" : "en-GB",
    type: { coding: [{ system: "http://loinc.org", code: "60591-5", display: "Patient summary Document" }] },
    subject: { reference: PATIENT }, date: at, author: [{ reference: PATIENT }], title, section: PARTS.flatMap(section),
  };
  const patient = { resourceType: "Patient", id: PATIENT.slice(9), name: [{ use: "official", family: session.name.family, given: [session.name.given] }] };
  const entry = [{ fullUrl: `urn:uuid:${composition.id}`, resource: composition }, { fullUrl: PATIENT, resource: patient }, ...made.map(({ url, resource }) => ({ fullUrl: url, resource }))];
  return { resourceType: "Bundle", identifier: { system: "urn:ietf:rfc:3986", value: id }, type: "document", timestamp: at, entry };
}

export async function summarised(entries: readonly ProfileEntry[], language: Language): Promise<Summary> {
  const { session } = speaker();
  const id = `urn:uuid:${crypto.randomUUID()}`;
  const called = `${session.name.given} ${session.name.family}`.trim();
  const title = language === "fr" ? `Profil médical de ${called}` : `Medical profile of ${called}`;
  const bundle = utf8(JSON.stringify(documentOf(entries, language, title, id, new Date().toISOString()), null, 1));
  const words = PARTS.flatMap(({ area, fr, en }) => {
    const mine = entries.filter((one) => one.area === area);
    return mine.length === 0 ? [] : [`${language === "fr" ? fr : en}\n${mine.map((one) => `- ${line(one, language)}`).join("\n")}`];
  }).join("\n\n");
  return { id, title, words, bundle, hash: hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bundle))) };
}
