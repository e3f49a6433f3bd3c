// Names of document types in the language of the page, and the class that each belongs to.
export type Language = "fr" | "en";

type Told = readonly [class_: string, fr: string, en: string];

// What patients put in themselves (JDV_J07).
const PATIENT: Record<string, Told> = {
  DOCPAT01: ["90", "Synthèse", "Summary"],
  DOCPAT02: ["90", "Traitement", "Treatment"],
  DOCPAT03: ["90", "Compte rendu", "Report"],
  DOCPAT04: ["90", "Imagerie médicale", "Medical imaging"],
  DOCPAT05: ["90", "Examen de biologie", "Laboratory report"],
  DOCPAT06: ["90", "Prévention", "Prevention"],
  DOCPAT07: ["90", "Certificat", "Certificate"],
  DOCPAT08: ["90", "Profil médical", "Medical profile"],
  DOCPAT09: ["90", "Document administratif", "Administrative document"],
  EXPPAT_1: ["90", "Volontés et droits", "Wishes and rights"],
  EXPPAT_2: ["90", "Autre expression du patient", "Other words of the patient"],
  EXPPAT_3: ["90", "Directives anticipées", "Advance directives"],
};

const told = (type: string): Told | undefined => PATIENT[type];

export const typeLabel = (type: string, language: Language): string => told(type)?.[language === "fr" ? 1 : 2] ?? type;
export const classOfType = (type: string): string => told(type)?.[0] ?? "";
