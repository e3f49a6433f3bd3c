"""The keys the store works with, unwrapped and in memory: one per account, one shared, the HMAC keys.

Invariants: a key enters the shared ring only when the row that holds its wrap is committed; HMAC keys are
derived, one per purpose, so equal inputs in two columns do not look equal.
"""

from __future__ import annotations

import hmac
from os import urandom

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mail_server.keys.interface import KeyWrapper
from mail_server.store.at_rest import Cipher
from mail_server.store.identifiers import moment
from mail_server.store.interface import NoSuchAccount, Sql
from mail_server.store.model import AccountId

_NODE_SECRET = "node_secret"  # noqa: S105 - the name of a row


_LONG_PART = 1024
_ONE_NONCE = bytes(12)


def digest(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


class Keyring:
    """Read by every thread of the store; each change is one dict assignment."""

    def __init__(self, wrapper: KeyWrapper, node_secret: bytes) -> None:
        self._wrapper = wrapper
        self._accounts: dict[AccountId, Cipher] = {}
        self.shared = Cipher(digest(node_secret, b"shared bodies"))
        self._names = digest(node_secret, b"mailbox names")
        self._references = digest(node_secret, b"message ids")
        self._submissions = digest(node_secret, b"submissions")
        self._long_parts = AESGCM(digest(node_secret, b"long parts of submissions"))
        self._blobs = digest(node_secret, b"blob ids")

    def peek(self, account: AccountId | None) -> Cipher | None:
        return self.shared if account is None else self._accounts.get(account)

    def load(self, sql: Sql, account: AccountId) -> Cipher:
        """The account's key from its committed row (call it from readers, not from a transaction)."""
        cipher = self._accounts.get(account)
        if cipher is None:
            cipher = self.unwrap(sql, account)
            self._accounts[account] = cipher
        return cipher

    def unwrap(self, sql: Sql, account: AccountId) -> Cipher:
        row = sql.one("SELECT data_key FROM account_store WHERE account_id = ?", (account,))
        if row is None:
            raise NoSuchAccount(account)
        return Cipher(self._wrapper.unwrap(bytes(row[0]), _purpose(account)))

    def make(self, account: AccountId) -> tuple[Cipher, bytes]:
        """A fresh data key and its wrap."""
        key = urandom(32)
        return Cipher(key), self._wrapper.wrap(key, _purpose(account))

    def adopt(self, fresh: dict[AccountId, Cipher]) -> None:
        """Keys whose rows are now committed."""
        self._accounts.update(fresh)

    def name_hmac(self, account: AccountId, name: str) -> bytes:
        return digest(self._names, f"{account}/{name}".encode())

    def reference_hmac(self, account: AccountId, message_id: bytes) -> bytes:
        return digest(self._references, account.encode() + message_id)[:16]

    def submission_hmac(self, parts: tuple[bytes, ...]) -> bytes:
        """HMAC-SHA-256 of the parts, where a long one is first hashed by GHASH under a key of its own.

        GHASH alone (AES-GCM of nothing, the part as associated data, always one nonce) would give its key away to
        who sees several results; nobody does, since only the HMAC of it leaves here. To find two parts with one
        GHASH one must know that key. SHA-256 over a whole letter would cost more than encrypting it.
        """
        lengths = b",".join(b"%d" % len(part) for part in parts)
        mac = hmac.new(self._submissions, lengths + b":", "sha256")
        for part in parts:
            mac.update(part if len(part) <= _LONG_PART else self._long_parts.encrypt(_ONE_NONCE, b"", part))
        return mac.digest()

    def new_blob_id(self) -> bytes:
        """The time it is made, then an HMAC: see `identifiers`."""
        when = moment()
        return when + digest(self._blobs, urandom(16))[len(when) :]


def _purpose(account: AccountId) -> bytes:
    return b"account data key/" + account.encode()


def load_node_secret(sql: Sql, wrapper: KeyWrapper) -> bytes:
    """The node's own secret, made at the first start; call it inside a write transaction."""
    row = sql.one("SELECT value FROM node_setting WHERE key = ?", (_NODE_SECRET,))
    if row is None:
        wrapped = wrapper.wrap(urandom(32), b"node secret")
        sql.run(
            "INSERT INTO node_setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
            (_NODE_SECRET, wrapped),
        )
        row = sql.one("SELECT value FROM node_setting WHERE key = ?", (_NODE_SECRET,))
        assert row is not None
    return wrapper.unwrap(bytes(row[0]), b"node secret")


def read_node_secret(sql: Sql, wrapper: KeyWrapper) -> bytes | None:
    """Like `load_node_secret` for who only reads; None when the node was never started."""
    row = sql.one("SELECT value FROM node_setting WHERE key = ?", (_NODE_SECRET,))
    return None if row is None else wrapper.unwrap(bytes(row[0]), b"node secret")
