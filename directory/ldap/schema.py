"""The schema we serve (RFC 4512 §4): which attributes there are, by which names, how they compare.

Attributes of RFC 4519, 2798, 4523 and 4524 as address books ask for them; a few of our own, whose object identifiers
lie under one UUID (ITU-T X.667), which nobody needs to grant.

Invariants: pure; every attribute of an entry is in `ATTRIBUTES`; what is told of the schema is made of what is used.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

_OURS = "2.25.55148031700777970174088329032510912036"
SUBSCHEMA = "cn=subschema"
BINARY = ";binary"


class Matching(enum.Enum):
    """How values compare."""

    TEXT = "text"  # blind to case, accents and signs
    ADDRESS = "address"  # ASCII, blind to case
    DEPARTMENT = "department"  # by number or name
    IDENTIFIER = "identifier"  # an object identifier, or what it is called
    NAME = "name"  # a distinguished name
    TIME = "time"
    BINARY = "binary"  # nothing to compare: there or not
    EXACT = "exact"


_SYNTAX: Mapping[Matching, str] = {
    Matching.TEXT: "1.3.6.1.4.1.1466.115.121.1.15",
    Matching.ADDRESS: "1.3.6.1.4.1.1466.115.121.1.26",
    Matching.DEPARTMENT: "1.3.6.1.4.1.1466.115.121.1.15",
    Matching.IDENTIFIER: "1.3.6.1.4.1.1466.115.121.1.38",
    Matching.NAME: "1.3.6.1.4.1.1466.115.121.1.12",
    Matching.TIME: "1.3.6.1.4.1.1466.115.121.1.24",
    Matching.BINARY: "1.3.6.1.4.1.1466.115.121.1.5",
    Matching.EXACT: "1.3.6.1.4.1.1466.115.121.1.15",
}
_SYNTAX_WORDS = {
    "1.3.6.1.4.1.1466.115.121.1.3": "Attribute Type Description",
    "1.3.6.1.4.1.1466.115.121.1.5": "Binary",
    "1.3.6.1.4.1.1466.115.121.1.12": "DN",
    "1.3.6.1.4.1.1466.115.121.1.15": "Directory String",
    "1.3.6.1.4.1.1466.115.121.1.24": "Generalized Time",
    "1.3.6.1.4.1.1466.115.121.1.26": "IA5 String",
    "1.3.6.1.4.1.1466.115.121.1.38": "OID",
}
_EQUALITY: Mapping[Matching, str] = {
    Matching.TEXT: "caseIgnoreMatch",
    Matching.ADDRESS: "caseIgnoreIA5Match",
    Matching.DEPARTMENT: "caseIgnoreMatch",
    Matching.IDENTIFIER: "objectIdentifierMatch",
    Matching.NAME: "distinguishedNameMatch",
    Matching.TIME: "generalizedTimeMatch",
}
_SUBSTRINGS = {
    Matching.TEXT: "caseIgnoreSubstringsMatch",
    Matching.ADDRESS: "caseIgnoreIA5SubstringsMatch",
}

RULES: Mapping[str, tuple[str, Matching]] = {
    "caseignorematch": ("2.5.13.2", Matching.TEXT),
    "caseignoreia5match": ("1.3.6.1.4.1.1466.109.114.2", Matching.ADDRESS),
    "objectidentifiermatch": ("2.5.13.0", Matching.IDENTIFIER),
    "distinguishednamematch": ("2.5.13.1", Matching.NAME),
    "generalizedtimematch": ("2.5.13.27", Matching.TIME),
}
"""Rules that an extensible match may name, in lower case."""
_RULE_NAMES = {
    "2.5.13.0": ("objectIdentifierMatch", Matching.IDENTIFIER),
    "2.5.13.1": ("distinguishedNameMatch", Matching.NAME),
    "2.5.13.2": ("caseIgnoreMatch", Matching.TEXT),
    "2.5.13.4": ("caseIgnoreSubstringsMatch", Matching.TEXT),
    "2.5.13.27": ("generalizedTimeMatch", Matching.TIME),
    "2.5.13.28": ("generalizedTimeOrderingMatch", Matching.TIME),
    "1.3.6.1.4.1.1466.109.114.2": ("caseIgnoreIA5Match", Matching.ADDRESS),
    "1.3.6.1.4.1.1466.109.114.3": ("caseIgnoreIA5SubstringsMatch", Matching.ADDRESS),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    oid: str
    names: tuple[str, ...]  # the first is the one that is shown
    matching: Matching = Matching.TEXT
    single: bool = False
    operational: bool = False
    sup: str = ""
    transfer: str = ""  # BINARY where values are always transferred so (RFC 4523 §2)
    words: str = ""

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def shown(self) -> str:
        return self.names[0] + self.transfer


def _named(oid: str, *names: str) -> Attribute:
    return Attribute(oid, names, sup="name")


def _ours(number: int, name: str, words: str, *, single: bool = False) -> Attribute:
    return Attribute(f"{_OURS}.1.{number}", (name,), single=single, words=words)


def _operational(oid: str, name: str, matching: Matching, *, single: bool = True) -> Attribute:
    return Attribute(oid, (name,), matching, single=single, operational=True)


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("2.5.4.0", ("objectClass",), Matching.IDENTIFIER),
    Attribute("2.5.4.41", ("name",)),
    _named("2.5.4.3", "cn", "commonName"),
    _named("2.5.4.4", "sn", "surname"),
    _named("2.5.4.42", "givenName", "gn"),
    Attribute("2.16.840.1.113730.3.1.241", ("displayName",), single=True),
    Attribute("0.9.2342.19200300.100.1.40", ("personalTitle",)),
    _named("2.5.4.12", "title"),
    Attribute("2.5.4.15", ("businessCategory",)),
    _named("2.5.4.10", "o", "organizationName"),
    _named("2.5.4.11", "ou", "organizationalUnitName"),
    _named("2.5.4.7", "l", "localityName"),
    Attribute("2.5.4.8", ("st", "stateOrProvinceName"), Matching.DEPARTMENT),
    Attribute("2.5.4.9", ("street", "streetAddress")),
    Attribute("2.5.4.17", ("postalCode",)),
    Attribute("2.5.4.16", ("postalAddress",)),
    Attribute("2.5.4.6", ("c", "countryName"), single=True),
    Attribute("0.9.2342.19200300.100.1.43", ("co", "friendlyCountryName")),
    Attribute("2.5.4.13", ("description",)),
    Attribute("0.9.2342.19200300.100.1.3", ("mail", "rfc822Mailbox"), Matching.ADDRESS),
    Attribute("0.9.2342.19200300.100.1.1", ("uid", "userid"), Matching.ADDRESS),
    Attribute("0.9.2342.19200300.100.1.25", ("dc", "domainComponent"), Matching.ADDRESS, single=True),
    Attribute("2.16.840.1.113730.3.1.3", ("employeeNumber",), single=True),
    Attribute("2.16.840.1.113730.3.1.4", ("employeeType",)),
    Attribute("2.5.4.36", ("userCertificate",), Matching.BINARY, transfer=BINARY),
    Attribute("2.16.840.1.113730.3.1.40", ("userSMIMECertificate",), Matching.BINARY, transfer=BINARY),
    _ours(1, "vaguemestreKind", "PER, ORG, APP or CAB", single=True),
    _ours(2, "vaguemestreProfession", "Code of the profession (TRE_G15)", single=True),
    _ours(3, "vaguemestreSpeciality", "Code of the speciality (TRE_R38)", single=True),
    _ours(4, "vaguemestreOrganisation", "National identifier of the organisation", single=True),
    _ours(5, "vaguemestreCapability", "What can be sent: profile=..., size=..., payload=..."),
    _operational("2.5.18.2", "modifyTimestamp", Matching.TIME),
    _operational("2.5.18.1", "createTimestamp", Matching.TIME),
    _operational("2.5.18.3", "creatorsName", Matching.NAME),
    _operational("2.5.18.4", "modifiersName", Matching.NAME),
    _operational("2.5.18.10", "subschemaSubentry", Matching.NAME),
    _operational("2.5.18.9", "hasSubordinates", Matching.EXACT),
    _operational("2.5.21.9", "structuralObjectClass", Matching.IDENTIFIER),
    _operational("1.3.6.1.1.20", "entryDN", Matching.NAME),
    _operational("1.3.6.1.4.1.1466.101.120.5", "namingContexts", Matching.NAME, single=False),
    _operational("1.3.6.1.4.1.1466.101.120.7", "supportedExtension", Matching.IDENTIFIER, single=False),
    _operational("1.3.6.1.4.1.1466.101.120.13", "supportedControl", Matching.IDENTIFIER, single=False),
    _operational("1.3.6.1.4.1.1466.101.120.14", "supportedSASLMechanisms", Matching.EXACT, single=False),
    _operational("1.3.6.1.4.1.1466.101.120.15", "supportedLDAPVersion", Matching.EXACT, single=False),
    _operational("1.3.6.1.4.1.4203.1.3.5", "supportedFeatures", Matching.IDENTIFIER, single=False),
    _operational("1.3.6.1.1.4", "vendorName", Matching.EXACT),
    _operational("2.5.21.5", "attributeTypes", Matching.EXACT, single=False),
    _operational("2.5.21.6", "objectClasses", Matching.EXACT, single=False),
    _operational("2.5.21.4", "matchingRules", Matching.EXACT, single=False),
    _operational("1.3.6.1.4.1.1466.101.120.16", "ldapSyntaxes", Matching.EXACT, single=False),
)

# Asked for by address books, told to be unknown by others; nobody here has a value for them.
_EMPTY_HERE = (
    *(
        ("2.5.4.20", "telephoneNumber"),
        ("2.5.4.23", "facsimileTelephoneNumber"),
        ("2.5.4.18", "postOfficeBox"),
    ),
    *(("0.9.2342.19200300.100.1.41", "mobile"), ("0.9.2342.19200300.100.1.42", "pager")),
    *(("0.9.2342.19200300.100.1.20", "homePhone"), ("1.3.6.1.4.1.250.1.57", "labeledURI")),
    *(("2.16.840.1.113730.3.1.2", "departmentNumber"), ("2.5.4.19", "physicalDeliveryOfficeName")),
    *(("2.5.4.43", "initials"), ("0.9.2342.19200300.100.1.60", "jpegPhoto"), ("2.5.4.31", "member")),
    *(("0.9.2342.19200300.100.1.10", "manager"), ("0.9.2342.19200300.100.1.6", "roomNumber")),
    *(("2.5.4.27", "destinationIndicator"), ("2.16.840.1.113730.3.1.216", "userPKCS12")),
)


@dataclass(frozen=True, slots=True)
class ObjectClass:
    oid: str
    name: str
    sup: str = ""
    kind: str = "STRUCTURAL"
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


_PLACE = ("st", "street", "l", "postalCode", "postalAddress", "description")
CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass("2.5.6.0", "top", kind="ABSTRACT", must=("objectClass",)),
    ObjectClass("2.5.6.6", "person", "top", must=("sn", "cn"), may=("telephoneNumber", "description")),
    ObjectClass(
        "2.5.6.7",
        "organizationalPerson",
        "person",
        may=(
            *("title", "ou", "st", "street", "l", "postalCode", "postalAddress", "postOfficeBox"),
            *("facsimileTelephoneNumber", "physicalDeliveryOfficeName", "destinationIndicator"),
        ),
    ),
    ObjectClass(
        "2.16.840.1.113730.3.2.2",
        "inetOrgPerson",
        "organizationalPerson",
        may=(
            *("businessCategory", "departmentNumber", "displayName", "employeeNumber", "employeeType"),
            *(
                "givenName",
                "homePhone",
                "initials",
                "jpegPhoto",
                "labeledURI",
                "mail",
                "manager",
                "mobile",
                "o",
            ),
            *("pager", "roomNumber", "uid", "userCertificate", "userSMIMECertificate", "userPKCS12"),
        ),
    ),
    ObjectClass("2.5.6.5", "organizationalUnit", "top", must=("ou",), may=_PLACE),
    ObjectClass("2.5.6.4", "organization", "top", must=("o",), may=_PLACE),
    ObjectClass("1.3.6.1.4.1.1466.344", "dcObject", "top", "AUXILIARY", must=("dc",)),
    ObjectClass("2.5.20.1", "subschema", "top", "AUXILIARY", may=("attributeTypes", "objectClasses")),
    ObjectClass(
        f"{_OURS}.2.1",
        "vaguemestreMailbox",
        "top",
        "AUXILIARY",
        must=("mail", "vaguemestreKind"),
        may=(
            *("personalTitle", "c", "co", "vaguemestreProfession", "vaguemestreSpeciality"),
            *("vaguemestreOrganisation", "vaguemestreCapability"),
        ),
    ),
)

_ALL = (
    *ATTRIBUTES,
    *(
        Attribute(oid, (name,), Matching.BINARY if name in ("jpegPhoto", "userPKCS12") else Matching.TEXT)
        for oid, name in _EMPTY_HERE
    ),
)
_KNOWN: Mapping[str, Attribute] = {
    key.lower(): attribute for attribute in _ALL for key in (attribute.oid, *attribute.names)
}
_SUBTYPES: Mapping[str, tuple[Attribute, ...]] = {
    attribute.name: tuple(each for each in _ALL if attribute.name in (each.name, each.sup))
    for attribute in _ALL
}
_CLASS_KEYS = {key.lower(): each.name for each in CLASSES for key in (each.oid, each.name)}


def attribute(description: str) -> Attribute | None:
    """The attribute that a client means by a name, an object identifier, with options or without (RFC 4512 §2.5)."""
    found = _KNOWN.get(description.lower())
    if found is not None:
        return found
    kind, _, options = description.lower().partition(";")
    found = _KNOWN.get(kind)
    # No value here has another option than ;binary, so that no other description names any.
    if found is None or options not in ("", found.transfer.removeprefix(";")):
        return None
    return found


def with_subtypes(of: Attribute) -> tuple[Attribute, ...]:
    """RFC 4512 §2.5.1: who asks for `name` asks for cn, sn… too."""
    return _SUBTYPES[of.name]


def class_name(key: str) -> str | None:
    return _CLASS_KEYS.get(key.strip().lower())


def rule(key: str) -> Matching | None:
    """What a rule of an extensible match compares as; None: it is not offered."""
    if (named := RULES.get(key.lower())) is not None:
        return named[1]
    return next((matching for oid, matching in RULES.values() if oid == key), None)


# ── told (RFC 4512 §4.1) ──


def described_attributes() -> list[str]:
    return [_described(each) for each in _ALL]


def _described(one: Attribute) -> str:
    names = f"'{one.name}'" if len(one.names) == 1 else "( " + " ".join(f"'{n}'" for n in one.names) + " )"
    parts = [one.oid, f"NAME {names}"]
    if one.words:
        parts.append(f"DESC '{one.words}'")
    if one.sup:
        parts.append(f"SUP {one.sup}")
    elif one.matching in _EQUALITY:
        parts.append(f"EQUALITY {_EQUALITY[one.matching]}")
        if one.matching is Matching.TIME:
            parts.append("ORDERING generalizedTimeOrderingMatch")
        if one.matching in _SUBSTRINGS:
            parts.append(f"SUBSTR {_SUBSTRINGS[one.matching]}")
    if not one.sup:
        parts.append(f"SYNTAX {_SYNTAX[one.matching]}")
    if one.single:
        parts.append("SINGLE-VALUE")
    if one.operational:
        parts.append("NO-USER-MODIFICATION USAGE directoryOperation")
    return f"( {' '.join(parts)} )"


def described_classes() -> list[str]:
    found: list[str] = []
    for each in CLASSES:
        parts = [each.oid, f"NAME '{each.name}'"]
        if each.sup:
            parts.append(f"SUP {each.sup}")
        parts.append(each.kind)
        for word, names in (("MUST", each.must), ("MAY", each.may)):
            if names:
                parts.append(f"{word} {names[0]}" if len(names) == 1 else f"{word} ( {' $ '.join(names)} )")
        found.append(f"( {' '.join(parts)} )")
    return found


def described_rules() -> list[str]:
    return [
        f"( {oid} NAME '{name}' SYNTAX {_SYNTAX[matching]} )" for oid, (name, matching) in _RULE_NAMES.items()
    ]


def described_syntaxes() -> list[str]:
    return [f"( {oid} DESC '{words}' )" for oid, words in _SYNTAX_WORDS.items()]
