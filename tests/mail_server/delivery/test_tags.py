"""The four letters of a conversation: kept through it, in every account, and never shared by two."""

from __future__ import annotations

import itertools
import re

from mail_server.accounts.interface import Kind
from mail_server.delivery import compose, tags


def letter(sender: str, number: int, answers: int | None = None) -> bytes:
    reference = f"References: <{answers}@essai>\r\n" if answers is not None else ""
    return f"From: <{sender}>\r\nSubject: s\r\nMessage-ID: <{number}@essai>\r\n{reference}\r\nx\r\n".encode()


async def shown(desk, account) -> list[str]:
    return [
        re.search(rb"Subject: \[\.\.\.\] (\w+)", stored)[1].decode()
        for _, stored in await desk.inbox(account)
    ]


def draw(monkeypatch, *wanted: str) -> None:
    """What the next draws give; `zzzz` and on afterwards."""
    rest = (f"zz{a}{b}" for a, b in itertools.product("abcdefgh", repeat=2))
    drawn = itertools.chain(wanted, rest)
    monkeypatch.setattr(tags, "new_tag", lambda: next(drawn))
    monkeypatch.setattr(compose.outer, "new_tag", lambda: next(drawn))


async def test_an_account_that_joins_a_conversation_sees_the_letters_it_has(desk) -> None:
    sender, gp, nurse = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.sealed("nurse"),
    )
    await desk.send(sender, letter(sender.address, 1), gp.address)
    for number in (2, 3):
        await desk.send(sender, letter(sender.address, number, answers=1), gp.address, nurse.address)
    first = (await shown(desk, gp))[0]
    assert await shown(desk, gp) == [first] * 3
    assert await shown(desk, nurse) == [first] * 2


async def test_two_conversations_that_draw_the_same_letters_end_with_different_ones(
    desk, monkeypatch
) -> None:
    sender, gp = await desk.account("robot", Kind.APP), await desk.sealed("gp")
    draw(monkeypatch, "abcd", "abcd")
    await desk.send(sender, letter(sender.address, 1), gp.address)
    await desk.send(sender, letter(sender.address, 2), gp.address)
    first, second = await shown(desk, gp)
    assert first == "abcd"
    assert second != "abcd"


async def test_letters_that_are_another_conversations_in_the_next_account_are_not_used_there(
    desk, monkeypatch
) -> None:
    sender, gp, nurse = (
        await desk.account("robot", Kind.APP),
        await desk.sealed("gp"),
        await desk.sealed("nurse"),
    )
    draw(monkeypatch, "abcd", "abcd")
    await desk.send(sender, letter(sender.address, 1), gp.address)
    await desk.send(sender, letter(sender.address, 2), nurse.address)
    await desk.send(sender, letter(sender.address, 3, answers=1), gp.address, nurse.address)
    assert (await shown(desk, nurse))[0] == "abcd"
    assert (await shown(desk, nurse))[1] != "abcd"
    assert (await shown(desk, gp))[1] == (await shown(desk, nurse))[1]
