"""A key as its zone tells it (RFC 6376 §3.6.1, RFC 8463 §4): may a signature be verified with it?

In the worker: the key itself is a stranger's ASN.1. Invariant: never raises.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mail_server.signatures.marks import tags

LEAST_BITS = 1024  # RFC 8301 §3.2
_MOST_BITS = 8192
_LARGEST_EXPONENT = (1 << 32) + 1


@dataclass(frozen=True, slots=True)
class Standing:
    """`fault` or `weak` says why a key is of no use; `bits` is its size."""

    bits: int = 0
    fault: str = ""
    weak: bool = False
    testing: bool = False  # t=y: the letter is to be treated as if it were not signed
    strict: bool = False  # t=s: i= must be d= itself


def standing(record: str, algorithm: str) -> Standing:
    """Of the record for a signature that says `algorithm`."""
    told = tags(record)
    if told is None or told.get("v", "DKIM1") != "DKIM1":
        return Standing(fault="key record ill-formed")
    kind, _, hashed = algorithm.partition("-")
    if told.get("k", "rsa") != kind:
        return Standing(fault="key of another kind")
    if "h" in told and hashed not in _listed(told["h"]):
        return Standing(fault="key not for this hash")
    if not {"*", "email"} & set(_listed(told.get("s", "*"))):
        return Standing(fault="key not for mail")
    if "p" not in told:
        return Standing(fault="key record ill-formed")
    if not told["p"]:
        return Standing(fault="key revoked")
    flags = _listed(told.get("t", ""))
    try:
        key = base64.b64decode("".join(told["p"].split()), validate=True)
    except (binascii.Error, ValueError):
        return Standing(fault="key ill-formed")
    bits = _bits(key, kind)
    return Standing(
        bits=bits,
        fault="" if bits else "key ill-formed",
        weak=kind == "rsa" and 0 < bits < LEAST_BITS,
        testing="y" in flags,
        strict="s" in flags,
    )


def _listed(value: str) -> list[str]:
    return [one.strip().lower() for one in value.split(":")]


def _bits(key: bytes, kind: str) -> int:
    """0: it is no key that can be used."""
    if kind == "ed25519":
        return 256 if len(key) == 32 else 0
    try:
        public = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return 0
    if not isinstance(public, RSAPublicKey) or public.public_numbers().e > _LARGEST_EXPONENT:
        return 0
    return public.key_size if public.key_size <= _MOST_BITS else 0
