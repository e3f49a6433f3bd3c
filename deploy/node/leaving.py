"""What leads out, whole; and what delivery needs of it and of the trust list, for letters to other operators.

Invariants: a part that is not there is closed, never open: without a gate nothing leaves readable, without the list
nothing leaves; what was put into `Outbound` after delivery was made counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from deploy.node.clock import now
from deploy.node.egress import asking_of, gate_of, peer_keys_of
from deploy.node.ground import Ground
from deploy.node.outbound import Outbound, blocked_domains, client_of, named, outbound_of
from deploy.node.trust import Trust
from directory.openpgp.certificate import Certificate
from mail_server.delivery.abroad import AbroadAdmission
from mail_server.delivery.departing import Departures
from mail_server.delivery.exchanges import Exchanges
from mail_server.delivery.gate import Gate
from mail_server.outbound.interface import Egress, Form, NotOpened, PeerCertificate, PeerKeys
from mail_server.outbound.signed import SigningEgress
from mail_server.sealing.interface import SealingEngine
from mail_server.signatures.signer import Signer
from policies.interface import PeerStanding
from policies.trust_list.peers import Peers
from policies.trust_list.space import TrustSpace
from policies.trust_list.standing import Age


class ListedDomains:
    """Implements `delivery.abroad.Domains`: what the list says of a domain, no certificate being in hand."""

    def __init__(self, space: TrustSpace, peers: Peers, blocked: Callable[[str], bool]) -> None:
        self._space = space
        self._peers = peers
        self._blocked = blocked

    def standing_of(self, domain: str) -> PeerStanding:
        domain = domain.lower()
        if not self._space.names_domain(domain):
            if self._space.age is Age.DEAD:  # it was never fetched, or so long ago that it cannot say
                return PeerStanding(False, reason="trust-list-stale", temporary=True)
            return PeerStanding(False, reason="recipient-domain-unlisted")
        names = self._space.names_of(domain)
        if names and all(self._blocked(one) for one in names):
            return PeerStanding(False, reason="operator-blocked")
        if not self._peers.listed(domain) or not self._peers.vouched(names):
            return PeerStanding(False, reason="trust-list-stale", temporary=True)
        return PeerStanding(True)


@dataclass(frozen=True, slots=True)
class _PeerKeys:
    outbound: Outbound

    async def find(self, address: str) -> PeerCertificate | None:
        found = self.outbound.peer_keys
        return await found.find(address) if found is not None else None


@dataclass(frozen=True, slots=True)
class _Egress:
    outbound: Outbound

    @property
    def certificate(self) -> Certificate:
        if self.outbound.egress is None:
            raise NotOpened("gate-closed")
        return self.outbound.egress.certificate

    def taken(self, key_id: str) -> Certificate | None:
        return self.outbound.egress.taken(key_id) if self.outbound.egress is not None else None

    async def open(self, fingerprint: str, form: Form, queued: bytes) -> bytes:
        if self.outbound.egress is None:
            raise NotOpened("gate-closed")
        return await self.outbound.egress.open(fingerprint, form, queued)


@dataclass(frozen=True, slots=True)
class Leaving:
    """The parts of delivery for letters that leave; None where they do not."""

    abroad: AbroadAdmission | None = None
    egress: Egress | None = None
    departures: Departures | None = None
    peer_keys: PeerKeys | None = None  # for what the node itself tells people of other operators


async def filled(ground: Ground, trust: Trust, signer: Signer) -> Outbound:
    """The queue with all that works at it, but for the reports. Raises StartError, KeyUnavailable, StoreError."""
    config, store, keys, audit = ground.config, ground.store, ground.keys, ground.trace.note
    blocked = blocked_domains(trust.space.names_of, ground.operator_blocks.blocked)
    made = outbound_of(
        config.outbound,
        store=store,
        keys=keys,
        trail=ground.trail,
        clock=now,
        several_nodes=config.store.is_postgresql(),
        home=named(ground.home, config.policies.audit_chain),
        blocked=blocked,
    )
    made.gate = gate_of(config, ground.home, named=made.gates_named, audit=audit, clock=now)
    made.egress = SigningEgress(made.gate, signer)
    made.published = made.peer_keys = await peer_keys_of(
        config,
        store=store,
        keys=keys,
        trust=trust.peers,
        names_of=trust.space.operator_of,
        audit=audit,
        clock=now,
    )
    made.connect = client_of(config, trust.peers)
    made.asking = partial(asking_of, config)
    made.listing = bool(config.policies.trust_list or config.policies.trust_list_url)
    return made


def leaving(
    ground: Ground,
    outbound: Outbound,
    *,
    engine: SealingEngine,
    gate: Gate,
    exchanges: Exchanges,
    domains: ListedDomains,
    signer: Signer,
) -> Leaving:
    config = ground.config
    if not config.outbound.enabled:
        return Leaving()
    peer_keys = _PeerKeys(outbound)
    abroad = AbroadAdmission(
        gate=gate,
        decisions=ground.decisions,
        exchanges=exchanges,
        domains=domains,
        peer_keys=peer_keys,
    )
    egress = _Egress(outbound)
    departures = Departures(
        store=ground.store,
        engine=engine,
        queue=outbound.queue,
        egress=egress,
        domain=config.accounts.domains[0],
        product=config.delivery.product,
        large=config.delivery.large_message,
        signer=signer,
        room=config.outbound.account_megabytes * 1_000_000,
    )
    return Leaving(abroad=abroad, egress=egress, departures=departures, peer_keys=peer_keys)
