"""The durable queue of publication: one row for each mailbox, with the state that is wanted and the one that is there.

Synchronous; from the loop it is called in a thread. Invariants: a write is durable when it returns; a row is asked
for by one node at a time, and by any after a node died; what was refused is not asked again until what is wanted
changes or an administrator says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Row, and_, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from directory.publication.client.states import Standing
from directory.publication.client.tables import publication

_COLUMNS = publication.c
_MANY = 500  # rows of one transaction


class PublicationQueue:
    """`node`: names this process among those that share the database, also after it was started again."""

    def __init__(self, engine: Engine, node: str, base: str = "") -> None:
        self._engine = engine
        self._node = node
        self._base = base

    def close(self) -> None:
        self._engine.dispose()

    # -- reading

    def all(self) -> list[Standing]:
        with self._engine.connect() as connection:
            return [
                _standing(row) for row in connection.execute(select(publication).order_by(_COLUMNS.address))
            ]

    def one(self, address: str) -> Standing | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(publication).where(_COLUMNS.address == address.lower())).first()
            return None if row is None else _standing(row)

    def wanted(self) -> dict[str, str]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(_COLUMNS.address, _COLUMNS.wanted))
            return {row.address: row.wanted for row in rows}

    def withdrawn(self) -> frozenset[str]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(_COLUMNS.address).where(_COLUMNS.withdrawn_at.is_not(None)))
            return frozenset(rows.scalars())

    def due(self, now: int, limit: int = 50) -> list[str]:
        """Addresses to ask about, those that waited longest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(_COLUMNS.address)
                .where(_open(), _COLUMNS.next_at <= now, self._free(now))
                .order_by(_COLUMNS.next_at, _COLUMNS.address)
                .limit(limit)
            )
            return list(rows.scalars())

    def counts(self) -> tuple[int, int, int]:
        """Published, pending, refused."""
        there = and_(
            _COLUMNS.wanted == _COLUMNS.published, _COLUMNS.attempted == "", _COLUMNS.published != ""
        )
        refused = and_(_COLUMNS.refused_for == _COLUMNS.wanted, _different())
        with self._engine.connect() as connection:
            found = [
                connection.execute(select(func.count()).select_from(publication).where(which)).scalar_one()
                for which in (there, _open(), refused)
            ]
        return found[0], found[1], found[2]

    # -- writing

    def settle(self) -> int:
        """At start: what another national directory has of ours is not what the one of now has."""
        with self._engine.begin() as connection:
            return connection.execute(
                update(publication)
                .where(_COLUMNS.directory != self._base)
                .values(
                    directory=self._base, published="", attempted="", published_at=None, refused_for=None, reason="",
                    words="", tries=0, next_at=0,
                )
            ).rowcount  # fmt: skip

    def want(self, wanted: Mapping[str, str], at: int) -> None:
        """What these addresses should be from now on; what is asked for now is asked again with it."""
        addresses = sorted(wanted)
        for start in range(0, len(addresses), _MANY):
            rows = [{"address": one, "wanted": wanted[one]} for one in addresses[start : start + _MANY]]
            self._put(rows, at)

    def withdraw(self, address: str, at: int, reason: str) -> None:
        self._upsert({"address": address, "withdrawn_at": at, "withdrawn_reason": reason, "wanted": ""}, at)

    def allow(self, addresses: Iterable[str], at: int) -> None:
        """Withdrawn no more; what was refused is asked again, and what is published is told once more."""
        every = sorted(addresses)
        told_again = case(
            (and_(_COLUMNS.attempted == "", _COLUMNS.published != ""), _COLUMNS.published),
            else_=_COLUMNS.attempted,
        )
        for start in range(0, len(every), _MANY):
            with self._engine.begin() as connection:
                connection.execute(
                    update(publication)
                    .where(_COLUMNS.address.in_(every[start : start + _MANY]))
                    .values(
                        withdrawn_at=None, withdrawn_reason="", refused_for=None, reason="", words="", tries=0,
                        next_at=at, attempted=told_again,
                    )
                )  # fmt: skip

    def claim(self, address: str, now: int, until: int) -> Standing | None:
        """The row as it is now, for this node alone; None where another has it or nothing is to be done."""
        with self._engine.begin() as connection:
            taken = connection.execute(
                update(publication)
                .where(_COLUMNS.address == address, _open(), self._free(now))
                .values(claimed_by=self._node, claimed_until=until)
            )
            if not taken.rowcount:
                return None
            return _standing(connection.execute(select(publication).where(_COLUMNS.address == address)).one())

    def attempting(self, address: str, text: str) -> None:
        """Before it is asked: if we die now, it may have been taken."""
        self._set(address, attempted=text)

    def confirmed(self, address: str, published: str, at: int) -> None:
        """The national directory has it so now. "": it is gone there."""
        with self._engine.begin() as connection:
            before = connection.execute(select(publication).where(_COLUMNS.address == address)).one()
            since = before.published_at if before.published and published else (at if published else None)
            connection.execute(
                update(publication)
                .where(_COLUMNS.address == address)
                .values(
                    published=published, attempted="", published_at=since, refused_for=None, reason="", words="",
                    tries=0, next_at=at,
                )
            )  # fmt: skip

    def release(self, address: str) -> None:
        """Nothing more is to be asked of it now."""
        self._set(address, claimed_by="", claimed_until=0)

    def refused(self, address: str, wanted: str, reason: str, words: str) -> None:
        self._set(
            address,
            refused_for=wanted,
            reason=reason,
            words=words,
            attempted="",
            claimed_by="",
            claimed_until=0,
        )

    def failed(self, address: str, reason: str, words: str, next_at: int) -> None:
        """To be tried again. What was attempted stays so: it may have been taken."""
        self._set(
            address,
            tries=_COLUMNS.tries + 1,
            reason=reason,
            words=words,
            next_at=next_at,
            claimed_by="",
            claimed_until=0,
        )

    def _put(self, rows: Sequence[dict[str, Any]], at: int) -> None:
        with self._engine.begin() as connection:
            for row in rows:
                connection.execute(self._insert(row, at))

    def _upsert(self, row: dict[str, Any], at: int) -> None:
        self._put([row], at)

    def _insert(self, row: dict[str, Any], at: int) -> Any:
        """Insert, or change and make due at once: what failed before may not fail now."""
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        changes = {name: value for name, value in row.items() if name != "address"}
        return (
            dialect.insert(publication)
            .values(**row, directory=self._base, next_at=at)
            .on_conflict_do_update(index_elements=["address"], set_={**changes, "tries": 0, "next_at": at})
        )

    def _set(self, address: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(publication).where(_COLUMNS.address == address).values(**values))

    def _free(self, now: int) -> Any:
        return or_(_COLUMNS.claimed_by.in_(("", self._node)), _COLUMNS.claimed_until < now)


def _different() -> Any:
    return or_(_COLUMNS.wanted != _COLUMNS.published, _COLUMNS.attempted != "")


def _open() -> Any:
    """Not as wanted, and not refused as it is wanted."""
    return and_(_different(), or_(_COLUMNS.refused_for.is_(None), _COLUMNS.refused_for != _COLUMNS.wanted))


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        address=row.address,
        wanted=row.wanted,
        published=row.published,
        attempted=row.attempted,
        published_at=row.published_at,
        refused_for=row.refused_for,
        reason=row.reason,
        words=row.words,
        tries=row.tries,
        next_at=row.next_at,
        withdrawn_at=row.withdrawn_at,
        withdrawn_reason=row.withdrawn_reason,
    )
