"""The switch of copies for the practice's software, over HTTP as the page asks."""

from __future__ import annotations

import pytest

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Kind, Role
from tests.webmail.office import BOTH, Browser, Office, Refused
from tests.webmail.spaces.test_conversations import page

__all__ = ["page"]  # a fixture: the page with who may do what in a shared account

PATH = "practice-copy"
pytestmark = BOTH


async def refused(call) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


async def doctor(page: Office) -> Browser:
    return await page.enrolled_professional("gp")


async def software(page: Office, local: str = "cabinet") -> str:
    return (await page.accounts.add(f"{local}@mss.essai.test", Kind.APP)).id


async def test_a_holder_switches_copies_on_and_off_for_the_software_an_administrator_named(
    page: Office,
) -> None:
    at_gp = await doctor(page)
    assert await at_gp.get(PATH) == {"software": None, "on": False}
    assert (await refused(at_gp.put(PATH, {"on": True}))).error == "bad-request"
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    await page.accounts.software_set(gp.id, await software(page))  # pyright: ignore[reportArgumentType]
    assert await at_gp.put(PATH, {"on": True}) == {"software": "cabinet@mss.essai.test", "on": True}
    assert page.by_id(gp.id).copy_to_software
    assert await at_gp.put(PATH, {"on": False}) == {"software": "cabinet@mss.essai.test", "on": False}
    assert await page.traced(action="software-copies") == ["software-copies done"] * 2


async def test_without_a_fresh_proof_nothing_is_switched(page: Office) -> None:
    at_gp = await doctor(page)
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    await page.accounts.software_set(gp.id, await software(page))  # pyright: ignore[reportArgumentType]
    page.clock.forward(hours=1)
    answer = await refused(at_gp.put(PATH, {"on": True}))
    assert (answer.status, answer.error) == (403, "step-up-needed")
    assert not page.by_id(gp.id).copy_to_software


async def test_another_software_ends_the_copies(page: Office) -> None:
    at_gp = await doctor(page)
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    await page.accounts.software_set(gp.id, await software(page))  # pyright: ignore[reportArgumentType]
    await at_gp.put(PATH, {"on": True})
    await page.accounts.software_set(gp.id, await software(page, "autre"))  # pyright: ignore[reportArgumentType]
    assert await at_gp.get(PATH) == {"software": "autre@mss.essai.test", "on": False}


async def test_only_software_may_be_named_and_only_professionals_have_any(page: Office) -> None:
    await doctor(page)
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    patient = await page.patient()
    with pytest.raises(AccountError) as not_software:
        await page.accounts.software_set(gp.id, gp.id)
    with pytest.raises(AccountError) as not_professional:
        await page.accounts.software_set(patient.id, await software(page))  # pyright: ignore[reportArgumentType]
    assert (not_software.value.reason, not_professional.value.reason) == ("not-software", "no-software")


async def test_a_patient_has_no_such_switch_and_a_ward_s_is_for_who_may_administer_it(page: Office) -> None:
    at_gp, at_patient = await doctor(page), await page.enrolled()
    assert (await refused(at_patient.get(PATH))).status == 403
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    ward = await page.accounts.add("ward@mss.essai.test", Kind.ORG)
    await page.accounts.software_set(ward.id, await software(page))  # pyright: ignore[reportArgumentType]
    assert (await refused(at_gp.get(f"{PATH}?account={ward.id}"))).status == 403
    await page.accounts.grant_set(ward.id, gp.id, Role.MEMBER, "aeilprstwx", None, "node")
    assert (await at_gp.put(f"{PATH}?account={ward.id}", {"on": True}))["on"]
    assert page.by_id(ward.id).copy_to_software
