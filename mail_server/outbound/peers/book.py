"""What was published for other operators' addressees, kept in the message store's database.

Invariants: the address and the certificate are wrapped by the KEK, bound to their row; a row that does not open is as
good as none.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, cast

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.peers.answers import State
from mail_server.store.interface import Reader, Sql, Store, Transaction

_MARK = b"peer certificate mark"
_DROP = "DELETE FROM peer_certificate WHERE answered_at < ? AND state <> ?"


@dataclass(frozen=True, slots=True)
class Known:
    """An operator's last answer about one address."""

    address: str = field(repr=False)
    state: State
    published: bytes = field(repr=False)
    answered_at: int  # ms
    lasts: int | None = (
        None  # ms that the operator lets it be used without asking again; None: it did not say
    )
    tag: str = ""  # with which to ask whether it still stands
    named: str = field(default="", repr=False)  # the address the certificate names, where it is another one
    largest: int = 0  # octets of a letter that the address takes; 0: not known

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class Book:
    """`await open()` once, then `read` and `write`."""

    def __init__(self, store: Store, keys: KeyWrapper) -> None:
        self._store = store
        self._keys = keys
        self._key = b""

    async def open(self) -> None:
        """Raises KeyUnavailable, StoreError."""
        self._key = await self._store.write(self._mark_key)

    async def read(self, address: str) -> Known | None:
        mark = self._mark(address)
        row = await self._store.read(lambda reader: _row(reader, mark))
        if row is None:
            return None
        state, sealed, answered_at = row
        try:
            told = cast("dict[str, Any]", json.loads(self._keys.unwrap(bytes(sealed), _purpose(mark))))
            if told["address"] != address:
                return None
            return Known(
                address,
                State(state),
                base64.b64decode(told["published"]),
                int(answered_at),
                told.get("lasts"),
                told.get("tag", ""),
                told.get("named", ""),
                int(told.get("largest", 0)),
            )
        except (KeyUnavailable, ValueError, KeyError, TypeError):
            return None

    async def write(self, known: Known) -> None:
        """Durable on return."""
        mark = self._mark(known.address)
        told = {
            "address": known.address,
            "published": base64.b64encode(known.published).decode(),
            "lasts": known.lasts,
            "tag": known.tag,
            "named": known.named,
            "largest": known.largest,
        }
        sealed = self._keys.wrap(json.dumps(told).encode(), _purpose(mark))

        def put(transaction: Transaction) -> None:
            transaction.sql.run(
                "INSERT INTO peer_certificate (mark, domain, state, sealed, answered_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (mark) DO UPDATE SET state = excluded.state, sealed = excluded.sealed,"
                " answered_at = excluded.answered_at",
                (mark, known.domain, int(known.state), sealed, known.answered_at),
            )

        await self._store.write(put)

    async def drop(self, before: int) -> int:
        """Forget what no operator confirmed since, but that a key is revoked. How many."""
        revoked = int(State.REVOKED)
        return await self._store.write(lambda transaction: transaction.sql.run(_DROP, (before, revoked)))

    def _mark(self, address: str) -> bytes:
        assert self._key
        return hmac.digest(self._key, address.encode("utf-8", "replace"), "sha256")

    def _mark_key(self, transaction: Transaction) -> bytes:
        """Made where there is none; two nodes that begin at once end with the same."""
        found = _sealed_key(transaction.sql)
        if found is None:
            transaction.sql.run(
                "INSERT INTO peer_certificate_mark (id, sealed) VALUES (1, ?) ON CONFLICT DO NOTHING",
                (self._keys.wrap(secrets.token_bytes(32), _MARK),),
            )
            found = _sealed_key(transaction.sql)
        assert found is not None
        return self._keys.unwrap(found, _MARK)


def _sealed_key(sql: Sql) -> bytes | None:
    row = sql.one("SELECT sealed FROM peer_certificate_mark WHERE id = 1")
    return None if row is None else bytes(row[0])


def _row(reader: Reader, mark: bytes) -> tuple[Any, ...] | None:
    return reader.sql.one("SELECT state, sealed, answered_at FROM peer_certificate WHERE mark = ?", (mark,))


def _purpose(mark: bytes) -> bytes:
    return b"peer certificate/" + mark
