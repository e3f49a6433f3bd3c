"""Sessions: how long they last, what ends them, what a cookie is worth."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.webmail.office import Office, Refused


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def alive(browser: Any) -> bool:
    return (await browser.raw("GET", "session")).status_code == 200


async def test_a_cookie_speaks_for_its_account(office: Office) -> None:
    browser = await office.enrolled()
    identity = office.page.sessions.by_cookie(browser.cookie)
    assert identity is not None
    assert (identity.account, identity.mechanism) == (browser.account.id, "PAGE")
    assert office.page.sessions.holds(identity.account, identity.credential)
    assert office.accounts.holds(identity.account, identity.credential)


async def test_what_is_no_cookie_of_ours_speaks_for_nobody(office: Office) -> None:
    await office.enrolled()
    for cookie in ("", "x", "é" * 40, "A" * 43, "\udcff"):
        assert office.page.sessions.by_cookie(cookie) is None
    assert not office.page.sessions.holds(office.accounts.all()[0].id, "")


async def test_only_the_hash_of_a_cookie_is_stored(office: Office) -> None:
    browser = await office.enrolled()
    rows = await office.store.read(lambda reader: reader.sql.all("SELECT digest FROM page_session"))
    assert [bytes(row[0]) for row in rows] == [hashlib.sha256(browser.cookie.encode()).digest()]
    for file in office.home.rglob("*"):
        if file.is_file():
            assert browser.cookie.encode() not in file.read_bytes()


async def test_a_restart_logs_nobody_out(office: Office) -> None:
    browser = await office.enrolled()
    await office.restart()
    browser.client._transport.app = office.app
    assert await alive(browser)


async def test_the_cookie_is_for_scripts_and_other_sites_out_of_reach(office: Office) -> None:
    account = await office.patient()
    browser = office.browser()
    code = await office.code(account)
    answer = await browser.raw("POST", "enrolment/start", {"code": code, **browser.answers(account)})
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=strict"}


async def test_over_https_the_cookie_is_bound_to_the_host(office: Office) -> None:
    object.__setattr__(
        office, "settings", office.settings.model_copy(update={"public_url": "https://page.essai.test"})
    )
    await office.open_page()
    account = await office.patient()
    browser = office.browser(Origin="https://page.essai.test")
    code = await office.code(account)
    answer = await browser.raw("POST", "enrolment/start", {"code": code, **browser.answers(account)})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-vaguemestre=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


async def test_on_a_shared_device_the_cookie_ends_with_the_browser(office: Office) -> None:
    known = await office.enrolled(password="orage")
    for shared, lasting in ((True, False), (False, True)):
        browser = office.browser()
        login = await browser.password_login(known.account.shown, "orage")
        given = {"user": known.account.shown, "login": login, "shared": shared}
        answer = await browser.raw("POST", "login", given)
        assert ("max-age" in answer.headers["set-cookie"].lower()) is lasting


@pytest.mark.parametrize(("shared", "idle", "absolute"), [(False, 7 * 24 * 60, 30 * 24), (True, 15, 12)])
async def test_a_session_ends_when_idle_and_in_any_case(
    office: Office, shared: bool, idle: int, absolute: int
) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    await browser.log_in(known.account.shown, "orage", shared=shared)
    office.clock.forward(minutes=idle - 1)
    assert await alive(browser)
    office.clock.forward(minutes=idle + 1)
    assert not await alive(browser)

    await browser.log_in(known.account.shown, "orage", shared=shared)
    for _ in range(absolute * 60 // (idle - 1) + 1):
        office.clock.forward(minutes=idle - 1)
        await browser.raw("GET", "session")
    assert not await alive(browser)


async def test_the_page_is_told_when_its_session_ends_if_nothing_is_asked(office: Office) -> None:
    known = await office.enrolled(password="orage")
    session = await office.browser().log_in(known.account.shown, "orage", shared=True)
    assert 14 * 60_000 < session["expires"] - office.clock() <= 15 * 60_000


async def test_a_session_that_is_idle_holds_nothing_either(office: Office) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    await browser.log_in(known.account.shown, "orage", shared=True)
    identity = office.page.sessions.by_cookie(browser.cookie)
    assert identity is not None
    office.clock.forward(minutes=16)
    assert not office.page.sessions.holds(identity.account, identity.credential)


async def test_suspending_the_account_ends_its_sessions_at_once_and_for_good(office: Office) -> None:
    browser = await office.enrolled()
    cookie = browser.cookie
    await office.accounts.suspend(browser.account.id)
    assert office.page.sessions.by_cookie(cookie) is None
    assert not await alive(browser)
    await office.accounts.reinstate(browser.account.id)
    assert not await alive(browser)
    await office.restart()
    assert office.page.sessions.by_cookie(cookie) is None


async def test_sessions_of_who_was_suspended_while_the_node_was_down_end_at_its_start(office: Office) -> None:
    browser = await office.enrolled()
    suspended = "UPDATE account SET suspended = 1 WHERE id = ?"
    await office.store.write(lambda tx: tx.sql.run(suspended, (browser.account.id,)))
    await office.restart()
    assert office.page.sessions.by_cookie(browser.cookie) is None


async def test_logging_out_ends_the_session_and_clears_the_browser(office: Office) -> None:
    browser = await office.enrolled()
    cookie = browser.cookie
    answer = await browser.raw("POST", "logout", {})
    assert answer.status_code == 204
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert office.page.sessions.find(cookie) is None
    assert not await alive(browser.holding(cookie))
    assert "logout done" in await office.traced()


async def test_logging_out_without_a_session_is_no_fault(office: Office) -> None:
    assert (await office.browser().raw("POST", "logout", {})).status_code == 204


async def test_sessions_are_listed_with_words_for_their_browser(office: Office) -> None:
    known = await office.enrolled(password="orage")
    other = office.browser(
        **{"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Safari/605.1"}
    )
    await other.log_in(known.account.shown, "orage")
    listed = (await known.get("sessions"))["sessions"]
    assert {one["label"] for one in listed} == {"Firefox, Android", "Safari, iPhone"}
    assert [one["current"] for one in listed].count(True) == 1
    assert all(one["network"] for one in listed)


async def test_a_session_is_cut_from_another(office: Office) -> None:
    known = await office.enrolled(password="orage")
    other = office.browser()
    await other.log_in(known.account.shown, "orage")
    listed = (await known.get("sessions"))["sessions"]
    target = next(one["id"] for one in listed if not one["current"])
    await known.delete(f"sessions/{target}")
    assert not await alive(other)
    assert await alive(known)
    assert (await refused(known.delete(f"sessions/{target}"))).error == "unknown-session"
    assert "session-end done" in await office.traced()


async def test_all_the_others_are_cut_at_once(office: Office) -> None:
    known = await office.enrolled(password="orage")
    others = [office.browser() for _ in range(3)]
    for other in others:
        await other.log_in(known.account.shown, "orage")
    await known.delete("sessions")
    assert [await alive(other) for other in others] == [False] * 3
    assert await alive(known)


async def test_nobody_cuts_the_session_of_another_account(office: Office) -> None:
    mine = await office.enrolled()
    other = await office.enrolled(await office.patient("1600275056002"))
    theirs = (await other.get("sessions"))["sessions"][0]["id"]
    assert (await refused(mine.delete(f"sessions/{theirs}"))).error == "unknown-session"
    assert await alive(other)


async def test_a_cookie_set_before_the_login_is_worth_nothing_after_it(office: Office) -> None:
    """Session fixation: an attacker's value never becomes the victim's session."""
    known = await office.enrolled(password="orage")
    victim = office.browser().holding("value-that-the-attacker-knows")
    await victim.log_in(known.account.shown, "orage")
    cookies = {cookie.value for cookie in victim.client.cookies.jar}
    assert office.page.sessions.find("value-that-the-attacker-knows") is None
    assert any(office.page.sessions.find(value or "") for value in cookies)


async def test_a_login_over_another_session_leaves_that_one_to_its_own_cookie(office: Office) -> None:
    attacker = await office.enrolled(await office.patient("1600275056002"), "tempête")
    known = await office.enrolled(password="orage")
    victim = office.browser().holding(attacker.cookie)
    session = await victim.log_in(known.account.shown, "orage")
    assert session["account"]["id"] == known.account.id
    assert (await attacker.get("session"))["account"]["id"] == attacker.account.id


async def test_too_many_sessions_and_the_least_used_goes(office: Office) -> None:
    known = await office.enrolled(password="orage")
    for _ in range(51):
        office.clock.forward(seconds=1)
        await office.browser().log_in(known.account.shown, "orage")
    assert not await alive(known)
    assert len(office.page.sessions.of(known.account.id)) == 50


async def test_last_uses_are_written_behind(office: Office) -> None:
    browser = await office.enrolled()
    office.clock.forward(hours=3)
    await browser.get("session")
    await office.page.sessions.flush()
    (row,) = await office.store.read(
        lambda reader: reader.sql.all("SELECT last_seen, created FROM page_session")
    )
    assert row[0] - row[1] >= 3 * 3600 * 1000


async def test_a_session_shows_no_digest_and_no_cookie_by_repr(office: Office) -> None:
    browser = await office.enrolled()
    found = office.page.sessions.find(browser.cookie)
    assert found is not None
    drawn = office.page.sessions.redraw(found, found.renew)
    assert repr(found.digest) not in repr(found)
    assert drawn.cookie not in repr(drawn)


@pytest.mark.parametrize("office", ["postgresql"], indirect=True)
async def test_on_postgresql_the_same_way_leads_in_and_out(office: Office) -> None:
    known = await office.enrolled(password="orage")
    await known.set_up_totp()
    await office.restart()
    known.client._transport.app = office.app
    assert await alive(known)
    office.clock.forward(minutes=2)
    browser = office.browser()
    await browser.log_in(known.account.shown, "orage", totp=known.code_now())
    await browser.delete("sessions")
    assert not await alive(known)
    await browser.raw("POST", "logout", {})
    assert not await alive(browser)
