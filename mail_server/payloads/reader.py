"""What structured letters say, read in worker processes that know no secret (`payloads.worker`).

Workers are started when the first such letter comes: a node that carries none never pays for them. A letter waits its
turn here, not in the pool, so that the deadline of reading is for reading alone.

Invariants: what comes back is checked as if a stranger had written it; a worker that dies or overstays fails its own
letter, which the caller answers 451, and is replaced; a letter that ended two workers is refused, and ends no third;
one sender never holds every worker, nor stands before others twice; nothing is read in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from mail_server.payloads import manifest
from mail_server.payloads.manifest import Manifest
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from mail_server.payloads.record.settings import RecordSettings
from mail_server.sealing.frames import Ask
from mail_server.sealing.pool import Counters, Pool
from mail_server.sealing.process import Entry, PoolError

_SENTENCE: Final = 200
_DEADLY: Final = frozenset({"deadline", "worker-lost"})
_TIMES: Final = 2  # that one letter may end a worker: the first may have been the machine's doing
_REMEMBERED: Final = 1000  # letters that ended one


class NotRead(Exception):
    """The letter could not be read now. `slug` says why, and nothing of the letter."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Reading:
    manifest: Manifest | None = field(default=None, repr=False)
    confidentiality: frozenset[str] = frozenset()
    cda: tuple[str, ...] = ()  # types of the CDA in its archives
    identified: bool = False  # all of these name a qualified INS


class Reads(Protocol):
    """What delivery needs of a reader."""

    async def read(self, message: bytes, sender: str = "") -> Reading:
        """Raises RecordRefused, NotRead."""
        ...


@dataclass(slots=True)
class _Line:
    """The letters of one sender that wait or are read."""

    places: asyncio.Semaphore
    letters: int = 0


class Reader:
    """`await read(message)`; `await close()` in the end."""

    def __init__(self, settings: RecordSettings | None = None) -> None:
        self._settings = settings or RecordSettings()
        self._pool: Pool | None = None
        self._starting = asyncio.Lock()
        self._turns = asyncio.Semaphore(self._settings.workers)
        self._lines: dict[str, _Line] = {}  # by sender, while letters of theirs are here
        self._deadly: OrderedDict[bytes, int] = OrderedDict()  # letters that ended workers, and how many

    @property
    def counters(self) -> Counters:
        return self._pool.counters if self._pool is not None else Counters()

    @property
    def pids(self) -> list[int]:
        return self._pool.pids if self._pool is not None else []

    async def read(self, message: bytes, sender: str = "") -> Reading:
        async with self._turn(sender):
            await self._require_harmless(message)
            try:
                reply = await (await self._started()).ask(Ask.READ, b"", message)
            except PoolError as error:
                if error.slug in _DEADLY:
                    await self._remember(message)
                raise NotRead(error.slug) from None
        return _reading(reply.payload)

    @contextlib.asynccontextmanager
    async def _turn(self, sender: str) -> AsyncGenerator[None]:
        """First among the sender's own letters, then among everybody's."""
        line = self._lines.setdefault(sender, _Line(asyncio.Semaphore(max(1, self._settings.workers - 1))))
        line.letters += 1
        held = False
        try:
            try:
                async with asyncio.timeout(self._settings.wait_seconds):
                    held = await line.places.acquire()
                    await self._turns.acquire()
            except TimeoutError:
                raise NotRead("busy") from None
            try:
                yield
            finally:
                self._turns.release()
        finally:
            if held:
                line.places.release()
            line.letters -= 1
            if not line.letters:
                del self._lines[sender]

    async def _require_harmless(self, message: bytes) -> None:
        if self._deadly and self._deadly.get(await _digest(message), 0) >= _TIMES:
            raise RecordRefused(
                AnsCode.OTHER, "too-laborious", "The documents of this letter take too long to be read"
            )

    async def _remember(self, message: bytes) -> None:
        digest = await _digest(message)
        self._deadly[digest] = self._deadly.pop(digest, 0) + 1
        if len(self._deadly) > _REMEMBERED:
            self._deadly.popitem(last=False)

    async def _started(self) -> Pool:
        async with self._starting:
            if self._pool is None:
                settings = self._settings
                entry = Entry("mail_server.payloads.worker", settings.memory_limit_mib, 1, settings.niceness)
                pool = Pool(settings, entry)
                try:
                    await pool.start()
                except (PoolError, OSError):
                    await pool.close()
                    raise PoolError("worker-lost") from None
                self._pool = pool
            return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


async def _digest(message: bytes) -> bytes:
    return (await asyncio.to_thread(hashlib.sha256, message)).digest()


def _reading(payload: bytes) -> Reading:
    """The answer, of whose making we know only that it came from a worker."""
    try:
        found: Any = json.loads(payload)
    except (ValueError, RecursionError):
        raise NotRead("answer") from None
    if not isinstance(found, dict):
        raise NotRead("answer")
    told = cast("dict[str, Any]", found)
    if "refused" in told:
        raise _refused(told["refused"])
    codes = told.get("confidentiality")
    if not isinstance(codes, list) or "manifest" not in told:
        raise NotRead("answer")
    drawn = told["manifest"]
    made = manifest.of_json(drawn) if drawn is not None else None
    if drawn is not None and made is None:
        raise NotRead("answer")
    types = tuple(one for one in cast("list[object]", told.get("cda") or []) if isinstance(one, str))
    return Reading(
        made,
        frozenset(str(one) for one in cast("list[object]", codes)),
        types,
        bool(types) and told.get("identified") is True,
    )


def _refused(told: object) -> RecordRefused:
    match told:
        case [int(code), str(slug), str(sentence)] if code in set(AnsCode):
            plain = "".join(one for one in sentence[:_SENTENCE] if one.isascii() and one.isprintable())
            return RecordRefused(
                AnsCode(code), slug[:40] if slug.replace("-", "").isalnum() else "refused", plain
            )
        case _:
            return RecordRefused(AnsCode.OTHER, "refused", "The structured content is refused")
