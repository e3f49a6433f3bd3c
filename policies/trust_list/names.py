"""Names of operators: one spelling of a certificate's subject, and when two spellings are the same name.

The canonical spelling is RFC 4514, most specific part first:
`CN=mx.chu.fr,OU=1750000001,O=CHU,ST=Paris (75),C=FR`. Two names are the same when, part by part, the types
are the same and the values match without regard to case, Unicode compatibility form and runs of spaces
(caseIgnoreMatch, RFC 4517 §4.2.11; preparation, RFC 4518). The order of the parts is as written, with one
exception: a name written from the country down (OpenSSL's habit, and the order inside some certificates) is
turned round.

Invariants: `canonical(canonical(x)) == canonical(x)`; `key` is injective on prepared names; a name with a
control character, an empty value or an unknown attribute type is refused: it can never match a listed one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509

_TYPE_OF_OID = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "TITLE",
    "2.5.4.42": "GIVENNAME",
    "2.5.4.97": "ORGANIZATIONIDENTIFIER",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "EMAILADDRESS",
}
_TYPES = {
    **{name: name for name in _TYPE_OF_OID.values()},
    "E": "EMAILADDRESS",
    "EMAIL": "EMAILADDRESS",
    "G": "GIVENNAME",
    "GN": "GIVENNAME",
    "S": "ST",
    "STATEORPROVINCENAME": "ST",
}
_OID = re.compile(r"^(?:OID\.)?((?:0|1|2)(?:\.(?:0|[1-9][0-9]*))+)$", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_SPECIAL = frozenset(',+"\\<>;=')
_LONGEST = 4096


class NameRefused(ValueError):
    """Text or certificate subject that is not a name this node can compare."""


class Part(NamedTuple):
    """One attribute and its value, `OU` and `1750000001`."""

    type: str
    value: str


Name = tuple[tuple[Part, ...], ...]  # most specific first; a tuple of several parts is a multi-valued RDN


def subject_dn(certificate: bytes) -> str:
    """Canonical subject of a DER certificate. Raises NameRefused."""
    try:
        subject = x509.load_der_x509_certificate(certificate).subject
    except ValueError as error:
        raise NameRefused("not a certificate") from error
    return _written(_of_x509(subject))


def issuer_dn(certificate: bytes) -> str:
    """Canonical issuer of a DER certificate. Raises NameRefused."""
    try:
        issuer = x509.load_der_x509_certificate(certificate).issuer
    except ValueError as error:
        raise NameRefused("not a certificate") from error
    return _written(_of_x509(issuer))


def canonical(text: str) -> str:
    """The one spelling of a name: case kept, spaces and escapes normalised. Raises NameRefused."""
    return _written(_read(text))


@lru_cache(maxsize=4096)
def common_name(text: str) -> str:
    """The value of its most specific CN; "" when there is none. Raises NameRefused."""
    return next((part.value for parts in _read(text) for part in parts if part.type == "CN"), "")


@lru_cache(maxsize=4096)
def key(text: str) -> str:
    """What two spellings of the same name have in common. Raises NameRefused."""
    prepared = tuple(
        tuple(sorted(Part(part.type, _fold(part.value)) for part in parts)) for parts in _read(text)
    )
    return _written(prepared)


def same(one: str, other: str) -> bool:
    """Whether two spellings are one name; what cannot be compared is nobody's."""
    try:
        return key(one) == key(other)
    except NameRefused:
        return False


def _fold(value: str) -> str:
    """RFC 4518 §2: map, normalise, collapse spaces. Folding twice catches what normalising uncovers."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).casefold()
    return _squeeze(unicodedata.normalize("NFKC", folded))


def _squeeze(value: str) -> str:
    return _SPACES.sub(" ", value).strip()


def _checked(kind: str, value: str) -> Part:
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in value):
        raise NameRefused("a control or invisible character in a name")
    value = _squeeze(value)
    if not value or not _squeeze(unicodedata.normalize("NFKC", value)):
        raise NameRefused("an empty value in a name")
    return Part(kind, value)


def _oriented(parts: list[tuple[Part, ...]]) -> Name:
    """Most specific first: a name that begins with its country and does not end with one is turned round."""
    if not parts:
        raise NameRefused("an empty name")
    if _is_country(parts[0]) and not _is_country(parts[-1]):
        parts.reverse()
    return tuple(tuple(sorted(each)) for each in parts)


def _is_country(parts: tuple[Part, ...]) -> bool:
    return len(parts) == 1 and parts[0].type == "C"


def _of_x509(name: x509.Name) -> Name:
    parts: list[tuple[Part, ...]] = []
    for rdn in reversed(name.rdns):  # RFC 4514 §2.1: the last RDN is written first
        several: list[Part] = []
        for attribute in rdn:
            value = attribute.value
            if not isinstance(value, str):
                raise NameRefused("a binary value in a name")
            oid = attribute.oid.dotted_string
            several.append(_checked(_TYPE_OF_OID.get(oid, oid), value))
        parts.append(tuple(several))
    return _oriented(parts)


def _written(name: Name) -> str:
    return ",".join("+".join(f"{part.type}={_escaped(part.value)}" for part in parts) for parts in name)


def _escaped(value: str) -> str:
    """RFC 4514 §2.4."""
    text = "".join(f"\\{character}" if character in _SPECIAL else character for character in value)
    if text[0] in "# ":
        text = "\\" + text
    return text


def _read(text: str) -> Name:
    """RFC 4514 §3, with the leniency RFC 2253 §4 asks for (spaces around separators, `;`, quoted values)."""
    if len(text) > _LONGEST:
        raise NameRefused("a name that is too long")
    parts: list[tuple[Part, ...]] = []
    several: list[Part] = []
    at = 0
    while True:
        equals = text.find("=", at)
        if equals < 0:
            raise NameRefused("a part without '='")
        kind = _type(text[at:equals].strip())
        value, at, separator = _value(text, equals + 1)
        several.append(_checked(kind, value))
        if separator != "+":
            parts.append(tuple(several))
            several = []
        if not separator:
            return _oriented(parts)


def _type(text: str) -> str:
    if found := _TYPES.get(text.upper()):
        return found
    if match := _OID.match(text):
        return _TYPE_OF_OID.get(match[1], match[1])
    raise NameRefused("an attribute type that is not known")


def _value(text: str, at: int) -> tuple[str, int, str]:
    """The value that begins at `at`, where the next part begins, and the separator ("" at the end)."""
    while at < len(text) and text[at] == " ":
        at += 1
    if text[at : at + 1] == "#":
        raise NameRefused("a binary value in a name")  # RFC 4514 §2.4 hexstring: never in a listed name
    quoted = text[at : at + 1] == '"'
    if quoted:
        at += 1
    taken = bytearray()
    while at < len(text):
        character = text[at]
        if character == "\\":
            pair, at = _escape(text, at + 1)
            taken += pair
            continue
        if quoted and character == '"':
            return _after_quote(taken, text, at + 1)
        if not quoted and character in ",;+":
            return _decoded(taken), at + 1, "," if character == ";" else character
        if not quoted and character in '"<>':
            raise NameRefused("a special character that is not escaped")
        taken += character.encode("utf-8", "surrogatepass")
        at += 1
    if quoted:
        raise NameRefused("a quote that does not end")
    return _decoded(taken), at, ""


def _after_quote(taken: bytearray, text: str, at: int) -> tuple[str, int, str]:
    while at < len(text) and text[at] == " ":
        at += 1
    if at == len(text):
        return _decoded(taken), at, ""
    if text[at] not in ",;+":
        raise NameRefused("text after a quoted value")
    return _decoded(taken), at + 1, "," if text[at] == ";" else text[at]


def _escape(text: str, at: int) -> tuple[bytes, int]:
    """What stands after a backslash: a special character, or two hex digits of one UTF-8 byte."""
    if text[at : at + 1] and text[at] in ',+"\\<>;= #':
        return text[at].encode(), at + 1
    pair = text[at : at + 2]
    if len(pair) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in pair):
        return bytes([int(pair, 16)]), at + 2
    raise NameRefused("an escape that is not complete")


def _decoded(taken: bytearray) -> str:
    try:
        return taken.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NameRefused("a value that is not UTF-8") from error
