"""What the directory knows, as values: people, where they practise, organisations, mailboxes.

Names of fields are the national directory's in English (reference/mssante.md §3.1 and §5); codes keep the tables
they come from in a comment. Identifiers stand as they are compared: `national_id` of a person is idNat_PS ("8" and
RPPS, "0" and ADELI), of an organisation idNat_Struct ("1" and FINESS, "3" and SIRET, "4" and RPPS with a rank).

Invariants: pure values; no patient is one of them; what is never public (`responsible`, `phone`) is hidden from repr.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Kind(enum.StrEnum):
    """Mailbox kinds (TRE_R257-TypeBAL). The fifth, the patient's, is in no directory."""

    PER = "PER"
    ORG = "ORG"
    APP = "APP"
    CAB = "CAB"


class Origin(enum.StrEnum):
    """Who told us."""

    NATIONAL = "national"  # a flat file of the national directory
    OWN = "own"  # an account of this node
    PUBLISHED = "published"  # another operator, by the publication API


@dataclass(frozen=True, slots=True)
class Coded:
    """A code with its words, as the national tables give them: profession (TRE_G15), savoir-faire (TRE_R38)…"""

    code: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a practice or an organisation is, by the lines of a French address (NF Z10-011) and its town."""

    recipient_line: str = ""  # L2: complément destinataire, service
    building_line: str = ""  # L3: complément point géographique, distribution
    street: str = ""  # L4: number, index, kind and name of the way
    locality_line: str = ""  # L5: lieu-dit, mention de distribution
    routing_line: str = ""  # L6: "69003 LYON", bureau cedex
    postcode: str = ""
    commune_code: str = ""  # INSEE
    commune: str = ""
    department: str = ""  # "69", "2A", "971"
    country: str = ""  # as the file names it; "" is France


@dataclass(frozen=True, slots=True)
class Professional:
    """A person with a national identifier."""

    national_id: str
    title: str = ""  # civilité d'exercice: "Dr", "Pr"; else civilité
    family: str = ""
    given: str = ""
    profession: Coded = Coded()
    category: Coded = Coded()  # catégorie de profession: civil, military, student


@dataclass(frozen=True, slots=True)
class Organisation:
    """A structure: legal entity, site, practice."""

    national_id: str
    name: str = ""  # raison sociale
    brand: str = ""  # enseigne commerciale
    siret: str = ""
    siren: str = ""
    finess: str = ""  # of the site (EG)
    finess_legal: str = ""  # of the legal entity (EJ)
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Situation:
    """Where and as what a professional practises: one line of PS_LibreAcces_Personne_activite."""

    professional: Professional
    organisation: Organisation | None = None
    speciality: Coded = Coded()  # savoir-faire
    mode: Coded = Coded()  # mode d'exercice: liberal, employed
    place: Place = Place()
    phone: str = field(default="", repr=False)  # never shown
    origin: Origin = Origin.NATIONAL


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with what is told of it. `address` and `kind` never change (reference/mssante.md §3.1)."""

    address: str  # lower case
    kind: Kind
    holders: tuple[
        Professional, ...
    ] = ()  # PER: one, or none (vouched for by its organisation); CAB: responsible first
    organisation: Organisation | None = None  # ORG, APP: whose; PER: where
    speciality: Coded = Coded()
    service: str = ""  # ORG, APP
    description: str = ""  # ORG, APP, CAB
    responsible: str = field(default="", repr=False)  # ORG, APP; never shown
    phone: str = field(default="", repr=False)  # never shown
    digitization: bool = False  # takes no paper any more ("dématérialisation")
    rank: int = 1  # among its holder's; 1 is preferred
    red_list: bool = False  # never shown, still deliverable
    origin: Origin = Origin.NATIONAL
    title: str = ""  # of a person without a national identifier
    family: str = ""
    given: str = ""


FIELDS_OF: Mapping[Kind, frozenset[str]] = {
    Kind.PER: frozenset({"holders", "organisation", "speciality", "phone", "title", "family", "given"}),
    Kind.ORG: frozenset({"organisation", "service", "description", "responsible", "phone"}),
    Kind.APP: frozenset({"organisation", "service", "description", "responsible", "phone"}),
    Kind.CAB: frozenset({"holders", "organisation", "description", "phone"}),
}
"""The field matrix, beside what every kind has: address, kind, digitization, rank, red_list, origin."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a search shows: one mailbox, or one practice situation of somebody without an address. Never a red one."""

    id: int
    kind: Kind | None  # None: nobody can write to them here
    address: str  # "" where kind is None
    national_id: str  # of the person (PER), the responsible practitioner (CAB), the organisation (ORG, APP)
    title: str = ""
    family: str = ""
    given: str = ""
    profession: Coded = Coded()
    speciality: Coded = Coded()
    organisation_id: str = ""
    organisation: str = ""  # brand, else name
    service: str = ""
    description: str = ""
    street: str = ""
    postcode: str = ""
    commune: str = ""
    department: str = ""
    digitization: bool = False
    rank: int = 1
    origin: Origin = Origin.NATIONAL
    updated_at: int = 0  # ms

    @property
    def name(self) -> str:
        """A person's "Dr Zoé MARTIN"; else the service, the description, the organisation; of what says no more than
        where to write, that."""
        if self.family:
            return " ".join(part for part in (self.title, self.given, self.family.upper()) if part)
        return self.service or self.description or self.organisation or self.address


@dataclass(frozen=True, slots=True)
class Capability:
    """What can be sent to an address of ours, and sealed how (one per address; asked by peers and programs)."""

    profiles: tuple[str, ...] = ()  # "openpgp-v4-seipd1", "smime-cms-cbc"…; () where nothing seals to it
    largest: int = 0  # octets of a letter
    payloads: tuple[str, ...] = ()  # "ihe-xdm", "cda-r2", "fhir-r4", "text/calendar"
