// The directory without a server: a few invented people and services, also hostile ones, found by the beginnings of words.
import { Refused } from "../../../webmail/ui/src/lib/contract.ts";
import type { DirectoryWork, Found, ListedKind } from "../../../webmail/ui/src/lib/directory_contract.ts";
import { pause, scene } from "./scene.ts";

const one = (address: string, kind: ListedKind, name: string, more: Partial<Found> = {}): Found => ({
  address, kind, name, profession: "", speciality: "", organisation: "", postcode: "", commune: "", digitization: false, known: false, ...more,
});

const LISTED: Found[] = [
  one("zoe.martin@chu.vallees.example", "PER", "Dr Zoé MARTIN", { profession: "Médecin", speciality: "Cardiologie", organisation: "CHU des Trois Vallées", postcode: "69003", commune: "Lyon", digitization: true }),
  one("paul.martin@cabinet.vallees.example", "PER", "Dr Paul MARTIN", { profession: "Médecin", speciality: "Médecine générale", organisation: "Cabinet Martin", postcode: "73000", commune: "Chambéry", known: true }),
  one("martine.leroy@cabinet.vallees.example", "PER", "Martine LEROY", { profession: "Infirmier", postcode: "69007", commune: "Lyon" }),
  one("secretariat.cardio@chu.vallees.example", "ORG", "Secrétariat de cardiologie", { organisation: "CHU des Trois Vallées", postcode: "69003", commune: "Lyon" }),
  one("labo@bio.vallees.example", "APP", "Laboratoire Bio Vallées", { organisation: "Bio Vallées", commune: "Annecy", postcode: "74000" }),
  one("cabinet.des.lilas@mss.vallees.example", "CAB", "Cabinet infirmier des Lilas", { commune: "Lyon", postcode: "69001" }),
  one("hostile@mss.vallees.example", "PER", '<img src=x onerror="alert(1)"> \u202EnitraM rD', { profession: "<b>Médecin</b>", organisation: `Hôpital ${"très ".repeat(40)}long` }),
  one("lointain@ailleurs.vallees.example", "PER", "Dr Lou LOINTAIN", { profession: "Médecin", commune: "Brest", reachable: false }),
  one("sara@mss.vallees.example", "PER", "שרה כהן", { profession: "Sage-femme", commune: "Lyon" }),
  one(`${"n".repeat(64)}@${"tres-long-".repeat(5)}domaine.vallees.example`, "PER", "Anne-Sophie-Marguerite DE-LA-ROCHEFOUCAULD-SAINT-AMANT-DU-HAUT-PLATEAU", { profession: "Masseur-kinésithérapeute", commune: "Saint-Remy-en-Bouzemont-Saint-Genest-et-Isson", postcode: "51290" }),
];

const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
let searches = 0;

export const directory: DirectoryWork = {
  async search(words, { profession, department }, signal) {
    searches += 1;
    await pause();
    if (signal.aborted) throw new Refused("superseded");
    if (scene("offline")) throw new Refused("offline");
    if (scene("swept")) throw new Refused("too-many", { retryAfter: 60 });
    document.documentElement.dataset["searches"] = String(searches);
    const corrected = folded(words).includes("martain") ? [{ typed: "martain", taken: "martin" }] : [];
    const asked = folded(words).replace("martain", "martin").split(/\s+/u);
    const cards = LISTED.filter((card) => {
      const text = folded(`${card.name} ${card.profession} ${card.speciality} ${card.organisation} ${card.commune} ${card.postcode} ${card.address}`).split(/[^\p{L}\p{N}]+/u);
      if (profession === "60" && card.profession !== "Infirmier") return false;
      if (department !== "" && !card.postcode.startsWith(department)) return false;
      return asked.every((word) => text.some((part) => part.startsWith(word)));
    });
    return { cards: cards.slice(0, 8), more: folded(words) === "ly", corrected };
  },
};
