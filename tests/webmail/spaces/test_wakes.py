"""Wake-ups over HTTP as the page asks, and the clock that tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mail_server.store.model import AccountId
from tests.webmail.office import Browser, Office, Refused
from webmail.spaces import wakes

MINUTE = 60_000


@pytest.fixture
async def page(office: Office) -> Office:
    await office.open_page()
    return office


@pytest.fixture
async def patient(page: Office) -> Browser:
    return await page.enrolled()


class Told:
    """What the clock told."""

    def __init__(self, page: Office) -> None:
        self.accounts: list[AccountId] = []
        self._heard = asyncio.Event()
        page.page.wakes.tell = self.take

    def take(self, accounts: Sequence[AccountId]) -> None:
        self.accounts += accounts
        self._heard.set()

    async def heard(self) -> list[AccountId]:
        await asyncio.wait_for(self._heard.wait(), 3)
        return self.accounts


async def stored(page: Office) -> list[tuple[str, int]]:
    rows = await page.store.read(lambda reader: reader.sql.all("SELECT account, at FROM wake ORDER BY at"))
    return [(row[0], row[1]) for row in rows]


async def test_a_list_of_times_takes_the_place_of_the_one_before(page: Office, patient: Browser) -> None:
    now = page.clock()
    await patient.put("wakes", {"at": [now + 9 * MINUTE, now + 5 * MINUTE, now + 5 * MINUTE]})
    assert await patient.put("wakes", {"at": [now + 7 * MINUTE]}) == {"at": [now + 7 * MINUTE]}
    assert await patient.get("wakes") == {"at": [now + 7 * MINUTE]}


async def test_account_and_time_are_all_that_is_kept(page: Office, patient: Browser) -> None:
    at = page.clock() + MINUTE
    await patient.put("wakes", {"at": [at]})
    assert patient.account is not None
    assert await stored(page) == [(patient.account.id, at)]


@pytest.mark.parametrize("times", [["demain"], [-1], [1.5], [2**60], list(range(1, 80)), "x", None])
async def test_what_is_no_list_of_times_is_refused(patient: Browser, times: object) -> None:
    with pytest.raises(Refused) as refused:
        await patient.put("wakes", {"at": times})
    assert refused.value.status in {400, 413, 422}


@pytest.mark.parametrize("away", [-MINUTE, 63 * 86_400_000])
async def test_a_time_that_passed_or_lies_too_far_away_is_refused(
    page: Office, patient: Browser, away: int
) -> None:
    with pytest.raises(Refused, match="bad-request"):
        await patient.put("wakes", {"at": [page.clock() + away]})
    assert await stored(page) == []


async def test_who_is_not_logged_in_asks_for_nothing(page: Office) -> None:
    with pytest.raises(Refused) as refused:
        await page.browser().put("wakes", {"at": [page.clock() + MINUTE]})
    assert refused.value.status == 401


async def test_another_page_cannot_ask_in_its_place(page: Office, patient: Browser) -> None:
    answer = await patient.raw("PUT", "wakes", {"at": []}, Origin="https://elsewhere.example")
    assert answer.status_code == 403


async def test_the_account_is_told_when_its_time_has_come(page: Office, patient: Browser) -> None:
    told = Told(page)
    await patient.put("wakes", {"at": [page.clock() + 80]})
    assert patient.account is not None
    assert await told.heard() == [patient.account.id]


async def test_a_time_that_passed_goes_with_the_next_one(page: Office, patient: Browser) -> None:
    now = page.clock()
    await patient.put("wakes", {"at": [now + MINUTE, now + 20 * MINUTE]})
    told = Told(page)
    page.clock.forward(minutes=20)
    await patient.put("wakes", {"at": []})  # the clock looks again
    await told.heard()
    await asyncio.sleep(0.05)
    assert [at for _, at in await stored(page)] == [now + 20 * MINUTE]


async def test_times_outlive_a_restart_and_one_missed_meanwhile_is_told_to_who_comes_back(
    page: Office, patient: Browser
) -> None:
    assert patient.account is not None
    await patient.put("wakes", {"at": [page.clock() + MINUTE]})
    await page.page.wakes.stop()
    page.clock.forward(seconds=90)
    await page.restart()
    assert await page.page.wakes.just_passed(patient.account.id)
    page.clock.ahead += wakes.LATE
    assert not await page.page.wakes.just_passed(patient.account.id)
