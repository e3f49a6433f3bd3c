"""A watched folder: the hospital's software puts documents there, and finds what became of them beside.

    x.pdf (or x.xml, a CDA) and x.json    one report each, taken once both are there and written no more
    many.csv                              one report a row; its column `file` names the document

    taken/      what waits for the node, under the report's reference
    done/       what the node has (or nothing: `after = "remove"`)
    refused/    what is not sent, each with `x.reason.txt`

Invariants: a report is in the spool before its files leave their place, and the node has it before they are removed;
whoever is killed in between begins again without sending twice (a file is known by its name, its inode, its time and
its bytes); a bad one stops no other; a reason names no content.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mail_server.payloads.record.causes import words
from mail_server.reports.documents import Source
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.sending import Desk, Dispatcher, Offer, Progress, Taken
from mail_server.reports.spool import Outcome, SpoolUnusable, State

_log = logging.getLogger("vaguemestre.reports")
_DOCUMENTS: Final = (".pdf", ".xml")
_INDEX_LIMIT: Final = 256 * 1024
_CSV_LIMIT: Final = 16 * 1024 * 1024
_CSV_ROWS: Final = 20_000
_PATIENT: Final = ("ins", "oid", "family_name", "given_name", "birth_date", "sex", "birth_place")
_AUTHOR: Final = "author_"
_DAY: Final = 86_400.0
_LONGEST_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class _Found:
    """A report as it stands in the folder."""

    name: str = field(repr=False)
    document: Path | None = field(repr=False)
    index: Path | None = field(repr=False)
    row: Mapping[str, Any] | None = field(default=None, repr=False)  # of a CSV
    origin: bytes | None = None  # of a row: its documents come and go


class Watched:
    """One folder. `look` takes what is there; `done` is told what became of it."""

    def __init__(self, desk: Desk, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._desk, self._now = desk, now
        self._settings = desk.settings.watch
        self._folder = folder
        self._rows_done: set[bytes] = set()
        self._stuck: dict[str, float] = {}  # files that could not be put away, and when they changed
        self._places = {name: folder / name for name in ("taken", "done", "refused")}
        try:
            for place in self._places.values():
                place.mkdir(mode=0o700, exist_ok=True)
                if place.is_symlink():  # somebody's wish that we write elsewhere
                    raise NotADirectoryError
        except OSError as failure:
            raise SpoolUnusable(f"{folder} cannot be watched ({type(failure).__name__})") from None
        self._rejoin()
        self._finish_all()

    def look(self, most: int) -> list[Taken]:
        """Take up to `most` reports that are complete. Blocks: files are read, letters made, the spool written."""
        found: list[_Found] = []
        for one in self._complete():
            found.append(one)
            if len(found) >= most:
                break
        if not found:
            return []
        offers = [self._offer(one) for one in found]
        results = self._desk.take_many(offers)
        for one, taken in zip(found, results, strict=True):
            self._put_away(one, taken)
        return results

    def done(self, outcomes: Sequence[Outcome]) -> None:
        """What the node has, or will not have, leaves `taken/`."""
        for outcome in outcomes:
            if outcome.state in (State.SENT, State.REFUSED):
                self._finish(outcome.reference, outcome.state, outcome.cause)

    # -- what is there

    def _complete(self) -> Iterator[_Found]:
        names = self._names()
        lately = self._now() - self._settings.settle_seconds
        old = self._now() - self._settings.pair_minutes * 60
        for name, changed in sorted(names.items()):
            stem, dot, suffix = name.rpartition(".")
            kind = (dot + suffix).lower()
            if kind == ".csv":
                if changed <= lately:
                    yield from self._rows(self._folder / name, names, lately, old)
            elif kind == ".json":
                document = next((stem + each for each in _DOCUMENTS if stem + each in names), None)
                if document is not None and max(changed, names[document]) <= lately:
                    yield _Found(stem, self._folder / document, self._folder / name)
                elif document is None and changed <= old:
                    yield _Found(stem, None, self._folder / name)
            elif (
                kind in _DOCUMENTS
                and changed <= old
                and stem + ".json" not in names
                and not self._listed(names)
            ):
                yield _Found(stem, self._folder / name, None)

    def _names(self) -> dict[str, float]:
        """Plain files and when they changed; hidden ones and those still being written under another name stay."""
        found: dict[str, float] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith((".", "~")) or entry.name.endswith((".tmp", ".part", ".reason.txt")):
                    continue
                try:
                    state = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISREG(state.st_mode) and self._stuck.get(entry.name) != state.st_mtime:
                    found[entry.name] = state.st_mtime
        return found

    def _listed(self, names: Mapping[str, float]) -> bool:
        """While a CSV is there, a document alone may be one of its rows."""
        return any(name.lower().endswith(".csv") for name in names)

    def _rows(self, path: Path, names: Mapping[str, float], lately: float, old: float) -> Iterator[_Found]:
        """The rows of a CSV whose document is there; the file itself goes once no row is left."""
        try:
            rows = list(_csv_rows(_read(path, _CSV_LIMIT)))
        except ReportRefused:
            yield _Found(path.name, None, path, {})
            return
        waiting = False
        identity = _identity(path)
        for number, row in enumerate(rows, 1):
            named = str(row.get("file") or "")
            plain = bool(named) and Path(named).name == named
            origin = self._desk.spool.origin(b"row", identity, str(number).encode(), os.fsencode(named))
            if plain and named in names and names[named] <= lately:
                yield _Found(named, self._folder / named, None, row, origin)
            elif not plain or (named not in names and names[path.name] <= old):
                if not self._row_done(origin):
                    yield _Found(f"{path.name}.{number}", None, None, row, origin)
            elif not self._row_done(origin):
                waiting = True
        if not waiting and not any(str(row.get("file") or "") in names for row in rows):
            _move(path, self._places["done"] / path.name, remove=self._settings.after == "remove")

    def _row_done(self, origin: bytes) -> bool:
        """Whether this row's report was taken before: its document is gone for that reason."""
        if origin not in self._rows_done and self._desk.spool.known([origin]):
            self._rows_done.add(origin)
        return origin in self._rows_done

    # -- from files to offers

    def _offer(self, one: _Found) -> Offer:
        identity = b"|".join(_identity(path) for path in (one.document, one.index) if path is not None)
        try:
            told, source = self._read(one)
        except ReportRefused as refused:
            told, source = refused, Source(name=_shown(one.name))
        if one.origin is not None:
            return Offer(told, source, one.origin)
        content = source.pdf or source.cda
        return Offer(told, source, self._desk.spool.origin(os.fsencode(one.name), identity, content))

    def _read(self, one: _Found) -> tuple[Mapping[str, Any], Source]:
        if one.index is not None and one.row is not None:
            raise ReportRefused("index-unreadable")
        told = one.row if one.row is not None else _json(one.index)
        if one.document is None:
            raise ReportRefused("document-missing")
        data = self._content(one.document)
        if one.document.suffix.lower() == ".xml":
            return _without_file(told), Source(cda=data, name=_shown(one.name))
        return _without_file(told), Source(pdf=data, name=_shown(one.name))

    def _content(self, document: Path) -> bytes:
        """A little more than is allowed: the check then says that it is too large."""
        return _read(document, 2 * self._desk.settings.limits.pdf_octets + 1)

    # -- putting away

    def _put_away(self, one: _Found, taken: Taken) -> None:
        files = [path for path in (one.document, one.index) if path is not None]
        if taken.state is State.REFUSED:
            for path in files:
                _move(path, self._places["refused"] / path.name)
                self._look_away(path)
            self._reason(one.name, taken.reference, taken.slug, taken.place)
            return
        for path in files:
            _move(path, self._places["taken"] / f"{taken.reference}{path.suffix.lower()}")
            self._look_away(path)
        if taken.state is State.SENT:  # offered again after a kill, and sent meanwhile
            self._finish(taken.reference, State.SENT, "")

    def _look_away(self, path: Path) -> None:
        """From a file that cannot be moved: its report is known, and must not be looked at for ever."""
        with contextlib.suppress(OSError):
            self._stuck[path.name] = path.lstat().st_mtime

    def _rejoin(self) -> None:
        """After a kill between two files of one report: its document goes back beside its index, and both are put away
        as what is known. Alone the index would be told as one whose document is missing, and lie there meanwhile."""
        names = self._names()
        indexes = [name[: -len(".json")] for name in names if name.endswith(".json")]
        lone = [stem for stem in indexes if not any(stem + each in names for each in _DOCUMENTS)]
        if not lone:
            return
        stems = {_shown(stem): stem for stem in lone}
        for document in self._places["taken"].iterdir():
            row = self._desk.spool.find(document.stem) if document.suffix in _DOCUMENTS else None
            if row is not None and (stem := stems.get(row.about.source)) is not None:
                self._put_back(document, stem)
        for stem in lone:
            for suffix in _DOCUMENTS:
                self._put_back(self._places["refused"] / f"{stem}{suffix}", stem)

    def _put_back(self, document: Path, stem: str) -> None:
        """Where it was taken or refused together with the index that now stands alone."""
        identity = _identity(document) + b"|" + _identity(self._folder / f"{stem}.json")
        try:
            content = self._content(document)
        except ReportRefused:
            return
        origins = [self._desk.spool.origin(os.fsencode(stem), identity, each) for each in (content, b"")]
        if self._desk.spool.known(origins):
            _move(document, self._folder / f"{stem}{document.suffix}")

    def _finish_all(self) -> None:
        """After a kill: what the spool knows to be done leaves `taken/`."""
        references = {path.stem for path in self._places["taken"].iterdir()}
        for reference in references:
            row = self._desk.spool.find(reference)
            if row is not None and row.state in (State.SENT, State.REFUSED):
                self._finish(reference, row.state, row.about.cause)

    def _finish(self, reference: str, state: State, cause: str) -> None:
        row = self._desk.spool.find(reference)
        name = (row.about.source if row is not None else "") or reference
        stem = name.rpartition(".")[0] if name.lower().endswith(_DOCUMENTS) else name
        for suffix in (*_DOCUMENTS, ".json"):
            path = self._places["taken"] / f"{reference}{suffix}"
            if not path.exists():
                continue
            if state is State.SENT:
                target = self._places["done"] / f"{stem}{suffix}"
                _move(path, target, remove=self._settings.after == "remove")
            else:
                _move(path, self._places["refused"] / f"{stem}{suffix}")
        if state is State.REFUSED:
            self._reason(stem, reference, cause, "")

    def _reason(self, name: str, reference: str, slug: str, place: str) -> None:
        """French, then English; for whoever looks after the folder."""
        fr, en = words(slug)
        where = f" ({place})" if place else ""
        text = (
            f"Non envoyé\u00a0: {fr}{where}.\nNot sent: {en}{where}.\n\n"
            f"Cause: {slug}\nReference: {reference}\n"
        )
        try:
            (self._places["refused"] / f"{_shown(name)}.reason.txt").write_text(text, encoding="utf-8")
        except OSError as failure:
            _log.warning("a reason could not be written (%s)", type(failure).__name__)


async def watch(
    desk: Desk,
    folder: Path,
    stop: asyncio.Event,
    told: Callable[[Sequence[Taken], Sequence[Outcome]], None] = lambda taken, outcomes: None,
    *,
    once: bool = False,
) -> Progress:
    """Take what comes into the folder and hand it over, until told to stop; or what is there, `once`.

    Raises Busy, SpoolUnusable.
    """
    watched = await asyncio.to_thread(Watched, desk, folder)

    def done(outcomes: Sequence[Outcome]) -> None:
        watched.done(outcomes)
        told((), outcomes)

    taken_all = asyncio.Event()
    dispatcher = Dispatcher(desk, done=done)
    sending = asyncio.create_task(dispatcher.run(until_empty=once, stop=stop, more_to_come=taken_all))
    taking = asyncio.create_task(_take(desk, watched, stop, told, taken_all if once else None))
    try:
        waited = {sending} if once else {sending, taking}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        _, progress = await asyncio.gather(taking, sending)
    return progress


async def _take(
    desk: Desk,
    watched: Watched,
    stop: asyncio.Event,
    told: Callable[[Sequence[Taken], Sequence[Outcome]], None],
    all_taken: asyncio.Event | None,
) -> None:
    settings = desk.settings
    forgotten = 0.0
    while not stop.is_set():
        found: list[Taken] = []
        try:
            found = await asyncio.to_thread(watched.look, settings.sending.together)
            told(found, ())
            if time.time() - forgotten > _DAY:
                forgotten = time.time()
                before = int((forgotten - settings.spool.keep_days * _DAY) * 1000)
                await asyncio.to_thread(desk.spool.forget, before)
        except OSError as failure:  # a full disk, a folder unmounted: tried again
            _log.error("the watched folder cannot be read now (%s)", type(failure).__name__)
        if not found:
            if all_taken is not None:
                all_taken.set()
                return
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation on Python 3.11.
                async with asyncio.timeout(settings.watch.poll_seconds):
                    await stop.wait()


def _json(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        raise ReportRefused("index-missing")
    try:
        found: Any = json.loads(_read(path, _INDEX_LIMIT).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ReportRefused("index-unreadable") from None
    if not isinstance(found, dict):
        raise ReportRefused("index-unreadable")
    return found  # pyright: ignore[reportUnknownVariableType]


def _csv_rows(data: bytes) -> Iterator[dict[str, Any]]:
    """Columns as in JSON, the patient's and the author's beside the others; `;` or `,`. Raises ReportRefused."""
    try:
        text = data.decode("utf-8-sig")
        head = text.partition("\n")[0]
        rows = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in head else ",", strict=True)
        if "file" not in (rows.fieldnames or ()):
            raise ReportRefused("index-unreadable")
        for number, row in enumerate(rows):
            if number >= _CSV_ROWS:
                raise ReportRefused("index-unreadable")
            yield _nested(row)
    except (UnicodeDecodeError, csv.Error):
        raise ReportRefused("index-unreadable") from None


def _nested(row: Mapping[str | None, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    patient: dict[str, Any] = {}
    author: dict[str, Any] = {}
    for key, value in row.items():
        if key is None or not value:
            continue
        if key in _PATIENT:
            patient[key] = value
        elif key.startswith(_AUTHOR):
            author[key.removeprefix(_AUTHOR)] = value
        elif key == "confidentiality":
            told[key] = value.split()
        else:
            told[key] = value
    return told | {"patient": patient} | ({"author": author} if author else {})


def _shown(name: str) -> str:
    """A file's name as text: what is no UTF-8 in it is marked, and what is very long is cut."""
    return os.fsencode(name).decode("utf-8", "replace")[:_LONGEST_NAME]


def _without_file(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key != "file"}


def _identity(path: Path) -> bytes:
    """A file put there again is another one, even under the same name."""
    try:
        state = path.lstat()
    except OSError:
        return b"gone"
    return f"{state.st_ino} {state.st_mtime_ns}".encode()


def _read(path: Path, most: int) -> bytes:
    """No link is followed, no pipe waited for: whoever writes into the folder shows what they put there, and that
    alone, even when they change it between two looks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError
            return file.read(most)
    except OSError:
        raise ReportRefused(
            "document-missing" if path.suffix.lower() in _DOCUMENTS else "index-unreadable"
        ) from None


def _move(path: Path, target: Path, *, remove: bool = False) -> None:
    try:
        if remove:
            path.unlink()
        else:
            path.rename(_free(target))
    except FileNotFoundError:
        pass
    except OSError as failure:
        _log.warning("a file of the watched folder cannot be moved (%s)", type(failure).__name__)


def _free(target: Path) -> Path:
    """Nothing that was put away before is written over."""
    if not target.exists():
        return target
    for number in range(1, 10_000):
        other = target.with_name(f"{target.stem}.{number}{target.suffix}")
        if not other.exists():
            return other
    return target
