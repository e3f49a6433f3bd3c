"""Entries: a card as inetOrgPerson, and those few that make the tree (root, units, schema).

| DN | what |
|---|---|
| `` (empty) | the root: what the server can (RFC 4512 §5.1) |
| `cn=subschema` | the schema (RFC 4512 §4.2) |
| base | the directory |
| `ou=people`, base | persons' mailboxes: `uid=<address>,ou=people,<base>` |
| `ou=organisations`, base | those of organisations, programs, practices: `uid=<address>,ou=organisations,<base>` |

Mailboxes of organisations are inetOrgPerson too, with the service's name as surname: address books look for nothing
else.

Invariants: pure, but for certificates and capabilities, asked for when they are wanted; nothing is shown that a card
has not; an attribute without a value is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from directory.ldap import schema
from directory.ldap.interface import Capabilities, Certificates
from directory.ldap.protocol import codes, names
from directory.ldap.protocol.names import Name
from directory.ldap.schema import Attribute
from directory.model import Capability, Card, Kind

Values = tuple[str, ...]
_PERSON = ("top", "person", "organizationalPerson", "inetOrgPerson", "vaguemestreMailbox")
_COUNTRY = "FR"
_COUNTRY_WORDS = "France"


@dataclass(slots=True)
class Entry:
    name: Name
    values: Mapping[str, Values]  # by the attribute's shown name, without options
    later: Mapping[str, Callable[[], Sequence[bytes]]] = field(
        default_factory=dict[str, Callable[[], Sequence[bytes]]]
    )
    key: str = ""  # what names it for the account of who is shown what; "" for the tree itself

    def has(self, attribute: Attribute) -> bool:
        if attribute.name in self.values:
            return True
        return attribute.name in self.later and bool(self.later[attribute.name]())

    def of(self, attribute: Attribute) -> Values:
        """As text; () for what is no text."""
        return self.values.get(attribute.name, ())

    def octets(self, attribute: Attribute) -> Sequence[bytes]:
        if (late := self.later.get(attribute.name)) is not None:
            return late()
        return [value.encode() for value in self.values.get(attribute.name, ())]


# ── who is shown ──


@dataclass(frozen=True, slots=True)
class Tree:
    """Names of the tree, and the entries that are not cards."""

    base: Name

    @classmethod
    def at(cls, base: str) -> Tree:
        """Raises BadName."""
        return cls(names.parsed(base))

    @property
    def people(self) -> Name:
        return self.base.under("ou", "people")

    @property
    def organisations(self) -> Name:
        return self.base.under("ou", "organisations")

    def name_of(self, card: Card) -> Name:
        unit = self.people if card.kind is Kind.PER else self.organisations
        return unit.under("uid", card.address)

    def address_in(self, name: Name) -> str | None:
        """The address that the name of a mailbox, or one written like it, holds."""
        if len(name.parts) != len(self.base.parts) + 2 or len(name.parts[0]) != 1:
            return None
        kind, value = name.parts[0][0]
        unit = name.parent
        if kind not in ("uid", "mail") or not (
            names.same(unit, self.people) or names.same(unit, self.organisations)
        ):
            return None
        return value.strip().lower()

    def directory(self) -> Entry:
        kind, value = self.base.parts[0][0] if self.base.parts else ("dc", "")
        classes = ("top", "organization", "dcObject") if kind == "dc" else ("top", "organization")
        values = {
            "objectClass": classes,
            kind: (value,),
            "o": (value,),
            "structuralObjectClass": ("organization",),
        }
        return self._node(self.base, values)

    def units(self) -> tuple[Entry, Entry]:
        return (
            self._unit(self.people, "people", "Messageries des professionnels"),
            self._unit(self.organisations, "organisations", "Messageries des organisations et des cabinets"),
        )

    def _unit(self, name: Name, unit: str, words: str) -> Entry:
        classes = ("top", "organizationalUnit")
        values: dict[str, Values] = {"objectClass": classes, "ou": (unit,), "description": (words,)}
        return self._node(name, {**values, "structuralObjectClass": ("organizationalUnit",)})

    def _node(self, name: Name, values: Mapping[str, Values]) -> Entry:
        more: dict[str, Values] = {
            "entryDN": (str(name),),
            "subschemaSubentry": (schema.SUBSCHEMA,),
            "hasSubordinates": ("TRUE",),
        }
        return Entry(name, {**values, **more})

    def root(self, mechanisms: Sequence[str], *, tls: bool) -> Entry:
        extensions = (
            (codes.WHO_AM_I, codes.CANCEL) if tls else (codes.START_TLS, codes.WHO_AM_I, codes.CANCEL)
        )
        values: dict[str, Values] = {
            "objectClass": ("top",),
            "namingContexts": (str(self.base),),
            "subschemaSubentry": (schema.SUBSCHEMA,),
            "supportedControl": (codes.PAGED_RESULTS,),
            "supportedExtension": extensions,
            "supportedFeatures": (codes.ALL_OPERATIONAL_ATTRIBUTES, codes.TRUE_AND_FALSE_FILTERS),
            "supportedLDAPVersion": ("3",),
            "vendorName": ("Vaguemestre",),
        }
        if mechanisms:
            values["supportedSASLMechanisms"] = tuple(mechanisms)
        return Entry(Name(), values)


def subschema() -> Entry:
    """RFC 4512 §4.2"""
    name = names.parsed(schema.SUBSCHEMA)
    values: dict[str, Values] = {
        "objectClass": ("top", "subschema"),
        "cn": ("subschema",),
        "attributeTypes": tuple(schema.described_attributes()),
        "objectClasses": tuple(schema.described_classes()),
        "matchingRules": tuple(schema.described_rules()),
        "ldapSyntaxes": tuple(schema.described_syntaxes()),
        "entryDN": (schema.SUBSCHEMA,),
        "subschemaSubentry": (schema.SUBSCHEMA,),
    }
    return Entry(name, values)


def entry_of(card: Card, tree: Tree, certificates: Certificates, capabilities: Capabilities) -> Entry:
    """A mailbox's entry; `card.address` is not empty."""
    address = card.address
    name = tree.name_of(card)
    plain = " ".join(part for part in (card.given, card.family.upper()) if part) or card.name
    street = " ".join(card.street.split())
    town = " ".join(part for part in (card.postcode, card.commune) if part)
    job, speciality = card.profession.label, card.speciality.label
    values: dict[str, Values] = {
        "objectClass": _PERSON,
        "cn": (plain,),
        "sn": (card.family or card.name,),
        "displayName": (card.name,),
        "mail": (address,),
        "uid": (address,),
        "entryDN": (str(name),),
        "subschemaSubentry": (schema.SUBSCHEMA,),
        "hasSubordinates": ("FALSE",),
        "structuralObjectClass": ("inetOrgPerson",),
    }
    for kind, value in (
        ("givenName", card.given),
        ("personalTitle", card.title if card.family else ""),
        ("title", ", ".join(part for part in (job, speciality) if part)),
        ("o", card.organisation),
        ("ou", card.service),
        ("l", card.commune),
        ("st", card.department),
        ("street", street),
        ("postalCode", card.postcode),
        # RFC 4517 §3.3.28: lines parted by "$".
        ("postalAddress", "$".join(_line(part) for part in (street, town) if part)),
        ("c", _COUNTRY if town else ""),
        ("co", _COUNTRY_WORDS if town else ""),
        ("description", card.description),
        ("employeeNumber", card.national_id if card.kind is Kind.PER else ""),
        ("vaguemestreKind", card.kind.value if card.kind else ""),
        ("vaguemestreProfession", card.profession.code),
        ("vaguemestreSpeciality", card.speciality.code),
        ("vaguemestreOrganisation", card.organisation_id),
        ("modifyTimestamp", _time(card.updated_at)),
    ):
        if value:
            values[kind] = (value,)
    if job or speciality:
        values["businessCategory"] = tuple(dict.fromkeys(part for part in (job, speciality) if part))
    return Entry(
        name,
        values,
        {
            "userCertificate": lambda: certificates(address),
            "userSMIMECertificate": lambda: _bundle(certificates(address)),
            "vaguemestreCapability": lambda: _capability(capabilities(address)),
        },
        address,
    )


def _line(text: str) -> str:
    """RFC 4517 §3.3.28"""
    return text.replace("\\", "\\5C").replace("$", "\\24")


def _time(ms: int) -> str:
    """RFC 4517 §3.3.13"""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(ms // 1000)) if ms > 0 else ""


def _capability(capability: Capability | None) -> list[bytes]:
    if capability is None:
        return []
    found = [f"profile={each}" for each in capability.profiles]
    if capability.largest:
        found.append(f"size={capability.largest}")
    found += [f"payload={each}" for each in capability.payloads]
    return [each.encode() for each in found]


def _bundle(certificates: Sequence[bytes]) -> list[bytes]:
    """RFC 2798 §2.8: PKCS#7 without content or signature, which holds the certificates."""
    if not certificates:
        return []
    read = [x509.load_der_x509_certificate(each) for each in certificates]
    return [pkcs7.serialize_certificates(read, Encoding.DER)]
