"""Lines of PS_LibreAcces_Personne_activite as practice situations.

Invariants: telephone, fax and e-mail of the file are not read; the structure is named by its FINESS, else by its SIRET
number, else not at all (then the place of the practice stands alone).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

from directory.identifiers.national import parse_structure
from directory.identifiers.refused import IdentifierRefused
from directory.imports import fields
from directory.imports.columns import ACTIVITY, Columns
from directory.imports.wrong import LineWrong
from directory.listings.situation_id import situation_id
from directory.model import Organisation, Place, Professional, Situation

_WHO = (
    "identification nationale pp",
    "libelle civilite d exercice",
    "code civilite d exercice",
    "code civilite",
    "nom d exercice",
    "prenom d exercice",
    "code profession",
    "libelle profession",
    "code categorie professionnelle",
    "libelle categorie professionnelle",
    "code savoir faire",
    "libelle savoir faire",
    "code mode exercice",
    "libelle mode exercice",
)
_STRUCTURE = (
    "numero finess site",
    "numero siret site",
    "numero siren site",
    "numero finess etablissement juridique",
    "identifiant technique de la structure",
    "raison sociale",
    "enseigne commerciale",
)
_PLACE = (
    "complement destinataire",
    "complement point geographique",
    "numero voie",
    "indice repetition voie",
    "libelle type de voie",
    "libelle voie",
    "mention distribution",
    "bureau cedex",
    "code postal",
    "code commune",
    "libelle commune",
    "code departement",
    "libelle pays",
)
_ROUGH = (
    "identification nationale pp",
    "code profession",
    "code savoir faire",
    "code mode exercice",
    "numero finess site",
    "numero siret site",
    "identifiant technique de la structure",
    "code postal",
    "libelle commune",
    "numero voie",
    "libelle voie",
)


class ActivityLines:
    number = 2
    of_mailboxes = False

    def __init__(self, header: bytes) -> None:
        self.columns = Columns(header, ACTIVITY)
        at = self.columns.at
        self.count = self.columns.count
        self._national_id = at["identification nationale pp"]
        self._names = tuple(self.columns.name(one) for one in (*_STRUCTURE[:4], _WHO[0]))
        self._who = operator.itemgetter(*(at[one] for one in _WHO))
        self._structure = operator.itemgetter(*(at[one] for one in _STRUCTURE))
        self._place = operator.itemgetter(*(at[one] for one in _PLACE))
        self._rough = operator.itemgetter(*(at[one] for one in _ROUGH))

    def rough_owner(self, line: bytes) -> object:
        parts = line.split(b"|")
        return self._rough(parts) if len(parts) >= self.count else None

    def value(self, line: bytes) -> Situation:
        found = fields.fields_of(line, self.count)
        who = self._who(found)
        if not who[4]:
            raise LineWrong(self.columns.name("nom d exercice"), "no name")
        national_id = fields.person_id(who[0], self._names[4])
        row = self._place(found)
        place = _place(row)
        return Situation(
            Professional(
                national_id,
                fields.title_of(who[1], who[2], who[3]),
                who[4],
                who[5],
                fields.coded(who[6], who[7]),
                fields.coded(who[8], who[9]),
            ),
            _structure(self._structure(found), row, self._names),
            fields.coded(who[10], who[11]),
            fields.coded(who[12], who[13]),
            place,
        )

    def owner(self, value: Situation) -> str:
        return str(situation_id(value))

    def clear_key(self, line: bytes) -> str | None:
        """An identifier that is one, in its place."""
        parts = fields.shaped(line, self.count)
        try:
            return fields.person_id(parts[self._national_id], "") if parts else None
        except LineWrong:
            return None

    def merged(self, values: Sequence[Situation]) -> Situation:
        return max(values, key=_filled)

    def surplus(self, values: Sequence[Situation]) -> bool:
        return len(values) > 1


@functools.lru_cache(maxsize=65_536)
def _structure(row: tuple[str, ...], place: tuple[str, ...], names: tuple[str, ...]) -> Organisation | None:
    """`names`: of the columns, for who looks for what is wrong."""
    if not (row[0] or row[1] or row[4]):
        return None
    numbers = (
        fields.finess(row[0], names[0]),
        fields.siret(row[1], names[1]),
        fields.siren(row[2], names[2]),
        fields.finess(row[3], names[3]),
    )
    national_id = f"1{numbers[0]}" if numbers[0] else f"3{numbers[1]}" if numbers[1] else _technical(row[4])
    return _organisation(national_id, numbers, row[5:], place) if national_id else None


@functools.lru_cache(maxsize=16_384)
def _technical(value: str) -> str:
    """The file's own number of a structure, where it is a national one."""
    try:
        return parse_structure(value).value
    except IdentifierRefused:
        return ""


@functools.lru_cache(maxsize=16_384)
def _organisation(
    national_id: str, numbers: tuple[str, ...], called: tuple[str, ...], place: tuple[str, ...]
) -> Organisation:
    return Organisation(
        national_id,
        name=called[0],
        brand=called[1],
        finess=numbers[0],
        siret=numbers[1],
        siren=numbers[2],
        finess_legal=numbers[3],
        place=_place(place),
    )


@functools.lru_cache(maxsize=16_384)
def _place(row: tuple[str, ...]) -> Place:
    (
        recipient, building, number, index, way, street, locality, routing, postcode, commune_code, commune,
        department, country,
    ) = row  # fmt: skip
    return Place(
        recipient_line=recipient,
        building_line=building,
        street=" ".join(one for one in (number, index, way, street) if one),
        locality_line=locality,
        routing_line=routing or f"{postcode} {commune}".strip(),
        postcode=postcode,
        commune_code=commune_code,
        commune=commune,
        department=department,
        country="" if country.upper() == "FRANCE" else country,
    )


def _filled(situation: Situation) -> int:
    place = situation.place
    return sum(
        map(bool, (situation.organisation, place.street, place.postcode, place.commune, place.recipient_line))
    )
