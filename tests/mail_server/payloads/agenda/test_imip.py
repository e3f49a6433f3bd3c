"""Letters that carry appointments (RFC 6047): what is found in them, who is believed, what ours look like."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from mail_server import mime
from mail_server.payloads.agenda import imip
from mail_server.payloads.agenda.attending import answer
from mail_server.payloads.agenda.model import Me, Message
from mail_server.payloads.agenda.reading import read_messages
from mail_server.payloads.agenda.receiving import receive

ANNE, BRUNO = "anne@chu.example", "bruno@patient.example"
CALENDAR = "\r\n".join(
    [
        "BEGIN:VCALENDAR", "METHOD:REQUEST", "VERSION:2.0", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20261001T080000Z",
        "DTSTART;TZID=Europe/Paris:20261120T100000", "DTEND;TZID=Europe/Paris:20261120T110000",
        "SUMMARY:Échographie", f"ORGANIZER:mailto:{ANNE}", f"ATTENDEE;RSVP=TRUE:mailto:{BRUNO}", "END:VEVENT",
        "END:VCALENDAR", "",
    ]
)  # fmt: skip


def found(letter: bytes) -> tuple[imip.Found, ...]:
    return imip.calendars(letter, mime.parse(letter), ANNE, 0)


def part(
    content: str = CALENDAR,
    kind: str = "text/calendar; charset=utf-8; method=REQUEST",
    charset: str = "utf-8",
) -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode() + content.encode(
        charset
    )


def mixed(*parts: bytes) -> bytes:
    field, body = mime.multipart("mixed", list(parts))
    return field + b"\r\n" + body


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_a_calendar_is_read_in_the_charset_it_says(charset: str) -> None:
    (one,) = found(part(kind=f"text/calendar; method=REQUEST; charset={charset}", charset=charset))
    assert one.messages[0].components[0].title == "Échographie"


def test_without_a_charset_it_is_utf_8() -> None:
    (one,) = found(part(kind="text/calendar; method=request"))
    assert one.messages[0].components[0].title == "Échographie"


def test_an_attached_file_counts_where_no_part_says_a_method() -> None:
    attached = mime.attachment_part(CALENDAR.encode(), "application/ics", "invite.ics")
    text = mime.text_part("Bonjour")
    assert len(found(mixed(text, part(), attached))) == 1
    (one,) = found(mixed(text, attached))
    assert one.messages[0].method == "REQUEST"
    (one,) = found(mixed(text, mime.attachment_part(CALENDAR.encode(), "application/octet-stream", "x.ICS")))
    assert one.messages[0].method == "REQUEST"


def test_a_method_of_the_part_that_is_not_the_calendar_s_is_refused() -> None:
    (one,) = found(part(kind="text/calendar; method=CANCEL; charset=utf-8"))
    assert (one.messages, one.refused) == ((), "method-mismatch")


def test_a_forwarded_letter_invites_nobody() -> None:
    forwarded = b"Content-Type: message/rfc822\r\n\r\nFrom: x@y\r\n" + part()
    assert found(mixed(mime.text_part("Pour information"), forwarded)) == ()


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        ("", "not-a-calendar"),
        ("x" * 3_000_000, "too-large"),
        (CALENDAR.replace("METHOD:REQUEST\r\n", ""), "method"),
        (CALENDAR.replace("VEVENT", "VTODO"), "not-an-event"),
    ],
)
def test_what_cannot_be_used_is_a_slug(content: str, slug: str) -> None:
    (one,) = found(part(content))
    assert (one.messages, one.refused) == ((), slug)


def test_an_organiser_is_believed_for_a_request_and_an_attendee_for_an_answer() -> None:
    (request,) = read_messages(CALENDAR, ANNE, 0)
    assert imip.said_by_sender(request)
    assert not imip.said_by_sender(replace(request, sender=BRUNO))
    reply = replace(request, method="REPLY", sender=BRUNO)
    assert imip.said_by_sender(reply)
    assert not imip.said_by_sender(replace(reply, sender=ANNE))


def answered() -> bytes:
    (request,) = read_messages(CALENDAR, ANNE, 0)
    me = Me((BRUNO,), "Bruno Été")
    held = receive(None, request, me).appointment
    assert held is not None
    (sent,) = answer(held, "ACCEPTED", me, 1_790_000_000_000, comment="À l'heure").outgoing
    return imip.letter(sent, "Bruno Été", "patient.example")


def test_an_answer_reads_as_a_letter_and_as_a_calendar() -> None:
    letter = answered()
    seen = email.message_from_bytes(letter, policy=email.policy.default)
    assert seen["Subject"] == "Rendez-vous accepté\u00a0: Échographie"
    assert (seen["To"], seen["From"]) == (ANNE, f"Bruno Été <{BRUNO}>")
    assert seen.get_content_type() == "multipart/alternative"
    text, calendar = seen.iter_parts()
    words = text.get_content()
    assert "Bruno Été accepte le rendez-vous\u00a0: Échographie" in words
    assert "vendredi 20 novembre 2026 à 10:00 - 11:00 (Europe/Paris)" in words
    assert "Bruno Été accepts the appointment" in words
    assert dict(calendar["Content-Type"].params) == {
        "charset": "utf-8",
        "method": "REPLY",
        "component": "VEVENT",
    }
    (one,) = imip.calendars(letter, mime.parse(letter), BRUNO, 0)
    assert one.messages[0].method == "REPLY"
    assert one.messages[0].components[0].comment == "À l'heure"
    assert imip.said_by_sender(one.messages[0])


def test_nothing_of_a_calendar_writes_a_field_of_the_letter() -> None:
    evil = CALENDAR.replace("SUMMARY:Échographie", "SUMMARY:a\\nBcc: x@y\\nb")
    (request,) = read_messages(evil, ANNE, 0)
    me = Me((BRUNO,), "B\r\nBcc: z@z")
    held = receive(None, request, me).appointment
    assert held is not None
    (sent,) = answer(held, "DECLINED", me, 0).outgoing
    letter = imip.letter(sent, me.name, "patient.example")
    head = letter.partition(b"\r\n\r\n")[0]
    assert not any(line.lower().startswith(b"bcc") for line in head.split(b"\r\n"))
    (one,) = imip.calendars(letter, mime.parse(letter), BRUNO, 0)
    assert isinstance(one.messages[0], Message)
