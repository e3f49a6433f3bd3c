"""A node's doors: SMTP, IMAP, HTTPS, metrics; opened and closed together.

Invariants: when one cannot open, those already open are closed again; a reload that finds a bad certificate,
rule or list keeps the old one and says so.
"""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack

from fastapi import APIRouter

from deploy.node import (
    directory_publication,
    directory_standing,
    limits_shown,
    page_standing,
    queue_standing,
    reports_standing,
    rules,
    trust_standing,
)
from deploy.node.autoconfig import profile_signer, services_of
from deploy.node.composition import Node, now
from deploy.node.failures import StartError
from deploy.node.fhir import NodeFhir
from deploy.node.https import Listener, WebServer, application
from deploy.node.key_following import KeyFollower
from deploy.node.ldap import ldap_door
from deploy.node.metrics import Metrics
from deploy.node.peer_door import PeerLookups, peer_routes
from deploy.node.publication_routes import peer_lookups, publication_routes
from deploy.node.tls import ReplaceableContext, server_context
from directory.autoconfig.routes import autoconfiguration
from mail_server.delivery.interface import Road
from mail_server.imap.server import ImapDoor
from mail_server.jmap.door import JmapDoor
from mail_server.jmap.exchanges import Exchanges
from mail_server.smtp.server import SmtpDoor
from webmail.help import HelpInfo
from webmail.page import page_routes


class Doors:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._stack = AsyncExitStack()
        config = node.config
        self._smtp = SmtpDoor(config.smtp, node.delivery, node.authenticator, node.accounts, self._smtp_tls())
        self._tls = ReplaceableContext(server_context(config.tls, ask_client=False))
        self._imap = ImapDoor(
            config.imap,
            store=node.store,
            delivery=node.delivery,
            accounts=node.accounts,
            authenticator=node.authenticator,
            tls=server_context(config.tls, ask_client=True),
            audit=node.trace.note,
            trace_full=node.trace.full,
            access=node.access,
            sharing=node.sharing,
            closings=node.correspondence.closings,
            receipts=node.correspondence.receipts,
        )
        self._ldap = ldap_door(node, server_context(config.tls, ask_client=True))
        self._jmap = self._jmap_door()
        node.outbound.owing.append(self._jmap.departed)
        limits_shown.watch_doors(node, self._smtp, self._imap, self._jmap)
        self._following = KeyFollower(node.directory, several_nodes=config.directory.is_postgresql())
        settings = autoconfiguration(services_of(config), profile_signer(config.tls))
        self._fhir = NodeFhir(node)
        pages = application(
            [
                *node.page.routers,
                self._jmap.router,
                self._page(),
                settings,
                *publication_routes(node),
                *([self._fhir.door.router] if config.fhir.enabled else []),
            ]
        )
        self._peers_tls: ReplaceableContext | None = None
        self._peer_lookups: PeerLookups | None = None
        web, front = config.web, self._tls.front
        self._servers = [
            *([WebServer(pages, Listener(web.host, web.port, front))] if web.port else []),
            *(
                [WebServer(pages, Listener("127.0.0.1", config.web.plain_port))]
                if config.web.plain_port
                else []
            ),
            *([self._peers(web.host, web.peers_port)] if web.peers_port else []),
            *([self._metrics().server(config.metrics.port)] if config.metrics.port else []),
        ]

    def _jmap_door(self) -> JmapDoor:
        node = self._node
        # One address for both, unless programs are sent elsewhere.
        where = node.config.jmap.public_url or node.config.page.public_url or None
        writing = node.correspondence
        door = JmapDoor(
            node.config.jmap.model_copy(update={"public_url": where}),
            store=node.store,
            delivery=node.delivery,
            accounts=node.accounts,
            authenticator=node.authenticator,
            sessions=node.page.sessions,
            keys=node.keys,
            audit=node.trace.note,
            capabilities=node.page.capabilities,
            trace_full=node.trace.full,
            limits=node.limits,
            display_name=node.profiles.display_name,
            exchanges=Exchanges(writing.closings, writing.asked, writing.receipts),
            access=node.access,
        )
        wakes = node.page.wakes
        wakes.tell, door.events.just_passed = door.events.wake, wakes.just_passed
        return door

    def _page(self) -> APIRouter:
        config = self._node.config
        return page_routes(
            HelpInfo(
                operator=config.node.operator,
                host=config.web.mail_host or config.smtp.hostname,
                imaps=config.imap.tls_port,
                imap=config.imap.port,
                submissions=config.smtp.submissions_port,
                submission=config.smtp.submission_port,
                ldaps=config.ldap.tls_port,
                ldap=config.ldap.port,
                base=config.ldap.base,
                contact=config.web.contact,
            )
        )

    def _peers(self, host: str, port: int) -> WebServer:
        """A port of its own: there alone a client certificate is asked for, which browsers would put to people."""
        self._peers_tls = ReplaceableContext(server_context(self._node.config.tls, ask_client=True))
        self._peer_lookups = peer_lookups(self._node)
        pages = application([peer_routes(self._peer_lookups)])
        return WebServer(pages, Listener(host, port, self._peers_tls.front))

    def _metrics(self) -> Metrics:
        node = self._node
        metrics = Metrics()
        metrics.counters("smtp", lambda: self._smtp.counters)
        metrics.counters("imap", lambda: self._imap.counters, gauges={"open", "append_octets"})
        metrics.counters("ldap", lambda: self._ldap.counters, gauges={"open", "searching"})
        if (lookups := self._peer_lookups) is not None:
            metrics.counters("peer_lookups", lambda: lookups.counters)
        metrics.counters("fhir", lambda: self._fhir.door.counters)
        metrics.counters("jmap", lambda: self._jmap.counters, gauges={"listeners", "upload_octets"})
        metrics.counters("page", lambda: node.page.counters)
        metrics.counters("oidc", lambda: node.oidc.counters, gauges={"sessions_open"})
        metrics.counters("sealing", lambda: node.pool.counters)
        metrics.counters("reading", lambda: node.reader.counters)
        if (gate := node.outbound.gate) is not None:
            metrics.counters("outbound_gate", lambda: gate.counters)
            metrics.gauge("outbound_gate_alive", "Whether the egress gate runs.", lambda: float(gate.alive))
            metrics.gauge("outbound_gate_keys", "Egress keys held.", lambda: float(len(gate.keys)))
        if (published := node.outbound.published) is not None:
            metrics.counters("outbound_certificates", lambda: published.counters)
            metrics.gauge(
                "outbound_certificates_left_alone",
                "Domains that are not asked for a while, for their silence.",
                lambda: float(published.circuit.open),
            )
        metrics.counters("publication", lambda: node.publications.counters)
        metrics.looked_up(directory_publication.SHOWN, node.publications.measured)
        metrics.counters("outbound", lambda: node.outbound.counters)
        metrics.counters("outbound_signatures", lambda: node.signer.counters)
        metrics.counters("signatures", lambda: node.verifier.counters)
        metrics.counters("signatures_worker", lambda: node.verifier.pool_counters)
        metrics.counters("outbound_connections", lambda: queue_standing.connections(node))
        if (reports := node.outbound.reports) is not None:
            metrics.counters("outbound_reports", lambda: reports.counters)
        metrics.families(lambda: queue_standing.families(node))
        metrics.looked_up(queue_standing.SHOWN, lambda: queue_standing.shown(node, now()))
        metrics.gauge("smtp_connections_open", "Open SMTP connections.", lambda: self._smtp.open_connections)
        metrics.gauge("smtp_bytes_in_flight", "Mail held in memory.", lambda: self._smtp.bytes_in_flight)
        metrics.gauge("page_sessions_open", "Open sessions of the page.", lambda: node.page.sessions.open)
        metrics.families(lambda: limits_shown.families(node.limits))
        metrics.families(lambda: trust_standing.families(node))
        metrics.looked_up(page_standing.SHOWN, lambda: page_standing.shown(node, now()))
        directory_standing.watch(metrics, node)
        feedback = node.correspondence.feedback
        metrics.counters("reports", lambda: feedback.counters)
        metrics.counters("notices", lambda: node.notices.counters)
        metrics.looked_up(reports_standing.SHOWN, lambda: reports_standing.shown(node))
        metrics.gauge("sealing_waiting", "Letters that wait for a worker.", lambda: node.pool.waiting)
        metrics.gauge("store_writable", "0 below the free-space floor.", lambda: float(node.store.writable))
        metrics.gauge("audit_lost", "Audit entries that could not be written.", lambda: node.trace.lost)
        metrics.gauge(
            "policy_errors", "Questions the rules could not answer.", lambda: node.decisions.evaluation_errors
        )
        return metrics

    def _smtp_tls(self) -> dict[Road, ssl.SSLContext]:
        asking = server_context(self._node.config.tls, ask_client=True)
        return {Road.CLIENT: asking, Road.OPERATOR: asking}

    async def start(self) -> None:
        async with AsyncExitStack() as opening:
            await self._node.trust.start()
            opening.push_async_callback(self._node.trust.stop)
            opening.push_async_callback(self._node.outbound.stop)
            await self._node.outbound.prepare()
            await self._smtp.start()
            opening.push_async_callback(self._smtp.stop)
            await self._imap.start()
            opening.push_async_callback(self._imap.stop)
            await self._jmap.start()
            opening.push_async_callback(self._jmap.stop)
            await self._ldap.start()
            opening.push_async_callback(self._ldap.stop)
            self._node.correspondence.start()
            opening.push_async_callback(self._node.correspondence.stop)
            self._node.notices.start()
            opening.push_async_callback(self._node.notices.stop)
            opening.push_async_callback(self._fhir.stop)
            for server in self._servers:
                await server.start()
                opening.push_async_callback(server.stop)
            self._node.publications.start()
            opening.push_async_callback(self._node.publications.stop)
            self._node.own_listings.start()
            opening.push_async_callback(self._node.own_listings.stop)
            self._following.start()
            opening.push_async_callback(self._following.stop)
            await self._node.outbound.start()
            opening.callback(self._node.outbound.begin_stop)
            self._stack = opening.pop_all()

    async def stop(self) -> None:
        await self._stack.aclose()

    def described(self) -> str:
        smtp = ", ".join(f"{entrance.value} {port}" for entrance, port in self._smtp.ports.items())
        imap = ", ".join(
            str(port) for port in (self._node.config.imap.port, self._node.config.imap.tls_port) if port
        )
        web = self._node.config.web
        others = {
            "imap": imap,
            "ldap": ", ".join(map(str, self._ldap.ports)),
            "https": ", ".join(str(port) for port in (web.port, web.peers_port) if port),
        }
        return ", ".join([smtp, *(f"{name} {ports}" for name, ports in others.items() if ports)])

    async def reload(self) -> list[str]:
        """Read certificates, rules and the trust list again; returns a sentence for each that stays as it was."""
        kept: list[str] = []
        try:
            self._smtp.reload_tls(self._smtp_tls())
            self._imap.reload_tls(server_context(self._node.config.tls, ask_client=True))
            self._ldap.reload_tls(server_context(self._node.config.tls, ask_client=True))
            self._tls.use(server_context(self._node.config.tls, ask_client=False))
            if self._peers_tls is not None:
                self._peers_tls.use(server_context(self._node.config.tls, ask_client=True))
        except StartError as failure:
            kept.append(str(failure))
        again = await rules.reload(self._node.decisions, self._node.trace.note, now())
        kept += again["problems"]
        kept += self._node.outbound.reload()
        kept += self._node.publications.reload()
        return kept + await self._node.trust.reload()
