"""What every service of the page stands on, and who stands before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from directory.certificates.interface import Directory
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.profiles import Profile
from mail_server.accounts.service import AccountService
from mail_server.keys.interface import OperatorKeys
from mail_server.keys.slots import Slots
from mail_server.store.interface import Store
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Decisions, Event
from webmail.login.counters import Counters
from webmail.login.problems import Problem
from webmail.login.secrets import PageSecrets
from webmail.login.sessions import PageSession, Sessions
from webmail.login.settings import PageSettings
from webmail.login.totp import Factors

OF_THE_PAGE = frozenset({Kind.PATIENT, Kind.PER})


@dataclass(frozen=True, slots=True)
class Visitor:
    """The browser that asks."""

    network: str  # IP address
    label: str  # "Firefox, Android"
    origin: str  # the page's own, "https://messagerie.example.org"
    session: PageSession | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    settings: PageSettings
    store: Store
    trail: AuditTrail
    audit: Callable[[Sequence[Event]], None]  # for what has no transaction of its own
    accounts: AccountService
    directory: Directory
    operator_keys: OperatorKeys
    decisions: Decisions
    slots: Slots
    factors: Factors
    secrets: PageSecrets = field(repr=False)
    sessions: Sessions
    resealing: Callable[[Account], None]  # the node's own re-seal, for professionals
    trace_full: Callable[[], bool] = lambda: False
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    profile_of: Callable[[AccountId], Profile] = lambda _: Profile()
    counters: Counters = field(default_factory=Counters)
    turns: dict[AccountId, asyncio.Lock] = field(default_factory=dict[AccountId, asyncio.Lock], repr=False)

    def account(self, session: PageSession) -> Account:
        """Raises Problem no-session."""
        account = self.accounts.by_id(session.account)
        if account is None or account.suspended:
            raise Problem("no-session")
        return account

    def find(self, user: str) -> Account | None:
        """Whom a typed name means: 13 or 15 digits, or an address."""
        typed = user.strip()
        found = self.accounts.by_ins(typed) or self.accounts.by_address(typed)
        return found if found is not None and found.kind in OF_THE_PAGE else None

    def turn(self, account: AccountId) -> asyncio.Lock:
        """One change of an account's keys at a time."""
        return self.turns.setdefault(account, asyncio.Lock())

    def needs_totp(self, account: Account) -> bool:
        return account.kind is Kind.PER and self.settings.totp_for_professionals

    def event(
        self,
        action: str,
        account: AccountId | str,
        visitor: Visitor | None,
        *,
        actor: str = "",
        outcome: str = "done",
        reference: str = "",
        session: str = "",
        **detail: str,
    ) -> Event:
        """An act of an account on itself, unless `actor` says otherwise."""
        if visitor is not None and visitor.label:
            detail["label"] = visitor.label
        if visitor is not None and visitor.session is not None:
            session = session or visitor.session.id
        return Event(
            action,
            self.clock(),
            actor or account,
            account,
            outcome,
            reference,
            session,
            visitor.network if visitor is not None else "",
            detail,
        )
