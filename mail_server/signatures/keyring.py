"""The keys that sign for our domains, in a keystore file of their own, wrapped under the KEK.

Each domain has *pairs*: one RSA-2048 and one Ed25519 key, made together, under two selectors named by their date.
A pair is announced (in `dkim show`, not used), then used, then former (no secret left; its public half is shown until
letters on their way have come). Invariants: a secret is never written but wrapped; of former pairs no file holds the
secret; the pair in use is the newest whose time has come; what is shown for a selector never changes.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.keys.keystore import Entry, Keystore

RSA_BITS = 2048  # RFC 8301 §3.2: at least 1024, should be 2048
_HOUR = 3_600_000
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a zone says of one selector."""

    selector: str
    algorithm: str  # "rsa" or "ed25519", as k= names it
    data: str  # base64, as p= has it

    @property
    def record(self) -> str:
        # RFC 6376 §3.6.1. s=email: these keys are for nothing else.
        return f"v=DKIM1; k={self.algorithm}; s=email; p={self.data}"


@dataclass(frozen=True, slots=True)
class Pair:
    """The two keys of one date; times in ms."""

    domain: str
    name: str
    made_at: int
    used_from: int
    public: tuple[PublicKey, ...]
    wrapped: bytes = field(repr=False)  # both secrets; empty once the pair is a former one


@dataclass(frozen=True, slots=True)
class SigningPair:
    """A pair that can sign."""

    rsa_selector: str
    ed25519_selector: str
    rsa: RSAPrivateKey = field(repr=False)
    ed25519: Ed25519PrivateKey = field(repr=False)


class KeyRing:
    """Blocks while it makes keys (some 20 ms, the interpreter free) and writes its file: call it in a thread.

    `current_if_ready` alone is for the loop.
    """

    def __init__(self, path: Path, keys: KeyWrapper, *, announce_hours: float, keep_days: float) -> None:
        self._path = path
        self._keys = keys
        self._announce = int(announce_hours * _HOUR)
        self._keep = int(keep_days * _DAY)
        self._store = Keystore(path)
        self._pairs = _by_domain(self._store)
        self._loaded: dict[str, tuple[str, SigningPair]] = {}
        self._lock = threading.Lock()

    def current_if_ready(self, domain: str, now: int) -> SigningPair | None:
        """The pair in use when it lies in memory already."""
        used = self._used(domain, now)
        loaded = self._loaded.get(domain)
        return loaded[1] if used is not None and loaded is not None and loaded[0] == used.name else None

    def current(self, domain: str, now: int) -> SigningPair:
        """The pair in use, made now when the domain has none. Raises KeyUnavailable, OSError."""
        with self._lock:
            used = self._used(domain, now) or self._make(domain, now, now)
            loaded = self._loaded.get(domain)
            if loaded is None or loaded[0] != used.name:
                loaded = self._loaded[domain] = (used.name, _opened(used, self._keys))
            return loaded[1]

    def pairs(self, domain: str) -> list[Pair]:
        """Oldest first."""
        return self._pairs.get(domain, [])

    def standing(self, pair: Pair, now: int) -> str:
        """ "announced", "used" or "former"."""
        if pair.used_from > now:
            return "announced"
        used = self._used(pair.domain, now)
        return "used" if used is not None and used.name == pair.name else "former"

    def shown(self, domain: str, now: int) -> list[Pair]:
        """The pairs that the zone must name now."""
        pairs = self.pairs(domain)
        return [one for at, one in enumerate(pairs) if not self._over(pairs, at, now)]

    def rotate(self, domain: str, now: int) -> Pair:
        """A new pair, used once the zone had time to name it; the one announced before it is given up."""
        with self._lock:
            for one in self.pairs(domain):
                if one.used_from > now:
                    self._destroy(one)
            first = self._used(domain, now) is None
            return self._make(domain, now, now if first else now + self._announce)

    def tidy(self, now: int) -> None:
        """Destroy the secrets of former pairs, and what no zone has to name any more."""
        with self._lock:
            for pairs in list(self._pairs.values()):
                for at, one in enumerate(pairs):
                    if self._over(pairs, at, now):
                        self._destroy(one)
                    elif one.wrapped and self.standing(one, now) == "former":
                        self._put(one, b"")

    def reload(self) -> None:
        """Another process (`dkim rotate` on a node that does not serve) wrote the file."""
        with self._lock:
            self._store = Keystore(self._path)
            self._pairs = _by_domain(self._store)

    def _used(self, domain: str, now: int) -> Pair | None:
        begun = [one for one in self.pairs(domain) if one.used_from <= now and one.wrapped]
        return begun[-1] if begun else None

    def _over(self, pairs: Sequence[Pair], at: int, now: int) -> bool:
        return at + 1 < len(pairs) and pairs[at + 1].used_from + self._keep <= now

    def _make(self, domain: str, now: int, used_from: int) -> Pair:
        rsa = generate_private_key(65537, RSA_BITS)
        ed25519 = Ed25519PrivateKey.generate()
        name = _new_name(now)
        secrets = json.dumps([_base64(_secret(rsa)), _base64(_secret(ed25519))]).encode()
        public = (
            PublicKey(
                f"{name}-r",
                "rsa",
                _base64(rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
            ),
            # RFC 8463 §4.2: the bare 32 bytes, no SubjectPublicKeyInfo.
            PublicKey(
                f"{name}-e",
                "ed25519",
                _base64(ed25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
            ),
        )
        pair = Pair(domain, name, now, used_from, public, self._keys.wrap(secrets, _purpose(domain, name)))
        self._put(pair, pair.wrapped)
        return pair

    def _put(self, pair: Pair, wrapped: bytes) -> None:
        told = {
            "domain": pair.domain,
            "name": pair.name,
            "made_at": pair.made_at,
            "used_from": pair.used_from,
            "public": [[one.selector, one.algorithm, one.data] for one in pair.public],
        }
        self._store.put(_entry_name(pair), Entry(pair.name, json.dumps(told).encode(), wrapped))
        self._pairs = _by_domain(self._store)

    def _destroy(self, pair: Pair) -> None:
        self._store.destroy(_entry_name(pair))
        self._pairs = _by_domain(self._store)


def _by_domain(store: Keystore) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for name in store.names():
        if (entry := store.get(name)) is not None:
            pair = _pair(entry)
            found.setdefault(pair.domain, []).append(pair)
    for pairs in found.values():
        pairs.sort(key=lambda one: (one.used_from, one.made_at, one.name))
    return found


def _new_name(now: int) -> str:
    """The date, and something that makes it another: what a resolver remembers must never be another key's."""
    return f"vm{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d}{os.urandom(2).hex()}"


def _pair(entry: Entry) -> Pair:
    try:
        told = cast("dict[str, Any]", json.loads(entry.certificate))
        public = cast("list[list[str]]", told["public"])
        return Pair(
            domain=str(told["domain"]),
            name=str(told["name"]),
            made_at=int(told["made_at"]),
            used_from=int(told["used_from"]),
            public=tuple(PublicKey(one[0], one[1], one[2]) for one in public),
            wrapped=entry.wrapped,
        )
    except (ValueError, KeyError, TypeError, IndexError):
        raise KeyUnavailable("the keystore of signatures cannot be read") from None


def _opened(pair: Pair, keys: KeyWrapper) -> SigningPair:
    rsa, ed25519 = (
        load_der_private_key(base64.b64decode(one), None)
        for one in cast("list[str]", json.loads(keys.unwrap(pair.wrapped, _purpose(pair.domain, pair.name))))
    )
    if not isinstance(rsa, RSAPrivateKey) or not isinstance(ed25519, Ed25519PrivateKey):
        raise KeyUnavailable("a signing key is of another kind")
    selectors = {one.algorithm: one.selector for one in pair.public}
    return SigningPair(selectors["rsa"], selectors["ed25519"], rsa, ed25519)


def _purpose(domain: str, name: str) -> bytes:
    return f"dkim {domain}/{name}".encode()


def _entry_name(pair: Pair) -> str:
    return f"{pair.domain}/{pair.name}"


def _secret(key: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
