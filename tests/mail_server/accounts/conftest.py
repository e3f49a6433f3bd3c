"""A real store with the tables of accounts and of the trace, and what stands around an authenticator.

The store is on SQLite unless a test asks for `postgresql` by indirect parameter.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own, reached by a socket in its folder; without fsync, for nobody cuts its power."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="vm-accounts-pg-"))
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_user, str(found[-1].parent / program), "-D", str(folder / "data"), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    run("initdb", "-A", "trust", "-U", "vm", "-N")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-s", "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://vm@/postgres?host={folder}"
    run("pg_ctl", "-s", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    dialect = getattr(request, "param", "sqlite")
    database = request.getfixturevalue("postgresql") if dialect == "postgresql" else ""
    settings = StoreSettings(database=database, free_space_floor=0)
    engine = sa.create_engine(settings.url(tmp_path).replace("postgresql:", "postgresql+psycopg:"))
    for metadata in METADATA:
        metadata.drop_all(engine)
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
