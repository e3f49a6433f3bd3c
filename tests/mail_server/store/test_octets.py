"""Octets per account, asked from memory."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.store.model import AccountId, SpecialUse
from mail_server.store.octets import Octets


async def test_they_follow_filing_copies_reseals_and_removals(desk):
    def used():
        return desk.store.used(desk.account), desk.store.used(desk.other)

    assert used() == (0, 0)
    filed = await desk.file(await desk.verbatim(size=100))
    await desk.file(await desk.split(size=30))
    assert used() == (130, 0)
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1], archive.id))
    assert used() == (130, 0)  # one message, two places
    foreign = await desk.inbox(desk.other)
    await desk.store.write(lambda tx: tx.copy(filed.mailbox, [1, 2], foreign.id))
    assert used() == (130, 130)
    await desk.store.write(lambda tx: tx.move(filed.mailbox, [2], foreign.id))
    assert used() == (100, 160)
    new = await desk.split(size=45)
    await desk.store.write(lambda tx: tx.replace(filed.message, new))
    assert used() == (45, 160)
    await desk.store.write(lambda tx: tx.expunge(archive.id, [2]))
    assert used() == (45, 160)
    await desk.store.write(lambda tx: tx.expunge(filed.mailbox, [3]))
    assert used() == (0, 160)
    await desk.restart()
    assert used() == (0, 160)
    assert desk.store.used(AccountId("unknown")) == 0


async def test_what_was_rolled_back_does_not_count(desk):
    letter, other = await desk.verbatim(size=100), await desk.verbatim(size=7)

    def and_fail(tx):
        tx.file(letter)
        raise RuntimeError

    async def failing():
        with pytest.raises(RuntimeError):
            await desk.store.write(and_fail)

    await asyncio.gather(failing(), desk.file(other), failing())
    assert desk.store.used(desk.account) == 7


def test_the_later_change_stays_whichever_comes_last():
    octets, account = Octets(), AccountId("a")
    octets.adopt({account: (7, 700)})
    octets.adopt({account: (6, 600)})
    assert octets.of(account) == 700
