"""What the FHIR door shows, as values: persons, their roles, organisations, services; each with its mailboxes.

A mailbox lies where the national directory has it: of a person without a structure (PER) or of a practice (CAB) on
the Practitioner, of a person in a structure on the PractitionerRole, ORG and APP on the Organization, and those of a
named service on the HealthcareService as well.

Invariants: entries hold what is shown: no mailbox of the red list, nobody struck off; `responsible` and `phone` are
empty in every mailbox here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from directory.fhir.locators import Locator, mark
from directory.model import Coded, Kind, Mailbox, Organisation, Place, Professional

NOWHERE = Place()


class Type(enum.StrEnum):
    PRACTITIONER = "Practitioner"
    ROLE = "PractitionerRole"
    ORGANIZATION = "Organization"
    SERVICE = "HealthcareService"


@dataclass(frozen=True, slots=True)
class Person:
    """Practitioner. Without a national identifier they are named by their one address."""

    professional: Professional
    address: str = ""  # of somebody without a national identifier
    vouched_by: str = ""  # then: by which organisation
    specialities: tuple[Coded, ...] = ()
    held: tuple[Mailbox, ...] = ()  # also those that lie on a role
    updated_at: int = 0

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """Those that lie on the Practitioner."""
        return tuple(one for one in self.held if on_person(one))

    @property
    def type(self) -> Type:
        return Type.PRACTITIONER

    @property
    def locator(self) -> Locator:
        if self.professional.national_id:
            return Locator("P", self.professional.national_id)
        return Locator("Q", self.vouched_by, mark(self.address))

    @property
    def shown(self) -> list[str]:
        """What harvesting counts."""
        return [self.professional.national_id or self.address, *(one.address for one in self.mailboxes)]


@dataclass(frozen=True, slots=True)
class Role:
    """PractitionerRole: all that one person does in one organisation."""

    person: Person
    organisation_id: str
    organisation: str = ""  # its name
    specialities: tuple[Coded, ...] = ()
    modes: tuple[Coded, ...] = ()
    place: Place = NOWHERE
    mailboxes: tuple[Mailbox, ...] = ()
    updated_at: int = 0

    @property
    def type(self) -> Type:
        return Type.ROLE

    @property
    def locator(self) -> Locator:
        person = self.person
        if person.professional.national_id:
            return Locator("R", person.professional.national_id, mark(self.organisation_id))
        return Locator("S", person.vouched_by, mark(person.address))

    @property
    def shown(self) -> list[str]:
        professional = self.person.professional
        return [
            professional.national_id or self.person.address,
            *(one.address for one in self.mailboxes),
        ]


@dataclass(frozen=True, slots=True)
class Structure:
    """Organization."""

    organisation: Organisation
    mailboxes: tuple[Mailbox, ...] = ()
    updated_at: int = 0

    @property
    def type(self) -> Type:
        return Type.ORGANIZATION

    @property
    def locator(self) -> Locator:
        return Locator("O", self.organisation.national_id)

    @property
    def shown(self) -> list[str]:
        return [self.organisation.national_id, *(one.address for one in self.mailboxes)]


@dataclass(frozen=True, slots=True)
class Service:
    """HealthcareService: a service of an organisation that has a mailbox."""

    structure: Structure
    name: str
    mailboxes: tuple[Mailbox, ...] = ()
    updated_at: int = 0

    @property
    def type(self) -> Type:
        return Type.SERVICE

    @property
    def locator(self) -> Locator:
        return Locator("H", self.structure.organisation.national_id, mark(self.name))

    @property
    def shown(self) -> list[str]:
        return [one.address for one in self.mailboxes]


Entry = Person | Role | Structure | Service


def on_person(mailbox: Mailbox) -> bool:
    """Whether it lies on the Practitioner."""
    return mailbox.kind is Kind.CAB or (mailbox.kind is Kind.PER and mailbox.organisation is None)
