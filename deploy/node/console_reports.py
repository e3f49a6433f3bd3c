"""The console's commands about morning letters: who gets one, what one said, how they stand.

Invariant: what is printed again is what was told then; it holds addresses of patients, so asking for it is traced.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from deploy.node.composition import Node, now
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from mail_server.accounts.interface import Kind
from policies.interface import Event

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{12})?")


class ReportCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_morning_letter(self, address: str, wanted: bool) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        if account.kind is Kind.PATIENT:
            raise CommandFailed("A patient hands in no reports.")
        await self._node.correspondence.feedback.wish(account.id, wanted, self._by)
        return {"address": account.address, "morning_letter": wanted}

    async def report_morning(self, address: str, day: str = "", send: bool = False) -> dict[str, Any]:
        """What the letter of that day told; the day due last when none is named. `send`: a letter now, out of turn."""
        account = account_named(self._node.accounts, address)
        mornings = self._node.correspondence.mornings
        if send:
            day = await mornings.tell_now(account.id)
            if not day:
                raise CommandFailed(f"There is nothing to tell {account.address}.")
        if day and not _DAY.fullmatch(day):
            raise CommandFailed("A day is written YYYY-MM-DD.")
        wanted = day or mornings.due()[0]
        found = await mornings.again(account.id, wanted)
        if found is None:
            raise CommandFailed(f"{account.address} was sent no morning letter on {wanted}.")
        self._node.trace.note([Event("morning-letter", now(), self._by, account.id, outcome="shown")])
        return {
            "address": account.address,
            "day": wanted,
            "handed_in": len(found.documents),
            "withdrawals": len(found.withdrawals),
            "delivered": found.count("delivered"),
            "waiting": found.count("waiting"),
            "refused": found.count("refused"),
            "later": len(found.later),
            "unopened": len(found.unopened),
            "still_unopened": len(found.still),
            "text": await asyncio.to_thread(mornings.text, found),
            "csv": (await asyncio.to_thread(mornings.table, found)).decode("utf-8-sig"),
        }

    async def reports_standing(self) -> dict[str, Any]:
        standing = await self._node.correspondence.mornings.standing()
        return {
            "untold": standing.untold,
            "oldest": standing.oldest,
            "due": standing.due,
            "now": standing.now,
        }
