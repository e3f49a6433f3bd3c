"""One store per test, on both databases: each test is run for SQLite and for PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.model import (
    AccountId,
    Filed,
    NewMessage,
    Rendered,
    SpecialUse,
    SplitContent,
    StagedBlob,
    State,
    VerbatimContent,
)
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore

KEK = b"k" * 32


@dataclass
class Desk:
    """A running store and short ways to use it."""

    store: LocalStore
    settings: StoreSettings
    home: Path
    account: AccountId = field(default=AccountId("a" * 20))
    other: AccountId = field(default=AccountId("b" * 20))
    keys: AesKeyWrapper = field(default_factory=lambda: AesKeyWrapper(KEK))

    def rendered(self, mark: bytes = b"") -> Rendered:
        return Rendered(b"Subject: x" + mark + b"\r\n\r\n", b"(env)", b"(struct)", b"(body)")

    async def verbatim(self, data: bytes = b"Subject: x\r\n\r\nhello\r\n", **more: Any) -> NewMessage:
        account = more.pop("account", self.account)
        blob = await self.store.stage(account, data, compress=True)
        more.setdefault("size", len(data))
        return self.new(VerbatimContent(blob), account=account, **more)

    async def split(self, body: bytes | StagedBlob = b"sealed", **more: Any) -> NewMessage:
        if isinstance(body, bytes):
            body = await self.store.stage(None, body, compress=False)
        content = SplitContent(b"head\r\n", more.pop("key_packets", b"key"), body, b"--tail\r\n")
        return self.new(content, state=more.pop("state", State.SEALED), **more)

    def new(self, content: Any, **more: Any) -> NewMessage:
        values: dict[str, Any] = {
            "account": self.account,
            "mailbox": SpecialUse.INBOX,
            "content": content,
            "rendered": self.rendered(),
            "size": 100,
            "received_at": 1_700_000_000_000,
            "state": State.CUSTODY,
        }
        return NewMessage(**(values | more))

    async def file(self, message: NewMessage) -> Filed:
        return await self.store.write(lambda tx: tx.file(message))

    async def inbox(self, account: AccountId | None = None) -> Any:
        return await self.box(SpecialUse.INBOX, account)

    async def box(self, use: SpecialUse, account: AccountId | None = None) -> Any:
        whose = account or self.account
        return await self.store.read(lambda reader: reader.mailbox_by_use(whose, use))

    async def count(self, statement: str, *parameters: Any) -> int:
        return await self.store.read(lambda reader: (reader.sql.one(statement, parameters) or (0,))[0])

    async def restart(self, **settings: Any) -> None:
        await self.store.stop()
        self.settings = self.settings.model_copy(update=settings)
        self.store = LocalStore(self.settings, self.home, self.keys)
        await self.store.start()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """`StoreSettings.database` of a fresh, migrated database; SQLite's file is put in tmp_path/home."""
    home = tmp_path / "home"
    home.mkdir()
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), home / "mail.db")
        return ""
    make = request.getfixturevalue("make_postgresql_database")
    return make(request.getfixturevalue("migrated_postgresql"))


@pytest.fixture
async def desk(database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    home = tmp_path / "home"
    settings = StoreSettings(
        database=database, free_space_floor=0, inline_limit=1024, segment_bytes=64 * 1024
    )
    store = LocalStore(settings, home, AesKeyWrapper(KEK))
    await store.start()
    desk = Desk(store, settings, home)
    await store.write(lambda tx: tx.open_account(desk.account))
    await store.write(lambda tx: tx.open_account(desk.other))
    yield desk
    await desk.store.stop()


@pytest.fixture
def big() -> bytes:
    """More than the tests' inline limit, and it does not compress."""
    return os.urandom(5000)
