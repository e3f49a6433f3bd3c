"""Sending on, put together: what an organisation's rule needs of the trust list, the queue and the gate."""

from __future__ import annotations

from deploy.node.clock import now
from deploy.node.ground import Ground
from deploy.node.outbound import Outbound
from deploy.node.sealing import Sealing
from deploy.node.signatures import authserv_id
from directory.openpgp.certificate import Certificate
from mail_server.delivery.abroad import Domains
from mail_server.delivery.forwarding import Forwarding, ForwardingRules
from mail_server.outbound.interface import NotOpened
from mail_server.signatures.signer import Signer


def forwarding_of(
    ground: Ground, outbound: Outbound, sealing: Sealing, domains: Domains, signer: Signer
) -> Forwarding:
    config, store, accounts, trail = ground.config, ground.store, ground.accounts, ground.trail

    def gate() -> Certificate:
        if outbound.egress is None:
            raise NotOpened("gate-closed")
        return outbound.egress.certificate

    return Forwarding(
        rules=ForwardingRules(
            store=store,
            accounts=accounts,
            trail=trail,
            domains=domains if config.outbound.enabled else None,
            clock=now,
        ),
        store=store,
        accounts=accounts,
        planner=sealing.planner,
        trail=trail,
        engine=sealing.engine,
        queue=outbound.queue,
        gate=gate,
        signer=signer,
        authserv_id=authserv_id(config),
        clock=now,
    )
