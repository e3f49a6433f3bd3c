"""The trace: what an entry costs, its share of a letter, and how long ten million entries take to be verified.

    python -m tests.bench.audit                      # 10,000,000 entries; about ten minutes, 6 GB under ./bench-data
    python -m tests.bench.audit --entries 200000     # a quick look

CPU is this thread's (cost of an entry) or this process's and its children's (verification). Entries are written as a
node writes them, by the trail over the store's own driver, in commits of 64; the letter they are compared with is the
one of the newest `make bench` result.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from deploy.node.audit_verification import Database, Wishes, verify_now
from deploy.node.migrations.run import migrate_mail
from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for
from policies.audit import trail as trails
from policies.audit.query import END, of_party
from policies.audit.trail import ChainedTrail
from policies.interface import Event
from policies.retention.periods import Periods
from tests.bench.process import CouldNotRun

ENTRIES = 10_000_000
_PEOPLE = 10_000
_COMMIT = 64
_TRIED = 20_000  # entries that are timed
_SHARE = 0.10  # of a letter's CPU that the trace may take (issue 4)
_screen = Console(width=None if os.isatty(1) else 120)


def main(
    entries: Annotated[int, typer.Option(help="How many to verify.")] = ENTRIES,
    folder: Annotated[Path, typer.Option(help="Where the database lies meanwhile.")] = Path("bench-data"),
) -> None:
    for line in measured(folder.absolute() / "audit", entries, _letters_of(folder / "results")):
        _screen.print(line, highlight=False)


def measured(place: Path, entries: int, letters: Mapping[str, float]) -> list[str]:
    """What the trace costs, in sentences. `letters`: CPU ms of a letter of the product, by its name."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        return _measured(place, entries, letters)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _measured(place: Path, entries: int, letters: Mapping[str, float]) -> list[str]:
    migrate_mail(f"sqlite:///{place / 'mail.db'}")
    database = Database(StoreSettings(), place)
    sql = connector_for(database.settings, place).connect()
    node = ChainedTrail("node")
    people = [f"a{number:025d}" for number in range(_PEOPLE)]
    with Progress(console=_screen, transient=True) as bars:
        task = bars.add_task("writing", total=entries)
        written = 0
        while written < entries - _TRIED:
            number = min(50_000, entries - _TRIED - written)
            _write(sql, node, people, number, 1000)
            written += number
            bars.update(task, completed=written)
    cost = _write(sql, node, people, _TRIED // 2, _COMMIT)
    bare = _without_index(sql, node, people, entries)
    size = (place / "mail.db").stat().st_size / entries
    told = [
        f"trace, an entry: {cost:.1f} µs of CPU, {bare:.1f} without the index of persons; {size:.0f} octets",
        *_shares(cost, letters),
        _log(sql, people),
    ]
    sql.close()
    return [*told, _verified(database, entries)]


def _without_index(sql: Any, node: ChainedTrail, people: list[str], entries: int) -> float:
    """The same with no line in the index of persons, which is put right afterwards."""
    indexed, trails.parties = trails.parties, lambda rows: []  # type: ignore[assignment]
    try:
        bare = _write(sql, node, people, _TRIED // 2, _COMMIT)
    finally:
        trails.parties = indexed
    sql.run(
        "INSERT INTO audit_party SELECT actor, at, chain, seq FROM audit_entry WHERE seq > ?"
        " AND actor <> '' AND actor NOT LIKE 'operator:%'",
        (entries - _TRIED // 2,),
    )
    sql.run(
        "INSERT INTO audit_party SELECT subject, at, chain, seq FROM audit_entry WHERE seq > ?"
        " AND subject <> actor",
        (entries - _TRIED // 2,),
    )
    return bare


def _write(sql: Any, node: ChainedTrail, people: list[str], number: int, together: int) -> float:
    """CPU per entry, µs, of this thread: statements, hashes and commit."""
    chance = random.Random(number)
    now = time.time_ns() // 1_000_000
    began = time.thread_time()
    for start in range(0, number, together):
        sql.begin_write()
        for offset in range(min(together, number - start)):
            node.append(sql, [_event(chance, people, now + start + offset)])
        sql.commit()
    return (time.thread_time() - began) / number * 1e6


def _event(chance: random.Random, people: list[str], at: int) -> Event:
    who = people[int(chance.random() * len(people))]
    kind = chance.random()
    if kind < 0.6:
        return Event(
            "deliver", at, "operator:CN=mx.hopital.example,C=FR", who, "sealed", f"M{at:x}", "s1", "192.0.2.1"
        )
    if kind < 0.8:
        return Event("login", at, who, who, session="s1", network="192.0.2.1", detail={"protocol": "imap"})
    return Event("read", at, who, who, reference=f"M{at:x}", session="s1", network="192.0.2.1")


def _letters_of(results: Path) -> dict[str, float]:
    """CPU ms of the product's letters, of the newest result of `make bench`; none when there is no result."""
    found = sorted(results.glob("bench-*.json"))
    if not found:
        return {}
    lines: list[dict[str, Any]] = json.loads(found[-1].read_text())["lines"]
    return {
        f"{line['row']}, {line['system']}": line["cpu_ms"]
        for line in lines
        if "connection" in line["row"] and "Vaguemestre" in line["system"]
    }


def _shares(cost: float, letters: Mapping[str, float]) -> list[str]:
    return [
        f"trace, its share of a letter of {name}: {cost / 1000 / cpu_ms:.1%} of {cpu_ms:.2f} ms"
        f" (at most {_SHARE:.0%}: {'met' if cost / 1000 / cpu_ms <= _SHARE else 'not met'})"
        for name, cpu_ms in letters.items()
    ]


def _log(sql: Any, people: list[str]) -> str:
    began = time.perf_counter()
    for person in people[:100]:
        of_party(sql, person, END, 0, 100)
    return f"trace, the latest 100 entries of one person: {(time.perf_counter() - began) * 10:.2f} ms"


def _verified(database: Database, entries: int) -> str:
    wishes = Wishes(Periods(12, 240), time.time_ns() // 1_000_000)
    with Progress(console=_screen, transient=True) as bars:
        task = bars.add_task("verifying", total=None)
        began, spent = time.perf_counter(), os.times()
        (verdict,) = verify_now(
            database, wishes, lambda _, done, total: bars.update(task, completed=done, total=total)
        )
    ended = os.times()
    taken = time.perf_counter() - began
    cpu = sum(ended[:4]) - sum(spent[:4])
    if not verdict.whole or verdict.verification.entries != entries:
        raise CouldNotRun(f"the chain does not hold: {verdict.verification.breaks[:3]}")
    return (
        f"audit verify of {verdict.verification.entries:,} entries: {taken:.0f} s, {cpu:.0f} s of CPU,"
        f" {verdict.verification.entries / taken:,.0f} a second"
    )


if __name__ == "__main__":
    typer.run(main)
