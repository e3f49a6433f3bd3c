"""iTIP in letters (RFC 6047): the calendars of a letter found and read, and letters made that people and programs read.

Who says what is told by the server: `sender` is the From that it verified (outer From = MAIL FROM), never a field
inside. Invariants: reading never raises, a calendar that cannot be used is a slug; METHOD of the part and of the
calendar must be one (RFC 6047 §2.4); a letter forwarded inside another invites nobody; a letter made has text for
people, French first, and one text/calendar part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from mail_server.mime import (
    Part,
    UnknownEncoding,
    address_field,
    date_text,
    decode_text,
    decoded_body,
    header_field,
    multipart,
    new_message_id,
    parameter,
    text_part,
)
from mail_server.mime.build import base64_lines
from mail_server.payloads.agenda.model import AgendaRefused, Component, Message, Outgoing, When
from mail_server.payloads.agenda.reading import SIZE, read_messages
from mail_server.payloads.agenda.writing import write_message

CALENDARS: Final = 10  # of one letter
_FROM_ATTENDEES: Final = ("REPLY", "COUNTER", "REFRESH")


@dataclass(frozen=True, slots=True)
class Found:
    """A calendar of a letter: its messages, or why there are none."""

    messages: tuple[Message, ...] = field(default=(), repr=False)
    refused: str = ""


def calendars(message: bytes, tree: Part, sender: str, received: int) -> tuple[Found, ...]:
    """The calendars of a letter; what is attached besides counts only where no part says METHOD (RFC 6047 §2.4)."""
    shown: list[Found] = []
    attached: list[Found] = []
    for part in _parts(tree):
        if len(shown) + len(attached) >= CALENDARS:
            break
        kind, name = part.content_type, (part.filename or "").lower()
        if kind == "text/calendar":
            shown.append(_read(message, part, sender, received))
        elif kind == "application/ics" or name.endswith(".ics"):
            attached.append(_read(message, part, sender, received))
    return tuple(shown or attached)


def said_by_sender(message: Message) -> bool:
    """Whether who is said to speak is who sent the letter: the organiser, or the attendee who answers."""
    if message.method in _FROM_ATTENDEES:
        return all(one.attendee((message.sender,)) is not None for one in message.components)
    return all(
        one.organiser is not None and one.organiser.address == message.sender for one in message.components
    )


def _parts(part: Part) -> Iterator[Part]:
    if part.is_message:
        return
    if not part.is_multipart:
        yield part
    for child in part.children:
        yield from _parts(child)


def _read(message: bytes, part: Part, sender: str, received: int) -> Found:
    if part.size > SIZE * 2:
        return Found(refused="too-large")
    told = dict(part.params)
    charset = (part.charset or "utf-8") if b"charset" in told else "utf-8"
    try:
        text = decode_text(decoded_body(message, part), "utf-8" if charset == "us-ascii" else charset)
        made = read_messages(text, sender, received)
    except UnknownEncoding:
        return Found(refused="encoding")
    except AgendaRefused as refusal:
        return Found(refused=refusal.slug)
    method = told.get(b"method", b"").decode("ascii", "replace").strip().upper()
    if method and method != made[0].method:
        return Found(refused="method-mismatch")
    return Found(made)


# -------------------------------------------------------------------------------------------------- letters

_DAYS: Final = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS: Final = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip
_SAID: Final = {
    "ACCEPTED": ("Rendez-vous accepté", "accepte le rendez-vous", "accepts the appointment"),
    "DECLINED": ("Rendez-vous refusé", "ne viendra pas au rendez-vous", "declines the appointment"),
    "TENTATIVE": ("Rendez-vous peut-être", "viendra peut-être au rendez-vous", "may come to the appointment"),
    "DELEGATED": ("Rendez-vous délégué", "sera remplacé au rendez-vous", "will be replaced at the appointment"),
    "COUNTER": ("Autre horaire proposé", "propose un autre horaire", "proposes another time"),
    "REQUEST": ("Rendez-vous", "vous propose un rendez-vous", "invites you to an appointment"),
    "PUBLISH": ("Rendez-vous", "vous communique un rendez-vous", "tells you of an appointment"),
    "ADD": ("Rendez-vous ajouté", "ajoute un rendez-vous", "adds an appointment"),
    "CANCEL": ("Rendez-vous annulé", "annule le rendez-vous", "cancels the appointment"),
    "REFRESH": ("Rendez-vous à renvoyer", "demande de nouveau le rendez-vous", "asks for the appointment again"),
    "DECLINECOUNTER": ("Horaire non retenu", "ne retient pas l'horaire proposé", "declines the proposed time"),
}  # fmt: skip


def letter(outgoing: Outgoing, name: str, domain: str) -> bytes:
    """The whole letter that carries a message."""
    message = outgoing.message
    subject, content = entity(message, name)
    head = [
        address_field("From", [(name, message.sender)]),
        address_field("To", [("", one) for one in outgoing.to]),
        header_field("Subject", subject),
        header_field("Date", date_text(message.received)),
        header_field("Message-ID", new_message_id(domain)),
        header_field("MIME-Version", "1.0"),
    ]
    return b"".join(head) + content


def entity(message: Message, name: str) -> tuple[str, bytes]:
    """Subject, and multipart/alternative of text and text/calendar: what stands below a letter's own fields."""
    subject, text = words(message, name)
    content = write_message(message).encode("utf-8", "replace")
    about, body = multipart("alternative", [text_part(text), calendar_part(content, message.method)])
    return subject, about + b"\r\n" + body


def calendar_part(content: bytes, method: str) -> bytes:
    """RFC 6047 §2.4 and §2.5: method, charset and component told; encoded, for gateways fold and rewrap text."""
    head = b"Content-Type: text/calendar; charset=utf-8;\r\n %b; component=VEVENT\r\n" % parameter(
        "method", method
    )
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(content)


def words(message: Message, name: str) -> tuple[str, str]:
    """Subject and text for people; French, then English."""
    one = message.components[0]
    said = message.method
    if said == "REPLY" and one.attendees:
        said = one.attendees[0].status if one.attendees[0].status in _SAID else "TENTATIVE"
    title, french, english = _SAID.get(said, _SAID["REQUEST"])
    about = one.title or "sans titre"
    lines = [f"{name or message.sender} {french}\u00a0: {about}"]
    if one.start is not None:
        lines.append(f"Quand\u00a0: {_when(one)}")
    if one.place:
        lines.append(f"Lieu\u00a0: {one.place}")
    if one.comment:
        lines.append(f"Message\u00a0: {one.comment}")
    lines += ["", f"{name or message.sender} {english}: {one.title or 'untitled'}"]
    return f"{title}\u00a0: {about}", "\n".join(lines) + "\n"


def _when(one: Component) -> str:
    start, end = one.start, one.end
    assert start is not None
    told = _day(start)
    if start.day:
        return told
    told += f" à {start.local[11:16]}"
    if end is not None:
        told += (
            f" - {end.local[11:16]}"
            if end.local[:10] == start.local[:10]
            else f" - {_day(end)} à {end.local[11:16]}"
        )
    return f"{told} ({start.zone})" if start.zone else told


def _day(when: When) -> str:
    day = date.fromisoformat(when.local[:10])
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"
