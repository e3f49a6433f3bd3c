"""Attacks on a login through an identity provider, one by one: each is refused, and the trace names it."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.webmail.login.providers import CLAIRE, JEANNE, PAUL, Idp, changed, parameter, told
from tests.webmail.office import ORIGIN, Office, Refused


@pytest.fixture
async def ready(idp: Idp) -> Idp:
    await idp.doctor()
    await idp.doctor(PAUL, "autre")
    return idp


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"claims": {"iss": "https://ailleurs.example.org"}}, "wrong-issuer"),
        ({"claims": {"aud": "autre-service"}}, "wrong-audience"),
        ({"claims": {"aud": ["vaguemestre", "autre-service"], "azp": "autre-service"}}, "wrong-audience"),
        ({"claims": {"azp": "autre-service"}}, "wrong-audience"),
        ({"claims": {"acr": "eidas0"}}, "acr-too-low"),
        ({"without": ("acr",)}, "acr-too-low"),
        ({"claims": {"nonce": "celui-d-une-autre"}}, "wrong-nonce"),
        ({"without": ("nonce",)}, "wrong-nonce"),
        ({"claims": {"exp": 1}}, "expired"),
        ({"without": ("exp",)}, "malformed"),
        ({"claims": {"iat": 4_000_000_000, "exp": 4_000_000_100}}, "not-yet-valid"),
        ({"claims": {"at_hash": "celui-d-un-autre"}}, "wrong-access-token"),
        ({"claims": {"sub": ""}}, "no-identity"),
        ({"claims": {"typ": "Bearer"}}, "wrong-type"),
        ({"claims": {"SubjectNameID": "899700000000"}}, "no-identity"),
        ({"claims": {"SubjectNameID": ""}}, "no-identity"),
        ({"algorithm": "none"}, "wrong-algorithm"),
        ({"algorithm": "HS256"}, "wrong-algorithm"),
        ({"header": {"kid": "inconnue"}}, "unknown-key"),
        ({"header": {"typ": "logout+jwt"}}, "wrong-type"),
    ],
)
async def test_an_id_token_that_is_not_as_it_must_be(ready: Idp, lie: dict[str, object], reason: str) -> None:
    ready.lie(**lie)
    browser = ready.office.browser()
    assert await ready.refused(browser) in ("provider-refused", "level-too-low")
    assert ready.reasons() == [reason]
    with pytest.raises(Refused, match="no-session"):
        await browser.get("session")


async def test_a_patients_provider_below_its_level(idp: Idp) -> None:
    await idp.office.enrolled()
    idp.vitale.acr = "eidas1"
    assert await idp.refused(idp.office.browser(), JEANNE.name, "vitale") == "level-too-low"


async def test_an_answer_that_names_another_issuer_is_a_mix_up(ready: Idp) -> None:
    """RFC 9207 §2.4."""
    browser = ready.office.browser()
    url = await ready.pick(await ready.away(browser), CLAIRE.name)
    assert told(await ready.come_back(browser, changed(url, iss=ready.vitale.issuer))) == "provider-refused"
    assert ready.reasons() == ["wrong-issuer"]


async def test_an_answer_without_issuer_of_a_provider_that_always_names_it(ready: Idp) -> None:
    browser = ready.office.browser()
    url = await ready.pick(await ready.away(browser), CLAIRE.name)
    assert told(await ready.come_back(browser, changed(url, iss=None))) == "provider-refused"
    assert ready.reasons() == ["wrong-issuer"]


async def test_an_answer_carried_to_the_address_of_another_provider_is_a_mix_up(ready: Idp) -> None:
    browser = ready.office.browser()
    url = await ready.pick(await ready.away(browser), CLAIRE.name)
    carried = url.replace("/oidc/psc/", "/oidc/vitale/")
    assert told(await ready.come_back(browser, carried)) == "provider-refused"
    assert ready.reasons() == ["mix-up"]


async def test_a_state_that_served_serves_no_more(ready: Idp) -> None:
    browser = ready.office.browser()
    url = await ready.pick(await ready.away(browser), CLAIRE.name)
    jar = dict(browser.client.cookies)
    assert told(await ready.come_back(browser, url)) == ""
    browser.client.cookies.update(jar)
    assert told(await ready.come_back(browser, url)) == "other-browser"
    assert ready.reasons() == ["unknown-state"]


async def test_a_code_that_served_serves_no_more(ready: Idp) -> None:
    """The same code under a new state: the provider refuses it, and takes back what it gave for it."""
    browser = ready.office.browser()
    first = await ready.pick(await ready.away(browser), CLAIRE.name)
    assert told(await ready.come_back(browser, first)) == ""
    second = await ready.away(browser)
    replayed = changed(first, state=parameter(second, "state"))
    assert told(await ready.come_back(browser, replayed)) == "provider-refused"
    assert ready.reasons() == ["replayed"]


async def test_a_code_that_another_login_obtained_is_not_injected(ready: Idp) -> None:
    """PKCE: the thief's browser began with another verifier."""
    victim, thief = ready.office.browser(), ready.office.browser()
    stolen = await ready.pick(await ready.away(victim), CLAIRE.name)
    own = await ready.away(thief)
    injected = changed(stolen, state=parameter(own, "state"))
    assert told(await ready.come_back(thief, injected)) == "provider-refused"
    assert ready.reasons() == ["replayed"]


async def test_the_state_of_another_browser(ready: Idp) -> None:
    """Login CSRF: somebody is made to come in as somebody else."""
    attacker, victim = ready.office.browser(), ready.office.browser()
    url = await ready.pick(await ready.away(attacker), PAUL.name)
    await ready.away(victim)
    assert told(await ready.come_back(victim, url)) == "other-browser"
    assert ready.reasons() == ["state-of-another-browser"]


async def test_a_browser_without_the_cookie_of_its_login(ready: Idp) -> None:
    url = await ready.pick(await ready.away(ready.office.browser()), CLAIRE.name)
    assert told(await ready.come_back(ready.office.browser(), url)) == "other-browser"


async def test_an_answer_that_comes_too_late(ready: Idp) -> None:
    browser = ready.office.browser()
    url = await ready.pick(await ready.away(browser), CLAIRE.name)
    ready.office.clock.forward(minutes=11)
    assert told(await ready.come_back(browser, url)) == "other-browser"


@pytest.mark.parametrize(
    "query", ["", "state=", "code=x", "state=x&code=y", "state=a&state=b", "x" * 9000, "%00=%ff"]
)
async def test_answers_to_nothing(ready: Idp, query: str) -> None:
    answer = await ready.come_back(ready.office.browser(), f"{ORIGIN}/api/login/oidc/psc/return?{query}")
    assert told(answer) == "other-browser"


async def test_an_answer_that_says_its_code_twice(ready: Idp) -> None:
    browser = ready.office.browser()
    url = await ready.pick(await ready.away(browser), CLAIRE.name)
    assert told(await ready.come_back(browser, f"{url}&{urlencode({'code': 'autre'})}")) == "other-browser"


async def test_userinfo_of_another_person(idp: Idp) -> None:
    """What is told beside the token must be about the same person (OIDC Core §5.3.2)."""
    await idp.office.enrolled()
    idp.vitale.subject = lambda person: f"un-autre-{idp.vitale.asked}"  # type: ignore[method-assign]
    assert await idp.refused(idp.office.browser(), JEANNE.name, "vitale") == "provider-refused"
    assert idp.reasons() == ["wrong-subject"]


async def test_a_document_that_names_another_issuer_is_not_believed(idp: Idp) -> None:
    """Discovery §4.3."""
    await idp.doctor()
    idp.psc.issuer = idp.vitale.issuer
    assert told(await idp.start(idp.office.browser())) == "provider-refused"
    assert idp.reasons() == ["wrong-issuer"]


async def test_a_client_secret_that_is_not_ours_gets_nothing(idp: Idp, office: Office) -> None:
    await idp.doctor()
    known = idp.psc.clients["vaguemestre"]
    idp.psc.clients["vaguemestre"] = type(known)(known.id, "un autre", known.redirects)
    assert await idp.refused(office.browser()) == "provider-unreachable"
