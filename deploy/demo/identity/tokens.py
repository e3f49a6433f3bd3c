"""How a provider of test signs, and the ways in which a test can make it lie.

Invariant: a `Lies` that says nothing leaves every token as a real provider makes it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, KeyParameters, RSAKey


@dataclass(slots=True)
class Lies:
    """What is changed in tokens that are signed from now on."""

    claims: dict[str, Any] = field(default_factory=dict[str, Any])  # replaced
    without: tuple[str, ...] = ()  # left out
    algorithm: str = ""  # "none", "HS256" (with the public key as secret)
    header: dict[str, Any] = field(default_factory=dict[str, Any])


class Signer:
    """The keys of a realm. The newest signs."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self._algorithm = algorithm
        self._keys: list[RSAKey | ECKey] = []
        self.rotate()

    def rotate(self, *, keep: bool = False) -> None:
        """A new key signs. `keep`: what the ones before signed is still good for a while."""
        name: KeyParameters = {"kid": secrets.token_urlsafe(8), "use": "sig", "alg": self._algorithm}
        made = (
            RSAKey.generate_key(2048, name)
            if self._algorithm == "RS256"
            else ECKey.generate_key("P-256", name)
        )
        self._keys = [made, *(self._keys if keep else [])]

    def published(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def sign(self, claims: Mapping[str, Any], lies: Lies, kind: str = "JWT") -> str:
        told = {name: value for name, value in {**claims, **lies.claims}.items() if name not in lies.without}
        key = self._keys[0]
        header = {"alg": self._algorithm, "typ": kind, "kid": key.kid, **lies.header}
        payload = json.dumps(told).encode()
        if lies.algorithm == "none":
            return f"{_encoded(json.dumps(header | {'alg': 'none'}).encode())}.{_encoded(payload)}."
        if lies.algorithm == "HS256":
            # By hand: the library refuses a public key as a secret.
            signed = f"{_encoded(json.dumps(header | {'alg': 'HS256'}).encode())}.{_encoded(payload)}"
            mac = hmac.digest(key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{_encoded(mac)}"
        return jws.serialize_compact(header, payload, key, algorithms=[self._algorithm])


def at_hash(token: str) -> str:
    return _encoded(hashlib.sha256(token.encode()).digest()[:16])


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return _encoded(hashlib.sha256(verifier.encode()).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
