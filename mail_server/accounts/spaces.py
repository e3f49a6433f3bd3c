"""Patients' spaces: opened for a qualified INS, found by it, activated by their holder.

Invariants: one number has one space; what is activated never waits again; whoever asks for an identity gets it
opened now, and nothing of it is kept open.
"""

from __future__ import annotations

from dataclasses import replace

from mail_server.accounts.book import Opener, Record
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.ins import InsRefused
from mail_server.accounts.ins import parse as parsed_ins
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.known import KnownAccounts, insert_account, new_id, now_ms, read_record
from mail_server.accounts.patients import PatientIdentity, PatientVault, checked
from mail_server.keys.interface import KeyUnavailable
from mail_server.store.interface import Transaction
from mail_server.store.model import AccountId
from policies.interface import Event


class PatientSpaces(KnownAccounts):
    """The part of the accounts that concerns patients."""

    def by_ins(self, text: str) -> Account | None:
        """The space of a number, with its key or without, or of its address. None for whatever else."""
        address = self._address_of_number(text)
        return self._book.by_address(address) if address is not None else None

    def spelt(self, user: str) -> str:
        """One spelling for all ways to type one name, whether or not somebody has it: what is derived from a name
        for want of an account must not tell, by differing, that there is none."""
        return self._address_of_number(user) or user.strip().lower()

    def _address_of_number(self, text: str) -> str | None:
        local, at, domain = text.strip().rpartition("@")
        if at and domain.lower() != self._patient_domain:
            return None
        try:
            number = parsed_ins(local if at else text)
        except InsRefused:
            return None
        return f"{number.local_part}@{self._patient_domain}"

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
        account = new_id()
        address = f"{account}@{self._patient_domain}"
        now = now_ms()

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
            insert_account(tx, account, address, Kind.PATIENT, now)
            event = Event("account-add", now, by, account, detail={"kind": Kind.PATIENT.value})
            self._audit.append(tx.sql, [event])
            return vault, read_record(tx.sql, account, Opener(vault, self._patient_domain))

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
        now = now_ms() if at is None else at
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
                patient=replace(record.patient, activated_at=now_ms() if at is None else at),
            )
        )
        self._announce(Change(What.ACTIVATED, account))
