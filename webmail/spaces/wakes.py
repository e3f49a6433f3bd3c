"""`/api/wakes`: times at which somebody wants their open pages to be told, and the clock that tells them.

A reminder is computed in the browser, which alone knows appointments. What it asks of the node is to be woken: times
that it spread and mixed with others that mean nothing (`webmail/ui/src/lib/agenda_wakes.ts`).

Invariants: account and time are all that is stored, and a time goes soon after it has passed, also when the node was
away then; only who reads with a key of their own has an agenda in the page, and may ask; a list replaces the one
before; a time that passes while the node is away is told to who listens within `LATE` of it; telling says nothing but
that a time has come, to the account's own pages alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from mail_server.accounts.interface import Account, Kind
from mail_server.store.interface import Reader, StoreError, Transaction
from mail_server.store.model import AccountId
from webmail.login.front import Body, Front, answer, body, router
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.conversations import reading

log = logging.getLogger("vaguemestre.page")
MOST = 64  # times of one account
FURTHEST = 62 * 86_400_000  # ms from now: a page that is never opened wants none later
LATE = 120_000  # ms after its time that a wake is still told to who comes to listen
KEPT = 600_000  # ms after which a time that passed goes
LOOK = 15.0  # seconds: another node may have stored a time

_ALL_OF = "SELECT at FROM wake WHERE account = ? ORDER BY at"
_DUE = "SELECT DISTINCT account FROM wake WHERE at > ? AND at <= ?"
_NEXT = "SELECT min(at) FROM wake WHERE at > ?"
_FIRST = "SELECT min(at) FROM wake"


class Times(Body):
    at: Annotated[list[Annotated[int, Field(ge=0, lt=2**53)]], Field(max_length=MOST)]


class Wakes:
    """See above. `start` once the store has started, `stop` before it stops."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._upto = 0  # told until then
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.tell: Callable[[Sequence[AccountId]], None] = lambda _: None  # JMAP's event sources

    # -- what is asked for

    async def of(self, session: PageSession) -> list[int]:
        account = self._account(session).id
        rows = await self._ground.store.read(lambda reader: reader.sql.all(_ALL_OF, (account,)))
        return [row[0] for row in rows]

    async def replace(self, session: PageSession, times: Sequence[int]) -> list[int]:
        """Raises Problem bad-request for a time that has passed or lies too far away, forbidden."""
        account, now = self._account(session).id, self._ground.clock()
        wanted = sorted(set(times))
        if wanted and (wanted[0] <= now or wanted[-1] > now + FURTHEST):
            raise Problem("bad-request", detail="at")

        def write(transaction: Transaction) -> None:
            transaction.sql.run("DELETE FROM wake WHERE account = ? AND at > ?", (account, now))
            for at in wanted:
                transaction.sql.run("INSERT INTO wake (account, at) VALUES (?, ?)", (account, at))

        await self._ground.store.write(write)
        self._changed.set()
        return wanted

    def _account(self, session: PageSession) -> Account:
        """Raises Problem forbidden where letters are not sealed to a key of the holder's own."""
        account = self._ground.account(session)
        standing = self._ground.directory.certificate(account.address, self._ground.clock())
        if account.kind is not Kind.PATIENT and standing.certificate is None:
            raise Problem("forbidden")
        return account

    async def just_passed(self, account: AccountId) -> bool:
        """Whether a time has passed that who comes to listen now may have missed."""
        now = self._ground.clock()
        sql = "SELECT 1 FROM wake WHERE account = ? AND at > ? AND at <= ?"
        found = await self._ground.store.read(lambda reader: reader.sql.one(sql, (account, now - LATE, now)))
        return found is not None

    # -- the clock

    async def start(self) -> None:
        self._upto = self._ground.clock()
        self._task = asyncio.create_task(self._watch(), name="wakes")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            wait = LOOK
            try:
                wait = await self._round()
            except StoreError as failure:
                log.error("wakes were not told (%s)", type(failure).__name__)
            # Not wait_for: on Python 3.11 it may swallow the cancellation that `stop` waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _round(self) -> float:
        """Tells what is due; answers with the seconds until it should be called again."""
        before, now = self._upto, self._ground.clock()

        def look(reader: Reader) -> tuple[list[AccountId], int | None, int | None]:
            due = [AccountId(row[0]) for row in reader.sql.all(_DUE, (before, now))]
            following, first = reader.sql.one(_NEXT, (now,)), reader.sql.one(_FIRST, ())
            return due, following[0] if following else None, first[0] if first else None

        due, at, first = await self._ground.store.read(look)
        self._upto = now
        if due:
            self.tell(due)
        if first is not None and first <= now - KEPT:
            await self._ground.store.write(
                lambda transaction: transaction.sql.run("DELETE FROM wake WHERE at <= ?", (now - KEPT,))
            )
        return LOOK if at is None else min(LOOK, max(0.05, (at - self._ground.clock()) / 1000))


def wake_routes(front: Front, wakes: Wakes) -> APIRouter:
    routes = router()

    @routes.get("/wakes")
    async def asked(request: Request) -> Response:
        return answer({"at": await wakes.of(reading(front, request))})

    @routes.put("/wakes")
    async def replace(request: Request) -> Response:
        session, _ = front.acting(request)
        given = await body(request, Times)
        return answer({"at": await wakes.replace(session, given.at)})

    return routes
