"""Logging in by confirming on one's own device (CIBA, poll mode)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webmail.login.providers import CLAIRE, PAUL, Idp
from tests.webmail.office import Browser, Office, Refused


async def begun(browser: Browser, user: str = "gp@mss.essai.test") -> dict[str, Any]:
    return await browser.post("login/ciba/psc/start", {"user": user})


async def asked(browser: Browser, waiting: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await browser.raw("POST", "login/ciba/psc", {"id": waiting["id"]})
    return answer.status_code, answer.json()


def answer(idp: Idp, what: str) -> None:
    for each in idp.psc.confirmations.values():
        each.answer = what


@pytest.mark.parametrize("user", ["gp@mss.essai.test", CLAIRE.national_id, f" {CLAIRE.national_id} "])
async def test_who_confirms_comes_in(office: Office, idp: Idp, user: str) -> None:
    account = await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser, user)
    assert [each.message for each in idp.psc.confirmations.values()] == [waiting["code"]]
    office.clock.forward(seconds=6)
    assert await asked(browser, waiting) == (202, {"pending": True, "interval": 1})
    answer(idp, "approved")
    office.clock.forward(seconds=6)
    status, session = await asked(browser, waiting)
    assert (status, session["account"]["id"], session["way"]) == (200, account.id, "provider")
    assert (await browser.get("session"))["account"]["id"] == account.id


async def test_the_provider_is_not_asked_before_its_time(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    before = idp.psc.asked
    for _ in range(5):
        assert (await asked(browser, waiting))[0] == 202
    assert idp.psc.asked == before


async def test_slow_down_makes_the_page_ask_less(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    for each in idp.psc.confirmations.values():
        each.interval = 4  # the provider changed its mind
    office.clock.forward(seconds=2)
    await asked(browser, waiting)
    office.clock.forward(seconds=2)
    assert await asked(browser, waiting) == (202, {"pending": True, "interval": 6})


async def test_who_refuses_on_the_device_stays_outside(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    answer(idp, "denied")
    office.clock.forward(seconds=6)
    status, told = await asked(browser, waiting)
    assert (status, told["error"]) == (401, "provider-refused")
    assert idp.reasons() == ["refused-there"]
    assert (await asked(browser, waiting))[1]["error"] == "challenge-refused"


async def test_a_request_that_nobody_confirms_is_over(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    office.clock.forward(minutes=3)
    assert (await asked(browser, waiting))[1]["error"] == "provider-refused"
    assert idp.reasons() == ["expired"]


async def test_a_confirmation_serves_once(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    answer(idp, "approved")
    office.clock.forward(seconds=6)
    assert (await asked(browser, waiting))[0] == 200
    assert (await asked(office.browser(), waiting))[1]["error"] == "challenge-refused"


async def test_somebody_elses_confirmation_lets_nobody_in(office: Office, idp: Idp) -> None:
    """Another professional's token for our request."""
    await idp.doctor()
    await idp.doctor(PAUL, "autre")
    browser = office.browser()
    waiting = await begun(browser)
    for each in idp.psc.confirmations.values():
        each.person = PAUL.name
    answer(idp, "approved")
    office.clock.forward(seconds=6)
    assert (await asked(browser, waiting))[1]["error"] == "provider-refused"
    assert idp.reasons() == ["wrong-subject"]


async def test_a_token_for_another_request_is_refused(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    answer(idp, "approved")
    idp.lie(claims={"urn:openid:params:jwt:claim:auth_req_id": "une-autre"})
    office.clock.forward(seconds=6)
    assert (await asked(browser, waiting))[1]["error"] == "provider-refused"
    assert idp.reasons() == ["wrong-subject"]


async def test_somebody_unknown_is_answered_like_somebody_who_never_confirms(
    office: Office, idp: Idp
) -> None:
    browser = office.browser()
    waiting = await begun(browser, "personne@mss.essai.test")
    assert set(waiting) == {"id", "code", "interval", "expires"}
    office.clock.forward(seconds=6)
    assert (await asked(browser, waiting))[0] == 202
    office.clock.forward(minutes=3)
    assert (await asked(browser, waiting))[1]["error"] == "provider-refused"


async def test_a_device_does_not_ring_without_end(office: Office, idp: Idp) -> None:
    await idp.doctor()
    for _ in range(5):
        await begun(office.browser())
    with pytest.raises(Refused, match="too-many"):
        await begun(office.browser())
    assert len(idp.psc.confirmations) == 5
    office.clock.forward(minutes=11)
    assert (await begun(office.browser()))["id"]


async def test_a_provider_without_this_way(idp: Idp) -> None:
    with pytest.raises(Refused, match="unknown-provider"):
        await idp.office.browser().post("login/ciba/vitale/start", {"user": "x"})


async def test_a_provider_that_is_down_for_a_moment_loses_nothing(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    waiting = await begun(browser)
    answer(idp, "approved")
    idp.psc.down = True
    office.clock.forward(seconds=6)
    assert (await asked(browser, waiting))[1]["error"] == "provider-unreachable"
    idp.psc.down = False
    office.clock.forward(seconds=6)
    assert (await asked(browser, waiting))[0] == 200
