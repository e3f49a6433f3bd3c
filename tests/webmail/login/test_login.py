"""Logging in by what one knows: password, sheet, second factor; and what is told to who does not know it."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.demo.browser import derivations
from mail_server.accounts import ins
from tests.webmail.office import Refused, data, text
from webmail.login import totp


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def test_a_patient_logs_in_by_number_key_or_not_and_by_either_address(office: Any) -> None:
    known = await office.enrolled(password="orage")
    number = office.accounts.patient_identity(known.account.id).number
    spaced = f"{number[0]} {number[1:3]} {number[3:5]} {number[5:7]} {number[7:10]} {number[10:13]}"
    for user in (number, number[:13], spaced, known.account.shown, known.account.address.upper()):
        session = await office.browser().log_in(user, "orage")
        assert session["account"]["id"] == known.account.id


async def test_the_session_says_what_opens_and_nothing_of_how_it_is_compared(office: Any) -> None:
    known = await office.enrolled(password="orage")
    session = await office.browser().log_in(known.account.shown, "orage")
    assert session["slots"][0]["wrapped"] == known.session["slots"][0]["wrapped"]
    assert session["slots"][0]["lastUsed"] is not None
    assert "verifier" not in str(session)
    assert session["mustRenew"] is False
    assert session["resealLeft"] == 0


async def test_a_wrong_password_is_refused(office: Any) -> None:
    known = await office.enrolled(password="orage")
    answer = await refused(office.browser().log_in(known.account.shown, "éclair"))
    assert (answer.status, answer.error) == (401, "login-refused")


async def test_an_unknown_user_is_refused_in_the_same_words(office: Any) -> None:
    known = await office.enrolled(password="orage")
    wrong = await refused(office.browser().log_in(known.account.shown, "éclair"))
    unknown = await refused(office.browser().log_in("1600275056002", "éclair"))
    not_enrolled = await refused(office.browser().log_in((await office.professional()).address, "éclair"))
    for other in (unknown, not_enrolled):
        assert (other.status, other.error) == (wrong.status, wrong.error)
        assert other.answer.keys() == wrong.answer.keys()
        assert other.answer["message"] == wrong.answer["message"]


async def test_an_unknown_user_has_a_salt_that_never_changes_and_is_not_another_ones(office: Any) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    asked = [
        await browser.post("login/parameters", {"user": user})
        for user in ("1600275056002", "1600275056002", "nobody@essai.test", known.account.shown)
    ]
    assert asked[0] == asked[1]
    assert asked[0]["salt"] != asked[2]["salt"]
    assert asked[0]["params"] == asked[3]["params"]
    assert {len(data(one["salt"])) for one in asked} == {16}
    await office.restart()
    assert await office.browser().post("login/parameters", {"user": "1600275056002"}) == asked[0]


async def test_a_name_has_one_salt_however_it_is_typed_whether_or_not_somebody_has_it(office: Any) -> None:
    """Else two spellings of a number would tell, by two salts, that nobody here has it."""
    known = await office.enrolled(password="orage")
    number = office.accounts.patient_identity(known.account.id).number
    other = "1600275056002"
    other += ins.key_of(other)
    browser = office.browser()
    for fifteen in (number, other):
        spaced = f" {fifteen[0]} {fifteen[1:5]}\u00a0{fifteen[5:]} "
        address = f"{fifteen}@{known.account.shown.partition('@')[2]}"
        salts = {
            (await browser.post("login/parameters", {"user": user}))["salt"]
            for user in (fifteen, fifteen[:13], spaced, address, address.upper(), f" {address} ")
        }
        assert len(salts) == 1
    professionals = {
        (await browser.post("login/parameters", {"user": user}))["salt"]
        for user in ("nobody@essai.test", "NOBODY@essai.test", " nobody@ESSAI.test ")
    }
    assert len(professionals) == 1


async def test_failures_for_a_name_count_together_however_it_is_typed(office: Any) -> None:
    """For somebody unknown as for somebody known: else waits would tell them apart."""
    other = "1600275056002"
    for user in (other, other + ins.key_of(other), f" {other}"):
        await refused(office.browser().post("login", {"user": user, "login": text(bytes(32))}))
    assert office.slept == [0.5, 1.0, 2.0]


async def steps_of(office: Any, work: Any) -> dict[str, int]:
    """How often the store, the HMACs and the KEK are asked, in one attempt."""
    seen = {"read": 0, "write": 0, "verifier": 0, "unwrap": 0}
    store, secrets, keys = office.store, type(office.page.ground.secrets), type(office.keys)
    kept = (store.read, store.write, secrets.verifier, keys.unwrap)

    async def read(query: Any) -> Any:
        seen["read"] += 1
        return await kept[0](query)

    async def write(operation: Any) -> Any:
        seen["write"] += 1
        return await kept[1](operation)

    def verifier(self: Any, login: bytes) -> bytes:
        seen["verifier"] += 1
        return kept[2](self, login)

    def unwrap(self: Any, wrapped: bytes, purpose: bytes) -> bytes:
        seen["unwrap"] += 1
        return kept[3](self, wrapped, purpose)

    store.read, store.write, secrets.verifier, keys.unwrap = read, write, verifier, unwrap
    try:
        await refused(work)
    finally:
        store.read, store.write, secrets.verifier, keys.unwrap = kept
    return seen


@pytest.mark.parametrize("way", ["login", "login/recovery"])
async def test_unknown_known_and_not_enrolled_cost_the_same_steps(office: Any, way: str) -> None:
    known = await office.enrolled(password="orage")
    await office.professional()
    seen = [
        await steps_of(office, office.browser().post(way, {"user": user, "login": text(bytes(32))}))
        for user in (known.account.shown, "1600275056002", "nobody@essai.test", "gp@mss.essai.test")
    ]
    assert seen[0] == {"read": 1, "write": 0, "verifier": 1, "unwrap": 1}
    assert all(one == seen[0] for one in seen)


async def test_parameters_cost_the_same_steps_too(office: Any) -> None:
    known = await office.enrolled(password="orage")
    reads: list[int] = []
    for user in (known.account.shown, "1600275056002"):
        store, kept, count = office.store, office.store.read, [0]

        async def read(query: Any, kept: Any = kept, count: list[int] = count) -> Any:
            count[0] += 1
            return await kept(query)

        store.read = read
        try:
            await office.browser().post("login/parameters", {"user": user})
        finally:
            store.read = kept
        reads.append(count[0])
    assert reads == [1, 1]


async def test_a_suspended_account_is_told_so_only_once_the_password_is_right(office: Any) -> None:
    known = await office.enrolled(password="orage")
    await office.accounts.suspend(known.account.id)
    wrong = await refused(office.browser().log_in(known.account.shown, "éclair"))
    right = await refused(office.browser().log_in(known.account.shown, "orage"))
    assert (wrong.error, right.error, right.status) == ("login-refused", "suspended", 403)


async def test_failures_wait_and_a_right_password_does_not(office: Any) -> None:
    known = await office.enrolled(password="orage")
    for _ in range(3):
        await refused(office.browser().log_in(known.account.shown, "éclair"))
    assert office.slept == [0.5, 1.0, 2.0]
    await office.browser().log_in(known.account.shown, "orage")
    assert len(office.slept) == 3


async def test_logins_and_failures_are_in_the_trace_with_the_reference_that_is_shown(office: Any) -> None:
    known = await office.enrolled(password="orage")
    answer = await refused(office.browser().log_in(known.account.shown, "éclair"))
    await office.browser().log_in(known.account.shown, "orage")
    (event,) = office._noted
    assert (event.action, event.outcome, event.subject) == (
        "login-failed",
        "wrong-password",
        known.account.id,
    )
    assert event.reference == answer.answer["reference"]
    assert "login done" in await office.traced(party=known.account.id)


async def test_what_unknown_people_typed_is_not_kept(office: Any) -> None:
    await refused(office.browser().log_in("1 60 02 75 056 002", "éclair"))
    (event,) = office._noted
    assert event.subject == "unknown"
    assert "60" not in repr(event.detail)


async def test_a_login_waits_for_its_place_in_the_trace(office: Any) -> None:
    known = await office.enrolled(password="orage")
    object.__setattr__(office.page.ground, "trace_full", lambda: True)
    answer = await refused(office.browser().log_in(known.account.shown, "orage"))
    assert (answer.status, answer.error) == (503, "busy")


async def test_a_login_that_is_stored_nowhere_gives_no_cookie(office: Any) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    login = await browser.password_login(known.account.shown, "orage")
    from mail_server.store.interface import StoreUnavailable

    async def fails(operation: Any) -> Any:
        raise StoreUnavailable

    kept, office.store.write = office.store.write, fails
    try:
        answer = await browser.raw("POST", "login", {"user": known.account.shown, "login": login})
    finally:
        office.store.write = kept
    assert (answer.status_code, answer.json()["error"]) == (503, "busy")
    assert "set-cookie" not in answer.headers


# -- by the sheet


async def test_the_sheet_lets_in_to_renew_and_to_nothing_else(office: Any) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    session = await browser.log_in_by_sheet(known.account.shown, known.recovery)
    assert session["mustRenew"]
    assert office.page.sessions.by_cookie(browser.cookie) is None
    for method, path, body in [
        ("POST", "passkeys/start", {}),
        ("POST", "totp/start", {}),
        ("DELETE", "sessions", None),
        ("POST", "reseal/letters", {"letters": []}),
        ("GET", "reseal", None),
        ("GET", "keys/old", None),
        ("GET", "correspondents", None),
        ("GET", "access-log.csv", None),
        ("GET", "access-log.pdf", None),
    ]:
        answer = await refused(browser.ask(method, path, body))
        assert (answer.status, answer.error) == (403, "renew-first"), path


async def test_after_a_new_password_and_a_new_sheet_the_session_is_whole(office: Any) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    await browser.log_in_by_sheet(known.account.shown, known.recovery)
    browser.account, browser.account_key = known.account, known.account_key
    sheet = derivations.new_recovery_code()
    session = await browser.put("password", {"current": None, "password": browser.password_slot("soleil")})
    assert session["mustRenew"]
    session = await browser.put("recovery", {"current": None, **browser.recovery_slot(sheet)})
    assert not session["mustRenew"]
    assert office.page.sessions.by_cookie(browser.cookie) is not None
    await office.browser().log_in(known.account.shown, "soleil")
    assert (await refused(office.browser().log_in(known.account.shown, "orage"))).error == "login-refused"


async def test_yesterdays_sheet_lets_nobody_in(office: Any) -> None:
    known = await office.enrolled(password="orage")
    browser = office.browser()
    await browser.log_in_by_sheet(known.account.shown, known.recovery)
    browser.account, browser.account_key = known.account, known.account_key
    await browser.put("password", {"current": None, "password": browser.password_slot("soleil")})
    await browser.put("recovery", {"current": None, **browser.recovery_slot(derivations.new_recovery_code())})
    again = office.browser().log_in_by_sheet(known.account.shown, known.recovery)
    assert (await refused(again)).error == "login-refused"


async def test_the_sheet_still_serves_while_nothing_replaced_it(office: Any) -> None:
    known = await office.enrolled(password="orage")
    await office.browser().log_in_by_sheet(known.account.shown, known.recovery)
    assert await office.browser().log_in_by_sheet(known.account.shown, known.recovery)


# -- the second factor


async def test_a_professional_needs_both_factors(office: Any) -> None:
    known = await office.enrolled_professional(password="orage")
    office.clock.forward(minutes=2)
    browser = office.browser()
    needed = await refused(browser.log_in(known.account.address, "orage"))
    assert (needed.status, needed.error) == (401, "totp-needed")
    session = await browser.log_in(known.account.address, "orage", totp=known.code_now())
    assert session["totp"]


async def test_who_has_the_password_wrong_is_not_told_of_a_second_factor(office: Any) -> None:
    known = await office.enrolled_professional(password="orage")
    answer = await refused(office.browser().log_in(known.account.address, "éclair"))
    assert answer.error == "login-refused"


async def test_a_code_serves_once(office: Any) -> None:
    known = await office.enrolled_professional(password="orage")
    office.clock.forward(minutes=2)
    code = known.code_now()
    await office.browser().log_in(known.account.address, "orage", totp=code)
    again = await refused(office.browser().log_in(known.account.address, "orage", totp=code))
    assert (again.status, again.error) == (401, "totp-refused")


async def test_the_code_that_set_it_up_does_not_serve_again(office: Any) -> None:
    known = await office.enrolled_professional(password="orage")
    again = await refused(office.browser().log_in(known.account.address, "orage", totp=known.code_now()))
    assert again.error == "totp-refused"


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_one_step_early_or_late_is_taken(office: Any, steps: int, taken: bool) -> None:
    known = await office.enrolled_professional(password="orage")
    office.clock.forward(minutes=5)
    code = totp.code_at(known.totp_secret, office.clock() // 30_000 + steps)
    work = office.browser().log_in(known.account.address, "orage", totp=code)
    if taken:
        assert await work
    else:
        assert (await refused(work)).error == "totp-refused"


async def test_wrong_codes_wait_like_wrong_passwords(office: Any) -> None:
    known = await office.enrolled_professional(password="orage")
    for _ in range(3):
        await refused(office.browser().log_in(known.account.address, "orage", totp="000000"))
    assert office.slept == [0.5, 1.0, 2.0]


async def test_a_professional_without_a_second_factor_may_only_set_one_up(office: Any) -> None:
    browser = await office.enrolled(await office.professional())
    assert office.page.sessions.by_cookie(browser.cookie) is None
    answer = await refused(browser.post("app-passwords", {"label": "Thunderbird"}))
    assert (answer.status, answer.error) == (403, "totp-required")
    before = browser.cookie
    await browser.set_up_totp()
    assert browser.cookie != before
    assert office.page.sessions.by_cookie(browser.cookie) is not None
    assert await browser.post("app-passwords", {"label": "Thunderbird"})


async def test_a_password_alone_does_not_set_up_a_second_factor_in_anothers_place(office: Any) -> None:
    first = await office.enrolled(await office.professional(), "orage")
    second = office.browser()
    await second.log_in(first.account.address, "orage")
    begun = await second.post("totp/start")
    await first.set_up_totp()
    import base64

    code = totp.code_at(base64.b32decode(begun["secret"]), office.clock() // 30_000)
    assert (await refused(second.post("totp", {"code": code}))).error == "totp-needed"


async def test_the_sheet_asks_for_the_second_factor_too(office: Any) -> None:
    known = await office.enrolled_professional(password="orage")
    office.clock.forward(minutes=2)
    by_sheet = office.browser().log_in_by_sheet(known.account.address, known.recovery)
    assert (await refused(by_sheet)).error == "totp-needed"
    code = known.code_now()
    assert await office.browser().log_in_by_sheet(known.account.address, known.recovery, totp=code)


async def test_a_professional_cannot_stop_what_policy_asks_for(office: Any) -> None:
    known = await office.enrolled_professional()
    office.clock.forward(minutes=2)
    answer = await refused(known.delete("totp", {"code": known.code_now()}))
    assert (answer.status, answer.error) == (403, "totp-required")


async def test_a_patient_may_have_one_and_stop_it(office: Any) -> None:
    known = await office.enrolled()
    assert (await known.set_up_totp())["totp"]
    office.clock.forward(minutes=2)
    assert (await refused(known.delete("totp", {"code": "000000"}))).error == "totp-refused"
    assert not (await known.delete("totp", {"code": known.code_now()}))["totp"]


async def test_a_second_factor_shows_no_patients_number(office: Any) -> None:
    known = await office.enrolled()
    begun = await known.post("totp/start")
    assert office.accounts.patient_identity(known.account.id).number[:10] not in begun["uri"]


def test_the_codes_are_those_of_the_standard() -> None:
    # RFC 6238 appendix B, SHA-1: the last six of its eight digits.
    secret = b"12345678901234567890"
    for seconds, code in (
        (59, "287082"),
        (1111111109, "081804"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ):
        assert totp.code_at(secret, seconds // 30) == code


def test_what_is_no_code_is_no_step() -> None:
    for typed in ("", "12345", "1234567", "abcdef", "１２３４５６"):
        assert totp.step_of(b"x" * 20, typed, 0, -1) is None
