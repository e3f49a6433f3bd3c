"""What structured letters say, read in worker processes that know no secret (`payloads.worker`).

Workers are started when the first such letter comes: a node that carries none never pays for them. A letter waits its
turn here, not in the pool, so that the deadline of reading is for reading alone.

Invariants: what comes back is checked as if a stranger had written it; a worker that dies or overstays fails its own
letter, which the caller answers 451, and is replaced; nothing is read in this process.
"""

from __future__ import annotations

import asyncio
import json
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


class NotRead(Exception):
    """The letter could not be read now. `slug` says why, and nothing of the letter."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Reading:
    manifest: Manifest | None = field(default=None, repr=False)
    confidentiality: frozenset[str] = frozenset()


class Reads(Protocol):
    """What delivery needs of a reader."""

    async def read(self, message: bytes) -> Reading:
        """Raises RecordRefused, NotRead."""
        ...


class Reader:
    """`await read(message)`; `await close()` in the end."""

    def __init__(self, settings: RecordSettings | None = None) -> None:
        self._settings = settings or RecordSettings()
        self._pool: Pool | None = None
        self._starting = asyncio.Lock()
        self._turns = asyncio.Semaphore(self._settings.workers)

    @property
    def counters(self) -> Counters:
        return self._pool.counters if self._pool is not None else Counters()

    @property
    def pids(self) -> list[int]:
        return self._pool.pids if self._pool is not None else []

    async def read(self, message: bytes) -> Reading:
        try:
            async with asyncio.timeout(self._settings.wait_seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise NotRead("busy") from None
        try:
            reply = await (await self._started()).ask(Ask.READ, b"", message)
        except PoolError as error:
            raise NotRead(error.slug) from None
        finally:
            self._turns.release()
        return _reading(reply.payload)

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
    return Reading(made, frozenset(str(one) for one in cast("list[object]", codes)))


def _refused(told: object) -> RecordRefused:
    match told:
        case [int(code), str(slug), str(sentence)] if code in set(AnsCode):
            plain = "".join(one for one in sentence[:_SENTENCE] if one.isascii() and one.isprintable())
            return RecordRefused(
                AnsCode(code), slug[:40] if slug.replace("-", "").isalnum() else "refused", plain
            )
        case _:
            return RecordRefused(AnsCode.OTHER, "refused", "The structured content is refused")
