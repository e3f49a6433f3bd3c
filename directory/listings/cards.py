"""Cards made anew: of mailboxes, of situations, whenever something that they show has changed.

Invariants: a mailbox on the red list, or whose holders are all struck off, has no card; a person with a shown mailbox
of their own has no card of a situation; a card that would be the same is not written; the index, the vocabulary and
the card's words say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from directory.listings.database import Sql
from directory.listings.known import Organisations, People, several
from directory.listings.rows import (
    CARD_COLUMNS,
    MAILBOX_COLUMNS,
    SITUATION_COLUMNS,
    WORD_COLUMNS,
    Row,
    card_row,
    coded,
    named,
    professional_of,
)
from directory.model import Card, Kind, Origin, Professional
from directory.search import index
from directory.search.documents import Document, document
from directory.search.index import Vocabulary

_ALL = (*CARD_COLUMNS, *WORD_COLUMNS)
_WRITE = f"INSERT INTO card ({named(_ALL)}) VALUES ({', '.join('?' * len(_ALL))})"  # noqa: S608
_UPDATE = f"UPDATE card SET {', '.join(f'{one} = ?' for one in _ALL[1:])} WHERE id = ?"  # noqa: S608
_OLD = f"SELECT {named(_ALL)} FROM card WHERE id IN ({{}})"  # noqa: S608
MAILBOXES = f"SELECT {named(MAILBOX_COLUMNS)}, card FROM mailbox WHERE address IN ({{}})"  # noqa: S608
_SITUATIONS = f"SELECT {named(SITUATION_COLUMNS)}, card FROM situation WHERE"  # noqa: S608
SITUATIONS = _SITUATIONS + " id IN ({})"
SITUATIONS_OF = _SITUATIONS + " national_id IN ({})"
HOLDERS = "SELECT address, national_id FROM mailbox_holder WHERE address IN ({}) ORDER BY address, position"
_WITH_ADDRESS = (
    "SELECT DISTINCT h.national_id FROM mailbox_holder h JOIN mailbox m ON m.address = h.address"
    " WHERE m.card IS NOT NULL AND m.kind = 'PER' AND h.position = 0 AND h.national_id IN ({})"
)
_WORDS_AT = len(CARD_COLUMNS)
_UPDATED_AT = CARD_COLUMNS.index("updated_at")


class Cards:
    """Of one transaction. `people` and `organisations` have what it knows of them."""

    def __init__(
        self, sql: Sql, people: People, organisations: Organisations, vocabulary: Vocabulary, at: int
    ) -> None:
        self._sql = sql
        self._people = people
        self._organisations = organisations
        self._vocabulary = vocabulary
        self._at = at

    def of_mailboxes(self, rows: Sequence[Row], holders: dict[str, tuple[str, ...]]) -> set[str]:
        """Rows of `MAILBOX_COLUMNS` and their card. Whose situations may come to be shown, or no longer."""
        self._people.load(one for ids in holders.values() for one in ids)
        self._organisations.load(row[3] for row in rows)
        width = len(MAILBOX_COLUMNS)
        asked: list[tuple[int | None, Card | None, Sequence[str]]] = []
        for row in rows:
            card, names = self._of_mailbox(row, holders.get(row[0], ()))
            asked.append((row[width], card, names))
        ids = self._write(asked)
        moved = [(new, row[0]) for row, new in zip(rows, ids, strict=True) if new != row[width]]
        if moved:
            self._sql.many("UPDATE mailbox SET card = ? WHERE address = ?", moved)
        return {one for _, address in moved for one in holders.get(address, ())}

    def of_situations(self, rows: Sequence[Row]) -> None:
        """Rows of `SITUATION_COLUMNS` and their card."""
        people = {row[1] for row in rows}
        self._people.load(people)
        self._organisations.load(row[2] for row in rows)
        addressed = {row[0] for row in several(self._sql, _WITH_ADDRESS, people)}
        width = len(SITUATION_COLUMNS)
        asked: list[tuple[int | None, Card | None, Sequence[str]]] = []
        for row in rows:
            if row[1] in addressed:
                asked.append((row[width], None, ()))
            else:
                card, names = self._of_situation(row)
                asked.append((row[width], card, names))
        ids = self._write(asked)
        moved = [(new, row[0]) for row, new in zip(rows, ids, strict=True) if new != row[width]]
        if moved:
            self._sql.many("UPDATE situation SET card = ? WHERE id = ?", moved)

    def drop(self, ids: Iterable[int]) -> None:
        """Cards taken away, with what finds them."""
        olds = several(self._sql, _OLD, ids)
        if olds:
            index.drop(self._sql, [(old[0], Document(*old[_WORDS_AT:])) for old in olds])
            self._sql.many("DELETE FROM card WHERE id = ?", [(old[0],) for old in olds])

    # -- what is shown

    def _of_mailbox(self, row: Row, holders: tuple[str, ...]) -> tuple[Card | None, Sequence[str]]:
        if row[10]:  # red list
            return None, ()
        kind, shown = Kind(row[2]), [one for one in holders if not self._people.struck_off(one)]
        if holders and not shown:
            return None, ()
        person = self._professional(shown[0]) if shown else Professional("")
        place = self._organisations.row(row[3]) or ()
        organisation, names = _names_of(place)
        others: list[str] = []
        if kind is Kind.CAB:
            found = [self._professional(one) for one in shown]
            others = [f"{one.given} {one.family}" for one in found]
            person = replace(person, title="", family="", given="")
        return (
            Card(
                id=0,
                kind=kind,
                address=row[0],
                national_id=person.national_id if kind in (Kind.PER, Kind.CAB) else row[3],
                title=row[13] or person.title,
                family=row[14] or person.family,
                given=row[15] or person.given,
                profession=person.profession,
                speciality=coded(row[4], row[5]),
                organisation_id=row[3],
                organisation=organisation,
                service=row[6],
                description=row[7],
                street=place[9] if place else "",
                postcode=place[12] if place else "",
                commune=place[14] if place else "",
                department=place[15] if place else "",
                digitization=bool(row[8]),
                rank=row[9],
                origin=Origin(row[11]),
                updated_at=self._at,
            ),
            [*names, *others],
        )

    def _of_situation(self, row: Row) -> tuple[Card | None, Sequence[str]]:
        known = self._people.row(row[1])
        if known is None or self._people.struck_off(row[1]):
            return None, ()
        place = self._organisations.row(row[2]) or ()
        organisation, names = _names_of(place)
        return (
            Card(
                id=0,
                kind=None,
                address="",
                national_id=row[1],
                title=known[1],
                family=known[2],
                given=known[3],
                profession=coded(known[4], known[5]),
                speciality=coded(row[3], row[4]),
                organisation_id=row[2],
                organisation=organisation,
                street=row[9],
                postcode=row[12],
                commune=row[14],
                department=row[15],
                origin=Origin(row[17]),
                updated_at=self._at,
            ),
            names,
        )

    def _professional(self, national_id: str) -> Professional:
        row = self._people.row(national_id)
        return professional_of(row) if row is not None else Professional(national_id)

    # -- writing

    def _write(self, asked: Sequence[tuple[int | None, Card | None, Sequence[str]]]) -> list[int | None]:
        """Each with the card that stands there; gives the one that stands there now."""
        there = [old for old, _, _ in asked if old is not None]
        olds = {row[0]: row for row in several(self._sql, _OLD, there)} if there else {}
        unnumbered = sum(card is not None and old not in olds for old, card, _ in asked)
        numbers = iter(self._numbers(unnumbered))
        gone: list[int] = []
        new: list[tuple[Row, Document]] = []
        changed: list[tuple[Row, Row, Document]] = []
        ids: list[int | None] = []
        for old, card, names in asked:
            before = olds.get(old) if old is not None else None
            if card is None:
                if before is not None:
                    gone.append(before[0])
                ids.append(None)
                continue
            found = document(card, names)
            row = (*card_row(card)[1:], found.name, found.what, found.where)
            if before is None:
                number = next(numbers)
                new.append(((number, *row), found))
            else:
                number = before[0]
                if not _same(before, row):
                    changed.append((before, row, found))
            ids.append(number)
        self.drop(gone)
        self._insert(new)
        self._change(changed)
        return ids

    def _insert(self, new: Sequence[tuple[Row, Document]]) -> None:
        if new:
            self._sql.many(_WRITE, [row for row, _ in new])
            index.add(self._sql, [(row[0], found) for row, found in new])
            self._vocabulary.write(self._sql, [found for _, found in new])

    def _change(self, changed: Sequence[tuple[Row, Row, Document]]) -> None:
        if changed:
            index.drop(self._sql, [(old[0], Document(*old[_WORDS_AT:])) for old, _, _ in changed])
            self._sql.many(_UPDATE, [(*row, old[0]) for old, row, _ in changed])
            index.add(self._sql, [(old[0], found) for old, _, found in changed])
            self._vocabulary.write(self._sql, [found for _, _, found in changed])

    def _numbers(self, count: int) -> list[int]:
        if not count:
            return []
        if self._sql.dialect == "postgresql":
            asked = "SELECT nextval(pg_get_serial_sequence('card', 'id')) FROM generate_series(1, ?)"
            return [row[0] for row in self._sql.all(asked, (count,))]
        last = self._sql.one("SELECT max(id) FROM card")
        first = (last[0] or 0) + 1 if last else 1
        return list(range(first, first + count))


def _same(before: Row, row: Row) -> bool:
    """Whether nothing but the time is another."""
    at = _UPDATED_AT
    return before[1:at] == row[: at - 1] and before[at + 1 :] == row[at:]


def _names_of(organisation: Row) -> tuple[str, Sequence[str]]:
    """The name it is shown by, and the others it is found by."""
    if not organisation:
        return "", ()
    name, brand = organisation[1], organisation[2]
    return (brand, (name,)) if brand and brand != name else (name, ())
