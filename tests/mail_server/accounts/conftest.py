"""A real store (SQLite) with the tables of accounts and of the trace, and what stands around an authenticator."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import mail_server.accounts.tables
import mail_server.store.tables
import policies.audit.tables
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.interface import Account, Kind, Peer
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Store
from mail_server.store.settings import StoreSettings
from mail_server.store.store import open_store
from policies.audit.query import Filter, find
from policies.audit.trail import ChainedTrail
from policies.decisions import CedarDecisions
from policies.interface import Event

DECISIONS = CedarDecisions.load()
METADATA = (
    mail_server.store.tables.metadata,
    mail_server.accounts.tables.metadata,
    policies.audit.tables.metadata,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    settings = StoreSettings(free_space_floor=0)
    engine = sa.create_engine(settings.url(tmp_path))
    for metadata in METADATA:
        metadata.create_all(engine)
    engine.dispose()
    opened = open_store(settings, tmp_path, AesKeyWrapper(secrets.token_bytes(32)))
    await opened.start()
    yield opened
    await opened.stop()


@dataclass
class House:
    """Accounts and an authenticator over one store."""

    store: Store
    accounts: AccountService
    authenticator: PasswordAuthenticator
    events: list[Event]
    slept: list[float]
    passwords: dict[str, str] = field(default_factory=dict)

    async def person(self, address: str, kind: Kind = Kind.PER, **more: Any) -> Account:
        account = await self.accounts.add(address, kind)
        new = await self.accounts.app_password_create(account.id, "Thunderbird", **more)
        self.passwords[account.address] = new.secret
        found = self.accounts.by_id(account.id)
        assert found
        return found

    async def traced(self) -> list[str]:
        found = await self.store.read(lambda reader: find(reader.sql, Filter(last=1000)))
        return [f"{entry.action} {entry.subject}" for entry in found]


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
    settings = AccountsSettings(domains=("CHU.mssante.fr", "medecin.mssante.fr"))
    accounts = AccountService(store, ChainedTrail("node"), settings)
    await accounts.start()
    events: list[Event] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    authenticator = PasswordAuthenticator(accounts, DECISIONS, events.extend, settings, sleep=sleep)
    yield House(store, accounts, authenticator, events, slept)
    await accounts.flush()


@pytest.fixture
def peer() -> Peer:
    return Peer("192.0.2.7", 40000, "imap", "session-1", tls=True)
