"""What the node shows to anybody of an address: its holder's certificate, else the operator-held one; what it takes.

An account in custody has a certificate too, so that others write to it end-to-end up to the operator (DESIGN §4).
Only here do the directory and the keystore meet: neither knows the other.

Invariants: a patient, who is closed or has no right to practise, and who is on the red list, are shown to nobody;
look-ups come from memory, and none of them grows with the number of accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from directory.certificates.interface import Standing
from directory.certificates.memory import hashed
from directory.certificates.service import DirectoryService
from directory.model import Capability
from directory.openpgp.packets import PacketError, Tag, public_key, spans
from directory.publication.capability import OPENPGP, SMIME
from mail_server.accounts.changes import Change, What
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import in_service
from mail_server.accounts.service import AccountService
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.store.model import AccountId

# What `mail_server.payloads` reads out of a letter.
_PAYLOADS = ("ihe-xdm", "cda-r2", "fhir-r4", "text/calendar")
_KEY_ID = 16


class Closing(Protocol):
    """Certificates of the addresses that end an exchange (`mail_server.conversations.closing_keys`)."""

    def certificate(self, address: str) -> bytes | None: ...
    def addresses(self) -> list[str]: ...


class Published:
    """Implements `directory.publication.wkd.Published` and `directory.publication.hkp.Shown`."""

    def __init__(
        self,
        *,
        directory: DirectoryService,
        accounts: AccountService,
        operator_keys: GnuPgOperatorKeys,
        closing: Closing,
        is_red: Callable[[str], bool],
        largest: int,
        clock: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._operator_keys = operator_keys
        self._closing = closing
        self._is_red = is_red
        self._largest = largest
        self._clock = clock
        self._names: dict[tuple[str, str], str] = {}
        self._held = _HeldKeys(operator_keys)
        for account in accounts.all():
            self._name(account)
        accounts.changed.append(self._changed)

    @property
    def largest(self) -> int:
        """Octets of a letter that every address of ours takes."""
        return self._largest

    # ------------------------------------------------------------ Web Key Directory

    def published(self, address: str) -> bytes | None:
        """Whether it may be shown is another question: `is_public`."""
        if (own := self._directory.published(address)) is not None:
            return own
        return self.operator_held(address)

    def operator_held(self, address: str) -> bytes | None:
        if (closing := self._closing.certificate(address)) is not None:
            return closing
        account = self._accounts.by_address(address)
        held = self._operator_keys.existing(account.id) if account else None
        return held.certificate if held else None

    def address_by_wkd_hash(self, domain: str, name: str) -> str | None:
        if (own := self._directory.address_by_wkd_hash(domain, name)) is not None:
            return own
        wanted = (domain.lower(), name.lower())
        if (account := self._names.get(wanted)) is not None:
            return account
        # One for each of our domains.
        return next((one for one in self._closing.addresses() if hashed(one) == wanted), None)

    def has_domain(self, domain: str) -> bool:
        return self._accounts.is_local_domain(domain)

    def is_public(self, address: str) -> bool:
        """Professionals' certificates are published; a patient's never is: to have one is to be enrolled."""
        if self._closing.certificate(address) is not None:
            return True
        account = self._accounts.by_address(address)
        # Who is closed or has no right to practise any more is published no more (row 29).
        return (
            account is not None
            and account.kind is not Kind.PATIENT
            and in_service(account)
            and not self._is_red(account.address)
        )

    # ------------------------------------------------------------ key servers, LDAP, FHIR

    def certificate(self, address: str) -> bytes | None:
        """OpenPGP, binary; None for who is not shown."""
        return self.published(address) if self.is_public(address) else None

    def by_key(self, key: str) -> tuple[str, bytes] | None:
        """By fingerprint or key id, of a subkey too. The first time after keys were made it takes a moment."""
        found = self._directory.by_key(key)
        if found is None and (account := self._held.account(key)) is not None:
            known = self._accounts.by_id(AccountId(account))
            held = self._operator_keys.existing(account)
            found = (known.address, held.certificate) if known is not None and held is not None else None
        if found is None or not self.is_public(found[0]):
            return None
        return found

    def x509(self, address: str) -> tuple[bytes, ...]:
        """S/MIME (DER) in force; () for who is not shown."""
        return self._directory.x509(address, self._clock()) if self.is_public(address) else ()

    def capability(self, address: str) -> Capability | None:
        """None for who is not shown."""
        return self.capability_of_own(address) if self.is_public(address) else None

    def capability_of_own(self, address: str) -> Capability:
        """Of an address of ours, shown or not."""
        at = self._clock()
        standing = self._directory.certificate(address, at).standing
        seals = standing is Standing.VALID
        if standing in (Standing.NONE, Standing.EXPIRED):  # what waits is sealed to the operator-held key
            account = self._accounts.by_address(address)
            seals = account is not None and self._operator_keys.existing(account.id) is not None
            seals = seals or self._closing.certificate(address) is not None
        profiles = (OPENPGP,) if seals else ()
        if self._directory.x509(address, at):
            profiles += (SMIME,)
        return Capability(profiles, self._largest, _PAYLOADS)

    # ------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        if change.what is What.ADDED and (account := self._accounts.by_id(change.account)) is not None:
            self._name(account)

    def _name(self, account: Account) -> None:
        if account.kind is not Kind.PATIENT:
            self._names[hashed(account.address)] = account.address


class _HeldKeys:
    """Whose operator-held key a fingerprint or key id names; read again once the keystore was written."""

    def __init__(self, keys: GnuPgOperatorKeys) -> None:
        self._keys = keys
        self._written = -1
        self._known: dict[str, str] = {}  # account, to the fingerprint that was read
        self._accounts: dict[str, str] = {}  # key, to the account

    def account(self, key: str) -> str | None:
        if (written := self._keys.written) != self._written:
            self._read()
            self._written = written
        return self._accounts.get(key.upper())

    def _read(self) -> None:
        for account in self._keys.accounts():
            held = self._keys.existing(account)
            if held is None or self._known.get(account) == held.fingerprint:
                continue
            for fingerprint in _fingerprints(held.certificate):
                self._accounts[fingerprint] = self._accounts[fingerprint[-_KEY_ID:]] = account
            self._known[account] = held.fingerprint


def _fingerprints(certificate: bytes) -> list[str]:
    try:
        keys = [part for part in spans(certificate) if part.tag in (Tag.PUBLIC_KEY, Tag.PUBLIC_SUBKEY)]
        return [public_key(part.body(certificate)).fingerprint for part in keys]
    except PacketError:
        return []
