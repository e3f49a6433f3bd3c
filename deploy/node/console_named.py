"""Accounts as administrators name them."""

from __future__ import annotations

from deploy.node.control import CommandFailed
from mail_server.accounts.interface import Account, Accounts


def account_named(accounts: Accounts, address: str) -> Account:
    """Raises CommandFailed, with a sentence for who typed it."""
    found = accounts.by_address(address)
    if found is None:
        raise CommandFailed(f"There is no account {address}.")
    return found
