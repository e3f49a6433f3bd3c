"""What makes a practice situation that one: who, as what, where. The files give it no number, so it has ours.

Its number keeps those of one person together (tables and indexes are then written in the order of the files): 35 bits
of the identifier, 28 of the rest. It is the same wherever it is imported, and names the situation in FHIR.

Invariants: pure; a positive number of at most 63 bits; a telephone, a label or a rewritten street of an organisation
does not change it.
"""

from __future__ import annotations

import hashlib

from directory.model import Situation

_REST = 28
_PERSON = 34


def situation_id(situation: Situation) -> int:
    organisation = situation.organisation
    place = situation.place
    where = organisation.national_id if organisation else f"{place.postcode}|{place.commune}|{place.street}"
    return number_of(
        situation.professional.national_id,
        f"{situation.professional.profession.code}|{situation.speciality.code}|{situation.mode.code}|{where}",
    )


def number_of(national_id: str, rest: str) -> int:
    return _person(national_id) << _REST | _bits(rest, _REST)


def _person(national_id: str) -> int:
    """An RPPS number without its check digit, in order; else bits of the whole, above them."""
    if len(national_id) == 12 and national_id[0] == "8" and national_id.isdigit():
        return int(national_id[1:11])
    return 1 << _PERSON | _bits(national_id, _PERSON)


def _bits(text: str, count: int) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - count)
