"""The console's commands about readers: members, delegates, what each may do and how long, whose \\Seen counts.

Invariants: the same checks as on the page, but for who may: the administrator's power decides that; an end is a day,
and its last day counts whole.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.node.composition import Node
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from mail_server.accounts.entities import MEMBER_RIGHTS
from mail_server.accounts.interface import Grant, Role

DELEGATE_RIGHTS = "eilprstw"  # reads, answers, files: no folders, and lets nobody else in


class ReaderCommands:
    """`member_add`, `member_remove`, `delegate_add`, `delegate_remove`, `readers_show`, `seen_set`."""

    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def member_add(
        self, shared: str, person: str, rights: str | None = None, until: str | None = None
    ) -> dict[str, Any]:
        made = await self._let(shared, person, Role.MEMBER, rights or MEMBER_RIGHTS, until)
        return {"shared": account_named(self._node.accounts, shared).address, **made}

    async def member_remove(self, shared: str, person: str) -> dict[str, Any]:
        ward, reader = account_named(self._node.accounts, shared), account_named(self._node.accounts, person)
        await self._node.accounts.member_remove(ward.id, reader.id, by=self._by)
        return {"shared": ward.address, "person": reader.address}

    async def delegate_add(
        self, address: str, person: str, rights: str | None = None, until: str | None = None
    ) -> dict[str, Any]:
        made = await self._let(address, person, Role.DELEGATE, rights or DELEGATE_RIGHTS, until)
        return {"address": account_named(self._node.accounts, address).address, **made}

    async def delegate_remove(self, address: str, person: str) -> dict[str, Any]:
        holder, reader = (
            account_named(self._node.accounts, address),
            account_named(self._node.accounts, person),
        )
        await self._node.accounts.grant_end(holder.id, reader.id, self._by)
        return {"address": holder.address, "person": reader.address}

    async def readers_show(self, address: str) -> dict[str, Any]:
        account, now = account_named(self._node.accounts, address), self._node.accounts.clock()
        return {
            "address": account.address,
            "kind": account.kind.value,
            "seen": "per-person" if account.seen_per_person else "common",
            "readers": [self._told(each, now) for each in account.grants if each.rights],
        }

    async def seen_set(self, address: str, mode: str) -> dict[str, Any]:
        if mode not in ("per-person", "common"):
            raise CommandFailed("Say per-person or common.")
        account = account_named(self._node.accounts, address)
        await self._node.accounts.seen_per_person_set(account.id, mode == "per-person", self._by)
        return {"address": account.address, "seen": mode}

    # -- inside

    async def _let(
        self, address: str, person: str, role: Role, rights: str, until: str | None
    ) -> dict[str, Any]:
        account, reader = (
            account_named(self._node.accounts, address),
            account_named(self._node.accounts, person),
        )
        end = None if until is None else _end_of(until)
        made = await self._node.sharing.grant(account.id, reader.id, rights, end, self._by, role)
        return self._told(made, self._node.accounts.clock())

    def _told(self, grant: Grant, now: int) -> dict[str, Any]:
        person = self._node.accounts.by_id(grant.person)
        return {
            "person": person.address if person is not None else grant.person,
            "role": grant.role.value,
            "rights": grant.rights,
            "since": _day(grant.since),
            "until": _last_day(grant.until),
            "in_force": grant.in_force(now),
        }


def _end_of(day: str) -> int:
    """The end (ms, UTC) of a day written YYYY-MM-DD."""
    try:
        last = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise CommandFailed("An end is a day, written YYYY-MM-DD.") from None
    return int((last + timedelta(days=1)).timestamp() * 1000)


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def _last_day(until: int | None) -> str | None:
    return None if until is None else _day(until - 1)
