"""Who is gone from the national directory is out here too, in the same minute; who is back is in again.

Invariants: an account is found by its national identifier alone; what is undone is only what was done here
(`accounts.struck_off`); each word of the directory is acted on once; what was done is told to the trace as
`listing-struck-off`, with the account and no name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from directory.listings.database import ListingsDatabase, Sql
from directory.model import Origin
from mail_server.accounts.interface import Account
from mail_server.accounts.service import AccountService
from policies.interface import Event

_AT_ONCE = 500  # identifiers of one question


@dataclass(frozen=True, slots=True)
class Looked:
    """Addresses of ours."""

    out: tuple[str, ...] = ()
    back: tuple[str, ...] = ()


class StruckOff:
    def __init__(
        self,
        accounts: AccountService,
        database: ListingsDatabase,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._database = database
        self._audit = audit
        self._clock = clock

    async def look(self) -> Looked:
        """Act on what the directory says now of professionals of ours."""
        ours, said = await asyncio.to_thread(self._asked)
        if not said:
            return Looked()
        acted_on = await self._accounts.struck_off()
        out: list[Account] = []
        back: list[Account] = []
        for national_id, at in said.items():
            account = ours[national_id]
            before = acted_on.get(account.id)
            if at is None and before is not None:
                if await self._accounts.take_back(account.id):
                    back.append(account)
            # The same word a second time: an administrator knew better.
            elif at is not None and at != before and account.practising:  # noqa: SIM102 - what is asked, what is done
                if await self._accounts.strike_off(account.id, at):
                    out.append(account)
        now = self._clock()
        events = [_event(account, now, "lost") for account in out]
        events += [_event(account, now, "regained") for account in back]
        if events:
            self._audit(events)
        return Looked(tuple(one.address for one in out), tuple(one.address for one in back))

    def _asked(self) -> tuple[Mapping[str, Account], Mapping[str, int | None]]:
        """In a thread: professionals of ours by their identifier, and what the directory says of them."""
        ours = {
            account.national_id: account
            for account in self._accounts.all()
            if account.national_id and not account.closed
        }
        return ours, self._database.read(lambda sql: _said(sql, ours)) if ours else {}

    async def standing(self) -> tuple[str, ...]:
        """Addresses of ours that are out for it now."""
        acted_on = await self._accounts.struck_off()
        found = [self._accounts.by_id(account) for account in acted_on]
        return tuple(sorted(one.address for one in found if one is not None and not one.practising))


def _said(sql: Sql, national_ids: Iterable[str]) -> Mapping[str, int | None]:
    """Of those the national files told of: when it struck them off; None: it has them."""
    said: dict[str, int | None] = {}
    wanted = sorted(national_ids)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        statement = f"SELECT national_id, struck_off_at FROM professional WHERE origin = ? AND national_id IN ({marks})"  # noqa: S608
        rows = sql.all(statement, (Origin.NATIONAL.value, *some))
        said |= {row[0]: None if row[1] is None else int(row[1]) for row in rows}
    return said


def _event(account: Account, at: int, state: str) -> Event:
    return Event("listing-struck-off", at, "node", account.id, detail={"state": state}, door="directory")
