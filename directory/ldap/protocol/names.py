"""Distinguished names as text (RFC 4514): read, written, compared.

Invariants: pure; `parsed(str(name))` equals `name`; nothing but `BadName` is raised. Names are compared blind to case
and to how they were escaped, as all naming attributes here are (dc, ou, uid, mail, cn).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

_SHORT = {
    "2.5.4.3": "cn",
    "2.5.4.6": "c",
    "2.5.4.7": "l",
    "2.5.4.8": "st",
    "2.5.4.9": "street",
    "2.5.4.10": "o",
    "2.5.4.11": "ou",
    "0.9.2342.19200300.100.1.1": "uid",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "dc",
    "commonname": "cn",
    "countryname": "c",
    "localityname": "l",
    "stateorprovincename": "st",
    "organizationname": "o",
    "organizationalunitname": "ou",
    "userid": "uid",
    "rfc822mailbox": "mail",
    "domaincomponent": "dc",
}
_SPECIAL = frozenset('"+,;<>\\')
_MAY_STAND_AS_IT_IS = re.compile(r"[\w@.-]+")
_HEX = frozenset("0123456789abcdefABCDEF")
_MOST_PARTS = 64


class BadName(ValueError):
    """No distinguished name."""


Part = tuple[tuple[str, str], ...]  # one RDN: attribute in lower case, value as written; sorted


@dataclass(frozen=True, slots=True)
class Name:
    """The nearest part first, as it is written."""

    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return ",".join("+".join(f"{kind}={escaped(value)}" for kind, value in part) for part in self.parts)

    @property
    def key(self) -> tuple[Part, ...]:
        """What two spellings of one name share."""
        return tuple(tuple((kind, _folded(value)) for kind, value in part) for part in self.parts)

    @property
    def parent(self) -> Name:
        return Name(self.parts[1:])

    def under(self, kind: str, value: str) -> Name:
        """The name of a child."""
        return Name((((kind, value),), *self.parts))

    def lies_under(self, other: Name) -> bool:
        """Whether it is `other`, or somewhere below."""
        mine, theirs = self.key, other.key
        return len(mine) >= len(theirs) and mine[len(mine) - len(theirs) :] == theirs


def same(one: Name, other: Name) -> bool:
    return one.key == other.key


def escaped(value: str) -> str:
    """RFC 4514 §2.4"""
    if _MAY_STAND_AS_IT_IS.fullmatch(value):
        return value
    out: list[str] = []
    last = len(value) - 1
    for at, each in enumerate(value):
        if each in _SPECIAL or (at == 0 and each in " #") or (at == last and each == " "):
            out.append("\\" + each)
        elif each == "\0":
            out.append("\\00")
        else:
            out.append(each)
    return "".join(out)


def parsed(text: str) -> Name:
    """RFC 4514 §3, and what RFC 2253 §4 adds for older writers: semicolons, spaces around separators."""
    if not text.strip(" "):
        return Name()
    reader = _Reader(text)
    parts = [reader.part()]
    while reader.more():
        if len(parts) >= _MOST_PARTS:
            raise BadName("too many parts")
        parts.append(reader.part())
    return Name(tuple(parts))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def more(self) -> bool:
        if self._at >= len(self._text):
            return False
        self._at += 1  # the separator that the value ended at
        return True

    def part(self) -> Part:
        pairs = [self._pair()]
        while self._at < len(self._text) and self._text[self._at] == "+":
            self._at += 1
            pairs.append(self._pair())
        return tuple(sorted(pairs))

    def _pair(self) -> tuple[str, str]:
        equals = self._text.find("=", self._at)
        if equals < 0:
            raise BadName("a part without a value")
        kind = self._text[self._at : equals].strip(" ").lower().removeprefix("oid.")
        if not kind or not all(each.isascii() and (each.isalnum() or each in "-.") for each in kind):
            raise BadName("a part of no attribute")
        self._at = equals + 1
        return _SHORT.get(kind, kind), self._value()

    def _value(self) -> str:
        text, end = self._text, len(self._text)
        while self._at < end and text[self._at] == " ":
            self._at += 1
        if self._at < end and text[self._at] == "#":
            return self._hexadecimal()
        if self._at < end and text[self._at] == '"':
            return self._quoted()
        out = bytearray()
        kept = 0  # spaces before this were escaped, or stand before something
        while self._at < end and (each := text[self._at]) not in ",;+":
            if each == "\\":
                out += self._escape()
                kept = len(out)
            elif each in '"<>\0':
                raise BadName("a character that must be escaped")
            else:
                out += each.encode("utf-8", "surrogatepass")
                self._at += 1
                if each != " ":
                    kept = len(out)
        return _decoded(bytes(out[:kept]))

    def _escape(self) -> bytes:
        pair = self._text[self._at + 1 : self._at + 3]
        if len(pair) == 2 and pair[0] in _HEX and pair[1] in _HEX:
            self._at += 3
            return binascii.unhexlify(pair)
        if not pair or not (pair[0] in _SPECIAL or pair[0] in " #="):
            raise BadName("an escape of nothing")
        self._at += 2
        return pair[0].encode()

    def _quoted(self) -> str:
        self._at += 1
        out = bytearray()
        while True:
            if self._at >= len(self._text):
                raise BadName("a quotation without end")
            each = self._text[self._at]
            if each == '"':
                break
            if each == "\\":
                out += self._escape()
            else:
                out += each.encode("utf-8", "surrogatepass")
                self._at += 1
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] == " ":
            self._at += 1
        if self._at < len(self._text) and self._text[self._at] not in ",;+":
            raise BadName("something behind a quotation")
        return _decoded(bytes(out))

    def _hexadecimal(self) -> str:
        """The BER encoding of the value; of a string, its contents."""
        begin = self._at + 1
        while self._at < len(self._text) and self._text[self._at] not in ",;+":
            self._at += 1
        try:
            value = binascii.unhexlify(self._text[begin : self._at].strip(" "))
        except ValueError:
            raise BadName("no hexadecimal digits") from None
        if len(value) < 2 or value[1] >= 0x80 or len(value) != 2 + value[1]:
            raise BadName("no encoding of a string")
        return _decoded(value[2:])


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("no UTF-8") from None


def _folded(value: str) -> str:
    return " ".join(value.split()).casefold()
