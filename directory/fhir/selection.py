"""Pages of entries that answer a search, in the order of their keys, over the listings' own tables.

SQL narrows the choice by what an index or one pass over a table can; `predicates.holds` decides, so that SQLite and
PostgreSQL answer alike. A page goes on from the last key of the one before (no OFFSET), first over persons with a
national identifier, then over those without.

Invariants: nothing that is not shown comes out (`loading`); each statement ends at the search's deadline.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from directory.fhir.entries import Entry, Person, Role, Service, Structure, Type
from directory.fhir.loading import Loader
from directory.fhir.locators import Locators
from directory.fhir.narrowing import Narrowing, Phase
from directory.fhir.parameters import Criterion, Search
from directory.fhir.predicates import holds
from directory.listings.database import Sql
from directory.model import Organisation

_BATCH = 50  # entries loaded at once
_MOST_COUNTED = 5_000
_MOST_KEYS = _MOST_COUNTED + 1  # of one statement; each goes through all that it narrows to
MOST_INCLUDED = 600

_SHOWN_PERSON = (
    " AND (EXISTS (SELECT 1 FROM situation s WHERE s.national_id = e.national_id)"
    " OR EXISTS (SELECT 1 FROM mailbox_holder h JOIN mailbox m ON m.address = h.address"
    " WHERE h.national_id = e.national_id AND m.card IS NOT NULL))"
)
# Each with the key as its one column; {narrow} is made of statements of `narrowing` alone.
_KEYS: Mapping[Phase, str] = {
    "person": "SELECT e.national_id FROM professional e WHERE e.struck_off_at IS NULL AND e.national_id >= ?"  # noqa: S608
    "{narrow}" + _SHOWN_PERSON + " ORDER BY e.national_id LIMIT ?",
    "addressed": "SELECT e.address FROM card e WHERE e.national_id = '' AND e.kind = 'PER' AND e.address >= ?"
    "{narrow} ORDER BY e.address LIMIT ?",
    "organisation": "SELECT e.national_id FROM organisation e WHERE e.national_id >= ?"
    "{narrow} ORDER BY e.national_id LIMIT ?",
    "served": "SELECT DISTINCT e.organisation_id FROM mailbox e WHERE e.service <> '' AND e.card IS NOT NULL"
    " AND e.kind IN ('ORG', 'APP') AND e.organisation_id >= ?{narrow} ORDER BY e.organisation_id LIMIT ?",
}
_PHASES: Mapping[Type, tuple[Phase, ...]] = {
    Type.PRACTITIONER: ("person", "addressed"),
    Type.ROLE: ("person", "addressed"),
    Type.ORGANIZATION: ("organisation",),
    Type.SERVICE: ("served",),
}


class TookTooLong(Exception):
    """The search's time is up."""


class TooMuchIncluded(Exception):
    """What is to be included is more than one answer holds."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last entry that was shown."""

    phase: int = 0
    key: str = ""
    rest: str = ""  # of several entries under one key, which


@dataclass(frozen=True, slots=True)
class Page:
    entries: tuple[Entry, ...] = ()
    included: tuple[Entry, ...] = ()
    after: Cursor | None = None  # there is more
    total: int | None = None


class Selection:
    """One search, inside one transaction."""

    def __init__(self, sql: Sql, search: Search, locators: Locators, until: float) -> None:
        self._sql = sql
        self._until = until  # time.monotonic()
        self._search = search
        self._locators = locators
        self._loader = Loader(sql)
        self._narrowing = Narrowing(sql, locators, search.type)

    def page(self, cursor: Cursor | None) -> Page:
        found: list[tuple[Cursor, Entry]] = []
        for one in self.matching(cursor or Cursor(), self._search.count + 1):
            found.append(one)
            if len(found) > self._search.count:
                break
        shown = found[: self._search.count]
        more = len(found) > len(shown) > 0
        return Page(
            tuple(entry for _, entry in shown),
            self._included([entry for _, entry in shown]),
            shown[-1][0] if more else None,
            self._counted() if self._search.total or self._search.count == 0 else None,
        )

    def _counted(self) -> int | None:
        """None: too many to be counted here; a total may be left out (FHIR R4 Bundle.total)."""
        counted = 0
        for _ in self.matching(Cursor(), _MOST_KEYS):
            counted += 1
            if counted > _MOST_COUNTED:
                return None
        return counted

    def matching(self, cursor: Cursor, wanted: int) -> Iterator[tuple[Cursor, Entry]]:
        phases = _PHASES[self._search.type]
        for phase in range(cursor.phase, len(phases)):
            narrow: list[str] = []
            parameters: list[Any] = []
            for criterion in self._search.criteria:
                fragment = self._narrowing.of(phases[phase], criterion)
                if fragment is None:
                    break  # nothing here can answer it
                narrow.append(fragment.text)
                parameters += fragment.parameters
            else:
                statement = _KEYS[phases[phase]].format(narrow="".join(narrow))
                start = cursor if phase == cursor.phase else Cursor(phase)
                yield from self._of_phase(start, statement, parameters, max(wanted, 20))

    def _of_phase(
        self, cursor: Cursor, statement: str, parameters: Sequence[Any], wanted: int
    ) -> Iterator[tuple[Cursor, Entry]]:
        key, many = cursor.key, min(wanted, _MOST_KEYS)
        while True:
            rows = self._sql.all(statement, (key, *parameters, many + 1))
            keys = [row[0] for row in rows]
            for first in range(0, min(len(keys), many), _BATCH):
                if time.monotonic() > self._until:
                    raise TookTooLong
                yield from self._of_keys(cursor, keys[first : min(first + _BATCH, many)])
            if len(keys) <= many:
                return
            key, many = keys[many], min(2 * many, _MOST_KEYS)

    def _of_keys(self, cursor: Cursor, keys: Sequence[str]) -> Iterator[tuple[Cursor, Entry]]:
        """Those under these keys that hold and come after the cursor."""
        loaded = self._loaded(cursor.phase, keys)
        for each in keys:
            time.sleep(0)  # lets the loop's thread have the interpreter
            for rest, entry in loaded.get(each, ()):
                here = Cursor(cursor.phase, each, rest)
                if (each, rest) > (cursor.key, cursor.rest) and self._holds(entry):
                    yield here, entry

    def _loaded(self, phase: int, keys: Sequence[str]) -> dict[str, list[tuple[str, Entry]]]:
        """Entries under each key, with what tells them apart."""
        loader = self._loader
        match self._search.type:
            case Type.PRACTITIONER:
                people = loader.people(keys) if phase == 0 else loader.addressed(keys)
                return {key: [("0", person)] for key, person in people.items()}
            case Type.ROLE:
                roles = loader.roles(keys) if phase == 0 else loader.roles_of_addressed(keys)
                return {
                    key: [(f"0{one.organisation_id}", one) for one in each] for key, each in roles.items()
                }
            case Type.ORGANIZATION:
                return {key: [("0", one)] for key, one in loader.structures(keys).items()}
            case Type.SERVICE:
                services = loader.services(keys)
                return {key: [(f"0{one.name}", one) for one in each] for key, each in services.items()}

    def _holds(self, entry: Entry) -> bool:
        return all(holds(criterion, entry, self._resource_id) for criterion in self._search.criteria)

    # ------------------------------------------------------------ what goes with it

    def _included(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        found: dict[str, Entry] = {}
        for wanted in (*self._search.include, *self._search.revinclude):
            for one in self._going_with(wanted, entries):
                found[f"{one.type}/{self._resource_id(one)}"] = one
                if len(found) > MOST_INCLUDED:
                    raise TooMuchIncluded
        there = {f"{one.type}/{self._resource_id(one)}" for one in entries}
        return tuple(one for name, one in found.items() if name not in there)

    def _going_with(self, wanted: str, entries: Sequence[Entry]) -> Iterator[Entry]:
        loader = self._loader
        match wanted, self._search.type:
            case "PractitionerRole:practitioner", Type.ROLE:
                yield from (one.person for one in entries if isinstance(one, Role))
            case (
                ("PractitionerRole:organization" | "HealthcareService:organization"),
                (Type.ROLE | Type.SERVICE),
            ):
                keys = [one.organisation_id for one in entries if isinstance(one, Role)]
                keys += [
                    one.structure.organisation.national_id for one in entries if isinstance(one, Service)
                ]
                yield from loader.structures(list(dict.fromkeys(filter(None, keys)))).values()
            case "PractitionerRole:practitioner", Type.PRACTITIONER:
                yield from self._roles_of([one for one in entries if isinstance(one, Person)])
            case "PractitionerRole:organization", Type.ORGANIZATION:
                for key in [one.organisation.national_id for one in entries if isinstance(one, Structure)]:
                    yield from self._roles_in(key)
            case "HealthcareService:organization", Type.ORGANIZATION:
                keys = [one.organisation.national_id for one in entries if isinstance(one, Structure)]
                for services in loader.services(keys).values():
                    yield from services
            case _:
                return

    def _roles_of(self, people: Sequence[Person]) -> Iterator[Entry]:
        known = [one.professional.national_id for one in people if one.professional.national_id]
        for roles in self._loader.roles(known).values():
            yield from roles
        addresses = [one.address for one in people if one.address]
        for roles in self._loader.roles_of_addressed(addresses).values():
            yield from roles

    def _roles_in(self, organisation_id: str) -> Iterator[Entry]:
        wanted = self._resource_id(Structure(Organisation(organisation_id)))
        search = Search(Type.ROLE, (Criterion("organization", (wanted,)),))
        within = Selection(self._sql, search, self._locators, self._until)
        yield from (entry for _, entry in within.matching(Cursor(), _BATCH))

    def _resource_id(self, entry: Entry) -> str:
        return self._locators.id(entry.locator)
