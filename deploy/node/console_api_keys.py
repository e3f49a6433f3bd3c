"""The console's part for API keys: who may ask the FHIR door, and who may publish there.

Invariants: a key is answered once, when it is made, and never again; making and revoking are in the trace by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy.node.control import CommandFailed
from directory.fhir.keys import READ, ApiKey, KeyRefused
from mail_server.accounts.app_passwords import DAY
from policies.interface import Event

if TYPE_CHECKING:
    from deploy.node.composition import Node


class ApiKeyCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def directory_key_add(
        self,
        label: str,
        rights: Sequence[str] = (READ,),
        publisher: str = "",
        domains: Sequence[str] = (),
        days: int | None = None,
    ) -> dict[str, Any]:
        now = _now()
        if days is not None and not 0 < days < 100 * 366:
            raise CommandFailed("A key lasts for a number of days.")
        if ours := [one for one in domains if self._node.accounts.is_local_domain(one.lower().rstrip("."))]:
            raise CommandFailed(f"{ours[0]} is a domain of ours: its addresses are our accounts'.")
        try:
            made = await asyncio.to_thread(
                self._node.api_keys.add,
                label,
                rights,
                publisher=publisher,
                domains=domains,
                expires_at=None if days is None else now + days * DAY,
            )
        except KeyRefused as refusal:
            raise CommandFailed(str(refusal)) from None
        self._note(made.key, "made", now)
        return _told(made.key, now) | {"key": made.secret}

    async def directory_key_list(self) -> list[dict[str, Any]]:
        now = _now()
        return [_told(key, now) for key in await asyncio.to_thread(self._node.api_keys.all)]

    async def directory_key_revoke(self, key: str) -> dict[str, Any]:
        now = _now()
        try:
            revoked = await asyncio.to_thread(self._node.api_keys.revoke, key)
        except KeyError:
            raise CommandFailed(f"There is no key {key[:40]!r}; see `directory key list`.") from None
        self._note(revoked, "revoked", now)
        return _told(revoked, now)

    def _note(self, key: ApiKey, outcome: str, at: int) -> None:
        detail = {"key": key.id, "rights": " ".join(sorted(key.rights))}
        if key.expires_at is not None:
            detail["expires"] = str(key.expires_at)
        self._node.trace.note(
            [Event("api-key", at, self._by, outcome=outcome, detail=detail, door="console")]
        )


def _told(key: ApiKey, now: int) -> dict[str, Any]:
    return {
        "id": key.id,
        "label": key.label,
        "rights": sorted(key.rights),
        "publisher": key.publisher,
        "domains": sorted(key.domains),
        "created": _day(key.created_at),
        "expires": _day(key.expires_at),
        "revoked": _day(key.revoked_at),
        "in_force": key.in_force(now),
    }


def _day(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
