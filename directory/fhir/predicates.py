"""Whether an entry answers a criterion: the same for both databases, whatever narrowed the choice before.

Invariants: pure; names are compared as `search.words` makes them, so without accents, case and punctuation; `:exact`
alone compares as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from directory.fhir.codes import (
    CATEGORY,
    FINESS,
    IDNPS,
    IDNST,
    KIND_SYSTEMS,
    MODE,
    PROFESSION,
    RPPS,
    SIRENE,
    SPECIAL_VALUES,
    SPECIALITY,
)
from directory.fhir.entries import Entry, Person, Role, Service, Structure
from directory.fhir.parameters import Criterion, Match, Token
from directory.model import Coded, Mailbox, Organisation, Professional
from directory.search.words import normalised


def holds(criterion: Criterion, entry: Entry, resource_id: Callable[[Entry], str]) -> bool:
    match criterion.name:
        case "_id":
            return any(one.system is None and one.code == resource_id(entry) for one in criterion.tokens)
        case "_lastUpdated":
            return any(one.holds(entry.updated_at) for one in criterion.moments)
        case "active":  # what is not is not shown
            return any(
                one.code == "true" and one.system in (None, SPECIAL_VALUES) for one in criterion.tokens
            )
        case "mailbox-mss":
            return any(_address(criterion, one) for one in entry.mailboxes)
        case "mailbox-mss-type":
            return any(_kind(criterion.tokens, one) for one in entry.mailboxes)
        case _:
            return _OF[type(entry)](criterion, entry, resource_id)


# ---------------------------------------------------------------------------------------------- of one type


def _person(criterion: Criterion, entry: Entry, _: Callable[[Entry], str]) -> bool:
    assert isinstance(entry, Person)
    if criterion.name == "qualification-code":
        codings = [(PROFESSION, entry.professional.profession)]
        codings += [(SPECIALITY, one) for one in entry.specialities]
        return coded(criterion.tokens, codings)
    return _professional(criterion, entry.professional)


def _professional(criterion: Criterion, one: Professional) -> bool:
    match criterion.name:
        case "identifier":
            held = professional_identifiers(one)
            return any(identified(token, held) for token in criterion.tokens)
        case "family":
            return _text(criterion, [one.family])
        case "given":
            return _text(criterion, [one.given])
        case "name":
            whole = (f"{one.given} {one.family}", f"{one.family} {one.given}")
            return _text(criterion, [one.family, one.given, *whole])
        case _:
            return False


def _role(criterion: Criterion, entry: Entry, resource_id: Callable[[Entry], str]) -> bool:
    assert isinstance(entry, Role)
    professional = entry.person.professional
    match criterion.name:
        case "practitioner":
            return resource_id(entry.person) in criterion.texts
        case "organization":
            return entry.organisation_id != "" and _refers(criterion, entry.organisation_id, resource_id)
        case "organization.identifier":
            held = organisation_identifiers(Organisation(entry.organisation_id))
            return any(identified(token, held) for token in criterion.tokens)
        case "specialty":
            return coded(criterion.tokens, [(SPECIALITY, one) for one in entry.specialities])
        case "role":
            codings = [(PROFESSION, professional.profession), (CATEGORY, professional.category)]
            return coded(criterion.tokens, [*codings, *((MODE, one) for one in entry.modes)])
        case name:
            return _professional(
                Criterion(name.removeprefix("practitioner."), criterion.values, criterion.match), professional
            )


def _structure(criterion: Criterion, entry: Entry, _: Callable[[Entry], str]) -> bool:
    assert isinstance(entry, Structure)
    organisation = entry.organisation
    match criterion.name:
        case "identifier":
            held = organisation_identifiers(organisation)
            return any(identified(token, held) for token in criterion.tokens)
        case "name":
            return _text(criterion, [organisation.name, organisation.brand])
        case "address-city":
            return _text(criterion, [organisation.place.commune])
        case "address-postalcode":
            return _text(criterion, [organisation.place.postcode])
        case _:
            return False


def _service(criterion: Criterion, entry: Entry, resource_id: Callable[[Entry], str]) -> bool:
    assert isinstance(entry, Service)
    organisation = entry.structure.organisation
    match criterion.name:
        case "name":
            return _text(criterion, [entry.name])
        case "organization":
            return _refers(criterion, organisation.national_id, resource_id)
        case "organization.identifier":
            held = organisation_identifiers(organisation)
            return any(identified(token, held) for token in criterion.tokens)
        case _:
            return False


_OF: Mapping[type, Callable[[Criterion, Entry, Callable[[Entry], str]], bool]] = {
    Person: _person,
    Role: _role,
    Structure: _structure,
    Service: _service,
}


def _refers(criterion: Criterion, organisation_id: str, resource_id: Callable[[Entry], str]) -> bool:
    return resource_id(Structure(Organisation(organisation_id))) in criterion.texts


# ------------------------------------------------------------------------------------------------- values


def _text(criterion: Criterion, held: Iterable[str]) -> bool:
    there = [one for one in held if one]
    if criterion.match is Match.EXACT:
        return any(value in there for value in criterion.texts)
    words = [normalised(one) for one in there]
    for value in criterion.texts:
        if not (wanted := normalised(value)):
            continue
        if criterion.match is Match.CONTAINS:
            if any(wanted in one for one in words):
                return True
        elif any(one.startswith(wanted) for one in words):
            return True
    return False


def _address(criterion: Criterion, mailbox: Mailbox) -> bool:
    for value in criterion.texts:
        wanted = value.strip().lower()
        match criterion.match:
            case Match.EXACT:
                found = mailbox.address == wanted
            case Match.CONTAINS:
                found = wanted in mailbox.address
            case Match.PREFIX:
                found = mailbox.address.startswith(wanted)
        if wanted and found:
            return True
    return False


def _kind(tokens: Iterable[Token], mailbox: Mailbox) -> bool:
    return any(
        token.code == mailbox.kind.value and (token.system is None or token.system in KIND_SYSTEMS)
        for token in tokens
    )


def coded(tokens: Iterable[Token], codings: Iterable[tuple[str, Coded]]) -> bool:
    held = list(codings)
    for token in tokens:
        for system, value in held:
            if not value.code or (token.system is not None and token.system != system):
                continue
            if token.code in ("", value.code) and (token.code or token.system):
                return True
    return False


def identified(token: Token, held: Iterable[tuple[str, str, str]]) -> bool:
    """`held`: system, type, value."""
    return any(
        (token.system is None or token.system == system)
        and token.code in (value, "" if token.system else value)
        for system, _, value in held
    )


def professional_identifiers(one: Professional) -> list[tuple[str, str, str]]:
    """System, type, value. Of "8" and RPPS, the RPPS alone as well."""
    if not one.national_id:
        return []
    held = [(IDNPS, "IDNPS", one.national_id)]
    if one.national_id.startswith("8"):
        held.append((RPPS, "RPPS", one.national_id[1:]))
    return held


def organisation_identifiers(one: Organisation) -> list[tuple[str, str, str]]:
    number = one.national_id[1:]
    finess = one.finess or (number if one.national_id.startswith("1") else "")
    siret = one.siret or (number if one.national_id.startswith("3") else "")
    siren = one.siren or (number if one.national_id.startswith("2") else "")
    held = [
        (IDNST, "IDNST", one.national_id),
        (FINESS, "FINEG", finess),
        (FINESS, "FINEJ", one.finess_legal),
        (SIRENE, "SIRET", siret),
        (SIRENE, "SIREN", siren),
    ]
    return [(system, kind, value) for system, kind, value in held if value]
