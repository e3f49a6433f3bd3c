"""Profiles of accounts, answered from memory, changed in one durable transaction with its trace.

Invariants: memory follows the database; the trace names the fields that changed, never their values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mail_server.accounts.interface import Account
from mail_server.accounts.known import now_ms
from mail_server.accounts.profiles import Profile, changed, display_name
from mail_server.store.interface import Sql, Store, Transaction
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Event

_COLUMNS = (
    "title, given_name, family_name, entity, description, service, responsible, id_pp, id_nat_struct,"
    " rank, red_list"
)
_NONE = Profile()


class ProfileBook:
    def __init__(self, store: Store, audit: AuditTrail) -> None:
        self._store = store
        self._audit = audit
        self._known: dict[AccountId, Profile] = {}
        self._writing = asyncio.Lock()
        self.changed: list[Callable[[AccountId], None]] = []
        """Told right after a change shows in memory."""

    async def start(self) -> None:
        """Read every profile. Also to see what another node changed."""
        self._known = await self._store.read(lambda reader: _read_all(reader.sql))

    def of(self, account: AccountId) -> Profile:
        return self._known.get(account, _NONE)

    def display_name(self, account: Account) -> str:
        """ECO.2.2.7; "" when nobody said who it is."""
        return display_name(self.of(account.id), account.kind)

    async def change(
        self,
        account: Account,
        given: Mapping[str, str],
        by: str,
        *,
        means: str = "",
        session: str = "",
        network: str = "",
    ) -> Profile:
        """Set fields, as typed. `means`, `session`, `network`: of who does it, for the trace. Raises AccountError."""
        async with self._writing:
            profile = changed(self.of(account.id), account.kind, given)
            detail = {"count": str(len(given)), "kind": account.kind.value} | (
                {"means": means} if means else {}
            )
            event = Event(
                "profile-change", now_ms(), by, account.id, session=session, network=network, detail=detail
            )

            def write(tx: Transaction) -> None:
                _write(tx.sql, account.id, profile)
                self._audit.append(tx.sql, [event])

            await self._store.write(write)
            self._known[account.id] = profile
        for listener in self.changed:
            listener(account.id)
        return profile


def _read_all(sql: Sql) -> dict[AccountId, Profile]:
    return {
        AccountId(row[0]): _profile(row[1:])
        for row in sql.all(f"SELECT account, {_COLUMNS} FROM account_profile")  # noqa: S608 - constant names
    }


def _profile(row: tuple[Any, ...]) -> Profile:
    *texts, id_pp, id_nat_struct, rank, red_list = row
    profile = Profile(*texts)
    return replace(
        profile,
        id_pp=tuple(id_pp.split()),
        id_nat_struct=id_nat_struct,
        rank=int(rank),
        red_list=bool(red_list),
    )


def _write(sql: Sql, account: AccountId, profile: Profile) -> None:
    sql.run("DELETE FROM account_profile WHERE account = ?", (account,))
    sql.run(
        f"INSERT INTO account_profile (account, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            account,
            profile.title,
            profile.given_name,
            profile.family_name,
            profile.entity,
            profile.description,
            profile.service,
            profile.responsible,
            " ".join(profile.id_pp),
            profile.id_nat_struct,
            profile.rank,
            int(profile.red_list),
        ),
    )
