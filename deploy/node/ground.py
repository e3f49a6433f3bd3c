"""What everything else in a node stands on: keys, databases, the trace, the rules, who has an account.

Invariants: databases are at their newest schema before anything is read; the trace is there before the first decision;
what was opened is closed in the reverse order, the store last.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from deploy.node.audit_heads import HeadsWriter
from deploy.node.clock import now
from deploy.node.config import Config
from deploy.node.failures import StartError
from deploy.node.home import Home
from deploy.node.migrations.run import migrate_directory, migrate_mail
from deploy.node.policy_alarm import PolicyAlarm
from deploy.node.rules import load_rules
from deploy.node.trace import Trace
from directory.service import DirectoryService
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.service import AccountService
from mail_server.keys.interface import KeyWrapper
from mail_server.keys.kek import load_kek
from mail_server.store.home_lock import HomeLock
from mail_server.store.interface import Store
from mail_server.store.store import open_store
from policies.audit.trail import ChainedTrail
from policies.decisions import CedarDecisions
from policies.limits.limits import Limits
from policies.trust_list import blocks


@dataclass(frozen=True, slots=True)
class Ground:
    home: Home
    config: Config
    keys: KeyWrapper
    store: Store
    trail: ChainedTrail
    trace: Trace
    heads: HeadsWriter
    decisions: CedarDecisions
    operator_blocks: blocks.OperatorBlocks
    accounts: AccountService
    profiles: ProfileBook
    directory: DirectoryService
    limits: Limits


async def ground_of(stack: AsyncExitStack, home: Home, config: Config) -> Ground:
    """Raises StartError, StoreError, KeyUnavailable."""
    if not home.path.is_dir():
        raise StartError(f"No node in {home.path}. Run `vaguemestre init` first.")
    keys = load_kek(config.keys, home.path)
    with HomeLock(home.path):  # never under the feet of a node that serves
        await asyncio.to_thread(migrate, home, config)
    policies = config.policies
    trail = ChainedTrail(policies.audit_chain)
    store = open_store(config.store, home.path, keys)
    await store.start()
    stack.push_async_callback(store.stop)
    heads = HeadsWriter(
        store, policies.audit_chain, keys, policies.audit_heads, policies.audit_heads_every, now
    )
    await heads.open()
    stack.push_async_callback(heads.stop)
    trace = Trace(store, trail)
    stack.push_async_callback(trace.stop)
    decisions = load_rules(policies)
    decisions.on_alarm = PolicyAlarm(trace.note, now).raised
    operator_blocks = blocks.OperatorBlocks(await store.read(lambda reader: blocks.read(reader.sql)))
    accounts = AccountService(store, trail, config.accounts, keys=keys)
    await accounts.start()
    stack.push_async_callback(accounts.flush)
    profiles = ProfileBook(store, trail)
    await profiles.start()
    directory = DirectoryService.open(home.directory_database)
    stack.callback(directory.close)
    return Ground(
        home=home,
        config=config,
        keys=keys,
        store=store,
        trail=trail,
        trace=trace,
        heads=heads,
        decisions=decisions,
        operator_blocks=operator_blocks,
        accounts=accounts,
        profiles=profiles,
        directory=directory,
        limits=Limits(config.limits),
    )


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
