"""How old the trust list may be, and which operators an old one still vouches for.

Past a first age the list vouches only for operators that this node has met before: those were once judged by a list
that was young. Past a second age it vouches for nobody.

Invariants: the age counts from when the authority was last heard confirming the list, across restarts; a clock that
was put back makes no list younger than now; memory answers, the table remembers, and who was met is written behind
the answer, never before it.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import sqlalchemy as sa

from policies.interface import SqlConnection
from policies.trust_list import names

HOUR_MS = 3_600_000
metadata = sa.MetaData()

known_peer = sa.Table(
    "known_peer",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # names.key of the operator's subject
    sa.Column("dn", sa.Text, nullable=False),  # canonical
    sa.Column("since", sa.BigInteger, nullable=False),  # ms UTC
)

_log = logging.getLogger("vaguemestre.policies")
Write = Callable[[Callable[[SqlConnection], None]], Awaitable[None]]


class Age(enum.Enum):
    """What the list is still good for."""

    YOUNG = "young"
    OLD = "old"  # for operators met before
    DEAD = "dead"  # for nobody


@dataclass(frozen=True, slots=True)
class Ages:
    """From which age on. `aged` is false for a list that is given as a file: nobody is asked for a newer one."""

    new_peers_ms: int = 72 * HOUR_MS
    all_peers_ms: int = 168 * HOUR_MS
    aged: bool = True

    def of(self, confirmed_at: int, now: int) -> Age:
        if not self.aged:
            return Age.YOUNG
        age = max(0, now - confirmed_at)
        if age > self.all_peers_ms:
            return Age.DEAD
        return Age.OLD if age > self.new_peers_ms else Age.YOUNG


def read(sql: SqlConnection) -> list[str]:
    """The keys of those met."""
    return [str(name) for (name,) in sql.all("SELECT name FROM known_peer ORDER BY name")]


def write(sql: SqlConnection, dn: str, at: int) -> None:
    sql.run(
        "INSERT INTO known_peer (name, dn, since) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (names.key(dn), dn, at),
    )


class KnownPeers:
    """Operators that this node has exchanged with."""

    def __init__(self, keys: list[str], store: Write) -> None:
        self._keys = set(keys)
        self._store = store
        self._writing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def met(self, dn: str) -> bool:
        return names.key(dn) in self._keys

    def meet(self, dn: str, at: int) -> None:
        """From now on it is known; written behind the answer. What a crash forgets is met again."""
        key = names.key(dn)
        if key in self._keys:
            return
        self._keys.add(key)
        task = asyncio.create_task(self._write(dn, at))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def settled(self) -> None:
        while self._writing:
            await asyncio.gather(*self._writing)

    async def _write(self, dn: str, at: int) -> None:
        try:
            await self._store(lambda sql: write(sql, dn, at))
        except Exception as failure:  # a full disk: met again after the next start
            _log.warning("an operator met could not be noted (%s)", type(failure).__name__)
