"""What changed in an account, for those who must act on it at once, and why a change was refused."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mail_server.accounts.book import Record
from mail_server.accounts.interface import Account, Grant
from mail_server.store.model import AccountId


class AccountError(Exception):
    """A change that was refused. `reason` is a stable slug, `sentence` is for the person who asked."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sentence = sentence


class What(enum.Enum):
    ADDED = "added"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"
    MEMBER_ADDED = "member-added"
    MEMBER_REMOVED = "member-removed"
    CREDENTIAL_ADDED = "credential-added"
    CREDENTIAL_REVOKED = "credential-revoked"
    ACTIVATED = "activated"
    PRACTICE_LOST = "practice-lost"  # every way in ends
    PRACTICE_REGAINED = "practice-regained"
    CLOSED = "closed"
    CHANGED = "changed"  # who may write first, the sector, how \Seen is kept, a reader's rights or end


@dataclass(frozen=True, slots=True)
class Change:
    what: What
    account: AccountId
    member: AccountId | None = None  # MEMBER_ADDED, MEMBER_REMOVED
    credential: str = ""  # CREDENTIAL_REVOKED: sessions that it opened should end


def differences(before: Iterable[Record], after: Iterable[Record]) -> Iterator[Change]:
    """What changed between two readings of the tables. An account is never deleted."""
    old = {record.account.id: record for record in before}
    for record in after:
        account = record.account
        was = old.get(account.id)
        if was is None:
            yield Change(What.ADDED, account.id)
            continue
        if account.suspended != was.account.suspended:
            yield Change(What.SUSPENDED if account.suspended else What.REINSTATED, account.id)
        if account.practising != was.account.practising:
            yield Change(What.PRACTICE_REGAINED if account.practising else What.PRACTICE_LOST, account.id)
        if account.closed and not was.account.closed:
            yield Change(What.CLOSED, account.id)
        if _manner(account) != _manner(was.account) or _other_rights(account, was.account):
            yield Change(What.CHANGED, account.id)
        if account.activated and not was.account.activated:
            yield Change(What.ACTIVATED, account.id)
        readers, were_readers = _readers(account), _readers(was.account)
        for member in readers.keys() - were_readers.keys():
            yield Change(What.MEMBER_ADDED, account.id, member)
        for member in were_readers.keys() - readers.keys():
            yield Change(What.MEMBER_REMOVED, account.id, member)
        held, holds = _credentials(was), _credentials(record)
        for credential in held - holds:
            yield Change(What.CREDENTIAL_REVOKED, account.id, credential=credential)
        if holds - held:
            yield Change(What.CREDENTIAL_ADDED, account.id)


def _manner(account: Account) -> tuple[object, ...]:
    return (
        account.contact,
        account.sector,
        account.seen_per_person,
        account.national_id,
        account.software,
        account.copy_to_software,
        account.sealed_only,
        account.results,
        account.opposed,
    )


def _readers(account: Account) -> dict[AccountId, Grant]:
    return {grant.person: grant for grant in account.grants}


def _other_rights(account: Account, was: Account) -> bool:
    readers, were_readers = _readers(account), _readers(was)
    return any(readers[person] != were_readers[person] for person in readers.keys() & were_readers.keys())


def _credentials(record: Record) -> set[str]:
    return {password.id for password in record.passwords} | {binding.id for binding in record.bindings}
