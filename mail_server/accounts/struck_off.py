"""Professionals of ours whom the national directory no longer has: out at once, and back when it has them again.

Invariants: what is undone here is only what was done here: whoever lost the right to practise by other means keeps
having lost it; an administrator who gives it back, knowing better, is not contradicted by the same word of the
directory again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mail_server.accounts.changes import Change, What
from mail_server.accounts.interface import Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.life import AccountLife
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId
from policies.interface import Event

_REASON = "no longer in the national directory"
_BACK = "in the national directory again"


class StruckOff(AccountLife):
    """The part of the accounts that follows the national directory's word."""

    async def struck_off(self) -> Mapping[AccountId, int]:
        """Whom its word was acted on for, and of when (ms) that word is."""
        rows = await self._store.read(
            lambda reader: reader.sql.all(
                "SELECT id, struck_off_at FROM account WHERE struck_off_at IS NOT NULL"
            )
        )
        return {AccountId(row[0]): int(row[1]) for row in rows}

    async def strike_off(self, account: AccountId, at: int) -> bool:
        """Every way in ends and the address receives no more, as by `practice_set`. `at`: when the word was said.

        False: nothing was to be done, or another node did it.
        """
        known = self._known(account)
        if known.kind is not Kind.PER or not known.practising:
            return False
        return await self._once(
            account,
            "UPDATE account SET practising = 0, struck_off_at = ? WHERE id = ? AND practising = 1",
            (at, account),
            _event("practice-lost", account, _REASON),
            What.PRACTICE_LOST,
        )

    async def take_back(self, account: AccountId) -> bool:
        """The directory has them again. What an administrator did meanwhile stays."""
        if self._known(account).practising:
            return await self._once(
                account,
                "UPDATE account SET struck_off_at = NULL WHERE id = ? AND struck_off_at IS NOT NULL",
                (account,),
                _event("listing-struck-off", account, _BACK, "withdrawn"),
                What.CHANGED,
            )
        return await self._once(
            account,
            "UPDATE account SET practising = 1, struck_off_at = NULL"
            " WHERE id = ? AND struck_off_at IS NOT NULL",
            (account,),
            _event("practice-regained", account, _BACK),
            What.PRACTICE_REGAINED,
        )

    async def _once(
        self, account: AccountId, statement: str, values: Sequence[Any], event: Event, what: What
    ) -> bool:
        def write(sql: Sql) -> None:
            if not sql.run(statement, values):
                raise _DoneAlready

        try:
            await self._change(account, write, event, Change(what, account))
        except _DoneAlready:
            return False
        return True


class _DoneAlready(Exception):
    """Another node was quicker: its transaction has the event."""


def _event(action: str, account: AccountId, reason: str, outcome: str = "done") -> Event:
    detail = {"means": "directory", "reason": reason}
    return Event(action, now_ms(), "node", account, outcome=outcome, detail=detail)
