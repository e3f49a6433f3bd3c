"""Notices to ordinary addresses, given what they stand on, and their commands: `account notice-address`.

Invariant: a domain of this node, or of the trust list, is for letters: no notice ever goes there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from deploy.node.config import Config
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from mail_server.accounts.service import AccountService
from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import Store
from policies.interface import AuditTrail
from policies.trust_list.space import TrustSpace
from webmail.notices.service import AddressRefused, Notices
from webmail.notices.words import LANGUAGES

if TYPE_CHECKING:
    from deploy.node.composition import Node

NONE = "none"
_WORDS = {
    "off": "This node sends no notices: set `smarthost` in [notices].",
    "address": "That is not an address that notices can go to.",
    "address-here": "That is a mailbox for letters; a notice goes to an ordinary address.",
}


def notices_of(
    config: Config,
    *,
    store: Store,
    accounts: AccountService,
    keys: KeyWrapper,
    trail: AuditTrail,
    trust_list: TrustSpace,
    clock: Callable[[], int],
) -> Notices:
    def for_letters(domain: str) -> bool:
        return accounts.is_local_domain(domain) or trust_list.names_domain(domain)

    return Notices(
        config.notices,
        store=store,
        accounts=accounts,
        keys=keys,
        trail=trail,
        operator=config.node.operator,
        page=config.page_address,
        clock=clock,
        for_letters=for_letters,
    )


class NoticeCommands:
    """`account_notice_address`."""

    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def account_notice_address(
        self, address: str, notice: str | None = None, language: str = "fr"
    ) -> dict[str, Any]:
        """Set where a holder is told (`none`: nowhere), or only show it, cut short."""
        account = account_named(self._node.accounts, address)
        if language not in LANGUAGES:
            raise CommandFailed(f"--language is one of {', '.join(LANGUAGES)}.")
        notices = self._node.notices
        if notice is not None and notice.lower() == NONE:
            await notices.forget(account.id, self._by)
        elif notice is not None:
            try:
                await notices.put(account.id, notice.strip(), language, self._by)
            except AddressRefused as refused:
                raise CommandFailed(_WORDS[refused.reason]) from None
        standing = await notices.standing(account.id)
        return {
            "address": account.address,
            "notices": standing.offered,
            "shown": standing.shown or None,
            "confirmed": standing.confirmed,
            "refused": standing.refused,
        }
