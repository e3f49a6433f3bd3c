"""Who has an account here: answered from memory, changed in one durable transaction with its trace.

Invariants: memory follows the database, never leads it (a change shows after its commit); every change
writes its audit event in the same transaction; those who must act at once on a change (doors closing
sessions) are called right after it; a shared account (ORG, CAB) has members and no credential, the others
the reverse; a patient has an identity, an address that tells nothing and an alias that correspondents use, and
comes in by the page alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from mail_server.accounts import app_passwords, book
from mail_server.accounts.addresses import may_be_told, parsed
from mail_server.accounts.app_passwords import AppPassword, NewAppPassword
from mail_server.accounts.book import SHARED, Book, CertificateBinding, Opener, Record
from mail_server.accounts.changes import AccountError, Change, What, differences
from mail_server.accounts.ins import InsRefused
from mail_server.accounts.ins import parse as parsed_ins
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.last_uses import LastUses
from mail_server.accounts.patients import PatientIdentity, PatientVault, checked
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.interface import Reader, Sql, Store, Transaction
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Event
from policies.trust_list import names

PROTOCOLS = frozenset({"imap", "submission", "smtp", "jmap"})

_log = logging.getLogger("vaguemestre.accounts")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_LABEL_LONGEST = 80


class AccountService:
    """Implements `Accounts`, and the changes that the command line and later the page ask for."""

    def __init__(
        self, store: Store, audit: AuditTrail, settings: AccountsSettings, *, keys: KeyWrapper | None = None
    ) -> None:
        """Without `keys` no patient can be added, and those there are have no alias: no letter reaches them."""
        self._store = store
        self._audit = audit
        self._domains = frozenset(settings.domains)
        self._patient_domain = settings.patient_domain
        self._test_patients = settings.test_patients
        self._keys = keys
        self._vault: PatientVault | None = None
        self.sessions_hold: Callable[[AccountId, str], bool] = lambda _account, _session: False
        """Whether a session of the page still lasts; set by who keeps them."""
        self._book = Book()
        self._writing = asyncio.Lock()
        self._uses = LastUses(store)
        self.changed: list[Callable[[Change], None]] = []

    async def start(self) -> None:
        """Read every account. To be called once the store has started, before any door opens."""
        self._vault, records = await self._store.read(self._read_all)
        self._book = Book(records)

    async def reload(self) -> None:
        """Read again what another process may have changed; differences are announced like our own."""
        async with self._writing:
            self._vault, records = await self._store.read(self._read_all)
            fresh = Book(records)
            old, self._book = self._book, fresh
        for change in differences(old.records(), fresh.records()):
            self._announce(change)

    def _read_all(self, reader: Reader) -> tuple[PatientVault | None, list[Record]]:
        vault = PatientVault.open(self._keys, reader.sql) if self._keys else None
        return vault, book.read_all(reader.sql, Opener(vault, self._patient_domain))

    # -- Accounts

    def by_address(self, address: str) -> Account | None:
        return self._book.by_address(address)

    def by_id(self, account: AccountId) -> Account | None:
        return self._book.by_id(account)

    def shared_with(self, person: AccountId) -> Sequence[Account]:
        return self._book.shared_with(person)

    def is_local_domain(self, domain: str) -> bool:
        domain = domain.lower()
        return domain in self._domains or domain == self._patient_domain

    def readers(self, account: AccountId) -> Sequence[Account]:
        return self._book.readers(account)

    def holds(self, account: AccountId, credential: str) -> bool:
        record = self._book.record(account)
        if record is None:
            return False
        if any(binding.id == credential for binding in record.bindings):
            return True
        found = next((each for each in record.passwords if each.id == credential), None)
        if found is not None:
            return found.in_time(_now())
        return self.sessions_hold(account, credential)

    def all(self) -> list[Account]:
        """Every account, by address."""
        return [record.account for record in self._book.records()]

    # -- patients

    @property
    def patient_domain(self) -> str:
        return self._patient_domain

    def by_ins(self, text: str) -> Account | None:
        """The space of a number, with its key or without, or of its address. None for whatever else."""
        local, at, domain = text.strip().rpartition("@")
        if at and domain.lower() != self._patient_domain:
            return None
        try:
            number = parsed_ins(local if at else text)
        except InsRefused:
            return None
        return self._book.by_address(f"{number.local_part}@{self._patient_domain}")

    def may_be_told(self, address: str) -> bool:
        """Whether an address from outside may stand in a log line or in the trace."""
        return may_be_told(address, self._patient_domain)

    def patient_identity(self, account: AccountId) -> PatientIdentity:
        """Number and traits, opened now. Raises AccountError."""
        record = self._book.record(account)
        if record is None or record.patient is None or self._vault is None:
            raise AccountError("not-a-patient", "This account is not a patient's space.")
        try:
            return self._vault.identity(account, record.patient)
        except KeyUnavailable:
            raise AccountError("identity-unreadable", "This patient's identity does not open.") from None

    async def patient_add(self, identity: PatientIdentity, by: str = "node") -> Account:
        """Open a space for a qualified INS. Its address tells nothing. Raises AccountError, IdentityRefused."""
        identity = checked(identity, test_ranges=self._test_patients)
        keys = self._keys
        if keys is None:
            raise AccountError("no-keys", "Patients' identities need the key-encryption key.")
        account = _new_id()
        address = f"{account}@{self._patient_domain}"
        now = _now()

        def write(tx: Transaction) -> tuple[PatientVault, Record]:
            vault = PatientVault.make(keys, tx.sql)
            locked = vault.lock(account, identity)
            made = tx.sql.run(
                "INSERT INTO patient (account, ins_hmac, number, traits) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (account, locked.ins_hmac, locked.number, locked.traits),
            )
            if not made:
                raise AccountError("patient-known", "This patient has a space here already.")
            _insert(tx, account, address, Kind.PATIENT, now)
            event = Event("account-add", now, by, account, detail={"kind": Kind.PATIENT.value})
            self._audit.append(tx.sql, [event])
            return vault, _read(tx.sql, account, Opener(vault, self._patient_domain))

        async with self._writing:
            self._vault, record = await self._store.write(write)
            self._book.put(record)
        self._announce(Change(What.ADDED, account))
        return record.account

    def mark_activated(
        self, transaction: Transaction, account: AccountId, at: int | None = None, by: str = ""
    ) -> None:
        """Inside a caller's write: the holder's own certificate is published, from here on it alone opens.

        The caller calls `note_activated` once its write is durable. Raises AccountError.
        """
        now = _now() if at is None else at
        done = transaction.sql.run(
            "UPDATE patient SET activated_at = ? WHERE account = ? AND activated_at IS NULL", (now, account)
        )
        if done:
            self._audit.append(transaction.sql, [Event("space-activated", now, by or account, account)])
        elif not transaction.sql.one("SELECT 1 FROM patient WHERE account = ?", (account,)):
            raise AccountError("not-a-patient", "This account is not a patient's space.")

    def note_activated(self, account: AccountId, at: int | None = None) -> None:
        """Show in memory what `mark_activated` made durable. On the loop, right after the write."""
        record = self._book.record(account)
        if record is None or record.patient is None or record.account.activated:
            return
        self._book.put(
            replace(
                record,
                account=replace(record.account, activated=True),
                patient=replace(record.patient, activated_at=_now() if at is None else at),
            )
        )
        self._announce(Change(What.ACTIVATED, account))

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

    def used(self, password: AppPassword, at: int) -> None:
        """Note a use of a password."""
        self._uses.note(password, at)

    def last_used(self, password: AppPassword) -> int | None:
        return self._uses.of(password)

    async def flush(self) -> None:
        """Write what is only in memory yet (last uses). To be called before the store stops."""
        await self._uses.flush()

    # -- changes

    async def add(self, address: str, kind: Kind, by: str = "node") -> Account:
        """Open an account. Raises AccountError."""
        local_and_domain = parsed(address)
        if local_and_domain is None:
            raise AccountError("bad-address", "This is not a plain mail address.")
        if not self.is_local_domain(local_and_domain[1]):
            raise AccountError("foreign-domain", "This domain is not one of this node's.")
        if kind is Kind.PATIENT or local_and_domain[1] == self._patient_domain:
            raise AccountError("needs-identity", "A patient's space is made for a qualified INS.")
        address = "@".join(local_and_domain)
        account = _new_id()
        now = _now()

        def write(tx: Transaction) -> Record:
            if tx.sql.one("SELECT 1 FROM account WHERE address = ?", (address,)):
                raise AccountError("address-taken", "This address has an account already.")
            _insert(tx, account, address, kind, now)
            detail = {"address": address, "kind": kind.value}
            self._audit.append(tx.sql, [Event("account-add", now, by, account, detail=detail)])
            return _read(tx.sql, account, self._opener())

        async with self._writing:
            record = await self._store.write(write)
            self._book.put(record)
        self._announce(Change(What.ADDED, account))
        return record.account

    async def suspend(self, account: AccountId, by: str = "node") -> None:
        """The account neither logs in, sends nor receives until it is reinstated."""
        await self._set_suspended(account, 1, Change(What.SUSPENDED, account), "account-suspend", by)

    async def reinstate(self, account: AccountId, by: str = "node") -> None:
        await self._set_suspended(account, 0, Change(What.REINSTATED, account), "account-reinstate", by)

    async def member_add(self, shared: AccountId, person: AccountId, by: str = "node") -> None:
        """Make a person a reader of a shared account, from the next message on."""
        self._needs_shared(shared)
        if self._known(person).kind is not Kind.PER:
            raise AccountError("not-a-person", "Only a personal account (PER) can be a member.")
        now = _now()

        def write(sql: Sql) -> None:
            sql.run("DELETE FROM account_member WHERE account = ? AND member = ?", (shared, person))
            sql.run(
                "INSERT INTO account_member (account, member, since) VALUES (?, ?, ?)", (shared, person, now)
            )

        event = Event("member-add", now, by, shared, detail={"member": person})
        await self._change(shared, write, event, Change(What.MEMBER_ADDED, shared, person))

    async def member_remove(self, shared: AccountId, person: AccountId, by: str = "node") -> None:
        """From the next message on, nothing of the shared account is for this person."""
        self._needs_shared(shared)

        def write(sql: Sql) -> None:
            if not sql.run("DELETE FROM account_member WHERE account = ? AND member = ?", (shared, person)):
                raise AccountError("not-a-member", "This person is not a member of it.")

        event = Event("member-remove", _now(), by, shared, detail={"member": person})
        await self._change(shared, write, event, Change(What.MEMBER_REMOVED, shared, person))

    async def app_password_create(
        self,
        account: AccountId,
        label: str,
        protocols: Iterable[str] = (),
        expires: int | None = None,
        by: str = "node",
        secret: str | None = None,
    ) -> NewAppPassword:
        """Generate a password for one mail program. The secret is in the answer and nowhere else.

        `secret` sets one that was generated before (two robots that share theirs): one that a person
        chose is refused.
        """
        if secret is not None and not app_passwords.is_generated(secret):
            raise AccountError("weak-password", "Only a generated password can be set.")
        holder = self._needs_own_credentials(account)
        allowed = frozenset(protocols)
        if not allowed <= PROTOCOLS:
            raise AccountError("unknown-protocol", f"Protocols are {', '.join(sorted(PROTOCOLS))}.")
        if not 0 < len(label) <= _LABEL_LONGEST or not label.isprintable():
            raise AccountError("bad-label", f"A label is 1 to {_LABEL_LONGEST} printable characters.")
        new = NewAppPassword(secrets.token_hex(8), secret or app_passwords.generate())
        made = await asyncio.to_thread(app_passwords.verifier, new.secret, self.salt_for(holder.address))
        now = _now()

        def write(sql: Sql) -> None:
            # Another password may have been made meanwhile: all of an account's must have its salt.
            other = sql.one("SELECT salt FROM app_password WHERE account = ? LIMIT 1", (account,))
            if other and bytes(other[0]) != made.salt:
                raise AccountError("try-again", "Another password was being made at the same time.")
            sql.run(
                "INSERT INTO app_password (id, account, label, salt, iterations, stored_key, server_key,"
                " protocols, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    new.id,
                    account,
                    label,
                    made.salt,
                    made.iterations,
                    made.stored_key,
                    made.server_key,
                    " ".join(sorted(allowed)),
                    now,
                    expires,
                ),
            )

        event = Event("password-add", now, by, account, detail={"credential": new.id})
        await self._change(account, write, event, Change(What.CREDENTIAL_ADDED, account))
        return new

    async def app_password_revoke(self, account: AccountId, password: str, by: str = "node") -> None:
        def write(sql: Sql) -> None:
            if not sql.run("DELETE FROM app_password WHERE id = ? AND account = ?", (password, account)):
                raise AccountError("unknown-credential", "This account has no such password.")

        event = Event("password-revoke", _now(), by, account, detail={"credential": password})
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
        binding = CertificateBinding(secrets.token_hex(8), account, matched, _now())

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

        event = Event("certificate-unbind", _now(), by, account, detail={"credential": binding})
        await self._change(
            account, write, event, Change(What.CREDENTIAL_REVOKED, account, credential=binding)
        )

    # -- inside

    def _opener(self) -> Opener:
        return Opener(self._vault, self._patient_domain)

    async def _set_suspended(
        self, account: AccountId, suspended: int, change: Change, action: str, by: str
    ) -> None:
        self._known(account)

        def write(sql: Sql) -> None:
            sql.run("UPDATE account SET suspended = ? WHERE id = ?", (suspended, account))

        await self._change(account, write, Event(action, _now(), by, account), change)

    async def _change(
        self, account: AccountId, write: Callable[[Sql], None], event: Event, change: Change
    ) -> None:
        """Write and trace in one transaction, then show it in memory, then tell."""
        self._known(account)

        def operation(tx: Transaction) -> Record:
            write(tx.sql)
            self._audit.append(tx.sql, [event])
            return _read(tx.sql, account, self._opener())

        async with self._writing:
            self._book.put(await self._store.write(operation))
        self._announce(change)

    def _announce(self, change: Change) -> None:
        for listener in list(self.changed):
            try:
                listener(change)
            except Exception:  # one listener that fails must not keep the others from closing sessions
                _log.exception("a listener failed on %s", change.what.value)

    def _known(self, account: AccountId) -> Account:
        if (found := self.by_id(account)) is None:
            raise AccountError("unknown-account", "There is no such account.")
        return found

    def _needs_shared(self, account: AccountId) -> None:
        if self._known(account).kind not in SHARED:
            raise AccountError("not-shared", "Only a shared account (ORG, CAB) has members.")

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


def _new_id() -> AccountId:
    return AccountId("".join(secrets.choice(_ID_LETTERS) for _ in range(20)))


def _insert(tx: Transaction, account: AccountId, address: str, kind: Kind, now: int) -> None:
    tx.sql.run(
        "INSERT INTO account (id, address, kind, suspended, created) VALUES (?, ?, ?, ?, ?)",
        (account, address, kind.value, 0, now),
    )
    tx.open_account(account)


def _read(sql: Sql, account: AccountId, opener: Opener) -> Record:
    record = book.read_one(sql, account, opener)
    if record is None:
        raise AccountError("unknown-account", "There is no such account.")
    return record


def _by_fingerprint(certificate: bytes) -> str:
    return f"sha256:{hashlib.sha256(certificate).hexdigest()}"


def _by_name(subject: str, issuer: str) -> str:
    return f"name:{names.key(subject)} issued by {names.key(issuer)}"


def _now() -> int:
    return time.time_ns() // 1_000_000
