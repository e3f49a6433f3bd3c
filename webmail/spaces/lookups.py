"""Whom the page may write to, and with which certificates: asked before a letter is sealed in the browser.

Invariants: only what RCPT TO would accept is answered, refusals in the same words; an account, however many sessions
it has, asks about a bounded number of addresses a minute, so that nobody finds out by trying who has an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.accounts.interface import Account
from mail_server.delivery.suggestions import NotMeant
from mail_server.store.interface import Reader
from policies.refusal import Refusal
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.per_minute import PerMinute

MOST = 50  # addresses of one request
_YEAR = 365 * 86_400_000
_PHARMACY = "SA33"  # TRE_R02


class Addressee(Protocol):
    """`mail_server.delivery.addressees.Addressee`."""

    @property
    def address(self) -> str: ...
    @property
    def guard(self) -> str: ...
    @property
    def certificates(self) -> tuple[bytes, ...]: ...
    @property
    def patient(self) -> bool: ...
    @property
    def suggestions(self) -> tuple[str, ...]: ...
    @property
    def largest(self) -> int: ...


class Addressees(Protocol):
    async def addressee(self, speaker: Account, address: str) -> Addressee:
        """Raises Refusal."""
        ...


class Correspondence(Protocol):
    """`mail_server.conversations.conversations.Correspondence`."""

    @property
    def address(self) -> str: ...
    @property
    def open(self) -> bool: ...
    @property
    def last_at(self) -> int: ...
    @property
    def closed(self) -> frozenset[str]: ...


class Conversations(Protocol):
    def of(self, reader: Reader, account: Account) -> Sequence[Correspondence]: ...
    def dispensed(self, reader: Reader, account: Account, since: int) -> Sequence[Correspondence]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One address: an addressee, or why not."""

    asked: str = field(repr=False)
    addressee: Addressee | None
    error: str = ""
    sentence: str = ""
    suggestions: tuple[str, ...] = field(default=(), repr=False)  # who else may have been meant


class Lookups:
    def __init__(self, ground: Ground, addressees: Addressees, conversations: Conversations) -> None:
        self._ground = ground
        self._addressees = addressees
        self._conversations = conversations
        self._rate = PerMinute(max(ground.settings.lookups_per_minute, MOST), ground.clock)

    async def certificates(self, session: PageSession, addresses: Sequence[str]) -> list[Found]:
        speaker = self._ground.account(session)
        self._spend(speaker, len(addresses))
        return [await self._one(speaker, address) for address in addresses]

    async def _one(self, speaker: Account, address: str) -> Found:
        try:
            found = await self._addressees.addressee(speaker, address)
            return Found(address, found, suggestions=found.suggestions)
        except NotMeant as refusal:
            return Found(address, None, refusal.reason, refusal.sentence, refusal.suggestions)
        except Refusal as refusal:
            return Found(address, None, refusal.reason, refusal.sentence)

    async def correspondents(self, session: PageSession) -> Sequence[Correspondence]:
        """Those with whom letters went to and fro; then the pharmacies that dispensed to this patient within a year."""
        account = self._ground.account(session)
        since = self._ground.clock() - _YEAR

        def read(reader: Reader) -> list[Correspondence]:
            known = list(self._conversations.of(reader, account))
            met = {one.address for one in known}
            sellers = self._conversations.dispensed(reader, account, since)
            return known + [one for one in sellers if one.address not in met]

        return await self._ground.store.read(read)

    def is_pharmacy(self, address: str) -> bool:
        """Whether a correspondent is a dispensing pharmacy of this node: where a prescription may go."""
        found = self._ground.accounts.by_address(address)
        return found is not None and found.sector == _PHARMACY

    def _spend(self, speaker: Account, count: int) -> None:
        """Raises Problem too-many."""
        try:
            self._rate.spend(speaker.id, count)
        except Problem:
            self._ground.counters.crowded_lookups += 1
            raise
        self._ground.counters.lookups += count
