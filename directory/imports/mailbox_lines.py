"""Lines of the MSSanté extraction as mailboxes.

An address that stands on several lines is one mailbox: a practice (CAB) has the holders of all of them, of others the
line that says most is taken.

Invariants: what is made is of a kind that stands in the directory (never a patient's), and has fields of its kind.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Sequence
from dataclasses import replace

from directory.identifiers.matricule import is_patients
from directory.imports import fields
from directory.imports.columns import MAILBOX, Columns
from directory.imports.wrong import LineWrong
from directory.model import Kind, Mailbox, Organisation, Place, Professional

_KINDS = {one.value: one for one in Kind}
_ADDRESS = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{}~.-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)
_LONGEST = 254
_YES = frozenset({"o", "oui", "1", "true"})


class MailboxLines:
    number = 1
    of_mailboxes = True

    def __init__(self, header: bytes) -> None:
        self.columns = Columns(header, MAILBOX)
        at = self.columns.at
        name = self.columns.name
        self._person_column = name("identification nationale pp")
        self._structure_column = name("identification structure")
        self.count = self.columns.count
        self._address = at["adresse bal"]
        self._main = operator.itemgetter(
            *(
                at[one]
                for one in (
                    "type de bal",
                    "adresse bal",
                    "identification nationale pp",
                    "type identifiant pp",
                    "identifiant pp",
                    "service de rattachement",
                    "dematerialisation",
                    "code savoir faire",
                    "libelle savoir faire",
                )
            )
        )
        self._who = operator.itemgetter(
            *(
                at[one]
                for one in (
                    "civilite d exercice",
                    "nom d exercice",
                    "prenom d exercice",
                    "code profession",
                    "libelle profession",
                    "categorie profession",
                    "libelle de categorie profession",
                )
            )
        )
        first = MAILBOX.index("raison sociale")
        self._where = operator.itemgetter(
            at["type identifiant structure"],
            at["identification structure"],
            *(at[one] for one in MAILBOX[first:]),
        )

    def rough_owner(self, line: bytes) -> object:
        """What lines of one owner have in common, before they are looked at."""
        parts = line.split(b"|", self._address + 1)
        return parts[self._address].lower() if len(parts) > self._address else None

    def value(self, line: bytes) -> Mailbox:
        found = fields.fields_of(line, self.count)
        kind, address, national_id, person_kind, person_number, service, paperless, *speciality = self._main(
            found
        )
        lowered = address.lower()
        if len(lowered) > _LONGEST or not _ADDRESS.fullmatch(lowered):
            raise LineWrong(self.columns.name("adresse bal"), "not an address")
        if is_patients(lowered):
            raise LineWrong(self.columns.name("adresse bal"), "a patient's address")
        if (known := _KINDS.get(kind.upper())) is None:
            raise LineWrong(self.columns.name("type de bal"), "unknown kind")
        where = self._organisation(self._where(found))
        if known in (Kind.ORG, Kind.APP):
            if where is None:
                raise LineWrong(self._structure_column, "no structure")
            return Mailbox(lowered, known, (), where, service=service, digitization=paperless.lower() in _YES)
        who = self._who(found)
        if not national_id and person_number:
            national_id = ("8" if person_kind in ("8", "RPPS") else "0") + person_number
        if not national_id:
            if known is Kind.CAB or where is None:
                raise LineWrong(self._person_column, "no holder")
            return Mailbox(
                lowered, known, (), where, fields.coded(*speciality), digitization=paperless.lower() in _YES,
                title=fields.title_of(who[0]), family=who[1], given=who[2],
            )  # fmt: skip
        if not who[1]:
            raise LineWrong(self.columns.name("nom d exercice"), "no name")
        holder = Professional(
            fields.person_id(national_id, self._person_column),
            fields.title_of(who[0]),
            who[1],
            who[2],
            fields.coded(who[3], who[4]),
            fields.coded(who[5], who[6]),
        )
        return Mailbox(
            lowered,
            known,
            (holder,),
            where,
            fields.coded(*speciality) if known is Kind.PER else fields.coded("", ""),
            description=service if known is Kind.CAB else "",
            digitization=paperless.lower() in _YES,
        )

    def owner(self, value: Mailbox) -> str:
        return value.address

    def clear_key(self, line: bytes) -> str | None:
        """An address that is one, in its place."""
        parts = fields.shaped(line, self.count)
        address = parts[self._address].lower() if parts else ""
        return address if len(address) <= _LONGEST and _ADDRESS.fullmatch(address) else None

    def merged(self, values: Sequence[Mailbox]) -> Mailbox:
        best = max(values, key=_filled)
        if best.kind is not Kind.CAB:
            return best
        holders = {each.national_id: each for one in values for each in one.holders}
        return replace(best, holders=tuple(holders.values()))

    def surplus(self, values: Sequence[Mailbox]) -> bool:
        """Whether several lines of one address are too many, and not those of co-holders."""
        ids = {tuple(each.national_id for each in one.holders) for one in values}
        return len(ids) < len(values) or any(one.kind is not Kind.CAB for one in values)

    def _organisation(self, row: tuple[str, ...]) -> Organisation | None:
        if not row[1]:
            return None
        found = fields.structure_id(row[0], row[1], self._structure_column)
        return _organisation(found, row[2:])


@functools.lru_cache(maxsize=16_384)
def _organisation(national_id: str, row: tuple[str, ...]) -> Organisation:
    (
        name,
        brand,
        recipient,
        building,
        number,
        index,
        way,
        street,
        locality,
        routing,
        postcode,
        department,
        country,
    ) = row
    register, rest = national_id[0], national_id[1:]
    return Organisation(
        national_id,
        name=name,
        brand=brand,
        siret=rest if register == "3" else "",
        siren=rest if register == "2" else "",
        finess=rest if register == "1" else "",
        place=Place(
            recipient_line=recipient,
            building_line=building,
            street=" ".join(one for one in (number, index, way, street) if one),
            locality_line=locality,
            routing_line=routing,
            postcode=postcode,
            commune=_commune(routing, postcode),
            department=department,
            country="" if country.upper() == "FRANCE" else country,
        ),
    )


def _commune(routing: str, postcode: str) -> str:
    """ "LYON" of "69003 LYON CEDEX 03"."""
    town = routing.removeprefix(postcode).strip() if postcode else routing
    return re.sub(r"^[0-9]{5}\s+|\s+CEDEX(?:\s+[0-9]+)?$", "", town, flags=re.IGNORECASE)


def _filled(mailbox: Mailbox) -> int:
    return (
        4 * bool(mailbox.holders)
        + 2 * bool(mailbox.organisation)
        + bool(mailbox.speciality.code)
        + bool(mailbox.service or mailbox.description)
        + mailbox.digitization
    )
