"""Verifies the trace: over connections of its own that only read, by several processes when the trace is long.

A purge empties entries between one look at the trace and the next: what was then found is not told, the walk begins
anew once the purge is over.

Invariants: works beside a node that serves, on one that does not, and on a backup, without any secret; a worker process
is started fresh and holds nothing but where the database is; the event loop waits, it does not work.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for
from policies.audit import heads
from policies.audit.query import chains
from policies.audit.trail import heads_of
from policies.audit.verify import LOWEST, Break, Expected, Found, Verification, merged, purged_until, walk
from policies.retention.periods import Periods, day_of

Report = Callable[[str, int, int], None]
PART = 200_000  # entries that a process walks at a time
_WALKS = 5  # of a chain that is being purged
_STILL = 1.0  # seconds without a batch: the purge is over
_LONGEST_PURGE = 600.0


@dataclass(frozen=True, slots=True)
class Database:
    """Where the trace lies; goes to the worker processes."""

    settings: StoreSettings
    home: Path

    def connect(self) -> Any:
        return connector_for(self.settings, self.home, read_only=True).connect()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to hold the trace against."""

    periods: Periods
    now: int
    heads: Path | None = None
    key: str | None = None  # hex; None: the one that the node's database names


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is told of one chain."""

    verification: Verification
    faults: Sequence[heads.Fault]
    heads: int
    latest_head: int

    @property
    def whole(self) -> bool:
        return self.verification.whole and all(each.harmless for each in self.faults)

    def as_json(self) -> dict[str, Any]:
        found = self.verification
        return {
            "chain": found.chain,
            "entries": found.entries,
            "purged": found.purged,
            "seq": found.seq,
            "whole": self.whole,
            "heads": self.heads,
            "latest_head": self.latest_head,
            "breaks": [_told(each) for each in found.breaks],
            "more_breaks": found.broken - len(found.breaks) if found.broken > len(found.breaks) else 0,
            "steps": [{"seq": each.seq, "at": each.at, "after": each.after} for each in found.steps],
            "faults": [{"line": each.line, "reason": each.reason} for each in self.faults],
        }


def _told(found: Break) -> dict[str, Any]:
    day = day_of(found.day).isoformat() if found.day >= 0 else None
    return {"place": found.place, "seq": found.seq, "until": found.until, "day": day, "reason": found.reason}


async def verify_all(database: Database, wishes: Wishes, report: Report) -> list[Verdict]:
    """Every chain of the store. Raises OSError when the file of heads cannot be read."""
    loop = asyncio.get_running_loop()

    def told(stage: str, done: int, total: int) -> None:
        loop.call_soon_threadsafe(report, stage, done, total)

    return await asyncio.to_thread(verify_now, database, wishes, told)


def verify_now(database: Database, wishes: Wishes, report: Report) -> list[Verdict]:
    """The same, for a thread."""
    connection = database.connect()
    try:
        return [_one(database, connection, chain, wishes, report) for chain in chains(connection)]
    finally:
        connection.close()


def _one(database: Database, sql: Any, chain: str, wishes: Wishes, report: Report) -> Verdict:
    began = time.monotonic()
    walks = 0
    while True:
        walks += 1
        passed = int(
            (time.monotonic() - began) * 1000
        )  # a purge of after midnight is held against its own day
        before = purged_until(sql, chain)
        verdict = _walked_once(database, sql, chain, replace(wishes, now=wishes.now + passed), report)
        if verdict.verification.whole or before == purged_until(sql, chain) or walks == _WALKS:
            return verdict
        _until_purged(sql, chain)


def _until_purged(sql: Any, chain: str) -> None:
    deadline = time.monotonic() + _LONGEST_PURGE
    known = purged_until(sql, chain)
    while time.monotonic() < deadline:
        time.sleep(_STILL)
        now = purged_until(sql, chain)
        if now == known:
            return
        known = now


def _walked_once(database: Database, sql: Any, chain: str, wishes: Wishes, report: Report) -> Verdict:
    noted = heads.Noted()
    if wishes.heads is not None:
        key = wishes.key or key_of(sql, chain)
        noted = heads.read(wishes.heads, chain, key)
    kept_from = wishes.periods.kept_from(wishes.now)
    last = heads_of(sql, chain).seq
    bounds = _bounds(last)
    parts = _walked(database, chain, bounds, noted.expected, kept_from, report)
    verification = merged(sql, chain, parts, last, noted.expected)
    return Verdict(verification, noted.faults, noted.lines, noted.latest)


def key_of(sql: Any, chain: str) -> str | None:
    row = sql.one("SELECT public FROM audit_key WHERE chain = ?", (chain,))
    return bytes(row[0]).hex() if row else None


def _bounds(last: int) -> list[tuple[int, int]]:
    starts = list(range(PART + 1, last + 1, PART))
    return list(zip([LOWEST, *starts], [*starts, last + 1], strict=True))


def _walked(
    database: Database,
    chain: str,
    bounds: Sequence[tuple[int, int]],
    expected: Sequence[Expected],
    kept_from: Mapping[int, int],
    report: Report,
) -> list[Found]:
    if len(bounds) == 1:
        return [_part(database, chain, *bounds[0], expected, kept_from)]
    stage = f"chain {chain}"
    found: dict[int, Found] = {}
    report(stage, 0, len(bounds))
    context = multiprocessing.get_context("spawn")  # a fork would inherit the node's secrets
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(bounds), 8), context) as workers:
        tasks: dict[Future[Found], int] = {}
        for number, (low, below) in enumerate(bounds):
            near = [each for each in expected if low <= each.seq < below]
            task = workers.submit(_part, database, chain, low, below, near, kept_from)
            tasks[task] = number
        for task in as_completed(tasks):
            found[tasks[task]] = task.result()
            report(stage, len(found), len(bounds))
    return [found[number] for number in range(len(bounds))]


def _part(
    database: Database,
    chain: str,
    low: int,
    below: int,
    expected: Sequence[Expected],
    kept_from: Mapping[int, int],
) -> Found:
    connection = database.connect()
    try:
        return walk(connection, chain, low, below, expected, kept_from)
    finally:
        connection.close()


def sentences(verdicts: Sequence[Verdict]) -> list[str]:
    """What is broken, for an administrator."""
    told: list[str] = []
    for verdict in verdicts:
        chain = verdict.verification.chain
        for each in verdict.verification.breaks:
            day = f", {day_of(each.day).isoformat()}" if each.day >= 0 else ""
            told.append(f"Chain {chain}, {each.place}{day}: {_WORDS[each.reason]}")
        told += [_of_heads(each) for each in verdict.faults if not each.harmless]
    return told


def notices(verdicts: Sequence[Verdict]) -> list[str]:
    """What is told and breaks nothing."""
    steps = [
        f"Chain {verdict.verification.chain}, entry {step.seq}: the clock went back, from {_time(step.after)}"
        f" to {_time(step.at)}."
        for verdict in verdicts
        for step in verdict.verification.steps
    ]
    torn = [_of_heads(each) for verdict in verdicts for each in verdict.faults if each.harmless]
    return [*steps, *dict.fromkeys(torn)]  # several chains share one file


def _of_heads(fault: heads.Fault) -> str:
    return f"Heads, line {fault.line}: {_FAULTS[fault.reason]}"


def _time(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at / 1000))


_WORDS = {
    "altered": "not what was written there: changed, moved, or put in later.",
    "missing": "removed.",
    "day-missing": "removed, with at least one whole day.",
    "tail-cut": "the end was cut off.",
    "rewritten": "written anew: a head noted outside the node says otherwise.",
    "purged-early": "emptied before its time.",
    "purged-untold": "emptied, and no purge in the trace says so.",
    "index": "the index of persons does not agree with the entries: somebody's log would not be complete.",
}
_FAULTS = {
    "forged": "not signed by this node's key.",
    "unreadable": "cannot be read.",
    "line-missing": "the line before it was removed or changed.",
    "torn": "begun and not ended, as a crash leaves it; what was noted before and after it holds.",
}
