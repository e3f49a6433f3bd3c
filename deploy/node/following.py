"""What another node of the same PostgreSQL changed of accounts and profiles, read again.

Invariant: asking costs one small question while no account came, went or changed its standing; those who act on
changes hear of them as if they were made here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from deploy.node.config import Config
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.service import AccountService
from mail_server.store.interface import Reader, Store

Standing = tuple[int, frozenset[tuple[str, bool, bool, bool]]]


def following(
    config: Config, store: Store, accounts: AccountService, profiles: ProfileBook
) -> Callable[[], Awaitable[None]] | None:
    """None where this node is alone with its database."""
    if not config.store.is_postgresql():
        return None

    async def follow() -> None:
        told = await store.read(_told)
        if told != await asyncio.to_thread(_known, accounts):
            await accounts.reload()
        await profiles.start()

    return follow


def _told(reader: Reader) -> Standing:
    """How many accounts there are, and who of them is not in service as any other."""
    many = reader.sql.one("SELECT COUNT(*) FROM account")
    rows = reader.sql.all(
        "SELECT id, suspended, practising, closed FROM account"
        " WHERE suspended = 1 OR practising = 0 OR closed IS NOT NULL"
    )
    return (
        0 if many is None else int(many[0]),
        frozenset((row[0], bool(row[1]), bool(row[2]), row[3] is not None) for row in rows),
    )


def _known(accounts: AccountService) -> Standing:
    every = accounts.all()
    return len(every), frozenset(
        (one.id, one.suspended, one.practising, one.closed)
        for one in every
        if one.suspended or not one.practising or one.closed
    )
