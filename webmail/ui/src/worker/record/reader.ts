// The reader that lies in an export: one page that opens from a disk, without network and without us.
//
// Invariants: what is exported stands in it as data, never as markup; its own policy lets nothing run but its one script
// and nothing be fetched at all; links lead to files beside it, by names that the export made.
import { base64, utf8 } from "../../lib/bytes.ts";
import type { Language } from "./labels.ts";

export interface ReaderFile {
  name: string;
  path: string;
}

export interface ReaderData {
  title: string;
  made: string;
  documents: { title: string; type: string; category: string; at: string; author: string; from: string; state: string; masked: boolean; files: ReaderFile[] }[];
  entries: { area: string; name: string; detail: string; date: string; by: string }[];
  letters: { subject: string; from: string; to: string; at: string; text: string }[];
  files: ReaderFile[];
}

const WORDS = {
  fr: {
    documents: "Documents", entries: "Profil médical", letters: "Lettres", search: "Chercher", all: "Tout", none: "Rien à montrer.", masked: "masqué aux professionnels",
    note: "Cette copie se lit sans connexion. Elle n’est plus protégée\u00a0: rangez-la en lieu sûr.", more: "Montrer plus", files: "Autres fichiers",
    states: { superseded: "remplacé", archived: "archivé", withdrawn: "retiré par son auteur" },
    categories: {
      reports: "Comptes rendus", syntheses: "Synthèses", imaging: "Imagerie", prescriptions: "Ordonnances", dispensations: "Délivrances", plans: "Plans de soins",
      treatments: "Traitements administrés", certificates: "Certificats", reimbursements: "Remboursements", mine: "Mes documents", management: "Documents de gestion", other: "Autres",
    },
    areas: { allergies: "Allergies", history: "Antécédents", family: "Antécédents familiaux", treatments: "Traitements", measures: "Mesures", vaccinations: "Vaccinations", wishes: "Volontés", contacts: "Proches" },
  },
  en: {
    documents: "Documents", entries: "Medical profile", letters: "Letters", search: "Search", all: "All", none: "Nothing to show.", masked: "kept from professionals",
    note: "This copy is read without a connection. It is no longer protected: keep it in a safe place.", more: "Show more", files: "Other files",
    states: { superseded: "replaced", archived: "archived", withdrawn: "withdrawn by its author" },
    categories: {
      reports: "Reports", syntheses: "Summaries", imaging: "Imaging", prescriptions: "Prescriptions", dispensations: "Dispensed medicines", plans: "Care plans",
      treatments: "Treatments given", certificates: "Certificates", reimbursements: "Reimbursements", mine: "My documents", management: "Administrative documents", other: "Others",
    },
    areas: { allergies: "Allergies", history: "Medical history", family: "Family history", treatments: "Treatments", measures: "Measures", vaccinations: "Vaccinations", wishes: "Wishes", contacts: "Contacts" },
  },
};

const SHEET =
  ":root{color-scheme:light dark}*{box-sizing:border-box}body{font:1.05rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:56rem;padding:1rem;overflow-wrap:anywhere}" +
  "nav,form{display:flex;flex-wrap:wrap;gap:.5rem;margin:.75rem 0}button,input,select{font:inherit;padding:.4rem .7rem;min-height:2.75rem}" +
  "button[aria-pressed=true]{font-weight:bold;text-decoration:underline}ul{list-style:none;padding:0}li{border-top:1px solid #8888;padding:.6rem 0}" +
  "h3{margin:0;font-size:1.1rem}p{margin:.15rem 0}.pale{opacity:.8}pre{white-space:pre-wrap;font:inherit;margin:.5rem 0}a{margin-right:.8rem}:focus-visible{outline:3px solid #1b6ac9;outline-offset:2px}";

// Elements are made one by one and filled with text: no markup is ever read from the data.
const SCRIPT = `"use strict";
(function () {
  var data = JSON.parse(document.getElementById("data").textContent), words = data.words, page = 100;
  var make = function (name, text, parent) { var made = document.createElement(name); if (text) made.textContent = text; if (parent) parent.append(made); return made; };
  var fold = function (text) { return text.normalize("NFD").replace(/\\p{M}+/gu, "").toLowerCase(); };
  var main = document.querySelector("main"), shown = "documents", category = "", said = "", most = page;
  var nav = make("nav", "", main), form = make("form", "", main), count = make("p", "", main), list = make("ul", "", main), more = make("button", words.more, main);
  count.setAttribute("role", "status"); more.type = "button"; form.setAttribute("role", "search");
  var label = make("label", words.search + " ", form), field = make("input", "", label), choice = make("select", "", form);
  field.type = "search"; choice.setAttribute("aria-label", words.documents);
  var option = function (value, text) { make("option", text, choice).value = value; };
  var tabs = ["documents", "entries", "letters"].map(function (name) {
    var button = make("button", words[name] + " (" + data[name].length + ")", nav); button.type = "button";
    button.onclick = function () { shown = name; category = ""; most = page; choices(); draw(); };
    return [name, button];
  });
  var kind = function (one) { return shown === "documents" ? one.category : shown === "entries" ? one.area : ""; };
  var names = function () { return shown === "documents" ? words.categories : words.areas; };
  function choices() {
    choice.replaceChildren(); option("", words.all); choice.hidden = shown === "letters";
    Object.keys(names()).forEach(function (one) { if (data[shown].some(function (item) { return kind(item) === one; })) option(one, names()[one]); });
  }
  function links(files, parent) { files.forEach(function (one) { var link = make("a", one.name, parent); link.href = one.path.split("/").map(encodeURIComponent).join("/"); link.target = "_blank"; link.rel = "noopener"; }); }
  function row(one) {
    var item = make("li", "", list);
    if (shown === "letters") {
      var opened = make("details", "", item); make("summary", one.subject || "-", opened); make("p", [one.at, one.from].join(" · "), item).className = "pale"; make("pre", one.text, opened);
      return;
    }
    make("h3", shown === "documents" ? one.title : one.name, item);
    var about = shown === "documents" ? [one.at, one.type, one.author || one.from, words.states[one.state], one.masked ? words.masked : ""] : [words.areas[one.area], one.date, one.by];
    make("p", about.filter(Boolean).join(" · "), item).className = "pale";
    if (one.detail) make("p", one.detail, item);
    if (one.files) links(one.files, make("p", "", item));
  }
  function draw() {
    tabs.forEach(function (one) { one[1].setAttribute("aria-pressed", String(one[0] === shown)); });
    var asked = fold(said).split(/\\s+/).filter(Boolean);
    var found = data[shown].filter(function (one) {
      if (category && kind(one) !== category) return false;
      var text = fold([one.title, one.type, one.author, one.from, one.name, one.detail, one.by, one.subject, one.text, one.at, one.date].filter(Boolean).join(" "));
      return asked.every(function (word) { return text.indexOf(word) >= 0; });
    });
    list.replaceChildren(); found.slice(0, most).forEach(row); more.hidden = found.length <= most;
    count.textContent = found.length ? String(found.length) : words.none;
  }
  field.oninput = function () { said = field.value; most = page; draw(); };
  choice.onchange = function () { category = choice.value; most = page; draw(); };
  more.onclick = function () { most += page; draw(); };
  form.onsubmit = function (event) { event.preventDefault(); };
  if (data.files.length) { make("h2", words.files, main); links(data.files, make("p", "", main)); }
  choices(); draw();
})();`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
const hashed = async (text: string): Promise<string> => `'sha256-${base64(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text))))}'`;

export async function readerPage(data: ReaderData, language: Language): Promise<string> {
  const policy = `default-src 'none'; script-src ${await hashed(SCRIPT)}; style-src ${await hashed(SHEET)}; base-uri 'none'; form-action 'none'`;
  const words = WORDS[language];
  // "<" never stands in the data: no end of the element, no comment, can be read out of it.
  const json = JSON.stringify({ ...data, words }).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  return (
    `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">` +
    `<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(data.title)}</title><style>${SHEET}</style></head>` +
    `<body><main><h1>${escaped(data.title)}</h1><p class="pale">${escaped(data.made)}</p><p>${escaped(words.note)}</p></main>` +
    `<script type="application/json" id="data">${json}</script><script>${SCRIPT}</script></body></html>`
  );
}
