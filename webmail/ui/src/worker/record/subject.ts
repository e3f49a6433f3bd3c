// The subject of a letter with documents, taken apart: the twin of `parsed` and `shown` in
// `mail_server/payloads/record/mss_fields.py` (ECO.2.1.3). It stands alone, for lists that must stay small.
export interface Subject {
  text: string; // what people are shown: no prefix, no mark
  structured: boolean; // it says `XDM/1.0/DDM`
  replaces: boolean;
  failed: boolean;
  code: number | null; // of the ANS, of a failed integration
  birthDate: string; // YYYY-MM-DD, when it ends with one
}

const MARK =
  /^\s*(?:(?<answer>(?:re|fw|fwd|tr|ref)\s?:)|(?<replaces>\[\s*annule\s+et\s+remplace\s*\])|(?<failed>\[\s*(?:ko\s+int[eé]gration(?:\s+syst[eè]me)?|erreur\s+d.int[eé]gration)\s*!?\s*\])|\[\s*(?<code>90[0-6]|code)\s*\]|(?<prefix>xdm\/1\.0\/ddm)\s?\+?)/iu;
const BIRTH = /\s([0-9]{2})\/([0-9]{2})\/([0-9]{4})$/;

/** A decoded subject, whoever wrote it. */
export function parsedSubject(told: string): Subject {
  let rest = told.slice(0, 2000).replace(/[\x00-\x1f\x7f\u2028\u2029]+/g, " ").replace(/\s+/g, " ").trim();
  const found = new Set<string>();
  let code = "";
  for (let mark = MARK.exec(rest); mark !== null; mark = MARK.exec(rest)) {
    for (const [name, value] of Object.entries(mark.groups ?? {})) if (value !== undefined) found.add(name);
    code = mark.groups?.["code"] ?? code;
    rest = rest.slice(mark[0].length);
  }
  rest = rest.trim();
  if (!found.has("prefix") && !found.has("replaces") && !found.has("failed"))
    return { text: told.trim(), structured: false, replaces: false, failed: false, code: null, birthDate: "" };
  const structured = found.has("prefix");
  const birth = structured ? BIRTH.exec(rest) : null;
  return {
    text: rest,
    structured,
    replaces: found.has("replaces"),
    failed: found.has("failed"),
    code: /^[0-9]+$/.test(code) ? Number(code) : null,
    birthDate: birth === null ? "" : `${birth[3]}-${birth[2]}-${birth[1]}`,
  };
}

/** A subject as people read it: without the prefix; that it replaces or failed stays in sight. */
export function shownSubject(told: string): string {
  const found = parsedSubject(told);
  const failed = found.failed ? `[KO Intégration système !]${found.code === null ? "" : `[${found.code}]`}` : "";
  return [found.replaces ? "[Annule et remplace]" : "", failed, found.text].filter((one) => one !== "").join(" ").trim();
}
