"""What everything else in a node stands on: keys, databases, the trace, the rules, who has an account.

Invariants: databases are at their newest schema before anything is read; the trace is there before the first decision;
what was opened is closed in the reverse order, the store last.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sqlalchemy.exc import DatabaseError, OperationalError

from deploy.node.audit_heads import HeadsWriter
from deploy.node.clock import now
from deploy.node.config import Config
from deploy.node.directory_publication import Publications
from deploy.node.failures import StartError
from deploy.node.following import following
from deploy.node.harvest import guesses_of, harvest_of
from deploy.node.home import Home
from deploy.node.listings import OwnListings
from deploy.node.migrations.run import engine_url, migrate_directory, migrate_listings, migrate_mail
from deploy.node.outbound import named
from deploy.node.policy_alarm import PolicyAlarm
from deploy.node.rules import load_rules
from deploy.node.struck_off import StruckOff
from deploy.node.trace import Trace
from directory.certificates.service import DirectoryService, open_database
from directory.fhir.keys import ApiKeys
from directory.harvest import Allowance
from directory.listings.database import ListingsDatabase
from directory.listings.service import ListingsService
from directory.publication.client.queue import PublicationQueue
from directory.publication.guesses import Guesses
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

_RESTORE = "restore it from the newest backup."
_WHEN_DAMAGED: Mapping[str, str] = {
    "mail.db": _RESTORE,
    "directory.db": _RESTORE,
    "listings.db": (
        "move it away with listings.db-wal and listings.db-shm, start again, and import the national files again. "
        "Operators who publish here are to publish theirs again."
    ),
}


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
    listings_database: ListingsDatabase
    listings: ListingsService
    api_keys: ApiKeys
    publications: Publications
    own_listings: OwnListings
    struck_off: StruckOff
    harvest: Allowance
    guesses: Guesses
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
    directory = DirectoryService.open(engine_url(config.directory.url(home.path)))
    stack.callback(directory.close)
    listings_database = ListingsDatabase(config.directory.listings_place(home.path))
    stack.callback(listings_database.close)
    listings = ListingsService(listings_database, now)
    stack.callback(listings.close)
    api_keys = ApiKeys(open_database(engine_url(config.directory.url(home.path))), now)
    stack.callback(api_keys.close)
    publications = Publications(
        PublicationQueue(
            open_database(engine_url(config.directory.url(home.path))),
            named(home, policies.audit_chain),
            config.publication.national_directory,
        ),
        config.publication,
        accounts,
        trace.note,
        now,
    )
    stack.callback(publications.close)
    await publications.open()
    struck_off = StruckOff(
        accounts, listings_database, trace.note, now, largest_fall=config.directory.largest_fall
    )
    own_listings = OwnListings(
        accounts=accounts,
        profiles=profiles,
        directory=directory,
        database=listings_database,
        struck_off=struck_off if config.directory.struck_off else None,
        follow=following(config, store, accounts, profiles),
        clock=now,
        publications=publications,
    )
    stack.push_async_callback(own_listings.stop)
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
        listings_database=listings_database,
        listings=listings,
        api_keys=api_keys,
        publications=publications,
        own_listings=own_listings,
        struck_off=struck_off,
        harvest=harvest_of(config.directory, trace.note, now),
        guesses=guesses_of(config.directory, accounts.is_local_domain, trace.note, now),
        limits=Limits(config.limits),
    )


def migrate(home: Home, config: Config) -> None:
    """Bring all databases to the newest schema. Raises StartError when PostgreSQL does not let us in."""
    store, directory = config.store, config.directory
    if directory.is_postgresql() and directory.database == store.database:
        raise StartError(
            "`directory.database` names the database of the letters. Give the directory one of its own: both have "
            "a table `mailbox`."
        )
    mail_away = _telling_who_is_away("store.database", store.is_postgresql())
    with mail_away, _telling_what_is_damaged("mail.db"):
        migrate_mail(store.url(home.path))
    with _telling_who_is_away("directory.database", directory.is_postgresql()):
        with _telling_what_is_damaged("directory.db"):
            migrate_directory(directory.url(home.path))
        with _telling_what_is_damaged("listings.db"):
            migrate_listings(directory.listings_url(home.path))


@contextlib.contextmanager
def _telling_what_is_damaged(file: str) -> Generator[None]:
    try:
        yield
    except DatabaseError as failure:
        if not is_damage(failure.orig):
            raise
        raise StartError(damaged_words(file)) from None


def is_damage(failure: BaseException | None) -> bool:
    """Whether SQLite says that a file is none of its own, or broken."""
    code = getattr(failure, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)  # the low octet is the primary code


def damaged_words(file: str) -> str:
    return f"{file} in the home is damaged: {_WHEN_DAMAGED[file]}"


@contextlib.contextmanager
def _telling_who_is_away(key: str, postgresql: bool) -> Generator[None]:
    try:
        yield
    except OperationalError:
        if not postgresql:
            raise
        # The driver's own words may hold the address with its password.
        raise StartError(
            f"PostgreSQL does not answer: is it running, and does `{key}` name an existing database, "
            "its user and password?"
        ) from None
