"""Quota/get, Quota/changes, Quota/query (RFC 9425): octets of an account's letters.

Invariants: an account without a limit has no Quota object (hardLimit is not optional); the state is what is told.
"""

from __future__ import annotations

import hashlib
from typing import Any

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

PROPERTIES = ("id", "resourceType", "used", "hardLimit", "warnLimit", "scope", "name", "types", "description")
_ID = "octets"


class QuotaMethods:
    def __init__(self, services: Services) -> None:
        self._services = services

    def _quotas(self, account: Account) -> dict[str, dict[str, Any]]:
        used, limit = self._services.delivery.quota_of(account.id)
        if not limit:
            return {}
        return {
            _ID: {
                "id": _ID,
                "resourceType": "octets",
                "used": used,
                "hardLimit": limit,
                "warnLimit": limit * 9 // 10,
                "scope": "account",
                "name": account.shown,
                "types": ["Email"],
                "description": None,
            }
        }

    def state(self, account: Account) -> str:
        used, limit = self._services.delivery.quota_of(account.id)
        return f"{limit}-{used}" if limit else "0"

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "ids", "properties")
        properties = given.properties(PROPERTIES)
        ids = wanted_ids(turn, given, self._services.settings.max_objects_get)
        found = {each: chosen(quota, properties) for each, quota in self._quotas(account).items()}
        return get_response(account, self.state(account), ids, found)

    async def changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "sinceState", "maxChanges")
        old, new = since_state(given), self.state(account)
        most_changes(given)
        before, _, rest = old.partition("-")
        if old != new and not (before == new.partition("-")[0] and rest.isdigit()):
            # The limit itself came, went or changed.
            raise MethodError("cannotCalculateChanges")
        updated = [_ID] if old != new else []
        told = ["used"] if updated else None
        changes = EmailChanges((), updated, (), 0, False)
        return changes_response(account, old, new, changes, updatedProperties=told)

    async def query(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(
            arguments, "filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal"
        )
        if given.object("filter"):
            raise MethodError("unsupportedFilter")
        if given.array("sort"):
            raise MethodError("unsupportedSort")
        ids = list(self._quotas(account))
        anchor = given.id("anchor")
        if anchor is not None and anchor not in ids:
            raise MethodError("anchorNotFound")
        start = given.number("anchorOffset" if anchor else "position", 0, lowest=-(2**53)) or 0
        start = max(start, 0)
        limit = given.number("limit")
        told = {
            "accountId": account.id,
            "queryState": hashlib.sha256(repr(ids).encode()).hexdigest()[:12],
            "canCalculateChanges": False,
            "position": start,
            "ids": ids[start:][:limit],
        }
        return told | ({"total": len(ids)} if given.flag("calculateTotal") else {})
