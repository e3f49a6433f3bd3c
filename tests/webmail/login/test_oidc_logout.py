"""Back-channel logout: a session that ends at the provider ends here, at once and for good."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from mail_server.store.interface import StoreError
from tests.webmail.login.providers import CLAIRE, PAUL, Idp
from tests.webmail.office import BOTH, Browser, Office


async def post(office: Office, token: str, provider: str = "psc") -> httpx.Response:
    """As the provider: no cookie, no header of the page's."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(office.app), base_url="http://localhost"
    ) as http:
        return await http.post(f"/api/oidc/{provider}/backchannel-logout", data={"logout_token": token})


async def is_in(browser: Browser) -> bool:
    return (await browser.raw("GET", "session")).status_code == 200


@pytest.fixture
async def inside(idp: Idp) -> Browser:
    await idp.doctor()
    browser = idp.office.browser()
    await idp.log_in(browser)
    return browser


def session_of(idp: Idp, person: str = CLAIRE.name) -> Any:
    return next(each for each in idp.psc.sessions.values() if each.person == person)


@BOTH
async def test_its_page_session_ends_at_once_and_is_traced(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    token = idp.psc.logout_token("vaguemestre", session_of(idp))
    assert (await post(office, token)).status_code == 200
    assert not await is_in(browser)
    assert await office.traced(action="session-end") == ["session-end done"]


async def test_a_session_is_known_again_after_a_restart_of_the_node(
    office: Office, idp: Idp, inside: Browser
) -> None:
    await office.restart()
    again = inside.holding(inside.cookie)
    assert await is_in(again)
    await post(office, idp.psc.logout_token("vaguemestre", session_of(idp)))
    assert not await is_in(again)
    await office.restart()
    assert not await is_in(inside.holding(inside.cookie))


async def test_another_session_of_the_same_person_goes_on(office: Office, idp: Idp, inside: Browser) -> None:
    other = office.browser()
    await idp.log_in(other)
    await post(office, idp.psc.logout_token("vaguemestre", session_of(idp)))
    assert (await is_in(inside), await is_in(other)) == (False, True)


async def test_a_logout_of_the_person_ends_all_their_sessions(
    office: Office, idp: Idp, inside: Browser
) -> None:
    other, somebody = office.browser(), office.browser()
    await idp.log_in(other)
    await idp.doctor(PAUL, "autre")
    await idp.log_in(somebody, PAUL.name)
    await post(office, idp.psc.logout_token("vaguemestre", session_of(idp), session_named=False))
    assert [await is_in(each) for each in (inside, other, somebody)] == [False, False, True]


async def test_a_session_that_ended_lets_nobody_in_again(office: Office, idp: Idp) -> None:
    """The browser comes back with a code while the logout is already here."""
    await idp.doctor()
    browser = office.browser()
    url = await idp.pick(await idp.away(browser), CLAIRE.name)
    await post(office, idp.psc.logout_token("vaguemestre", session_of(idp)))
    await idp.come_back(browser, url)
    assert idp.reasons() == ["revoked"]
    assert not await is_in(browser)


async def test_what_mail_programs_opened_with_the_session_ends_too(office: Office, idp: Idp) -> None:
    account = await idp.doctor()
    ended: list[tuple[str, str]] = []
    idp.service.ended.append(lambda account, credential: ended.append((account, credential)))
    token = idp.psc.tokens_for(CLAIRE.name, "logiciel")["access_token"]
    opened = idp.service.open(await idp.service.verify(token), account.id)
    assert idp.service.holds(account.id, opened.credential)
    await post(office, idp.psc.logout_token("vaguemestre", session_of(idp)))
    assert ended == [(account.id, opened.credential)]
    assert not idp.service.holds(account.id, opened.credential)


async def test_the_provider_itself_tells_it(office: Office, idp: Idp, inside: Browser) -> None:
    """As Back-Channel Logout 1.0 §2.5 has it sent."""
    told = idp.psc.end(session_of(idp))
    assert [client.logout for client, _ in told] == ["http://localhost/api/oidc/psc/backchannel-logout"]
    assert (await post(office, told[0][1])).status_code == 200
    assert not await is_in(inside)


async def test_a_logout_token_serves_once(office: Office, idp: Idp, inside: Browser) -> None:
    token = idp.psc.logout_token("vaguemestre", session_of(idp))
    assert (await post(office, token)).status_code == 200
    assert (await post(office, token)).status_code == 400
    assert "provider-logout replayed" in office.noted()


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"claims": {"iss": "https://ailleurs.example.org"}}, "wrong-issuer"),
        ({"claims": {"aud": "autre-service"}}, "wrong-audience"),
        ({"claims": {"nonce": "x"}}, "wrong-type"),
        ({"without": ("events",)}, "wrong-type"),
        ({"claims": {"events": {"autre": {}}}}, "wrong-type"),
        ({"claims": {"exp": 1}}, "expired"),
        ({"claims": {"iat": 1_000_000_000, "exp": None}}, "expired"),
        ({"without": ("iat",)}, "malformed"),
        ({"claims": {"iat": 4_000_000_000}}, "malformed"),
        ({"without": ("jti",)}, "malformed"),
        ({"without": ("sub", "sid")}, "malformed"),
        ({"algorithm": "none"}, "wrong-algorithm"),
        ({"algorithm": "HS256"}, "wrong-algorithm"),
        ({"header": {"kid": "inconnue"}}, "unknown-key"),
        ({"header": {"typ": "at+jwt"}}, "wrong-type"),
    ],
)
async def test_a_logout_token_that_is_not_as_it_must_be_ends_nothing(
    office: Office, idp: Idp, inside: Browser, lie: dict[str, Any], reason: str
) -> None:
    idp.lie(**lie)
    token = idp.psc.logout_token("vaguemestre", session_of(idp))
    assert (await post(office, token)).status_code == 400
    assert f"provider-logout {reason}" in office.noted()
    assert await is_in(inside)


async def test_an_id_token_is_no_logout_token(office: Office, idp: Idp, inside: Browser) -> None:
    token = idp.psc.tokens_for(CLAIRE.name, "vaguemestre")["id_token"]
    assert (await post(office, token)).status_code == 400
    assert await is_in(inside)


async def test_a_logout_token_of_one_provider_sent_to_another(
    office: Office, idp: Idp, inside: Browser
) -> None:
    token = idp.psc.logout_token("vaguemestre", session_of(idp))
    assert (await post(office, token, "vitale")).status_code == 400
    assert (await post(office, token, "ailleurs")).status_code == 400
    assert await is_in(inside)


@pytest.mark.parametrize(
    "body", ["", "logout_token=", "logout_token=a&logout_token=b", "x" * 20_000, "&" * 100, "%ff"]
)
async def test_rubbish_ends_nothing(office: Office, idp: Idp, body: str) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(office.app), base_url="http://localhost"
    ) as http:
        answer = await http.post("/api/oidc/psc/backchannel-logout", content=body)
    assert answer.status_code in (400, 413)


async def test_a_logout_that_cannot_be_written_may_be_sent_again(
    office: Office, idp: Idp, inside: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_: Any) -> Any:
        raise StoreError("full")

    token = idp.psc.logout_token("vaguemestre", session_of(idp))
    with monkeypatch.context() as patched:
        patched.setattr(office.store, "write", failing)
        assert (await post(office, token)).status_code == 503
    assert (await post(office, token)).status_code == 200
    assert not await is_in(inside)


async def test_a_logout_of_ones_own_that_cannot_be_written_is_none(
    office: Office, idp: Idp, inside: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory alone, a restart would bring it back."""

    async def failing(_: Any) -> Any:
        raise StoreError("full")

    with monkeypatch.context() as patched:
        patched.setattr(office.store, "write", failing)
        assert (await inside.raw("POST", "logout")).status_code == 503
    assert await is_in(inside)
    assert (await inside.raw("POST", "logout")).status_code == 204
    await asyncio.sleep(0)
    assert not await is_in(inside)


async def test_a_mail_programs_own_logout_may_be_sent_here(office: Office, idp: Idp) -> None:
    account = await idp.doctor()
    token = idp.psc.tokens_for(CLAIRE.name, "logiciel")["access_token"]
    opened = idp.service.open(await idp.service.verify(token), account.id)
    assert (await post(office, idp.psc.logout_token("logiciel", session_of(idp)))).status_code == 200
    assert not idp.service.holds(account.id, opened.credential)


async def test_an_account_that_becomes_somebody_elses_ends_what_a_provider_opened(
    office: Office, idp: Idp, inside: Browser
) -> None:
    account = office.accounts.by_national_id(CLAIRE.national_id)
    assert account is not None
    await office.accounts.bind_national_id(account.id, PAUL.national_id, "console:test")
    assert not await is_in(inside)


async def test_a_logout_that_comes_while_the_login_is_written_ends_it(
    office: Office, idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await idp.doctor()
    browser = office.browser()
    written = office.store.write
    told: list[int] = []

    async def slowly(operation: Any) -> Any:
        monkeypatch.setattr(office.store, "write", written)
        done = await written(operation)
        told.append((await post(office, idp.psc.logout_token("vaguemestre", session_of(idp)))).status_code)
        return done

    url = await idp.pick(await idp.away(browser), CLAIRE.name)
    monkeypatch.setattr(office.store, "write", slowly)
    answer = await idp.come_back(browser, url)
    assert told == [200]
    assert answer.headers["location"].startswith("/connexion?refus=provider-refused")
    assert not await is_in(browser)
    assert (await office.traced(action="session-end")) == ["session-end done"]


async def test_rubbish_fills_the_trace_no_further_than_a_bound(office: Office, idp: Idp) -> None:
    for _ in range(50):
        assert (await post(office, "x.y.z")).status_code == 400
    assert len([one for one in office.noted() if one.startswith("provider-logout")]) == 30
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    token = idp.psc.logout_token("vaguemestre", session_of(idp))
    assert (await post(office, token)).status_code == 200
    assert not await is_in(browser), "a true logout is heard all the same"
