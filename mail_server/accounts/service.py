"""Who has an account here: answered from memory, changed in one durable transaction with its trace.

Invariants: a shared account (ORG, CAB) has members and no credential, the others the reverse; a patient has an
identity, an address that tells nothing and an alias that correspondents use, and comes in by the page alone.
What is looked up and how a change is made durable is in `known`; patients' spaces are in `spaces`, suspension,
the right to practise and closure in `life`.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from mail_server.accounts import app_passwords, networks
from mail_server.accounts.addresses import RESERVED, parsed
from mail_server.accounts.app_passwords import AppPassword, NewAppPassword
from mail_server.accounts.book import SHARED, CertificateBinding, Record
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.grants import Grants
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.known import insert_account, new_id, now_ms, read_record
from mail_server.accounts.last_uses import LastUses
from mail_server.accounts.outbound import OutboundWishes
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import Sql, Store, Transaction
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Event
from policies.trust_list import names

# Port 25 is for operators, who come by certificate: a password for it would serve nothing.
PROTOCOLS = frozenset({"imap", "submission", "jmap", "ldap"})
_LABEL_LONGEST = 80


class AccountService(OutboundWishes, Grants):
    """Implements `Accounts`, and the changes that the command line and later the page ask for."""

    def __init__(
        self, store: Store, audit: AuditTrail, settings: AccountsSettings, *, keys: KeyWrapper | None = None
    ) -> None:
        super().__init__(store, audit, settings, keys=keys)
        self._uses = LastUses(store)

    # -- credentials, for the authenticator

    def app_passwords(self, account: AccountId) -> tuple[AppPassword, ...]:
        record = self._book.record(account)
        return record.passwords if record else ()

    def bindings(self, account: AccountId) -> tuple[CertificateBinding, ...]:
        record = self._book.record(account)
        return record.bindings if record else ()

    def binding_of(self, certificate: bytes) -> CertificateBinding | None:
        """The binding a client certificate (DER, chain verified) satisfies: itself first, else its name."""
        if found := self._book.binding(_by_fingerprint(certificate)):
            return found
        try:
            return self._book.binding(_by_name(names.subject_dn(certificate), names.issuer_dn(certificate)))
        except names.NameRefused:
            return None

    def salt_for(self, address: str) -> bytes:
        """The SCRAM salt of an account, and as steady a one for an address that has none: nobody can tell."""
        found = self.by_address(address)
        if found and (passwords := self.app_passwords(found.id)):
            return passwords[0].verifier.salt
        return self._derived_salt(address)

    def used(self, password: AppPassword, at: int, address: str) -> None:
        """Note a use of a password from a network address."""
        self._uses.note(password, at, networks.place_of(address))

    def last_used(self, password: AppPassword) -> int | None:
        return self._uses.of(password)

    def last_place(self, password: AppPassword) -> str:
        """Where from it was last used: an IPv4 address or an IPv6 /64; "" when it never was."""
        return self._uses.place_of(password)

    async def flush(self) -> None:
        """Write what is only in memory yet (last uses, last logins). To be called before the store stops."""
        await self._uses.flush()
        await self.write_who_came()

    # -- changes

    async def add(self, address: str, kind: Kind, by: str = "node") -> Account:
        """Open an account. Raises AccountError."""
        local_and_domain = parsed(address)
        if local_and_domain is None:
            raise AccountError("bad-address", "This is not a plain mail address.")
        if not self.is_local_domain(local_and_domain[1]):
            raise AccountError("foreign-domain", "This domain is not one of this node's.")
        if local_and_domain[0] in RESERVED:
            raise AccountError("address-reserved", "This address closes exchanges: no account can have it.")
        if kind is Kind.PATIENT or local_and_domain[1] == self._patient_domain:
            raise AccountError("needs-identity", "A patient's space is made for a qualified INS.")
        address = "@".join(local_and_domain)
        account = new_id()
        now = now_ms()

        def write(tx: Transaction) -> Record:
            if tx.sql.one("SELECT 1 FROM account WHERE address = ?", (address,)):
                raise AccountError(
                    "address-taken", "This address has an account, or had one: it is never given again."
                )
            insert_account(tx, account, address, kind, now)
            detail = {"address": address, "kind": kind.value}
            self._audit.append(tx.sql, [Event("account-add", now, by, account, detail=detail)])
            return read_record(tx.sql, account, self._opener())

        async with self._writing:
            record = await self._store.write(write)
            self._book.put(record)
        self._announce(Change(What.ADDED, account))
        return record.account

    async def app_password_create(
        self,
        account: AccountId,
        label: str,
        *,
        protocols: Iterable[str] = (),
        expires: int | None = None,
        network: str = "",
        made_by: str = "",
        by: str = "node",
        secret: str | None = None,
    ) -> NewAppPassword:
        """Generate a password for one mail program. The secret is in the answer and nowhere else.

        It ends at `expires` (ms), in 90 days where none is given, within a year at any rate. `network`: ranges it
        may be used from ("192.0.2.0/24 2001:db8::/32"), anywhere where none is given. `made_by`: the session that
        asked. `secret` sets one that was generated before (two robots that share theirs): one that a person
        chose is refused.
        """
        if secret is not None and not app_passwords.is_generated(secret):
            raise AccountError("weak-password", "Only a generated password can be set.")
        holder = self._needs_own_credentials(account)
        bounds = _bounds(label, frozenset(protocols), expires, network)
        new = NewAppPassword(secrets.token_hex(8), secret or app_passwords.generate())
        made = await asyncio.to_thread(app_passwords.verifier, new.secret, self.salt_for(holder.address))

        def write(sql: Sql) -> None:
            # Another password may have been made meanwhile: all of an account's must have its salt.
            other = sql.one("SELECT salt FROM app_password WHERE account = ? LIMIT 1", (account,))
            if other and bytes(other[0]) != made.salt:
                raise AccountError("try-again", "Another password was being made at the same time.")
            sql.run(
                "INSERT INTO app_password (id, account, label, salt, iterations, stored_key, server_key,"
                " protocols, created, expires, network, made_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    new.id,
                    account,
                    label,
                    made.salt,
                    made.iterations,
                    made.stored_key,
                    made.server_key,
                    bounds.protocols,
                    bounds.created,
                    bounds.expires,
                    bounds.network,
                    made_by or by,
                ),
            )

        detail = {"credential": new.id, "expires": str(bounds.expires)}
        detail |= {"protocol": bounds.protocols} if bounds.protocols else {}
        detail |= {"network": bounds.network} if bounds.network else {}
        event = Event("password-add", bounds.created, by, account, detail=detail)
        await self._change(account, write, event, Change(What.CREDENTIAL_ADDED, account))
        return new

    async def app_password_revoke(self, account: AccountId, password: str, by: str = "node") -> None:
        def write(sql: Sql) -> None:
            if not sql.run("DELETE FROM app_password WHERE id = ? AND account = ?", (password, account)):
                raise AccountError("unknown-credential", "This account has no such password.")

        event = Event("password-revoke", now_ms(), by, account, detail={"credential": password})
        await self._change(
            account, write, event, Change(What.CREDENTIAL_REVOKED, account, credential=password)
        )

    async def bind_certificate(
        self,
        account: AccountId,
        certificate: bytes | None = None,
        *,
        subject: str = "",
        issuer: str = "",
        by: str = "node",
    ) -> CertificateBinding:
        """Let a client certificate speak for the account: this one (DER), or any of a subject by an issuer.

        A name alone would let any authority that the TLS layer trusts speak for the account: it goes with its
        issuer. Both are canonicalised (`policies.trust_list.names`).
        """
        self._needs_own_credentials(account)
        try:
            matched = _by_fingerprint(certificate) if certificate is not None else _by_name(subject, issuer)
        except names.NameRefused as refused:
            raise AccountError("bad-name", f"A name cannot be used: {refused}.") from refused
        binding = CertificateBinding(secrets.token_hex(8), account, matched, now_ms())

        def write(sql: Sql) -> None:
            if sql.one("SELECT 1 FROM certificate_binding WHERE matched = ?", (matched,)):
                raise AccountError("certificate-bound", "This certificate speaks for an account already.")
            sql.run(
                "INSERT INTO certificate_binding (id, account, matched, created) VALUES (?, ?, ?, ?)",
                (binding.id, account, matched, binding.created),
            )

        detail = {"credential": binding.id, "certificate": matched}
        event = Event("certificate-bind", binding.created, by, account, detail=detail)
        await self._change(account, write, event, Change(What.CREDENTIAL_ADDED, account))
        return binding

    async def unbind_certificate(self, account: AccountId, binding: str, by: str = "node") -> None:
        def write(sql: Sql) -> None:
            if not sql.run(
                "DELETE FROM certificate_binding WHERE id = ? AND account = ?", (binding, account)
            ):
                raise AccountError("unknown-credential", "This account has no such certificate.")

        event = Event("certificate-unbind", now_ms(), by, account, detail={"credential": binding})
        await self._change(
            account, write, event, Change(What.CREDENTIAL_REVOKED, account, credential=binding)
        )

    # -- inside

    def _needs_own_credentials(self, account: AccountId) -> Account:
        found = self._known(account)
        if found.kind in SHARED:
            raise AccountError(
                "shared-account", "Nobody logs in as a shared account: its members do, as themselves."
            )
        if found.kind is Kind.PATIENT:
            raise AccountError("patient-account", "A patient comes in by the page alone.")
        return found

    def _derived_salt(self, address: str) -> bytes:
        return self._store.submission_fingerprint(b"scram salt", address.lower().encode("utf-8", "replace"))[
            :16
        ]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What an app password may be used for, checked, as it is written."""

    protocols: str
    created: int
    expires: int
    network: str


def _bounds(label: str, protocols: frozenset[str], expires: int | None, network: str) -> _Bounds:
    """Raises AccountError."""
    if not protocols <= PROTOCOLS:
        raise AccountError("unknown-protocol", f"Protocols are {', '.join(sorted(PROTOCOLS))}.")
    if not 0 < len(label) <= _LABEL_LONGEST or not label.isprintable():
        raise AccountError("bad-label", f"A label is 1 to {_LABEL_LONGEST} printable characters.")
    now = now_ms()
    ends = now + app_passwords.DEFAULT_DAYS * app_passwords.DAY if expires is None else expires
    if not now < ends <= now + app_passwords.LONGEST_DAYS * app_passwords.DAY:
        raise AccountError("bad-expiry", "A password ends after now, and within a year.")
    try:
        kept = networks.ranges(network)
    except ValueError:
        raise AccountError(
            "bad-network",
            "Ranges are written like 192.0.2.0/24 or 2001:db8::/32, at most"
            f" {networks.MOST_RANGES}, with no bit set behind the prefix.",
        ) from None
    return _Bounds(" ".join(sorted(protocols)), now, ends, kept)


def _by_fingerprint(certificate: bytes) -> str:
    return f"sha256:{hashlib.sha256(certificate).hexdigest()}"


def _by_name(subject: str, issuer: str) -> str:
    return f"name:{names.key(subject)} issued by {names.key(issuer)}"
