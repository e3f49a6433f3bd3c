"""An OpenPGP certificate taken apart into its components, each with the signatures that follow it.

Invariants: exactly one certificate, no secret key material; nothing is verified yet. (RFC 9580 §10.1.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from directory.openpgp import armor
from directory.openpgp.packets import OtherVersion, PacketError, PublicKey, Span, Tag, public_key, spans
from directory.openpgp.reasons import refusal
from directory.openpgp.signatures import Signature, signature

MAX_CERTIFICATE = 256 * 1024


@dataclass(slots=True)
class UserIdPart:
    user_id: bytes
    signatures: list[Signature] = field(default_factory=list[Signature])


@dataclass(slots=True)
class SubkeyPart:
    key: PublicKey | None  # None: of a version or shape we do not read
    signatures: list[Signature] = field(default_factory=list[Signature])


@dataclass(slots=True)
class Transferable:
    primary: PublicKey
    direct: list[Signature] = field(default_factory=list[Signature])
    user_ids: list[UserIdPart] = field(default_factory=list[UserIdPart])
    subkeys: list[SubkeyPart] = field(default_factory=list[SubkeyPart])


def binary_of(data: bytes) -> bytes:
    """Binary certificate from binary or armored. Raises CertificateRefused."""
    if len(data) > MAX_CERTIFICATE * 2:
        raise refusal("too-large")
    if armor.looks_armored(data):
        kinds = armor.labels(data)
        if any("PRIVATE" in kind or "SECRET" in kind for kind in kinds):
            raise refusal("secret-key-offered")
        if kinds.count("PUBLIC KEY BLOCK") > 1:
            raise refusal("several-certificates")
        try:
            data = armor.dearmor(data, "PUBLIC KEY BLOCK")
        except armor.ArmorError:
            raise refusal("not-a-certificate") from None
    if len(data) > MAX_CERTIFICATE:
        raise refusal("too-large")
    return data


def transferable(data: bytes) -> Transferable:
    """Take a certificate apart (binary or armored). Raises CertificateRefused."""
    data = binary_of(data)
    found, broken = _read(data)
    # Said before anything else, even of a damaged file: its owner must know.
    if any(part.tag in (Tag.SECRET_KEY, Tag.SECRET_SUBKEY) for part in found):
        raise refusal("secret-key-offered")
    if broken or not found or found[0].tag != Tag.PUBLIC_KEY:
        raise refusal("not-a-certificate")
    if sum(part.tag == Tag.PUBLIC_KEY for part in found) > 1:
        raise refusal("several-certificates")
    return _assemble(data, found)


def _read(data: bytes) -> tuple[list[Span], bool]:
    """The packets up to where they make no sense, and whether there is such a place."""
    found: list[Span] = []
    try:
        found.extend(spans(data))
    except PacketError:
        return found, True
    return found, False


def _assemble(data: bytes, found: list[Span]) -> Transferable:
    try:
        whole = Transferable(public_key(found[0].body(data)))
    except OtherVersion as error:
        raise refusal(_reason_for_version(error.version)) from None
    except PacketError:
        raise refusal("not-a-certificate") from None
    target: list[Signature] | None = whole.direct
    for part in found[1:]:
        body = part.body(data)
        if part.tag == Tag.SIGNATURE:
            if target is not None:
                _add_signature(target, body)
        elif part.tag == Tag.USER_ID:
            whole.user_ids.append(UserIdPart(body))
            target = whole.user_ids[-1].signatures
        elif part.tag == Tag.PUBLIC_SUBKEY:
            whole.subkeys.append(SubkeyPart(_subkey(body)))
            target = whole.subkeys[-1].signatures
        elif part.tag in (Tag.USER_ATTRIBUTE, Tag.TRUST, Tag.MARKER, Tag.PADDING):
            # Pictures are left out, with what signs them; trust packets never leave a keyring (RFC 9580
            # §5.10).
            target = None if part.tag == Tag.USER_ATTRIBUTE else target
        else:
            raise refusal("not-a-certificate")
    return whole


def _reason_for_version(version: int) -> str:
    if version in (5, 6):
        return "unreadable-by-common-programs"
    return "weak-key" if version in (2, 3) else "not-a-certificate"


def _subkey(body: bytes) -> PublicKey | None:
    try:
        return public_key(body)
    except PacketError:
        return None


def _add_signature(target: list[Signature], body: bytes) -> None:
    try:
        target.append(signature(body))
    except PacketError:
        return  # of another version, or damaged: it proves nothing
