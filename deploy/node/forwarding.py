"""Sending on, put together: what an organisation's rule needs of the trust list, the queue and the gate."""

from __future__ import annotations

from collections.abc import Callable

from deploy.node.config import Config
from deploy.node.outbound import Outbound
from deploy.node.signatures import authserv_id
from directory.openpgp.certificate import Certificate
from mail_server.accounts.interface import Accounts
from mail_server.delivery.abroad import Domains
from mail_server.delivery.forwarding import Forwarding, ForwardingRules
from mail_server.delivery.plan import Planner
from mail_server.outbound.interface import NotOpened
from mail_server.sealing.interface import SealingEngine
from mail_server.signatures.signer import Signer
from mail_server.store.interface import Store
from policies.interface import AuditTrail


def forwarding_of(
    config: Config,
    outbound: Outbound,
    *,
    store: Store,
    accounts: Accounts,
    planner: Planner,
    trail: AuditTrail,
    engine: SealingEngine,
    domains: Domains,
    signer: Signer,
    clock: Callable[[], int],
) -> Forwarding:
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
            clock=clock,
        ),
        store=store,
        accounts=accounts,
        planner=planner,
        trail=trail,
        engine=engine,
        queue=outbound.queue,
        gate=gate,
        signer=signer,
        authserv_id=authserv_id(config),
        clock=clock,
    )
