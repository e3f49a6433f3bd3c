"""A node put together: which object is given to which. Nothing here decides anything about a letter.

Invariants: sealing workers start before any secret is loaded; what was opened is closed in the reverse order;
a node opened for one console command holds the home's lock and opens no door.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy.exc import OperationalError

from deploy.node import logs
from deploy.node.administrators import Administrators
from deploy.node.audit_heads import HeadsWriter
from deploy.node.config import Config
from deploy.node.correspondence import Correspondence, add_receipts, correspondence
from deploy.node.egress import asking_of, gate_of, peer_keys_of
from deploy.node.failures import StartError
from deploy.node.forwarding import forwarding_of
from deploy.node.home import Home
from deploy.node.identity import identity_providers
from deploy.node.inactivity import Inactivity
from deploy.node.leaving import ListedDomains, leaving
from deploy.node.migrations.run import migrate_directory, migrate_mail
from deploy.node.notices import notices_of
from deploy.node.outbound import Outbound, blocked_domains, client_of, outbound_of
from deploy.node.policy_alarm import PolicyAlarm
from deploy.node.rules import load_rules
from deploy.node.signatures import authserv_id, signer, verifier
from deploy.node.telling import reports_of, tell_through
from deploy.node.trace import Trace
from deploy.node.trust import Trust, trust_of
from directory.service import DirectoryService
from mail_server.accounts.access import Access
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.interface import Account
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.service import AccountService
from mail_server.delivery.addressees import Addressees
from mail_server.delivery.authenticity import Authenticity
from mail_server.delivery.compose import Composer
from mail_server.delivery.forwarding import Forwarding
from mail_server.delivery.gate import Gate
from mail_server.delivery.integration_answers import IntegrationAnswers
from mail_server.delivery.peer_certificates import PeerCertificates
from mail_server.delivery.plan import Planner
from mail_server.delivery.rates import Rates
from mail_server.delivery.reported import LocalReports
from mail_server.delivery.reseal import Resealer
from mail_server.delivery.service import DeliveryService
from mail_server.delivery.sharing import ReaderChanges
from mail_server.delivery.structured import Structured
from mail_server.keys.interface import KeyWrapper
from mail_server.keys.kek import load_kek
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.outbound.signed import SigningEgress
from mail_server.payloads.reader import Reader
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.pool import Pool
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier
from mail_server.store.home_lock import HomeLock
from mail_server.store.interface import Store
from mail_server.store.store import open_store
from policies.audit.trail import ChainedTrail
from policies.decisions import CedarDecisions
from policies.limits.limits import Limits
from policies.trust_list import blocks
from policies.trust_list.peers import Peers
from policies.trust_list.space import TrustSpace
from webmail.api import PageApi, Parts
from webmail.login.routes import OperatorInfo
from webmail.notices.service import Notices
from webmail.spaces.conversations import Writing

_log = logging.getLogger("vaguemestre.node")
_HOUR = 3600.0


@dataclass(slots=True)
class Node:
    """Everything a door or the console works with."""

    home: Home
    config: Config
    keys: KeyWrapper
    store: Store
    accounts: AccountService
    profiles: ProfileBook
    directory: DirectoryService
    decisions: CedarDecisions
    administrators: Administrators
    trust: Trust
    trust_list: TrustSpace
    peer_trust: Peers
    operator_blocks: blocks.OperatorBlocks
    trail: ChainedTrail
    trace: Trace
    heads: HeadsWriter
    authenticator: PasswordAuthenticator
    oidc: OidcService
    operator_keys: GnuPgOperatorKeys
    authority: Authority
    pool: Pool
    planner: Planner
    gate: Gate
    delivery: DeliveryService
    resealer: Resealer
    reader: Reader
    correspondence: Correspondence
    addressees: Addressees
    limits: Limits
    inactivity: Inactivity
    access: Access
    notices: Notices
    signer: Signer
    verifier: Verifier
    forwarding: Forwarding
    outbound: Outbound
    sharing: ReaderChanges = field(init=False)
    page: PageApi = field(init=False)
    _work: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    async def maintain(self) -> None:
        """What a running node does by the hour: renew the signing key in time, write last uses of passwords,
        tell whose mailbox lies unused."""
        while True:
            await asyncio.sleep(_HOUR)
            try:
                if await asyncio.to_thread(self.authority.needs_renewal, now()):
                    await self.pool.load(await asyncio.to_thread(self.authority.signing_key))
                await asyncio.to_thread(self.signer.ring.tidy, now())
                await self.accounts.flush()
                await self.inactivity.sweep()
            except Exception as failure:  # a key that is not renewed would stop all sealing within a week
                _log.error("upkeep failed (%s); tried again in an hour", logs.told(failure))

    def reseal(self, account: Account) -> None:
        """Begin, behind the answer, to seal what waited or lay in custody."""
        self._keep(self.resealer.begin(account))

    def resume_reseal(self) -> None:
        """At start: go on with every account that has letters not yet sealed to its own certificate."""
        self._keep(asyncio.create_task(self._resume_reseal()))

    async def _resume_reseal(self) -> None:
        for account in self.accounts.all():
            await asyncio.wait([self.resealer.begin(account)])

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def settled(self) -> None:
        """Wait for what runs behind the answers."""
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)


@asynccontextmanager
async def opened(home: Home, config: Config) -> AsyncGenerator[Node]:
    """Open a node's data and workers. Raises StartError, StoreError, KeyUnavailable."""
    async with AsyncExitStack() as stack:
        pool = Pool(config.sealing)
        await pool.start()
        stack.push_async_callback(pool.close)
        yield await _assemble(stack, home, config, pool)


async def _assemble(stack: AsyncExitStack, home: Home, config: Config, pool: Pool) -> Node:
    if not home.path.is_dir():
        raise StartError(f"No node in {home.path}. Run `vaguemestre init` first.")
    keys = load_kek(config.keys, home.path)
    with HomeLock(home.path):  # never under the feet of a node that serves
        await asyncio.to_thread(migrate, home, config)
    trail = ChainedTrail(config.policies.audit_chain)
    store = open_store(config.store, home.path, keys)
    await store.start()
    stack.push_async_callback(store.stop)
    heads = HeadsWriter(
        store,
        config.policies.audit_chain,
        keys,
        config.policies.audit_heads,
        config.policies.audit_heads_every,
        now,
    )
    await heads.open()
    stack.push_async_callback(heads.stop)
    trace = Trace(store, trail)
    stack.push_async_callback(trace.stop)
    decisions = load_rules(config.policies)
    decisions.on_alarm = PolicyAlarm(trace.note, now).raised
    operator_blocks = blocks.OperatorBlocks(await store.read(lambda reader: blocks.read(reader.sql)))
    accounts = AccountService(store, trail, config.accounts, keys=keys)
    await accounts.start()
    trust = await trust_of(
        config,
        home.path,
        store=store,
        ours=accounts.is_local_domain,
        blocked=operator_blocks.blocked,
        audit=trace.note,
        clock=now,
    )
    stack.push_async_callback(trust.stop)
    profiles = ProfileBook(store, trail)
    await profiles.start()
    stack.push_async_callback(accounts.flush)
    oidc = identity_providers(config, accounts)
    stack.push_async_callback(oidc.close)
    directory = DirectoryService.open(home.directory_database)
    stack.callback(directory.close)
    letter_signer = signer(home, config, keys, now)
    letter_verifier = verifier(config, now)
    stack.push_async_callback(letter_verifier.close)
    operator_keys = GnuPgOperatorKeys(config.keys, home.keystore, keys)
    stack.push_async_callback(operator_keys.close)
    authority = Authority(home.authority, keys, config.accounts.domains[0])
    if not authority.made:
        raise StartError(f"No authority key in {home.authority}: run `vaguemestre init` to the end.")
    await pool.load(await asyncio.to_thread(authority.signing_key))
    planner = Planner(accounts=accounts, directory=directory, decisions=decisions, clock=now)
    engine = OpenPgpEngine(pool)
    composer = Composer(
        store=store,
        engine=engine,
        operator_keys=operator_keys,
        domain=config.accounts.domains[0],
        large=config.delivery.large_message,
    )
    gate = Gate(
        accounts=accounts,
        decisions=decisions,
        trust_list=trust.space,
        planner=planner,
        max_message_size=config.delivery.max_message_size,
        operator_blocked=operator_blocks.blocked,
        patient_domain=accounts.patient_domain,
    )
    writing = correspondence(config, store=store, accounts=accounts, keys=keys, gate=gate, trail=trail)
    await writing.certificates.load()
    await writing.feedback.load()
    limits = Limits(config.limits)
    rates = Rates(limits, accounts, accounts.patient_domain)
    reader = Reader(config.record)
    stack.push_async_callback(reader.close)
    structured = Structured(reader, decisions)
    notices = notices_of(
        config, store=store, accounts=accounts, keys=keys, trail=trail, trust_list=trust.space, clock=now
    )
    stack.push_async_callback(notices.stop)
    outbound = outbound_of(
        config.outbound,
        store=store,
        keys=keys,
        trail=trail,
        clock=now,
        several_nodes=config.store.is_postgresql(),
        blocked=blocked_domains(trust.space.names_of, operator_blocks.blocked),
    )
    stack.push_async_callback(outbound.close)
    outbound.owing.append(writing.feedback)
    reports = reports_of(config, outbound, store=store, accounts=accounts, keys=keys, trail=trail, clock=now)
    outbound.gate = gate_of(config, home, named=outbound.gates_named, audit=trace.note, clock=now)
    outbound.egress = SigningEgress(outbound.gate, letter_signer)
    outbound.published = outbound.peer_keys = await peer_keys_of(
        config, store=store, keys=keys, listed=trust.peers.listed, audit=trace.note, clock=now
    )
    outbound.connect = client_of(config, trust.peers)
    outbound.asking = partial(asking_of, config)
    outbound.listing = bool(config.policies.trust_list or config.policies.trust_list_url)
    domains = ListedDomains(trust.space, trust.peers, operator_blocks.blocked)
    out = leaving(
        config,
        outbound,
        store=store,
        engine=engine,
        gate=gate,
        decisions=decisions,
        exchanges=writing.exchanges,
        domains=domains,
        signer=letter_signer,
    )
    forwarding = forwarding_of(
        config,
        outbound,
        store=store,
        accounts=accounts,
        planner=planner,
        trail=trail,
        engine=engine,
        domains=domains,
        signer=letter_signer,
        clock=now,
    )
    delivery = DeliveryService(
        settings=config.delivery,
        accounts=accounts,
        store=store,
        trail=trail,
        audit=trace.note,
        gate=gate,
        planner=planner,
        composer=composer,
        operator_keys=operator_keys,
        exchanges=writing.exchanges,
        receipts=writing.asked,
        feedback=writing.feedback,
        integration=IntegrationAnswers(
            store=store,
            accounts=accounts,
            trail=trail,
            peer_keys=out.peer_keys,
            large=config.delivery.large_message,
            clock=now,
        ),
        structured=structured,
        rates=rates,
        authenticity=Authenticity(
            verifier=letter_verifier,
            authserv_id=authserv_id(config),
            accounts=accounts,
            listed=trust.peers.listed,
            clock=now,
            large=config.delivery.large_message,
        ),
        forwarding=forwarding,
        peer_certificates=PeerCertificates(trust.peers, trust.revocation),
        abroad=out.abroad,
        departures=out.departures,
        more_notes=(
            LocalReports(accounts=accounts, gate=gate, planner=planner, owing=reports).note,
            notices.note,
        ),
    )
    stack.push_async_callback(delivery.stop)
    tell_through(reports, outbound, delivery, letter_signer.signed)
    add_receipts(
        writing,
        config,
        store=store,
        accounts=accounts,
        keys=keys,
        delivery=delivery,
        trail=trail,
        peer_keys=out.peer_keys,
    )
    resealer = Resealer(
        store=store,
        trail=trail,
        planner=planner,
        composer=composer,
        operator_keys=operator_keys,
        structured=structured,
        clock=now,
        batch=config.delivery.reseal_batch,
        large=config.delivery.large_message,
    )
    stack.push_async_callback(resealer.stop)
    node = Node(
        home=home,
        config=config,
        keys=keys,
        store=store,
        accounts=accounts,
        profiles=profiles,
        directory=directory,
        decisions=decisions,
        administrators=Administrators(
            config.administrators,
            home.path,
            decisions=decisions,
            accounts=accounts,
            audit=trace.note,
            clock=now,
        ),
        trust=trust,
        trust_list=trust.space,
        peer_trust=trust.peers,
        operator_blocks=operator_blocks,
        trail=trail,
        trace=trace,
        heads=heads,
        authenticator=PasswordAuthenticator(
            accounts,
            decisions,
            trace.note,
            config.accounts,
            tokens=oidc,
            provider_sessions=oidc,
            trace_full=trace.full,
            revocation=trust.revocation,
        ),
        oidc=oidc,
        operator_keys=operator_keys,
        authority=authority,
        pool=pool,
        planner=planner,
        gate=gate,
        delivery=delivery,
        resealer=resealer,
        reader=reader,
        correspondence=writing,
        limits=limits,
        inactivity=Inactivity(
            config.life,
            accounts,
            trace.note,
            now,
            lambda account: directory.hide(account.address),
            notices.inactivity if notices.offered else None,
        ),
        addressees=Addressees(
            gate=gate,
            planner=planner,
            exchanges=writing.exchanges,
            operator_keys=operator_keys,
            audit=trace.note,
            rates=rates,
            abroad=out.abroad,
            egress=out.egress,
        ),
        access=Access(accounts, decisions, now),
        notices=notices,
        signer=letter_signer,
        verifier=letter_verifier,
        forwarding=forwarding,
        outbound=outbound,
    )
    node.sharing = ReaderChanges(
        accounts=accounts,
        planner=planner,
        directory=directory,
        decisions=decisions,
        audit=trace.note,
        resealing=node.reseal,
        clock=now,
    )
    node.page = await _page(node)
    stack.push_async_callback(node.page.stop)
    return node


async def _page(node: Node) -> PageApi:
    """The page's own side; what it asks of the node is named here."""
    parts = Parts(
        store=node.store,
        trail=node.trail,
        audit=node.trace.note,
        accounts=node.accounts,
        directory=node.directory,
        operator_keys=node.operator_keys,
        decisions=node.decisions,
        keys=node.keys,
        addressees=node.addressees,
        conversations=node.correspondence.conversations,
        writing=Writing(
            node.correspondence.closings,
            node.correspondence.blocks,
            node.correspondence.receipts,
            node.access.may,
        ),
        resealing=node.reseal,
        oidc=node.oidc,
        trace_full=node.trace.full,
        large=node.config.delivery.large_message,
        clock=now,
        profile_of=node.profiles.of,
        sharing=node.sharing,
        notices=node.notices,
    )
    operator = OperatorInfo(
        name=node.config.node.operator,
        contact=node.config.web.contact,
        gateway=lambda: node.authority.certificate().decode("ascii"),
        message_limit=node.config.delivery.max_message_size,
    )
    return await PageApi.open(node.config.page, parts, operator)


def migrate(home: Home, config: Config) -> None:
    """Bring both databases to the newest schema. Raises StartError when PostgreSQL does not let us in."""
    try:
        migrate_mail(config.store.url(home.path))
    except OperationalError:
        if not config.store.is_postgresql():
            raise
        # The driver's own words may hold the address with its password.
        raise StartError(
            "PostgreSQL does not answer: is it running, and does `store.database` name an existing database, "
            "its user and password?"
        ) from None
    migrate_directory(f"sqlite:///{home.directory_database}")


def now() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000
