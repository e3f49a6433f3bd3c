"""Codes: issued, tried, dead."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Kind
from tests.webmail.office import BOTH, DOMAIN, Refused
from webmail.spaces import codes


async def refusal(browser: Any, code: str, account: Any, **instead: str) -> Refused:
    with pytest.raises(Refused) as caught:
        await browser.start(code, account, **instead)
    return caught.value


async def test_a_patient_answers_with_birth_date_and_five_digits(office: Any) -> None:
    account = await office.patient()
    begun = await office.browser().start(await office.code(account), account)
    assert begun["address"] == account.address


async def test_a_professional_answers_with_the_address(office: Any) -> None:
    account = await office.professional()
    begun = await office.browser().start(await office.code(account), account)
    assert (begun["kind"], begun["shown"], begun["hasCertificate"]) == ("PER", account.address, False)


async def test_a_code_is_taken_as_people_type_it(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    assert await office.browser().start(f"  {code.lower().replace('-', ' ')} ", account)


@pytest.mark.parametrize("wrong", [{"birthDate": "1985-05-18"}, {"lastFive": "00000"}, {"lastFive": ""}])
async def test_a_wrong_answer_costs_a_try(office: Any, wrong: dict[str, str]) -> None:
    account = await office.patient()
    refused = await refusal(office.browser(), await office.code(account), account, **wrong)
    assert (refused.status, refused.error, refused.answer["triesLeft"]) == (403, "code-refused", 4)


async def test_an_unknown_code_reads_like_a_wrong_answer_but_for_the_tries(office: Any) -> None:
    account = await office.patient()
    known = await refusal(office.browser(), await office.code(account), account, lastFive="00000")
    unknown = await refusal(office.browser(), codes.shown(codes.generate()), account)
    mistyped = await refusal(office.browser(), "ABCD", account)
    for other in (unknown, mistyped):
        assert (other.status, other.error, other.answer["message"]) == (
            known.status,
            known.error,
            known.answer["message"],
        )
        assert "triesLeft" not in other.answer


async def test_five_wrong_answers_and_the_code_is_dead_even_for_the_right_one(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    left = [
        (await refusal(office.browser(), code, account, lastFive="00000")).answer["triesLeft"]
        for _ in range(5)
    ]
    assert left == [4, 3, 2, 1, 0]
    dead = await refusal(office.browser(), code, account)
    assert (dead.status, dead.error) == (410, "code-dead")


@BOTH
async def test_many_guesses_at_once_are_five_in_all(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    guesses = [refusal(office.browser(), code, account, lastFive=f"{number:05d}") for number in range(20)]
    answers = await asyncio.gather(*guesses)
    assert sorted(one.error for one in answers) == ["code-dead"] * 15 + ["code-refused"] * 5


async def test_a_right_answer_gives_the_tries_back(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    await refusal(office.browser(), code, account, lastFive="00000")
    await office.browser().start(code, account)
    refused = await refusal(office.browser(), code, account, lastFive="00000")
    assert refused.answer["triesLeft"] == 4


async def test_a_code_dies_after_thirty_days(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    office.clock.forward(days=30, seconds=1)
    assert (await refusal(office.browser(), code, account)).error == "code-dead"


async def test_a_new_code_kills_the_one_before(office: Any) -> None:
    account = await office.patient()
    first = await office.code(account)
    second = await office.code(account)
    assert (await refusal(office.browser(), first, account)).error == "code-dead"
    assert await office.browser().start(second, account)


async def test_a_code_of_one_patient_opens_no_other(office: Any) -> None:
    mine, other = await office.patient(), await office.patient("1600275056002")
    code = await office.code(mine)
    number = office.accounts.patient_identity(other.id).number
    refused = await refusal(office.browser(), code, mine, lastFive=number[-5:])
    assert refused.error == "code-refused"


async def test_a_suspended_account_has_no_use_of_its_code(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    await office.accounts.suspend(account.id)
    assert (await refusal(office.browser(), code, account)).error == "code-dead"


@pytest.mark.parametrize("kind", [Kind.ORG, Kind.CAB, Kind.APP])
async def test_no_code_is_issued_to_who_is_no_person(office: Any, kind: Kind) -> None:
    account = await office.accounts.add(f"robot@{DOMAIN}", kind)
    with pytest.raises(AccountError, match="not-a-person"):
        await office.code(account)


async def test_wrong_answers_wait_longer_each_time(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    for _ in range(4):
        await refusal(office.browser(), code, account, lastFive="00000")
    assert office.slept == [0.5, 1.0, 2.0, 4.0]


async def test_guessing_codes_is_slowed_for_the_whole_node(office: Any) -> None:
    account = await office.patient()
    for number in range(14):
        browser = office.browser()
        browser.client._transport.client = (f"192.0.2.{number}", 4000)
        await refusal(browser, codes.shown(codes.generate()), account)
    # Each place failed once; together they are many.
    assert office.slept[0] == 0.5
    assert office.slept[-1] > office.slept[0]


async def test_unknown_codes_cost_the_same_steps_as_known_ones(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    counted: list[tuple[int, int, int]] = []
    store, secrets = office.store, office.page.ground.secrets
    writes, reads, marks = store.write, store.read, type(secrets).code_mark
    for typed in (code, codes.shown(codes.generate()), "ABCD"):
        seen = {"write": 0, "read": 0, "mark": 0}

        async def write(operation: Any, seen: dict[str, int] = seen) -> Any:
            seen["write"] += 1
            return await writes(operation)

        async def read(query: Any, seen: dict[str, int] = seen) -> Any:
            seen["read"] += 1
            return await reads(query)

        def mark(self: Any, text: str, seen: dict[str, int] = seen) -> bytes:
            seen["mark"] += 1
            return marks(self, text)

        store.write, store.read, type(secrets).code_mark = write, read, mark
        try:
            await refusal(office.browser(), typed, account, lastFive="00000")
        finally:
            store.write, store.read, type(secrets).code_mark = writes, reads, marks
        counted.append((seen["write"], seen["read"], seen["mark"]))
    assert len(set(counted)) == 1


async def test_every_attempt_is_told_to_the_trace_without_code_or_answer(office: Any) -> None:
    account = await office.patient()
    code = await office.code(account)
    refused = await refusal(office.browser(), code, account, birthDate="1999-12-31")
    (event,) = office._noted
    assert (event.action, event.outcome, event.reference) == (
        "code-refused",
        "wrong-answers",
        refused.answer["reference"],
    )
    number = office.accounts.patient_identity(account.id).number
    for secret in (code, code.replace("-", ""), "1999-12-31", "1985-05-17", number, number[-5:]):
        assert secret not in repr(event)
    assert "code-issue done" in await office.traced()


async def test_an_enrolment_session_opens_nothing_else(office: Any) -> None:
    account = await office.patient()
    browser = office.browser()
    await browser.start(await office.code(account), account)
    assert office.page.sessions.by_cookie(browser.cookie) is None
    for method, path in [
        ("GET", "session"),
        ("GET", "reseal"),
        ("GET", "keys/old"),
        ("GET", "correspondents"),
    ]:
        with pytest.raises(Refused, match="no-session") as caught:
            await browser.ask(method, path)
        assert caught.value.status == 401
    with pytest.raises(Refused) as caught:
        await browser.put("password", {"current": None, "password": {}})
    assert caught.value.status == 401


async def test_an_enrolment_session_lasts_an_hour(office: Any) -> None:
    account = await office.patient()
    browser = office.browser()
    await browser.start(await office.code(account), account)
    office.clock.forward(minutes=61)
    with pytest.raises(Refused) as caught:
        await browser.complete("orage")
    assert caught.value.error == "no-session"


async def test_the_code_itself_lies_nowhere(office: Any) -> None:
    account = await office.patient()
    code = (await office.code(account)).replace("-", "")
    await office.browser().start(code, account)
    for file in office.home.rglob("*"):
        if file.is_file():
            assert code.encode() not in file.read_bytes()
