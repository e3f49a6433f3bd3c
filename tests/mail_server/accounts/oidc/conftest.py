"""A provider of test at its own paths, reached without a socket, and the service that believes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.demo.identity.people import Patient, Practice, Professional, invented_national_id
from deploy.demo.identity.realm import Realm
from deploy.demo.identity.server import Providers
from deploy.demo.identity.tokens import Lies, Signer
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings
from mail_server.store.model import AccountId

BASE = "http://127.0.0.1:9"
PAGE = "https://messagerie.example.org"
SECRET = "un secret : d'essai %"
NOW = 1_800_000_000.0
INS = "255069912345633"

CLAIRE = Professional(invented_national_id(1), "Claire", "Martin")
PAUL = Professional(invented_national_id(2), "Paul", "Durand", (Practice("Cabinet A"), Practice("Hôpital B")))
IDLE = Professional(invented_national_id(3), "Inès", "Petit", ())
PATIENT = Patient("", "Jeanne", "Essai", "1955-06-01")


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def seconds(self) -> float:
        return self.at

    def ms(self) -> int:
        return int(self.at * 1000)

    def pass_(self, *, minutes: float = 0, seconds: float = 0, hours: float = 0) -> None:
        self.at += hours * 3600 + minutes * 60 + seconds


@dataclass
class People:
    """The accounts, as the service asks of them."""

    known: dict[str, Account] = field(default_factory=dict[str, Account])
    struck: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, name: str, person: Professional) -> Account:
        account = Account(
            AccountId(name), f"{name}@hopital.example.org", Kind.PER, national_id=person.national_id
        )
        self.known[name] = account
        return account

    def by_id(self, account: AccountId) -> Account | None:
        return self.known.get(account)

    def by_national_id(self, national_id: str) -> Account | None:
        return next((each for each in self.known.values() if each.national_id == national_id), None)

    def by_ins(self, text: str) -> Account | None:
        return None

    async def practice_set(self, account: AccountId, practising: bool, by: str = "node") -> None:
        self.struck.append((account, by))
        self.known[account] = replace(self.known[account], practising=practising)


@dataclass
class World:
    service: OidcService
    providers: Providers
    people: People
    clock: Clock

    @property
    def psc(self) -> Realm:
        return self.providers.psc.realm

    def token(self, person: Professional = CLAIRE, client: str = "logiciel", **lies: Any) -> str:
        """An access token as a mail program got it; `lies` change how it is signed."""
        self.psc.lies = Lies(**lies)
        try:
            return self.psc.tokens_for(person.name, client)["access_token"]
        finally:
            self.psc.lies = Lies()


_KEYS: dict[str, Signer] = {}


def keep_keys(realm: Realm) -> None:
    """RSA keys take their time to make: each realm's first one is the same in every test."""
    realm.signer._keys = list(_KEYS.setdefault(realm.issuer, realm.signer)._keys)  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def psc_settings(tmp_path: Path) -> ProviderSettings:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    return ProviderSettings(
        name="psc",
        label="Pro Santé Connect",
        issuer=f"{BASE}/auth/realms/esante-wallet",
        discovery=f"{BASE}/auth/realms/esante-wallet/.well-known/wallet-openid-configuration",
        client_id="vaguemestre",
        client_secret_file=secret,
        scope="openid scope_all",
        mail_tokens=True,
        clients=("logiciel",),
        ciba=True,
        introspection_memory=0,
    )


@pytest.fixture
async def world(clock: Clock, psc_settings: ProviderSettings) -> AsyncIterator[World]:
    made = await make(clock, psc_settings)
    yield made
    await made.service.close()


async def make(clock: Clock, *settings: ProviderSettings) -> World:
    providers = Providers.at(BASE, [CLAIRE, PAUL, IDLE], secret=SECRET, page=PAGE, clock=clock.seconds)
    keep_keys(providers.psc.realm)
    keep_keys(providers.vitale.realm)
    people = People()
    people.add("claire", CLAIRE)
    people.add("paul", PAUL)
    people.add("ines", IDLE)
    service = OidcService(
        OidcSettings(providers=settings),
        people,
        clock=clock.ms,
        transport=httpx.ASGITransport(providers.application()),
    )
    return World(service, providers, people, clock)
