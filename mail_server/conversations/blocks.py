"""Whom a patient does not want letters from, and where a pharmacy dispensed to them: facts for the rules.

Invariants: a block names a professional or an organisation; what it says of an address tells nobody else who blocked
it; a dispensing older than a year is forgotten.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.model import Party
from mail_server.store.interface import Reader, Transaction
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Event

MOST = 1000  # blocks of one patient


@dataclass(frozen=True, slots=True)
class Block:
    address: str = field(repr=False)
    kind: str  # "PER", "ORG"..., "" for somebody of another operator
    since: int


class TooManyBlocks(Exception):
    """Nobody blocks so many."""


class Blocks:
    def __init__(self, *, accounts: Accounts, conversations: Conversations, trail: AuditTrail) -> None:
        self._accounts = accounts
        self._conversations = conversations
        self._trail = trail

    def of(self, reader: Reader, patient: AccountId) -> list[Block]:
        """Newest first."""
        found: list[Block] = []
        for key, wrapped, since in reader.sql.all(
            "SELECT correspondent, address, since FROM correspondent_block WHERE patient = ?"
            " ORDER BY since DESC, correspondent",
            (patient,),
        ):
            account = self._accounts.by_id(AccountId(key))
            address = self._conversations.address_of(key, wrapped)
            if address:
                found.append(Block(address, account.kind.value if account else "", int(since)))
        return found

    def block(self, transaction: Transaction, patient: Account, address: str, at: int) -> bool:
        """False for what is no address. Raises TooManyBlocks."""
        party = self._party(address)
        if party is None:
            return False
        row = transaction.sql.one("SELECT count(*) FROM correspondent_block WHERE patient = ?", (patient.id,))
        if row is not None and row[0] >= MOST:
            raise TooManyBlocks
        made = transaction.sql.run(
            "INSERT INTO correspondent_block (patient, correspondent, address, since) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (patient.id, party.key, party.address, at),
        )
        if made:
            self._note(transaction, "block", patient, party, at)
        return True

    def unblock(self, transaction: Transaction, patient: Account, address: str, at: int) -> bool:
        party = self._party(address)
        gone = party is not None and transaction.sql.run(
            "DELETE FROM correspondent_block WHERE patient = ? AND correspondent = ?", (patient.id, party.key)
        )
        if gone and party is not None:
            self._note(transaction, "unblock", patient, party, at)
        return bool(gone)

    def blocked(self, reader: Reader, patient: AccountId, others: Iterable[str]) -> bool:
        """Whether the patient blocked one of these (`key` of a party, or an account id)."""
        return any(
            reader.sql.one(
                "SELECT 1 FROM correspondent_block WHERE patient = ? AND correspondent = ?", (patient, other)
            )
            for other in others
        )

    def _party(self, address: str) -> Party | None:
        """Also an address that nobody has: an answer would tell."""
        address = address.strip()
        local, at, domain = address.rpartition("@")
        if not at or not local or not domain or len(address) > 254 or not address.isprintable():
            return None
        found = self._accounts.by_address(address)
        # A patient is taken like somebody unknown, which changes nothing for either: a refusal would tell that
        # there is such a patient.
        if found is not None and found.kind is not Kind.PATIENT:
            return self._conversations.party(address)
        return self._conversations.stranger(address)

    def _note(self, transaction: Transaction, action: str, patient: Account, party: Party, at: int) -> None:
        detail = {"account": party.key} if party.address is None else {}
        self._trail.append(
            transaction.sql,
            [
                Event(
                    action=f"correspondent-{action}",
                    at=at,
                    actor=patient.id,
                    subject=patient.id,
                    detail=detail,
                )
            ],
        )


class Dispensings:
    """Proof that a pharmacy dispensed to a patient, as the operator's pharmacy system reports it."""

    def record(self, transaction: Transaction, patient: AccountId, pharmacy: AccountId, at: int) -> None:
        """The latest one counts."""
        transaction.sql.run(
            "INSERT INTO dispensing (patient, pharmacy, at) VALUES (?, ?, ?) ON CONFLICT (patient, pharmacy)"
            " DO UPDATE SET at = CASE WHEN excluded.at > dispensing.at THEN excluded.at ELSE dispensing.at END",
            (patient, pharmacy, at),
        )

    def within_a_year(self, reader: Reader, patient: AccountId, pharmacy: AccountId, now: int) -> bool:
        row = reader.sql.one(
            "SELECT at FROM dispensing WHERE patient = ? AND pharmacy = ?", (patient, pharmacy)
        )
        return row is not None and a_year_before(now) <= row[0] <= now

    def forget_old(self, transaction: Transaction, now: int) -> int:
        return transaction.sql.run("DELETE FROM dispensing WHERE at < ?", (a_year_before(now),))


def a_year_before(now: int) -> int:
    """The same day of the year before, in ms UTC."""
    day = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC)
    try:
        before = day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        before = day.replace(year=day.year - 1, day=28)
    return int(before.timestamp() * 1000)
