"""A node put together: which object is given to which. Nothing here decides anything about a letter.

Read from above: what everything stands on (`ground`), the trust space (`trust`), how letters are sealed
(`sealing`), who writes to whom (`correspondence`), what leads out (`leaving`); delivery, which is given all of it;
what stands on delivery; the page.

Invariants: sealing workers start before any secret is loaded; what was opened is closed in the reverse order;
a node opened for one console command holds the home's lock and opens no door.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from deploy.node.administrators import Administrators
from deploy.node.clock import now
from deploy.node.config import Config
from deploy.node.correspondence import Correspondence, add_receipts, correspondence
from deploy.node.forwarding import forwarding_of
from deploy.node.ground import Ground, ground_of
from deploy.node.home import Home
from deploy.node.identity import identity_providers
from deploy.node.inactivity import Inactivity
from deploy.node.leaving import Leaving, ListedDomains, filled, leaving
from deploy.node.node import Node
from deploy.node.notices import notices_of
from deploy.node.outbound import Outbound
from deploy.node.page import page_of
from deploy.node.publication import Published
from deploy.node.sealing import Sealing, sealing_of
from deploy.node.signatures import authserv_id, signer, verifier
from deploy.node.suggestions import suggestions_of
from deploy.node.telling import reports_of, tell_through
from deploy.node.trust import Trust, trust_of
from mail_server.accounts.access import Access
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.oidc.service import OidcService
from mail_server.delivery.addressees import Addressees
from mail_server.delivery.authenticity import Authenticity
from mail_server.delivery.forwarding import Forwarding
from mail_server.delivery.gate import Gate
from mail_server.delivery.integration_answers import IntegrationAnswers
from mail_server.delivery.peer_certificates import PeerCertificates
from mail_server.delivery.rates import Rates
from mail_server.delivery.reported import LocalReports
from mail_server.delivery.reseal import Resealer
from mail_server.delivery.service import DeliveryService
from mail_server.delivery.sharing import ReaderChanges
from mail_server.delivery.structured import Structured
from mail_server.delivery.suggestions import Suggestions
from mail_server.outbound.reports.owed import Reports
from mail_server.payloads.reader import Reader
from mail_server.sealing.pool import Pool
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier
from webmail.notices.service import Notices

__all__ = ["Node", "now", "opened"]


@dataclass(frozen=True, slots=True)
class _Before:
    """What is there before delivery, which is given all of it."""

    ground: Ground
    trust: Trust
    oidc: OidcService
    pool: Pool
    sealing: Sealing
    signer: Signer
    verifier: Verifier
    gate: Gate
    writing: Correspondence
    suggestions: Suggestions
    rates: Rates
    reader: Reader
    structured: Structured
    notices: Notices
    outbound: Outbound
    reports: Reports
    out: Leaving
    forwarding: Forwarding


@asynccontextmanager
async def opened(home: Home, config: Config) -> AsyncGenerator[Node]:
    """Open a node's data and workers. Raises StartError, StoreError, KeyUnavailable."""
    async with AsyncExitStack() as stack:
        pool = Pool(config.sealing)
        await pool.start()
        stack.push_async_callback(pool.close)
        yield await _assemble(stack, home, config, pool)


async def _assemble(stack: AsyncExitStack, home: Home, config: Config, pool: Pool) -> Node:
    before = await _before(stack, await ground_of(stack, home, config), pool)
    delivery = _delivery(before)
    stack.push_async_callback(delivery.stop)
    node = _node(before, delivery)
    stack.push_async_callback(node.resealer.stop)
    node.page = await page_of(node)
    stack.push_async_callback(node.page.stop)
    return node


async def _before(stack: AsyncExitStack, ground: Ground, pool: Pool) -> _Before:
    config, store, accounts, keys = ground.config, ground.store, ground.accounts, ground.keys
    trail, decisions, blocked = ground.trail, ground.decisions, ground.operator_blocks.blocked
    trust = await trust_of(
        config,
        ground.home.path,
        store=store,
        ours=accounts.is_local_domain,
        blocked=blocked,
        audit=ground.trace.note,
        clock=now,
    )
    stack.push_async_callback(trust.stop)
    oidc = identity_providers(config, accounts)
    stack.push_async_callback(oidc.close)
    letter_signer = signer(ground.home, config, keys, now)
    letter_verifier = verifier(config, now)
    stack.push_async_callback(letter_verifier.close)
    sealing = await sealing_of(stack, ground, pool)
    gate = Gate(
        accounts=accounts,
        decisions=decisions,
        trust_list=trust.space,
        planner=sealing.planner,
        max_message_size=config.delivery.max_message_size,
        operator_blocked=blocked,
        patient_domain=accounts.patient_domain,
    )
    writing = correspondence(config, store=store, accounts=accounts, keys=keys, gate=gate, trail=trail)
    await writing.certificates.load()
    await writing.feedback.load()
    reader = Reader(config.record)
    stack.push_async_callback(reader.close)
    notices = notices_of(
        config, store=store, accounts=accounts, keys=keys, trail=trail, trust_list=trust.space, clock=now
    )
    stack.push_async_callback(notices.stop)
    outbound = await filled(ground, trust, letter_signer)
    stack.push_async_callback(outbound.close)
    outbound.owing.append(writing.feedback)
    suggestions = suggestions_of(ground, trust)
    stack.callback(suggestions.close)
    reports = reports_of(
        config,
        outbound,
        store=store,
        accounts=accounts,
        keys=keys,
        trail=trail,
        clock=now,
        meant=suggestions.of_report,
    )
    domains = ListedDomains(trust.space, trust.peers, blocked)
    return _Before(
        ground=ground,
        trust=trust,
        oidc=oidc,
        pool=pool,
        sealing=sealing,
        signer=letter_signer,
        verifier=letter_verifier,
        gate=gate,
        writing=writing,
        suggestions=suggestions,
        rates=Rates(ground.limits, accounts, accounts.patient_domain),
        reader=reader,
        structured=Structured(reader, decisions),
        notices=notices,
        outbound=outbound,
        reports=reports,
        out=leaving(
            ground,
            outbound,
            engine=sealing.engine,
            gate=gate,
            exchanges=writing.exchanges,
            domains=domains,
            signer=letter_signer,
        ),
        forwarding=forwarding_of(ground, outbound, sealing, domains, letter_signer),
    )


def _delivery(before: _Before) -> DeliveryService:
    ground, sealing, trust, out = before.ground, before.sealing, before.trust, before.out
    writing, gate = before.writing, before.gate
    config, accounts, store, trail = ground.config, ground.accounts, ground.store, ground.trail
    large = config.delivery.large_message
    local = LocalReports(accounts=accounts, gate=gate, planner=sealing.planner, owing=before.reports)
    delivery = DeliveryService(
        settings=config.delivery,
        accounts=accounts,
        store=store,
        trail=trail,
        audit=ground.trace.note,
        gate=gate,
        planner=sealing.planner,
        composer=sealing.composer,
        operator_keys=sealing.operator_keys,
        exchanges=writing.exchanges,
        receipts=writing.asked,
        feedback=writing.feedback,
        integration=IntegrationAnswers(
            store=store,
            accounts=accounts,
            trail=trail,
            peer_keys=out.peer_keys,
            large=large,
            clock=now,
        ),
        structured=before.structured,
        rates=before.rates,
        suggestions=before.suggestions,
        authenticity=Authenticity(
            verifier=before.verifier,
            authserv_id=authserv_id(config),
            accounts=accounts,
            listed=trust.peers.listed,
            clock=now,
            large=large,
        ),
        forwarding=before.forwarding,
        peer_certificates=PeerCertificates(trust.peers, trust.revocation, ground.guesses.listed),
        abroad=out.abroad,
        departures=out.departures,
        more_notes=(local.note, before.notices.note),
    )
    # Both say things by delivery itself, which is given them.
    tell_through(before.reports, before.outbound, delivery, before.signer.signed)
    add_receipts(
        writing,
        config,
        store=store,
        accounts=accounts,
        keys=ground.keys,
        delivery=delivery,
        trail=trail,
        peer_keys=out.peer_keys,
    )
    return delivery


def _node(before: _Before, delivery: DeliveryService) -> Node:
    ground, sealing, trust, writing = before.ground, before.sealing, before.trust, before.writing
    config, accounts, audit = ground.config, ground.accounts, ground.trace.note
    node = Node(
        home=ground.home,
        config=config,
        keys=ground.keys,
        store=ground.store,
        accounts=accounts,
        profiles=ground.profiles,
        directory=ground.directory,
        listings_database=ground.listings_database,
        listings=ground.listings,
        api_keys=ground.api_keys,
        own_listings=ground.own_listings,
        publications=ground.publications,
        struck_off=ground.struck_off,
        harvest=ground.harvest,
        guesses=ground.guesses,
        decisions=ground.decisions,
        administrators=Administrators(
            config.administrators,
            ground.home.path,
            decisions=ground.decisions,
            accounts=accounts,
            audit=audit,
            clock=now,
        ),
        trust=trust,
        trust_list=trust.space,
        peer_trust=trust.peers,
        operator_blocks=ground.operator_blocks,
        trail=ground.trail,
        trace=ground.trace,
        heads=ground.heads,
        authenticator=_authenticator(before),
        oidc=before.oidc,
        operator_keys=sealing.operator_keys,
        authority=sealing.authority,
        pool=before.pool,
        planner=sealing.planner,
        gate=before.gate,
        delivery=delivery,
        resealer=_resealer(before),
        reader=before.reader,
        correspondence=writing,
        limits=ground.limits,
        inactivity=Inactivity(
            config.life,
            accounts,
            audit,
            now,
            lambda account: ground.directory.hide(account.address),
            before.notices.inactivity if before.notices.offered else None,
        ),
        addressees=Addressees(
            gate=before.gate,
            planner=sealing.planner,
            exchanges=writing.exchanges,
            operator_keys=sealing.operator_keys,
            audit=audit,
            rates=before.rates,
            abroad=before.out.abroad,
            egress=before.out.egress,
            suggestions=before.suggestions,
        ),
        access=Access(accounts, ground.decisions, now),
        notices=before.notices,
        signer=before.signer,
        verifier=before.verifier,
        forwarding=before.forwarding,
        outbound=before.outbound,
        published=Published(
            directory=ground.directory,
            accounts=accounts,
            operator_keys=sealing.operator_keys,
            closing=writing.certificates,
            is_red=ground.own_listings.is_red,
            largest=config.delivery.max_message_size,
            clock=now,
        ),
    )
    node.sharing = ReaderChanges(
        accounts=accounts,
        planner=sealing.planner,
        directory=ground.directory,
        decisions=ground.decisions,
        audit=audit,
        resealing=node.reseal,
        clock=now,
    )
    return node


def _authenticator(before: _Before) -> PasswordAuthenticator:
    ground = before.ground
    return PasswordAuthenticator(
        ground.accounts,
        ground.decisions,
        ground.trace.note,
        ground.config.accounts,
        tokens=before.oidc,
        provider_sessions=before.oidc,
        trace_full=ground.trace.full,
        revocation=before.trust.revocation,
    )


def _resealer(before: _Before) -> Resealer:
    ground, sealing = before.ground, before.sealing
    return Resealer(
        store=ground.store,
        trail=ground.trail,
        planner=sealing.planner,
        composer=sealing.composer,
        operator_keys=sealing.operator_keys,
        structured=before.structured,
        clock=now,
        batch=ground.config.delivery.reseal_batch,
        large=ground.config.delivery.large_message,
    )
