"""API keys: who may ask the FHIR door, and who may publish what there.

Invariants: a key is 160 random bits, shown once and kept as its SHA-256; what a key may do is on its row; a revoked or
expired key opens nothing, at once on this node and within a second on the others; of a key only its id is ever told.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from directory.fhir import tables

READ: Final = "read"
PUBLISH: Final = "publish"
RIGHTS = frozenset({READ, PUBLISH})

_PREFIX = "vmk-"
_FORM = re.compile(r"vmk-[a-z2-7]{32}")
_REMEMBERED = 1.0  # seconds: how long another node may honour a key that was revoked
_MOST_REMEMBERED = 1000
_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


class KeyRefused(ValueError):
    """A key cannot be made so; the text says why, for an administrator."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    label: str
    rights: frozenset[str]
    publisher: str = ""
    domains: frozenset[str] = frozenset()
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None

    def in_force(self, at: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    key: ApiKey
    secret: str = field(repr=False)  # shown once


class ApiKeys:
    """On `directory.db`, or PostgreSQL. Every call may wait for the database: for a thread."""

    def __init__(self, engine: Engine, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock
        self._known: dict[bytes, tuple[float, ApiKey | None]] = {}
        self._turn = threading.Lock()

    def close(self) -> None:
        self._engine.dispose()

    def add(
        self,
        label: str,
        rights: Iterable[str] = (READ,),
        *,
        publisher: str = "",
        domains: Iterable[str] = (),
        expires_at: int | None = None,
    ) -> NewKey:
        """Durable on return. Raises KeyRefused."""
        key = ApiKey(
            id=secrets.token_hex(6),
            label=" ".join(label.split()),
            rights=frozenset(rights),
            publisher=" ".join(publisher.split()),
            domains=frozenset(domain.lower().rstrip(".") for domain in domains),
            created_at=self._clock(),
            expires_at=expires_at,
        )
        _check(key)
        secret = _PREFIX + base64.b32encode(secrets.token_bytes(20)).decode("ascii").lower()
        with self._engine.begin() as connection:
            connection.execute(
                insert(tables.api_key).values(
                    id=key.id,
                    hash=_hash(secret),
                    label=key.label,
                    rights=" ".join(sorted(key.rights)),
                    publisher=key.publisher,
                    domains=" ".join(sorted(key.domains)),
                    created_at=key.created_at,
                    expires_at=key.expires_at,
                )
            )
        return NewKey(key, secret)

    def all(self) -> list[ApiKey]:
        """Also those that open nothing any more, the oldest first."""
        columns = tables.api_key.c
        with self._engine.connect() as connection:
            rows = connection.execute(select(tables.api_key).order_by(columns.created_at, columns.id))
            return [_key(row) for row in rows]

    def revoke(self, key_id: str) -> ApiKey:
        """Durable on return. Raises KeyError for an id that never was; revoking twice changes nothing."""
        columns = tables.api_key.c
        with self._engine.begin() as connection:
            connection.execute(
                update(tables.api_key)
                .where(columns.id == key_id, columns.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            row = connection.execute(select(tables.api_key).where(columns.id == key_id)).first()
        with self._turn:
            self._known.clear()
        if row is None:
            raise KeyError(key_id)
        return _key(row)

    def find(self, secret: str) -> ApiKey | None:
        """The key in force that this is; None for any other text."""
        if _FORM.fullmatch(secret) is None:
            return None
        wanted = _hash(secret)
        now = time.monotonic()
        with self._turn:
            known = self._known.get(wanted)
        if known is None or now - known[0] > _REMEMBERED:
            key = self._read(wanted)
            with self._turn:
                if len(self._known) >= _MOST_REMEMBERED:
                    self._known.clear()
                self._known[wanted] = (now, key)
        else:
            key = known[1]
        return key if key is not None and key.in_force(self._clock()) else None

    def secret(self, name: str) -> bytes:
        """32 random octets that stay the same for all nodes of this directory; made when first asked for."""
        columns = tables.api_secret.c
        asked = select(columns.value).where(columns.name == name)
        with self._engine.connect() as connection:
            found = connection.execute(asked).scalar()
        if found is not None:
            return bytes(found)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(tables.api_secret).values(name=name, value=secrets.token_bytes(32)))
        except IntegrityError:  # another node was first
            pass
        with self._engine.connect() as connection:
            return bytes(connection.execute(asked).scalar_one())

    def _read(self, wanted: bytes) -> ApiKey | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.api_key).where(tables.api_key.c.hash == wanted)).first()
        return None if row is None else _key(row)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        label=row.label,
        rights=frozenset(row.rights.split()),
        publisher=row.publisher,
        domains=frozenset(row.domains.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _check(key: ApiKey) -> None:
    if not key.label:
        raise KeyRefused("A key has a label that says whose it is.")
    if not key.rights or key.rights - RIGHTS:
        raise KeyRefused("The rights of a key are read and publish.")
    if key.expires_at is not None and key.expires_at <= key.created_at:
        raise KeyRefused("This key would have expired already.")
    if PUBLISH in key.rights and not (key.publisher and key.domains):
        raise KeyRefused("A key that publishes names its operator and the domains of its addresses.")
    if PUBLISH not in key.rights and (key.publisher or key.domains):
        raise KeyRefused("Only a key that publishes has an operator and domains.")
    for domain in key.domains:
        if _DOMAIN.fullmatch(domain) is None:
            raise KeyRefused(f"{domain[:80]!r} is no domain.")
