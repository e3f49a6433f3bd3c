"""Entries from the tables of the listings, by their keys: what is shown of a person, an organisation, a service.

Statements run inside the caller's transaction, in a thread. Invariants: nobody struck off, no mailbox without a card
(red list) and nothing of `responsible` and `phone` comes out of here; who is in the database for a red-listed mailbox
alone is not shown at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from directory.fhir.entries import Person, Role, Service, Structure, on_person
from directory.fhir.locators import Locator
from directory.listings.database import Sql
from directory.listings.known import several
from directory.listings.rows import (
    MAILBOX_COLUMNS,
    ORGANISATION_COLUMNS,
    PROFESSIONAL_COLUMNS,
    SITUATION_COLUMNS,
    Row,
    coded,
    mailbox_of,
    named,
    organisation_of,
    professional_of,
    situation_of,
)
from directory.model import Coded, Mailbox, Organisation, Place, Professional, Situation

# Names of columns of our own tables alone are put into the statements below.
_PROFESSIONALS = (
    f"SELECT {named(PROFESSIONAL_COLUMNS)}, updated_at FROM professional"  # noqa: S608
    " WHERE struck_off_at IS NULL AND national_id IN ({})"
)
_SITUATIONS = f"SELECT {named(SITUATION_COLUMNS)}, updated_at FROM situation WHERE"  # noqa: S608
_SITUATIONS_OF = _SITUATIONS + " national_id IN ({}) ORDER BY id"
_MAILBOXES = f"SELECT {named(MAILBOX_COLUMNS, 'm')}, m.updated_at FROM mailbox m"  # noqa: S608
_MAILBOXES_HELD = (
    f"SELECT {named(MAILBOX_COLUMNS, 'm')}, m.updated_at, h.national_id"  # noqa: S608
    " FROM mailbox_holder h JOIN mailbox m ON m.address = h.address"
    " WHERE m.card IS NOT NULL AND m.kind IN ('PER', 'CAB') AND h.national_id IN ({})"
)
_MAILBOXES_AT = _MAILBOXES + " WHERE m.card IS NOT NULL AND m.address IN ({})"
_MAILBOXES_IN = (
    _MAILBOXES + " WHERE m.card IS NOT NULL AND m.kind IN ('ORG', 'APP') AND m.organisation_id IN ({})"
)
_OF_NOBODY = (
    _MAILBOXES  # noqa: S608
    + " WHERE m.card IS NOT NULL AND m.kind = 'PER' AND m.family <> '' AND m.organisation_id IN ({})"
    " AND NOT EXISTS (SELECT 1 FROM mailbox_holder h WHERE h.address = m.address)"
)
_ORGANISATIONS = (
    f"SELECT {named(ORGANISATION_COLUMNS)}, updated_at FROM organisation WHERE national_id IN ({{}})"  # noqa: S608
)
_SHOWN_IN = (
    "SELECT DISTINCT m.organisation_id FROM mailbox m WHERE m.card IS NOT NULL AND m.organisation_id IN ({})"
)
_PRACTISED_IN = (
    "SELECT DISTINCT s.organisation_id FROM situation s JOIN professional p ON p.national_id = s.national_id"
    " WHERE p.struck_off_at IS NULL AND s.organisation_id IN ({})"
)
_WIDTH = len(MAILBOX_COLUMNS)
_ORGANISATION_OF_MAILBOX = MAILBOX_COLUMNS.index("organisation_id")


class Loader:
    """Over one state of the database. Remembers the organisations it has read."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._organisations: dict[str, tuple[Organisation, int]] = {}

    # ------------------------------------------------------------ people

    def people(self, national_ids: Sequence[str], *, shown: bool = True) -> dict[str, Person]:
        """`shown` False: also who is shown nowhere, for somebody who publishes their first mailbox."""
        return {key: person for key, (person, _) in self._everything(national_ids, shown).items()}

    def roles(self, national_ids: Sequence[str]) -> dict[str, list[Role]]:
        """By person, in the order of organisations."""
        return {
            key: _roles(person, situations, self._organisations)
            for key, (person, situations) in self._everything(national_ids, True).items()
        }

    def addressed(self, addresses: Sequence[str]) -> dict[str, Person]:
        """Persons without a national identifier, by their address."""
        rows = several(self._sql, _MAILBOXES_AT, dict.fromkeys(addresses))
        self._read_organisations(row[_ORGANISATION_OF_MAILBOX] for row in rows)
        return {row[0]: self._of_nobody(row) for row in rows}

    def roles_of_addressed(self, addresses: Sequence[str]) -> dict[str, list[Role]]:
        return {
            address: _roles(person, [], self._organisations)
            for address, person in self.addressed(addresses).items()
        }

    def _everything(
        self, national_ids: Sequence[str], shown: bool
    ) -> dict[str, tuple[Person, list[tuple[Situation, int]]]]:
        people = several(self._sql, _PROFESSIONALS, dict.fromkeys(national_ids))
        known = {row[0]: professional_of(row) for row in people}
        situations = self._situations(known)
        mailboxes = self._held(known)
        found: dict[str, tuple[Person, list[tuple[Situation, int]]]] = {}
        for row in people:
            key = row[0]
            held, practised = mailboxes.get(key, []), situations.get(key, [])
            if shown and not held and not practised:
                continue
            specialities = [one.speciality for one, _ in practised] + [one.speciality for one, _ in held]
            person = Person(
                professional=known[key],
                specialities=_distinct(specialities),
                held=_ranked(one for one, _ in held),
                updated_at=max([row[-1], *(at for _, at in practised), *(at for _, at in held)]),
            )
            found[key] = (person, practised)
        return found

    def _situations(self, people: Mapping[str, Professional]) -> dict[str, list[tuple[Situation, int]]]:
        rows = several(self._sql, _SITUATIONS_OF, people)
        self._read_organisations(row[2] for row in rows)
        found: dict[str, list[tuple[Situation, int]]] = {}
        for row in rows:
            organisation = self._organisations.get(row[2])
            # One that is not in the table is still named by its identifier.
            where = organisation[0] if organisation else Organisation(row[2]) if row[2] else None
            situation = situation_of(row, people[row[1]], where)
            found.setdefault(row[1], []).append((situation, cast(int, row[-1])))
        return found

    def _held(self, people: Mapping[str, Professional]) -> dict[str, list[tuple[Mailbox, int]]]:
        rows = several(self._sql, _MAILBOXES_HELD, people)
        self._read_organisations(row[_ORGANISATION_OF_MAILBOX] for row in rows)
        found: dict[str, list[tuple[Mailbox, int]]] = {}
        for row in rows:
            holder = row[-1]
            found.setdefault(holder, []).append((self._mailbox(row, (people[holder],)), row[_WIDTH]))
        return found

    def _of_nobody(self, row: Row) -> Person:
        mailbox = self._mailbox(row, ())
        return Person(
            professional=Professional("", mailbox.title, mailbox.family, mailbox.given),
            address=mailbox.address,
            vouched_by=row[_ORGANISATION_OF_MAILBOX],
            specialities=_distinct([mailbox.speciality]),
            held=(mailbox,),
            updated_at=row[_WIDTH],
        )

    # ------------------------------------------------------------ organisations

    def structures(self, national_ids: Sequence[str], *, shown: bool = True) -> dict[str, Structure]:
        """`shown` False: also those where nothing is shown yet."""
        self._read_organisations(national_ids)
        known = {key: self._organisations[key] for key in national_ids if key in self._organisations}
        mailboxes = self._of_organisations(known)
        if shown:
            open_ = {row[0] for row in several(self._sql, _SHOWN_IN, known)}
            open_ |= {row[0] for row in several(self._sql, _PRACTISED_IN, known.keys() - open_)}
            known = {key: found for key, found in known.items() if key in open_}
        return {
            key: Structure(
                organisation,
                _ranked(one for one, _ in mailboxes.get(key, [])),
                max([at, *(each for _, each in mailboxes.get(key, []))]),
            )
            for key, (organisation, at) in known.items()
        }

    def services(self, national_ids: Sequence[str]) -> dict[str, list[Service]]:
        """By organisation, in the order of their names."""
        self._read_organisations(national_ids)
        found: dict[str, list[Service]] = {}
        for key, mailboxes in self._of_organisations(national_ids).items():
            organisation, at = self._organisations.get(key, (Organisation(key), 0))
            structure = Structure(organisation, updated_at=at)
            named_: dict[str, list[tuple[Mailbox, int]]] = {}
            for mailbox, changed in mailboxes:
                if mailbox.service:
                    named_.setdefault(mailbox.service, []).append((mailbox, changed))
            found[key] = [
                Service(structure, name, _ranked(one for one, _ in group), max(at for _, at in group))
                for name, group in sorted(named_.items())
            ]
        return found

    def _of_organisations(self, national_ids: Iterable[str]) -> dict[str, list[tuple[Mailbox, int]]]:
        found: dict[str, list[tuple[Mailbox, int]]] = {}
        for row in several(self._sql, _MAILBOXES_IN, dict.fromkeys(national_ids)):
            at = row[_ORGANISATION_OF_MAILBOX]
            found.setdefault(at, []).append((self._mailbox(row, ()), row[_WIDTH]))
        return found

    def _mailbox(self, row: Row, holders: tuple[Professional, ...]) -> Mailbox:
        organisation_id = row[_ORGANISATION_OF_MAILBOX]
        organisation = self._organisations.get(organisation_id)
        where = (
            organisation[0] if organisation else Organisation(organisation_id) if organisation_id else None
        )
        return mailbox_of(row, holders, where)

    def _read_organisations(self, national_ids: Iterable[str]) -> None:
        missing = {one for one in national_ids if one and one not in self._organisations}
        for row in several(self._sql, _ORGANISATIONS, sorted(missing)):
            self._organisations[row[0]] = (organisation_of(row), row[-1])

    # ------------------------------------------------------------ one, by its id

    def one(self, locator: Locator, *, shown: bool = True) -> Person | Role | Structure | Service | None:
        match locator.shape:
            case "P":
                return self.people([locator.key], shown=shown).get(locator.key)
            case "R":
                roles = self.roles([locator.key]).get(locator.key, [])
                return next((one for one in roles if locator.marks(one.organisation_id)), None)
            case "O":
                return self.structures([locator.key], shown=shown).get(locator.key)
            case "H":
                services = self.services([locator.key]).get(locator.key, [])
                return next((one for one in services if locator.marks(one.name)), None)
            case "Q" | "S":
                rows = several(self._sql, _OF_NOBODY, [locator.key])
                address = next((row[0] for row in rows if locator.marks(row[0])), None)
                if address is None:
                    return None
                if locator.shape == "Q":
                    return self.addressed([address]).get(address)
                return next(iter(self.roles_of_addressed([address]).get(address, [])), None)


def _roles(
    person: Person,
    situations: Sequence[tuple[Situation, int]],
    organisations: Mapping[str, tuple[Organisation, int]],
) -> list[Role]:
    keys = {one.organisation.national_id if one.organisation else "" for one, _ in situations}
    keys |= {one.organisation.national_id for one in person.held if one.organisation and not on_person(one)}
    made: list[Role] = []
    for key in sorted(keys):
        there = [
            (one, at)
            for one, at in situations
            if (one.organisation.national_id if one.organisation else "") == key
        ]
        held = [
            one
            for one in person.held
            if one.organisation is not None and one.organisation.national_id == key and not on_person(one)
        ]
        organisation, _ = organisations.get(key, (Organisation(key), 0))
        places = [one.place for one, _ in there if one.place != Place()]
        made.append(
            Role(
                person=person,
                organisation_id=key,
                organisation=organisation.brand or organisation.name,
                specialities=_distinct(
                    [one.speciality for one, _ in there] + [one.speciality for one in held]
                ),
                modes=_distinct([one.mode for one, _ in there]),
                place=places[0] if places else organisation.place,
                mailboxes=tuple(held),
                updated_at=person.updated_at,
            )
        )
    return made


def _distinct(values: Iterable[Coded]) -> tuple[Coded, ...]:
    return tuple(dict.fromkeys(coded(one.code, one.label) for one in values if one.code or one.label))


def _ranked(mailboxes: Iterable[Mailbox]) -> tuple[Mailbox, ...]:
    return tuple(sorted(mailboxes, key=lambda one: (one.rank, one.address)))
