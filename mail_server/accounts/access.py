"""What a person may do in an account that is not theirs, asked by every door before it does it.

Invariants: the letters of the grant in force are the most there is, and the rules may only take from them
(`policies/rules/accounts.cedar`); one's own account needs no grant; nothing is remembered between two questions.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mail_server.accounts.entities import EVERY_RIGHT, account_entity, rights_in
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.store.model import AccountId
from policies import questions
from policies.interface import Decisions

READ, POST = "r", "p"
CHANGING = frozenset("eistw")  # RFC 4314 §5.2: with none of these a mailbox is open read-only


class Access:
    def __init__(
        self,
        accounts: Accounts,
        decisions: Decisions | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Without `decisions` (a door by itself) the letters alone count."""
        self._accounts = accounts
        self._decisions = decisions
        self._clock = clock

    def rights(self, person: AccountId, account: AccountId) -> str:
        """Letters of RFC 4314 §2.1 that count now; "" for nothing, also where there is no such account."""
        if person == account:
            return EVERY_RIGHT
        speaker, target = self._accounts.by_id(person), self._accounts.by_id(account)
        if speaker is None or target is None:
            return ""
        return "".join(
            letter
            for letter in rights_in(target, person, self._clock())
            if self._allowed(speaker, target, letter)
        )

    def may(self, person: AccountId, account: AccountId, needed: str) -> bool:
        """Whether this letter is among them."""
        if person == account:
            return True
        speaker, target = self._accounts.by_id(person), self._accounts.by_id(account)
        if speaker is None or target is None or needed not in rights_in(target, person, self._clock()):
            return False
        return self._allowed(speaker, target, needed)

    def shared_with(self, person: AccountId) -> list[Account]:
        """Accounts of others in which the person may do anything at all, by address."""
        return [each for each in self._accounts.shared_with(person) if self.rights(person, each.id)]

    def may_look_up(self, person: AccountId) -> bool:
        """Whether they may look somebody up in the directory. Without rules: professionals alone."""
        speaker = self._accounts.by_id(person)
        if speaker is None:
            return False
        if self._decisions is None:
            return speaker.kind is Kind.PER and not speaker.suspended
        question = questions.may_look_up(account_entity(speaker, self._clock()))
        return self._decisions.decide(question).allowed

    def may_describe(self, person: AccountId, account: AccountId, field: str) -> bool:
        """Whether they may say this of that mailbox in the directory. Without rules: nobody."""
        speaker, target = self._accounts.by_id(person), self._accounts.by_id(account)
        if speaker is None or target is None or self._decisions is None:
            return False
        at = self._clock()
        question = questions.may_describe(
            account_entity(speaker, at),
            account_entity(target, at),
            field,
            rights="" if person == account else rights_in(target, person, at),
        )
        return self._decisions.decide(question).allowed

    def _allowed(self, speaker: Account, target: Account, needed: str) -> bool:
        if speaker.suspended or target.suspended or target.closed:
            return False
        if self._decisions is None:
            return True
        at = self._clock()
        question = questions.may_open_account(
            account_entity(speaker, at),
            account_entity(target, at),
            rights=rights_in(target, speaker.id, at),
            needed=needed,
        )
        return self._decisions.decide(question).allowed
