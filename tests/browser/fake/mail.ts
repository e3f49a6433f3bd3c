// Letters between invented people, in memory: each guard, each signature, locked, closed, with attachments, hostile HTML.
import { Refused, type Attachment, type Correspondent, type Draft, type Letter, type LetterLine, type MailboxRole, type MailWork } from "../../../webmail/ui/src/lib/contract.ts";
import { NOW } from "./account.ts";
import { picture, report } from "./files.ts";
import { gated, leave } from "./gate.ts";
import { pause, scene } from "./scene.ts";

const HOUR = 3_600_000;
const ME = { name: "Jeanne Morvan", address: "250039935012345@patient.vallees.example" };
const MARTIN = { name: "Dr Claire Martin", address: "claire.martin@cabinet.vallees.example" };
const HOSPITAL = { name: "CHU des Vallées, cardiologie", address: "cardiologie@hopital.vallees.example" };
const LAB = { name: "Laboratoire du Nord", address: "resultats@labo-nord.vallees.example" };
const NURSE = { name: "Cabinet infirmier Le Goff et associés, Saint-Jacques-de-la-Lande", address: "cabinet.infirmier.le.goff.et.associes@soins-infirmiers.vallees.example" };

interface Kept extends Letter {
  in: MailboxRole;
}

function attachment(name: string, type: string, make: () => Blob, inline = false): Attachment {
  return { name, type, size: make().size, inline, contentId: inline ? "photo@invented" : "", blob: async () => (await pause(), make()) };
}

function letter(id: string, given: Partial<Kept> & Pick<Kept, "from" | "subject">): Kept {
  const text = given.text ?? "";
  const parts = given.parts ?? [];
  return {
    id,
    threadId: `T${id.slice(1)}`,
    to: [ME],
    preview: text.slice(0, 90).replace(/\s+/g, " "),
    receivedAt: NOW,
    unread: false,
    answered: false,
    guard: "sealed",
    locked: false,
    html: null,
    signature: "author",
    closes: false,
    opened: !given.locked,
    in: "inbox",
    ...given,
    text,
    parts,
    attachments: parts.map(({ name, type }) => ({ name, type })),
  };
}

const HTML = `<h2>Vos rendez-vous</h2><p>Bonjour <b>Madame Morvan</b>,</p><table border="1"><tr><th>Jour</th><th>Soin</th></tr><tr><td>lundi</td><td>pansement</td></tr></table>
<img src="https://pisteur.example/p.gif" alt="pixel"><img src="cid:photo@invented" alt="plan d’accès"><script>document.title="perdu"</scr` + `ipt>
<p style="position:fixed;inset:0">texte</p><a href="https://labo.example/resultats">voir en ligne</a><form action="https://vol.example"><input name=x></form>`;

const LONG = Array.from({ length: 14 }, (_, i) => `Paragraphe ${i + 1}. Votre tension est stable, le traitement est maintenu à la même dose ; revenez dans trois mois, ou plus tôt si vous êtes essoufflée.`).join("\n\n");

function invented(): Kept[] {
  const pdf = attachment("Analyse de sang du 18 novembre.pdf", "application/pdf", report);
  const photo = attachment("plan.png", "image/png", picture, true);
  return [
    letter("M1", { from: MARTIN, subject: "Résultats de votre prise de sang", text: "Bonjour Madame Morvan,\n\nvos résultats sont bons. Le cholestérol a baissé.\nJe vous joins l’analyse complète.\n\nDr Claire Martin", unread: true, receivedAt: NOW - 2 * HOUR, parts: [pdf] }),
    letter("M2", { from: HOSPITAL, subject: "Compte rendu d’hospitalisation", text: LONG, unread: true, receivedAt: NOW - 26 * HOUR, signature: "gateway", parts: [attachment("Compte rendu.pdf", "application/pdf", report), attachment("Radiographie du thorax, de face.png", "image/png", picture)] }),
    letter("M3", { from: LAB, subject: "Analyse terminée", text: "Votre analyse est terminée.", receivedAt: NOW - 60 * HOUR, guard: "waiting", signature: "gateway" }),
    letter("M4", { from: NURSE, subject: "Organisation des soins à domicile pour les trois prochaines semaines, et numéros à appeler", text: "Bonjour, voici le planning.", html: HTML, receivedAt: NOW - 90 * HOUR, guard: "custody", signature: "none", parts: [photo] }),
    letter("M5", { from: MARTIN, subject: "", locked: true, receivedAt: NOW - 300 * 24 * HOUR, signature: "unknown" }),
    letter("M6", { from: { name: "Dr Yves Le Bihan", address: "yves.lebihan@clinique.vallees.example" }, subject: "Fin de notre échange", text: "Votre suivi est terminé chez nous. Pour toute question, voyez votre médecin traitant.", closes: true, receivedAt: NOW - 12 * 24 * HOUR, guard: "subjectOutside" }),
    letter("M11", { threadId: "T6", from: { name: "", address: "yves.lebihan@clinique.vallees.example" }, subject: "[FIN]", text: "Au revoir.", closes: true, receivedAt: NOW - 12 * 24 * HOUR + HOUR, guard: "subjectOutside", signature: "gateway" }),
    letter("M20", { from: HOSPITAL, subject: "Convocation", text: "Merci de venir lundi.", unread: true, opened: false, receipt: true, signature: "unknown", receivedAt: NOW - 30 * HOUR }),
    letter("M21", { from: LAB, subject: "Horaires d’été", text: "Le laboratoire ferme à 17 h.", noAnswer: true, receivedAt: NOW - 14 * 24 * HOUR }),
    letter("M22", { from: { name: "Dr Rose Hamon", address: "rose.hamon@clinique.vallees.example" }, subject: "[FIN]", text: "Tout va bien, notre échange est terminé.", closes: true, closedBy: "rose.hamon@clinique.vallees.example", receivedAt: NOW - 15 * 24 * HOUR }),
    letter("M7", { threadId: "T1", from: ME, to: [MARTIN], subject: "Résultats de votre prise de sang", text: "Bonjour Docteur, avez-vous reçu mes résultats ?", in: "sent", receivedAt: NOW - 20 * HOUR, answered: true }),
    letter("M8", { from: ME, to: [HOSPITAL], subject: "Question sur mon traitement", text: "Puis-je prendre le traitement le soir ?", in: "sent", guard: "gate", receivedAt: NOW - 70 * HOUR }),
    letter("M9", { from: LAB, subject: "Ancienne analyse", text: "Voir ci-dessus.", in: "archive", receivedAt: NOW - 200 * 24 * HOUR, signature: "bad" }),
    letter("M23", { from: HOSPITAL, subject: "XDM/1.0/DDM+Compte rendu d’hospitalisation", text: "Veuillez trouver ci-joint un compte rendu.", in: "archive", receivedAt: NOW - 36 * 24 * HOUR, parts: [attachment("IHE_XDM.zip", "application/zip", () => new Blob(["PK"], { type: "application/zip" })), attachment("Compte rendu.pdf", "application/pdf", report)] }),
    letter("M10", { from: LAB, subject: "Publicité", text: "À jeter.", in: "trash", receivedAt: NOW - 9 * 24 * HOUR, guard: "kept" }),
    ...Array.from({ length: 60 }, (_, i) => letter(`M${100 + i}`, { from: i % 2 ? MARTIN : HOSPITAL, subject: `Suivi, semaine ${60 - i}`, text: "Rien de nouveau.", receivedAt: NOW - (20 + i * 7) * 24 * HOUR })),
  ];
}

/** What an ill-meaning sender would try: markup, reversed reading, endless words. */
function hostile(): Kept[] {
  const name = `<img src=x onerror=alert(1)>\u202Efdp.exe ${"Ẓ̴̛͎̱̲͚̮̯̃̅͊̈́".repeat(20)}`;
  const endless = "a".repeat(4000);
  const file = new Blob(["<script>alert(1)</scr" + "ipt>"]);
  return [
    letter("M800", { from: { name, address: `${endless}@mal.example` }, subject: `<script>alert(2)</script>\u202E ${endless}`, text: `javascript:alert(3) https://a.example/${endless}).\n> cité\n> encore\n${endless}`, unread: true, receivedAt: NOW, signature: "none", parts: [attachment(`facture\u202Efdp.${endless}.exe`, "application/x-msdownload", () => file), attachment(`${endless}.html`, "text/html", () => file), attachment("note.txt", "text/plain", () => file)] }),
    letter("M801", { from: { name: "د. سارة العربي", address: "sara@mal.example" }, subject: "نتائج التحليل 12/3", text: "مرحبا، النتائج جيدة.", receivedAt: NOW - HOUR }),
  ];
}

/** A robot writes for the ward, to a patient and two others. */
const several = (): Kept[] => [
  letter("M850", { from: { name: "Robot des comptes rendus", address: "robot@hopital.vallees.example" }, replyTo: HOSPITAL, to: [ME, MARTIN, { name: "", address: "yves.lebihan@clinique.vallees.example" }], subject: "Réunion de concertation", text: "Voir ci-joint.", receivedAt: NOW }),
  letter("M851", { from: MARTIN, subject: "Courrier d’un confrère", text: "", signature: "none", guard: "subjectOutside", parts: [attachment("smime.p7m", "application/octet-stream", () => new Blob(["0\u0080"]))] }),
];

/** Ten thousand letters, for who wants to see lists scroll. */
const many = (): Kept[] => Array.from({ length: 10_000 }, (_, i) => letter(`M${10_000 + i}`, { from: i % 3 ? LAB : MARTIN, subject: `Lettre ${i}`, text: "Rien de nouveau, tout va bien.", unread: i % 7 === 0, receivedAt: NOW - i * HOUR }));

let letters = scene("empty") ? [] : scene("many") ? many() : scene("hostile") ? [...hostile(), ...invented()] : scene("several") ? [...several(), ...invented()] : invented();
const changed = new Set<() => void>();
const lost = new Set<(offline: boolean) => void>();
const CORRESPONDENTS: Correspondent[] = [
  { person: MARTIN, open: true, lastAt: NOW - 2 * HOUR },
  { person: HOSPITAL, open: true, lastAt: NOW - 26 * HOUR },
  { person: NURSE, open: true, lastAt: NOW - 90 * HOUR },
  { person: { name: "Dr Yves Le Bihan", address: "yves.lebihan@clinique.vallees.example" }, open: false, lastAt: NOW - 12 * 24 * HOUR },
];

async function answer(): Promise<void> {
  await pause();
  if (scene("offline") || scene("cut")) {
    for (const listener of lost) listener(true);
    throw new Refused("offline");
  }
}

function tell(): void {
  for (const listener of changed) listener();
}

/** Where no secret key is in this page, envelopes and states are all there is. */
function seen<T extends LetterLine>(one: T): T {
  return scene("nokey") ? { ...one, subject: "", preview: "", text: "", html: null, parts: [], attachments: [], locked: true, opened: false } : one;
}

const WARD = { id: "award", address: "cardiologie@hopital.vallees.example", own: false, rights: "lrswipkte" };
const HOLDER = { id: "aholder", address: "anne.petit@cabinet.vallees.example", own: false, rights: "lrs" };
const MINE = { id: "", address: ME.address, own: true, rights: "" };
let entered = "";

function lettersOf(id: string): Kept[] {
  if (id === WARD.id) return [letter("M860", { from: LAB, to: [{ name: "", address: WARD.address }], subject: "Résultats pour le service", text: "Voir ci-joint.", unread: true }), letter("M861", { from: { name: "", address: WARD.address }, to: [LAB], subject: "Demande du service", text: "Merci.", in: "sent" })];
  if (id === HOLDER.id) return [letter("M870", { from: LAB, to: [{ name: "", address: HOLDER.address }], subject: "Résultats pour le docteur", text: "Voir ci-joint.", signature: "gateway" })];
  return invented();
}

/** Whom the directory shows (`directory.ts`). */
const LISTED = /^(zoe\.martin|paul\.martin|martine\.leroy|secretariat\.cardio|labo|cabinet\.des\.lilas|hostile|sara)@/;

export const mail: MailWork = {
  async boxes() {
    await answer();
    return [MINE, ...(scene("ward") ? [WARD, HOLDER] : [])];
  },
  box: () => entered,
  enter(id) {
    entered = id;
    letters = lettersOf(id);
    tell();
  },
  async list(role, position, limit) {
    await answer();
    const there = letters.filter((one) => one.in === role).sort((a, b) => b.receivedAt - a.receivedAt);
    return { lines: there.slice(position, position + limit).map(seen), total: there.length, unread: there.filter((one) => one.unread).length };
  },
  async conversation(threadId) {
    await answer();
    const there = letters.filter((one) => one.threadId === threadId);
    if (!there.length) throw new Refused("not-found", { status: 404 });
    return there.sort((a, b) => a.receivedAt - b.receivedAt).map(seen);
  },
  async markRead(ids, read) {
    await answer();
    letters = letters.map((one) => (ids.includes(one.id) ? { ...one, unread: !read } : one));
    tell();
  },
  async move(ids, to) {
    await answer();
    letters = letters.flatMap((one) => (!ids.includes(one.id) ? [one] : one.in === "trash" && to === "trash" ? [] : [{ ...one, in: to }]));
    tell();
  },
  async openWithReceipt(id) {
    await answer();
    letters = letters.map((one) => (one.id === id ? { ...one, receipt: false, opened: true, signature: "author" as const } : one));
    tell();
  },
  async correspondents() {
    await answer();
    return scene("empty") ? [] : CORRESPONDENTS;
  },
  async check(addresses) {
    await answer();
    return addresses.map((address) => {
      const known = CORRESPONDENTS.find((one) => one.person.address === address.trim().toLowerCase());
      if (address.startsWith("pharmacie")) return { address, guard: "sealed" as const };
      if (address.endsWith("@mss.chu-voisin.example")) return { address, guard: gated(address) ? ("gate" as const) : ("sealed-to-operator" as const) };
      if (LISTED.test(address)) return { address, guard: "sealed" as const };
      if (address === "zoe.martain@chu.vallees.example") throw new Refused("recipient-unknown", { near: { address, suggestions: ["zoe.martin@chu.vallees.example"] } });
      if (address === "zoe.martn@chu.vallees.example") return { address, guard: "sealed" as const, suggestions: ["zoe.martin@chu.vallees.example"] };
      if (!known) throw new Refused("not-a-correspondent", { status: 403 });
      if (!known.open) throw new Refused("conversation-closed", { status: 403 });
      if (gated(address)) return { address, guard: "gate" as const };
      return { address, guard: known.person === NURSE ? ("custody" as const) : ("sealed" as const) };
    });
  },
  async prepare(file) {
    await pause();
    if (!file.size) throw new Refused("file-empty");
    if (file.size > 10_000_000) throw new Refused("file-too-large");
    if (/\.(exe|js|html?|svg)$/i.test(file.name)) throw new Refused("file-type");
    return file;
  },
  async send(draft: Draft) {
    await answer();
    await leave(draft.to, draft.throughGate);
    const id = `M${900 + letters.length}`;
    const sent = letter(id, { from: ME, to: draft.to.map((address) => ({ name: "", address })), subject: draft.subject, text: draft.text, in: "sent", receivedAt: Date.now() });
    letters = [{ ...sent, threadId: draft.inReplyTo?.threadId ?? sent.threadId }, ...letters];
    tell();
    const until = Date.now() + 60_000;
    return {
      id,
      until,
      async undo() {
        await answer();
        if (Date.now() > until) return false;
        letters = letters.filter((one) => one.id !== id);
        tell();
        return true;
      },
    };
  },
  async askAgain(lines) {
    await answer();
    return new Set(lines.map((line) => line.from.address)).size;
  },
  async search(words) {
    await answer();
    const wanted = plain(words);
    return letters.filter((one) => !one.locked && plain(`${one.subject} ${one.text} ${one.from.name}`).includes(wanted)).map(seen);
  },
  indexing: () => (scene("indexing") ? { done: 320, total: 1000 } : { done: letters.length, total: letters.length }),
  onChange(listener) {
    changed.add(listener);
    return () => changed.delete(listener);
  },
  onOffline(listener) {
    lost.add(listener);
    return () => lost.delete(listener);
  },
};

function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
