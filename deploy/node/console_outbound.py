"""The console's part for letters that leave (sealed only, which results are told) and for opposition to letters.

Invariant: each change is in the trace with who made it and from where; a patient is named back by what was typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.node import whence
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from mail_server.accounts.interface import Kind, Results

if TYPE_CHECKING:
    from deploy.node.composition import Node


class OutboundCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_outbound(
        self, address: str, sealed_only: str | None = None, results: str | None = None, network: str = ""
    ) -> dict[str, Any]:
        """Set what is given; what is not stays as it is."""
        account = account_named(self._node.accounts, address)
        if sealed_only not in (None, "on", "off"):
            raise CommandFailed("--sealed-only is on or off.")
        if results is not None and results not in set(Results):
            raise CommandFailed(f"--results is one of {', '.join(Results)}.")
        await self._node.accounts.outbound_set(
            account.id,
            self._by,
            sealed_only=None if sealed_only is None else sealed_only == "on",
            results=None if results is None else Results(results),
            means=whence.MEANS,
            network=whence.address(network),
        )
        found = account_named(self._node.accounts, address)
        return {"address": found.address, "sealed_only": found.sealed_only, "results": found.told.value}

    async def space_oppose(self, patient: str, end: bool = False, network: str = "") -> dict[str, Any]:
        accounts = self._node.accounts
        account = accounts.by_address(patient) or accounts.by_ins(patient)
        if account is None or account.kind is not Kind.PATIENT:
            raise CommandFailed("There is no such space.")
        await accounts.opposed_set(
            account.id, not end, self._by, means=whence.MEANS, network=whence.address(network)
        )
        return {"address": account.address, "opposed": not end}
