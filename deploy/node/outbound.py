"""Letters to other operators put together: the queue, who hands over, the gate, other operators' certificates, reports.

Invariants: the queue is there in every process that may lay a letter; letters leave, and the gate's process runs, only
while the doors are open; what was begun is ended in the reverse order, the hand-over first.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.node.config import Config
from deploy.node.egress import keep_tidy
from deploy.node.failures import StartError
from deploy.node.home import Home
from mail_server.keys.interface import KeyWrapper
from mail_server.outbound.client.client import SmtpClient
from mail_server.outbound.client.security import PeerSecurity
from mail_server.outbound.counters import Counters
from mail_server.outbound.dispatch import Blocked, Dependencies, Dispatcher
from mail_server.outbound.egress.gate import EgressGate
from mail_server.outbound.interface import Egress, Handover, PeerKeys
from mail_server.outbound.peers.keys import PublishedCertificates
from mail_server.outbound.peers.wkd import WkdClient
from mail_server.outbound.queue import Queue
from mail_server.outbound.reports.interface import Owing
from mail_server.outbound.reports.owed import Reports
from mail_server.outbound.schedule import Schedule
from mail_server.outbound.settings import OutboundSettings
from mail_server.outbound.settling import Settling
from mail_server.store.interface import Reader, Store
from policies.interface import AuditTrail, PeerTrust

_PATIENCE = 10.0  # seconds that the doors wait for the gate


@dataclass(slots=True)
class Outbound:
    """What leaves, in one place: delivery lays by `queue`, finds certificates by `peer_keys`, seals to `egress`."""

    settings: OutboundSettings
    store: Store
    queue: Queue
    settling: Settling
    clock: Callable[[], int]
    several_nodes: bool
    home: str  # names this node among those that share the database
    blocked: Blocked
    owing: list[Owing]  # whom the queue tells what became of letters: reports, submissions of the page
    reports: Reports | None = None
    connect: Callable[[], SmtpClient | None] = lambda: None  # makes the client, once the doors open
    client: SmtpClient | None = None
    handover: Handover | None = None  # the client, unless a test hands over by itself
    egress: Egress | None = None
    peer_keys: PeerKeys | None = None
    gate: EgressGate | None = None  # what `egress` asks in the end
    published: PublishedCertificates | None = None  # the same as `peer_keys`, with its counters
    asking: Callable[[], WkdClient | None] = lambda: None  # makes what `published` asks with
    listing: bool = False  # whether there is a trust list: without one nothing leaves, and no gate is needed
    dispatcher: Dispatcher | None = None
    _upkeep: asyncio.Task[None] | None = None
    _counted: Counters = field(default_factory=Counters)

    @property
    def counters(self) -> Counters:
        return self._counted if self.dispatcher is None else self.dispatcher.counters

    async def prepare(self) -> None:
        """Before the doors open: the gate is there for the first letter, unless it cannot start."""
        if self.gate is not None and self.listing and self.settings.enabled:
            await self.gate.ready(_PATIENCE)

    async def start(self) -> None:
        """Once the doors are open: letters leave. `enabled = false` leaves what was laid where it is."""
        if self.gate is not None and self.listing and self.settings.enabled:
            self.gate.begin()
            self._upkeep = asyncio.create_task(keep_tidy(self.gate, self.published))
        if self.reports is not None:
            self.reports.start()
        if not self.settings.enabled:
            return
        if self.handover is None:
            self.handover = self.client = self.connect()
        if self.handover is None:
            return
        self.dispatcher = Dispatcher(
            self.settings,
            Dependencies(
                store=self.store,
                queue=self.queue,
                settling=self.settling,
                handover=self.handover,
                egress=self.egress,
                clock=self.clock,
                owing=self.owing,
                blocked=self.blocked,
                several_nodes=self.several_nodes,
                home=self.home,
            ),
        )
        await self.dispatcher.start()

    def begin_stop(self) -> None:
        """At the first word of an end: what is being handed over ends beside what the doors finish."""
        if self.dispatcher is not None:
            self.dispatcher.begin_stop()

    async def stop(self) -> None:
        if self.dispatcher is not None:
            await self.dispatcher.stop()
        if self.client is not None:
            self.handover = self.client = None  # its connections are closed: the next start makes another
        if self.reports is not None:
            await self.reports.stop()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)

    async def close(self) -> None:
        """When the node ends: its gate's process, its connections to other operators."""
        if self.gate is not None:
            await self.gate.close()
        if self.published is not None:
            await self.published.close()

    def reload(self) -> list[str]:
        """Our certificate and the authorities of others anew; a sentence when they stay as they were."""
        try:
            if self.client is not None:
                self.client.reload()
            if self.published is not None and self.published.restricted is not None:
                self.published.restricted.reload()
            if self.published is not None and (asking := self.asking()) is not None:
                self.published.use(asking)
        except OSError:
            return ["The certificate shown to other operators, or its authorities, cannot be read."]
        return []

    async def changed(self) -> None:
        """An administrator changed the queue's rows."""
        if self.dispatcher is not None:
            await self.dispatcher.learn()

    async def gates_named(self) -> frozenset[str]:
        """Fingerprints of egress certificates that letters of the queue still name."""

        def read(reader: Reader) -> frozenset[str]:
            return frozenset(
                row[0]
                for row in reader.sql.all(
                    "SELECT DISTINCT egress FROM outbound_letter WHERE state < 2 AND egress <> ''"
                )
            )

        return await self.store.read(read)


def outbound_of(
    settings: OutboundSettings,
    *,
    store: Store,
    keys: KeyWrapper,
    trail: AuditTrail,
    clock: Callable[[], int],
    several_nodes: bool,
    home: str,
    blocked: Blocked,
    owing: Sequence[Owing] = (),
) -> Outbound:
    """The queue, before delivery is made; the others put themselves into their fields."""
    schedule = Schedule.of(settings)
    told = list(owing)
    return Outbound(
        settings=settings,
        store=store,
        queue=Queue(keys, schedule),
        settling=Settling(keys, schedule, trail, told),
        clock=clock,
        several_nodes=several_nodes,
        home=home,
        blocked=blocked,
        owing=told,
    )


def named(home: Home, chain: str) -> str:
    """This node among those that share a database, also after a restart. A home is open once (`HomeLock`); a copy of it
    on another machine, or with a chain of its own, is another node."""
    told = "\0".join((chain, socket.gethostname(), str(home.path.resolve())))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def client_of(config: Config, trust: PeerTrust) -> Callable[[], SmtpClient | None]:
    """Makes the client; it gives None where there is no certificate to show, or no authority to judge others by."""
    settings, tls = config.outbound, config.tls
    certificate, key = settings.certificate or tls.certificate, settings.key or tls.key

    def connect() -> SmtpClient | None:
        if certificate is None or key is None or tls.client_ca is None:
            return None
        try:
            security = PeerSecurity(certificate, key, tls.client_ca)
        except OSError:
            raise StartError(
                f"The certificate shown to other operators cannot be used: {certificate}, its key, or {tls.client_ca}."
            ) from None
        return SmtpClient(settings, config.smtp.hostname, trust, security)

    return connect


def blocked_domains(names_of: Callable[[str], Sequence[str]], blocked: Callable[[str], bool]) -> Blocked:
    """Whether an administrator blocked everybody who may speak for a domain: its letters wait meanwhile."""

    def all_blocked(domain: str) -> bool:
        names = names_of(domain)
        return bool(names) and all(blocked(name) for name in names)

    return all_blocked
