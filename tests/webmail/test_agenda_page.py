"""The agenda of the page from its screens' questions to what the server is sent, recalls and wakes: its own tests."""

from __future__ import annotations

import subprocess
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import icalendar
import recurring_ical_events

VECTORS = Path(__file__).parent / "vectors"


def test_the_rules_of_recalls_and_wakes_hold(programs: tuple[Path, Path]) -> None:
    played(programs, "agenda_rules")


def played(programs: tuple[Path, Path], name: str, *more: str) -> None:
    """Runs to its end, and ends by itself: a clock left running would keep it, and the page, awake."""
    node, folder = programs
    command = [str(node), str(folder / f"{name}.test.mjs"), str(VECTORS), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\nnot ok " not in done.stdout, done.stdout[-6000:]
    assert int(done.stdout.rpartition("\n# pass ")[2].split()[0]) >= 20


def test_the_agenda_s_own_tests_pass_and_its_download_opens_in_another_reader(
    programs: tuple[Path, Path], tmp_path: Path
) -> None:
    played(programs, "agenda_letters", str(tmp_path))
    text = (tmp_path / "agenda.ics").read_bytes()
    assert all(len(line) <= 75 for line in text.split(b"\r\n"))  # RFC 5545 §3.1
    calendar = icalendar.Calendar.from_ical(text)
    assert calendar["VERSION"] == "2.0"
    assert "METHOD" not in calendar  # a calendar to keep, no message that asks for something (RFC 5546 §1.4)
    titles = Counter(str(event["SUMMARY"]) for event in calendar.events)
    assert titles["Série"] == 3  # the series, and two of its occurrences apart
    assert [event.errors for event in calendar.events if event.errors] == []
    [physio] = [event for event in calendar.events if event["SUMMARY"] == "Kiné"]
    first, last = datetime(2027, 3, 20, tzinfo=UTC), datetime(2027, 4, 5, tzinfo=UTC)
    found: list[str] = [
        cast(datetime, cast(icalendar.Event, one).start).astimezone(UTC).strftime("%m-%d %H:%M")
        for one in recurring_ical_events.of(calendar).between(first, last)
        if one["UID"] == physio["UID"]
    ]
    assert found == ["03-25 08:00", "03-26 08:00", "03-28 07:00", "03-29 07:00", "03-30 07:00"]
    [cure] = [one for one in calendar.events if one["UID"] == "tc"]
    assert (cure.start, cure.end) == (date(2027, 3, 27), date(2027, 3, 30))
    assert calendar.get_missing_tzids() == set()
