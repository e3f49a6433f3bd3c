"""Values as rows and back: which column holds what.

Invariants: pure; the order of a tuple is that of its `*_COLUMNS`; `responsible` and `phone` of a mailbox are written
and never read back; nothing of a situation's telephone is a column.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from directory.model import (
    Card,
    Coded,
    Kind,
    Mailbox,
    Organisation,
    Origin,
    Place,
    Professional,
    Situation,
)
from directory.search.words import normalised

Row = tuple[Any, ...]

PLACE_COLUMNS = (
    "recipient_line",
    "building_line",
    "street",
    "locality_line",
    "routing_line",
    "postcode",
    "commune_code",
    "commune",
    "department",
    "country",
)
PROFESSIONAL_COLUMNS = (
    "national_id",
    "title",
    "family",
    "given",
    "profession_code",
    "profession",
    "category_code",
    "category",
    "family_words",
    "given_words",
)
ORGANISATION_COLUMNS = (
    "national_id",
    "name",
    "brand",
    "siret",
    "siren",
    "finess",
    "finess_legal",
    *PLACE_COLUMNS,
    "name_words",
)
SITUATION_COLUMNS = (
    "id",
    "national_id",
    "organisation_id",
    "speciality_code",
    "speciality",
    "mode_code",
    "mode",
    *PLACE_COLUMNS,
    "origin",
)
# Of a mailbox, what any reader may have; `HIDDEN_COLUMNS` are written beside them.
MAILBOX_COLUMNS = (
    "address",
    "domain",
    "kind",
    "organisation_id",
    "speciality_code",
    "speciality",
    "service",
    "description",
    "digitization",
    "rank",
    "red_list",
    "origin",
    "publisher",
    "title",
    "family",
    "given",
)
HIDDEN_COLUMNS = ("responsible", "phone")
CARD_COLUMNS = (
    "id",
    "kind",
    "address",
    "national_id",
    "title",
    "family",
    "given",
    "profession_code",
    "profession",
    "speciality_code",
    "speciality",
    "organisation_id",
    "organisation",
    "service",
    "description",
    "street",
    "postcode",
    "commune",
    "department",
    "digitization",
    "rank",
    "origin",
    "updated_at",
)
WORD_COLUMNS = ("name_words", "what_words", "where_words")

_PLACE_AT = ORGANISATION_COLUMNS.index("recipient_line")
_SITUATION_PLACE_AT = SITUATION_COLUMNS.index("recipient_line")
_PLACE_LENGTH = len(PLACE_COLUMNS)


def named(columns: Sequence[str], table: str = "") -> str:
    """As a statement lists them."""
    return ", ".join(f"{table}.{one}" if table else one for one in columns)


# -- people -----------------------------------------------------------------------------------------------


def professional_row(value: Professional) -> Row:
    profession, category = value.profession, value.category
    return (
        value.national_id,
        value.title,
        value.family,
        value.given,
        profession.code,
        profession.label,
        category.code,
        category.label,
        normalised(value.family),
        normalised(value.given),
    )


def professional_of(row: Row) -> Professional:
    return Professional(row[0], row[1], row[2], row[3], coded(row[4], row[5]), coded(row[6], row[7]))


@functools.lru_cache(maxsize=4096)
def coded(code: str, label: str) -> Coded:
    return Coded(code, label)


# -- organisations ----------------------------------------------------------------------------------------


def place_row(place: Place) -> Row:
    return (
        place.recipient_line,
        place.building_line,
        place.street,
        place.locality_line,
        place.routing_line,
        place.postcode,
        place.commune_code,
        place.commune,
        place.department,
        place.country,
    )


def organisation_row(value: Organisation) -> Row:
    return (
        value.national_id,
        value.name,
        value.brand,
        value.siret,
        value.siren,
        value.finess,
        value.finess_legal,
        *place_row(value.place),
        name_words(value.name, value.brand),
    )


@functools.lru_cache(maxsize=16_384)
def name_words(name: str, brand: str) -> str:
    return normalised(name if brand in ("", name) else f"{name} {brand}")


def organisation_of(row: Row) -> Organisation:
    return Organisation(*row[:_PLACE_AT], place=Place(*row[_PLACE_AT : _PLACE_AT + _PLACE_LENGTH]))


# -- situations -------------------------------------------------------------------------------------------


def situation_row(key: int, value: Situation) -> Row:
    return (
        key,
        value.professional.national_id,
        value.organisation.national_id if value.organisation else "",
        value.speciality.code,
        value.speciality.label,
        value.mode.code,
        value.mode.label,
        *place_row(value.place),
        value.origin.value,
    )


def situation_of(row: Row, professional: Professional, organisation: Organisation | None) -> Situation:
    return Situation(
        professional,
        organisation,
        coded(row[3], row[4]),
        coded(row[5], row[6]),
        Place(*row[_SITUATION_PLACE_AT : _SITUATION_PLACE_AT + _PLACE_LENGTH]),
        origin=Origin(row[_SITUATION_PLACE_AT + _PLACE_LENGTH]),
    )


# -- mailboxes --------------------------------------------------------------------------------------------


def mailbox_row(value: Mailbox, publisher: str) -> Row:
    """With the hidden columns at its end."""
    return (
        value.address,
        value.address.rpartition("@")[2],
        value.kind.value,
        value.organisation.national_id if value.organisation else "",
        value.speciality.code,
        value.speciality.label,
        value.service,
        value.description,
        int(value.digitization),
        value.rank,
        int(value.red_list),
        value.origin.value,
        publisher,
        value.title,
        value.family,
        value.given,
        value.responsible,
        value.phone,
    )


def mailbox_of(row: Row, holders: tuple[Professional, ...], organisation: Organisation | None) -> Mailbox:
    return Mailbox(
        address=row[0],
        kind=Kind(row[2]),
        holders=holders,
        organisation=organisation,
        speciality=coded(row[4], row[5]),
        service=row[6],
        description=row[7],
        digitization=bool(row[8]),
        rank=row[9],
        red_list=bool(row[10]),
        origin=Origin(row[11]),
        title=row[13],
        family=row[14],
        given=row[15],
    )


# -- cards ------------------------------------------------------------------------------------------------


def card_row(card: Card) -> Row:
    return (
        card.id,
        card.kind.value if card.kind else "",
        card.address,
        card.national_id,
        card.title,
        card.family,
        card.given,
        card.profession.code,
        card.profession.label,
        card.speciality.code,
        card.speciality.label,
        card.organisation_id,
        card.organisation,
        card.service,
        card.description,
        card.street,
        card.postcode,
        card.commune,
        card.department,
        int(card.digitization),
        card.rank,
        card.origin.value,
        card.updated_at,
    )


# Twenty cards a search: a look-up costs a fifth of what making an Enum's member of a text does.
_KINDS: dict[str, Kind | None] = {"": None, **{one.value: one for one in Kind}}
_ORIGINS = {one.value: one for one in Origin}


def card_of(row: Row) -> Card:
    return Card(
        id=row[0],
        kind=_KINDS[row[1]],
        address=row[2],
        national_id=row[3],
        title=row[4],
        family=row[5],
        given=row[6],
        profession=coded(row[7], row[8]),
        speciality=coded(row[9], row[10]),
        organisation_id=row[11],
        organisation=row[12],
        service=row[13],
        description=row[14],
        street=row[15],
        postcode=row[16],
        commune=row[17],
        department=row[18],
        digitization=row[19] != 0,
        rank=row[20],
        origin=_ORIGINS[row[21]],
        updated_at=row[22],
    )
