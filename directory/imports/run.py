"""One import: a national file becomes what is listed, as a difference to what it gave the last time.

First the whole file is read and compared, line by line, with what is known: so it is seen what is gone, and a file that
takes too much away is refused before anything is written. Then what is new or changed is written, some at a time in
short transactions, each with the hashes of its lines; what is gone is taken out last.

Invariants: importing a file twice, or killing an import anywhere and starting it again, comes to the same; one line
that is wrong is told and left out, and what it stood for keeps what was known of it; what has a better right than the
national file (our accounts, what others published) is left alone; only one import goes on at a time.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from directory.imports import known_lines, source, unclear
from directory.imports.activity_lines import ActivityLines
from directory.imports.columns import source_of
from directory.imports.form import Form
from directory.imports.known_lines import Hashes, KnownLines
from directory.imports.mailbox_lines import MailboxLines
from directory.imports.once import OnceFilter
from directory.imports.reports import Report
from directory.imports.turn import own_turn
from directory.imports.unclear import Held
from directory.imports.writer import Writer
from directory.imports.wrong import ImportRefused, LineWrong
from directory.listings.database import ListingsDatabase, Sql

Told = Callable[[str, int, int], None]  # stage, done, of all
_EVERY = 20_000  # lines between two words of how far it is
_MOST_LINES = 20_000_000  # of a file; the real ones have two millions
_KEPT_TOGETHER = 500_000  # lines of owners with several that are held until the end
_KEPT_OCTETS = 256 << 20  # of these


@dataclass(frozen=True, slots=True)
class Wish:
    """What an administrator asks for."""

    path: Path
    reports: Path  # folder
    source: str = ""  # "mssante" or "activity"; "": by its header
    largest_fall: float = 0.05
    dry_run: bool = False
    force: bool = False


@dataclass(slots=True)
class Outcome:
    source: str = ""
    lines: int = 0
    unchanged: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    wrong: int = 0
    repeated: int = 0  # lines beside another of the same address or practice
    refused: int = 0  # addresses that are ours, or that another operator published
    kept: int = 0  # gone from the file but for a line that is wrong
    held: list[Held] = field(default_factory=list[Held])  # whose these are
    struck_off: list[str] = field(default_factory=list[str])
    reinstated: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    longest_transaction: int = 0  # milliseconds that others could not write
    peak_megabytes: int = 0
    dry_run: bool = False
    wrong_report: str = ""
    changes_report: str = ""


def import_file(database: ListingsDatabase, wish: Wish, told: Told, clock: Callable[[], int]) -> Outcome:
    """Raises ImportRefused, OSError."""
    started = time.monotonic()
    header, kind = _header(wish)
    with own_turn(database, wish.reports):
        outcome = _Import(database, wish, kind, header, told, clock).run()
    outcome.seconds = time.monotonic() - started
    return outcome


def _header(wish: Wish) -> tuple[bytes, str]:
    first = next(source.lines(wish.path), b"")
    kind = source_of(first)
    if wish.source and wish.source != kind:
        raise ImportRefused("header-unknown", f"This file is {kind}, not {wish.source}.")
    return first, kind


class _Import:
    def __init__(
        self,
        database: ListingsDatabase,
        wish: Wish,
        kind: str,
        header: bytes,
        told: Told,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._wish = wish
        self._told = told
        self._clock = clock
        self._form: Form = MailboxLines(header) if kind == "mssante" else ActivityLines(header)
        self._hashes = Hashes(header)
        self._known = KnownLines(database, self._form.number)
        self._outcome = Outcome(source=kind, dry_run=wish.dry_run)
        self._once = OnceFilter()
        self._together: dict[object, list[tuple[int, int, bytes]]] = {}
        self._rework: set[int] = set()
        self._gone: dict[str, list[int]] = {}
        self._digest = ""

    def run(self) -> Outcome:
        wish, outcome = self._wish, self._outcome
        stamp = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self._clock() / 1000))}-{outcome.source}"
        run = uuid.uuid4().hex
        with (
            Report(wish.reports, f"{stamp}-wrong.csv", ("line", "column", "reason", "sentence")) as wrong,
            Report(wish.reports, f"{stamp}-changes.csv", ("what", "which")) as changes,
        ):
            self._writer = Writer(
                self._database, self._form, outcome, wrong, changes, self._clock, dry_run=wish.dry_run
            )
            self._begun(run)
            try:
                self._look()
                self._bound()
                with self._writer.writing():
                    self._apply()
            except ImportRefused:
                self._ended(run, "refused")
                raise
            except BaseException:
                self._ended(run, "failed")
                raise
            if not wish.dry_run:
                unclear.keep(self._database, self._form.number, outcome.held, self._clock())
            self._ended(run, "done")
        outcome.wrong_report = str(wrong.path) if wrong.count else ""
        outcome.changes_report = str(changes.path) if changes.count else ""
        return outcome

    # -- the whole file, to know what is new and what is gone

    def _look(self) -> None:
        if self._form.of_mailboxes and not self._wish.dry_run:
            known_lines.forget_orphans(self._database)
        self._known.load()
        reading = source.Reading(source.size_of(self._wish.path))
        digest = hashlib.sha256()
        fresh_owners: set[str] = set()
        several: set[object] = set()
        for number, line in self._lines(reading, "reading"):
            digest.update(line)
            if self._known.see(self._hashes.of(line)):
                continue
            rough = self._form.rough_owner(line)
            if rough is not None and self._once.again(rough):
                several.add(rough)
            if self._known and (owner := self._owner(line)):
                fresh_owners.add(owner)
            self._outcome.lines = number
        self._together = {one: [] for one in several}
        self._digest = digest.hexdigest()
        gone = self._known.gone()
        self._gone = self._known.owners_of(gone)
        self._writer.gone_owners = self._gone.keys()
        touched = fresh_owners | self._gone.keys()
        self._rework = set(self._known.lines_of(touched)) - set(gone) if touched else set()
        self._fallen = sum(owner not in fresh_owners for owner in self._gone)

    def _owner(self, line: bytes) -> str | None:
        try:
            return self._form.owner(self._form.value(line))
        except LineWrong:
            return self._form.clear_key(line) if self._form.of_mailboxes else None

    def _bound(self) -> None:
        """A file that is cut short, or another's, does not empty the directory."""
        before = len(self._known)
        if self._wish.force or not before or self._fallen <= before * self._wish.largest_fall:
            return
        raise ImportRefused(
            "fall",
            f"{self._fallen} of {before} would be taken away, more than {self._wish.largest_fall:.0%}:"
            " nothing was changed. If the file is right, say --force.",
        )

    # -- what is written

    def _apply(self) -> None:
        reading = source.Reading(source.size_of(self._wish.path))
        first = not self._known
        held = octets = 0
        for number, line in self._lines(reading, "importing"):
            hashed = self._hashes.of(line)
            if not first and self._known.knows(hashed) and hashed not in self._rework:
                self._outcome.unchanged += 1
                continue
            rough = self._form.rough_owner(line)
            rework = hashed in self._rework
            if rework or rough in self._together:
                held += 1
                octets += len(line)
                if held > _KEPT_TOGETHER or octets > _KEPT_OCTETS:
                    raise ImportRefused("too-many-repeated", "Too many lines stand for the same.")
                self._together.setdefault(rough, []).append((number, hashed, line))
                continue
            self._writer.take([(number, hashed, line, False)])
        for group in self._together.values():
            self._writer.take([(*one, one[1] in self._rework) for one in group])
        self._writer.flush()
        self._writer.remove(self._gone)
        self._writer.settle()

    def _lines(self, reading: source.Reading, stage: str) -> Generator[tuple[int, bytes]]:
        """Each line with its number in the file, but the header and empty ones."""
        every = source.lines(self._wish.path, reading)
        next(every, b"")
        number = 1
        for number, line in enumerate(every, start=2):
            if number > _MOST_LINES:
                raise ImportRefused("too-many-lines", f"No file of more than {_MOST_LINES:,} lines is read.")
            if number % _EVERY == 0:
                self._told(stage, reading.done, reading.total)
                self._told("rows", number, 0)
            if line:
                yield number, line
        self._outcome.lines = number - 1
        self._told(stage, reading.total, reading.total)

    # -- the record of imports

    def _begun(self, run: str) -> None:
        if self._wish.dry_run:
            return
        row = (run, self._outcome.source, self._wish.path.name[:200], self._clock())

        def write(sql: Sql) -> None:
            sql.run(
                "UPDATE import_run SET state = 'failed' WHERE state = 'running' AND source = ?", (row[1],)
            )
            sql.run(
                "INSERT INTO import_run (id, source, file, started_at, state) VALUES (?, ?, ?, ?, 'running')",
                row,
            )

        self._database.write(write)

    def _ended(self, run: str, state: str) -> None:
        if self._wish.dry_run:
            return
        told = self._outcome
        row = (
            self._digest,
            self._clock(),
            state,
            told.lines,
            told.added,
            told.changed,
            told.removed,
            told.wrong,
            run,
        )
        self._database.write(
            lambda sql: sql.run(
                "UPDATE import_run SET digest = ?, done_at = ?, state = ?, lines = ?, added = ?, changed = ?,"
                " removed = ?, wrong = ? WHERE id = ?",
                row,
            )
        )
