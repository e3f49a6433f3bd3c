"""How often one account may ask something: so much in a minute, however many sessions it has.

Invariants: memory is bounded; a minute begins with the first question of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mail_server.store.model import AccountId
from webmail.login.problems import Problem

_MINUTE = 60_000
_ASKERS = 10_000


@dataclass(slots=True)
class _Spent:
    since: int
    count: int = 0


class PerMinute:
    def __init__(self, most: int, clock: Callable[[], int]) -> None:
        self._most = most
        self._clock = clock
        self._spent: dict[AccountId, _Spent] = {}

    def spend(self, account: AccountId, count: int = 1) -> None:
        """Raises Problem too-many."""
        now = self._clock()
        if len(self._spent) > _ASKERS:
            self._spent = {key: one for key, one in self._spent.items() if now - one.since < _MINUTE}
        spent = self._spent.get(account)
        if spent is None or now - spent.since >= _MINUTE:
            spent = self._spent[account] = _Spent(now)
        if spent.count + count > self._most:
            raise Problem("too-many", retry_after=max(1, (spent.since + _MINUTE - now) // 1000))
        spent.count += count
