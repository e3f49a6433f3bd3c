"""What a holder changes: password, sheet, mail programs."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.demo.browser import derivations
from mail_server.accounts.bearer import parsed
from mail_server.accounts.interface import Peer
from tests.webmail.office import Office, Refused, data, text


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def change_password(browser: Any, new: str) -> dict[str, Any]:
    given = {"current": await browser.current(), "password": browser.password_slot(new)}
    return await browser.put("password", given)


async def test_a_new_password_logs_in_and_the_old_one_does_not(office: Office) -> None:
    known = await office.enrolled(password="orage")
    await change_password(known, "soleil")
    assert await office.browser().log_in(known.account.shown, "soleil")
    assert (await refused(office.browser().log_in(known.account.shown, "orage"))).error == "login-refused"


async def test_a_new_password_changes_neither_key_nor_sheet(office: Office) -> None:
    known = await office.enrolled(password="orage")
    session = await change_password(known, "soleil")
    assert session["keys"] == known.session["keys"]
    sheet = derivations.from_recovery(known.recovery).kek
    (slot,) = [one for one in session["slots"] if one["kind"] == "recovery"]
    opened = derivations.unwrap_account_key(sheet, data(slot["wrapped"]), known.account.id)
    assert opened == known.account_key


async def test_a_new_password_cuts_every_other_session_and_renews_this_ones_cookie(office: Office) -> None:
    known = await office.enrolled(password="orage")
    other = office.browser()
    await other.log_in(known.account.shown, "orage")
    before = known.cookie
    await change_password(known, "soleil")
    assert known.cookie != before
    assert office.page.sessions.find(before) is None
    assert (await refused(other.get("session"))).error == "no-session"
    assert await known.get("session")
    await office.restart()
    assert office.page.sessions.find(other.cookie) is None
    assert office.page.sessions.find(before) is None


async def test_the_password_of_now_must_be_told_to_change_it(office: Office) -> None:
    known = await office.enrolled(password="orage")
    wrong = {"current": text(bytes(32)), "password": known.password_slot("soleil")}
    without = {"current": None, "password": known.password_slot("soleil")}
    assert (await refused(known.put("password", wrong))).error == "password-refused"
    assert (await refused(known.put("password", without))).error == "password-needed"
    assert await office.browser().log_in(known.account.shown, "orage")


async def test_guessing_the_password_of_now_is_slowed_and_traced(office: Office) -> None:
    known = await office.enrolled(password="orage")
    for _ in range(3):
        wrong = {"current": text(bytes(32)), "password": known.password_slot("soleil")}
        await refused(known.put("password", wrong))
    assert office.slept == [0.5, 1.0, 2.0]
    assert office.noted() == ["login-failed wrong-password"] * 3


async def test_a_new_sheet_takes_the_place_of_the_old_one(office: Office) -> None:
    known = await office.enrolled(password="orage")
    sheet = derivations.new_recovery_code()
    current = await known.current()
    await known.put("recovery", {"current": current, **known.recovery_slot(sheet)})
    assert await office.browser().log_in_by_sheet(known.account.shown, sheet)
    old = office.browser().log_in_by_sheet(known.account.shown, known.recovery)
    assert (await refused(old)).error == "login-refused"


async def test_a_new_sheet_puts_out_who_came_in_by_the_old_one(office: Office) -> None:
    known = await office.enrolled(password="orage")
    thief = office.browser()
    await thief.log_in_by_sheet(known.account.shown, known.recovery)
    current = await known.current()
    await known.put("recovery", {"current": current, **known.recovery_slot(derivations.new_recovery_code())})
    assert (await refused(thief.get("session"))).error == "no-session"


async def test_a_sheet_is_not_replaced_on_the_word_of_a_session_alone(office: Office) -> None:
    known = await office.enrolled()
    new = known.recovery_slot(derivations.new_recovery_code())
    assert (await refused(known.put("recovery", {"current": None, **new}))).error == "password-needed"


@pytest.mark.parametrize(
    "change",
    [
        {"salt": text(bytes(8))},
        {"wrapped": text(bytes(61))},
        {"wrapped": text(b"\x01" + bytes(59))},
        {"params": {"algorithm": "argon2i", "memory": 65536, "passes": 3, "lanes": 1}},
        {"params": {"algorithm": "argon2id", "memory": 8, "passes": 3, "lanes": 1}},
        {"login": text(bytes(16))},
    ],
)
async def test_a_slot_of_another_shape_is_refused(office: Office, change: dict[str, Any]) -> None:
    known = await office.enrolled()
    given = {"current": await known.current(), "password": {**known.password_slot("x"), **change}}
    assert (await refused(known.put("password", given))).error == "bad-request"


async def test_password_and_sheet_are_replaced_never_removed(office: Office) -> None:
    known = await office.enrolled()
    for slot in known.session["slots"]:
        assert (await refused(known.delete(f"slots/{slot['id']}"))).error == "slot-needed"
    assert (await refused(known.delete("slots/ffff"))).error == "unknown-slot"


async def test_nobody_removes_a_slot_of_another_account(office: Office) -> None:
    mine = await office.enrolled()
    other = await office.enrolled(await office.patient("1600275056002"))
    slot = other.session["slots"][0]["id"]
    assert (await refused(mine.delete(f"slots/{slot}"))).error == "unknown-slot"


async def test_a_session_that_ended_meanwhile_changes_nothing(office: Office) -> None:
    known = await office.enrolled(password="orage")
    given = {"current": await known.current(), "password": known.password_slot("soleil")}
    await office.store.write(lambda tx: tx.sql.run("DELETE FROM page_session"))
    assert (await refused(known.put("password", given))).error == "no-session"
    assert await office.browser().log_in(known.account.shown, "orage")


# -- mail programs


async def test_a_professional_makes_a_password_for_a_program_and_takes_it_back(office: Office) -> None:
    known = await office.enrolled_professional()
    made = await known.post("app-passwords", {"label": "Thunderbird, cabinet"})
    assert parsed(made["token"]) == (known.account.address, made["password"])
    (listed,) = (await known.get("app-passwords"))["passwords"]
    assert (listed["id"], listed["label"], listed["lastUsed"]) == (made["id"], "Thunderbird, cabinet", None)
    assert office.accounts.holds(known.account.id, made["id"])
    await known.delete(f"app-passwords/{made['id']}")
    assert not office.accounts.holds(known.account.id, made["id"])
    assert (await refused(known.delete(f"app-passwords/{made['id']}"))).error == "unknown-credential"


@pytest.mark.parametrize("label", ["", " ", "x" * 81, "a\u0007b"])
async def test_a_label_is_a_few_printable_words(office: Office, label: str) -> None:
    known = await office.enrolled_professional()
    assert (await refused(known.post("app-passwords", {"label": label}))).error == "bad-request"


async def test_a_patient_has_no_mail_program(office: Office) -> None:
    known = await office.enrolled()
    assert (await refused(known.get("app-passwords"))).error == "forbidden"
    assert (await refused(known.post("app-passwords", {"label": "x"}))).error == "forbidden"


async def test_the_password_of_the_page_opens_no_other_door(office: Office) -> None:
    from mail_server.accounts.authenticator import PasswordAuthenticator
    from mail_server.accounts.settings import AccountsSettings
    from policies.refusal import Refusal
    from tests.webmail.office import DECISIONS, DOMAIN

    known = await office.enrolled_professional(password="orage")
    settings = AccountsSettings(domains=(DOMAIN,), failure_delay=0)
    door = PasswordAuthenticator(office.accounts, DECISIONS, lambda _: None, settings)
    peer = Peer("192.0.2.1", 1, "imap", "s", tls=True)
    for secret in ("orage", await known.current()):
        with pytest.raises(Refusal, match="wrong-password"):
            await door.login(known.account.address, secret, peer)


def test_a_token_is_read_as_it_was_made() -> None:
    from hypothesis import given
    from hypothesis import strategies as st

    from mail_server.accounts import bearer

    words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)

    @given(words.filter(lambda one: ":" not in one), words)
    def made_and_read(address: str, password: str) -> None:
        assert bearer.parsed(bearer.token(address, password)) == (address, password)

    @given(st.text(max_size=100))
    def anything_is_read_or_none(text: str) -> None:
        assert bearer.parsed("vm1_" + text) is None or ":" not in (bearer.parsed("vm1_" + text) or ("",))[0]

    made_and_read()
    anything_is_read_or_none()
