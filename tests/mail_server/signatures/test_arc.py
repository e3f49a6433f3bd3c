"""ARC: what we seal, dkimpy and we verify; what is broken, out of order or added is no chain."""

from __future__ import annotations

import dkim
import pytest

from mail_server import mime
from mail_server.signatures import arc, results
from mail_server.signatures.arc import NotSealed
from mail_server.signatures.results import NOTHING, Result, Verified
from tests.mail_server.signatures.desk import AUTHOR, FORWARDER, LETTER, Desk

US = "mx.relais.test"


async def forwarded(desk: Desk, letter: bytes, domain: str = FORWARDER) -> bytes:
    """As an operator sends it on: verified, then sealed."""
    verified = await desk.verify(letter)
    told = results.results(US, verified, None)
    return arc.seal(letter, desk.signer, domain, told, verified, desk.clock() // 1000) + letter


def dkimpys(desk: Desk, letter: bytes) -> bytes:
    return dkim.ARC(letter).verify(dnsfunc=desk.lookup())[0]


async def test_a_sealed_letter_passes_with_dkimpy_and_with_us(desk: Desk) -> None:
    letter = await forwarded(desk, desk.signed())
    verified = await desk.verify(letter)
    assert dkimpys(desk, letter) == b"pass"
    assert (verified.arc, verified.sealed_by, verified.sets) == (Result.PASS, FORWARDER, 1)


async def test_the_authors_signatures_pass_as_before(desk: Desk) -> None:
    verified = await desk.verify(await forwarded(desk, desk.signed()))
    assert [one.result for one in verified.signatures] == [Result.PASS, Result.PASS]


async def test_a_letter_without_signatures_is_sealed_too(desk: Desk) -> None:
    letter = await forwarded(desk, LETTER)
    assert dkimpys(desk, letter) == b"pass"
    assert b"dkim=none" in letter


async def test_the_chain_goes_on_and_tells_who_sealed_last(desk: Desk) -> None:
    letter = await forwarded(desk, await forwarded(desk, desk.signed()), AUTHOR)
    verified = await desk.verify(letter)
    assert dkimpys(desk, letter) == b"pass"
    assert (verified.arc, verified.sealed_by, verified.sets) == (Result.PASS, AUTHOR, 2)


@pytest.mark.parametrize(
    "change",
    [
        (b"compte rendu.", b"compte rendu!"),
        (b"From: Marie", b"From: Paul"),
        (b"dkim=pass", b"dkim=fail"),  # what the forwarder found
        (b"cv=none", b"cv=pass"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
        (b"h=from:", b"h=date:"),
    ],
)
async def test_a_chain_that_was_touched_fails(desk: Desk, change: tuple[bytes, bytes]) -> None:
    letter = await forwarded(desk, desk.signed())
    assert change[0] in letter
    assert (await desk.verify(letter.replace(*change, 1))).arc is Result.FAIL


async def test_a_chain_without_one_of_its_fields_fails(desk: Desk) -> None:
    letter = await forwarded(desk, desk.signed())
    for name in ("arc-seal", "arc-message-signature", "arc-authentication-results"):
        header = mime.header_block(letter)
        less = mime.select(header, [name], exclude=True) + letter[len(header) :]
        assert (await desk.verify(less)).arc is Result.FAIL


async def test_a_chain_whose_fields_stand_twice_fails(desk: Desk) -> None:
    letter = await forwarded(desk, desk.signed())
    for field in mime.fields(letter)[:3]:
        assert (await desk.verify(field.raw + letter)).arc is Result.FAIL


async def test_sets_in_another_order_fail(desk: Desk) -> None:
    letter = await forwarded(desk, await forwarded(desk, desk.signed()), AUTHOR)
    fields = mime.fields(letter)
    sets = b"".join(one.raw for one in fields[:6])
    swapped = b"".join(one.raw for one in (*fields[3:6], *fields[:3])) + letter[len(sets) :]
    assert (await desk.verify(swapped)).arc is Result.FAIL


async def test_a_set_of_another_letter_fails(desk: Desk) -> None:
    other = await forwarded(desk, desk.signed(LETTER.replace(b"un@", b"deux@")))
    stolen = b"".join(one.raw for one in mime.fields(other)[:3])
    assert (await desk.verify(stolen + desk.signed())).arc is Result.FAIL


async def test_a_chain_that_says_it_failed_has_failed(desk: Desk) -> None:
    broken = (await forwarded(desk, desk.signed())).replace(b"Bonjour", b"Bonsoir")
    sealed_all_the_same = Verified(arc=Result.PASS, sealed_by=FORWARDER, sets=1)
    above = arc.seal(broken, desk.signer, AUTHOR, US, sealed_all_the_same, desk.clock() // 1000)
    letter = above.replace(b"cv=pass", b"cv=fail") + broken
    assert (await desk.verify(letter)).arc is Result.FAIL


async def test_a_lying_seal_over_a_changed_letter_vouches_for_the_letter_as_it_is(desk: Desk) -> None:
    # Who seals says "it passed": the chain holds, and that is why the author's own signature is asked for as well.
    changed = (await forwarded(desk, desk.signed())).replace(b"Bonjour", b"Bonsoir")
    lie = Verified(arc=Result.PASS, sealed_by=FORWARDER, sets=1)
    letter = arc.seal(changed, desk.signer, AUTHOR, US, lie, desk.clock() // 1000) + changed
    verified = await desk.verify(letter)
    assert verified.arc is Result.PASS
    assert verified.passed(AUTHOR) is None


async def test_a_forwarder_without_a_key_in_its_zone_fails(desk: Desk) -> None:
    letter = await forwarded(desk, desk.signed())
    desk.dns.text(f"{desk.signer.pair(FORWARDER).rsa_selector}._domainkey.{FORWARDER}")
    assert (await desk.verify(letter)).arc is Result.FAIL


async def test_a_dns_server_that_is_down_is_no_failure(desk: Desk) -> None:
    letter = await forwarded(desk, LETTER)
    desk.dns.failing = True
    desk.verifier._zone._resolver = None  # forgets what it knows
    assert (await desk.verify(letter)).arc is Result.TEMPERROR


async def test_a_broken_chain_is_not_gone_on_with(desk: Desk) -> None:
    letter = (await forwarded(desk, desk.signed())).replace(b"Bonjour", b"Bonsoir")
    with pytest.raises(NotSealed):
        await forwarded(desk, letter, AUTHOR)


async def test_half_a_set_is_not_gone_on_with(desk: Desk) -> None:
    letter = b"ARC-Seal: i=1; cv=none\r\n" + LETTER
    with pytest.raises(NotSealed):
        arc.seal(letter, desk.signer, AUTHOR, US, NOTHING, 1)


async def test_six_hands_are_more_than_a_letter_passes_through(desk: Desk) -> None:
    letter = desk.signed()
    for _ in range(5):
        letter = await forwarded(desk, letter)
    assert (await desk.verify(letter)).sets == 5
    with pytest.raises(NotSealed):
        await forwarded(desk, letter)
    more = b"".join(one.raw for one in mime.fields(letter)[:3]).replace(b"i=5", b"i=6")
    assert (await desk.verify(more + letter)).arc is Result.FAIL
