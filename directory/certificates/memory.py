"""Every certificate in memory: by address, by the name of its file in a Web Key Directory, by fingerprint, by key id.

Invariants: nothing here touches the database; one writer at a time changes it (the service's turn), any thread reads;
only the address's own certificate is found by address, also those it had by fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from directory.certificates.records import Entry, X509Entry
from directory.certificates.zbase32 import zbase32

_KEY_ID = 16


def wkd_hash(local_part: str) -> str:
    """The name of an address's file in a Web Key Directory (draft-koch-openpgp-webkey-service §3.1)."""
    # SHA-1 is what the draft says; it names a file and protects nothing. Letters of ASCII alone are folded there.
    folded = local_part.encode("utf-8").lower()
    return zbase32(hashlib.sha1(folded, usedforsecurity=False).digest())


def hashed(address: str) -> tuple[str, str]:
    """Domain and file name."""
    local_part, _, domain = address.rpartition("@")
    return domain, wkd_hash(local_part)


class Memory:
    def __init__(self) -> None:
        self.current: dict[str, Entry] = {}
        self.listed: set[str] = set()
        self.x509: dict[str, tuple[X509Entry, ...]] = {}
        self.domains: set[str] = set()
        self._by_hash: dict[tuple[str, str], str] = {}
        self._every: dict[str, Entry] = {}  # by fingerprint, those of the past too
        self._keys: dict[str, str] = {}  # fingerprints of primary keys and subkeys, to the certificate's
        self._key_ids: dict[str, str] = {}

    def address_by_wkd_hash(self, domain: str, name: str) -> str | None:
        return self._by_hash.get((domain.lower(), name.lower()))

    def by_key(self, key: str) -> Entry | None:
        """By 40 or 16 hex digits, of the primary key or any subkey that it bound."""
        key = key.upper()
        found = self._key_ids.get(key) if len(key) == _KEY_ID else self._keys.get(key)
        return None if found is None else self._every.get(found)

    # ------------------------------------------------------------ one writer at a time

    def put(self, entry: Entry) -> None:
        address, fingerprint = entry.certificate.address, entry.certificate.fingerprint
        self._every[fingerprint] = entry
        if entry.current:
            before = self.current.get(address)
            self.current[address] = entry
            if before is not None and before.certificate.fingerprint != fingerprint:
                self._had(before)
        elif (now := self.current.get(address)) is not None and now.certificate.fingerprint == fingerprint:
            del self.current[address]
        domain, name = hashed(address)
        self._by_hash[domain, name] = address
        self.domains.add(domain)

    def name_keys(self, keys: Iterable[tuple[str, str]]) -> None:
        """(fingerprint of a key, fingerprint of its certificate)."""
        for key, certificate in keys:
            self._keys[key] = certificate
            self._key_ids[key[-_KEY_ID:]] = certificate

    def put_x509(self, entry: X509Entry) -> None:
        """In place of those before."""
        self.x509[entry.address] = (entry,)

    def drop_x509(self, address: str, fingerprint: str) -> None:
        left = tuple(one for one in self.x509.get(address, ()) if one.fingerprint != fingerprint)
        if left:
            self.x509[address] = left
        else:
            self.x509.pop(address, None)

    def _had(self, entry: Entry) -> None:
        fingerprint = entry.certificate.fingerprint
        if self._every.get(fingerprint) is entry:
            self._every[fingerprint] = Entry(entry.certificate, entry.revoked, False, entry.served)
