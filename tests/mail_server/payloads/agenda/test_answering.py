"""What an attendee may still answer when only occurrences of a series reached them."""

from __future__ import annotations

import pytest

from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import AgendaRefused, Me
from mail_server.payloads.agenda.reading import read_messages

ANNE, BRUNO, UID = "anne@chu.example", "bruno@patient.example", "serie-1@chu.example"


def hears(engine: Engine, method: str, day: str, *more: str) -> None:
    lines = [
        "BEGIN:VCALENDAR", f"METHOD:{method}", "VERSION:2.0", "BEGIN:VEVENT", f"UID:{UID}",
        f"RECURRENCE-ID:{day}T090000Z", f"DTSTART:{day}T090000Z", f"DTEND:{day}T093000Z", f"ORGANIZER:mailto:{ANNE}",
        f"ATTENDEE;RSVP=TRUE:mailto:{BRUNO}", *more, "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    for message in read_messages("\r\n".join(lines), ANNE, 0):
        engine.receive(message)


def invited_to(*days: str) -> Engine:
    engine = Engine(Me((BRUNO,), "Bruno"))
    for day in days:
        hears(engine, "REQUEST", day, "DTSTAMP:20261001T080000Z")
    return engine


def called_off(engine: Engine, day: str) -> None:
    hears(engine, "CANCEL", day, "DTSTAMP:20261001T090000Z", "SEQUENCE:1", "STATUS:CANCELLED")


@pytest.mark.parametrize("status", ["ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED"])
def test_nothing_is_answered_where_all_that_is_held_was_called_off(status: str) -> None:
    engine = invited_to("20261027", "20261103")
    called_off(engine, "20261027")
    called_off(engine, "20261103")
    before = engine.appointments[UID]
    assert before.role == "attendee"
    assert before.master is None
    with pytest.raises(AgendaRefused, match="cancelled"):
        engine.answer(UID, status, 0, delegate="elise@patient.example" if status == "DELEGATED" else "")
    assert engine.appointments[UID] == before


def test_an_answer_to_all_is_about_the_occurrences_that_stand() -> None:
    engine = invited_to("20261027", "20261103")
    called_off(engine, "20261027")
    (sent,) = engine.answer(UID, "ACCEPTED", 0)
    assert sent.message.method == "REPLY"
    assert [one.key for one in sent.message.components] == ["2026-11-03T09:00:00Z"]
