"""The console's commands about accounts' life and the node's limits, and the month's figures.

Invariants: who is suspended, struck off or closed is out at once, with the reason, the means and the network address
of the administrator in the trace (reference/mssante.md, rows 28, 29, 68); a closed or struck-off professional's
certificate is published no more; the month's figures are read from the trace alone, so that two readings are equal.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from deploy.node import whence
from deploy.node.composition import Node
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from deploy.node.statistics import Month, figures
from mail_server.accounts.interface import Contact


class LifeCommands:
    """`account_suspend`, `account_close`, … `limits_show`, `operator_statistics`."""

    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_suspend(self, address: str, reason: str = "", network: str = "") -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        if not reason.strip():
            raise CommandFailed("Say why: a suspension has a reason (--reason).")
        await self._node.accounts.suspend(
            account.id, by=self._by, reason=reason, means=whence.MEANS, network=whence.address(network)
        )
        return {"address": account.address, "suspended": True, "reason": reason}

    async def account_reinstate(self, address: str, reason: str = "", network: str = "") -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        await self._node.accounts.reinstate(
            account.id, by=self._by, reason=reason, means=whence.MEANS, network=whence.address(network)
        )
        return {"address": account.address, "suspended": False}

    async def account_practice(
        self, address: str, practising: bool, reason: str = "", network: str = ""
    ) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        await self._node.accounts.practice_set(
            account.id,
            practising,
            by=self._by,
            reason=reason,
            means=whence.MEANS,
            network=whence.address(network),
        )
        return {"address": account.address, "practising": practising}

    async def account_contact(self, address: str, contact: str, network: str = "") -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        try:
            wanted = Contact(contact.strip().lower().replace("-", "_"))
        except ValueError:
            raise CommandFailed(
                f"Choices are {', '.join(each.value for each in Contact)}: which patients may write first."
            ) from None
        await self._node.accounts.contact_set(
            account.id, wanted, by=self._by, means=whence.MEANS, network=whence.address(network)
        )
        return {"address": account.address, "contact": wanted.value}

    async def account_sector(self, address: str, sector: str, network: str = "") -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        await self._node.accounts.sector_set(
            account.id, sector, by=self._by, means=whence.MEANS, network=whence.address(network)
        )
        return {"address": account.address, "sector": account_named(self._node.accounts, address).sector}

    async def account_close(self, address: str, reason: str = "", network: str = "") -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        await asyncio.to_thread(self._node.directory.hide, account.address)
        await self._node.accounts.close(
            account.id, by=self._by, reason=reason, means=whence.MEANS, network=whence.address(network)
        )
        return {"address": account.address, "closed": True}

    async def account_unused(self) -> list[dict[str, Any]]:
        """Whom nobody came to for too long, and when each is closed."""
        return [
            {
                "address": one.account.address,
                "kind": one.account.kind.value,
                "last": _day(one.came),
                "made": _day(one.made),
                "told": _day(one.notified),
                "closes": _day(one.closes),
            }
            for one in await self._node.inactivity.unused()
        ]

    async def account_unused_sweep(self) -> dict[str, list[str]]:
        """What the node does once a day, now."""
        done = await self._node.inactivity.sweep()
        return {"told": list(done.told), "failed": list(done.failed), "closed": list(done.closed)}

    async def limits_show(self) -> list[dict[str, Any]]:
        return [
            {
                "limit": one.name,
                "most": one.limit,
                "seconds": one.seconds,
                "fullest": one.fullest,
                "taken": one.taken,
                "refused": one.refused,
            }
            for one in self._node.limits.standings()
        ]

    async def operator_statistics(self, month: str) -> list[dict[str, Any]]:
        try:
            wanted = Month.parse(month)
        except ValueError:
            raise CommandFailed("A month is written YYYY-MM.") from None
        rows = await self._node.store.read(lambda reader: figures(reader.sql, wanted))
        return [{"month": row.month, "figure": row.figure, "of": row.of, "count": row.count} for row in rows]


def _day(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")
