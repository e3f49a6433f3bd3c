"""What a letter carries beside its text, at the end of DATA: read, judged, and joined to what is sealed.

Invariants: only a letter in clear in which `find` saw something structured is read, in a process without secrets; what
that process refuses is 554 with the code that receiving software knows (reference/mssante.md §4.5), what it could not
read now is 451; documents go to no recipient from whom their confidentiality keeps them, and one such recipient refuses
the whole letter, since all share one reply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mail_server.accounts.entities import account_entity
from mail_server.accounts.interface import Account, Kind
from mail_server.delivery.examine import Letter
from mail_server.payloads.manifest import Manifest
from mail_server.payloads.reader import NotRead, Reads
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from policies import questions
from policies.interface import Decisions, Entity, Question
from policies.refusal import Refusal

_NOT_CARRIED = {
    "carry-invisible-to-patient": "The patient must not see this document yet: send it once announced",
    "carry-masked-to-professional": "The patient masks this document from professionals",
    "carry-wrong-combination": "A document cannot be masked from professionals and invisible to the patient",
}


class DocumentsRefused(Refusal):
    """What a letter carries is not taken; `ans` is the code that software knows."""

    __slots__ = ("ans",)

    def __init__(self, sentence: str, reason: str, ans: AnsCode) -> None:
        super().__init__(554, "5.6.0", sentence, reason)
        self.ans = ans


class Structured:
    def __init__(self, reader: Reads, decisions: Decisions) -> None:
        self._reader = reader
        self._decisions = decisions

    async def drawn(self, letter: Letter, sender: str = "") -> Letter:
        """The letter with its manifest, if it has one; those of one `sender` wait for each other. Raises Refusal."""
        if letter.ciphertext is not None or not letter.findings.structured:
            return letter
        try:
            found = await self._reader.read(letter.data, sender)
        except RecordRefused as refused:
            raise _refusal(refused) from None
        except NotRead as failure:
            raise Refusal(
                451,
                "4.3.0",
                "The documents of this letter could not be read now, please try again later",
                f"record-{failure.slug}",
            ) from None
        return replace(
            letter,
            manifest=found.manifest,
            confidentiality=found.confidentiality,
            cda=found.cda,
            identified=found.identified,
        )

    async def drawn_again(self, letter: Letter) -> Letter:
        """The same of a letter that was accepted before: nothing of it is refused any more. Raises Refusal (451)."""
        try:
            return await self.drawn(letter)
        except Refusal as refusal:
            if refusal.temporary:
                raise
            return replace(letter, manifest=Manifest(flags=("refused",)))

    def require_carried(self, sender: Entity, letter: Letter, recipients: Iterable[Account]) -> None:
        """Whether each of them may be sent these documents. Raises Refusal."""
        if not letter.confidentiality & questions.CONFIDENTIALITY:
            return
        for recipient in recipients:
            question = questions.may_carry(
                sender,
                account_entity(recipient),
                to_patient=recipient.kind is Kind.PATIENT,
                codes=letter.confidentiality,
            )
            self._require(question)

    def require_carried_abroad(self, sender: Entity, letter: Letter, to_patients: Iterable[bool]) -> None:
        """The same for addressees of other operators: of each it is known whether the address is a patient's."""
        if not letter.confidentiality & questions.CONFIDENTIALITY:
            return
        for to_patient in set(to_patients):
            someone = questions.account("abroad", "", "PATIENT" if to_patient else "PER", suspended=False)
            self._require(
                questions.may_carry(sender, someone, to_patient=to_patient, codes=letter.confidentiality)
            )

    def _require(self, question: Question) -> None:
        decision = self._decisions.decide(question)
        if not decision.allowed:
            words = _NOT_CARRIED.get(decision.rule, "This document may not be sent to a recipient")
            raise Refusal(554, "5.7.1", words, decision.rule)


def _refusal(refused: RecordRefused) -> DocumentsRefused:
    code = "" if "(ANS " in refused.sentence else f" (ANS {int(refused.code)})"
    return DocumentsRefused(refused.sentence + code, refused.slug, refused.code)
