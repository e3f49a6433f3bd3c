"""A node put together: which object is given to which. Nothing here decides anything about a letter.

Read from above: what everything stands on (`ground`); what delivery is given (`before_delivery`); delivery; what
stands on delivery; the page.

Invariants: sealing workers start before any secret is loaded; what was opened is closed in the reverse order;
a node opened for one console command holds the home's lock and opens no door.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from deploy.node.administrators import Administrators
from deploy.node.before_delivery import Before, before_delivery
from deploy.node.clock import now
from deploy.node.config import Config
from deploy.node.correspondence import add_receipts
from deploy.node.elsewhere import MailboxesElsewhere
from deploy.node.ground import Ground, ground_of
from deploy.node.home import Home
from deploy.node.inactivity import Inactivity
from deploy.node.node import Node
from deploy.node.page import page_of
from deploy.node.publication import Published
from deploy.node.signatures import authserv_id
from deploy.node.telling import tell_through
from mail_server.accounts.access import Access
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.delivery.addressees import Addressees
from mail_server.delivery.authenticity import Authenticity
from mail_server.delivery.integration_answers import IntegrationAnswers
from mail_server.delivery.peer_certificates import PeerCertificates
from mail_server.delivery.reported import FiledReports, LocalReports
from mail_server.delivery.reseal import Resealer
from mail_server.delivery.service import DeliveryService
from mail_server.delivery.sharing import ReaderChanges
from mail_server.sealing.pool import Pool

__all__ = ["Node", "now", "opened"]


@asynccontextmanager
async def opened(home: Home, config: Config) -> AsyncGenerator[Node]:
    """Open a node's data and workers. Raises StartError, StoreError, KeyUnavailable."""
    async with AsyncExitStack() as stack:
        pool = Pool(config.sealing)
        await pool.start()
        stack.push_async_callback(pool.close)
        yield await _assemble(stack, home, config, pool)


async def _assemble(stack: AsyncExitStack, home: Home, config: Config, pool: Pool) -> Node:
    before = await before_delivery(stack, await ground_of(stack, home, config), pool)
    delivery = _delivery(before)
    stack.push_async_callback(delivery.stop)
    node = _node(before, delivery)
    stack.push_async_callback(node.resealer.stop)
    node.page = await page_of(node)
    stack.push_async_callback(node.page.stop)
    return node


def _delivery(before: Before) -> DeliveryService:
    ground, sealing, trust, out = before.ground, before.sealing, before.trust, before.out
    writing, gate = before.writing, before.gate
    config, accounts, store, trail = ground.config, ground.accounts, ground.store, ground.trail
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
        integration=_integration(before),
        structured=before.structured,
        rates=before.rates,
        suggestions=before.suggestions,
        authenticity=_authenticity(before),
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


def _integration(before: Before) -> IntegrationAnswers:
    ground = before.ground
    return IntegrationAnswers(
        store=ground.store,
        accounts=ground.accounts,
        trail=ground.trail,
        peer_keys=before.out.peer_keys,
        large=ground.config.delivery.large_message,
        clock=now,
    )


def _authenticity(before: Before) -> Authenticity:
    config = before.ground.config
    return Authenticity(
        verifier=before.verifier,
        authserv_id=authserv_id(config),
        accounts=before.ground.accounts,
        listed=before.trust.peers.listed,
        clock=now,
        large=config.delivery.large_message,
    )


def _node(before: Before, delivery: DeliveryService) -> Node:
    ground, sealing, trust = before.ground, before.sealing, before.trust
    node = Node(
        home=ground.home,
        config=ground.config,
        keys=ground.keys,
        store=ground.store,
        accounts=ground.accounts,
        profiles=ground.profiles,
        directory=ground.directory,
        listings_database=ground.listings_database,
        listings=ground.listings,
        api_keys=ground.api_keys,
        own_listings=ground.own_listings,
        publications=ground.publications,
        elsewhere=_elsewhere(ground, delivery),
        struck_off=ground.struck_off,
        harvest=ground.harvest,
        guesses=ground.guesses,
        decisions=ground.decisions,
        administrators=_administrators(ground),
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
        correspondence=before.writing,
        limits=ground.limits,
        inactivity=_inactivity(before),
        addressees=_addressees(before),
        access=Access(ground.accounts, ground.decisions, now),
        notices=before.notices,
        signer=before.signer,
        verifier=before.verifier,
        forwarding=before.forwarding,
        outbound=before.outbound,
        published=_published(before),
    )
    ground.own_listings.then.append(node.elsewhere.look)
    # It seals anew by the node itself.
    node.sharing = ReaderChanges(
        accounts=ground.accounts,
        planner=sealing.planner,
        directory=ground.directory,
        decisions=ground.decisions,
        audit=ground.trace.note,
        resealing=node.reseal,
        clock=now,
    )
    return node


def _elsewhere(ground: Ground, delivery: DeliveryService) -> MailboxesElsewhere:
    return MailboxesElsewhere(
        accounts=ground.accounts,
        database=ground.listings_database,
        filed=FiledReports(delivery),
        store=ground.store,
        trail=ground.trail,
        audit=ground.trace.note,
        domain=ground.config.accounts.domains[0],
        clock=now,
    )


def _administrators(ground: Ground) -> Administrators:
    return Administrators(
        ground.config.administrators,
        ground.home.path,
        decisions=ground.decisions,
        accounts=ground.accounts,
        audit=ground.trace.note,
        clock=now,
    )


def _inactivity(before: Before) -> Inactivity:
    ground, notices = before.ground, before.notices
    return Inactivity(
        ground.config.life,
        ground.accounts,
        ground.trace.note,
        now,
        lambda account: ground.directory.hide(account.address),
        notices.inactivity if notices.offered else None,
    )


def _addressees(before: Before) -> Addressees:
    sealing, out = before.sealing, before.out
    return Addressees(
        gate=before.gate,
        planner=sealing.planner,
        exchanges=before.writing.exchanges,
        operator_keys=sealing.operator_keys,
        audit=before.ground.trace.note,
        rates=before.rates,
        abroad=out.abroad,
        egress=out.egress,
        suggestions=before.suggestions,
    )


def _published(before: Before) -> Published:
    ground = before.ground
    return Published(
        directory=ground.directory,
        accounts=ground.accounts,
        operator_keys=before.sealing.operator_keys,
        closing=before.writing.certificates,
        is_red=ground.own_listings.is_red,
        largest=ground.config.delivery.max_message_size,
        clock=now,
    )


def _authenticator(before: Before) -> PasswordAuthenticator:
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


def _resealer(before: Before) -> Resealer:
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
