"""Whom the page may write to, and with which certificates: asked before a letter is sealed in the browser.

Invariants: only what RCPT TO would accept is answered, refusals in the same words; an account, however many sessions
it has, asks about a bounded number of addresses a minute, so that nobody finds out by trying who has an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.accounts.interface import Account
from mail_server.store.interface import Reader
from policies.refusal import Refusal
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession

MOST = 50  # addresses of one request
_MINUTE = 60_000
_YEAR = 365 * 24 * 60 * _MINUTE
_ASKERS = 10_000
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


@dataclass(slots=True)
class _Spent:
    since: int
    count: int = 0


class Lookups:
    def __init__(self, ground: Ground, addressees: Addressees, conversations: Conversations) -> None:
        self._ground = ground
        self._addressees = addressees
        self._conversations = conversations
        self._spent: dict[str, _Spent] = {}

    async def certificates(self, session: PageSession, addresses: Sequence[str]) -> list[Found]:
        speaker = self._ground.account(session)
        self._spend(speaker, len(addresses))
        return [await self._one(speaker, address) for address in addresses]

    async def _one(self, speaker: Account, address: str) -> Found:
        try:
            return Found(address, await self._addressees.addressee(speaker, address))
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
        now = self._ground.clock()
        if len(self._spent) > _ASKERS:
            self._spent = {key: one for key, one in self._spent.items() if now - one.since < _MINUTE}
        spent = self._spent.get(speaker.id)
        if spent is None or now - spent.since >= _MINUTE:
            spent = self._spent[speaker.id] = _Spent(now)
        if spent.count + count > max(self._ground.settings.lookups_per_minute, MOST):
            self._ground.counters.crowded_lookups += 1
            raise Problem("too-many", retry_after=max(1, (spent.since + _MINUTE - now) // 1000))
        spent.count += count
        self._ground.counters.lookups += count
