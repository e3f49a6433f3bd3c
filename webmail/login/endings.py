"""Sessions that their holder ends: this one, another, all others.

Invariant: what ends is durable, with its trace, before memory forgets it.
"""

from __future__ import annotations

from mail_server.store.interface import Transaction
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession, SessionKind


class Endings:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def one(self, session: PageSession, other: str, visitor: Visitor) -> None:
        ground = self._ground
        account = ground.account(session)
        if not any(each.id == other for each, _ in ground.sessions.of(account.id)):
            raise Problem("unknown-session")
        event = ground.event("session-end", account.id, visitor, credential=other)

        def write(tx: Transaction) -> None:
            ground.sessions.delete_one(tx.sql, account.id, other)
            ground.trail.append(tx.sql, [event])

        await ground.store.write(write)
        ground.sessions.forget_one(other)

    async def all_others(self, session: PageSession, visitor: Visitor) -> None:
        ground = self._ground
        account = ground.account(session)
        count = len(ground.sessions.of(account.id)) - 1
        event = ground.event("session-end", account.id, visitor, count=str(max(0, count)))

        def write(tx: Transaction) -> None:
            ground.sessions.delete(tx.sql, account.id, keep=session.id)
            ground.trail.append(tx.sql, [event])

        await ground.store.write(write)
        ground.sessions.forget(account.id, keep=session.id)

    async def log_out(self, session: PageSession, visitor: Visitor) -> None:
        """A logout that cannot be written is not one: a restart would bring the session back."""
        ground = self._ground
        acts = [ground.event("logout", session.account, visitor)] if session.kind is SessionKind.FULL else []

        def write(tx: Transaction) -> None:
            ground.sessions.delete_one(tx.sql, session.account, session.id)
            ground.trail.append(tx.sql, acts)

        await ground.store.write(write)
        ground.sessions.forget_one(session.id)
