"""The console's part for signatures and sending on: the keys of DKIM, and where an organisation's letters go.

Invariants: a secret key is never shown; what is shown of a zone is what belongs into it now.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from deploy.node import whence
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from deploy.node.signatures import local_domains
from mail_server.delivery.forwarding import RuleRefused
from mail_server.signatures.keyring import Pair
from mail_server.signatures.zone import zone_line
from policies.interface import Event

if TYPE_CHECKING:
    from deploy.node.composition import Node

NONE = "none"


class SignatureCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def dkim_show(self, domain: str = "") -> list[dict[str, Any]]:
        """What the zone of each local domain must say; keys are made where there are none yet."""
        now = self._now()
        shown: list[dict[str, Any]] = []
        for one in self._domains(domain):
            await asyncio.to_thread(self._node.signer.ring.current, one, now)
            for pair in self._node.signer.ring.shown(one, now):
                shown += self._lines(pair, now)
        return shown

    async def dkim_rotate(self, domain: str = "", network: str = "") -> list[dict[str, Any]]:
        """New keys, announced now and used once the zone had time to say so."""
        now = self._now()
        made: list[dict[str, Any]] = []
        for one in self._domains(domain):
            pair = await asyncio.to_thread(self._node.signer.ring.rotate, one, now)
            made += self._lines(pair, now)
            event = Event(
                "dkim-rotate",
                now,
                self._by,
                outcome="announced",
                network=whence.address(network),
                detail={"domain": one, "fingerprint": pair.name, "means": whence.MEANS},
            )
            self._node.trace.note([event])
        await asyncio.to_thread(self._node.signer.ring.tidy, now)
        return made

    async def account_forward(
        self, address: str, target: str | None = None, network: str = ""
    ) -> dict[str, Any]:
        """Where structured letters of the account are sent on (`none`: nowhere any more), or only show it."""
        account = account_named(self._node.accounts, address)
        rules = self._node.forwarding.rules
        if target is not None:
            named = None if target.lower() == NONE else target
            try:
                await rules.put(account, named, self._by, means=whence.MEANS, network=whence.address(network))
            except RuleRefused as refused:
                raise CommandFailed(str(refused)) from None
        found = await rules.of([account.id])
        stopped = ""
        if found and not self._node.accounts.is_local_domain(found[0].domain):
            stopped = rules.objection(found[0].domain)
        return {
            "address": account.address,
            "forward": found[0].address if found else None,
            "stopped": stopped or None,
        }

    def _lines(self, pair: Pair, now: int) -> list[dict[str, Any]]:
        return [
            {
                "domain": pair.domain,
                "selector": one.selector,
                "standing": self._node.signer.ring.standing(pair, now),
                "used_from": pair.used_from,
                "name": f"{one.selector}._domainkey.{pair.domain}",
                "record": one.record,
                "line": zone_line(one.selector, pair.domain, one.record),
            }
            for one in pair.public
        ]

    def _domains(self, domain: str) -> tuple[str, ...]:
        ours = local_domains(self._node.config)
        if not domain:
            return ours
        if domain.lower() not in ours:
            raise CommandFailed(f"{domain} is not a domain of this node.")
        return (domain.lower(),)

    def _now(self) -> int:
        from deploy.node.composition import now

        return now()
