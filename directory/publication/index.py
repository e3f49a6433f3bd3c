"""A certificate as key servers describe it in a line or two (draft-ietf-openpgp-hkp §5, machine-readable index).

Invariant: pure; what it is given passed the gate once, or was made by the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from directory.openpgp.certificate import CertificateRefused
from directory.openpgp.gate import standing_of
from directory.openpgp.packets import Curve, PublicKey
from directory.openpgp.transferable import transferable

_BITS = {Curve.P256: 256, Curve.P384: 384, Curve.P521: 521, Curve.ED25519: 256, Curve.CV25519: 256}
# A colon parts fields, a percent sign begins an escape; letters of people's names stay readable.
_PLAIN = " !\"#$&'()*+,-./;<=>?@[\\]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Described:
    fingerprint: str
    algorithm: int
    bits: int
    created: int  # seconds
    expires: int | None
    revoked: bool
    user_ids: tuple[str, ...]

    def flags(self, now: int) -> str:
        expired = self.expires is not None and self.expires <= now
        return ("r" if self.revoked else "") + ("e" if expired else "")


def described(certificate: bytes) -> Described | None:
    """None for what cannot be read."""
    try:
        parts = transferable(certificate)
    except CertificateRefused:
        return None
    standing = standing_of(parts)
    return Described(
        fingerprint=parts.primary.fingerprint,
        algorithm=int(parts.primary.algorithm),
        bits=_bits(parts.primary),
        created=parts.primary.created,
        expires=standing.expires,
        revoked=standing.revoked,
        user_ids=tuple(one.user_id.decode("utf-8", "replace") for one in parts.user_ids),
    )


def machine_readable(one: Described, now: int) -> str:
    ends = "" if one.expires is None else str(one.expires)
    flags = one.flags(now)
    lines = [
        "info:1:1",
        f"pub:{one.fingerprint}:{one.algorithm}:{one.bits}:{one.created}:{ends}:{flags}",
        *(f"uid:{_escaped(text)}:{one.created}:{ends}:{flags}" for text in one.user_ids),
    ]
    return "".join(f"{line}\n" for line in lines)


def for_people(one: Described, now: int) -> str:
    said = {"r": "revoked", "e": "expired", "re": "revoked"}.get(one.flags(now), "valid")
    lines = [f"{one.fingerprint} ({said})", *(f"    {_printable(text)}" for text in one.user_ids)]
    return "".join(f"{line}\n" for line in lines)


def _bits(key: PublicKey) -> int:
    return key.rsa_bits or (_BITS.get(key.curve, 0) if key.curve is not None else 0)


def _escaped(text: str) -> str:
    return quote(text, safe=_PLAIN)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
