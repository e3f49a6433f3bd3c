"""The providers of test behave as the national ones are told to (reference/mssante.md §6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from deploy.demo.identity.people import Patient, Practice, Professional, invented_national_id
from deploy.demo.identity.server import InThread, Providers
from deploy.demo.identity.tokens import challenge_of

BASE = "http://127.0.0.1:9"
REALM = f"{BASE}/auth/realms/esante-wallet"
PROTOCOL = f"{REALM}/protocol/openid-connect"
PAGE = "https://messagerie.example.org"
DOCTOR = Professional(invented_national_id(1), "Claire", "Martin", (Practice("Cabinet"), Practice("Hôpital")))
PATIENT = Patient("285051305500127", "Jeanne", "Essai", "1985-05-17")
VERIFIER = "v" * 50


class Clock:
    at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def known() -> Providers:
    return Providers.at(BASE, [DOCTOR, PATIENT], secret="s", page=PAGE, clock=Clock())


@pytest.fixture
async def http(known: Providers) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(known.application())
    async with httpx.AsyncClient(transport=transport, auth=("vaguemestre", "s")) as client:
        yield client


def authorize(**more: str) -> str:
    asked = {
        "client_id": "vaguemestre",
        "redirect_uri": f"{PAGE}/api/login/oidc/psc/return",
        "response_type": "code",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return f"{BASE}/auth?{urlencode({**asked, **more})}"


async def code(http: httpx.AsyncClient) -> str:
    answer = await http.get(authorize(person=DOCTOR.name))
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def redeemed(http: httpx.AsyncClient, code: str, verifier: str = VERIFIER) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{PAGE}/api/login/oidc/psc/return",
        "code_verifier": verifier,
    }
    return await http.post(f"{PROTOCOL}/token", data=form)


async def test_its_addresses_are_the_national_ones(http: httpx.AsyncClient) -> None:
    told = (await http.get(f"{REALM}/.well-known/wallet-openid-configuration")).json()
    assert told["issuer"] == REALM
    assert told["token_endpoint"] == f"{PROTOCOL}/token"
    assert told["introspection_endpoint"] == f"{PROTOCOL}/token/introspect"
    assert told["jwks_uri"] == f"{PROTOCOL}/certs"
    assert told["backchannel_authentication_endpoint"] == f"{PROTOCOL}/ext/ciba/auth"
    assert (await http.get(told["jwks_uri"])).json()["keys"][0]["alg"] == "RS256"


async def test_a_code_gives_two_minutes_and_thirty_of_refresh(http: httpx.AsyncClient) -> None:
    tokens = (await redeemed(http, await code(http))).json()
    assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (120, 1800)
    refreshed = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await http.post(f"{PROTOCOL}/token", data=refreshed)).status_code == 200
    assert (await http.post(f"{PROTOCOL}/token", data=refreshed)).json()["error"] == "invalid_grant"


async def test_userinfo_tells_who_practises_where(http: httpx.AsyncClient) -> None:
    tokens = (await redeemed(http, await code(http))).json()
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    async with httpx.AsyncClient(transport=http._transport) as bare:  # pyright: ignore[reportPrivateUsage]
        told = (await bare.get(f"{PROTOCOL}/userinfo", headers=bearer)).json()
    assert told["SubjectNameID"] == DOCTOR.national_id
    assert told["sub"].startswith("f:")
    assert told["sub"].endswith(DOCTOR.national_id)
    places = [each["raisonSocialeSite"] for each in told["SubjectRefPro"]["exercices"][0]["activities"]]
    assert places == ["Cabinet", "Hôpital"]


async def test_a_code_serves_once_and_takes_back_what_it_gave(
    http: httpx.AsyncClient, known: Providers
) -> None:
    given = await code(http)
    tokens = (await redeemed(http, given)).json()
    assert known.psc.realm.introspect(tokens["access_token"])["active"]
    assert (await redeemed(http, given)).json()["error"] == "invalid_grant"
    assert known.psc.realm.introspect(tokens["access_token"]) == {"active": False}


async def test_a_code_is_for_who_knows_its_verifier(http: httpx.AsyncClient) -> None:
    assert (await redeemed(http, await code(http), "w" * 50)).json()["error"] == "invalid_grant"


async def test_an_address_that_is_not_the_clients_is_not_gone_to(http: httpx.AsyncClient) -> None:
    answer = await http.get(authorize(redirect_uri="https://evil.example/", person=DOCTOR.name))
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_client_with_a_wrong_secret_gets_nothing(http: httpx.AsyncClient) -> None:
    given = await code(http)
    http.auth = httpx.BasicAuth("vaguemestre", "autre")
    assert (await redeemed(http, given)).status_code == 401


async def test_its_page_lists_people_and_no_number_of_a_patient(http: httpx.AsyncClient) -> None:
    shown = (await http.get(authorize())).text
    assert "Claire Martin" in shown
    vitale = f"{BASE}/auth/realms/apcv/protocol/openid-connect/auth"
    query = urlsplit(authorize(redirect_uri=f"{PAGE}/api/login/oidc/vitale/return")).query
    shown = (await http.get(f"{vitale}?{query}")).text
    assert "Jeanne Essai" in shown
    assert PATIENT.ins not in shown


async def test_a_patient_is_told_with_number_and_five_traits(known: Providers) -> None:
    realm = known.vitale.realm
    tokens = realm.tokens_for(PATIENT.name, "vaguemestre")
    told = realm.userinfo(tokens["access_token"])
    assert {"ins", "given_name", "family_name", "birthdate", "gender", "birthplace"} <= set(told)
    assert realm.introspect(tokens["access_token"])["acr"] == "eidas2"
    assert PATIENT.ins not in tokens["id_token"]


async def test_it_is_served_from_a_thread(known: Providers) -> None:
    with InThread(known.server(0)) as port:
        async with httpx.AsyncClient(trust_env=False) as client:
            path = "/auth/realms/esante-wallet/.well-known/wallet-openid-configuration"
            assert (await client.get(f"http://127.0.0.1:{port}{path}")).status_code == 200
