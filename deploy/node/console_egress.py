"""The console's commands about the egress key, and about certificates that other operators publish.

Invariants: a rotation is in the trace under who asked for it; what is shown of a key is public; an address of another
operator is told to an administrator who holds the power over keys, and to nobody else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from deploy.node.composition import Node
from deploy.node.control import CommandFailed
from mail_server.delivery.gate import domain_of
from mail_server.outbound.egress.gate import EgressGate
from mail_server.outbound.interface import NotOpened
from mail_server.outbound.peers.keys import Shown
from mail_server.outbound.peers.wkd import Silent
from mail_server.store.interface import Reader


class EgressCommands:
    """`egress_show`, `egress_rotate`, `key_peer`."""

    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def egress_show(self) -> dict[str, Any]:
        gate = await self._gate(start=False)
        waiting = await self._node.store.read(_waiting)
        counters = gate.counters
        return {
            "alive": gate.alive,
            "needed": self._node.outbound.listing and self._node.config.outbound.enabled,
            "opened": counters.opened,
            "not_opened": counters.not_opened,
            "milliseconds": round(counters.open_milliseconds / counters.opened) if counters.opened else None,
            "now": self._node.outbound.clock(),
            "keys": [
                {
                    "fingerprint": one.fingerprint,
                    "state": "in use" if one.replaced is None else "replaced",
                    "made": one.made,
                    "made_day": _moment(one.made),
                    "replaced": _moment(one.replaced),
                    "letters": waiting.get(one.fingerprint, 0),
                }
                for one in gate.keys
            ],
        }

    async def egress_rotate(self) -> dict[str, Any]:
        first = not self._node.home.egress_keystore.exists()
        gate = await self._gate(start=True)
        try:
            if not first:  # the first one was made by starting
                await gate.rotate(self._by)
            await gate.sweep()
        except NotOpened as failure:
            raise _failed(failure) from None
        return {"fingerprint": gate.keys[-1].fingerprint, "kept": [one.fingerprint for one in gate.keys[:-1]]}

    async def key_peer(self, address: str, refresh: bool = False) -> dict[str, Any]:
        published = self._node.outbound.published
        if published is None:
            raise CommandFailed("Other operators are not asked for certificates: see [outbound] wkd.")
        if self._node.accounts.is_local_domain(domain_of(address)):
            raise CommandFailed(f"{address} is an address of this operator, not of another.")
        try:
            shown = await (published.refresh if refresh else published.show)(address)
        except Silent as failure:
            raise CommandFailed(
                f"Their operator does not answer ({failure.slug}): what is known stays as it is."
            ) from None
        if not shown.asked:
            raise CommandFailed(
                "Nobody is asked about this address: its domain is not on the trust list, or it is a patient's."
            )
        return _told(address, shown)

    async def _gate(self, *, start: bool) -> EgressGate:
        gate = self._node.outbound.gate
        if gate is None:
            raise CommandFailed("This node has no egress gate.")
        if start or self._node.home.egress_keystore.exists():
            try:
                await gate.start()
            except NotOpened as failure:
                if start:
                    raise _failed(failure) from None
        return gate


def _waiting(reader: Reader) -> dict[str, int]:
    rows = reader.sql.all(
        "SELECT egress, COUNT(*) FROM outbound_letter WHERE state < 2 AND egress <> '' GROUP BY egress"
    )
    return {str(fingerprint): int(count) for fingerprint, count in rows}


def _told(address: str, shown: Shown) -> dict[str, Any]:
    return {
        "address": address.lower(),
        "state": shown.state,
        "reason": shown.reason,
        "fingerprint": shown.fingerprint,
        "held_by": ("operator" if shown.operator_held else "holder") if shown.fingerprint else "",
        "answered": _moment(shown.answered_at),
        "not_after": _moment(shown.not_after),
    }


def _failed(failure: NotOpened) -> CommandFailed:
    words = {
        "key-unavailable": "the key-encryption key or the keystore cannot be read, or GnuPG made no key",
        "gate-closed": "its process did not start",
        "worker-lost": "its process did not start",
        "worker-slow": "its process takes too long to start",
    }
    return CommandFailed(f"The egress gate cannot do it: {words.get(failure.slug, failure.slug)}.")


def _moment(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
