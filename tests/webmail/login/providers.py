"""Two identity providers beside the page of a test, and a browser that goes there and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from deploy.demo.identity.people import Patient, Professional, invented_national_id
from deploy.demo.identity.realm import Realm
from deploy.demo.identity.server import PSC_PATH, VITALE_PATH, Providers
from deploy.demo.identity.tokens import Lies, Signer
from mail_server.accounts import ins
from mail_server.accounts.interface import Account
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings
from tests.webmail.office import BIRTH_DATE, BODY, ORIGIN, Browser, Office

BASE = "http://127.0.0.1:9"
SECRET = "secret d'essai"

CLAIRE = Professional(invented_national_id(11), "Claire", "Martin")
PAUL = Professional(invented_national_id(12), "Paul", "Durand")
JEANNE = Patient(BODY + ins.key_of(BODY), "Jeanne", "Essai", BIRTH_DATE)
_KEYS: dict[str, Signer] = {}


@dataclass
class Idp:
    office: Office
    providers: Providers
    service: OidcService
    http: httpx.AsyncClient

    @property
    def psc(self) -> Realm:
        return self.providers.psc.realm

    @property
    def vitale(self) -> Realm:
        return self.providers.vitale.realm

    async def doctor(self, person: Professional = CLAIRE, local: str = "gp") -> Account:
        account = await self.office.professional(local)
        await self.office.accounts.bind_national_id(account.id, person.national_id, "console:test")
        return self.office.by_id(account.id)

    # -- the way of a browser

    async def away(self, browser: Browser, provider: str = "psc", **asked: str) -> str:
        """Where the page sends it."""
        answer = await self.start(browser, provider, **asked)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def start(self, browser: Browser, provider: str = "psc", **asked: str) -> httpx.Response:
        return await browser.raw("GET", f"login/oidc/{provider}/start?{urlencode(asked)}")

    async def pick(self, url: str, person: str) -> str:
        """Where the provider sends it back, once somebody said who they are."""
        answer = await self.http.get(f"{url}&{urlencode({'person': person})}")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def come_back(self, browser: Browser, url: str) -> httpx.Response:
        """A browser that comes from another site: no cookie that is strict, no header of the page's."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == ORIGIN
        jar = {name: value for name, value in browser.client.cookies.items() if "oidc" in name}
        answer = await browser.client.get(
            f"{parts.path}?{parts.query}", headers={"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())}
        )
        browser.client.cookies.update(answer.cookies)
        return answer

    async def log_in(
        self, browser: Browser, person: str = CLAIRE.name, provider: str = "psc", **asked: str
    ) -> httpx.Response:
        return await self.come_back(
            browser, await self.pick(await self.away(browser, provider, **asked), person)
        )

    async def refused(self, browser: Browser, person: str = CLAIRE.name, provider: str = "psc") -> str:
        return told(await self.log_in(browser, person, provider))

    def reasons(self) -> list[str]:
        """What the trace says of refused logins."""
        return [
            one.removeprefix("login-failed ") for one in self.office.noted() if one.startswith("login-failed")
        ]

    def lie(self, **lies: Any) -> None:
        self.psc.lies = Lies(**lies)


def told(answer: httpx.Response) -> str:
    """The slug of a failed login; "" for one that came in."""
    assert answer.status_code == 303
    where = urlsplit(answer.headers["location"])
    if where.path == "/":
        return ""
    assert where.path == "/connexion"
    assert not where.netloc
    asked = parse_qs(where.query)
    assert set(asked) == {"refus", "ref"}
    return asked["refus"][0]


def changed(url: str, /, **values: str | None) -> str:
    """The same address with other parameters."""
    parts = urlsplit(url)
    query: dict[str, Any] = {name: value[0] for name, value in parse_qs(parts.query).items()}
    query = {name: value for name, value in {**query, **values}.items() if value is not None}
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query)}"


def parameter(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


def _settings(folder: Path) -> OidcSettings:
    secret = folder / "client-secret"
    secret.write_text(SECRET)
    psc = ProviderSettings(
        name="psc",
        label="Pro Santé Connect",
        issuer=f"{BASE}{PSC_PATH}",
        discovery=f"{BASE}{PSC_PATH}/.well-known/wallet-openid-configuration",
        client_id="vaguemestre",
        client_secret_file=secret,
        scope="openid scope_all",
        mail_tokens=True,
        clients=("logiciel",),
        ciba=True,
    )
    vitale = ProviderSettings(
        name="vitale",
        label="Carte Vitale",
        people="patient",
        issuer=f"{BASE}{VITALE_PATH}",
        client_id="vaguemestre",
        client_secret_file=secret,
        acr_at_least=2,
    )
    return OidcSettings(providers=(psc, vitale))


@pytest.fixture
async def idp(office: Office, tmp_path: Path) -> AsyncIterator[Idp]:
    providers = Providers.at(
        BASE, [CLAIRE, PAUL, JEANNE], secret=SECRET, page=ORIGIN, clock=lambda: office.clock() / 1000
    )
    for realm in (providers.psc.realm, providers.vitale.realm):
        realm.signer = _KEYS.setdefault(realm.issuer, realm.signer)  # RSA keys take their time to make
    transport = httpx.ASGITransport(providers.application())
    office.oidc = OidcService(_settings(tmp_path), office.accounts, clock=office.clock, transport=transport)
    await office.open_page()
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        yield Idp(office, providers, office.oidc, http)
    await office.oidc.close()
