"""Proving again who one is, before a way in is added or a second factor taken away; and guesses of codes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from tests.webmail.office import BOTH, Browser, Office, Refused
from webmail.login import front

_Act = Callable[[Browser], Awaitable[object]]


async def prove(browser: Browser, **more: str) -> None:
    browser.session = await browser.post("step-up", {"login": await browser.current(), **more})


ACTS: dict[str, _Act] = {
    "a new passkey": lambda browser: browser.post("passkeys/start"),
    "a new second factor": lambda browser: browser.post("totp/start"),
    "a new password of a mail program": lambda browser: browser.post(
        "app-passwords", {"label": "Thunderbird"}
    ),
    "a second factor that goes": lambda browser: browser.delete("slots/x"),
}


@pytest.mark.parametrize("act", ACTS)
async def test_it_needs_a_proof_of_the_last_quarter_of_an_hour(office: Office, act: str) -> None:
    browser = await office.enrolled_professional()
    office.clock.forward(minutes=16)
    with pytest.raises(Refused, match="step-up-needed") as caught:
        await ACTS[act](browser)
    assert caught.value.status == 403
    office.clock.forward(seconds=30)  # a code serves once
    await prove(browser, totp=browser.code_now())
    if act == "a second factor that goes":
        with pytest.raises(Refused, match="unknown-slot"):
            await ACTS[act](browser)
    else:
        assert await ACTS[act](browser)


async def test_a_second_factor_is_not_stopped_by_a_session_that_is_not_fresh(office: Office) -> None:
    office.settings = office.settings.model_copy(update={"totp_for_professionals": False})
    await office.open_page()
    browser = await office.enrolled()
    await browser.set_up_totp()
    office.clock.forward(minutes=16)
    with pytest.raises(Refused, match="step-up-needed"):
        await browser.delete("totp", {"code": browser.code_now()})


@BOTH
async def test_the_proof_draws_a_new_cookie_and_is_traced(office: Office) -> None:
    browser = await office.enrolled_professional()
    office.clock.forward(minutes=16)
    before = browser.cookie
    await prove(browser, totp=browser.code_now())
    assert browser.cookie != before
    assert browser.session["freshUntil"] == pytest.approx(office.clock() + 15 * 60_000, abs=5_000)
    assert browser.session["strong"] is True
    assert await office.traced(action="step-up") == ["step-up done"]
    with pytest.raises(Refused, match="no-session"):
        await browser.holding(before).get("session")


async def test_the_password_alone_raises_to_fresh_and_not_to_strong(office: Office) -> None:
    browser = await office.enrolled(await office.professional())
    browser.session = await browser.get("session")
    assert browser.session["strong"] is False
    office.settings = office.settings.model_copy(update={"totp_for_professionals": False})
    await office.open_page()
    again = office.browser()
    again.account, again.account_key, again.password = browser.account, browser.account_key, "orage"
    assert browser.account is not None
    await again.log_in(browser.account.address, "orage")
    await prove(again)
    with pytest.raises(Refused, match="step-up-needed") as caught:
        await again.post("app-passwords", {"label": "Thunderbird"})
    assert caught.value.answer["reason"] == "strong"
    assert (await again.get("app-passwords"))["allowed"] is False
    assert "password-add app-password-without-strong-login" in office.noted()


async def test_without_the_second_factor_the_proof_is_not_one(office: Office) -> None:
    browser = await office.enrolled_professional()
    with pytest.raises(Refused, match="totp-needed"):
        await prove(browser)


async def test_a_wrong_password_raises_nothing_and_is_traced(office: Office) -> None:
    browser = await office.enrolled()
    wrong = base64.b64encode(bytes(32)).decode()
    with pytest.raises(Refused, match="password-refused"):
        await browser.post("step-up", {"login": wrong})
    assert "login-failed wrong-password" in office.noted()


async def test_a_code_that_served_does_not_serve_again(office: Office) -> None:
    browser = await office.enrolled_professional()
    office.clock.forward(seconds=60)
    code = browser.code_now()
    await prove(browser, totp=code)
    with pytest.raises(Refused, match="totp-refused"):
        await prove(browser, totp=code)


async def test_a_session_that_only_renews_does_not_rise(office: Office) -> None:
    browser = await office.enrolled()
    assert browser.account is not None
    other = office.browser()
    await other.log_in_by_sheet(browser.account.address, browser.recovery)
    with pytest.raises(Refused, match="renew-first"):
        await other.post("step-up", {"login": base64.b64encode(bytes(32)).decode()})


# -- passwords of mail programs, bounded


async def test_a_password_of_a_mail_program_is_bounded_as_asked(office: Office) -> None:
    browser = await office.enrolled_professional()
    made = await browser.post(
        "app-passwords",
        {"label": "mutt", "protocols": ["imap"], "days": 7, "network": "192.0.2.0/24 2001:db8::/32"},
    )
    assert made["expires"] == pytest.approx(office.clock() + 7 * 86_400_000, abs=5_000)
    told = await browser.get("app-passwords")
    known = told["passwords"][0]
    assert told["allowed"] is True
    assert (known["protocols"], known["expires"]) == (["imap"], made["expires"])
    assert known["network"] == "192.0.2.0/24 2001:db8::/32"


async def test_it_lives_ninety_days_where_nothing_is_asked(office: Office) -> None:
    browser = await office.enrolled_professional()
    made = await browser.post("app-passwords", {"label": "mutt"})
    assert made["expires"] == pytest.approx(office.clock() + 90 * 86_400_000, abs=5_000)
    assert (await browser.get("app-passwords"))["passwords"][0]["protocols"] == [
        "imap",
        "jmap",
        "ldap",
        "submission",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": 0},
        {"days": 366},
        {"days": True},
        {"protocols": []},
        {"protocols": ["smtp"]},
        {"network": "ici"},
    ],
)
async def test_bounds_that_are_none(office: Office, wrong: dict[str, object]) -> None:
    browser = await office.enrolled_professional()
    with pytest.raises(Refused, match="bad-request"):
        await browser.post("app-passwords", {"label": "mutt", **wrong})


# -- guesses


async def test_after_five_wrong_codes_a_session_waits_and_a_right_one_is_not_looked_at(
    office: Office,
) -> None:
    browser = await office.enrolled_professional()
    office.clock.forward(seconds=60)
    for _ in range(5):
        with pytest.raises(Refused, match="totp-refused"):
            await prove(browser, totp="000000")
    with pytest.raises(Refused, match="too-many") as caught:
        await prove(browser, totp=browser.code_now())
    assert 0 < caught.value.answer["retryAfter"] <= 900
    office.clock.forward(minutes=16)
    await prove(browser, totp=browser.code_now())


async def test_who_guesses_from_one_place_locks_nobody_out_of_another(office: Office) -> None:
    browser = await office.enrolled_professional()
    assert browser.account is not None
    office.clock.forward(seconds=60)

    def at(address: str) -> Browser:
        other = office.browser()
        transport = httpx.ASGITransport(app=office.app, client=(address, 1))
        other.client = httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=other.client.headers
        )
        return other

    thief = at("198.51.100.7")
    for _ in range(5):
        with pytest.raises(Refused, match="totp-refused"):
            await thief.log_in(browser.account.address, "orage", totp="000000")
    with pytest.raises(Refused, match="too-many"):
        await thief.log_in(browser.account.address, "orage", totp=browser.code_now())
    session = await at("203.0.113.9").log_in(browser.account.address, "orage", totp=browser.code_now())
    assert session["strong"] is True


# -- what the server hands out


async def test_the_waiting_key_is_asked_for_by_the_page_alone(office: Office) -> None:
    browser = await office.enrolled()
    answer = await browser.raw("GET", "reseal", None, **{"X-Vaguemestre": "0"})
    assert answer.json()["error"] == "foreign-request"
    answer = await browser.raw("GET", "reseal", None, Origin="https://evil.example")
    assert answer.json()["error"] == "foreign-request"
    assert (await browser.raw("GET", "reseal")).status_code == 200


async def test_a_body_that_drips_has_a_clock(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.05)
    browser = office.browser()

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.02)

    answer = await browser.client.post("/api/login/parameters", content=drops())
    assert (answer.status_code, answer.json()["error"]) == (408, "too-slow")
