"""Signatures of letters from other operators, verified: what they carry, whose keys, and what came of it.

dkimpy verifies, in a process of its own that is started when the first signed letter comes; keys are asked for here.
Invariants: a letter without signatures costs a look at its header and nothing more; what could not be verified for want
of an answer is `temperror`, never `fail`; nothing here refuses a letter; the worker's answer is read as a stranger's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mail_server.mime import Field
from mail_server.sealing import frames
from mail_server.sealing.frames import Ask
from mail_server.sealing.pool import Counters as PoolCounters
from mail_server.sealing.pool import Pool
from mail_server.sealing.process import Entry, PoolError
from mail_server.signatures import marks
from mail_server.signatures.marks import Chain, Mark, Marks
from mail_server.signatures.results import NOTHING, Judged, Result, Verified
from mail_server.signatures.settings import SignaturesSettings
from mail_server.signatures.zone import Key, NoKey, Zone

_CLOCKS_DIFFER = 300  # s that another operator's clock may be wrong
_NOT_NOW = "verifier not available now"


@dataclass(slots=True)
class Counters:
    """For `/metrics`: letters, by the best that came of their signatures."""

    passed: int = 0
    failed: int = 0
    temporary: int = 0
    unsigned: int = 0


class Verifier:
    """`await verify(message, fields, author_domain)`; `await close()` in the end."""

    def __init__(self, settings: SignaturesSettings, zone: Zone, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._zone = zone
        self._clock = clock
        self._pool: Pool | None = None
        self._starting = asyncio.Lock()
        self.counters = Counters()

    @property
    def pool_counters(self) -> PoolCounters:
        return self._pool.counters if self._pool is not None else PoolCounters()

    @property
    def pids(self) -> list[int]:
        return self._pool.pids if self._pool is not None else []

    async def verify(self, message: bytes, fields: Sequence[Field], author_domain: str) -> Verified | None:
        """None: it is switched off."""
        if not self._settings.verify:
            return None
        found = marks.read(fields, author_domain)
        if not found:
            self.counters.unsigned += 1
            return NOTHING
        verified = await self._verify(message, found)
        if any(one.result is Result.PASS for one in verified.signatures):
            self.counters.passed += 1
        elif verified.later:
            self.counters.temporary += 1
        else:
            self.counters.failed += 1
        return verified

    async def _verify(self, message: bytes, found: Marks) -> Verified:
        judged = [self._at_sight(one) for one in found.signatures]
        names = [one.mark.key_name for one in judged if one.result is Result.NONE]
        chain = found.chain
        if chain is not None and not chain.fault and not chain.failed_before:
            names += [one.key_name for one in chain.marks]
        keys = await self._zone.keys(names)
        judged = [_with_key(one, keys) if one.result is Result.NONE else one for one in judged]
        arc, comment = _chain_at_sight(chain, keys)
        asked = [one.mark for one in judged if one.result is Result.NONE]
        sets = chain.marks if chain is not None and arc is None else ()
        if asked or sets:
            told = await self._ask(message, asked, sets, keys)
            answers = iter(told.signatures)
            judged = [next(answers) if one.result is Result.NONE else one for one in judged]
            if sets:
                arc, comment = told.arc
        sealer = chain.seals[-1].domain if chain is not None and arc is Result.PASS else ""
        return Verified(
            tuple(judged), arc or Result.NONE, comment, sealer, len(chain.seals) if chain is not None else 0
        )

    def _at_sight(self, mark: Mark) -> Judged:
        """What needs no key to be told; NONE: it is to be verified."""
        now = self._clock() // 1000
        if mark.fault:
            return Judged(mark, Result.PERMERROR, mark.fault)
        if mark.partly:
            # RFC 6376 §8.2: what stands behind l= octets is anybody's. It says nothing about the letter.
            return Judged(mark, Result.NEUTRAL, "signed in part, l=")
        if mark.expires_at is not None and mark.expires_at < now - _CLOCKS_DIFFER:
            return Judged(mark, Result.FAIL, "expired")
        if mark.signed_at is not None and mark.signed_at > now + _CLOCKS_DIFFER:
            return Judged(mark, Result.FAIL, "signed in the future")
        return Judged(mark, Result.NONE)

    async def _ask(
        self, message: bytes, asked: Sequence[Mark], sets: Sequence[Mark], keys: dict[str, Key]
    ) -> _Told:
        question = {
            "dkim": [_question(one) for one in asked],
            "arc": [_question(one) for one in sets],
            "keys": {name: key for name, key in keys.items() if isinstance(key, str)},
        }
        fields = frames.pack([json.dumps(question).encode("utf-8", "replace")])
        try:
            reply = await (await self._started()).ask(Ask.VERIFY, fields, message)
            return _told(reply.payload, asked)
        except PoolError:
            return _nothing_told(asked)

    async def _started(self) -> Pool:
        async with self._starting:
            if self._pool is None:
                settings = self._settings
                entry = Entry(
                    "mail_server.signatures.worker", settings.memory_limit_mib, 1, settings.niceness
                )
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


@dataclass(frozen=True, slots=True)
class _Told:
    """The worker's answer."""

    signatures: Sequence[Judged]
    arc: tuple[Result, str]


def _with_key(one: Judged, keys: dict[str, Key]) -> Judged:
    key = keys[one.mark.key_name]
    if key is NoKey.UNKNOWN:
        return Judged(one.mark, Result.TEMPERROR, key.value)
    if isinstance(key, NoKey):
        return Judged(one.mark, Result.PERMERROR, key.value)
    return one


def _chain_at_sight(chain: Chain | None, keys: dict[str, Key]) -> tuple[Result | None, str]:
    """None: it is to be verified."""
    if chain is None:
        return Result.NONE, ""
    if chain.fault:
        return Result.FAIL, chain.fault
    if chain.failed_before:
        return Result.FAIL, "failed before"
    found = [keys[one.key_name] for one in chain.marks]
    # A key that is not there decides; one that is not known now may yet be.
    for missing in (NoKey.ABSENT, NoKey.SEVERAL):
        if missing in found:
            return Result.FAIL, missing.value
    if NoKey.UNKNOWN in found:
        return Result.TEMPERROR, NoKey.UNKNOWN.value
    return None, ""


def _question(mark: Mark) -> dict[str, object]:
    return {
        "index": mark.index,
        "name": mark.key_name,
        "domain": mark.domain,
        "selector": mark.selector,
        "algorithm": mark.algorithm,
        "identity": mark.identity,
        "names": list(mark.names),
    }


def _told(payload: bytes, asked: Sequence[Mark]) -> _Told:
    """Of whose making we know only that it came from a worker. Raises PoolError."""
    try:
        found = cast("dict[str, Any]", json.loads(payload))
        rows = cast("list[Any]", found["dkim"])
        signatures = [
            Judged(mark, Result(row[0]), str(row[1])[:60], int(row[2]))
            for mark, row in zip(asked, rows, strict=True)
        ]
        return _Told(signatures, (Result(found["arc"][0]), str(found["arc"][1])[:60]))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise PoolError("answer") from None


def _nothing_told(asked: Sequence[Mark]) -> _Told:
    """Too slow, or ended: nobody knows, and nobody is refused for it."""
    return _Told([Judged(mark, Result.TEMPERROR, _NOT_NOW) for mark in asked], (Result.TEMPERROR, _NOT_NOW))
