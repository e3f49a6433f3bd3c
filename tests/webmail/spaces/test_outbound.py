"""What a holder asks of letters to other operators, over HTTP as the page asks."""

from __future__ import annotations

import pytest

from mail_server.accounts.interface import Kind, Results, Role
from tests.webmail.office import BOTH, Browser, Office, Refused
from tests.webmail.spaces.test_conversations import page

__all__ = ["page"]  # a fixture: the page with who may do what in a shared account

PATH = "outbound"
pytestmark = BOTH


async def refused(call) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


async def doctor(page: Office) -> Browser:
    return await page.enrolled_professional("gp")


async def test_a_holder_asks_for_sealed_only_and_says_which_results_they_are_told(page: Office) -> None:
    at_gp = await doctor(page)
    assert await at_gp.get(PATH) == {"sealedOnly": False, "results": "readable"}
    assert await at_gp.put(PATH, {"sealedOnly": True}) == {"sealedOnly": True, "results": "readable"}
    assert await at_gp.put(PATH, {"results": "always"}) == {"sealedOnly": True, "results": "always"}
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    assert (gp.sealed_only, gp.results) == (True, Results.ALWAYS)
    assert await page.traced(action="outbound-set") == ["outbound-set done"] * 2


async def test_to_let_letters_leave_readable_again_takes_a_fresh_proof(page: Office) -> None:
    at_gp = await doctor(page)
    await at_gp.put(PATH, {"sealedOnly": True})
    page.clock.forward(hours=1)
    answer = await refused(at_gp.put(PATH, {"sealedOnly": False}))
    assert (answer.status, answer.error) == (403, "step-up-needed")
    assert await at_gp.put(PATH, {"results": "asked"}) == {"sealedOnly": True, "results": "asked"}


async def test_nonsense_is_refused_and_changes_nothing(page: Office) -> None:
    at_gp = await doctor(page)
    for wrong in ({"results": "sometimes"}, {"sealedOnly": "yes"}, {"more": True}):
        assert (await refused(at_gp.put(PATH, wrong))).error == "bad-request"
    assert await at_gp.get(PATH) == {"sealedOnly": False, "results": "readable"}


async def test_of_a_shared_account_only_who_administers_it_decides(page: Office) -> None:
    at_gp = await doctor(page)
    gp = page.accounts.by_address("gp@mss.essai.test")
    assert gp is not None
    ward = await page.accounts.add("ward@mss.essai.test", Kind.ORG)
    path = f"{PATH}?account={ward.id}"
    assert (await refused(at_gp.put(path, {"sealedOnly": True}))).error == "forbidden"
    await page.accounts.grant_set(ward.id, gp.id, Role.MEMBER, "aeilprstwx", None, "node")
    assert (await at_gp.put(path, {"sealedOnly": True}))["sealedOnly"]
    assert not page.by_id(gp.id).sealed_only
