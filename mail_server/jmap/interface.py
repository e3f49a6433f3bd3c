"""What a JMAP method is to the dispatcher, so that methods can be added without touching it (RFC 8620 §3).

Invariants: a handler sees only the accounts its speaker may reach; it raises nothing but `MethodError`; whatever
else comes out becomes `serverFail` without a word of the fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mail_server.accounts.entities import EVERY_RIGHT
from mail_server.accounts.interface import Account, Identity, Peer
from mail_server.jmap.protocol.errors import MethodError, SetError
from mail_server.store.model import AccountId

__all__ = ["Arguments", "Capability", "Handler", "MethodError", "SetError", "Turn"]

Arguments = Mapping[str, Any]


@dataclass(slots=True)
class Turn:
    """One request in the making: who speaks, what they may reach, ids created so far."""

    identity: Identity
    peer: Peer
    accounts: Mapping[AccountId, Account]  # own account first, then the shared ones
    using: frozenset[str]
    created: dict[str, str] = field(
        default_factory=dict[str, str]
    )  # creation id → id, over the whole request
    after: list[tuple[str, dict[str, Any]]] = field(
        default_factory=list[tuple[str, dict[str, Any]]], repr=False
    )
    """Further responses of the call being answered, put after its own (onSuccessUpdateEmail, RFC 8621 §7.5)."""

    rights: Mapping[AccountId, str] = field(default_factory=dict[AccountId, str])
    """Letters of RFC 4314 that its speaker has in the accounts of others among `accounts`."""

    def may(self, account: AccountId, letter: str) -> bool:
        return letter in self.letters(account)

    def letters(self, account: AccountId) -> str:
        return EVERY_RIGHT if account == self.identity.account else self.rights.get(account, "")

    def account(self, arguments: Arguments, needed: str = "r") -> Account:
        """The account a call names, in which one may read, or what else is `needed` ("": nothing in particular).

        Raises MethodError (accountNotFound also for another's: nothing is told).
        """
        named = arguments.get("accountId")
        if not isinstance(named, str):
            raise MethodError("invalidArguments", "accountId is missing")
        found = self.accounts.get(AccountId(named))
        if found is None:
            raise MethodError("accountNotFound")
        if needed and not self.may(found.id, needed):
            raise MethodError("forbidden", "Your rights in this account do not allow it")
        return found


Handler = Callable[[Turn, Arguments], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Capability:
    """Methods that stand under one URI of `using`, and what the session object says of it."""

    uri: str
    handlers: Mapping[str, Handler]
    session: Mapping[str, Any] = field(default_factory=dict[str, Any])  # capabilities
    account: Callable[[Account], Mapping[str, Any] | None] = (
        lambda _: {}
    )  # accountCapabilities; None: not there
