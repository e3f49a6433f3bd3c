"""What is sealed beside a letter: to the same recipients, unsigned, in a message of its own."""

from __future__ import annotations

import pytest

from mail_server.sealing.interface import SealingError
from mail_server.sealing.universal import check


async def test_a_summary_comes_back_with_one_key_packet_for_each_recipient(engine, cv25519, rsa3072) -> None:
    sealed = await engine.seal(b"the letter", [cv25519, rsa3072], b"the summary")
    assert sealed.beside is not None
    wanted = {one.encryption_key_id: one.fingerprint for one in (cv25519, rsa3072)}
    check(sealed.beside.body, sealed.beside.key_packets, wanted)
    assert sealed.beside.body != sealed.body
    assert b"summary" not in sealed.beside.body


async def test_without_a_summary_nothing_lies_beside(engine, cv25519) -> None:
    assert (await engine.seal(b"the letter", [cv25519])).beside is None


async def test_when_a_recipient_cannot_be_sealed_to_there_is_no_summary_either(engine, cv25519) -> None:
    with pytest.raises(SealingError):
        await engine.seal(b"the letter", [cv25519, cv25519], b"the summary")


async def test_a_recipient_opens_the_summary_and_finds_it_unsigned(engine, cv25519, reader) -> None:
    sealed = await engine.seal(b"the letter", [cv25519], b"the summary")
    assert sealed.beside is not None
    clear, status = reader.opens(sealed.beside.key_packets[0].packet + sealed.beside.body)
    assert clear == b"the summary"
    assert "GOODSIG" not in status
