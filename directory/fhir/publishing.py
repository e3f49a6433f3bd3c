"""Other operators publish their mailboxes here: which resource a patch is of, who may, and what it writes.

A mailbox lies where its kind says: PER without a structure and CAB on the Practitioner, PER in a structure on the
PractitionerRole, ORG and APP on the Organization. Its address, its type and where it lies never change.

Invariants: one request is one transaction, whole or not at all, and durable before it is answered; a key writes only
addresses of its own domains, and only those that its operator published or the national files told; the same request
again changes nothing; nobody struck off is found; who objects to a mailbox under their name is
not given it again; what is red-listed is kept and never told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from directory.fhir.codes import FINESS, IDNPS, IDNST, RPPS
from directory.fhir.entries import Entry, Person, Role, Structure, Type
from directory.fhir.held import Held, held
from directory.fhir.keys import READ, ApiKey
from directory.fhir.loading import Loader
from directory.fhir.locators import Locator, Locators, mark
from directory.fhir.outcome import FhirRefusal
from directory.fhir.parameters import Token, token
from directory.fhir.patching import (
    Change,
    ContactPoint,
    Delete,
    Insert,
    Operation,
    Replace,
    operations,
    refused,
)
from directory.fhir.resources import Resource, Resources, etag, of_domains
from directory.identifiers.matricule import is_patients
from directory.identifiers.national import parse_person, parse_structure
from directory.identifiers.refused import IdentifierRefused
from directory.listings.database import Sql
from directory.listings.elsewhere import objects
from directory.listings.writing import put_mailboxes, remove_mailboxes
from directory.model import FIELDS_OF, Coded, Kind, Mailbox, Organisation, Origin, Professional

Done = Literal["published", "withdrawn"]
_NAMES = {"digitization": "digitization", "listeRouge": "red_list", "rank": "rank"}


@dataclass(frozen=True, slots=True)
class Target:
    """Which resource: by its id, or by criteria that one must meet."""

    type: Type
    id: str = ""
    criteria: tuple[tuple[str, str], ...] = ()
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a patch. `changes`: what was done, of which kind of mailbox; told to the trace by ids alone."""

    resource: Resource = field(repr=False)
    key: str = ""
    publisher: str = ""
    changes: tuple[tuple[Done, str], ...] = ()
    at: int = 0


@dataclass(frozen=True, slots=True)
class _Carrier:
    """The resource that is patched, with what a mailbox on it has of its holders and its structure."""

    locator: Locator
    kinds: frozenset[Kind]
    holders: tuple[Professional, ...] = ()
    organisation: Organisation | None = None


class Publisher:
    """One request of one key."""

    def __init__(self, key: ApiKey, locators: Locators, resources: Resources, at: int) -> None:
        self._key = key
        self._locators = locators
        self._resources = resources
        self._at = at

    def operations(self, type_: Type, body: bytes) -> tuple[Operation, ...]:
        asked = operations(type_, body)
        for one in asked:
            self._check_address(one.point.address if isinstance(one, Insert) else one.address)
        return asked

    def publish(self, sql: Sql, target: Target, asked: Sequence[Operation]) -> Publication:
        """Inside one transaction. Raises FhirRefusal, and then nothing was changed."""
        carrier = self._found(sql, target)
        if target.if_match:
            self._check_version(sql, carrier, target.if_match)
        done = [self._apply(sql, carrier, one) for one in asked]
        made = self._resources.of(self._shown(sql, carrier))
        # Who may not read sees their own mailboxes: publishing one on somebody would tell all the others.
        return Publication(
            made if READ in self._key.rights else of_domains(made, self._key.domains),
            self._key.id,
            self._key.publisher,
            tuple(one for one in done if one is not None),
            self._at,
        )

    # ------------------------------------------------------------ of which resource

    def _found(self, sql: Sql, target: Target) -> _Carrier:
        if target.id:
            if target.criteria:
                raise FhirRefusal(400, "not-supported", "It is named by its id, or by criteria.")
            locator = self._locators.read(target.id)
            entry = Loader(sql).one(locator, shown=False) if locator is not None else None
            if entry is None or entry.type is not target.type:
                raise _none()
            return _carrier(sql, entry)
        given = dict[str, Token]()
        for name, value in target.criteria:
            if name in given or name not in _CRITERIA[target.type]:
                wanted = " and ".join(_CRITERIA[target.type])
                raise FhirRefusal(400, "not-supported", f"A patch says of which one by {wanted}.", name[:80])
            given[name] = token(value)
        match target.type:
            case Type.PRACTITIONER if "identifier" in given:
                return self._practitioner(sql, given["identifier"])
            case Type.ORGANIZATION if "identifier" in given:
                return self._organization(sql, given["identifier"])
            case Type.ROLE if "practitioner.identifier" in given:
                return self._role(sql, given["practitioner.identifier"], given.get("organization.identifier"))
            case _:
                wanted = " and ".join(_CRITERIA[target.type])
                raise FhirRefusal(412, "multiple-matches", f"Say of which one, by its id or by {wanted}.")

    def _practitioner(self, sql: Sql, wanted: Token) -> _Carrier:
        key = _person_id(wanted)
        person = Loader(sql).people([key], shown=False).get(key)
        if person is None:
            raise _none()
        return _carrier(sql, person)

    def _organization(self, sql: Sql, wanted: Token) -> _Carrier:
        keys = _structure_ids(sql, wanted)
        found = Loader(sql).structures(keys, shown=False)
        if not found:
            raise _none()
        if len(found) > 1:
            raise FhirRefusal(412, "multiple-matches", "Several organisations match.", "identifier")
        return _carrier(sql, next(iter(found.values())))

    def _role(self, sql: Sql, person: Token, structure: Token | None) -> _Carrier:
        practitioner = self._practitioner(sql, person)
        if structure is not None:
            organisation = self._organization(sql, structure).organisation
            assert organisation is not None
        else:
            key = practitioner.holders[0].national_id
            roles = [one for one in Loader(sql).roles([key]).get(key, []) if one.organisation_id]
            if not roles:
                raise _none()
            if len(roles) > 1:
                words = "They practise in several organisations: say which by organization.identifier."
                raise FhirRefusal(412, "multiple-matches", words)
            organisation = _organisation(sql, roles[0].organisation_id)
        return _role_of(practitioner.holders[0], organisation)

    def _check_version(self, sql: Sql, carrier: _Carrier, wanted: str) -> None:
        """If-Match (RFC 9110 §13.1.1), by the version of what is shown."""
        current = etag(self._resources.of(self._shown(sql, carrier)))
        held_ = [one.strip().removeprefix("W/") for one in wanted.split(",")]
        if wanted.strip() != "*" and current.removeprefix("W/") not in held_:
            raise FhirRefusal(412, "conflict", "It has changed since.", "If-Match")

    def _shown(self, sql: Sql, carrier: _Carrier) -> Entry:
        entry = Loader(sql).one(carrier.locator)
        if entry is not None:
            return entry
        # Shown nowhere: what they have is red-listed, or was taken away. Who asked is told the number they gave, and
        # no name: patches that change nothing would tell who somebody on the red list is.
        organisation = Organisation(carrier.organisation.national_id) if carrier.organisation else None
        if not carrier.holders:
            assert organisation is not None
            return Structure(organisation, updated_at=self._at)
        person = Person(Professional(carrier.holders[0].national_id), updated_at=self._at)
        if organisation is None:
            return person
        return Role(person, organisation.national_id, updated_at=self._at)

    # ------------------------------------------------------------ one operation

    def _apply(self, sql: Sql, carrier: _Carrier, asked: Operation) -> tuple[Done, str] | None:
        """None: it was so already."""
        address = asked.point.address if isinstance(asked, Insert) else asked.address
        there = self._mine(held(sql, address))
        if isinstance(asked, Delete):
            if there is None:
                return None
            self._check_place(carrier, there)
            remove_mailboxes(sql, [address], at=self._at)
            return "withdrawn", there.mailbox.kind.value
        wanted = self._wanted(sql, carrier, there, asked)
        if there is not None and there.mailbox == wanted and there.mailbox.origin is Origin.PUBLISHED:
            return None
        if objects(sql, address, [one.national_id for one in wanted.holders]):
            raise FhirRefusal(
                403, "forbidden", "Whom it names objects to this mailbox: ask them.", "telecom.value"
            )
        written = put_mailboxes(sql, [wanted], self._key.publisher, self._at)
        if written.refused:
            raise _not_yours()
        return ("published", wanted.kind.value) if written.added or written.changed else None

    def _wanted(self, sql: Sql, carrier: _Carrier, there: Held | None, asked: Operation) -> Mailbox:
        match asked:
            case Insert(point):
                wanted = self._made(sql, carrier, point, there)
                mine = there is not None and there.mailbox.origin is Origin.PUBLISHED
                if there is not None:
                    self._check_place(carrier, there)
                    if mine and there.mailbox != wanted:
                        raise FhirRefusal(409, "duplicate", "It is published already, otherwise: replace it.")
                return wanted
            case Replace(address, point):
                if point.address != address:
                    raise refused("The address of a mailbox never changes.", "telecom.value", "business-rule")
                self._check_place(carrier, self._there(there))
                return self._made(sql, carrier, point, there)
            case Change(_, name, value):
                found = self._there(there)
                self._check_place(carrier, found)
                _check_field(found.mailbox.kind, name)
                return replace(found.mailbox, **{_NAMES.get(name, name): value}, origin=Origin.PUBLISHED)
            case _:
                raise AssertionError(asked)

    def _there(self, there: Held | None) -> Held:
        if there is None:
            raise refused("No such mailbox is published here.", "telecom", "not-found")
        return there

    def _made(self, sql: Sql, carrier: _Carrier, point: ContactPoint, there: Held | None) -> Mailbox:
        """As it would be written. What a field matrix does not have is refused."""
        kind = point.kind or (there.mailbox.kind if there is not None else None)
        if kind is None:
            raise refused("A mailbox has a type.", "telecom.extension", "structure")
        if there is not None and kind is not there.mailbox.kind:
            raise refused("The type of a mailbox never changes.", "telecom.extension", "business-rule")
        if kind not in carrier.kinds:
            kinds = ", ".join(sorted(one.value for one in carrier.kinds))
            raise refused(f"This resource carries mailboxes of type {kinds}.", "telecom", "business-rule")
        for name in point.texts:
            _check_field(kind, name)
        if point.holders and kind is not Kind.CAB:
            raise refused("Only a practice's mailbox has several holders.", "telecom", "business-rule")
        return Mailbox(
            address=point.address,
            kind=kind,
            holders=(*carrier.holders, *self._others(sql, carrier, point)),
            organisation=carrier.organisation or (there.mailbox.organisation if there is not None else None),
            speciality=there.mailbox.speciality if there is not None else Coded(),
            service=point.texts.get("service", ""),
            description=point.texts.get("description", ""),
            responsible=point.texts.get("responsible", ""),
            phone=point.texts.get("phone", ""),
            digitization=point.flags.get("digitization", False),
            rank=point.rank or 1,
            red_list=point.flags.get("listeRouge", False),
            origin=Origin.PUBLISHED,
        )

    def _others(self, sql: Sql, carrier: _Carrier, point: ContactPoint) -> list[Professional]:
        keys = [_checked_person(one) for one in point.holders]
        wanted = [one for one in dict.fromkeys(keys) if one != carrier.holders[0].national_id] if keys else []
        known = Loader(sql).people(wanted, shown=False)
        if len(known) < len(wanted):
            raise refused(
                "A holder of the mailbox is not in the directory.", "telecom.extension", "not-found"
            )
        return [known[one].professional for one in wanted]

    # ------------------------------------------------------------ who may

    def _check_address(self, address: str) -> None:
        domain = address.rpartition("@")[2]
        if domain not in self._key.domains:
            raise FhirRefusal(
                403, "forbidden", "This key publishes no addresses of this domain.", "telecom.value"
            )
        if is_patients(address):
            raise refused("Patients are in no directory.", "telecom.value", "business-rule")

    def _mine(self, there: Held | None) -> Held | None:
        if there is None:
            return None
        published = there.mailbox.origin is Origin.PUBLISHED
        if there.mailbox.origin is Origin.OWN or (published and there.publisher != self._key.publisher):
            raise _not_yours()
        return there

    def _check_place(self, carrier: _Carrier, there: Held) -> None:
        """It lies on this resource, and stays there."""
        mailbox = there.mailbox
        holder = mailbox.holders[0].national_id if mailbox.holders else ""
        structure = mailbox.organisation.national_id if mailbox.organisation else ""
        wanted_holder = carrier.holders[0].national_id if carrier.holders else ""
        wanted_structure = carrier.organisation.national_id if carrier.organisation else ""
        on_practice = mailbox.kind is Kind.CAB and holder == wanted_holder and not carrier.organisation
        if not on_practice and (holder, structure) != (wanted_holder, wanted_structure):
            raise refused(
                "This mailbox lies on another resource, and stays there.", "telecom", "business-rule"
            )


_CRITERIA = {
    Type.PRACTITIONER: ("identifier",),
    Type.ROLE: ("practitioner.identifier", "organization.identifier"),
    Type.ORGANIZATION: ("identifier",),
    Type.SERVICE: (),
}


def _carrier(sql: Sql, entry: Entry) -> _Carrier:
    match entry:
        case Person() if entry.professional.national_id:
            kinds = frozenset({Kind.PER, Kind.CAB})
            return _Carrier(entry.locator, kinds, (entry.professional,))
        case Role() if entry.person.professional.national_id and entry.organisation_id:
            return _role_of(entry.person.professional, _organisation(sql, entry.organisation_id))
        case Structure():
            return _Carrier(entry.locator, frozenset({Kind.ORG, Kind.APP}), (), entry.organisation)
        case _:
            raise refused("Mailboxes are published of who has a national identifier.", "", "business-rule")


def _organisation(sql: Sql, key: str) -> Organisation:
    known = Loader(sql).structures([key], shown=False).get(key)
    return known.organisation if known is not None else Organisation(key)


def _role_of(professional: Professional, organisation: Organisation) -> _Carrier:
    locator = Locator("R", professional.national_id, mark(organisation.national_id))
    return _Carrier(locator, frozenset({Kind.PER}), (professional,), organisation)


def _check_field(kind: Kind, name: str) -> None:
    if name in ("digitization", "listeRouge", "rank"):
        return
    if name not in FIELDS_OF[kind]:
        raise refused(f"A mailbox of type {kind} has no {name}.", "telecom.extension", "business-rule")


# ---------------------------------------------------------------------------------------------- identifiers


def _checked_person(text: str) -> str:
    try:
        return parse_person(text).value
    except IdentifierRefused as refusal:
        raise refused(refusal.en, "identifier") from None


def _person_id(wanted: Token) -> str:
    match wanted.system:
        case system if system == IDNPS:
            return _checked_person(wanted.code)
        case system if system == RPPS:
            return _checked_person(f"8{wanted.code}")
        case _:
            raise refused(
                "A professional is named by their national identifier (IDNPS) or RPPS.", "identifier"
            )


def _structure_ids(sql: Sql, wanted: Token) -> list[str]:
    """By idNat_Struct: one. By FINESS: those of the site."""
    text = wanted.code if wanted.system == IDNST else f"1{wanted.code}" if wanted.system == FINESS else None
    if text is None:
        raise refused("A structure is named by idNat_Struct (IDNST) or FINESS.", "identifier")
    try:
        key = parse_structure(text).value
    except IdentifierRefused as refusal:
        raise refused(refusal.en, "identifier") from None
    if wanted.system == IDNST:
        return [key]
    rows = sql.all("SELECT national_id FROM organisation WHERE finess = ? LIMIT 3", (key[1:],))
    return list(dict.fromkeys([key, *(row[0] for row in rows)]))


def _none() -> FhirRefusal:
    return FhirRefusal(404, "not-found", "There is no such resource.")


def _not_yours() -> FhirRefusal:
    return FhirRefusal(403, "forbidden", "This mailbox was published by somebody else.", "telecom.value")
