"""The listings as LDAP, FHIR, the page, SMTP and the command line ask for them.

Everything here is synchronous and may take milliseconds: call it in a thread. What is on the red list, struck off or
withdrawn is in no answer but `deliverable`'s.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from directory.model import Card, Kind, Mailbox, Organisation, Professional, Situation

T = TypeVar("T")


class AddressMatch(enum.Enum):
    EXACT = "exact"
    PREFIX = "prefix"
    CONTAINS = "contains"  # beginning at a word of the address


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; all of it must hold. Words match from their beginning, whatever their case and accents."""

    text: str = ""  # as people type it: names, initials, profession, place, organisation, part of an address
    family: str = ""
    given: str = ""
    profession: str = ""  # a code, or words
    speciality: str = ""  # a code, or words
    organisation: str = ""  # its identifier, or words
    department: str = ""  # "69"
    postcode: str = ""
    commune: str = ""
    address: str = ""
    address_match: AddressMatch = AddressMatch.CONTAINS
    national_id: str = ""
    kinds: frozenset[Kind] = frozenset(Kind)
    with_address: bool = True  # False: also those nobody can write to
    typos: bool = True  # where nothing is found as typed
    ranked: bool = True  # False: in the order of ids, which `after` goes on with
    first: Sequence[
        str
    ] = ()  # addresses shown before the others where they match: who asks already writes to them
    after: int = 0  # only cards with a greater id; for paging, not ranked
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Results:
    cards: tuple[Card, ...] = ()
    more: bool = False
    corrected: tuple[tuple[str, str], ...] = ()  # a word as typed, and one it was taken for


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A value with when it last changed (ms UTC)."""

    value: T
    updated_at: int
    key: str  # what names it: national_id, address, a situation's id


class Listings(Protocol):
    """`directory.listings.service.ListingsService`."""

    def search(self, query: Query) -> Results: ...
    def suggest(self, address: str, limit: int = 3) -> tuple[str, ...]:
        """Shown addresses that `address` may have been meant for, the likeliest first; () where none is near."""
        ...

    def deliverable(self, address: str) -> bool | None:
        """Whether the directory knows this address, red or not; None: it knows nobody of this domain."""
        ...

    def mailbox(self, address: str) -> Kept[Mailbox] | None:
        """None where it is not shown. Without `responsible` and `phone`."""
        ...

    def professional(self, national_id: str) -> Kept[Professional] | None: ...
    def organisation(self, national_id: str) -> Kept[Organisation] | None: ...
    def situation(self, key: str) -> Kept[Situation] | None: ...
    def situations_of(self, national_id: str) -> tuple[Kept[Situation], ...]: ...
    def mailboxes_of(self, national_id: str) -> tuple[Kept[Mailbox], ...]:
        """Of a person or an organisation, by rank; those that are shown."""
        ...
