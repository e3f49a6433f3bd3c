// What is written beside an export, for whoever finds it years later.
interface Told {
  letters: number;
  documents: number;
  locked: number;
  left: number; // not opened yet, and left out
  made: string;
}

const NBSP = "\u00a0";

export const readmes = ({ letters, documents, locked, left, made }: Told): [name: string, text: string][] => [
  [
    "LISEZMOI.txt",
    [
      "COPIE DE VOTRE ESPACE DE SANTÉ", made, "",
      `${documents} documents, ${letters} lettres.`,
      ...(locked > 0 ? [`${locked} lettres n’ont pas pu être ouvertes${NBSP}: elles sont dans letters.mbox comme elles sont venues, chiffrées.`] : []),
      ...(left > 0 ? [`${left} lettres pas encore ouvertes n’y sont pas, ni leurs documents.`] : []), "",
      `index.html${NBSP}: ouvrez-le avec un navigateur, sans connexion. Il montre tout ce qui est ici.`,
      `documents/${NBSP}: chaque document tel qu’il est venu (PDF, CDA, FHIR, archive IHE_XDM).`,
      `letters.mbox${NBSP}: vos lettres, pour tout programme de courriel (Thunderbird, Apple Mail, mutt).`,
      `profile.fhir.json${NBSP}: votre profil médical, au format FHIR R4.`,
      `agenda.ics${NBSP}: votre agenda, pour tout programme d’agenda.`, "",
      "Cette copie n’est plus protégée. Rangez-la où vous seul pouvez la lire, par exemple sur une clé USB que vous gardez chez vous.", "",
    ].join("\r\n"),
  ],
  [
    "README.txt",
    [
      "COPY OF YOUR HEALTH SPACE", made, "",
      `${documents} documents, ${letters} letters.`,
      ...(locked > 0 ? [`${locked} letters could not be opened: they are in letters.mbox as they came, encrypted.`] : []),
      ...(left > 0 ? [`${left} letters not opened yet are not here, nor are their documents.`] : []), "",
      "index.html: open it with a browser, no connection needed. It shows all that is here.",
      "documents/: each document as it came (PDF, CDA, FHIR, IHE_XDM archive).",
      "letters.mbox: your letters, for any mail program (Thunderbird, Apple Mail, mutt).",
      "profile.fhir.json: your medical profile, in FHIR R4.",
      "agenda.ics: your agenda, for any calendar program.", "",
      "This copy is no longer protected. Keep it where only you can read it, a USB stick that stays at home for instance.", "",
    ].join("\r\n"),
  ],
];
