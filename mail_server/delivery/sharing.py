"""Who reads along is changed here, whoever asks: the page, IMAP's SETACL, the console.

Invariants: the rules are asked (`accounts.share`), and a refusal is in the trace; someone who could not open what is
sealed is not let in to read it, for a member without a key would take the whole account back into custody; whoever
reads an account may leave it by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from directory.certificates.interface import Directory, Standing
from mail_server.accounts.book import SHARED
from mail_server.accounts.changes import AccountError
from mail_server.accounts.entities import account_entity, rights_in
from mail_server.accounts.grants import Grants, role_for
from mail_server.accounts.interface import Account, Grant, Role
from mail_server.delivery.plan import Planner, Treatment
from mail_server.store.model import AccountId
from policies import questions
from policies.interface import Decisions, Event
from policies.refusal import Refusal


class Sharing(Protocol):
    """As a door sees it. All raise AccountError."""

    async def let(
        self, by: AccountId, account: AccountId, person: AccountId, rights: str, until: int | None
    ) -> Grant: ...
    async def end(self, by: AccountId, account: AccountId, person: AccountId) -> None: ...


class ReaderChanges:
    """Implements `Sharing`."""

    def __init__(
        self,
        *,
        accounts: Grants,
        planner: Planner,
        directory: Directory,
        decisions: Decisions,
        audit: Callable[[Sequence[Event]], None],
        resealing: Callable[[Account], None] = lambda _: None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._accounts = accounts
        self._planner = planner
        self._directory = directory
        self._decisions = decisions
        self._audit = audit
        self._resealing = resealing
        self._clock = clock

    def may_share(self, by: AccountId, account: Account) -> bool:
        """Whether this person may make and end readers of it now."""
        person = self._accounts.by_id(by)
        if person is None:
            return False
        at = self._clock()
        question = questions.may_share(
            account_entity(person, at),
            account_entity(account, at),
            role=role_for(account.kind).value,
            rights=rights_in(account, by, at),
        )
        return self._decisions.decide(question).allowed

    async def let(
        self, by: AccountId, account: AccountId, person: AccountId, rights: str, until: int | None
    ) -> Grant:
        """Let a person read an account, or change how, in the name of who may. Raises AccountError."""
        self._require(by, account)
        return await self.grant(account, person, rights, until, by)

    async def end(self, by: AccountId, account: AccountId, person: AccountId) -> None:
        """A reader reads no more. Everyone may leave. Raises AccountError."""
        if by != person:
            self._require(by, account)
        await self._accounts.grant_end(account, person, by)

    async def set_seen(self, by: AccountId, account: AccountId, per_person: bool) -> None:
        self._require(by, account)
        await self._accounts.seen_per_person_set(account, per_person, by)

    async def grant(
        self,
        account: AccountId,
        person: AccountId,
        rights: str,
        until: int | None,
        by: str,
        role: Role | None = None,
    ) -> Grant:
        """What remains once it is sure that they may: the administrator comes here. Raises AccountError."""
        target, reader = self._known(account), self._known(person)
        if "r" in rights:
            self._require_key(target, reader)
        role = role_for(target.kind) if role is None else role
        made = await self._accounts.grant_set(account, person, role, rights, until, by)
        self._resealing(self._known(account))
        return made

    # -- inside

    def _require(self, by: AccountId, account: AccountId) -> None:
        target = self._known(account)
        if self.may_share(by, target):
            return
        self._audit([Event("refuse", self._clock(), by, account, outcome="sharing-not-yours")])
        raise AccountError("not-yours", "You may not say who reads this mailbox.")

    def _require_key(self, target: Account, reader: Account) -> None:
        standing = self._directory.certificate(reader.address, self._clock()).standing
        if standing is Standing.VALID or not self._sealed(target):
            return
        raise AccountError(
            "no-key",
            f"{reader.address} has no valid certificate: letters to {target.address} could no longer be "
            "sealed for every reader. Publish one first (vaguemestre key publish).",
        )

    def _sealed(self, target: Account) -> bool:
        if target.kind in SHARED and not target.members:
            return False  # nobody reads it yet: nothing is sealed
        try:
            return self._planner.plan(target).treatment is not Treatment.CUSTODY
        except Refusal as refusal:
            return refusal.reason == "no-active-reader"

    def _known(self, account: AccountId) -> Account:
        found = self._accounts.by_id(account)
        if found is None:
            raise AccountError("unknown-account", "There is no such account.")
        return found
