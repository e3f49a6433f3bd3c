"""What a report says to a person: a doctor, not a mail administrator. French, then English.

Invariants: pure; every fate and every cause has words, unknown ones too; what to do next is always said after a
failure; nothing is promised of what the other operator does.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from mail_server.outbound.interface import Notify, Outcome, Phase, Readable
from mail_server.outbound.reports.interface import Fate, Kept, Settled, Told

_NB = "\u00a0"


@dataclass(frozen=True, slots=True)
class Line:
    """One recipient of a report: what became of the letter, and who could read what left for them."""

    settled: Settled
    readable: Readable = Readable.SEALED
    meant: tuple[str, ...] = ()  # of an address that nobody has: who else may have been meant


class Cause(enum.Enum):
    """Why a letter did not arrive, as far as it matters to who wrote it."""

    UNKNOWN = "unknown"
    CLOSED = "closed"
    FULL = "full"
    TOO_LARGE = "too-large"
    TYPES = "types"
    SIGNED = "signed"
    NOT_LISTED = "not-listed"
    CERTIFICATE = "certificate"
    ASSURANCE = "assurance"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"
    POLICY = "policy"
    SEALING = "sealing"
    CONTENT = "content"
    GATE = "gate"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Both:
    """One thing said in both languages."""

    fr: str
    en: str


WHY: Final[Mapping[Cause, Both]] = {
    Cause.UNKNOWN: Both(
        "Cette adresse n’existe pas, ou plus, chez l’opérateur de votre correspondant.",
        "This address does not exist, or no longer exists, at your correspondent’s operator.",
    ),
    Cause.CLOSED: Both(
        "Cette boîte ne reçoit plus de messages.",
        "This mailbox takes no more messages.",
    ),
    Cause.FULL: Both(
        "La boîte de votre correspondant est pleine.",
        "Your correspondent’s mailbox is full.",
    ),
    Cause.TOO_LARGE: Both(
        "Votre message est plus gros que ce que l’opérateur de votre correspondant accepte.",
        "Your message is larger than your correspondent’s operator accepts.",
    ),
    Cause.TYPES: Both(
        "L’opérateur de votre correspondant ne sait pas traiter les adresses avec des lettres accentuées.",
        "Your correspondent’s operator cannot handle addresses with accented letters.",
    ),
    Cause.SIGNED: Both(
        "Le serveur de votre correspondant ne prend pas les lettres accentuées telles que votre logiciel les a"
        f" écrites et signées{_NB}: rien ne peut y être changé sans casser la signature.",
        "Your correspondent’s server does not take accented letters as your program wrote and signed them:"
        " nothing can be changed there without breaking the signature.",
    ),
    Cause.NOT_LISTED: Both(
        "Le domaine de cette adresse n’est pas, ou plus, dans l’espace de confiance"
        f"{_NB}: votre message n’y est pas parti.",
        "The domain of this address is not, or no longer, in the trust space: your message was not sent there.",
    ),
    Cause.CERTIFICATE: Both(
        "Le serveur de l’opérateur de votre correspondant n’a pas pu prouver son identité"
        f"{_NB}: votre message n’y est pas parti.",
        "Your correspondent’s operator’s server could not prove who it is: your message was not sent there.",
    ),
    Cause.ASSURANCE: Both(
        "Votre opérateur n’a pas pu vérifier les certificats nécessaires à cet échange"
        f"{_NB}: votre message n’est pas parti.",
        "Your operator could not verify the certificates that this exchange needs: your message was not sent.",
    ),
    Cause.BLOCKED: Both(
        "Votre opérateur a suspendu les échanges avec l’opérateur de votre correspondant.",
        "Your operator has suspended exchanges with your correspondent’s operator.",
    ),
    Cause.UNREACHABLE: Both(
        "Le serveur de l’opérateur de votre correspondant n’a pas répondu, ou n’a pas pu prendre votre message.",
        "Your correspondent’s operator’s server did not answer, or could not take your message.",
    ),
    Cause.POLICY: Both(
        "L’opérateur de votre correspondant a refusé ce message selon ses propres règles.",
        "Your correspondent’s operator refused this message by its own rules.",
    ),
    Cause.SEALING: Both(
        "Le message n’était pas scellé avec la clé actuelle de votre correspondant.",
        "The message was not sealed with your correspondent’s current key.",
    ),
    Cause.CONTENT: Both(
        "L’opérateur de votre correspondant n’a pas pu lire une pièce de ce message.",
        "Your correspondent’s operator could not read a part of this message.",
    ),
    Cause.GATE: Both(
        "Votre opérateur n’a pas pu préparer ce message pour son départ.",
        "Your operator could not prepare this message for leaving.",
    ),
    Cause.REFUSED: Both(
        "L’opérateur de votre correspondant a refusé ce message.",
        "Your correspondent’s operator refused this message.",
    ),
    Cause.CANCELLED: Both(
        "L’administrateur de votre opérateur a arrêté ce message avant son départ.",
        "The administrator of your operator stopped this message before it left.",
    ),
}

NEXT: Final[Mapping[Cause, Both]] = {
    Cause.UNKNOWN: Both(
        "Vérifiez l’adresse lettre à lettre, ou cherchez votre correspondant dans l’annuaire.",
        "Check the address letter by letter, or look your correspondent up in the directory.",
    ),
    Cause.CLOSED: Both(
        "Cherchez dans l’annuaire une autre adresse de votre correspondant, ou appelez-le.",
        "Look up another address of your correspondent in the directory, or call them.",
    ),
    Cause.FULL: Both(
        "Prévenez votre correspondant par un autre moyen, puis renvoyez le message.",
        "Tell your correspondent by other means, then send the message again.",
    ),
    Cause.TOO_LARGE: Both(
        "Envoyez les pièces jointes en plusieurs messages.",
        "Send the attachments in several messages.",
    ),
    Cause.TYPES: Both(
        "Écrivez à une adresse sans accents, ou depuis une adresse sans accents.",
        "Write to an address without accents, or from one.",
    ),
    Cause.SIGNED: Both(
        "Renvoyez le message sans le signer, ou réglez votre logiciel pour qu’il signe en sept bits.",
        "Send the message again without signing it, or set your program to sign in seven bits.",
    ),
    Cause.NOT_LISTED: Both(
        "Vérifiez ce qui suit le signe @. Si l’adresse est juste, ce correspondant n’est pas joignable par"
        " messagerie sécurisée.",
        "Check what follows the @ sign. If the address is right, this correspondent cannot be reached by secure"
        " messaging.",
    ),
    Cause.CERTIFICATE: Both(
        "Rien à corriger de votre côté. Prévenez votre administrateur, et joignez votre correspondant autrement"
        " si c’est urgent.",
        "Nothing to correct on your side. Tell your administrator, and reach your correspondent otherwise if it"
        " is urgent.",
    ),
    Cause.ASSURANCE: Both(
        "Rien à corriger de votre côté. Prévenez votre administrateur, et joignez votre correspondant autrement"
        " si c’est urgent.",
        "Nothing to correct on your side. Tell your administrator, and reach your correspondent otherwise if it"
        " is urgent.",
    ),
    Cause.BLOCKED: Both(
        "Demandez à votre administrateur jusqu’à quand, et joignez votre correspondant autrement si c’est urgent.",
        "Ask your administrator for how long, and reach your correspondent otherwise if it is urgent.",
    ),
    Cause.UNREACHABLE: Both(
        "Renvoyez le message plus tard, ou joignez votre correspondant autrement si c’est urgent.",
        "Send the message again later, or reach your correspondent otherwise if it is urgent.",
    ),
    Cause.POLICY: Both(
        "Lisez la raison donnée ci-dessous par son serveur, et demandez-lui s’il peut recevoir ce message.",
        "Read the reason its server gives below, and ask your correspondent whether they can receive this"
        " message.",
    ),
    Cause.SEALING: Both(
        "Dans votre logiciel, mettez à jour la clé de votre correspondant, puis renvoyez le message.",
        "In your program, refresh your correspondent’s key, then send the message again.",
    ),
    Cause.CONTENT: Both(
        "Vérifiez les pièces jointes, puis renvoyez le message.",
        "Check the attachments, then send the message again.",
    ),
    Cause.GATE: Both(
        "Renvoyez le message. Si cela se répète, prévenez votre administrateur.",
        "Send the message again. If it happens again, tell your administrator.",
    ),
    Cause.REFUSED: Both(
        "Lisez la raison donnée ci-dessous par son serveur, ou joignez votre correspondant autrement.",
        "Read the reason its server gives below, or reach your correspondent otherwise.",
    ),
    Cause.CANCELLED: Both(
        "Demandez-lui pourquoi avant de renvoyer ce message.",
        "Ask them why before you send this message again.",
    ),
}

_SLUGS: Final[Mapping[str, Cause]] = {
    "smtputf8-not-offered": Cause.TYPES,
    "eight-bit-not-offered": Cause.SIGNED,
    "larger-than-offered": Cause.TOO_LARGE,
    "bad-address": Cause.UNKNOWN,
    "null-mx": Cause.UNREACHABLE,
    "name-unknown": Cause.UNREACHABLE,
    "inside": Cause.UNREACHABLE,
    "not-listed": Cause.NOT_LISTED,
    "no-starttls": Cause.CERTIFICATE,
    "starttls-injection": Cause.CERTIFICATE,
    "our-certificate": Cause.ASSURANCE,
    "our-certificate-refused": Cause.ASSURANCE,
    "not-judged": Cause.ASSURANCE,
    "trust-list-stale": Cause.ASSURANCE,
    "revocation-unknown": Cause.ASSURANCE,
    "certificate-held": Cause.ASSURANCE,
    "operator-blocked": Cause.BLOCKED,
    "bad-sender": Cause.GATE,
    "bare-line-end": Cause.GATE,
}
# RFC 3463 §3: subject and detail, without the class; the subject alone where no detail stands.
_ENHANCED: Final[Mapping[str, Cause]] = {
    "1.7": Cause.REFUSED,
    "1.8": Cause.REFUSED,
    "1": Cause.UNKNOWN,
    "2.2": Cause.FULL,
    "2.3": Cause.TOO_LARGE,
    "2": Cause.CLOSED,
    "3.1": Cause.FULL,
    "3.4": Cause.TOO_LARGE,
    "4": Cause.UNREACHABLE,
    "6.7": Cause.TYPES,
    "6.9": Cause.TYPES,
    "6": Cause.CONTENT,
    "7.5": Cause.SEALING,
    "7": Cause.POLICY,
}
_CODES: Final[Mapping[int, Cause]] = {552: Cause.TOO_LARGE, 551: Cause.UNKNOWN, 553: Cause.UNKNOWN}


def cause(settled: Settled) -> Cause:
    """Why, from the last attempt: what we found ourselves, then what the peer said, then where it ended."""
    last = settled.last
    if settled.fate is Fate.CANCELLED:
        return Cause.CANCELLED
    if last is None:
        return Cause.UNREACHABLE
    if last.reason in _SLUGS:
        return _SLUGS[last.reason]
    if last.phase in (Phase.TLS, Phase.TRUST):
        return Cause.CERTIFICATE
    if last.phase is Phase.OPEN:
        return Cause.GATE
    if last.phase in (Phase.ROUTE, Phase.CONNECT, Phase.GREETING, Phase.HELLO):
        return Cause.UNREACHABLE
    return _by_code(last)


def _by_code(last: Outcome) -> Cause:
    kind, _, detail = last.enhanced.partition(".")
    subject = detail.partition(".")[0]
    if kind in ("4", "5") and detail != "0.0":
        if detail in _ENHANCED:
            return _ENHANCED[detail]
        if subject in _ENHANCED:
            return _ENHANCED[subject]
    if last.code in _CODES:
        return _CODES[last.code]
    return Cause.REFUSED if last.code // 100 == 5 else Cause.UNREACHABLE


_ARRIVED: Final[Mapping[Readable, Both]] = {
    Readable.SEALED: Both(
        f"Remis à son opérateur, scellé{_NB}: personne d’autre que le destinataire ne peut l’ouvrir.",
        "Handed over to their operator, sealed: nobody but the addressee can open it.",
    ),
    Readable.SEALED_TO_OPERATOR: Both(
        f"Remis à son opérateur, scellé jusqu’à lui{_NB}: cet opérateur garde la clé du destinataire et peut"
        " l’ouvrir.",
        "Handed over to their operator, sealed up to it: that operator holds the addressee’s key and can open it.",
    ),
    Readable.GATED: Both(
        f"Remis à son opérateur par une liaison chiffrée, mais lisible par lui{_NB}: cet opérateur ne publie pas"
        " de clé pour ce destinataire.",
        "Handed over to their operator through an encrypted link, but readable by it: that operator publishes no"
        " key for this addressee.",
    ),
}
_KEPT: Final[Mapping[Kept, Both]] = {
    Kept.NOBODY_ELSE: Both(
        f"Déposé dans sa boîte, scellé{_NB}: personne d’autre que le destinataire ne peut l’ouvrir.",
        "Laid down in their mailbox, sealed: nobody but the addressee can open it.",
    ),
    Kept.OPERATOR: Both(
        f"Déposé dans sa boîte, chiffré{_NB}: son opérateur en garde la clé.",
        "Laid down in their mailbox, encrypted: their operator holds the key.",
    ),
    Kept.PATIENT: Both(
        f"Déposé dans son espace, scellé{_NB}: l’opérateur en garde la clé jusqu’à ce que le patient ouvre son"
        " espace, ensuite lui seul peut l’ouvrir.",
        "Laid down in their space, sealed: the operator holds the key until the patient opens the space, then the"
        " patient alone can open it.",
    ),
}
_CONFIRMS = Both(
    "Son opérateur s’est engagé à vous confirmer l’arrivée dans la boîte.",
    "Their operator has undertaken to confirm arrival in the mailbox.",
)
_NO_MORE = Both(
    f"Vous ne recevrez pas d’autre avis{_NB}: son opérateur ne confirme pas l’arrivée dans la boîte.",
    "You will receive no further notice: their operator does not confirm arrival in the mailbox.",
)


def subject(lines: Sequence[Line]) -> str:
    """The gravest thing first; never the letter's own subject."""
    fates = {line.settled.fate for line in lines}
    if fates & {Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED}:
        return "Message non distribué / Message not delivered"
    if Fate.DELAYED in fates:
        return "Message retardé / Message delayed"
    return "Message remis / Message delivered"


def text(told: Told, lines: Sequence[Line], zone: ZoneInfo) -> str:
    french, english = _Writer(zone, french=True), _Writer(zone, french=False)
    return "\n".join([*french.letter(told, lines), "", "- - -", "", *english.letter(told, lines)]) + "\n"


class _Writer:
    """One language."""

    def __init__(self, zone: ZoneInfo, *, french: bool) -> None:
        self._zone = zone
        self._french = french

    def letter(self, told: Told, lines: Sequence[Line]) -> list[str]:
        when = self._time(told.accepted_at)
        written = [
            f"Ce qu’il advient de votre message du {when}{_NB}:"
            if self._french
            else f"What became of your message of {when}:"
        ]
        for line in lines:
            address = line.settled.recipient.address
            written += ["", f"    {address}", *(f"        {each}" for each in self._line(line))]
        written += [
            "",
            "Cet avis ne contient ni l’objet ni le contenu de votre message."
            if self._french
            else "This notice holds neither the subject nor the content of your message.",
        ]
        return written

    def _line(self, told: Line) -> list[str]:
        line = told.settled
        if line.fate is Fate.RELAYED:
            written = [self._in(_ARRIVED[told.readable])]
            if line.recipient.notify & Notify.SUCCESS:  # who did not ask for a confirmation awaits none
                confirms = line.last is not None and line.last.dsn
                written.append(self._in(_CONFIRMS if confirms else _NO_MORE))
            return written
        if line.fate is Fate.DELIVERED:
            return [self._in(_KEPT[line.kept or Kept.OPERATOR])]
        why = cause(line)
        if line.fate is Fate.DELAYED:
            return [*self._delayed(line), *([] if line.last is None else [self._in(WHY[why])])]
        first = [self._in(WHY[why])]
        if line.fate is Fate.EXPIRED:
            gave_up = Both(
                f"Non distribué{_NB}: après de nombreux essais, le délai est passé.",
                "Not delivered: after many attempts, the time is over.",
            )
            first = [self._in(gave_up), *first]
        elif line.fate is Fate.FAILED:
            first = [self._in(Both("Non distribué.", "Not delivered.")), *first]
        if told.meant:
            first.append(self._meant(told.meant))
        doing = f"À faire{_NB}: " if self._french else "What to do: "
        return [*first, doing + self._in(NEXT[why]), *self._said(line.last)]

    def _meant(self, addresses: Sequence[str]) -> str:
        if self._french:
            return (
                f"L’annuaire connaît une adresse proche. Vouliez-vous écrire à {' ou '.join(addresses)}{_NB}?"
            )
        return f"The directory knows an address near it. Did you mean {' or '.join(addresses)}?"

    def _delayed(self, line: Settled) -> list[str]:
        until = self._time(line.until) if line.until else ""
        if self._french:
            limit = f", jusqu’au {until}" if until else ""
            return [
                "Pas encore remis. Votre opérateur continue d’essayer" + limit + f"{_NB}: ne renvoyez rien.",
                "Vous serez prévenu si le message ne peut pas être remis.",
            ]
        limit = f", until {until}" if until else ""
        return [
            f"Not handed over yet. Your operator goes on trying{limit}: do not send it again.",
            "You will be told if the message cannot be handed over.",
        ]

    def _said(self, last: Outcome | None) -> list[str]:
        if last is None or not last.code:
            return []
        words = " ".join(each for each in (str(last.code), last.enhanced, last.said) if each)
        return [f"Réponse de son serveur{_NB}: {words}" if self._french else f"Its server said: {words}"]

    def _in(self, both: Both) -> str:
        return both.fr if self._french else both.en

    def _time(self, at: int) -> str:
        moment = datetime.fromtimestamp(at / 1000, UTC).astimezone(self._zone)
        return f"{moment:%d/%m/%Y à %H:%M}" if self._french else f"{moment:%Y-%m-%d %H:%M}"
