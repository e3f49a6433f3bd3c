"""Whether a certificate, or one above it, is revoked: the lists and responders of this node asked together.

The lists are fetched on a schedule, kept in the home, and answer from memory. A source that cannot be reached goes on
being relied on for a bounded grace, as long as its list has not expired.

Invariants: revoked by one is revoked; a list that is refused changes nothing and is an alarm; a certificate below an
authority about which nothing is known is not let in, once this node was given anything to check with; what was fetched
is in force after a restart with its own age.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from policies.interface import Event
from policies.trust_list.kept import write
from policies.trust_list.revocation import crl, ocsp
from policies.trust_list.revocation.chain import Authorities, Link
from policies.trust_list.revocation.crl import Book, Held, ListUnusable
from policies.trust_list.revocation.interface import Finding
from policies.trust_list.revocation.ocsp import Responders

_log = logging.getLogger("vaguemestre.policies")
_AFTER_FAILURE = 300.0  # s
_FOREVER = 1 << 62
_SOON = 0.05

FetchList = Callable[[str], Awaitable[bytes]]
"""The list at an address. Raises ListUnusable."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `[policies]` says."""

    sources: tuple[str, ...]  # addresses or files
    grace_ms: int
    every: float  # s
    ocsp: Literal["off", "prefer", "require"] = "off"


@dataclass(slots=True)
class Counters:
    """For the metrics."""

    lists_read: int = 0
    lists_unreachable: int = 0
    lists_refused: int = 0
    found_revoked: int = 0
    found_unknown: int = 0


@dataclass(frozen=True, slots=True)
class ListStanding:
    """How one source stands, for who looks after the node."""

    source: str
    issuer: str
    entries: int
    number: int | None
    delta: bool
    until: int  # ms UTC: when it expires
    read_at: int | None  # ms UTC: last successful reading
    problem: str  # slug of the last failure, "" after a good one


class RevocationCheck:
    """Implements `interface.Revocation`."""

    def __init__(
        self,
        wanted: Wanted,
        authorities: Callable[[], Authorities],
        folder: Path,
        *,
        fetch: FetchList,
        responders: Responders | None,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
    ) -> None:
        """`authorities` reads them anew. It may raise OSError, ValueError."""
        self._wanted = wanted
        self._read_authorities = authorities
        self._authorities = Authorities([])
        self._folder = folder
        self._fetch = fetch
        self._responders = responders
        self._audit = audit
        self._clock = clock
        self._book = Book()
        self._read_at: dict[str, int] = {}
        self._problems: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None
        self.begun = asyncio.Event()  # every source was tried once since the start
        self.counters = Counters()

    @property
    def checks(self) -> bool:
        """Whether this node was given anything to check with."""
        return bool(self._wanted.sources) or self._responders is not None

    @property
    def asked(self) -> ocsp.Counters | None:
        """How often responders were asked; None when none is."""
        return self._responders.counters if self._responders is not None else None

    async def open(self) -> None:
        """The authorities, the lists that are files, and those kept from before."""
        await self._renew_authorities()
        for source in self._wanted.sources:
            if is_address(source):
                await self._restore(source)
            else:
                await self._read_source(source)

    # -- the question

    async def look(self, chain: Sequence[bytes]) -> Finding:
        if not self.checks:
            return Finding.UNCHECKED
        try:
            found = await self._looked(chain)
        except Exception as failure:  # what some certificate holds that nobody thought of lets nobody in
            _log.error("revocation of a certificate could not be looked at (%s)", type(failure).__name__)
            found = Finding.UNKNOWN
        if found is Finding.REVOKED:
            self.counters.found_revoked += 1
        elif found is Finding.UNKNOWN:
            self.counters.found_unknown += 1
        return found

    async def _looked(self, chain: Sequence[bytes]) -> Finding:
        path = self._authorities.path(chain) if chain else None
        if path is None:
            return Finding.UNKNOWN
        now = self._clock()
        by_list = [self._book.find(link, now) for link in path]
        if Finding.REVOKED in by_list:
            return Finding.REVOKED
        answers = [await self._of_link(link, found) for link, found in zip(path, by_list, strict=True)]
        if Finding.REVOKED in answers:
            return Finding.REVOKED
        return Finding.UNKNOWN if Finding.UNKNOWN in answers else Finding.GOOD

    async def _of_link(self, link: Link, by_list: Finding) -> Finding:
        """`by_list` with what a responder says."""
        if self._responders is not None:
            answer = await self._responders.find(link)
            if answer in (Finding.GOOD, Finding.REVOKED):
                return answer
            if self._wanted.ocsp == "require" and (answer is Finding.UNKNOWN or not link.is_authority):
                return Finding.UNKNOWN
        if by_list is Finding.UNCHECKED:
            # Authorities are often vouched for by their own list of trust; leaves never are.
            missing = any(source not in self._read_at for source in self._wanted.sources)
            return Finding.GOOD if link.is_authority and not missing else Finding.UNKNOWN
        return by_list

    # -- what is known

    async def refresh(self) -> list[str]:
        """Read every source and the authorities again; a sentence for each that stays as it was."""
        problems = [await self._renew_authorities()]
        problems += [await self._read_source(source) for source in self._wanted.sources]
        if self._responders is not None:
            await self._responders.refresh()
        return [problem for problem in problems if problem]

    async def _renew_authorities(self) -> str:
        """A sentence when they stay as they were, else ""."""
        try:
            self._authorities = await asyncio.to_thread(self._read_authorities)
        except (OSError, ValueError) as failure:
            words = f"The authorities of operators cannot be read: {failure}."
            _log.error("%s", words)
            return words
        return ""

    def standings(self) -> Iterator[ListStanding]:
        for source, one in self._book.lists():
            yield ListStanding(
                source,
                one.issuer_name,
                len(one.revoked),
                one.number,
                one.scope.delta,
                one.next_update,
                self._read_at.get(source),
                self._problems.get(source, ""),
            )
        for source in self._wanted.sources:
            if source not in self._read_at:
                yield ListStanding(
                    source, "", 0, None, False, 0, None, self._problems.get(source, "never-read")
                )

    def oldest(self) -> int | None:
        """When the source that was read longest ago was read, ms UTC; None while one was never read."""
        times = [self._read_at.get(source) for source in self._wanted.sources]
        known = [each for each in times if each is not None]
        return min(known) if known and len(known) == len(times) else None

    async def _read_source(self, source: str) -> str:
        """A sentence when it stays as it was, else ""."""
        async with self._one_at_a_time:
            try:
                data = await self._contents(source)
                await self._use(source, data, self._clock())
            except ListUnusable as failure:
                return self._failed(source, failure)
            self.counters.lists_read += 1
            self._problems.pop(source, None)
            if is_address(source):
                await asyncio.to_thread(self._keep_file, source, data, self._clock())
        return ""

    async def _contents(self, source: str) -> bytes:
        if is_address(source):
            return await self._fetch(source)
        try:
            return await asyncio.to_thread(_whole, Path(source))
        except OSError:
            raise ListUnusable("unreachable", f"The list of revocation {source} cannot be read.") from None

    async def _use(self, source: str, data: bytes, read_at: int) -> None:
        """Raises ListUnusable."""
        lists = await asyncio.to_thread(crl.read, data, self._authorities, self._clock())
        self._book.require_newer(source, lists)
        until = read_at + self._wanted.grace_ms if is_address(source) else _FOREVER
        self._book.put(source, Held(tuple(lists), until))
        self._read_at[source] = read_at

    def _failed(self, source: str, failure: ListUnusable) -> str:
        self._problems[source] = failure.reason
        if failure.reason == "unreachable":
            self.counters.lists_unreachable += 1
            _log.warning("list of revocation %s not read: %s", source, failure.sentence)
        else:
            self.counters.lists_refused += 1
            _log.error("list of revocation %s refused (%s): %s", source, failure.reason, failure.sentence)
            detail = {"kind": "revocation"}
            self._audit([Event("trust-list", self._clock(), "node", outcome=failure.reason, detail=detail)])
        return f"{source}: {failure.sentence}"

    # -- across restarts

    def _file(self, source: str) -> Path:
        return self._folder / f"crl-{hashlib.sha256(source.encode()).hexdigest()[:16]}"

    def _keep_file(self, source: str, data: bytes, read_at: int) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(self._file(source), json.dumps({"read_at": read_at}).encode() + b"\n" + data)
        except OSError as failure:  # a full disk: it is in force, and fetched again after a restart
            _log.error("a list of revocation could not be kept (%s)", type(failure).__name__)

    async def _restore(self, source: str) -> None:
        try:
            head, _, data = (await asyncio.to_thread(_whole, self._file(source))).partition(b"\n")
            read_at = int(json.loads(head)["read_at"])
            await self._use(source, data, min(read_at, self._clock()))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, ListUnusable) as failure:
            _log.error("a list of revocation that was kept cannot be read (%s)", type(failure).__name__)

    # -- schedule

    def start(self) -> None:
        if self.checks:
            self._keeping = asyncio.create_task(self._keep())
        else:
            self.begun.set()

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        if self._responders is not None:
            await self._responders.stop()

    async def _keep(self) -> None:
        while True:
            try:
                problems = await self.refresh()
            except Exception as failure:  # what is known stays, and ends with its grace
                _log.error("revocation could not be kept up to date (%s)", type(failure).__name__)
                problems = [""]
            self.begun.set()
            wait = min(self._wanted.every, _AFTER_FAILURE) if problems else self._wanted.every
            await asyncio.sleep(max(_SOON, wait * random.uniform(0.9, 1.1)))  # noqa: S311 - nodes must not come at once


def is_address(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(crl.LARGEST + 1024)
