"""`directory search`, `directory show`: what the listings tell an administrator; never more than anybody is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.node.clock import now
from deploy.node.composition import Node
from deploy.node.control import CommandFailed
from directory.certificates.records import Family, Period, PublishedCertificate, Why
from directory.identifiers.national import parse_person, parse_structure
from directory.identifiers.refused import IdentifierRefused
from directory.listings.interface import Kept, Query
from directory.model import Card, Kind, Mailbox, Organisation, Place, Professional, Situation
from directory.search import departments

# By length, the registers whose number it may be: 8 RPPS, 0 ADELI, 1 FINESS, 2 SIREN, 3 SIRET.
_BARE = {11: "8", 9: "120", 14: "3"}


class DirectoryCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def directory_search(
        self,
        words: str,
        kinds: Sequence[str] = (),
        profession: str = "",
        department: str = "",
        limit: int = 20,
    ) -> dict[str, Any]:
        try:
            wanted = frozenset(Kind(one.upper()) for one in kinds) or frozenset(Kind)
        except ValueError:
            raise CommandFailed("Kinds are PER, ORG, APP and CAB.") from None
        if department and not departments.is_known(department):
            raise CommandFailed(
                f"No department is {department[:40]!r}: write its number (69, 2A, 971) or its name."
            )
        query = Query(
            words,
            kinds=wanted,
            profession=profession,
            department=department,
            limit=limit,
            with_address=False,
        )
        found = await asyncio.to_thread(self._node.listings.search, query)
        return {
            "found": [_card(card) for card in found.cards],
            "more": found.more,
            "corrected": [list(pair) for pair in found.corrected],
        }

    async def directory_show(self, what: str) -> dict[str, Any]:
        """An address, or an identifier, with its first digit or without: a person (8, 0), an organisation (1 to 4)."""
        plain = what.strip()
        if "@" in plain:
            return await self._shown_address(plain.lower())
        compact = "".join(plain.split())
        if (found := await asyncio.to_thread(self._numbered, compact)) is not None:
            return found
        raise CommandFailed(_why(compact))

    def _numbered(self, typed: str) -> dict[str, Any] | None:
        """Who or what has this identifier, or this number of a register without the digit that names the register."""
        for text in (typed, *(prefix + typed for prefix in _BARE.get(len(typed), ""))):
            with contextlib.suppress(IdentifierRefused):
                if (found := self._person(parse_person(text).value)) is not None:
                    return found
            with contextlib.suppress(IdentifierRefused):
                if (found := self._organisation(parse_structure(text).value)) is not None:
                    return found
        return None

    async def _shown_address(self, address: str) -> dict[str, Any]:
        found = await asyncio.to_thread(self._address, address)
        if found is None:
            meant = await asyncio.to_thread(self._node.listings.suggest, address)
            hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
            raise CommandFailed(f"The directory shows no mailbox {address}.{hint}")
        return found

    def _address(self, address: str) -> dict[str, Any] | None:
        kept = self._node.listings.mailbox(address)
        if kept is None:
            return None
        directory = self._node.directory
        rows = [_certificate(one) for one in directory.history(address)]
        rows += [_smime(one) for one in directory.periods(address, now()) if one.family is Family.X509]
        return {"mailbox": _mailbox(kept) | {"certificates": rows}}

    def _person(self, national_id: str) -> dict[str, Any] | None:
        listings = self._node.listings
        kept = listings.professional(national_id)
        if kept is None:
            return None
        return {
            "person": _person(kept.value) | {"updated": _day(kept.updated_at)},
            "situations": [_situation(one) for one in listings.situations_of(national_id)],
            "mailboxes": [_mailbox(one) for one in listings.mailboxes_of(national_id)],
        }

    def _organisation(self, national_id: str) -> dict[str, Any] | None:
        listings = self._node.listings
        kept = listings.organisation(national_id)
        if kept is None:
            return None
        return {
            "organisation": _organisation(kept.value) | {"updated": _day(kept.updated_at)},
            "mailboxes": [_mailbox(one) for one in listings.mailboxes_of(national_id)],
        }


def _why(text: str) -> str:
    """Why nothing is shown: nobody has it, or the reason of the register that its length or first digit names."""
    bare_refused: IdentifierRefused | None = None
    for prefix in _BARE.get(len(text), "") if text[:1].isdigit() else "":
        try:
            (parse_person if prefix in "08" else parse_structure)(prefix + text)
        except IdentifierRefused as refused:
            bare_refused = bare_refused or refused
        else:
            return f"The directory shows nobody and nothing with the number {text}."
    try:
        return f"The directory shows nobody with the identifier {parse_person(text).value}."
    except IdentifierRefused as refused:
        no_person = refused
    try:
        return f"The directory shows nothing with the identifier {parse_structure(text).value}."
    except IdentifierRefused as refused:
        no_structure = refused
    if bare_refused is not None:
        return bare_refused.en
    if text[:1] == "8" or no_person.reason == "too-long":
        return no_person.en
    if text[:1] in set("01234"):
        return no_structure.en
    return f"An address has an @. {no_person.en} {no_structure.en}"


def _card(card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "kind": card.kind.value if card.kind else None,
        "address": card.address,
        "national_id": card.national_id,
        "profession": card.profession.label,
        "speciality": card.speciality.label,
        "organisation": card.organisation,
        "postcode": card.postcode,
        "commune": card.commune,
        "department": card.department,
        "paperless": card.digitization,
        "origin": card.origin.value,
    }


def _person(value: Professional) -> dict[str, Any]:
    return {
        "national_id": value.national_id,
        "title": value.title,
        "family": value.family,
        "given": value.given,
        "profession": value.profession.label,
        "category": value.category.label,
    }


def _organisation(value: Organisation) -> dict[str, Any]:
    return {
        "national_id": value.national_id,
        "name": value.name,
        "brand": value.brand,
        "siret": value.siret,
        "siren": value.siren,
        "finess": value.finess,
        "finess_legal": value.finess_legal,
        "place": _place(value.place),
    }


def _place(place: Place) -> str:
    """On one line, as it would stand on an envelope."""
    town = place.routing_line or " ".join(part for part in (place.postcode, place.commune) if part)
    lines = (
        place.recipient_line,
        place.building_line,
        place.street,
        place.locality_line,
        town,
        place.country,
    )
    return ", ".join(line for line in lines if line)


def _situation(kept: Kept[Situation]) -> dict[str, Any]:
    value = kept.value
    organisation = value.organisation
    return {
        "id": kept.key,
        "speciality": value.speciality.label,
        "mode": value.mode.label,
        "organisation": None if organisation is None else organisation.brand or organisation.name,
        "organisation_id": None if organisation is None else organisation.national_id,
        "place": _place(value.place),
        "updated": _day(kept.updated_at),
    }


def _mailbox(kept: Kept[Mailbox]) -> dict[str, Any]:
    value = kept.value
    organisation = value.organisation
    return {
        "address": value.address,
        "kind": value.kind.value,
        "holders": [_person(one) for one in value.holders],
        "name": " ".join(part for part in (value.title, value.given, value.family) if part),
        "organisation": None if organisation is None else organisation.brand or organisation.name,
        "organisation_id": None if organisation is None else organisation.national_id,
        "speciality": value.speciality.label,
        "service": value.service,
        "description": value.description,
        "paperless": value.digitization,
        "rank": value.rank,
        "origin": value.origin.value,
        "updated": _day(kept.updated_at),
    }


def _certificate(one: PublishedCertificate) -> dict[str, Any]:
    return {
        "family": Family.OPENPGP.value,
        "fingerprint": one.fingerprint,
        "published": _day(one.published_at),
        "not_after": _day(one.not_after),
        "revoked": _day(one.revoked_at),
        "replaced": _day(one.superseded_at),
        "held_by": "operator" if one.operator_held else "holder",
    }


def _smime(one: Period) -> dict[str, Any]:
    until = _day(one.until)
    return {
        "family": one.family.value,
        "fingerprint": one.fingerprint,
        "published": _day(one.since),
        "not_after": _day(one.not_after),
        "revoked": until if one.why in (Why.REVOKED, Why.WITHDRAWN) else None,
        "replaced": until if one.why is Why.REPLACED else None,
        "held_by": "holder",
    }


def _day(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")
