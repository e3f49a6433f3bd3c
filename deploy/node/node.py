"""A node as doors and console see it: its parts by name, and what it does by itself while it runs.

Invariants: `composition` alone makes one; upkeep that fails is logged and tried again, never the end of the node; what
runs behind answers is kept in hand until it ends.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from dataclasses import dataclass, field
from typing import Any

from deploy.node import logs
from deploy.node.administrators import Administrators
from deploy.node.audit_heads import HeadsWriter
from deploy.node.clock import now
from deploy.node.config import Config
from deploy.node.correspondence import Correspondence
from deploy.node.directory_publication import Publications
from deploy.node.elsewhere import MailboxesElsewhere
from deploy.node.home import Home
from deploy.node.inactivity import Inactivity
from deploy.node.listings import OwnListings
from deploy.node.outbound import Outbound
from deploy.node.publication import Published
from deploy.node.struck_off import StruckOff
from deploy.node.trace import Trace
from deploy.node.trust import Trust
from directory.certificates.service import DirectoryService
from directory.fhir.keys import ApiKeys
from directory.harvest import Allowance
from directory.listings.database import ListingsDatabase
from directory.listings.service import ListingsService
from directory.model import Capability
from directory.publication.guesses import Guesses
from mail_server.accounts.access import Access
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.interface import Account
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.service import AccountService
from mail_server.delivery.addressees import Addressees
from mail_server.delivery.forwarding import Forwarding
from mail_server.delivery.gate import Gate
from mail_server.delivery.plan import Planner
from mail_server.delivery.reseal import Resealer
from mail_server.delivery.service import DeliveryService
from mail_server.delivery.sharing import ReaderChanges
from mail_server.keys.interface import KeyWrapper
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.payloads.reader import Reader
from mail_server.sealing.authority import Authority
from mail_server.sealing.pool import Pool
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier
from mail_server.store.interface import Store
from policies.audit.trail import ChainedTrail
from policies.decisions import CedarDecisions
from policies.limits.limits import Limits
from policies.trust_list.blocks import OperatorBlocks
from policies.trust_list.peers import Peers
from policies.trust_list.space import TrustSpace
from webmail.api import PageApi
from webmail.notices.service import Notices

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
    listings_database: ListingsDatabase
    listings: ListingsService
    api_keys: ApiKeys
    own_listings: OwnListings
    publications: Publications
    elsewhere: MailboxesElsewhere
    struck_off: StruckOff
    harvest: Allowance
    guesses: Guesses
    decisions: CedarDecisions
    administrators: Administrators
    trust: Trust
    trust_list: TrustSpace
    peer_trust: Peers
    operator_blocks: OperatorBlocks
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
    published: Published
    sharing: ReaderChanges = field(init=False)
    page: PageApi = field(init=False)
    _work: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    def capability_of(self, address: str) -> Capability | None:
        """What can be sent to an address of ours; None for who is not shown to anybody."""
        return self.published.capability(address)

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

    def read_listings(self) -> None:
        """At start: the words of the directory, so that the first typing error is answered as quickly as the next."""
        self._keep(asyncio.create_task(self._read_listings()))

    async def _read_listings(self) -> None:
        try:
            await asyncio.to_thread(self.listings.prepare)
            gc.freeze()  # the words stay: Python's collector would walk them at each full round, on the loop too
        except Exception as failure:  # the node stops meanwhile, or the first question reads them
            _log.warning("the words of the directory were not read yet (%s)", logs.told(failure))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def settled(self) -> None:
        """Wait for what runs behind the answers."""
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)
