"""Every notice there is. A notice is one of these texts, and a code, a day or the page's address.

Invariants: no text says who wrote, what about, to whom, of which speciality, or how many letters there are; none asks
for a password; the page's address is the operator's own, from its configuration.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass, field

from mail_server import mime


class Kind(enum.StrEnum):
    NEW_LETTER = "new-letter"
    CONFIRM = "confirm"
    INACTIVITY = "inactivity"


LANGUAGES = ("fr", "en")


@dataclass(frozen=True, slots=True)
class Said:
    """What a text may hold beside its words."""

    page: str  # address of the page; "" when people find it elsewhere
    operator: str  # name of the operator, as people know it
    code: str = field(default="", repr=False)
    day: str = ""  # YYYY-MM-DD


_SUBJECTS = {
    (Kind.NEW_LETTER, "fr"): "Vous avez un nouveau message dans votre messagerie de santé",
    (Kind.NEW_LETTER, "en"): "You have a new message in your health mailbox",
    (Kind.CONFIRM, "fr"): "Votre code pour recevoir des avis",
    (Kind.CONFIRM, "en"): "Your code to receive notices",
    (Kind.INACTIVITY, "fr"): "Votre messagerie de santé va être fermée",
    (Kind.INACTIVITY, "en"): "Your health mailbox will be closed",
}

_TEXTS = {
    (Kind.NEW_LETTER, "fr"): (
        "Bonjour,\n\n"
        "Un nouveau message vous attend dans votre messagerie de santé ({operator}).\n"
        "Pour le lire, ouvrez votre messagerie comme d’habitude{page}.\n\n"
        "Par sécurité, cet avis ne dit ni qui vous écrit, ni à quel sujet, et il ne demande jamais de mot de passe."
    ),
    (Kind.NEW_LETTER, "en"): (
        "Hello,\n\n"
        "A new message is waiting in your health mailbox ({operator}).\n"
        "To read it, open your mailbox as usual{page}.\n\n"
        "For your safety this notice says neither who writes nor what about, and never asks for a password."
    ),
    (Kind.CONFIRM, "fr"): (
        "Bonjour,\n\n"
        "Pour recevoir ici un avis quand un message arrive, recopiez ce code dans la page\u00a0:\n\n"
        "    {code}\n\n"
        "Il sert pendant 15 minutes. Si vous n’avez rien demandé, ne faites rien\u00a0: cette adresse ne recevra"
        " pas d’avis."
    ),
    (Kind.CONFIRM, "en"): (
        "Hello,\n\n"
        "To receive a notice here when a message arrives, copy this code into the page:\n\n"
        "    {code}\n\n"
        "It works for 15 minutes. If you asked for nothing, do nothing: this address will receive no notices."
    ),
    (Kind.INACTIVITY, "fr"): (
        "Bonjour,\n\n"
        "Personne n’a ouvert votre messagerie de santé ({operator}) depuis longtemps. Elle sera fermée le {day}.\n"
        "Pour la garder, connectez-vous avant cette date{page}."
    ),
    (Kind.INACTIVITY, "en"): (
        "Hello,\n\n"
        "Nobody has opened your health mailbox ({operator}) for a long time. It will be closed on {day}.\n"
        "To keep it, log in before that date{page}."
    ),
}


def message(kind: Kind, language: str, sender: str, to: str, said: Said, at: int) -> bytes:
    """The whole notice, RFC 5322. `at`: ms UTC."""
    spoken = language if language in LANGUAGES else LANGUAGES[0]
    page = f"\u00a0: {said.page}" if said.page and spoken == "fr" else f": {said.page}" if said.page else ""
    text = _TEXTS[kind, spoken].format(operator=said.operator, code=said.code, day=said.day, page=page)
    header = b"".join(
        (
            mime.header_field("Date", mime.date_text(at)),
            mime.address_field("From", [(said.operator, sender)]),
            mime.address_field("To", [("", to)]),
            mime.header_field("Subject", _SUBJECTS[kind, spoken]),
            mime.header_field("Message-ID", f"<{secrets.token_hex(12)}@{sender.rpartition('@')[2]}>"),
            b"Auto-Submitted: auto-generated\r\n",  # RFC 3834 §5: nobody's machine answers it
            b"MIME-Version: 1.0\r\n",
        )
    )
    return header + mime.text_part(text.replace("\n", "\r\n") + "\r\n")
