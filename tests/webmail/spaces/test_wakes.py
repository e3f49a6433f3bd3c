"""Wake-ups over HTTP as the page asks, and the clock that tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from mail_server.store.model import AccountId
from tests.webmail.office import BOTH, Browser, Office, Refused
from webmail.spaces import wakes

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


@pytest.fixture
async def patient(office: Office) -> Browser:
    return await office.enrolled()


class Told:
    """What the clock told."""

    def __init__(self, office: Office) -> None:
        self.accounts: list[AccountId] = []
        self._heard = asyncio.Event()
        office.page.wakes.tell = self.take

    def take(self, accounts: Sequence[AccountId]) -> None:
        self.accounts += accounts
        self._heard.set()

    async def heard(self) -> list[AccountId]:
        async with asyncio.timeout(60):
            await self._heard.wait()
        return self.accounts

    def again(self) -> None:
        self._heard.clear()


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(60):
        while await look() != wanted:
            await asyncio.sleep(0.01)


async def stored(office: Office) -> list[tuple[str, int]]:
    rows = await office.store.read(lambda reader: reader.sql.all("SELECT account, at FROM wake ORDER BY at"))
    return [(row[0], row[1]) for row in rows]


@BOTH
async def test_account_and_times_are_all_that_is_kept_and_a_list_takes_the_place_of_the_one_before(
    office: Office, patient: Browser
) -> None:
    now = office.clock()
    await patient.put("wakes", {"at": [now + 9 * MINUTE, now + 5 * MINUTE, now + 5 * MINUTE]})
    assert await patient.put("wakes", {"at": [now + 7 * MINUTE]}) == {"at": [now + 7 * MINUTE]}
    assert await patient.get("wakes") == {"at": [now + 7 * MINUTE]}
    assert patient.account is not None
    assert await stored(office) == [(patient.account.id, now + 7 * MINUTE)]


async def test_what_is_no_list_of_at_most_64_times_to_come_is_refused_and_changes_nothing(
    office: Office, patient: Browser
) -> None:
    now = office.clock()
    kept = [now + MINUTE + each for each in range(wakes.MOST)]
    assert await patient.put("wakes", {"at": kept}) == {"at": kept}
    wrong: list[object] = [["demain"], [-1], [1.5], [True], [2**60], "x", None, {}]
    wrong += [[*kept, now + 2 * MINUTE], [now - MINUTE], [now], [*kept[:3], now - 1], [now + 63 * DAY]]
    for times in wrong:
        with pytest.raises(Refused) as refused:
            await patient.put("wakes", {"at": times})
        assert refused.value.status in {400, 413, 422}, times
    assert await patient.get("wakes") == {"at": kept}


async def test_only_who_reads_with_a_key_of_their_own_may_ask_and_from_the_own_page(
    office: Office, patient: Browser
) -> None:
    wanted = {"at": [office.clock() + MINUTE]}
    keyed, account = await office.enrolled_professional("avec"), await office.professional("sans")
    keyless = office.browser()
    await keyless.start(await office.code(account), account)
    await keyless.complete("orage", key=False)
    await keyless.set_up_totp()
    for ask in (keyless.get("wakes"), keyless.put("wakes", wanted)):
        with pytest.raises(Refused, match="forbidden"):
            await ask
    assert await keyed.put("wakes", wanted) == wanted
    assert await patient.get("wakes") == {"at": []}  # each account its own
    with pytest.raises(Refused) as refused:
        await office.browser().put("wakes", wanted)
    assert refused.value.status == 401
    answer = await patient.raw("PUT", "wakes", {"at": []}, Origin="https://elsewhere.example")
    assert answer.status_code == 403


@BOTH
async def test_the_account_is_told_when_its_time_has_come_and_times_that_passed_go(
    office: Office, patient: Browser
) -> None:
    told = Told(office)
    with office.clock.standing():
        now = office.clock()
        await patient.put("wakes", {"at": [now + 80, now + 20 * MINUTE]})
    assert patient.account is not None
    assert await told.heard() == [patient.account.id]
    office.clock.forward(minutes=20)
    told.again()
    await patient.put("wakes", {"at": []})  # the clock looks again
    assert await told.heard() == [patient.account.id] * 2
    await until(lambda: stored(office), [(patient.account.id, now + 20 * MINUTE)])


async def test_times_outlive_a_restart_and_one_missed_meanwhile_is_told_to_who_comes_back(
    office: Office, patient: Browser
) -> None:
    assert patient.account is not None
    with office.clock.standing():
        await patient.put("wakes", {"at": [office.clock() + MINUTE, office.clock() + 92_000]})
        await office.page.wakes.stop()
        office.clock.forward(seconds=90)
        await office.restart()
        told = Told(office)
    assert await told.heard() == [patient.account.id]  # what came after the restart
    await office.page.wakes.stop()
    assert await office.page.wakes.just_passed(patient.account.id)
    office.clock.ahead += wakes.LATE
    assert not await office.page.wakes.just_passed(patient.account.id)
    office.clock.ahead += wakes.KEPT
    await office.page.wakes.start()
    await until(lambda: stored(office), [])  # though none was due since
