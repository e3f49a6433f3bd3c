"""One transaction's work on the listings: what is told is written, and what follows from it is made anew at its end.

Invariants: `finish` comes last, once; before it cards and index say what was, after it what is; a person or an
organisation is read once and written once, however many mailboxes and situations name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from directory.listings.cards import HOLDERS, MAILBOXES, SITUATIONS, SITUATIONS_OF, Cards
from directory.listings.database import Sql
from directory.listings.known import Organisations, People, several
from directory.listings.rows import (
    HIDDEN_COLUMNS,
    MAILBOX_COLUMNS,
    SITUATION_COLUMNS,
    Row,
    mailbox_row,
    named,
    situation_row,
)
from directory.model import Mailbox, Origin, Situation
from directory.search.index import Vocabulary

_RIGHT = {Origin.NATIONAL.value: 0, Origin.PUBLISHED.value: 1, Origin.OWN.value: 2}
AT_ONCE = 300  # cards of one organisation that `settle` makes anew
_ORIGIN = MAILBOX_COLUMNS.index("origin")
_RED_LIST = MAILBOX_COLUMNS.index("red_list")
_MAILBOX = (*MAILBOX_COLUMNS, *HIDDEN_COLUMNS, "updated_at")
_SITUATION = (*SITUATION_COLUMNS, "updated_at")
_OLD_MAILBOXES = (
    f"SELECT {named((*MAILBOX_COLUMNS, *HIDDEN_COLUMNS))}, card FROM mailbox WHERE address IN ({{}})"  # noqa: S608
)


def _upserted(table: str, columns: Sequence[str]) -> str:
    values = ", ".join(f"{one} = excluded.{one}" for one in columns[1:])
    marks = ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table} ({named(columns)}) VALUES ({marks})"  # noqa: S608  # names of our own tables
        f" ON CONFLICT ({columns[0]}) DO UPDATE SET {values}"
    )


_PUT_MAILBOX = _upserted("mailbox", _MAILBOX)
_PUT_SITUATION = _upserted("situation", _SITUATION)


@dataclass(frozen=True, slots=True)
class Written:
    """Keys (addresses, or situations' ids) by what became of them. In none: it was so already."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # whose it is has a better right
    removed: tuple[str, ...] = ()


def _holder_ids(one: Mailbox) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.national_id for each in one.holders))


def _is_so(old: Row, row: Row, held: tuple[str, ...], ids: tuple[str, ...]) -> bool:
    """Whether a mailbox is already what somebody tells of it; `old` has its card at its end."""
    return old[:-1] == row and held == ids


def _is_shown(mailbox: Row) -> bool:
    """Of one on the red list nothing tells that it came, changed or went: nor when its holder changed last."""
    return not mailbox[_RED_LIST]


@dataclass(slots=True)
class _Due:
    """Whose cards are to be made anew before the transaction ends."""

    mailboxes: dict[str, Row] = field(default_factory=dict[str, Row])  # as they stand now
    holders: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    situations: dict[int, Row] = field(default_factory=dict[int, Row])
    cards: list[int] = field(default_factory=list[int])  # of what is gone
    people: set[str] = field(default_factory=set[str])  # everything of theirs
    shown: set[str] = field(default_factory=set[str])  # who may have got, or lost, a mailbox that is shown


class Transaction:
    def __init__(self, sql: Sql, at: int, vocabulary: Vocabulary | None = None) -> None:
        self._sql = sql
        self._at = at
        self._people = People(sql, at)
        self._organisations = Organisations(sql, at)
        self._cards = Cards(sql, self._people, self._organisations, vocabulary or Vocabulary(), at)
        self._due = _Due()
        self._touched_people: set[str] = set()
        self._touched_organisations: set[str] = set()
        self._moved = False

    # -- mailboxes

    def put_mailboxes(self, mailboxes: Iterable[Mailbox], publisher: str) -> Written:
        asked, olds, refused = self._by_right(mailboxes)
        if not asked:
            return Written(refused=refused)
        before = self._holders(address for address in asked if address in olds)
        self._tell_mailboxes(asked.values())
        added, changed = self._write_mailboxes(asked, olds, before, publisher)
        return Written(tuple(added), tuple(changed), refused)

    def compare_mailboxes(self, mailboxes: Iterable[Mailbox]) -> Written:
        """What `put_mailboxes` would answer. Nothing is written."""
        asked, olds, refused = self._by_right(mailboxes)
        before = self._holders(address for address in asked if address in olds)
        changed = [
            address
            for address, one in asked.items()
            if address in olds
            and not _is_so(olds[address], mailbox_row(one, ""), before.get(address, ()), _holder_ids(one))
        ]
        return Written(tuple(one for one in asked if one not in olds), tuple(changed), refused)

    def _by_right(
        self, mailboxes: Iterable[Mailbox]
    ) -> tuple[dict[str, Mailbox], dict[str, Row], tuple[str, ...]]:
        """Those that may be written, what is there of them, and the addresses of those that may not."""
        asked = {one.address: one for one in mailboxes}
        olds = {row[0]: row for row in several(self._sql, _OLD_MAILBOXES, asked)}
        refused = [
            address
            for address, one in asked.items()
            if address in olds and _RIGHT[olds[address][_ORIGIN]] > _RIGHT[one.origin.value]
        ]
        for address in refused:
            del asked[address]
        return asked, olds, tuple(refused)

    def _tell_mailboxes(self, mailboxes: Iterable[Mailbox]) -> None:
        listed = list(mailboxes)
        for origin in {one.origin for one in listed}:
            told = [one for one in listed if one.origin is origin]
            self._people.told((each for one in told for each in one.holders), origin)
            self._organisations.told((one.organisation for one in told if one.organisation), origin)

    def _write_mailboxes(
        self,
        asked: dict[str, Mailbox],
        olds: dict[str, Row],
        before: dict[str, tuple[str, ...]],
        publisher: str,
    ) -> tuple[list[str], list[str]]:
        added: list[str] = []
        changed: list[str] = []
        rows: list[Row] = []
        holders: list[tuple[str, str, int]] = []
        width = len(MAILBOX_COLUMNS)
        for address, one in asked.items():
            row = mailbox_row(one, publisher)
            ids = _holder_ids(one)
            old, held = olds.get(address), before.get(address, ())
            if old is not None and _is_so(old, row, held, ids):
                continue
            (added if old is None else changed).append(address)
            rows.append((*row, self._at))
            if held != ids:
                holders += [(address, each, place) for place, each in enumerate(ids)]
            self._due.mailboxes[address] = (*row[:width], old[-1] if old is not None else None)
            self._due.holders[address] = ids
            if held != ids and old is not None:
                self._due.shown.update(held, ids)
            if _is_shown(row) or (old is not None and _is_shown(old)):
                self._touch(held, row[3], old[3] if old is not None else "")
                self._touch(ids)
        if rows:
            self._moved = True
            self._sql.many(_PUT_MAILBOX, rows)
            moved = {address for address, _, _ in holders} | {
                one for one in changed if not asked[one].holders
            }
            self._drop_holders(moved & before.keys())
            if holders:
                self._sql.many(
                    "INSERT INTO mailbox_holder (address, national_id, position) VALUES (?, ?, ?)", holders
                )
        return added, changed

    def remove_mailboxes(self, addresses: Iterable[str], origin: Origin | None) -> Written:
        olds = [
            row
            for row in several(self._sql, MAILBOXES, set(addresses))
            if origin is None or row[_ORIGIN] == origin.value
        ]
        if not olds:
            return Written()
        self._moved = True
        held = self._holders(row[0] for row in olds)
        self._due.cards += [row[-1] for row in olds if row[-1] is not None]
        for row in olds:
            ids = held.get(row[0], ())
            self._due.shown.update(ids)
            if _is_shown(row):
                self._touch(ids, row[3])
        self._sql.many("DELETE FROM mailbox WHERE address = ?", [(row[0],) for row in olds])
        self._drop_holders(held)
        return Written(removed=tuple(row[0] for row in olds))

    # -- situations

    def put_situations(self, asked: Mapping[int, Situation]) -> Written:
        olds = {row[0]: row for row in several(self._sql, SITUATIONS, asked)}
        for origin in {one.origin for one in asked.values()}:
            told = [one for one in asked.values() if one.origin is origin]
            self._people.told((one.professional for one in told), origin)
            self._organisations.told((one.organisation for one in told if one.organisation), origin)
        added: list[str] = []
        changed: list[str] = []
        rows: list[Row] = []
        for key, one in asked.items():
            row, old = situation_row(key, one), olds.get(key)
            if old is not None and old[:-1] == row:
                continue
            (added if old is None else changed).append(str(key))
            rows.append((*row, self._at))
            self._due.situations[key] = (*row, old[-1] if old is not None else None)
            self._touch((row[1],), row[2])
        if rows:
            self._moved = True
            self._sql.many(_PUT_SITUATION, rows)
        return Written(tuple(added), tuple(changed))

    def compare_situations(self, asked: Mapping[int, Situation]) -> Written:
        """What `put_situations` would answer. Nothing is written."""
        olds = {row[0]: row for row in several(self._sql, SITUATIONS, asked)}
        changed = [
            str(key)
            for key, one in asked.items()
            if key in olds and olds[key][:-1] != situation_row(key, one)
        ]
        return Written(tuple(str(key) for key in asked if key not in olds), tuple(changed))

    def remove_situations(self, ids: Iterable[str]) -> Written:
        olds = several(self._sql, SITUATIONS, {int(one) for one in ids})
        if not olds:
            return Written()
        self._moved = True
        self._due.cards += [row[-1] for row in olds if row[-1] is not None]
        for row in olds:
            self._touch((row[1],), row[2])
        self._sql.many("DELETE FROM situation WHERE id = ?", [(row[0],) for row in olds])
        return Written(removed=tuple(str(row[0]) for row in olds))

    # -- standing

    def standing(self, national_ids: Iterable[str], struck_off_at: int | None) -> Written:
        asked = sorted(set(national_ids))
        self._people.load(asked)
        wanted = struck_off_at is not None
        changed = [one for one in asked if self._people.struck_off(one) != wanted]
        if not changed:
            return Written()
        self._moved = True
        self._sql.many(
            "INSERT INTO professional (national_id, struck_off_at, updated_at) VALUES (?, ?, ?)"
            " ON CONFLICT (national_id) DO UPDATE SET struck_off_at = excluded.struck_off_at,"
            " updated_at = excluded.updated_at",
            [(one, struck_off_at, self._at) for one in changed],
        )
        self._people.forget(changed)
        self._due.people.update(changed)
        return Written(changed=tuple(changed))

    # -- what follows from it

    def settle(self, limit: int) -> bool:
        due = self._sql.one(
            "SELECT national_id, after, after_situation FROM organisation_due ORDER BY national_id LIMIT 1"
        )
        if due is None:
            return False
        national_id, after, after_situation = due
        addresses = self._sql.all(
            "SELECT address FROM mailbox WHERE organisation_id = ? AND address > ? ORDER BY address LIMIT ?",
            (national_id, after, limit),
        )
        left = limit - len(addresses)
        situations = self._sql.all(
            "SELECT id FROM situation WHERE organisation_id = ? AND id > ? ORDER BY id LIMIT ?",
            (national_id, after_situation, left),
        )
        self._again([row[0] for row in addresses], [row[0] for row in situations])
        self._moved = True
        if len(addresses) + len(situations) < limit:
            self._sql.run("DELETE FROM organisation_due WHERE national_id = ?", (national_id,))
        else:
            self._sql.run(
                "UPDATE organisation_due SET after = ?, after_situation = ? WHERE national_id = ?",
                (
                    addresses[-1][0] if addresses else after,
                    situations[-1][0] if situations else after_situation,
                    national_id,
                ),
            )
        return True

    def finish(self) -> None:
        due = self._due
        self._write_known()
        due.people |= self._people.changed
        if due.people:
            self._again_of_people(due.people)
        if self._organisations.changed:
            self._sql.many(
                "INSERT INTO organisation_due (national_id) VALUES (?)"
                " ON CONFLICT (national_id) DO UPDATE SET after = '', after_situation = -1",
                [(one,) for one in sorted(self._organisations.changed)],
            )
            self.settle(AT_ONCE)
        self._cards.drop(due.cards)
        if due.mailboxes:
            due.shown |= self._cards.of_mailboxes(list(due.mailboxes.values()), due.holders)
        if due.shown:
            for row in several(self._sql, SITUATIONS_OF, due.shown):
                due.situations.setdefault(row[0], row)
        if due.situations:
            self._cards.of_situations(list(due.situations.values()))
        if self._moved or due.people:
            self._sql.run(
                "INSERT INTO state (name, value) VALUES ('generation', 1)"
                " ON CONFLICT (name) DO UPDATE SET value = state.value + 1"
            )

    # -- inside

    def _write_known(self) -> None:
        for known, touched in (
            (self._people, self._touched_people),
            (self._organisations, self._touched_organisations),
        ):
            known.load(touched)
            known.touch(touched)
            known.write()

    def _again_of_people(self, people: set[str]) -> None:
        held = several(self._sql, "SELECT address FROM mailbox_holder WHERE national_id IN ({})", people)
        situations = several(self._sql, "SELECT id FROM situation WHERE national_id IN ({})", people)
        self._again([row[0] for row in held], [row[0] for row in situations])

    def _again(self, addresses: Sequence[str], situations: Sequence[int]) -> None:
        """Their cards are made anew, as the database has them."""
        due = self._due
        missing = [one for one in addresses if one not in due.mailboxes]
        if missing:
            due.mailboxes.update((row[0], row) for row in several(self._sql, MAILBOXES, missing))
            due.holders.update(self._holders(missing))
        others = [one for one in situations if one not in due.situations]
        if others:
            due.situations.update((row[0], row) for row in several(self._sql, SITUATIONS, others))

    def _touch(self, people: Iterable[str], *organisations: str) -> None:
        self._touched_people.update(people)
        self._touched_organisations.update(one for one in organisations if one)

    def _holders(self, addresses: Iterable[str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for address, national_id in several(self._sql, HOLDERS, addresses):
            found.setdefault(address, []).append(national_id)
        return {address: tuple(ids) for address, ids in found.items()}

    def _drop_holders(self, addresses: Iterable[str]) -> None:
        self._sql.many("DELETE FROM mailbox_holder WHERE address = ?", [(one,) for one in addresses])
