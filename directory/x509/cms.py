"""Who an enveloped S/MIME message names as its readers (RFC 5652 §6, RFC 5083): BER read as far as that, no further.

Invariants: whatever the octets are, either an answer or `CmsError`; work is bounded by the size of what is read, and
nothing recurses; indefinite lengths are read, since mail programs write them. No key is touched and nothing opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509

_ENVELOPED = bytes.fromhex("2a864886f70d010703")  # 1.2.840.113549.1.7.3
_AUTH_ENVELOPED = bytes.fromhex("2a864886f70d0109100117")  # 1.2.840.113549.1.9.16.1.23 (RFC 5083 §2)
_INTEGER, _OCTETS, _OID, _SEQUENCE, _SET = 0x02, 0x04, 0x06, 0x30, 0x31
_PRIMITIVE_0, _CONSTRUCTED_0, _CONSTRUCTED_1 = 0x80, 0xA0, 0xA1
_CONSTRUCTED = 0x20
_END = b"\0\0"  # of an indefinite length (X.690 §8.1.3.6)
_DEEPEST = 32
_FEWEST = 1000  # elements that may be read, whatever the size
_OCTETS_EACH = 256  # beyond these, one for so many: programs write longer pieces
_LONGEST_SERIAL = 64
_CLEAR_BESIDE = 8192  # octets that are neither recipients nor ciphertext: its sender's certificates, say


class CmsError(ValueError):
    """These octets are no enveloped message, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """How a message names a certificate: by issuer and serial number, or by its subject key identifier."""

    issuer: bytes = b""  # the Name, as it is encoded
    serial: bytes = b""
    subject_key: bytes = b""


def recipients(message: bytes) -> frozenset[KeyName]:
    """Those whom an enveloped message names by a certificate. Raises CmsError for anything else."""
    reader = _Reader(message)
    whole = reader.element(0, len(message), _SEQUENCE)
    if whole.after != len(message):
        raise CmsError("something follows")
    kind, content = reader.exactly(whole, _OID, _CONSTRUCTED_0)
    if reader.octets(kind) not in (_ENVELOPED, _AUTH_ENVELOPED):
        raise CmsError("not enveloped")
    (enveloped,) = reader.exactly(content, _SEQUENCE)
    parts = list(reader.children(enveloped))
    at = 2 if len(parts) > 1 and parts[1].tag == _CONSTRUCTED_0 else 1  # originatorInfo
    if len(parts) < at + 2 or (parts[0].tag, parts[at].tag, parts[at + 1].tag) != (_INTEGER, _SET, _SEQUENCE):
        raise CmsError("not enveloped")
    beside = sum(one.after - one.start for one in (*parts[:at], *parts[at + 2 :]))
    if beside > _CLEAR_BESIDE:
        raise CmsError("much in clear beside")
    _require_ciphertext(reader, parts[at + 1])
    return frozenset(name for one in reader.children(parts[at]) for name in _named(reader, one))


def names_of(certificate: bytes) -> frozenset[KeyName]:
    """How a message may name this certificate (DER). Raises CmsError."""
    reader = _Reader(certificate)
    signed = next(reader.children(reader.element(0, len(certificate), _SEQUENCE)), None)
    parts = list(reader.children(signed)) if signed is not None else []
    at = 1 if parts and parts[0].tag == _CONSTRUCTED_0 else 0  # version
    if len(parts) < at + 3:
        raise CmsError("not a certificate")
    found = {_issued(reader, parts[at + 2], parts[at])}
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        key = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (ValueError, x509.ExtensionNotFound):
        key = b""
    return frozenset(found | ({KeyName(subject_key=key)} if key else set()))


def _require_ciphertext(reader: _Reader, content: _Element) -> None:
    """An encryptedContentInfo whose content is here, in this message."""
    parts = list(reader.children(content))
    if [one.tag for one in parts[:2]] != [_OID, _SEQUENCE] or len(parts) != 3:
        raise CmsError("no ciphertext")
    if parts[2].tag not in (_PRIMITIVE_0, _CONSTRUCTED_0) or parts[2].end == parts[2].body:
        raise CmsError("no ciphertext")


def _named(reader: _Reader, recipient: _Element) -> Iterator[KeyName]:
    """Of one RecipientInfo; passwords, symmetric keys and other ways in name no certificate."""
    if recipient.tag == _SEQUENCE:  # ktri
        parts = list(reader.children(recipient))
        if len(parts) != 4:
            raise CmsError("not a recipient")
        yield _identifier(reader, parts[1], plain=True)
    elif recipient.tag == _CONSTRUCTED_1:  # kari
        agreed = list(reader.children(recipient))
        if len(agreed) < 4 or agreed[-1].tag != _SEQUENCE:
            raise CmsError("not a recipient")
        for one in reader.children(agreed[-1]):
            parts = list(reader.children(one))
            if one.tag != _SEQUENCE or len(parts) != 2:
                raise CmsError("not a recipient")
            yield _identifier(reader, parts[0], plain=False)


def _identifier(reader: _Reader, found: _Element, *, plain: bool) -> KeyName:
    """`plain`: the subject key identifier stands by itself (RFC 5652 §6.2.1), not in a structure (§6.2.2)."""
    if found.tag == _SEQUENCE:
        return _issued(reader, *reader.exactly(found, _SEQUENCE, _INTEGER))
    if found.tag != (_PRIMITIVE_0 if plain else _CONSTRUCTED_0):
        raise CmsError("not an identifier")
    if not plain:
        found = next(reader.children(found), found)
        if found.tag != _OCTETS:
            raise CmsError("not an identifier")
    key = reader.octets(found)
    if not key:
        raise CmsError("not an identifier")
    return KeyName(subject_key=key)


def _issued(reader: _Reader, issuer: _Element, serial: _Element) -> KeyName:
    number = reader.octets(serial)
    if issuer.tag != _SEQUENCE or serial.tag != _INTEGER or not 0 < len(number) <= _LONGEST_SERIAL:
        raise CmsError("not an identifier")
    return KeyName(reader.data[issuer.start : issuer.after], number)


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    start: int
    body: int
    end: int  # of the body
    after: int  # beyond the end of an indefinite length


@dataclass(slots=True)
class _Reader:
    data: bytes = field(repr=False)
    left: int = 0
    ends: dict[int, int] = field(default_factory=dict[int, int])  # of indefinite lengths, by where they begin

    def __post_init__(self) -> None:
        self.left = _FEWEST + len(self.data) // _OCTETS_EACH

    def octets(self, element: _Element) -> bytes:
        return self.data[element.body : element.end]

    def exactly(self, of: _Element, *tags: int) -> list[_Element]:
        found = list(self.children(of))
        if tuple(one.tag for one in found) != tags:
            raise CmsError("another structure")
        return found

    def children(self, of: _Element) -> Iterator[_Element]:
        if not of.tag & _CONSTRUCTED:
            raise CmsError("another structure")
        at = of.body
        while at < of.end:
            found = self.element(at, of.end)
            yield found
            at = found.after

    def element(self, at: int, limit: int, tag: int | None = None) -> _Element:
        found, body, length = self._head(at, limit)
        if tag is not None and found != tag:
            raise CmsError("another structure")
        if length is not None:
            return _Element(found, at, body, body + length, body + length)
        end = self.ends.get(body)
        if end is None:
            end = self._find_end(body, limit)
        return _Element(found, at, body, end, end + len(_END))

    def _find_end(self, body: int, limit: int) -> int:
        """Where what begins at `body` ends; notes the same of all that lies in it, so that each is read once."""
        open_at, at = [body], body
        while True:
            if self.data[at : at + len(_END)] == _END and at + len(_END) <= limit:
                self.ends[open_at.pop()] = at
                if not open_at:
                    return at
                at += len(_END)
                continue
            _, inner, length = self._head(at, limit)
            if length is None:
                if len(open_at) >= _DEEPEST:
                    raise CmsError("too deep")
                open_at.append(inner)
                at = inner
            else:
                at = inner + length

    def _head(self, at: int, limit: int) -> tuple[int, int, int | None]:
        """Tag, where the body begins, and its length; None for an indefinite one (X.690 §8.1.3)."""
        self.left -= 1
        if self.left < 0 or at + 2 > limit:
            raise CmsError("cut short, or in too many pieces")
        tag, first = self.data[at], self.data[at + 1]
        if tag & 0x1F == 0x1F or tag == 0:
            raise CmsError("another structure")
        body, length = at + 2, first
        if first == 0x80:
            if not tag & _CONSTRUCTED:
                raise CmsError("no end")
            return tag, body, None
        if first > 0x80:
            body += first & 0x7F
            if first > 0x88 or body > limit:
                raise CmsError("cut short")
            length = int.from_bytes(self.data[at + 2 : body], "big")
        if body + length > limit:
            raise CmsError("cut short")
        return tag, body, length
