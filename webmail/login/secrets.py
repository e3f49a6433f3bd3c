"""Keys that only the KEK yields, and what the server keeps of people's secrets by them.

One random secret of this package lies in the database, wrapped by the KEK; a key per purpose is derived from it.
Who takes the database alone can try neither passwords nor codes against what lies there.

Invariants: no secret is shown by repr; comparisons take constant time; a login secret (32 bytes, made by Argon2id in
the browser) is hashed before anything else is done with it.
"""

from __future__ import annotations

import hashlib
import hmac
from os import urandom

from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import Store, Transaction

_NAME = "page secret"
SALT_LENGTH = 16


class PageSecrets:
    """Keyed hashes, one key per purpose."""

    __slots__ = ("_codes", "_credentials", "_logins", "_people", "_providers", "_salts")

    def __init__(self, secret: bytes) -> None:
        def key(purpose: str) -> bytes:
            return hmac.digest(secret, f"vaguemestre/page/{purpose}/v1".encode(), "sha256")

        self._logins = key("login")
        self._codes = key("enrolment-code")
        self._salts = key("false-salt")
        self._credentials = key("credential-id")
        self._people = key("who-tried")
        self._providers = key("provider-session")

    @classmethod
    async def load(cls, store: Store, keys: KeyWrapper) -> PageSecrets:
        """Read the secret, made at the first start. Raises KeyUnavailable."""

        def load(transaction: Transaction) -> bytes:
            sql = transaction.sql
            sql.run(
                "INSERT INTO page_secret (name, wrapped) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                (_NAME, keys.wrap(urandom(32), _NAME.encode())),
            )
            row = sql.one("SELECT wrapped FROM page_secret WHERE name = ?", (_NAME,))
            assert row is not None
            return keys.unwrap(bytes(row[0]), _NAME.encode())

        return cls(await store.write(load))

    def verifier(self, login: bytes) -> bytes:
        """What is kept of a login secret."""
        return hmac.digest(self._logins, hashlib.sha256(login).digest(), "sha256")

    def proves(self, login: bytes, verifier: bytes) -> bool:
        return hmac.compare_digest(self.verifier(login), verifier)

    def code_mark(self, code: str) -> bytes:
        return hmac.digest(self._codes, code.encode(), "sha256")

    def false_salt(self, user: str) -> bytes:
        """The salt of somebody who has none: steady, so that asking again tells nothing."""
        return hmac.digest(self._salts, user.encode("utf-8", "replace"), "sha256")[:SALT_LENGTH]

    def credential_mark(self, credential: bytes) -> bytes:
        return hmac.digest(self._credentials, credential, "sha256")

    def provider_mark(self, provider: str, what: str, name: str) -> bytes:
        """A provider's name for a session ("session") or for a person ("subject"), to know it again by."""
        told = "\0".join((provider, what, name))
        return hmac.digest(self._providers, told.encode("utf-8", "replace"), "sha256")

    def tried_mark(self, user: str) -> str:
        """Whom an attempt was for, to count by: what people type may be a patient's number."""
        return hmac.digest(self._people, user.lower().encode("utf-8", "replace"), "sha256")[:12].hex()
