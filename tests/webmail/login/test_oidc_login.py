"""Coming in on the page through an identity provider, and out again."""

from __future__ import annotations

import pytest

from policies.audit.query import Filter, find
from tests.webmail.login.providers import CLAIRE, JEANNE, PAUL, Idp, changed, parameter, told
from tests.webmail.office import BODY, BOTH, ORIGIN, Office, Refused


@BOTH
async def test_a_professional_comes_in_as_who_the_provider_says(office: Office, idp: Idp) -> None:
    account = await idp.doctor()
    browser = office.browser()
    assert told(await idp.log_in(browser)) == ""
    session = await browser.get("session")
    assert session["account"]["id"] == account.id
    assert (session["way"], session["provider"], session["strong"]) == ("provider", "psc", True)
    assert await office.traced(action="login") == ["login done"]


async def test_a_patient_comes_in_by_a_verified_ins(office: Office, idp: Idp) -> None:
    enrolled = await office.enrolled()
    assert enrolled.account is not None
    browser = office.browser()
    assert told(await idp.log_in(browser, JEANNE.name, "vitale")) == ""
    session = await browser.get("session")
    assert session["account"]["id"] == enrolled.account.id
    assert [slot["kind"] for slot in session["slots"]] == [
        "password",
        "recovery",
    ]  # letters are opened as ever


async def test_the_request_has_pkce_state_nonce_and_the_exact_address_to_come_back_to(idp: Idp) -> None:
    url = await idp.away(idp.office.browser())
    assert parameter(url, "response_type") == "code"
    assert parameter(url, "code_challenge_method") == "S256"
    assert len(parameter(url, "code_challenge")) == 43
    assert min(len(parameter(url, name)) for name in ("state", "nonce")) >= 43
    assert parameter(url, "redirect_uri") == f"{ORIGIN}/api/login/oidc/psc/return"
    assert parameter(url, "acr_values") == "eidas1"
    assert parameter(url, "scope") == "openid scope_all"


async def test_each_login_draws_its_own_state_and_nonce(idp: Idp) -> None:
    first, second = [await idp.away(idp.office.browser()) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert parameter(first, name) != parameter(second, name)


async def test_the_cookie_of_a_login_is_for_this_way_alone_and_minutes(idp: Idp) -> None:
    answer = await idp.start(idp.office.browser())
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=lax", "path=/api/login/oidc", "max-age=600"):
        assert part in cookie


async def test_the_page_tells_everybody_which_providers_there_are(office: Office, idp: Idp) -> None:
    assert (await office.browser().get("operator"))["providers"] == [
        {"name": "psc", "label": "Pro Santé Connect", "people": "professional", "ciba": True},
        {"name": "vitale", "label": "Carte Vitale", "people": "patient", "ciba": False},
    ]


async def test_a_level_above_the_one_asked_for_passes(idp: Idp) -> None:
    await idp.doctor()
    idp.psc.acr = "eidas3"
    assert told(await idp.log_in(idp.office.browser())) == ""


async def test_no_second_factor_is_asked_of_who_came_by_a_provider(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    assert (await browser.get("app-passwords"))["allowed"]


async def test_a_session_ends_four_hours_after_people_proved_themselves(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    for _ in range(15):
        office.clock.forward(minutes=15)
        await browser.get("session")
    office.clock.forward(minutes=16)
    with pytest.raises(Refused, match="no-session"):
        await browser.get("session")


async def test_a_session_that_nobody_uses_ends_after_half_an_hour(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    office.clock.forward(minutes=31)
    with pytest.raises(Refused, match="no-session"):
        await browser.get("session")


async def test_a_session_outlives_a_restart_of_the_node(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    await office.restart()
    again = browser.holding(browser.cookie)
    session = await again.get("session")
    assert (session["provider"], session["strong"]) == ("psc", True)


# -- who has no account, or none any more


async def test_a_professional_without_account_here_is_told_so(idp: Idp) -> None:
    assert await idp.refused(idp.office.browser()) == "no-account-here"
    assert idp.reasons() == ["unknown-person"]


async def test_a_patient_without_space_here_is_told_so(idp: Idp) -> None:
    assert await idp.refused(idp.office.browser(), JEANNE.name, "vitale") == "no-account-here"


async def test_a_space_that_was_never_opened_stays_shut(office: Office, idp: Idp) -> None:
    await office.patient()
    assert await idp.refused(office.browser(), JEANNE.name, "vitale") == "not-activated"


async def test_a_patient_of_another_birth_date_stays_outside(office: Office, idp: Idp) -> None:
    await office.enrolled()
    known = idp.vitale.people[JEANNE.name]
    idp.vitale.people[JEANNE.name] = type(JEANNE)(JEANNE.ins, "Jeanne", "Essai", "1999-01-01")
    assert await idp.refused(office.browser(), JEANNE.name, "vitale") == "provider-refused"
    assert idp.reasons() == ["traits-differ"]
    idp.vitale.people[JEANNE.name] = known


async def test_a_suspended_account_stays_outside(office: Office, idp: Idp) -> None:
    account = await idp.doctor()
    await office.accounts.suspend(account.id, "console:test")
    assert await idp.refused(office.browser()) == "suspended"
    assert idp.reasons() == ["log-in-suspended"]


async def test_who_was_struck_off_loses_practice_and_every_open_session(office: Office, idp: Idp) -> None:
    account = await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    idp.psc.strike_off(CLAIRE.name)
    assert await idp.refused(office.browser()) == "not-practising"
    assert not office.by_id(account.id).practising
    with pytest.raises(Refused, match="no-session"):
        await browser.get("session")
    assert "practice-lost done" in await office.traced(party=account.id)


async def test_who_lost_practice_here_stays_outside_though_the_provider_knows_nothing(
    office: Office, idp: Idp
) -> None:
    account = await idp.doctor()
    await office.accounts.practice_set(account.id, False, "console:test")
    assert await idp.refused(office.browser()) == "not-practising"


async def test_a_refusal_shown_is_found_in_the_trace(office: Office, idp: Idp) -> None:
    answer = await idp.log_in(office.browser())
    shown = parameter(answer.headers["location"], "ref")
    assert shown in [event.reference for event in office._noted]  # pyright: ignore[reportPrivateUsage]


async def test_saying_no_at_the_provider_comes_back_to_the_login(idp: Idp) -> None:
    assert await idp.refused(idp.office.browser(), "-") == "provider-refused"
    assert idp.reasons() == ["refused-there"]


async def test_a_provider_that_is_down_is_said(idp: Idp) -> None:
    idp.psc.down = True
    assert told(await idp.start(idp.office.browser())) == "provider-unreachable"


async def test_a_provider_nobody_configured(idp: Idp) -> None:
    assert told(await idp.start(idp.office.browser(), "ailleurs")) == "unknown-provider"


# -- nothing of a patient's number anywhere


async def test_a_patients_number_stands_in_no_address_and_no_trace(office: Office, idp: Idp) -> None:
    await office.enrolled()
    browser = office.browser()
    url = await idp.away(browser, "vitale")
    back = await idp.pick(url, JEANNE.name)
    answer = await idp.come_back(browser, back)
    entries = await office.store.read(lambda reader: find(reader.sql, Filter(last=1000)))
    shown = [url, back, answer.headers["location"], *map(str, entries), *map(str, office._noted)]  # pyright: ignore[reportPrivateUsage]
    assert entries
    for text in shown:
        assert BODY not in text


# -- step-up


async def test_who_is_in_proves_it_again_at_the_provider(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    office.clock.forward(minutes=16)
    with pytest.raises(Refused, match="step-up-needed"):
        await browser.post("app-passwords", {"label": "Thunderbird"})
    cookie = browser.cookie
    url = await idp.away(browser, stepUp="1")
    assert (parameter(url, "prompt"), parameter(url, "max_age")) == ("login", "0")
    answer = await idp.come_back(browser, await idp.pick(url, CLAIRE.name))
    assert answer.headers["location"] == "/confirme"  # in a tab of its own: the first one goes on
    assert browser.cookie != cookie
    made = await browser.post("app-passwords", {"label": "Thunderbird"})
    assert made["password"]


async def test_somebody_else_raises_nobodys_session(office: Office, idp: Idp) -> None:
    await idp.doctor()
    await idp.doctor(PAUL, "autre")
    browser = office.browser()
    await idp.log_in(browser)
    office.clock.forward(minutes=16)
    assert told(await idp.log_in(browser, PAUL.name, stepUp="1")) == "other-person"
    assert idp.reasons() == ["another-person"]
    with pytest.raises(Refused, match="step-up-needed"):
        await browser.post("app-passwords", {"label": "Thunderbird"})


async def test_an_old_login_at_the_provider_is_no_step_up(office: Office, idp: Idp) -> None:
    await idp.doctor()
    browser = office.browser()
    await idp.log_in(browser)
    office.clock.forward(minutes=16)
    for claims in ({"auth_time": office.clock() // 1000 - 900}, {"auth_time": None}):
        idp.lie(claims=claims)
        assert told(await idp.log_in(browser, stepUp="1")) == "provider-refused"
    assert idp.reasons() == ["not-fresh", "not-fresh"]


async def test_a_step_up_needs_a_session(idp: Idp) -> None:
    assert told(await idp.start(idp.office.browser(), stepUp="1")) == "no-session"


async def test_a_session_of_a_password_rises_by_a_provider(office: Office, idp: Idp) -> None:
    await office.enrolled()
    browser = office.browser()
    await browser.log_in(JEANNE.ins, "orage")
    assert not browser.session["strong"]
    answer = await idp.log_in(browser, JEANNE.name, "vitale", stepUp="1")
    assert answer.headers["location"] == "/confirme"
    session = await browser.get("session")
    assert (session["strong"], session["way"]) == (True, "password")


# -- what the browser shows on the way


async def test_a_picture_on_another_page_begins_nothing(idp: Idp) -> None:
    answer = await idp.office.browser().raw("GET", "login/oidc/psc/start", **{"Sec-Fetch-Dest": "image"})
    assert told(answer) == "foreign-request"


async def test_the_answer_of_a_provider_leads_to_no_other_place(office: Office, idp: Idp) -> None:
    """Open redirect: nothing an answer says chooses where the browser goes."""
    await idp.doctor()
    browser = office.browser()
    url = await idp.pick(await idp.away(browser), CLAIRE.name)
    for name in ("redirect_uri", "next", "returnTo", "url", "target_link_uri"):
        url = changed(url, **{name: "https://evil.example/"})
    answer = await idp.come_back(browser, url)
    assert answer.headers["location"] == "/"


async def test_a_failed_answer_leads_to_no_other_place_either(office: Office, idp: Idp) -> None:
    url = f"{ORIGIN}/api/login/oidc/psc/return?error=x&error_uri=https%3A%2F%2Fevil.example&state=%2F%2Fevil.example"
    answer = await idp.come_back(office.browser(), url)
    assert answer.headers["location"].startswith("/connexion?refus=other-browser&ref=")
