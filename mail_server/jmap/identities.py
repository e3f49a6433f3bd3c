"""Identity/get and Identity/changes (RFC 8621 §6): the addresses one may write from.

Invariants: an identity is an account its speaker holds or is a member of, and its id is that account's; the address
is the one correspondents see (`Account.shown`).
"""

from __future__ import annotations

import hashlib
from typing import Any

from mail_server.accounts.access import POST
from mail_server.accounts.interface import Account
from mail_server.jmap.interface import Arguments, MethodError, Turn
from mail_server.jmap.objects import (
    changes_response,
    chosen,
    get_response,
    most_changes,
    since_state,
    wanted_ids,
)
from mail_server.jmap.protocol.arguments import Given
from mail_server.jmap.services import Services
from mail_server.store.model import EmailChanges

PROPERTIES = ("id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete")


def identities_of(turn: Turn, account: Account) -> dict[str, Account]:
    """From one's own account also as those of others that one may write for; from another's as itself alone."""
    if account.id != turn.identity.account:
        return {account.id: account}
    return {each.id: each for each in turn.accounts.values() if turn.may(each.id, POST)}


class IdentityMethods:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "p")
        given = Given(arguments, "ids", "properties")
        properties = given.properties(PROPERTIES)
        ids = wanted_ids(turn, given, self._services.settings.max_objects_get)
        identities = identities_of(turn, account)
        found = {each: chosen(self._told(one), properties) for each, one in identities.items()}
        return get_response(account, _state(identities), ids, found)

    async def changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "p")
        given = Given(arguments, "sinceState", "maxChanges")
        old, new = since_state(given), _state(identities_of(turn, account))
        most_changes(given)
        if old != new:
            # Rights came or went: what was there before is not remembered.
            raise MethodError("cannotCalculateChanges")
        return changes_response(account, old, new, EmailChanges((), (), (), 0, False))

    def _told(self, account: Account) -> dict[str, Any]:
        return {
            "id": account.id,
            "name": self._services.display_name(account),
            "email": account.shown,
            "replyTo": None,
            "bcc": None,
            "textSignature": "",
            "htmlSignature": "",
            "mayDelete": False,
        }


def _state(identities: dict[str, Account]) -> str:
    told = sorted((each.id, each.shown) for each in identities.values())
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]
