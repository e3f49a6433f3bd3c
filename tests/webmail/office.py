"""What tests of the page's own side share: a store, accounts, a directory, `/api/` over HTTP in memory, a browser.

The browser wraps and proves as the page does, but for Argon2id: what it types is hashed once, since the server sees
only the outcome. Time passes when a test says so, and nobody waits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pysequoia
import pytest
import sqlalchemy as sa

from deploy.demo.browser import derivations
from deploy.demo.browser.keys import BareKey, make_bare_key
from deploy.node.https import application
from deploy.node.migrations.metadata import mail_metadata
from directory.certificates.service import DirectoryService, open_database
from directory.certificates.tables import create as create_directory
from mail_server.accounts import ins
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.patients import PatientIdentity
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.keys.settings import KeysSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Store
from mail_server.store.settings import StoreSettings
from mail_server.store.store import open_store
from policies.audit.query import Filter, find
from policies.audit.trail import ChainedTrail
from policies.decisions import CedarDecisions
from policies.interface import Event
from policies.refusal import Refusal
from webmail.api import PageApi, Parts
from webmail.login import totp
from webmail.login.routes import OperatorInfo
from webmail.login.settings import PageSettings
from webmail.notices.service import Notices
from webmail.spaces.conversations import Writing
from webmail.spaces.listings import Looking

DOMAIN = "mss.essai.test"
ORIGIN = "http://localhost"
DECISIONS = CedarDecisions.load()
BODY = "2850513055001"  # an INS without its key
BIRTH_DATE = "1985-05-17"
BOTH = pytest.mark.parametrize("office", ["sqlite", "postgresql"], indirect=True)


def identity(body: str = BODY) -> PatientIdentity:
    """Somebody invented, under this number (13 characters)."""
    return PatientIdentity(
        number=body + ins.key_of(body),
        birth_name="Vasarely-Moreau",
        given_names=("Apolline", "Rose"),
        birth_date=BIRTH_DATE,
        sex="F",
        birth_place="13055",
    )


class Nobody:
    """Addressees and correspondents where a test has none."""

    async def addressee(self, speaker: Account, address: str) -> Any:
        raise Refusal(550, "5.1.1", "No such mailbox here", "not-a-correspondent")

    def dispensed(self, reader: Any, account: Account, since: int) -> list[Any]:
        return []

    def of(self, reader: Any, account: Account) -> list[Any]:
        return []


@dataclass
class Clock:
    """Real time, and what a test adds to it."""

    ahead: int = 0
    _stands_at: int | None = None

    def __call__(self) -> int:
        return (self._stands_at or time.time_ns() // 1_000_000) + self.ahead

    @contextmanager
    def standing(self) -> Iterator[None]:
        """However long what is done meanwhile takes, no time passes but what the test adds."""
        self._stands_at = time.time_ns() // 1_000_000
        try:
            yield
        finally:
            self._stands_at = None

    def forward(self, *, minutes: float = 0, hours: float = 0, days: float = 0, seconds: float = 0) -> None:
        self.ahead += int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)


@dataclass
class Office:
    """What a test does with a node's page."""

    home: Path
    keys: AesKeyWrapper
    store: Store
    trail: ChainedTrail
    accounts: AccountService
    directory: DirectoryService
    operator_keys: GnuPgOperatorKeys
    clock: Clock
    settings: PageSettings
    oidc: OidcService | None = None
    writing: Writing | None = None
    notices: Notices | None = None
    looking: Looking | None = None
    page: PageApi = field(init=False)
    app: Any = field(init=False)
    slept: list[float] = field(default_factory=list)
    resealed: list[str] = field(default_factory=list)

    async def open_page(self) -> None:
        """As at each start of the node."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        parts = Parts(
            store=self.store,
            trail=self.trail,
            audit=self._noted.extend,
            accounts=self.accounts,
            directory=self.directory,
            operator_keys=self.operator_keys,
            decisions=DECISIONS,
            keys=self.keys,
            addressees=Nobody(),
            conversations=Nobody(),
            resealing=lambda account: self.resealed.append(account.id),
            oidc=self.oidc,
            writing=self.writing,
            notices=self.notices,
            looking=self.looking,
            sleep=sleep,
            clock=self.clock,
        )
        self.page = await PageApi.open(self.settings, parts, OperatorInfo("Essai", "01 00 00 00 00", 1 << 20))
        self.app = application(self.page.routers)

    _noted: list[Event] = field(default_factory=list)

    async def restart(self) -> None:
        """The process is gone, the databases stay."""
        await self.page.sessions.flush()
        await self.accounts.start()
        self.accounts.changed.clear()
        self.directory.reload()
        await self.open_page()

    def browser(self, **headers: str) -> Browser:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=ORIGIN)
        client.headers.update({"X-Vaguemestre": "1", "Origin": ORIGIN, "User-Agent": FIREFOX, **headers})
        return Browser(self, client)

    async def patient(self, body: str = BODY) -> Account:
        return await self.accounts.patient_add(identity(body))

    async def professional(self, local: str = "gp") -> Account:
        return await self.accounts.add(f"{local}@{DOMAIN}", Kind.PER)

    async def code(self, account: Account) -> str:
        return await self.page.enrolments.issue(account.id, "console:test")

    async def enrolled(self, account: Account | None = None, password: str = "orage") -> Browser:
        """A patient whose space is open, in a browser that knows everything of it."""
        account = account or await self.patient()
        browser = self.browser()
        await browser.start(await self.code(account), account)
        await browser.complete(password)
        return browser

    async def enrolled_professional(self, local: str = "gp", password: str = "orage") -> Browser:
        """A professional with a key made in the page, and a second factor."""
        browser = await self.enrolled(await self.professional(local), password)
        await browser.set_up_totp()
        return browser

    async def traced(self, **wanted: Any) -> list[str]:
        found = await self.store.read(lambda reader: find(reader.sql, Filter(last=1000, **wanted)))
        return [f"{entry.action} {entry.outcome}" for entry in found]

    def noted(self) -> list[str]:
        """Events that had no transaction of their own."""
        return [f"{event.action} {event.outcome}" for event in self._noted]

    def by_id(self, account: str) -> Account:
        found = self.accounts.by_id(account)  # type: ignore[arg-type]
        assert found is not None
        return found


FIREFOX = "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


class Refused(Exception):
    """The server said no."""

    def __init__(self, status: int, error: str, answer: dict[str, Any]) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.answer = answer


@dataclass
class Browser:
    """One browser with its cookie, and what its worker knows."""

    office: Office
    client: httpx.AsyncClient
    account: Account | None = None
    account_key: bytes = b""
    password: str = ""
    recovery: str = ""
    challenge: dict[str, Any] = field(default_factory=dict)
    made: BareKey | None = None
    session: dict[str, Any] = field(default_factory=dict)
    totp_secret: bytes = b""
    sent: list[bytes] = field(default_factory=list)

    # -- requests

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.raw(method, path, body, **headers)
        told = answer.json() if answer.content else None
        if answer.status_code >= 400:
            raise Refused(answer.status_code, (told or {}).get("error", ""), told or {})
        return told

    async def raw(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        request = self.client.build_request(method, f"/api/{path}", json=body, headers=headers)
        self.sent.append(request.content)
        return await self.client.send(request)

    async def get(self, path: str) -> Any:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self.ask("POST", path, {} if body is None else body)

    async def put(self, path: str, body: Any) -> Any:
        return await self.ask("PUT", path, body)

    async def delete(self, path: str, body: Any = None) -> Any:
        return await self.ask("DELETE", path, body)

    @property
    def cookie(self) -> str:
        return self.client.cookies["vaguemestre"]

    def holding(self, cookie: str) -> Browser:
        """Another browser with this cookie's value: a thief's."""
        other = self.office.browser()
        other.client.cookies.set("vaguemestre", cookie, domain="localhost.local", path="/")
        return other

    # -- enrolment

    def answers(self, account: Account) -> dict[str, str]:
        if account.kind is not Kind.PATIENT:
            return {"address": account.address}
        number = self.office.accounts.patient_identity(account.id).number
        return {"birthDate": BIRTH_DATE, "lastFive": number[-5:]}

    async def start(self, code: str, account: Account, **instead: str) -> dict[str, Any]:
        self.account = account
        return await self.post("enrolment/start", {"code": code, **self.answers(account), **instead})

    async def challenged(self, key: BareKey | None = None) -> dict[str, Any]:
        """The key part of a completion, its nonce opened."""
        assert self.account is not None
        self.made = key or make_bare_key(self.account.address)
        asked = await self.post("keys/challenge", {"certificate": text(self.made.certificate)})
        nonce = opened(data(asked["message"]), self.made.secret).decode()
        return {
            "certificate": text(self.made.certificate),
            "wrappedSecret": text(
                derivations.wrap_secret_key(self.account_key, self.made.secret, self.made.fingerprint)
            ),
            "challenge": asked["challenge"],
            "nonce": nonce,
        }

    def new_account_key(self) -> None:
        self.account_key = secrets.token_bytes(32)

    async def completion(
        self, password: str, *, recovery: str = "", key: bool | dict[str, Any] = True
    ) -> dict[str, Any]:
        self.new_account_key()
        self.password, self.recovery = password, recovery or derivations.new_recovery_code()
        proven = await self.challenged() if key is True else (key or None)
        return {"password": self.password_slot(), "recovery": self.recovery_slot(), "key": proven}

    async def complete(self, password: str, *, recovery: str = "", key: bool = True) -> dict[str, Any]:
        given = await self.completion(password, recovery=recovery, key=key)
        self.session = await self.post("enrolment/complete", given)
        return self.session

    def password_slot(self, password: str = "") -> dict[str, Any]:
        assert self.account is not None
        salt = secrets.token_bytes(16)
        split = stretched(password or self.password, salt)
        return {
            "salt": text(salt),
            "params": {"algorithm": "argon2id", "memory": 65536, "passes": 3, "lanes": 1},
            "login": text(split.login),
            "wrapped": text(derivations.wrap_account_key(split.kek, self.account_key, self.account.id)),
        }

    def recovery_slot(self, code: str = "") -> dict[str, Any]:
        assert self.account is not None
        split = derivations.from_recovery(code or self.recovery)
        return {
            "login": text(split.login),
            "wrapped": text(derivations.wrap_account_key(split.kek, self.account_key, self.account.id)),
        }

    # -- logging in

    async def password_login(self, user: str, password: str) -> str:
        known = await self.post("login/parameters", {"user": user})
        return text(stretched(password, data(known["salt"])).login)

    async def log_in(self, user: str, password: str, **more: Any) -> dict[str, Any]:
        login = await self.password_login(user, password)
        self.session = await self.post("login", {"user": user, "login": login, "shared": False, **more})
        return self.session

    async def log_in_by_sheet(self, user: str, code: str, **more: Any) -> dict[str, Any]:
        login = text(derivations.from_recovery(code).login)
        self.session = await self.post("login/recovery", {"user": user, "login": login, **more})
        return self.session

    async def current(self) -> str:
        """The login secret of the password in force."""
        session = await self.get("session")
        slot = next(each for each in session["slots"] if each["kind"] == "password")
        return text(stretched(self.password, data(slot["params"]["salt"])).login)

    def code_now(self) -> str:
        return totp.code_at(self.totp_secret, self.office.clock() // 30_000)

    async def set_up_totp(self) -> dict[str, Any]:
        begun = await self.post("totp/start")
        self.totp_secret = base64.b32decode(begun["secret"])
        self.session = await self.post("totp", {"code": self.code_now()})
        return self.session


def stretched(password: str, salt: bytes) -> derivations.Split:
    """In Argon2id's place."""
    made = hmac.digest(salt, password.encode(), "sha256")
    return derivations.Split(hashlib.sha256(b"login" + made).digest(), hashlib.sha256(b"kek" + made).digest())


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def data(encoded: str) -> bytes:
    return base64.b64decode(encoded)


def opened(message: bytes, secret: bytes) -> bytes:
    key = pysequoia.Tsk.from_bytes(secret)
    clear = pysequoia.decrypt(message, decryptor=key.decryptor()).bytes
    assert clear is not None
    return bytes(clear)


@pytest.fixture
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    """On SQLite unless a test asks for `postgresql` by indirect parameter."""
    dialect = getattr(request, "param", "sqlite")
    database = request.getfixturevalue("make_postgresql_database")() if dialect == "postgresql" else ""
    settings = StoreSettings(database=database, free_space_floor=0)
    engine = sa.create_engine(settings.url(tmp_path).replace("postgresql:", "postgresql+psycopg:"))
    for metadata in mail_metadata():
        metadata.create_all(engine)
    engine.dispose()
    listing = open_database(f"sqlite:///{tmp_path / 'directory.db'}")
    create_directory(listing)
    keys = AesKeyWrapper(secrets.token_bytes(32))
    store = open_store(settings, tmp_path, keys)
    await store.start()
    trail = ChainedTrail("node")
    accounts = AccountService(store, trail, AccountsSettings(domains=(DOMAIN,)), keys=keys)
    await accounts.start()
    operator_keys = GnuPgOperatorKeys(KeysSettings(), tmp_path / "keystore", keys)
    made = Office(
        tmp_path,
        keys,
        store,
        trail,
        accounts,
        DirectoryService(listing),
        operator_keys,
        Clock(),
        PageSettings(public_url=ORIGIN),
    )
    await made.open_page()
    yield made
    await made.page.stop()
    await accounts.flush()
    await operator_keys.close()
    await store.stop()
    made.directory.close()
