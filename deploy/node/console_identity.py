"""`account national-id`: which professional an account is, for identity providers."""

from __future__ import annotations

from typing import Any

from deploy.node.composition import Node
from deploy.node.control import CommandFailed


class IdentityCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_national_id(self, address: str, national_id: str | None) -> dict[str, Any]:
        """Show it, after binding the one given; "" unbinds."""
        account = self._node.accounts.by_address(address)
        if account is None:
            raise CommandFailed(f"No account has the address {address}.")
        if national_id is not None:
            await self._node.accounts.bind_national_id(account.id, national_id, by=self._by)
            account = self._node.accounts.by_id(account.id) or account
        return {"address": account.address, "national_id": account.national_id or None}
