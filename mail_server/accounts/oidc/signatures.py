"""Signed tokens (JWS, RFC 7515) and the keys they are checked with (JWK Set, RFC 7517), sans I/O.

Invariants: RS256 and ES256 alone, by a public RSA or P-256 key of the issuer's own set (never `none`, never an
HMAC, whatever the header says; RFC 8725 §3.1); the key is named by `kid`, unless the set has one key alone; nothing
of a token reaches an exception.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from mail_server.accounts.oidc.interface import TokenRefused

ALGORITHMS = ("RS256", "ES256")
LONGEST = 16 * 1024  # characters of a token
_LONGEST_HEADER = 8 * 1024  # a chain of certificates may stand in it (x5c); it is never looked at
_MOST_KEYS = 32
_SMALLEST_RSA = 2048
Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """What an unverified header says of the key. Believed for nothing but looking the key up."""

    algorithm: str
    key: str
    type: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str
    algorithm: str
    key: RSAKey | ECKey


def looks_signed(token: str) -> bool:
    """Whether it is a JWS at all: an access token may be opaque."""
    return token.count(".") == 2 and token.startswith("ey")


def named(token: str) -> Named:
    """Raises TokenRefused malformed, wrong-algorithm."""
    if len(token) > LONGEST or token.count(".") != 2:
        raise TokenRefused("malformed")
    header = _object(_decoded(token.partition(".")[0]))
    if header.get("crit") is not None:  # RFC 7515 §4.1.11: what must be understood and is not
        raise TokenRefused("malformed")
    algorithm, key, kind = header.get("alg"), header.get("kid", ""), header.get("typ", "")
    if not isinstance(key, str) or not isinstance(kind, str):
        raise TokenRefused("malformed")
    if algorithm not in ALGORITHMS:
        raise TokenRefused("wrong-algorithm")
    return Named(algorithm, key, kind.lower().removeprefix("application/"))


def issuer_named(token: str) -> str:
    """Whose token it says it is, before anything is proven: believed for nothing but whose keys to try."""
    issuer = _object(_decoded(token.split(".")[1])).get("iss")
    return issuer if isinstance(issuer, str) else ""


def verified(token: str, key: SigningKey) -> Claims:
    """What the token says, once its signature holds. Raises TokenRefused."""
    try:
        signed = jws.deserialize_compact(token, key.key, algorithms=[key.algorithm], registry=_registry())
        payload = signed.payload
    except (JoseError, ValueError, TypeError):
        raise TokenRefused("bad-signature") from None
    return _object(payload)


def _registry() -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    registry.max_header_length = _LONGEST_HEADER
    return registry


def keys_of(document: Mapping[str, Any]) -> tuple[SigningKey, ...]:
    """The keys of a set that may sign for us. Raises TokenRefused malformed when there is no set at all.

    Symmetric keys, encryption keys, weak ones and what cannot be read are left out (RFC 7517 §5).
    """
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise TokenRefused("malformed")
    return tuple(
        key
        for each in cast("list[object]", listed)[:_MOST_KEYS]
        if isinstance(each, dict) and (key := _key(cast("dict[str, Any]", each))) is not None
    )


def _key(data: dict[str, Any]) -> SigningKey | None:
    kid, acts = data.get("kid", ""), data.get("key_ops", ["verify"])
    if not isinstance(kid, str) or not isinstance(acts, list):
        return None
    if data.get("use", "sig") != "sig" or "verify" not in acts:
        return None
    match data.get("kty"), data.get("crv"):
        case "RSA", _:
            algorithm, wanted = "RS256", {name: data.get(name) for name in ("kty", "n", "e")}
        case "EC", "P-256":
            algorithm, wanted = "ES256", {name: data.get(name) for name in ("kty", "crv", "x", "y")}
        case _:
            return None
    if data.get("alg", algorithm) != algorithm or not all(isinstance(one, str) for one in wanted.values()):
        return None
    public = cast("dict[str, str | list[str]]", wanted)
    try:
        if algorithm == "RS256":
            if len(_decoded(data["n"]).lstrip(b"\0")) * 8 < _SMALLEST_RSA:
                return None
            return SigningKey(kid, algorithm, RSAKey.import_key(public))
        return SigningKey(kid, algorithm, ECKey.import_key(public))
    except (JoseError, TokenRefused, ValueError, TypeError, KeyError):
        return None


class KeyRing:
    """The keys of one issuer as last read, and when they may be read again.

    A token that names a key we do not know may mean that the issuer changed its keys: they are read again, but not
    more often than once in `pause`, however many such tokens strangers send.
    """

    def __init__(self, lifetime: int, pause: int = 60_000) -> None:
        self._lifetime = lifetime
        self._pause = pause
        self._keys: tuple[SigningKey, ...] = ()
        self._read: int | None = None
        self._asked: int | None = None

    def take(self, document: Mapping[str, Any], now: int) -> None:
        """The issuer's set of now replaces the one before, whole: a key that is gone signs nothing any more."""
        self._keys = keys_of(document)
        self._read = now

    def asking(self, now: int) -> None:
        self._asked = now

    def stale(self, now: int) -> bool:
        return self._read is None or not 0 <= now - self._read < self._lifetime

    def may_ask(self, now: int) -> bool:
        return self._asked is None or not 0 <= now - self._asked < self._pause

    def find(self, wanted: Named) -> SigningKey | None:
        fitting = [each for each in self._keys if each.algorithm == wanted.algorithm]
        if wanted.key:
            fitting = [each for each in fitting if each.id == wanted.key]
        return fitting[0] if len(fitting) == 1 else None


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenRefused("malformed") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        loaded: object = json.loads(data)
    except (ValueError, RecursionError):
        raise TokenRefused("malformed") from None
    if not isinstance(loaded, dict):
        raise TokenRefused("malformed")
    return cast("dict[str, Any]", loaded)
