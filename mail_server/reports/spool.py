"""Where reports wait until the node has them: letters sealed one by one, and what became of each.

A report is a row of `spool.db` (its state, and when it is due) and, until the node has it, a file in `letters/`. Both
are AES-256-GCM under a key that lies outside the spool; in clear are references chosen at random, states and times.

Invariants: `take` returns once the letters (file, then folder) and the rows are on the disk: whoever is killed before
has promised nothing, and a letter without its row is dropped; a report is taken once however often it is offered
(`origin`); the same bytes leave at each attempt, under one Message-ID, so that the node files them once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import load_kek
from mail_server.keys.settings import KeysSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.reports.settings import SpoolSection

_DAY_MS = 86_400_000
_ORPHAN_SECONDS = 3600.0
_REFERENCE = 20
_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS report (
    reference TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    due INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    done_at INTEGER,
    untold INTEGER NOT NULL DEFAULT 0,
    origin BLOB UNIQUE,
    about BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS report_due ON report (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS report_untold ON report (untold) WHERE untold <> 0;
CREATE INDEX IF NOT EXISTS report_state ON report (state);
"""


class SpoolUnusable(Exception):
    """The spool, or its key, cannot be used; the text says why."""


class Busy(Exception):
    """Another program sends from this spool."""


class State(StrEnum):
    WAITING = "waiting"  # for the node
    HELD = "held"  # for its author to announce it
    SENT = "sent"  # the node has it
    REFUSED = "refused"


class Errand(StrEnum):
    """What a letter of the spool is for."""

    REPORT = "report"
    COPY = "copy"  # of a held report, to the sending account itself
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class About:
    """What is remembered of a report, sealed."""

    message_id: str = ""
    recipient: str = field(default="", repr=False)
    unique_id: str = ""
    set_id: str = ""
    version: int = 1
    entry_uuid: str = ""
    patient_root: str = ""
    patient: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)
    source: str = field(default="", repr=False)  # name of the hospital's file
    answer: str = ""  # the node's
    cause: str = ""
    of: str = ""  # the report that this copy or withdrawal is about
    order: Mapping[str, Any] | None = field(default=None, repr=False)  # of a held report


@dataclass(frozen=True, slots=True)
class Entry:
    """A report about to be taken. `letter` is None for one that is refused at once."""

    reference: str
    about: About
    letter: bytes | None = field(default=None, repr=False)
    errand: Errand = Errand.REPORT
    state: State = State.WAITING
    origin: bytes | None = None


@dataclass(frozen=True, slots=True)
class Row:
    reference: str
    errand: Errand
    state: State
    taken_at: int
    due: int | None
    attempts: int
    done_at: int | None
    untold: bool
    about: About


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    reference: str
    state: State  # WAITING: again at `due`
    answer: str = ""
    cause: str = ""
    due: int | None = None


def new_reference() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_REFERENCE))


def spool_keys(settings: SpoolSection) -> AesKeyWrapper:
    """Raises SpoolUnusable."""
    try:
        where = KeysSettings(kek=settings.key, kek_credential=settings.key_credential)
        return load_kek(where, settings.folder)
    except KeyUnavailable as failure:
        raise SpoolUnusable(str(failure).replace("key-encryption key", "key of the spool")) from None


class Spool:
    """One spool. Methods block (disk); they may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        keys: AesKeyWrapper,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._folder, self._keys, self._clock = folder, keys, clock
        self._lock = threading.RLock()
        self._sending: int | None = None
        try:
            self._letters = folder / "letters"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._letters.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                raise SpoolUnusable(f"{folder} is open to other users of this machine: chmod 700 it")
            self._sql = sqlite3.connect(
                folder / "spool.db", timeout=60, isolation_level=None, check_same_thread=False
            )
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA synchronous=FULL")
            self._sql.executescript(_SCHEMA)
            _sync_folder(folder)
            self._mark_key = self._keyed()
        except (OSError, sqlite3.Error) as failure:
            raise SpoolUnusable(f"{folder} cannot be used ({type(failure).__name__})") from None

    @classmethod
    def open(cls, settings: SpoolSection) -> Spool:
        """Raises SpoolUnusable."""
        return cls(settings.folder, spool_keys(settings))

    def close(self) -> None:
        with self._lock:
            self._sql.close()
            self.release()

    # -- taking

    def origin(self, *parts: bytes) -> bytes:
        """By which the same report offered again is known."""
        mark = hmac.new(self._mark_key, digestmod="sha256")
        for part in parts:
            mark.update(len(part).to_bytes(8, "big"))
            mark.update(part)
        return mark.digest()

    def known(self, origins: Sequence[bytes]) -> dict[bytes, str]:
        """References of those that were taken before."""
        found: dict[bytes, str] = {}
        with self._lock:
            for origin in origins:
                row = self._sql.execute("SELECT reference FROM report WHERE origin = ?", (origin,)).fetchone()
                if row is not None:
                    found[origin] = row[0]
        return found

    def take(self, entries: Sequence[Entry]) -> list[str]:
        """Keep these reports; durable on return. The reference of each: of the one taken before, where there was."""
        for entry in entries:
            if entry.letter is not None:
                self._write(entry.reference, entry.letter)
        _sync_folder(self._letters)
        now = self._clock()
        with self._lock, self._transaction():
            references = [self._insert(entry, now) for entry in entries]
        for entry, reference in zip(entries, references, strict=True):
            if reference != entry.reference and entry.letter is not None:
                self._drop(entry.reference)
        return references

    def _insert(self, entry: Entry, now: int) -> str:
        refused = entry.state is State.REFUSED
        done = self._sql.execute(
            "INSERT INTO report (reference, kind, state, taken_at, due, done_at, untold, origin, about)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                entry.reference,
                entry.errand.value,
                entry.state.value,
                now,
                now if entry.state is State.WAITING else None,
                now if refused else None,
                1 if refused else 0,
                entry.origin,
                self._sealed(entry.about, entry.reference),
            ),
        )
        if done.rowcount:
            return entry.reference
        row = self._sql.execute("SELECT reference FROM report WHERE origin = ?", (entry.origin,)).fetchone()
        if row is None:
            raise SpoolUnusable("a reference stands for another report already")
        return row[0]

    # -- sending

    def hold_sending(self) -> None:
        """One program at a time sends; the lock goes with its process. Raises Busy."""
        descriptor = os.open(self._folder / "sending.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise Busy from None
        self._sending = descriptor
        self._sweep()

    def release(self) -> None:
        if self._sending is not None:
            os.close(self._sending)
            self._sending = None

    def due(self, limit: int, but: Iterable[str] = ()) -> list[Row]:
        """What may be tried now, the oldest first, without those `but` (under way)."""
        away = set(but)
        with self._lock:
            rows = self._sql.execute(
                f"SELECT {_COLUMNS} FROM report WHERE due <= ? ORDER BY due LIMIT ?",  # noqa: S608
                (self._clock(), limit + len(away)),
            ).fetchall()
        return [self._row(row) for row in rows if row[0] not in away][:limit]

    def next_due(self) -> int | None:
        with self._lock:
            row = self._sql.execute("SELECT min(due) FROM report WHERE due IS NOT NULL").fetchone()
        return row[0]

    def letter(self, reference: str) -> bytes:
        """The letter's bytes. Raises SpoolUnusable when the file is gone or was altered."""
        try:
            sealed = (self._letters / reference).read_bytes()
            return self._keys.unwrap(sealed, b"report letter " + reference.encode())
        except (OSError, KeyUnavailable):
            raise SpoolUnusable("a letter of the spool cannot be opened") from None

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Write down what became of them; durable on return. What is done keeps no letter."""
        now = self._clock()
        with self._lock, self._transaction():
            for one in outcomes:
                self._note(one, now)
        for one in outcomes:
            if one.state in (State.SENT, State.REFUSED):
                self._drop(one.reference)

    def _note(self, one: Outcome, now: int) -> None:
        row = self.find(one.reference)
        if row is None:
            return
        about = _changed(row.about, answer=one.answer or row.about.answer, cause=one.cause)
        done = one.state in (State.SENT, State.REFUSED)
        told = one.state is State.REFUSED and row.errand is Errand.REPORT
        self._sql.execute(
            "UPDATE report SET state = ?, due = ?, attempts = attempts + 1, done_at = ?, untold = ?, about = ?"
            " WHERE reference = ?",
            (
                one.state.value,
                one.due if one.state is State.WAITING else None,
                now if done else None,
                int(told),
                self._sealed(about, one.reference),
                one.reference,
            ),
        )

    def untold(self, limit: int) -> list[Row]:
        """Refused reports that the node was not told of."""
        with self._lock:
            rows = self._sql.execute(
                f"SELECT {_COLUMNS} FROM report WHERE untold <> 0 ORDER BY done_at LIMIT ?",  # noqa: S608
                (limit,),
            ).fetchall()
        return [self._row(row) for row in rows]

    def told(self, references: Sequence[str]) -> None:
        with self._lock, self._transaction():
            self._sql.executemany(
                "UPDATE report SET untold = 0 WHERE reference = ?", [(one,) for one in references]
            )

    # -- announcing, forgetting

    def announce(self, reference: str, letter: bytes, about: About) -> None:
        """A held report becomes one that waits for the node, under other bytes; durable on return."""
        self._write(reference, letter)
        _sync_folder(self._letters)
        with self._lock, self._transaction():
            self._sql.execute(
                "UPDATE report SET state = ?, due = ?, about = ? WHERE reference = ? AND state = ?",
                (
                    State.WAITING.value, self._clock(), self._sealed(about, reference), reference,
                    State.HELD.value,
                ),
            )  # fmt: skip

    def forget(self, before: int) -> int:
        """Drop what was done before then; how many."""
        with self._lock, self._transaction():
            return self._sql.execute(
                "DELETE FROM report WHERE done_at < ? AND untold = 0 AND due IS NULL", (before,)
            ).rowcount

    # -- looking

    def find(self, reference: str) -> Row | None:
        with self._lock:
            row = self._sql.execute(
                f"SELECT {_COLUMNS} FROM report WHERE reference = ?",  # noqa: S608
                (reference,),
            ).fetchone()
        return None if row is None else self._row(row)

    def rows(self, states: Sequence[State] = tuple(State), limit: int = 1000) -> list[Row]:
        """The newest first."""
        places = ", ".join("?" * len(states))
        with self._lock:
            rows = self._sql.execute(
                f"SELECT {_COLUMNS} FROM report WHERE state IN ({places}) ORDER BY taken_at DESC, rowid DESC LIMIT ?",  # noqa: S608
                (*(state.value for state in states), limit),
            ).fetchall()
        return [self._row(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many reports stand where."""
        counted = dict.fromkeys((state.value for state in State), 0)
        with self._lock:
            rows = self._sql.execute(
                "SELECT state, count(*) FROM report WHERE kind = ? GROUP BY state", (Errand.REPORT.value,)
            )
            return counted | dict(rows.fetchall())

    # -- inside

    @contextmanager
    def _transaction(self) -> Generator[None]:
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._sql.execute("COMMIT")
            except BaseException:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                raise
        except sqlite3.Error as failure:  # a full disk, a folder that went away
            raise SpoolUnusable(f"the spool takes nothing now ({type(failure).__name__})") from None

    def _write(self, reference: str, letter: bytes) -> None:
        """The file is whole under its name, or not there."""
        path = self._letters / reference
        being = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        descriptor = os.open(being, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(self._keys.wrap(letter, b"report letter " + reference.encode()))
            file.flush()
            os.fsync(file.fileno())
        being.rename(path)

    def _drop(self, reference: str) -> None:
        with contextlib.suppress(OSError):
            (self._letters / reference).unlink()

    def _sweep(self) -> None:
        """Letters without a row that still needs them: their taking was cut short, or their end."""
        with self._lock:
            kept = self._sql.execute(
                "SELECT reference FROM report WHERE state IN (?, ?)", (State.WAITING.value, State.HELD.value)
            )
            needed = {row[0] for row in kept.fetchall()}
        before = time.time() - _ORPHAN_SECONDS
        for path in self._letters.iterdir():
            with contextlib.suppress(OSError):
                if path.name not in needed and path.stat().st_mtime < before:
                    path.unlink()

    def _keyed(self) -> bytes:
        """The key by which reports are known again, wrapped beside them."""
        path = self._folder / "marks.key"
        purpose = b"report marks"
        if not path.exists():
            being = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(being, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(self._keys.wrap(secrets.token_bytes(32), purpose))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(being, path)  # the first of two that begin at once
            being.unlink()
            _sync_folder(self._folder)
        try:
            return self._keys.unwrap(path.read_bytes(), purpose)
        except KeyUnavailable as failure:
            raise SpoolUnusable(f"this key is not the one of {self._folder}: {failure}") from None

    def _sealed(self, about: About, reference: str) -> bytes:
        told = {name: value for name in _ABOUT if (value := getattr(about, name))}
        octets = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        return self._keys.wrap(octets, b"report " + reference.encode())

    def _row(self, row: tuple[Any, ...]) -> Row:
        reference, kind, state, taken, due, attempts, done, untold, about = row
        try:
            told: dict[str, Any] = json.loads(
                self._keys.unwrap(bytes(about), b"report " + reference.encode())
            )
        except KeyUnavailable:
            raise SpoolUnusable("a row of the spool does not open: another key, or it was altered") from None
        return Row(
            reference, Errand(kind), State(state), taken, due, attempts, done, bool(untold), About(**told)
        )


_COLUMNS = "reference, kind, state, taken_at, due, attempts, done_at, untold, about"
_ABOUT = tuple(About.__dataclass_fields__)


def _changed(about: About, **values: Any) -> About:
    return About(**({name: getattr(about, name) for name in _ABOUT} | values))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
