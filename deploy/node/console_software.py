"""The console's part for practice software: which account a mailbox's copies would go to.

Invariant: an administrator names the account and never switches the copies on: that is the holder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.node import whence
from deploy.node.console_named import account_named

if TYPE_CHECKING:
    from deploy.node.composition import Node

NONE = "none"


class SoftwareCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_software(
        self, address: str, software: str | None = None, network: str = ""
    ) -> dict[str, Any]:
        """Name it (`none` takes it away), or only show it."""
        account = account_named(self._node.accounts, address)
        if software is not None:
            named = None if software.lower() == NONE else account_named(self._node.accounts, software)
            await self._node.accounts.software_set(
                account.id,
                named.id if named else None,
                by=self._by,
                means=whence.MEANS,
                network=whence.address(network),
            )
        return self._told(address)

    def _told(self, address: str) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        named = self._node.accounts.by_id(account.software) if account.software else None
        return {
            "address": account.address,
            "software": named.address if named else None,
            "copies": account.copy_to_software,
        }
