"""`account profile`: what a directory would tell of a mailbox, and the name its letters carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from deploy.node.composition import Node
from deploy.node.control import CommandFailed
from mail_server.accounts.profiles import FIELDS_OF


class ProfileCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_profile(self, address: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Show a profile, after changing the fields given."""
        account = self._node.accounts.by_address(address)
        if account is None:
            raise CommandFailed(f"No account has the address {address}.")
        profiles = self._node.profiles
        if fields:
            await profiles.change(account, fields, self._by)
            await self._node.own_listings.sync()  # who asks for the red list is on it when told so
        held = asdict(profiles.of(account.id))
        return {
            "address": account.address,
            "kind": account.kind.value,
            "display_name": profiles.display_name(account),
            **{name: held[name] for name in held if name in FIELDS_OF[account.kind]},
        }
