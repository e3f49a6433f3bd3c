// One sentence on who can read a letter. Never softer than the promise, and never more than is known: what another
// addressee's copy or a sender's own copy is kept in, this page does not know.

import { t } from "../../i18n/index.ts";
import type { LetterLine, Letter, Session } from "../../lib/contract.ts";
import { holdsNothing, isMe, isolated, nameOf } from "./people.ts";

export function lineTruth(letter: LetterLine, session: Session | null | undefined): string {
  if (letter.locked) return t(holdsNothing(session) ? "mail.guard.true.elsewhere" : "mail.guard.true.locked");
  return t(letter.guard === "sealed" ? "mail.guard.true.sealedLine" : `mail.guard.true.${letter.guard}`);
}

export function letterTruth(letter: Letter, session: Session | null | undefined): string {
  if (letter.locked || letter.guard !== "sealed") return lineTruth(letter, session);
  if (isMe(letter.from.address, session)) return t("mail.guard.true.sealedMine");
  if (letter.signature === "gateway") return t("mail.guard.true.sealedByOperator");
  if (letter.signature !== "author") return t("mail.guard.true.sealedUnproved");
  const alone = letter.to.every(({ address }) => isMe(address, session));
  return alone ? t("mail.guard.true.sealedOne", { name: isolated(nameOf(letter.from)) }) : t("mail.guard.true.sealedMine");
}
