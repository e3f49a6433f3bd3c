// Invented documents of an invented patient: each category, each state, laboratory results over five years, and one
// document by who means harm. Moments are counted back from NOW, so that two screenshots are the same.
import type { Person } from "../../../webmail/ui/src/lib/contract.ts";
import type { Category, ClinicalEntry, DocumentLine, DocumentView, Header, RecordFile, Result, Section } from "../../../webmail/ui/src/lib/record_contract.ts";
import type { Author, Block, Cell, Run } from "../../../webmail/ui/src/worker/record/cda_model.ts";
import { NOW } from "./account.ts";
import { picture, report } from "./files.ts";
import { pause } from "./scene.ts";

const DAY = 86_400_000;
export const MARTIN: Person = { name: "Dr Claire Martin", address: "claire.martin@cabinet.vallees.example" };
export const HOSPITAL: Person = { name: "CHU des Vallées, cardiologie", address: "cardiologie@hopital.vallees.example" };
export const LAB: Person = { name: "Laboratoire du Nord", address: "resultats@labo-nord.vallees.example" };
export const PHARMACY: Person = { name: "Pharmacie de la Halle", address: "pharmacie.halle@officine.vallees.example" };
const ME: Person = { name: "Jeanne Morvan", address: "250039935012345@patient.vallees.example" };

export interface Kept {
  line: DocumentLine;
  view: Partial<DocumentView>;
}

export const day = (daysAgo: number): string => new Date(NOW - daysAgo * DAY).toISOString().slice(0, 10);

const run = (text: string, style: Run["style"] = ""): Run => ({ text, style, lineBreak: false });
const blank: Block = { form: "paragraph", runs: [], ordered: false, items: [], caption: "", head: [], rows: [], image: "", imageType: "" };
const paragraph = (...runs: (Run | string)[]): Block => ({ ...blank, runs: runs.map((one) => (typeof one === "string" ? run(one) : one)) });
const list = (items: string[], ordered = false): Block => ({ ...blank, form: "list", ordered, items: items.map((one) => [paragraph(one)]) });
const cell = (text: string, header = false): Cell => ({ runs: [run(text)], header, columns: 1, rows: 1 });
const table = (caption: string, head: string[], rows: string[][]): Block => ({ ...blank, form: "table", caption, head: [head.map((one) => cell(one, true))], rows: rows.map((row) => row.map((one, i) => cell(one, i === 0))) });
const section = (title: string, blocks: Block[], sections: Section[] = []): Section => ({ code: "", title, blocks, sections });

const author = (family: string, given: string, organisation: string): Author => ({ familyName: family, givenName: given, identifier: "", role: "", specialty: null, organisation, organisationId: "" });

export function header(line: DocumentLine, by: Author, more: Partial<Header> = {}): Header {
  return {
    id: line.id, setId: line.id, version: line.versions, type: { code: line.type, system: "", display: line.typeLabel }, title: line.title, at: line.at,
    confidentiality: { code: "N", system: "", display: "" }, language: "fr-FR", patientIds: [],
    traits: { familyName: "MORVAN", givenName: "Jeanne", birthDate: "1950-03-12", sex: "F", birthPlace: "35238" },
    authors: [by], custodian: by.organisation, custodianId: "", legalAuthenticator: by, serviceStart: line.at, serviceStop: line.at, setting: null, facility: null, replaces: [], templates: [], prescription: "", ...more,
  };
}

let made = 0;
/** The files below are generous to the drawing: the lab's letter is two pages. */
export function document(given: Partial<DocumentLine> & Pick<DocumentLine, "title" | "category" | "typeLabel">, view: Partial<DocumentView> = {}): Kept {
  made += 1;
  const at = given.at ?? day(made);
  const line: DocumentLine = {
    id: `1.2.250.1.999.1.${made}`, letter: `M${made}`, threadId: "T1", form: "document", type: "11490-0", at, receivedAt: Date.parse(at.length === 4 ? `${at}-06-01` : at) + 9 * 3_600_000,
    author: "Dr Claire Martin", from: MARTIN, state: "current", masked: false, confidentiality: [], unread: false, own: false, guard: "sealed", locked: false, versions: 1, about: "holder", ...given,
  };
  return { line, view };
}

const file = (name: string, type: string, make: () => Blob, role: RecordFile["role"]): RecordFile => ({ name, type, size: make().size, role, blob: async () => (await pause(), make()) });
export const PDF = (name: string): RecordFile => file(name, "application/pdf", report, "copy");
const CDA = (): RecordFile => file("document.xml", "text/xml", () => new Blob(["<ClinicalDocument/>"], { type: "text/xml" }), "document");
const ZIP = (): RecordFile => file("IHE_XDM.zip", "application/zip", () => new Blob(["PK"], { type: "application/zip" }), "archive");

export function result(name: string, exact: number, unit: string, low: number | null, high: number | null, more: Partial<Result> = {}): Result {
  const number = Math.round(exact * 100) / 100;
  const flag = high !== null && number > high * 1.5 ? "HH" : high !== null && number > high ? "H" : low !== null && number < low ? "L" : "N";
  const reference = low !== null && high !== null ? `${low} – ${high}` : high !== null ? `< ${high}` : low !== null ? `> ${low}` : "";
  return { code: name, name, value: String(number), number, unit, low, high, reference, flag, at: "", specimen: "Sang veineux", group: "", comment: "", previous: false, ...more };
}

const BLOOD = (step: number): Result[] => [
  result("Hémoglobine", 13.1 - step * 0.1, "g/dL", 12, 16, { group: "Numération formule sanguine" }),
  result("Leucocytes", 6.2 + step * 0.2, "G/L", 4, 10, { group: "Numération formule sanguine" }),
  result("Plaquettes", 142 + step * 3, "G/L", 150, 400, { group: "Numération formule sanguine" }),
  result("Cholestérol total", 2.6 - step * 0.08, "g/L", null, 2, { group: "Bilan lipidique", comment: step === 5 ? "En baisse depuis le dernier bilan." : "" }),
  result("Cholestérol LDL", 1.9 - step * 0.07, "g/L", null, 1.3, { group: "Bilan lipidique" }),
  result("Glycémie à jeun", 0.94 + step * 0.01, "g/L", 0.7, 1.1, { group: "Glycémie" }),
  result("Hémoglobine glyquée (HbA1c)", 6.1 + step * 0.08, "%", null, 6.5, { group: "Glycémie" }),
  result("Créatinine", 88 + step * 4, "umol/L", 45, 84, { group: "Fonction rénale" }),
  { ...result("Culture", 0, "", null, null, { group: "Examen des urines", specimen: "Urines" }), number: null, value: "Absence de germe", flag: "", reference: "Absence" },
  { ...result("Recherche d’anticorps", 0, "", null, null, { group: "Examen des urines" }), number: null, value: "Présence", flag: "A", reference: "Absence" },
];

const STAY: Section[] = [
  section("Motif d’hospitalisation", [paragraph("Douleur thoracique à l’effort, apparue le ", run("12 octobre", "bold"), ". Pas de fièvre.")]),
  section("Histoire de la maladie", [paragraph("Patiente de 76 ans, autonome, suivie pour une ", run("hypertension artérielle", "italic"), " traitée depuis 2011."), list(["ECG d’entrée sans trouble du rythme", "Troponine normale à deux reprises", "Échographie : fraction d’éjection 60 %"])]),
  section("Traitement à la sortie", [
    table("Traitement à la sortie", ["Médicament", "Posologie", "Durée"], [["Amlodipine 5 mg", "1 comprimé le matin", "3 mois"], ["Atorvastatine 20 mg", "1 comprimé le soir", "3 mois"], ["Paracétamol 1 g", "si douleur, au plus 3 par jour", "7 jours"]]),
  ]),
  section("Conclusion", [paragraph("Bilan coronarien rassurant. Contrôle de la tension chez le médecin traitant dans un mois.")], [section("Recommandations", [list(["Marche quotidienne de 30 minutes", "Réduire le sel", "Revenir aux urgences en cas de douleur prolongée"], true)])]),
];

const HOSTILE = "<script>alert(1)</scr" + "ipt><img src=x onerror=alert(2)>\u202Efdp.exe";

function hostile(): Kept {
  const endless = "a".repeat(3000);
  const one = document({ title: HOSTILE, category: "reports", typeLabel: "Compte rendu", author: `${HOSTILE} ${endless}`, from: { name: HOSTILE, address: `${endless}@mal.example` }, at: day(0), unread: true, about: "another" });
  one.view = {
    header: header(one.line, author(`${HOSTILE}${endless}`, "", endless), { traits: { familyName: HOSTILE, givenName: endless, birthDate: "not a date", sex: "?", birthPlace: "" } }),
    body: { form: "sections", sections: [
      section(HOSTILE, [paragraph(HOSTILE, run(endless, "bold"), run("javascript:alert(3)", "strike")), table(HOSTILE, [endless, HOSTILE], [[HOSTILE, endless]]), { ...blank, form: "image", image: "PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+", imageType: "image/svg+xml", caption: HOSTILE }],
        [section("un", [], [section("deux", [], [section("trois", [], [section("quatre", [], [section("cinq", [], [section("six", [paragraph("au fond")])])])])])])]),
    ] },
    results: [{ ...result(HOSTILE, 4, HOSTILE, 1, 3), value: HOSTILE, reference: endless, comment: HOSTILE, group: endless }],
    entries: [{ kind: "allergy", name: HOSTILE, code: null, status: endless, start: "x", end: "", detail: HOSTILE, severity: HOSTILE, negated: false }],
    files: [file(`${HOSTILE}${endless}.exe`, "application/x-msdownload", () => new Blob(["MZ"]), "other")],
    flags: ["about-another", "hash-mismatch", "a-flag-of-tomorrow"],
  };
  return one;
}

function written(): Kept[] {
  const blood = [5, 4, 3, 2, 1, 0].map((step, i) => {
    const one = document({ title: "Analyse de sang", category: "reports", typeLabel: "Compte rendu d’examens biologiques", type: "11502-2", author: "Laboratoire du Nord", from: LAB, at: `${day(2 + i * 365)}T08:30:00+01:00`, unread: i === 0 });
    const results = BLOOD(step).map((each) => ({ ...each, at: one.line.at }));
    one.view = { header: header(one.line, author("LE ROUX", "Anne", "Laboratoire du Nord")), body: { form: "sections", sections: [section("Conclusion", [paragraph(step === 5 ? "Cholestérol en baisse. Créatinine à surveiller." : "Bilan stable.")])] }, results: i === 0 ? [...results, { ...BLOOD(4)[3]!, at: `${day(367)}`, previous: true }] : results, files: [CDA(), PDF("Analyse de sang.pdf"), ZIP()] };
    return one;
  });
  const stay = document({ title: "Hospitalisation du 12 au 15 octobre", category: "reports", typeLabel: "Compte rendu d’hospitalisation", type: "34112-3", author: "Dr Paul Guillou, CHU des Vallées", from: HOSPITAL, at: `${day(36)}T16:10:00+02:00`, versions: 2 });
  const first = document({ title: "Hospitalisation du 12 au 15 octobre", category: "reports", typeLabel: "Compte rendu d’hospitalisation", type: "34112-3", author: "Dr Paul Guillou, CHU des Vallées", from: HOSPITAL, at: day(38), state: "superseded", versions: 2 });
  const entries: ClinicalEntry[] = [
    { kind: "medication", name: "Amlodipine 5 mg", code: null, status: "active", start: day(36), end: "", detail: "1 comprimé le matin", severity: "", negated: false },
    { kind: "allergy", name: "Pénicilline", code: null, status: "active", start: "1987", end: "", detail: "Urticaire", severity: "modérée", negated: false },
    { kind: "problem", name: "Hypertension artérielle", code: null, status: "active", start: "2011", end: "", detail: "", severity: "", negated: false },
  ];
  stay.view = { header: header(stay.line, author("GUILLOU", "Paul", "CHU des Vallées, cardiologie"), { serviceStart: "2026-10-12", serviceStop: "2026-10-15" }), body: { form: "sections", sections: STAY }, entries, files: [CDA(), PDF("Compte rendu.pdf"), ZIP()], history: [first.line], sharedWith: [{ person: MARTIN, at: NOW - 20 * DAY }] };
  first.view = { ...stay.view, history: [stay.line], sharedWith: [] };
  const rx = document({ title: "Traitement de la tension", category: "prescriptions", typeLabel: "Prescription de produits de santé", type: "57833-6", at: day(78), prescription: { until: new Date(Date.now() + 12 * DAY).toISOString().slice(0, 10), renewable: true } });
  rx.view = { header: header(rx.line, author("MARTIN", "Claire", "Cabinet médical des Vallées")), body: { form: "sections", sections: [section("Médicaments", [table("Médicaments", ["Médicament", "Posologie", "Durée"], [["Amlodipine 5 mg", "1 comprimé le matin", "3 mois"], ["Atorvastatine 20 mg", "1 comprimé le soir", "3 mois"]])])] }, files: [CDA(), PDF("Ordonnance.pdf")] };
  const oldRx = document({ title: "Séances de kinésithérapie", category: "prescriptions", typeLabel: "Prescription d’actes de kinésithérapie", at: day(420), prescription: { until: day(55), renewable: false } });
  oldRx.view = { body: { form: "pdf", file: PDF("Ordonnance kiné.pdf") }, files: [PDF("Ordonnance kiné.pdf")] };
  const scan = document({ title: "IRM du genou droit", category: "imaging", typeLabel: "Compte rendu d’imagerie", author: "Dr Sofia Benali, Centre d’imagerie", at: day(240) });
  scan.view = { body: { form: "pdf", file: PDF("IRM du genou.pdf") }, files: [PDF("IRM du genou.pdf")], header: header(scan.line, author("BENALI", "Sofia", "Centre d’imagerie des Vallées")) };
  const photo = document({ title: "Carnet de vaccination, page 2", category: "mine", typeLabel: "Document ajouté par le patient", author: "Jeanne Morvan", from: ME, own: true, form: "file", at: "2024-05" });
  photo.view = { body: { form: "image", file: file("carnet.png", "image/png", picture, "document") }, files: [file("carnet.png", "image/png", picture, "document")] };
  const masked = document({ title: "Consultation de psychologie", category: "reports", typeLabel: "Compte rendu de consultation", author: "Mme Inès Caro, psychologue", at: day(150), masked: true });
  masked.view = { body: { form: "text", text: "Entretien de suivi.\n\nLa patiente va mieux." }, header: header(masked.line, author("CARO", "Inès", "")) };
  const hidden = document({ title: "Consultation de gynécologie", category: "reports", typeLabel: "Compte rendu de consultation", at: day(500), confidentiality: ["INVISIBLE_REPRESENTANTS_LEGAUX"] });
  hidden.view = { body: { form: "text", text: "Examen normal." } };
  const closed = document({ title: "", category: "other", typeLabel: "", author: "", from: LAB, at: day(900), locked: true });
  const gone = document({ title: "Scanner thoracique", category: "imaging", typeLabel: "Compte rendu d’imagerie", author: "Dr Sofia Benali", at: day(60), state: "withdrawn" });
  gone.view = { body: { form: "none" }, tombstone: { at: NOW - 40 * DAY, by: HOSPITAL, reason: "Document d’un autre patient, envoyé par erreur." } };
  const put = document({ title: "Facture de la chambre seule", category: "reimbursements", typeLabel: "Attestation de remboursement", author: "CHU des Vallées", from: HOSPITAL, at: day(30), state: "archived" });
  put.view = { body: { form: "pdf", file: PDF("Facture.pdf") }, files: [PDF("Facture.pdf")] };
  return [
    ...blood, stay, first, rx, oldRx, scan, photo, masked, hidden, closed, gone, put,
    document({ title: "Lettre au Dr Le Bihan", category: "reports", typeLabel: "Lettre de liaison", at: day(310) }, { body: { form: "text", text: "Cher confrère,\n\nje vous adresse Madame Morvan." } }),
    document({ title: "Synthèse médicale", category: "syntheses", typeLabel: "Volet de synthèse médicale", at: day(20), form: "fhir" }, { body: { form: "sections", sections: STAY.slice(0, 2) }, entries }),
    document({ title: "Délivrance du 3 novembre", category: "dispensations", typeLabel: "Dispensation de produits de santé", author: "Pharmacie de la Halle", from: PHARMACY, at: day(17) }),
    document({ title: "Programme de soins après hospitalisation", category: "plans", typeLabel: "Plan personnalisé de santé", at: day(34), from: HOSPITAL }),
    document({ title: "Vaccination contre la grippe", category: "treatments", typeLabel: "Note de vaccination", at: day(48), author: "Pharmacie de la Halle", from: PHARMACY }),
    document({ title: "Certificat de non contre-indication au sport", category: "certificates", typeLabel: "Certificat médical", at: "2023" }),
    document({ title: "Directives anticipées", category: "management", typeLabel: "Directives anticipées", at: "2022-11", own: true, from: ME, author: "Jeanne Morvan" }),
  ];
}

const CATEGORIES: Category[] = ["reports", "imaging", "prescriptions", "dispensations", "treatments", "reimbursements"];
const many = (): Kept[] =>
  Array.from({ length: 2000 }, (_, i) => document({ title: `Document ${2000 - i}`, category: CATEGORIES[i % CATEGORIES.length] ?? "other", typeLabel: "Compte rendu", author: i % 3 ? "Laboratoire du Nord" : "Dr Claire Martin", at: day(Math.floor(i * 0.9)), masked: i % 40 === 7, unread: i % 90 === 3 }, { body: { form: "text", text: `Texte du document ${2000 - i}.` } }));

export const invented = (which: "some" | "many" | "hostile" | "none"): Kept[] => (which === "none" ? [] : which === "many" ? many() : which === "hostile" ? [hostile(), ...written()] : written());
