"""The page's engine of appointments held against Python's: the same transcripts, and exchanges, calendars and
repetitions made up at random, over one program of Node."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import icalendar
import pytest

from mail_server.payloads.agenda.expansion import occurrences
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import AgendaRefused, Appointment, Component, Held, Me, When
from mail_server.payloads.agenda.reading import Calendar, read_calendar
from mail_server.payloads.agenda.writing import write_calendar
from tests.webmail.vectors.itip import playing

VECTORS = Path(__file__).parent / "vectors"
UID = "rendez-vous@chu.example"
PEOPLE = {one: [f"{one}@example.com"] for one in ("anne", "bruno", "chloe")}


@dataclass
class Twin:
    process: subprocess.Popen[str]

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def twin(programs: tuple[Path, Path]) -> Iterator[Twin]:
    node, folder = programs
    command = [str(node), str(folder / "agenda_command.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Twin(process)
        assert process.stdin is not None
        process.stdin.close()


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_the_page_plays_every_transcript_to_the_same_end(programs: tuple[Path, Path]) -> None:
    node, folder = programs
    command = [str(node), str(folder / "agenda.test.mjs"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    wanted = sum(len(json.loads(path.read_text())) for path in (VECTORS / "itip").glob("*.json"))
    assert f"\n# pass {wanted}\n" in done.stdout


# ------------------------------------------------------------------------------------------- exchanges at random


def made_up(chance: random.Random) -> dict[str, Any]:
    """An exchange: what people may do, and messages that arrive in any order, twice, from whoever says so."""
    engines = {name: Engine(Me(tuple(PEOPLE[name]), name.title())) for name in PEOPLE}
    sent: dict[str, str] = {}
    steps: list[dict[str, Any]] = []
    for number in range(40):
        who = chance.choice([*PEOPLE, "anne"])
        minute = f"2026-10-01T{8 + number // 60:02d}:{number % 60:02d}:00Z"
        step: dict[str, Any] = {"who": who, "at": minute}
        if number and sent and chance.random() < 0.6:
            name = chance.choice(list(sent))
            writer = next(one for one in PEOPLE if name.startswith(one))
            sender = writer if chance.random() < 0.85 else chance.choice(list(PEOPLE))
            step |= {"take": name, "from": PEOPLE[sender][0]}
        else:
            step |= {"as": f"{who}-{number}-", **deed(chance, engines[who], first=not number)}
            step["who"] = "anne" if not number else who
            step["as"] = f"{step['who']}-{number}-"
        steps.append(step)
        playing.play(engines[step["who"]], step, sent)
    return {"title": "", "uid": UID, "people": PEOPLE, "steps": steps}


def lines(chance: random.Random, *, series: bool) -> list[str]:
    day, hour = chance.randint(1, 28), chance.randint(7, 20)
    zone = chance.choice(["Europe/Paris", "America/New_York", "Indian/Reunion"])
    rule = (
        [chance.choice(["RRULE:FREQ=WEEKLY;COUNT=5", "RRULE:FREQ=DAILY;UNTIL=20261201T000000Z"])]
        if series
        else []
    )
    guests = chance.sample(["bruno", "chloe", "david"], chance.randint(1, 3))
    return [
        f"DTSTART;TZID={zone}:202610{day:02d}T{hour:02d}0000",
        f"DTEND;TZID={zone}:202610{day:02d}T{hour:02d}3000",
        *rule,
        f"SUMMARY:Suivi {chance.randint(1, 99)}",
        *(f"ATTENDEE:mailto:{one}@example.com" for one in guests),
    ]


def deed(chance: random.Random, engine: Engine, *, first: bool) -> dict[str, Any]:
    def calendar(*more: str, series: bool) -> dict[str, Any]:
        told = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", f"UID:{UID}", *more, *lines(chance, series=series)]
        return {"ics": [*told, "END:VEVENT", "END:VCALENDAR"]}

    if first:
        return {"do": "organise", "given": calendar(series=True)}
    held = engine.appointments.get(UID)
    keys = ["", "2026-10-20T08:00:00Z"]
    if held is not None:
        first_ms, last_ms = playing.FIRST, playing.FIRST + 400 * 86_400_000
        keys += [one.key for one in occurrences(held, first_ms, last_ms, "Europe/Paris")][:6]
    key, other = chance.choice(keys), f"{chance.choice(['bruno', 'chloe', 'david'])}@example.com"
    stamp = key.replace("-", "").replace(":", "")
    times = {"start": "2026-11-20T16:00:00[Europe/Paris]", "end": "2026-11-20T17:00:00[Europe/Paris]"}
    return chance.choice(
        [
            {"do": "change", "given": calendar(series=chance.random() < 0.5)},
            {"do": "change", "given": calendar(*([f"RECURRENCE-ID:{stamp}"] if stamp else []), series=False)},
            {"do": "add", "given": calendar(series=False)},
            {"do": "cancel", "given": {"uid": UID, "recurrence": key, "future": chance.random() < 0.3}},
            {"do": "answer", "given": {"uid": UID, "status": "ACCEPTED", "recurrence": key}},
            {"do": "answer", "given": {"uid": UID, "status": "DELEGATED", "delegate": "chloe@example.com"}},
            {"do": "propose", "given": {"uid": UID, "recurrence": key, **times}},
            {"do": "decline_counter", "given": {"uid": UID, "address": other, "recurrence": key}},
            {"do": "accept_counter", "given": {"uid": UID, "address": other, "recurrence": key}},
            {"do": "admit", "given": {"uid": UID, "address": other}},
            {"do": "refreshed", "given": {"uid": UID, "address": other}},
            {"do": "refresh", "given": {"uid": UID, "organiser": "anne@example.com"}},
        ]
    )


def test_exchanges_made_up_come_to_the_same_events_messages_and_states(twin: Twin) -> None:
    for seed in range(80):
        transcript = made_up(random.Random(seed))
        engines = {name: Engine(Me(tuple(PEOPLE[name]), name.title())) for name in PEOPLE}
        sent: dict[str, str] = {}
        made = [asdict(playing.play(engines[step["who"]], step, sent)) for step in transcript["steps"]]
        found = twin.ask(play=transcript)["made"]
        for number, (ours, theirs) in enumerate(zip(made, found["made"], strict=True)):
            assert theirs == plain(ours), (seed, number, transcript["steps"][number])
        for name, engine in engines.items():
            assert found["held"][name] == playing.state(engine, UID), (seed, name)


# ------------------------------------------------------------------------------- calendars, repetitions at random

WORDS = ["Été", "a\\,b", "c\\nd", "\\\\", "😀", "x" * 90, "é" * 60, "", "^n", ";:", '"', "\u2028"]
ODD = [
    'ATTENDEE;CN="D, E";RSVP=true;DELEGATED-TO="mailto:a@b","mailto:C%2Bd@e":MAILTO:x@y',
    "ATTENDEE:mailto:",
    "ATTENDEE;CN=:mailto:b@c",
    "ORGANIZER;CN=^'Anne^';SENT-BY=\"mailto:s@t\":mailto:Anne@Example.com",
    "ORGANIZER:urn:x",
    "SEQUENCE:99",
    "SEQUENCE:-1",
    "DURATION:PT1H",
    "DURATION:P1W",
    "DURATION:-P1D",
    "DTEND:20261120T120000Z",
    "DTEND;VALUE=DATE:20261121",
    "RRULE:FREQ=DAILY;UNTIL=20261224",
    "RRULE:FREQ=HOURLY",
    "RRULE:FREQ=WEEKLY;BYDAY=MO,+TU",
    "RRULE:FREQ=MONTHLY;BYDAY=-1FR,2MO;COUNT=4",
    "RDATE;VALUE=PERIOD:20261120T100000Z/PT1H,20261122T100000Z/PT2H",
    "EXDATE;TZID=Romance Standard Time:20261120T100000,20261121T100000",
    "EXDATE;VALUE=DATE:20261122",
    "STATUS:tentative",
    "STATUS:FOO",
    "RECURRENCE-ID;RANGE=THISANDFUTURE:20261120T090000Z",
    "DTSTAMP:20261101T090000Z",
    "DTSTAMP;TZID=Europe/Paris:20261101T090000",
    'X-A;B=c,"d;e",f:g\\,h',
    "no colon at all",
    ";=:",
    "X:",
    "ATTACH;VALUE=BINARY;ENCODING=BASE64:AAAA",
    "GEO:1;2",
    "BEGIN:VALARM",
    "END:VALARM",
    " folded",
    "\tfolded",
    "CLASS:\x01PRIVATE",
    "DTSTART:20261340T000000Z",
    "DTSTART:18991231T000000Z",
]
STARTS = [
    "DTSTART:20261120T100000Z",
    "DTSTART;TZID=Europe/Paris:20261120T100000",
    "DTSTART;VALUE=DATE:20261120",
    "DTSTART:20261120T100000",
    "DTSTART;TZID=Romance Standard Time:20261025T023000",
    'DTSTART;TZID="Pacific Standard Time":20261120T100060',
    "DTSTART;TZID=Nowhere:20261120T100000",
    "DTSTART;TZID=/x/America/Argentina/Ushuaia:20261120T100000",
    "DTSTART;TZID=Africa/Casablanca:20260220T100000",
]


def calendar_of(chance: random.Random) -> bytes:
    told = ["BEGIN:VCALENDAR", "METHOD:REQUEST"]
    for _ in range(chance.randint(1, 2)):
        body = [
            f"UID:{chance.choice(['1', 'é'])}",
            chance.choice(STARTS),
            f"SUMMARY:{chance.choice(WORDS)}{chance.choice(WORDS)}",
        ]
        body += [f"DESCRIPTION;X-L={chance.choice(['fr', ''])}:{''.join(chance.choices(WORDS, k=4))}"]
        body += chance.sample(ODD, chance.randint(0, 4))
        chance.shuffle(body)
        told += ["BEGIN:VEVENT", *body, "END:VEVENT"]
    text = chance.choice(["\r\n", "\n"]).join([*told, "END:VCALENDAR", ""])
    return text.encode() if chance.random() < 0.9 else text.encode("latin-1", "replace")


def read_or_slug(data: bytes) -> Calendar | str:
    try:
        return read_calendar(data)
    except AgendaRefused as refusal:
        return refusal.slug


def test_calendars_made_up_read_and_write_the_same(twin: Twin) -> None:
    read = 0
    for seed in range(300):
        data = calendar_of(random.Random(seed))
        found = twin.ask(read=base64.b64encode(data).decode())
        calendar = read_or_slug(data)
        if isinstance(calendar, str):
            assert found.get("refused") == calendar, (seed, data)
            continue
        assert "made" in found, (seed, found, data)
        read += 1
        assert found["made"]["components"] == plain([asdict(one) for one in calendar.components]), (
            seed,
            data,
        )
        assert found["made"]["written"] == write_calendar(calendar.method, calendar.components), seed
    assert read > 60


ZONES = (
    "Europe/Paris", "Europe/Dublin", "America/Martinique", "America/Miquelon", "Indian/Reunion", "Pacific/Noumea",
    "Australia/Sydney", "Africa/Casablanca",
)  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_a_proposal_tells_its_zone_so_that_who_knows_no_name_of_zones_reads_its_instant(
    twin: Twin, zone: str
) -> None:
    """RFC 5545 §3.6.5: in winter as in summer, whoever of both wrote it."""
    for wall in (datetime(year, month, 15, 16, 15) for year in (2026, 2027, 2031) for month in range(1, 13)):
        lines = (
            "BEGIN:VCALENDAR", "METHOD:COUNTER", "BEGIN:VEVENT", "UID:1",
            f"DTSTART;TZID={zone}:{wall:%Y%m%dT%H%M%S}", "END:VEVENT", "END:VCALENDAR", "",
        )  # fmt: skip
        told = "\r\n".join(lines).encode()
        here = read_calendar(told)
        written = twin.ask(read=base64.b64encode(told).decode())["made"]["written"]
        assert written == write_calendar(here.method, here.components)
        [component] = icalendar.Calendar.from_ical(written).timezones
        component["TZID"] = "known nowhere"
        told_there = cast("tzinfo", component.to_tz(lookup_tzid=False))
        offset = wall.replace(tzinfo=told_there).utcoffset()
        assert offset == wall.replace(tzinfo=ZoneInfo(zone)).utcoffset(), wall


def rule_made_up(chance: random.Random) -> str:
    freq = chance.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    parts = [f"FREQ={freq}", f"INTERVAL={chance.choice([1, 1, 1, 2, 3, 5])}"]
    parts += chance.choice([[], ["COUNT=7"], ["COUNT=300"], ["UNTIL=20270401T000000Z"], ["UNTIL=20270401"]])
    if chance.random() < 0.4:
        parts.append(f"BYMONTH={chance.choice(['2', '3,11', '1,12'])}")
    if freq != "WEEKLY" and chance.random() < 0.4:
        parts.append(f"BYMONTHDAY={chance.choice(['1', '-1', '13,31', '30', '29'])}")
    days = ["MO", "SU,WE", "FR"]
    if freq in ("MONTHLY", "YEARLY"):
        days += ["-1SU", "2TU", "1MO,-1FR", "MO,-1SU"]
    if chance.random() < 0.5:
        parts.append(f"BYDAY={chance.choice(days)}")
    elif freq == "YEARLY" and chance.random() < 0.5:
        parts.append(chance.choice(["BYWEEKNO=1,20,53", "BYWEEKNO=-1", "BYYEARDAY=1,-1,100"]))
    if len(parts) > 3 and chance.random() < 0.2:
        parts.append(f"BYSETPOS={chance.choice(['1', '-1', '2,-2'])}")
    if chance.random() < 0.2:
        parts.append("WKST=SU")
    return ";".join(parts)


def test_repetitions_made_up_come_to_the_same_occurrences(twin: Twin) -> None:
    some = 0
    for seed in range(300):
        chance = random.Random(seed)
        start = chance.choice([one for one in STARTS if "Nowhere" not in one])
        more = chance.choice(["X-A:1", "RDATE:20261201T091500Z", "EXDATE:20261127T090000Z"])
        text = "\r\n".join(
            [
                "BEGIN:VCALENDAR",
                "BEGIN:VEVENT",
                "UID:1",
                start,
                "DURATION:P1D",
                f"RRULE:{rule_made_up(chance)}",
                more,
                "END:VEVENT",
                "END:VCALENDAR",
                "",
            ]
        )
        try:
            (component,) = read_calendar(text).components
        except AgendaRefused:
            continue
        first = When(f"{chance.choice([2026, 2027, 2033])}-03-0{chance.randint(1, 9)}", "").instant("UTC")
        last = first + chance.choice([1, 40, 800]) * 86_400_000
        expected = expanded(component, first, last)
        asked = {"component": asdict(component), "first": first, "last": last, "here": "Europe/Paris"}
        found = twin.ask(expand=asked)
        assert found.get("refused", found.get("made")) == expected, (seed, text)
        some += bool(expected)
    assert some > 40


def expanded(component: Component, first: int, last: int) -> Any:
    held = Appointment("1", "published", "", master=Held(component, 0, ""))
    try:
        made = occurrences(held, first, last, "Europe/Paris")
    except AgendaRefused as refusal:
        return refusal.slug
    return [[one.key, one.start, one.end, one.day] for one in made]
