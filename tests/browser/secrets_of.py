"""What a browser knew and the server must not: derived from what was typed and from the wraps that were sent.

The wraps come from a tap's record of the enrolment, so that these are the very secrets of that browser.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from deploy.demo.browser import derivations
from directory.openpgp import packets
from directory.openpgp.packets import Tag
from tests.browser.wiretap import Wiretap


@dataclass(frozen=True, slots=True)
class Known:
    """One person's secrets by name, each in the forms it could be sent in; `login` is what the server may have."""

    login: bytes = field(repr=False)
    account_key: bytes = field(repr=False)
    secrets: Mapping[str, list[bytes]] = field(repr=False)


def stretched(tap: Wiretap, shown: str, password: str, sheet: str, account: str) -> Known:
    """Of the enrolment in which this password and this sheet were chosen. `shown` names it in failures."""
    for body in tap.posted("/api/enrolment/complete"):
        salt = base64.b64decode(body["password"]["salt"])
        split = derivations.from_password(password, salt)
        if base64.b64encode(split.login).decode() == body["password"]["login"]:
            return _known(body, split, password, salt, sheet, account)
    raise AssertionError(f"no enrolment of {shown} was heard")


def _known(
    body: dict[str, Any], split: derivations.Split, password: str, salt: bytes, sheet: str, account: str
) -> Known:
    by_sheet = derivations.from_recovery(sheet)
    wrapped = base64.b64decode(body["password"]["wrapped"])
    account_key = derivations.unwrap_account_key(split.kek, wrapped, account)
    assert account_key == derivations.unwrap_account_key(
        by_sheet.kek, base64.b64decode(body["recovery"]["wrapped"]), account
    )
    secret_key = secret_of(account_key, body["key"])
    return Known(
        split.login,
        account_key,
        {
            "password": [unicodedata.normalize(form, password).encode() for form in ("NFKC", "NFD")],
            "stretched password": [stretch(password, salt)],
            "unlock secret of the password": [split.kek],
            "recovery code": written(sheet),
            "unlock secret of the recovery code": [by_sheet.kek],
            "account key": [account_key],
            "secret key": scalars(secret_key),
            "keys derived from the account key": [branch(account_key, name) for name in ("index", "lines")],
        },
    )


def secret_of(account_key: bytes, key: dict[str, str]) -> bytes:
    """The unprotected secret key that a browser sent wrapped."""
    certificate = base64.b64decode(key["certificate"])
    fingerprint = packets.public_key(next(packets.spans(certificate)).body(certificate)).fingerprint
    return derivations.unwrap_secret_key(account_key, base64.b64decode(key["wrappedSecret"]), fingerprint)


def stretch(password: str, salt: bytes) -> bytes:
    normal = unicodedata.normalize("NFKC", password).encode()
    return Argon2id(
        salt=salt,
        length=32,
        iterations=derivations.PASSES,
        lanes=derivations.LANES,
        memory_cost=derivations.MEMORY,
    ).derive(normal)


def branch(key: bytes, name: str) -> bytes:
    return HKDF(SHA256(), 32, salt=b"", info=f"vaguemestre/{name}/v1".encode()).derive(key)


def written(sheet: str) -> list[bytes]:
    """A recovery code: as printed, as typed without dashes, its random part, the octets it spells."""
    plain = derivations.normalised(sheet)
    number = 0
    for character in plain[:-1]:
        number = number * 32 + derivations.ALPHABET.index(character)
    return [
        sheet.encode(),
        plain.encode(),
        plain[:-1].encode(),
        plain.lower().encode(),
        number.to_bytes(15, "big"),
    ]


def scalars(secret_key: bytes) -> list[bytes]:
    """The secret numbers of an unprotected version 4 key (the ends of them: they stand before the checksum)."""
    found = [
        span.body(secret_key)[-30:-2]
        for span in packets.spans(secret_key)
        if span.tag in (Tag.SECRET_KEY, Tag.SECRET_SUBKEY)
    ]
    assert len(found) == 2
    return found


def vouched(tap: Wiretap, shown: str) -> bytes:
    """The certificate that an enrolment published, of the only patient who enrolled through this tap."""
    own = [
        base64.b64decode(body["key"]["certificate"])
        for body in tap.posted("/api/enrolment/complete")
        if body["key"] and b"patient" in base64.b64decode(body["key"]["certificate"])
    ]
    assert len(own) == 1, shown
    return own[0]
