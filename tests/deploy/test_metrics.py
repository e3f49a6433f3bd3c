"""Counters of the doors as Prometheus reads them, on this machine only."""

from __future__ import annotations

import asyncio
import urllib.request
from collections import Counter
from dataclasses import dataclass, fields

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.node import directory_publication, metric_words
from deploy.node.metrics import Metrics
from directory.fhir.counters import Counters as Fhir
from directory.ldap.limits import Counters as Ldap
from directory.publication.client.publisher import Counters as Publication
from mail_server.imap.limits import Counters as Imap
from mail_server.jmap.services import Counters as Jmap
from mail_server.smtp.services import Counters as Smtp


@dataclass(slots=True)
class Door:
    messages: int = 0
    open: int = 0
    name: str = "not a number"
    busy: bool = True


def families(metrics: Metrics) -> dict[str, tuple[str, float]]:
    parsed = text_string_to_metric_families(metrics.text().decode())
    return {family.name: (family.type, family.samples[0].value) for family in parsed if family.samples}


def test_each_integer_of_a_door_is_shown_as_it_is_now() -> None:
    door, metrics = Door(), Metrics()
    metrics.counters("smtp", lambda: door, gauges={"open"})
    metrics.gauge("bytes_in_flight", "Mail held in memory.", lambda: 12)
    door.messages, door.open = 7, 3
    shown = families(metrics)
    assert shown["vaguemestre_smtp_messages"] == ("counter", 7)
    assert shown["vaguemestre_smtp_open"] == ("gauge", 3)
    assert shown["vaguemestre_bytes_in_flight"] == ("gauge", 12)
    assert "vaguemestre_smtp_name" not in shown
    assert "vaguemestre_smtp_busy" not in shown
    door.messages += 1
    assert families(metrics)["vaguemestre_smtp_messages"] == ("counter", 8)


async def test_what_must_be_looked_up_is_looked_up_at_each_scrape_and_left_out_when_it_cannot() -> None:
    answers: list[dict[str, float] | Exception] = [{"held": 2}, OSError("no database"), {"held": 3}]
    metrics = Metrics()

    async def look() -> dict[str, float]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    metrics.looked_up({"held": "Letters that wait."}, look)
    shown: list[float | None] = []
    for _ in range(3):
        await metrics.refresh()
        shown.append(families(metrics).get("vaguemestre_held", ("", None))[1])
    assert shown == [2, None, 3]


@pytest.mark.parametrize(
    ("part", "counted"),
    [
        ("smtp", Smtp),
        ("imap", Imap),
        ("ldap", Ldap),
        ("fhir", Fhir),
        ("jmap", Jmap),
        ("publication", Publication),
    ],
)
def test_each_counter_of_a_door_says_in_words_what_it_counts(part: str, counted: type) -> None:
    names = {field.name for field in fields(counted)}
    assert metric_words.DOORS[part].keys() == names
    metrics = Metrics()
    metrics.counters(part, counted)
    for line in metrics.text().decode().splitlines():
        if line.startswith(f"# HELP vaguemestre_{part}_"):
            _, _, name, words = line.split(" ", 3)
            assert words.endswith(".")
            assert name.replace("_", " ") not in f"vaguemestre {words}"


async def test_mailboxes_published_now_and_publications_done_are_two_families() -> None:
    metrics = Metrics()
    metrics.counters("publication", Publication)

    async def look() -> dict[str, float]:
        return dict.fromkeys(directory_publication.SHOWN, 1.0)

    metrics.looked_up(directory_publication.SHOWN, look)
    await metrics.refresh()
    named = Counter(family.name for family in metrics.collect())
    assert named["vaguemestre_publication_published"] == 1
    assert named["vaguemestre_publication_refused"] == 1
    assert set(named.values()) == {1}


def test_the_process_is_shown_too() -> None:
    assert families(Metrics())["process_resident_memory_bytes"][1] > 0


async def test_it_is_served_on_loopback() -> None:
    door, metrics = Door(messages=5), Metrics()
    metrics.counters("smtp", lambda: door)
    server = metrics.server(0)
    await server.start()
    try:
        text = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode()
        )
    finally:
        await server.stop()
    assert "vaguemestre_smtp_messages_total 5.0" in text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mail.example", ""])
def test_a_bind_that_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        Metrics().server(0, host)
