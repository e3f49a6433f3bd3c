"""Every account of the node in memory, and how it is read from the tables.

Invariants: a `Record` is one account exactly as the database holds it; the book is only changed by whole
records, on the event loop; look-ups never touch the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mail_server.accounts.app_passwords import AppPassword, Verifier
from mail_server.accounts.entities import rights_in
from mail_server.accounts.interface import Account, Contact, Grant, Kind, Results, Role
from mail_server.accounts.patients import PatientRow, PatientVault
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId

SHARED = frozenset({Kind.ORG, Kind.CAB})


@dataclass(frozen=True, slots=True)
class CertificateBinding:
    """A client certificate that speaks for an account (SASL EXTERNAL)."""

    id: str
    account: AccountId
    matched: str  # "sha256:<hex>", or "name:<subject> issued by <issuer>"
    created: int


@dataclass(frozen=True, slots=True)
class Record:
    """An account with its credentials."""

    account: Account
    passwords: tuple[AppPassword, ...] = ()
    bindings: tuple[CertificateBinding, ...] = ()
    patient: PatientRow | None = None


class Book:
    """Implements the look-ups of `Accounts`, but for local domains."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records: dict[AccountId, Record] = {}
        self._by_address: dict[str, AccountId] = {}
        self._shared_with: dict[AccountId, set[AccountId]] = {}
        self._bindings: dict[str, CertificateBinding] = {}
        self._by_national_id: dict[str, AccountId] = {}
        for record in records:
            self.put(record)

    def put(self, record: Record) -> None:
        """Take a record in, in place of the one the account had."""
        account = record.account
        if old := self._records.get(account.id):
            record = _still_activated(record, old)
            account = record.account
            for grant in old.account.grants:
                self._shared_with[grant.person].discard(account.id)
            for binding in old.bindings:
                self._bindings.pop(binding.matched, None)
            if self._by_national_id.get(old.account.national_id) == account.id:
                del self._by_national_id[old.account.national_id]
        self._records[account.id] = record
        self._by_address[account.address] = account.id
        if account.alias:
            self._by_address[account.alias] = account.id
        if account.national_id and not account.closed:
            self._by_national_id[account.national_id] = account.id
        for grant in account.grants:
            self._shared_with.setdefault(grant.person, set()).add(account.id)
        for binding in record.bindings:
            self._bindings[binding.matched] = binding

    def keep_activated(self, before: Book) -> None:
        """What was read before an activation that is durable by now does not undo it: there is no way back."""
        for known in before.records():
            if record := self._records.get(known.account.id):
                self._records[known.account.id] = _still_activated(record, known)

    def records(self) -> list[Record]:
        return sorted(self._records.values(), key=lambda record: record.account.address)

    def record(self, account: AccountId) -> Record | None:
        return self._records.get(account)

    def by_id(self, account: AccountId) -> Account | None:
        record = self._records.get(account)
        return record.account if record else None

    def by_address(self, address: str) -> Account | None:
        found = self._by_address.get(address) or self._by_address.get(address.lower())
        return self._records[found].account if found else None

    def shared_with(self, person: AccountId, at: int) -> list[Account]:
        shared = [
            account
            for each in self._shared_with.get(person, ())
            if rights_in(account := self._records[each].account, person, at)
        ]
        return sorted(shared, key=lambda account: account.address)

    def readers(self, account: AccountId, at: int) -> list[Account]:
        """The holder first, then everyone who may read along at that time and whose own account is alive."""
        holder = self.by_id(account)
        if holder is None:
            return []
        others = [
            found
            for grant in holder.grants
            if grant.in_force(at)
            and "r" in grant.rights
            and (found := self.by_id(grant.person))
            and _reads(found)
        ]
        others.sort(key=lambda each: each.address)
        return others if holder.kind in SHARED else [holder, *others]

    def by_national_id(self, national_id: str) -> Account | None:
        found = self._by_national_id.get(national_id)
        return self._records[found].account if found else None

    def binding(self, matched: str) -> CertificateBinding | None:
        return self._bindings.get(matched)


def _reads(person: Account) -> bool:
    return not person.suspended and not person.closed and person.practising


def _still_activated(record: Record, known: Record) -> Record:
    if record.account.activated or not known.account.activated:
        return record
    return replace(record, account=replace(record.account, activated=True), patient=known.patient)


_ACCOUNT = (
    "SELECT id, address, kind, suspended, national_id, practising, contact, sector, seen_per_person, closed,"
    " software, copy_to_software, sealed_only, results, opposed FROM account"
)
_MEMBER = "SELECT account, member, role, rights, since, until FROM account_member"
_CREDENTIAL = (
    "SELECT id, account, label, salt, iterations, stored_key, server_key, protocols,"
    " created, expires, last_used, network, made_by, last_place FROM app_password"
)
_BINDING = "SELECT id, account, matched, created FROM certificate_binding"
_PATIENT = "SELECT account, number, traits, activated_at FROM patient"


@dataclass(frozen=True, slots=True)
class Opener:
    """How patients' rows are opened. Without a vault they keep their opaque address alone."""

    vault: PatientVault | None = None
    patient_domain: str = ""

    def account(self, found: Account, row: PatientRow | None) -> Account:
        if found.kind is not Kind.PATIENT:
            return found
        local = self.vault.alias_local_part(found.id, row) if self.vault and row else ""
        return replace(
            found,
            activated=row is not None and row.activated_at is not None,
            alias=f"{local}@{self.patient_domain}" if local else "",
        )


def read_all(sql: Sql, opener: Opener) -> list[Record]:
    """Every account. For start and reload."""
    return _records(
        opener,
        sql.all(_ACCOUNT),
        sql.all(f"{_MEMBER} ORDER BY member"),
        sql.all(_CREDENTIAL),
        sql.all(_BINDING),
        sql.all(_PATIENT),
    )


def read_one(sql: Sql, account: AccountId, opener: Opener) -> Record | None:
    """One account, as the transaction sees it."""
    records = _records(
        opener,
        sql.all(f"{_ACCOUNT} WHERE id = ?", (account,)),
        sql.all(f"{_MEMBER} WHERE account = ? ORDER BY member", (account,)),
        sql.all(f"{_CREDENTIAL} WHERE account = ?", (account,)),
        sql.all(f"{_BINDING} WHERE account = ?", (account,)),
        sql.all(f"{_PATIENT} WHERE account = ?", (account,)),
    )
    return records[0] if records else None


Rows = Sequence[tuple[Any, ...]]


def _records(
    opener: Opener, accounts: Rows, members: Rows, passwords: Rows, bindings: Rows, patients: Rows
) -> list[Record]:
    grants_of: dict[str, list[Grant]] = {}
    for row in members:
        grants_of.setdefault(row[0], []).append(_grant(row))
    passwords_of: dict[str, list[AppPassword]] = {}
    for row in sorted(passwords, key=lambda row: (row[8], row[0])):
        passwords_of.setdefault(row[1], []).append(_password(row))
    bindings_of: dict[str, list[CertificateBinding]] = {}
    for key, account, matched, created in bindings:
        bindings_of.setdefault(account, []).append(
            CertificateBinding(key, AccountId(account), matched, int(created))
        )
    patient_of = {
        account: PatientRow(bytes(number), bytes(traits), None if at is None else int(at))
        for account, number, traits, at in patients
    }
    return [
        Record(
            opener.account(
                _account(row, tuple(grants_of.get(row[0], ()))),
                patient_of.get(row[0]),
            ),
            tuple(passwords_of.get(row[0], ())),
            tuple(bindings_of.get(row[0], ())),
            patient_of.get(row[0]),
        )
        for row in accounts
    ]


def _account(row: tuple[Any, ...], grants: tuple[Grant, ...]) -> Account:
    (key, address, kind, suspended, national_id, practising, contact, sector, seen_per_person, closed, software,
     copies, sealed_only, results, opposed) = row  # fmt: skip
    return Account(
        id=AccountId(key),
        address=address,
        kind=Kind(kind),
        suspended=bool(suspended),
        members=tuple(grant.person for grant in grants if grant.role is Role.MEMBER),
        grants=grants,
        national_id=national_id,
        practising=bool(practising),
        contact=Contact(contact),
        sector=sector,
        closed=closed is not None,
        seen_per_person=bool(seen_per_person),
        software=AccountId(software) if software else None,
        copy_to_software=bool(copies),
        sealed_only=bool(sealed_only),
        results=Results(results) if results else None,
        opposed=opposed is not None,
    )


def _grant(row: tuple[Any, ...]) -> Grant:
    _, person, role, rights, since, until = row
    return Grant(AccountId(person), Role(role), rights, int(since), None if until is None else int(until))


def _password(row: tuple[Any, ...]) -> AppPassword:
    (key, account, label, salt, iterations, stored_key, server_key, protocols, created, expires, last_used,
     network, made_by, last_place) = row  # fmt: skip
    return AppPassword(
        id=key,
        account=account,
        label=label,
        verifier=Verifier(bytes(salt), int(iterations), bytes(stored_key), bytes(server_key)),
        protocols=frozenset(protocols.split()),
        created=int(created),
        expires=None if expires is None else int(expires),
        last_used=None if last_used is None else int(last_used),
        network=network,
        made_by=made_by,
        last_place=last_place,
    )
