"""Opening a space, in the order that survives a kill."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from deploy.demo.browser import derivations
from deploy.demo.browser.keys import make_bare_key
from directory.certificates.interface import Standing
from tests.webmail.office import BOTH, Refused, data, stretched, text


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def begun(office: Any, account: Any = None) -> Any:
    account = account or await office.patient()
    browser = office.browser()
    await browser.start(await office.code(account), account)
    return browser


def published(office: Any, account: Any) -> str | None:
    found = office.directory.certificate(account.address, office.clock()).certificate
    return found.fingerprint if found else None


# -- a patient


@BOTH
async def test_a_patient_opens_their_space(office: Any) -> None:
    account = await office.patient()
    browser = office.browser()
    first = await browser.start(await office.code(account), account)
    assert (first["kind"], first["account"], first["lost"]) == ("PATIENT", account.id, False)
    assert (first["givenName"], first["familyName"]) == ("Apolline", "Vasarely-Moreau")
    assert first["shown"] == account.shown

    session = await browser.complete("orage d'été")

    assert session["account"]["shown"] == account.shown
    assert [slot["kind"] for slot in session["slots"]] == ["password", "recovery"]
    assert [(key["current"], bool(key["wrappedSecret"])) for key in session["keys"]] == [(True, True)]
    assert office.by_id(account.id).activated
    assert published(office, account) == browser.made.fingerprint
    again = await browser.get("session")
    assert again.pop("expires") >= session.pop("expires")
    assert again == session
    assert "space-activated done" in await office.traced(party=account.id)


async def test_what_comes_back_opens_with_password_or_sheet(office: Any) -> None:
    browser = await office.enrolled(password="orage")
    session, account = browser.session, browser.account
    by_kind = {slot["kind"]: slot for slot in session["slots"]}
    kek = stretched("orage", data(by_kind["password"]["params"]["salt"])).kek
    sheet = derivations.from_recovery(browser.recovery).kek
    for key, slot in ((kek, "password"), (sheet, "recovery")):
        opened = derivations.unwrap_account_key(key, data(by_kind[slot]["wrapped"]), account.id)
        assert opened == browser.account_key
    (key,) = session["keys"]
    secret = derivations.unwrap_secret_key(
        browser.account_key, data(key["wrappedSecret"]), key["fingerprint"]
    )
    assert secret == browser.made.secret


async def test_the_server_never_sees_what_opens(office: Any) -> None:
    browser = await office.enrolled(password="un mot de passe")
    told = b"\n".join(browser.sent)
    recovery = derivations.normalised(browser.recovery)
    secret = browser.made.secret
    for hidden in (browser.account_key, secret, secret[40:120]):
        assert hidden not in told
        assert text(hidden).rstrip("=").encode()[:-2] not in told
    for words in ("un mot de passe", recovery, browser.recovery):
        assert words.encode() not in told
    for file in office.home.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert browser.account_key not in content
            assert secret not in content


async def test_a_login_secret_lies_nowhere_as_it_was_sent(office: Any) -> None:
    browser = await office.enrolled(password="orage")
    login = data(await browser.current())
    for file in office.home.rglob("*"):
        if file.is_file():
            assert login not in file.read_bytes()


async def test_the_code_serves_once(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    browser = office.browser()
    await browser.start(code, account)
    await browser.complete("orage")
    assert (await refused(office.browser().start(code, account))).error == "code-dead"


@BOTH
async def test_of_two_browsers_that_enrol_at_once_one_opens_the_space(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    browsers = [office.browser(), office.browser()]
    for browser in browsers:
        await browser.start(code, account)
    given = [await browser.completion("orage") for browser in browsers]
    outcomes = await asyncio.gather(
        *(browser.post("enrolment/complete", one) for browser, one in zip(browsers, given, strict=True)),
        return_exceptions=True,
    )
    failed = [one for one in outcomes if isinstance(one, Refused)]
    assert [one.error for one in failed] in (["code-dead"], ["no-session"])
    winner = next(one for one in outcomes if not isinstance(one, Refused))
    assert published(office, account) == next(key["fingerprint"] for key in winner["keys"] if key["current"])


async def test_a_code_replaced_meanwhile_opens_nothing(office: Any) -> None:
    browser = await begun(office)
    given = await browser.completion("orage")
    await office.code(browser.account)
    assert (await refused(browser.post("enrolment/complete", given))).error == "code-dead"
    assert published(office, browser.account) is None


async def test_a_patient_needs_a_key_whose_secret_is_wrapped(office: Any) -> None:
    browser = await begun(office)
    without = await browser.completion("orage", key=False)
    assert (await refused(browser.post("enrolment/complete", without))).error == "bad-request"
    given = await browser.completion("orage")
    given["key"]["wrappedSecret"] = None
    assert (await refused(browser.post("enrolment/complete", given))).error == "bad-request"
    assert not office.by_id(browser.account.id).activated


async def test_the_session_changes_its_cookie_when_the_space_opens(office: Any) -> None:
    browser = await begun(office)
    before = browser.cookie
    await browser.complete("orage")
    assert browser.cookie != before
    assert office.page.sessions.find(before) is None


# -- the proof of the key


async def test_a_certificate_that_does_not_pass_the_gate_is_refused_with_its_reason(office: Any) -> None:
    browser = await begun(office)
    other = make_bare_key(f"somebody@{browser.account.address.partition('@')[2]}")
    answer = await refused(browser.post("keys/challenge", {"certificate": text(other.certificate)}))
    assert (answer.error, answer.answer["reason"]) == ("key-refused", "user-id-of-another")


async def test_a_secret_key_in_the_certificates_place_is_refused(office: Any) -> None:
    browser = await begun(office)
    made = make_bare_key(browser.account.address)
    answer = await refused(browser.post("keys/challenge", {"certificate": text(made.secret)}))
    assert answer.answer["reason"] == "secret-key-offered"


async def test_a_wrong_nonce_proves_nothing(office: Any) -> None:
    browser = await begun(office)
    given = await browser.completion("orage")
    given["key"]["nonce"] = secrets.token_hex(32)
    assert (await refused(browser.post("enrolment/complete", given))).error == "challenge-refused"
    assert published(office, browser.account) is None


async def test_a_nonce_serves_once(office: Any) -> None:
    browser = await begun(office)
    given = await browser.completion("orage")
    wrong = {**given, "key": {**given["key"], "nonce": "0" * 64}}
    await refused(browser.post("enrolment/complete", wrong))
    assert (await refused(browser.post("enrolment/complete", given))).error == "challenge-refused"


async def test_a_nonce_is_for_the_certificate_it_was_sealed_to(office: Any) -> None:
    browser = await begun(office)
    given = await browser.completion("orage")
    given["key"]["certificate"] = text(make_bare_key(browser.account.address).certificate)
    assert (await refused(browser.post("enrolment/complete", given))).error == "challenge-refused"


async def test_a_nonce_is_good_for_ten_minutes(office: Any) -> None:
    browser = await begun(office)
    given = await browser.completion("orage")
    office.clock.forward(minutes=11)
    assert (await refused(browser.post("enrolment/complete", given))).error == "challenge-refused"


async def test_a_nonce_is_for_the_session_that_asked(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    one, other = office.browser(), office.browser()
    await one.start(code, account)
    await other.start(code, account)
    given = await one.completion("orage")
    assert (await refused(other.post("enrolment/complete", given))).error == "challenge-refused"


# -- killed between two steps


class Killed(Exception):
    """The process ended here."""


async def killed_after(office: Any, browser: Any, step: int, password: str) -> None:
    """Stop right after a durable step: 1 wraps and slots, 2 the certificate, 3 the account is open."""
    given = await browser.completion(password)
    write, publish = office.store.write, office.directory.publish
    writes = 0

    async def counted(operation: Any) -> Any:
        nonlocal writes
        made = await write(operation)
        writes += 1
        if (step, writes) in ((1, 1), (3, 2)):
            raise Killed
        return made

    def published_and_killed(*arguments: Any) -> Any:
        made = publish(*arguments)
        if step == 2:
            raise Killed
        return made

    office.store.write, office.directory.publish = counted, published_and_killed
    try:
        answer = await browser.raw("POST", "enrolment/complete", given)
    finally:
        office.store.write, office.directory.publish = write, publish
    assert answer.status_code == 500
    await office.restart()


@pytest.mark.parametrize("step", [1, 2])
async def test_after_a_kill_the_same_code_finishes(office: Any, step: int) -> None:
    account = await office.patient()
    code = await office.code(account)
    browser = office.browser()
    await browser.start(code, account)
    await killed_after(office, browser, step, "premier")

    again = office.browser()
    await again.start(code, account)
    session = await again.complete("second")

    assert office.by_id(account.id).activated
    assert published(office, account) == again.made.fingerprint
    assert next(key for key in session["keys"] if key["current"])["wrappedSecret"]
    await office.browser().log_in(account.shown, "second")


@pytest.mark.parametrize("step", [1, 2])
async def test_before_the_last_step_nobody_logs_in_with_what_was_typed(office: Any, step: int) -> None:
    browser = await begun(office)
    await killed_after(office, browser, step, "premier")
    assert not office.by_id(browser.account.id).activated
    answer = await refused(office.browser().log_in(browser.account.shown, "premier"))
    assert answer.error == "login-refused"


async def test_after_the_last_step_the_space_is_open_though_nobody_was_told(office: Any) -> None:
    browser = await begun(office)
    await killed_after(office, browser, 3, "premier")
    assert office.by_id(browser.account.id).activated
    session = await office.browser().log_in(browser.account.shown, "premier")
    assert session["keys"][0]["wrappedSecret"]


async def test_a_certificate_is_never_published_before_its_wrapped_secret_is_durable(office: Any) -> None:
    browser = await begun(office)
    publish, seen = office.directory.publish, []

    def look(address: str, certificate: bytes, at: int) -> Any:
        seen.append(office.page.ground.slots)
        return publish(address, certificate, at)

    office.directory.publish = look
    try:
        await killed_after(office, browser, 1, "premier")
    finally:
        office.directory.publish = publish
    assert seen == []
    assert office.directory.certificate(browser.account.address, office.clock()).standing is Standing.NONE


async def test_what_a_kill_left_after_publication_stays_openable_with_its_sheet(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    browser = office.browser()
    await browser.start(code, account)
    await killed_after(office, browser, 2, "premier")
    again = office.browser()
    await again.start(code, account)
    await again.complete("second")
    (old,) = (await again.get("keys/old"))["keys"]
    assert old["fingerprint"] == browser.made.fingerprint
    sheet = derivations.from_recovery(browser.recovery).kek
    key = derivations.unwrap_account_key(sheet, data(old["recovery"]["wrapped"]), account.id)
    assert derivations.unwrap_secret_key(key, data(old["wrappedSecret"]), old["fingerprint"])


async def test_what_a_kill_left_before_publication_is_dropped(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    browser = office.browser()
    await browser.start(code, account)
    await killed_after(office, browser, 1, "premier")
    again = office.browser()
    await again.start(code, account)
    session = await again.complete("second")
    assert len(session["keys"]) == 1
    assert (await again.get("keys/old"))["keys"] == []


# -- lost, and found


async def test_who_lost_everything_enrols_anew_and_the_old_ways_in_are_shut(office: Any) -> None:
    before = await office.enrolled(password="premier")
    account = before.account
    browser = office.browser()
    assert (await browser.start(await office.code(account), account))["lost"]
    session = await browser.complete("second")

    assert [bool(key["wrappedSecret"]) for key in session["keys"]] == [False, True]
    assert (await refused(before.get("session"))).error == "no-session"
    assert (await refused(office.browser().log_in(account.shown, "premier"))).error == "login-refused"
    by_sheet = office.browser().log_in_by_sheet(account.shown, before.recovery)
    assert (await refused(by_sheet)).error == "login-refused"
    assert await office.browser().log_in(account.shown, "second")


@BOTH
async def test_an_older_sheet_opens_the_older_key_later(office: Any) -> None:
    before = await office.enrolled(password="premier")
    account = before.account
    browser = office.browser()
    await browser.start(await office.code(account), account)
    await browser.complete("second")

    (old,) = (await browser.get("keys/old"))["keys"]
    sheet = derivations.from_recovery(before.recovery).kek
    account_key = derivations.unwrap_account_key(sheet, data(old["recovery"]["wrapped"]), account.id)
    secret = derivations.unwrap_secret_key(account_key, data(old["wrappedSecret"]), old["fingerprint"])
    anew = derivations.wrap_secret_key(browser.account_key, secret, old["fingerprint"])
    session = await browser.put(f"keys/{old['fingerprint']}", {"wrappedSecret": text(anew)})

    assert [bool(key["wrappedSecret"]) for key in session["keys"]] == [True, True]
    assert [key["current"] for key in session["keys"]].count(True) == 1
    assert (await browser.get("keys/old"))["keys"] == []


# -- a professional


async def test_a_professional_may_come_without_a_key(office: Any) -> None:
    browser = await begun(office, await office.professional())
    session = await browser.complete("orage", key=False)
    assert (session["keys"], session["totp"]) == ([], False)
    assert office.resealed == []


async def test_a_professional_brings_a_key_and_the_node_seals_what_lay_in_custody(office: Any) -> None:
    browser = await begun(office, await office.professional())
    session = await browser.complete("orage")
    assert session["keys"][0]["current"]
    assert office.resealed == [browser.account.id]
