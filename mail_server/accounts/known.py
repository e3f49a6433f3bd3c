"""Every account in memory, read from the database and following it.

Invariants: memory follows the database, never leads it (a change shows after its commit); every change writes its
audit event in the same transaction; those who must act at once on a change (doors closing sessions) are called
right after it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence

from mail_server.accounts import book
from mail_server.accounts.addresses import may_be_told
from mail_server.accounts.book import Book, Opener, Record
from mail_server.accounts.changes import AccountError, Change, differences
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.patients import PatientVault
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import Reader, Sql, Store, Transaction
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Event

_log = logging.getLogger("vaguemestre.accounts")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class KnownAccounts:
    """Implements `Accounts`; changes are made by who builds on it."""

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
        self.provider_holds: Callable[[AccountId, str], bool] = lambda _account, _session: False
        """Whether a session at an identity provider still lasts; set by who keeps them."""
        self.clock: Callable[[], int] = lambda: now_ms()
        """Which readers are in force is asked by it."""
        self._book = Book()
        self._writing = asyncio.Lock()
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
            fresh.keep_activated(self._book)
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
        return self._book.shared_with(person, self.clock())

    def by_national_id(self, national_id: str) -> Account | None:
        """The professional whom this idNat_PS names; closed accounts name nobody."""
        return self._book.by_national_id(national_id)

    def is_local_domain(self, domain: str) -> bool:
        domain = domain.lower()
        return domain in self._domains or domain == self._patient_domain

    def readers(self, account: AccountId) -> Sequence[Account]:
        return self._book.readers(account, self.clock())

    def holds(self, account: AccountId, credential: str) -> bool:
        record = self._book.record(account)
        if record is None or record.account.closed or not record.account.practising:
            return False
        if any(binding.id == credential for binding in record.bindings):
            return True
        found = next((each for each in record.passwords if each.id == credential), None)
        if found is not None:
            return found.in_time(now_ms())
        return self.sessions_hold(account, credential) or self.provider_holds(account, credential)

    def all(self) -> list[Account]:
        """Every account, by address."""
        return [record.account for record in self._book.records()]

    @property
    def patient_domain(self) -> str:
        return self._patient_domain

    def may_be_told(self, address: str) -> bool:
        """Whether an address from outside may stand in a log line or in the trace."""
        return may_be_told(address, self._patient_domain)

    # -- for changes

    def _opener(self) -> Opener:
        return Opener(self._vault, self._patient_domain)

    async def _change(
        self, account: AccountId, write: Callable[[Sql], None], event: Event, change: Change
    ) -> None:
        """Write and trace in one transaction, then show it in memory, then tell."""
        self._known(account)

        def operation(tx: Transaction) -> Record:
            write(tx.sql)
            self._audit.append(tx.sql, [event])
            return read_record(tx.sql, account, self._opener())

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


def new_id() -> AccountId:
    return AccountId("".join(secrets.choice(_ID_LETTERS) for _ in range(20)))


def insert_account(tx: Transaction, account: AccountId, address: str, kind: Kind, now: int) -> None:
    tx.sql.run(
        "INSERT INTO account (id, address, kind, suspended, created) VALUES (?, ?, ?, ?, ?)",
        (account, address, kind.value, 0, now),
    )
    tx.open_account(account)


def read_record(sql: Sql, account: AccountId, opener: Opener) -> Record:
    record = book.read_one(sql, account, opener)
    if record is None:
        raise AccountError("unknown-account", "There is no such account.")
    return record


def now_ms() -> int:
    return time.time_ns() // 1_000_000
