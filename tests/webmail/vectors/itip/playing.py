"""Plays exchanges between people, each with an engine of their own; the page plays them by tests/agenda_playing.ts.

A transcript is a list of steps: somebody does something (and messages come out of it, named), takes a named message as
somebody sent it, or takes a calendar as written. Each step tells the events, and what its person then sees.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.expansion import occurrences
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import AgendaRefused, Event, Me, Outgoing, When, stamp_text
from mail_server.payloads.agenda.reading import read_calendar, read_messages
from mail_server.payloads.agenda.writing import write_message

HERE = "Europe/Paris"
FIRST, LAST = 1_767_225_600_000, 1_861_920_000_000  # 2026-01-01 to 2029-01-01
SHOWN = 12


def at(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def when(text: str) -> When:
    """ "2026-11-20T10:00:00[Europe/Paris]"."""
    local, _, zone = text.partition("[")
    return When(local, zone.rstrip("]"))


def told(event: Event) -> str:
    """An event in a line: kind, occurrence, who, status, reason."""
    parts = [event.kind, event.recurrence, event.who, event.status, event.reason]
    return " ".join(one for one in parts if one)


def view(engine: Engine, uid: str) -> dict[str, Any] | None:
    """What one person sees of an appointment."""
    held = engine.appointments.get(uid)
    if held is None:
        return None
    mine = engine.me.addresses
    whole = held.master.component if held.master is not None else None
    return {
        "role": held.role,
        "trust": held.trust,
        "organiser": held.organiser,
        "sequence": standing.top(held),
        "cancelled": whole is not None and whole.status == "CANCELLED",
        "title": whole.title if whole is not None else "",
        "mine": standing.status_of(held, "", mine),
        "times": [
            [one.key, stamp_text(one.start), stamp_text(one.end), one.component.title, one.component.place]
            + ([one.cancelled] if one.cancelled else [])
            for one in occurrences(held, FIRST, LAST, HERE)[:SHOWN]
        ],
        "answers": [
            [one.component.key, standing.status_of(held, one.component.key, mine)] for one in held.overrides
        ],
        "attendees": [[one.address, one.status] for one in standing.attendees_of(held)],
        "proposals": [[one.address, one.recurrence, one.start.key] for one in standing.open_proposals(held)],
        "crashers": [[one.address, one.status] for one in standing.crashers(held)]
        if held.role == "organiser"
        else [],
        "former": list(held.former),
    }


def state(engine: Engine, uid: str) -> Any:
    """All that is held, as JSON."""
    held = engine.appointments.get(uid)
    return None if held is None else json.loads(json.dumps(asdict(held)))


def act(engine: Engine, deed: str, given: dict[str, Any], now: int) -> tuple[Outgoing, ...]:
    """One of the engine's acts, with what a transcript gives it."""
    said = dict(given)
    if deed in ("organise", "change", "add"):
        (component,) = read_calendar("\r\n".join(said["ics"])).components
        return getattr(engine, deed)(component, now)
    uid = said.pop("uid")
    if deed == "answer":
        return engine.answer(uid, said.pop("status"), now, **said)
    if deed == "propose":
        start, end = when(said.pop("start")), when(said.pop("end"))
        return engine.propose(uid, start, end, now, **said)
    if deed in ("decline_counter", "accept_counter", "admit", "refreshed"):
        return getattr(engine, deed)(uid, said.pop("address"), now, **said)
    return getattr(engine, deed)(uid, now, **said)


@dataclass
class Step:
    """What a step came to, in the words of a transcript."""

    events: list[str]
    sends: list[dict[str, Any]]
    refused: str = ""


def play(engine: Engine, step: dict[str, Any], sent: dict[str, str]) -> Step:
    """One step; `sent`: calendars by name, to which this one's are added."""
    now = at(step["at"])
    if "do" in step:
        try:
            made = act(engine, step["do"], step.get("given", {}), now)
        except AgendaRefused as refusal:
            return Step([], [], refusal.slug)
        sends: list[dict[str, Any]] = []
        for number, one in enumerate(made):
            name = f"{step['as']}{number or ''}"
            sent[name] = write_message(one.message)
            sends.append({"to": list(one.to), "as": name, "ics": sent[name].split("\r\n")[:-1]})
        return Step([], sends)
    text = sent[step["take"]] if "take" in step else "\r\n".join(step["ics"]) + "\r\n"
    try:
        messages = read_messages(text, step["from"], now)
    except AgendaRefused as refusal:
        return Step([], [], refusal.slug)
    return Step([told(one) for message in messages for one in engine.receive(message)], [])


def replay(transcript: dict[str, Any]) -> list[str]:
    """Where playing a transcript comes to something else than it says; empty when nowhere."""
    engines = {
        name: Engine(Me(tuple(addresses), name.title())) for name, addresses in transcript["people"].items()
    }
    sent: dict[str, str] = {}
    wrong: list[str] = []
    for number, step in enumerate(transcript["steps"]):
        engine = engines[step["who"]]
        made = play(engine, step, sent)
        wanted = Step(step.get("events", []), step.get("sends", []), step.get("refused", ""))
        if made != wanted:
            wrong.append(f"{transcript['title']}, step {number}: {made} instead of {wanted}")
        seen = view(engine, transcript["uid"])
        if seen != step["view"]:
            wrong.append(f"{transcript['title']}, step {number}: {seen} instead of {step['view']}")
    return wrong
