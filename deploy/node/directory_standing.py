"""How the directory stands, for the metrics and `doctor`: what it holds, how old it is, what was done for its word.

Invariants: metrics are numbers alone; what takes long to count is counted again only when the listings changed, and at
most once a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from deploy.node.composition import Node, now
from deploy.node.config import Config
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.metrics import Metrics
from directory.listings.database import Sql
from directory.x509.chain import Authorities

_SUBJECT = "directory"
_DAY = 86_400_000  # ms
_OLD_DAYS = 8  # the national files come out every day; an import a week is the least
_COUNTED_EVERY = 60_000  # ms


@dataclass(frozen=True, slots=True)
class Held:
    """What the listings hold."""

    generation: int = 0
    mailboxes: Mapping[str, int] = field(default_factory=dict[str, int])  # by origin
    red: int = 0
    cards: int = 0
    struck_off: int = 0
    kept: int = 0  # gone from a national file, but for a wrong line that may be theirs


@dataclass(frozen=True, slots=True)
class LastImport:
    source: str
    at: int  # ms: when it ended, or began
    state: str


def held(sql: Sql) -> Held:
    rows = sql.all("SELECT origin, COUNT(*), COALESCE(SUM(red_list), 0) FROM mailbox GROUP BY origin")
    return Held(
        generation=generation(sql),
        mailboxes={row[0]: int(row[1]) for row in rows},
        red=sum(int(row[2]) for row in rows),
        cards=_count(sql, "SELECT COUNT(*) FROM card"),
        struck_off=_count(sql, "SELECT COUNT(*) FROM professional WHERE struck_off_at IS NOT NULL"),
        kept=kept(sql),
    )


def generation(sql: Sql) -> int:
    return _count(sql, "SELECT value FROM state WHERE name = 'generation'")


def last_imports(sql: Sql) -> list[LastImport]:
    """Of each source, the one that began last."""
    rows = sql.all("SELECT source, started_at, done_at, state FROM import_run ORDER BY started_at")
    found = {row[0]: LastImport(row[0], int(row[2] or row[1]), row[3]) for row in rows}
    return sorted(found.values(), key=lambda one: one.source)


def last_done(sql: Sql) -> int | None:
    """When an import last came to its end."""
    row = sql.one("SELECT MAX(done_at) FROM import_run WHERE state = 'done'")
    return None if row is None or row[0] is None else int(row[0])


def kept(sql: Sql) -> int:
    return _count(sql, "SELECT COUNT(*) FROM held")


def held_here(node: Node) -> list[str]:
    """In a thread. Addresses of ours that the last imports kept, for a wrong line that may be theirs."""
    kept = {row[0] for row in node.listings_database.read(lambda sql: sql.all("SELECT which FROM held"))}
    ours = node.accounts.all() if kept else ()
    return sorted(one.address for one in ours if one.national_id in kept or one.address in kept)


def _count(sql: Sql, statement: str) -> int:
    row = sql.one(statement)
    return 0 if row is None else int(row[0])


# -- metrics

SHOWN: Mapping[str, str] = {
    "directory_cards": "Listings that searches may show.",
    "directory_red_list": "Mailboxes on the red list.",
    "directory_struck_off": "Professionals gone from the national files.",
    "directory_held": "Kept, though gone from a national file, for a wrong line that may be theirs.",
    "directory_struck_off_here": "Accounts here that are out for it.",
    "directory_generation": "Grows with every change of the listings.",
    "directory_import_age_seconds": "Since an import last came to its end.",
}


def watch(metrics: Metrics, node: Node) -> None:
    """What the listings hold, and what was shown to whom."""
    figures = DirectoryFigures(node)
    metrics.looked_up(SHOWN, figures.shown)
    metrics.families(figures.families)
    metrics.counters("directory_harvest", lambda: node.harvest.counters)
    metrics.counters("directory_missed", lambda: node.guesses.misses.counters)
    metrics.families(lambda: _answers(node))
    metrics.gauge("directory_harvest_askers", "Askers with an account.", lambda: float(node.harvest.askers))


def _answers(node: Node) -> Iterator[Metric]:
    family = CounterMetricFamily(
        "vaguemestre_directory_answers", "Answers that showed listings, by door.", labels=["door"]
    )
    for door, many in sorted(node.harvest.answers.items()):
        family.add_metric([door], many)
    yield family


class DirectoryFigures:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._held = Held()
        self._counted_at = -_COUNTED_EVERY

    async def shown(self) -> Mapping[str, float]:
        at = now()
        await asyncio.to_thread(self._look, at)
        done = await asyncio.to_thread(self._node.listings_database.read, last_done)
        figures = {
            "directory_cards": float(self._held.cards),
            "directory_red_list": float(self._held.red),
            "directory_struck_off": float(self._held.struck_off),
            "directory_struck_off_here": float(len(await self._node.struck_off.standing())),
            "directory_held": float(await asyncio.to_thread(self._node.listings_database.read, kept)),
            "directory_generation": float(self._held.generation),
        }
        if done is not None:
            figures["directory_import_age_seconds"] = max(0.0, (at - done) / 1000)
        return figures

    def families(self) -> Iterator[Metric]:
        """As they were when `shown` last looked."""
        family = GaugeMetricFamily(
            "vaguemestre_directory_mailboxes", "Mailboxes known, by who told of them.", labels=["origin"]
        )
        for origin, many in sorted(self._held.mailboxes.items()):
            family.add_metric([origin], many)
        yield family

    def _look(self, at: int) -> None:
        database = self._node.listings_database
        if at - self._counted_at < _COUNTED_EVERY and self._held.generation:
            return
        if database.read(generation) != self._held.generation or not self._held.generation:
            self._held = database.read(held)
        self._counted_at = at


# -- doctor


def directory_findings(settings: Config) -> Iterator[Finding]:
    """What the configuration alone tells."""
    store, directory = settings.store.is_postgresql(), settings.directory.is_postgresql()
    if store and not directory:
        yield Finding(
            _SUBJECT,
            "warning",
            "The letters lie in PostgreSQL and the directory in files of this machine: with several nodes each would "
            "publish other certificates. Set directory.database.",
        )
    elif directory and not store:
        yield Finding(
            _SUBJECT,
            "warning",
            "The directory lies in PostgreSQL, the letters do not: only one node may use it.",
        )
    if (file := settings.directory.x509_authorities) is not None:
        try:
            Authorities.read(file)
        except (OSError, ValueError):
            words = f"{file} (directory.x509_authorities) cannot be read: no S/MIME certificate is taken."
            yield Finding(_SUBJECT, "failed", words)


async def running_directory(home: Path) -> list[Finding]:
    try:
        found: dict[str, Any] = await ask(Home(home).control_socket, "directory_standing", {})
    except (NodeDown, CommandFailed):
        return [Finding(_SUBJECT, "warning", "It could not be asked what the directory holds.")]
    return list(standing_findings(found))


def standing_findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    many = ", ".join(f"{number} {origin}" for origin, number in sorted(found["mailboxes"].items()))
    known = f"of mailboxes there are {many}" if many else "there is no mailbox"
    yield Finding(_SUBJECT, "good", f"{found['cards']} listings are shown; {known}.")
    yield from _import_findings(found)
    if held := found["held_back_here"]:
        yield Finding(
            _SUBJECT,
            "failed",
            f"{len(held)} accounts are gone from the national directory at once: too many to be believed, none is out. "
            "Look at the file; where it is right, `directory import FILE --force`.",
        )
    if many := found["kept"]:
        ours = f" Of ours: {', '.join(found['held_here'][:10])}." if found["held_here"] else ""
        yield Finding(
            _SUBJECT,
            "warning",
            f"{many} listings are kept as they were: gone from a national file, but a wrong line may be theirs.{ours} "
            "Reports of imports in the home's `imports` name them and the lines; a file that is clear settles it.",
        )
    if out := found["struck_off_here"]:
        yield Finding(
            _SUBJECT,
            "warning",
            f"{len(out)} accounts are out, gone from the national directory: {', '.join(out[:10])}. Who is still in "
            "it by right comes back with the next import, or by `account practice ADDRESS regained`.",
        )


def _import_findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    imports: list[dict[str, Any]] = found["imports"]
    for one in imports:
        if one["state"] in ("refused", "failed"):
            yield Finding(
                _SUBJECT,
                "warning",
                f"The last import of {one['source']} was {one['state']}: its report in the home's `imports` says why.",
            )
    if not imports:
        yield Finding(
            _SUBJECT,
            "warning",
            "No national file was imported: searches find our own people alone (`directory import`).",
        )
    elif found["done"] is not None and (age := (found["now"] - found["done"]) // _DAY) >= _OLD_DAYS:
        yield Finding(
            _SUBJECT, "warning", f"The national files were imported {age} days ago: import newer ones."
        )
