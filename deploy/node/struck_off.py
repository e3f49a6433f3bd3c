"""Who is gone from the national directory is out here too, in the same minute; who is back is in again.

Invariants: an account is found by its national identifier alone; what is undone is only what was done here
(`accounts.struck_off`); each word of the directory is acted on once; a word that would take the access of many of ours
at once is held back until an administrator says that it is right (`--force`): who supplies the file does not close the
house; what was done, or held back, is told to the trace as `listing-struck-off`, with the account and no name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from directory.listings.database import ListingsDatabase, Sql
from directory.model import Origin
from mail_server.accounts.interface import Account
from mail_server.accounts.service import AccountService
from policies.interface import Event

_log = logging.getLogger("vaguemestre.directory")
_AT_ONCE = 500  # identifiers of one question
_FEW = 5  # of ours at once that nobody has to confirm


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
        *,
        largest_fall: float = 0.05,
    ) -> None:
        """`largest_fall`: the part of ours that may be out at once without an administrator's word."""
        self._largest_fall = largest_fall
        self._held_back: tuple[str, ...] = ()
        self._accounts = accounts
        self._database = database
        self._audit = audit
        self._clock = clock

    @property
    def held_back(self) -> tuple[str, ...]:
        """Addresses of ours that are gone from the directory, too many at once to be believed."""
        return self._held_back

    async def look(self, *, force: bool = False) -> Looked:
        """Act on what the directory says now of professionals of ours. `force`: on however many."""
        ours, said = await asyncio.to_thread(self._asked)
        if not said:
            self._held_back = ()
            return Looked()
        acted_on = await self._accounts.struck_off()
        gone = [
            (ours[national_id], at)
            for national_id, at in said.items()
            # The same word a second time: an administrator knew better.
            if at is not None and at != acted_on.get(ours[national_id].id) and ours[national_id].practising
        ]
        self._hold_back(ours, [account for account, _ in gone], force=force)
        if self._held_back:
            gone = []
        out = [account for account, at in gone if await self._accounts.strike_off(account.id, at)]
        returned = [ours[one] for one, at in said.items() if at is None and ours[one].id in acted_on]
        back = [account for account in returned if await self._accounts.take_back(account.id)]
        now = self._clock()
        events = [_event(account, now, "lost") for account in out]
        events += [_event(account, now, "regained") for account in back]
        if events:
            self._audit(events)
        return Looked(tuple(one.address for one in out), tuple(one.address for one in back))

    def _hold_back(self, ours: Mapping[str, Account], gone: Sequence[Account], *, force: bool) -> None:
        practising = sum(account.practising for account in ours.values())
        few = len(gone) <= max(_FEW, self._largest_fall * practising)
        held = () if force or few else tuple(sorted(account.address for account in gone))
        if held and held != self._held_back:
            _log.error(
                "%d of %d professionals of ours are gone from the national directory: none is out before an "
                "administrator says that the file is right (`directory import FILE --force`)",
                len(held),
                practising,
            )
            detail = {"count": str(len(held))}
            self._audit(
                [
                    Event(
                        "listing-struck-off",
                        self._clock(),
                        "node",
                        outcome="refused",
                        detail=detail,
                        door="directory",
                    )
                ]
            )
        self._held_back = held

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
