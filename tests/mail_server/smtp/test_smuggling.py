"""No letter hides inside another: every look-alike of the end of data, on the wire."""

from __future__ import annotations

import asyncio

import pytest

ENDINGS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\0\r\n.\0\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_look_alike_ends_nothing_and_the_letter_is_refused(world, ending: bytes):
    talker = await world.operator()
    await talker.begin_data()
    inner = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: smuggled\r\n"
    await talker.send(b"Subject: outer\r\n\r\nhello" + ending + inner)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(talker.reader.readline(), 0.02)
    await talker.send(b"\r\n.\r\n")
    await talker.transcript("S: 550 5.6.11 Message refused: bare CR, bare LF or NUL in it (ref *)")
    assert await talker.ask("NOOP") == "250 2.0.0 OK"  # one answer, to one message
    assert world.delivery.begun == 0
    assert world.delivery.audited == ["bare-newline"]
    assert world.door.counters.malformed_messages == 1


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"\0"])
async def test_one_bare_octet_anywhere_refuses_a_letter(world, octet: bytes):
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"Subject: x\r\n\r\nhel" + octet + b"lo\r\n.\r\n")
    assert (await talker.reply()).startswith("550 5.6.11 ")
    await talker.begin_data()
    await talker.transcript("C: clean\nC: .\nS: 250 2.0.0 *")
    assert world.delivery.bodies == [b"clean\r\n"]


async def test_the_true_end_may_come_octet_by_octet(world):
    talker = await world.operator()
    await talker.begin_data()
    for octet in b"a\r\n..\r\n.\r\n":
        await talker.send(bytes([octet]))
        await asyncio.sleep(0.001)
    await talker.transcript("S: 250 2.0.0 *")
    assert world.delivery.bodies == [b"a\r\n.\r\n"]
