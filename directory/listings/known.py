"""People and organisations as one transaction knows them: what the database has, and what is told of them now.

Many lines name the same person and the same structure. The national files are right about them; what we or another
operator tell fills in what is missing, and is right where no national file has spoken.

Invariants: what is told empty takes nothing away; each is read once and written once a transaction, however many lines
name it; `updated_at` moves when a value does, or when `touched` (something of theirs came, went or changed).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from directory.listings.database import Sql
from directory.listings.rows import (
    ORGANISATION_COLUMNS,
    PROFESSIONAL_COLUMNS,
    Row,
    name_words,
    named,
    organisation_row,
    professional_row,
)
from directory.model import Organisation, Origin, Professional
from directory.search.words import normalised

SEVERAL = 512  # values of one IN
_AUTHORITY = {"": -1, Origin.PUBLISHED.value: 0, Origin.OWN.value: 1, Origin.NATIONAL.value: 2}
_FAMILY, _GIVEN = PROFESSIONAL_COLUMNS.index("family"), PROFESSIONAL_COLUMNS.index("given")
_P_WORDS = PROFESSIONAL_COLUMNS.index("family_words")
_NAME, _BRAND = ORGANISATION_COLUMNS.index("name"), ORGANISATION_COLUMNS.index("brand")
_O_WORDS = ORGANISATION_COLUMNS.index("name_words")
_PLACE = ORGANISATION_COLUMNS.index("recipient_line")
_POSTCODE, _COMMUNE = ORGANISATION_COLUMNS.index("postcode"), ORGANISATION_COLUMNS.index("commune_code")


def several(sql: Sql, statement: str, values: Iterable[object]) -> list[Row]:
    """`statement` with `IN ({})`, a few hundred values at a time."""
    found: list[Row] = []
    listed = list(values)
    for start in range(0, len(listed), SEVERAL):
        some = listed[start : start + SEVERAL]
        # Of few lengths, the last value again and again: a statement met before is not compiled anew.
        some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
        found += sql.all(statement.format(", ".join("?" * len(some))), some)
    return found


def _upsert(table: str, columns: Sequence[str], key: str) -> str:
    marks = ", ".join("?" * len(columns))
    values = ", ".join(f"{one} = excluded.{one}" for one in columns if one != key)
    return (
        f"INSERT INTO {table} ({named(columns)}) VALUES ({marks})"  # noqa: S608  # names of our own tables
        f" ON CONFLICT ({key}) DO UPDATE SET {values}"
    )


class Known:
    """One kind of them (people, organisations), by national identifier."""

    shown: tuple[int, ...] = ()  # columns that cards show

    def __init__(self, sql: Sql, table: str, columns: Sequence[str], at: int) -> None:
        extra = ("struck_off_at",) if table == "professional" else ()
        self._sql = sql
        self._at = at
        self._width = len(columns)
        self._table = table
        self._select = (
            f"SELECT {named([*columns, 'origin', 'updated_at', *extra])} FROM {table}"  # noqa: S608
            " WHERE national_id IN ({})"
        )
        self._write = _upsert(table, [*columns, "origin", "updated_at"], "national_id")
        self._rows: dict[str, Row | None] = {}  # with origin, updated_at (, struck_off_at)
        self._dirty: set[str] = set()
        self.changed: set[str] = set()  # of whom cards show something else than before; not who is new

    def load(self, ids: Iterable[str]) -> None:
        missing = {one for one in ids if one and one not in self._rows}
        if missing:
            self._rows.update(dict.fromkeys(missing))
            self._rows.update((row[0], row) for row in several(self._sql, self._select, missing))

    def row(self, national_id: str) -> Row | None:
        """Its columns; None where it is unknown."""
        return self._rows.get(national_id)

    def struck_off(self, national_id: str) -> bool:
        row = self._rows.get(national_id)
        return row is not None and row[self._width + 2] is not None

    def forget(self, ids: Iterable[str]) -> None:
        """They were changed by a statement of its own: read anew when asked for."""
        self.write()
        for one in ids:
            self._rows.pop(one, None)

    def tell(self, national_id: str, told: Row, origin: Origin) -> None:
        """`told`: the columns, of somebody who is loaded."""
        old = self._rows.get(national_id)
        if old is None:
            nothing = (None,) if self._table == "professional" else ()
            self._rows[national_id] = (*told, origin.value, self._at, *nothing)
            self._dirty.add(national_id)
            return
        width = self._width
        stored = old[:width]
        if stored == told and old[width] == origin.value:
            return
        told = self._settled(stored, told)
        right = _AUTHORITY[origin.value] >= _AUTHORITY.get(old[width], -1)
        merged = _worded(self._table, tuple(_merged(stored, told) if right else _merged(told, stored)))
        better = origin.value if right else old[width]
        if merged == stored and better == old[width]:
            return
        self._rows[national_id] = (*merged, better, self._at, *old[width + 2 :])
        self._dirty.add(national_id)
        if any(merged[place] != stored[place] for place in self.shown):
            self.changed.add(national_id)

    def _settled(self, stored: Row, told: Row) -> Row:
        """What is told, where it says less than what is known."""
        return told

    def touch(self, ids: Iterable[str]) -> None:
        """Something of theirs came, went or changed."""
        width = self._width
        for one in ids:
            row = self._rows.get(one)
            if row is not None and row[width + 1] != self._at:
                self._rows[one] = (*row[: width + 1], self._at, *row[width + 2 :])
                self._dirty.add(one)

    def write(self) -> None:
        rows = [row[: self._width + 2] for one in self._dirty if (row := self._rows[one]) is not None]
        if rows:
            # In the order of the key: two writers of PostgreSQL never wait for each other in a ring.
            self._sql.many(self._write, sorted(rows))
        self._dirty.clear()


class People(Known):
    shown = tuple(
        PROFESSIONAL_COLUMNS.index(one)
        for one in ("title", "family", "given", "profession_code", "profession")
    )

    def __init__(self, sql: Sql, at: int) -> None:
        super().__init__(sql, "professional", PROFESSIONAL_COLUMNS, at)

    def told(self, professionals: Iterable[Professional], origin: Origin) -> None:
        told = list({id(one): one for one in professionals}.values())
        self.load(one.national_id for one in told)
        for one in told:
            self.tell(one.national_id, professional_row(one), origin)


class Organisations(Known):
    shown = tuple(
        ORGANISATION_COLUMNS.index(one)
        for one in ("name", "brand", "street", "postcode", "commune", "department")
    )

    def __init__(self, sql: Sql, at: int) -> None:
        super().__init__(sql, "organisation", ORGANISATION_COLUMNS, at)

    def told(self, organisations: Iterable[Organisation], origin: Origin) -> None:
        told = list({id(one): one for one in organisations}.values())
        self.load(one.national_id for one in told)
        for one in told:
            self.tell(one.national_id, organisation_row(one), origin)

    def _settled(self, stored: Row, told: Row) -> Row:
        """One file has the commune's code and writes streets out, the other has neither, of the same place."""
        less = stored[_COMMUNE] and not told[_COMMUNE] and told[_POSTCODE] in ("", stored[_POSTCODE])
        return (*told[:_PLACE], *stored[_PLACE:_O_WORDS], told[_O_WORDS]) if less else told


def _merged(under: Row, over: Row) -> Iterable[object]:
    return (new if new else old for old, new in zip(under, over, strict=True))


def _worded(table: str, row: Row) -> Row:
    """Words follow the values they are made of, whichever of the two told them."""
    if table == "professional":
        return (*row[:_P_WORDS], normalised(row[_FAMILY]), normalised(row[_GIVEN]))
    return (*row[:_O_WORDS], name_words(row[_NAME], row[_BRAND]))
