// One sentence on who can read a letter. Never softer than the promise, and never more than is known: what another
// addressee's copy or a sender's own copy is kept in, this page does not know.

import { t } from "../../i18n/index.ts";
import type { LetterLine, Letter, Session } from "../../lib/contract.ts";
import { boxes } from "./boxes.svelte.ts";
import { holdsNothing, isMe, isolated, isOurs, nameOf, theirs } from "./people.ts";

export function lineTruth(letter: LetterLine, session: Session | null | undefined): string {
  if (letter.locked) return t(holdsNothing(session) ? "seldom.guard.elsewhere" : "seldom.guard.locked");
  return t(letter.guard === "sealed" ? "seldom.guard.sealedLine" : `seldom.guard.${letter.guard}`);
}

export function letterTruth(letter: Letter, session: Session | null | undefined): string {
  if (letter.locked || letter.guard !== "sealed") return lineTruth(letter, session);
  if (boxes.shared !== null) {
    const proved = isOurs(letter.from.address, session) || letter.signature === "author";
    return t(`seldom.guard.${proved ? "sealedShared" : letter.signature === "gateway" ? "sharedByOperator" : "sharedUnproved"}`, { name: theirs() });
  }
  if (isMe(letter.from.address, session)) return t("seldom.guard.sealedMine");
  if (letter.signature === "gateway") return t("seldom.guard.sealedByOperator");
  if (letter.signature !== "author") return t("seldom.guard.sealedUnproved");
  const alone = letter.to.every(({ address }) => isMe(address, session));
  return alone ? t("seldom.guard.sealedOne", { name: isolated(nameOf(letter.from)) }) : t("seldom.guard.sealedMine");
}
