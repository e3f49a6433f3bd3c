"""Conversations over a real store, on SQLite and on PostgreSQL, with a few people."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

import mail_server.accounts.tables
import mail_server.conversations.tables
import mail_server.store.tables
import policies.audit.tables
from mail_server import mime
from mail_server.accounts import ins
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.patients import PatientIdentity
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.conversations.blocks import Blocks, Dispensings
from mail_server.conversations.closings import Closings
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.model import Correspondence, How, Standing
from mail_server.conversations.roots import LetterIds
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Store
from mail_server.store.model import AccountId, NewMessage, Rendered, SpecialUse, State, VerbatimContent
from mail_server.store.settings import StoreSettings
from mail_server.store.store import open_store
from policies.audit.trail import ChainedTrail

METADATA = (
    mail_server.store.tables.metadata,
    mail_server.accounts.tables.metadata,
    mail_server.conversations.tables.metadata,
    policies.audit.tables.metadata,
)


@dataclass
class Town:
    """People, their conversations, and a clock that goes on by one."""

    store: Store
    accounts: AccountService
    conversations: Conversations
    closings: Closings
    blocks: Blocks
    dispensings: Dispensings
    clock: int = 1000
    persons: dict[str, Account] = field(default_factory=dict)

    async def person(self, name: str, kind: Kind = Kind.PER) -> Account:
        return await self.accounts.add(f"{name}@chu.test", kind)

    async def patient(self, body: str = "2850513055001") -> Account:
        return await self.accounts.patient_add(
            PatientIdentity(body + ins.key_of(body), "Vasarely", ("Rose",), "1985-05-17", "F")
        )

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    async def writes(
        self,
        sender: str,
        patient: Account,
        thread: str = "T1",
        *reply_to: str,
        closes: How | None = None,
        no_answer: bool = False,
        ids: LetterIds | None = None,
    ) -> bool:
        """A letter whose root is named like its thread, unless `ids` says otherwise."""
        ids = ids or self.ids(f"n{self.clock}", thread)
        written = self.conversations.written(sender, reply_to, ids, closes=closes, no_answer=no_answer)
        if written is None:
            return False
        at = self.tick()
        await self.store.write(lambda tx: self.conversations.record(tx, written, {patient.id: thread}, at))
        return True

    def ids(self, own: str, *references: str) -> LetterIds:
        named = tuple(f"<{each}@x>".encode() for each in references)
        return LetterIds(f"<{own}@x>".encode(), named, named[-1:])

    async def standing(self, patient: Account, correspondent: Account) -> Standing:
        return await self.store.read(
            lambda reader: self.conversations.standing(reader, patient.id, correspondent.id)
        )

    async def of(self, account: Account) -> list[Correspondence]:
        return await self.store.read(lambda reader: self.conversations.of(reader, account))

    async def files(self, account: Account, use: SpecialUse, header: str, name: str) -> str:
        """Lay a letter in somebody's mailbox; its thread."""
        message = f"{header}\r\nMessage-ID: <{name}@x>\r\n\r\nx\r\n".encode()
        blob = await self.store.stage(account.id, message, compress=False)
        made = mime.render(message)
        rendered = Rendered(made.header, made.envelope, made.bodystructure, made.body)
        at = self.tick()
        filed = await self.store.write(
            lambda tx: tx.file(
                NewMessage(
                    account=AccountId(account.id),
                    mailbox=use,
                    content=VerbatimContent(blob),
                    rendered=rendered,
                    size=len(message),
                    received_at=at,
                    state=State.CUSTODY,
                    message_ids=(f"<{name}@x>".encode(),),
                )
            )
        )
        return filed.thread_id


@pytest.fixture(params=["sqlite", "postgresql"])
async def town(
    request: pytest.FixtureRequest, tmp_path: Path, make_database: Callable[[], str]
) -> AsyncIterator[Town]:
    database = make_database() if request.param == "postgresql" else ""
    settings = StoreSettings(database=database, free_space_floor=0)
    engine = sa.create_engine(settings.url(tmp_path).replace("postgresql:", "postgresql+psycopg:"))
    for metadata in METADATA:
        metadata.create_all(engine)
    engine.dispose()
    keys = AesKeyWrapper(secrets.token_bytes(32))
    store = open_store(settings, tmp_path, keys)
    await store.start()
    accounts = AccountService(store, ChainedTrail("node"), AccountsSettings(domains=("chu.test",)), keys=keys)
    await accounts.start()
    conversations = Conversations(store=store, accounts=accounts, keys=keys)
    trail = ChainedTrail("node")
    closings = Closings(
        store=store,
        accounts=accounts,
        conversations=conversations,
        trail=trail,
        may_close=lambda speaker, _: speaker.kind is not Kind.PATIENT,
        clock=lambda: 5000,
    )
    blocks = Blocks(accounts=accounts, conversations=conversations, trail=trail)
    yield Town(store, accounts, conversations, closings, blocks, Dispensings())
    await store.stop()


@pytest.fixture
def make_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """PostgreSQL starts for those who ask alone."""
    return lambda: request.getfixturevalue("make_postgresql_database")()
