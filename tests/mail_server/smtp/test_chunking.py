"""BDAT on the wire (RFC 3030)."""

from __future__ import annotations

import pytest


async def test_a_letter_in_chunks_is_put_together(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(b"BDAT 12\r\nSubject: x\r\n")
    await talker.transcript("S: 250 2.0.0 12 octets received")
    await talker.send(b"BDAT 8 LAST\r\n\r\n.\r\n..x")
    await talker.transcript("S: 250 2.0.0 Accepted id1")
    assert world.delivery.bodies == [b"Subject: x\r\n\r\n.\r\n..x"]


async def test_a_whole_letter_and_the_next_come_in_one_write(world):
    talker = await world.operator()
    one = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 7 LAST\r\nhello\r\n"
    await talker.send(one + one + b"QUIT\r\n")
    await talker.transcript(
        """
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 250 2.0.0 Accepted id1
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 250 2.0.0 Accepted id2
        S: 221 2.0.0 *
        S: closed
        """
    )


async def test_an_empty_last_chunk_ends_the_letter(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(b"BDAT 7\r\nhello\r\nBDAT 0 LAST\r\n")
    await talker.transcript("S: 250 2.0.0 7 *\nS: 250 2.0.0 Accepted id1")
    assert world.delivery.bodies == [b"hello\r\n"]


@pytest.mark.parametrize(
    "chunks",
    [
        b"BDAT 5 LAST\r\na\nb\r\n",
        b"BDAT 3\r\na\nbBDAT 0 LAST\r\n",
        b"BDAT 2\r\na\rBDAT 0 LAST\r\n",
        b"BDAT 1 LAST\r\n\0",
    ],
)
async def test_bare_newlines_are_refused_as_in_data(world, chunks: bytes):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(chunks)
    replies = [await talker.reply() for _ in range(chunks.count(b"BDAT"))]
    assert next(reply[:10] for reply in replies if not reply.startswith("250 2.0.0 2 ")) == "550 5.6.11"
    assert world.delivery.begun == 0


async def test_after_a_refused_chunk_the_others_are_swallowed(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(b"BDAT 3\r\na\nbBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    await talker.transcript("S: 550 5.6.11 *\nS: 503 5.5.1 *\nS: 503 5.5.1 *\nS: 250 2.0.0 OK")
    assert world.delivery.begun == 0


async def test_a_chunk_out_of_order_is_swallowed_and_refused(world):
    talker = await world.operator()
    await talker.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    await talker.transcript("S: 503 5.5.1 Need MAIL command\nS: 250 2.0.0 OK")
    await talker.transcript("C: MAIL FROM:<a@example.org>\nS: 250 *")
    await talker.send(b"BDAT 6\r\nQUIT\r\nNOOP\r\n")
    await talker.transcript("S: 503 5.5.1 Need RCPT command\nS: 250 2.0.0 OK")


async def test_data_and_rcpt_do_not_mix_with_chunks(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(b"BDAT 3\r\nabc")
    await talker.transcript(
        """
        S: 250 2.0.0 3 *
        C: DATA
        S: 503 5.5.1 *
        C: RCPT TO:<c@example.org>
        S: 503 5.5.1 *
        C: RSET
        S: 250 2.0.0 OK
        C: NOOP
        S: 250 *
        """
    )
    assert world.door.bytes_in_flight == 0


async def test_a_chunk_whose_size_cannot_be_read_ends_the_session(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.transcript("C: BDAT many LAST\nS: 501 5.5.4 *\nS: closed")


async def test_a_chunk_that_would_be_endless_ends_the_session(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.transcript("C: BDAT 99999999999999999999\nS: 552 5.3.4 *\nS: closed")
    assert world.delivery.audited == ["too-big"]


async def test_chunks_that_together_are_too_big_are_refused(open_door):
    world = await open_door(max_message_bytes=65536)
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(b"BDAT 40000\r\n" + b"x" * 40000)
    await talker.transcript("S: 250 2.0.0 40000 *")
    await talker.send(b"BDAT 40000 LAST\r\n" + b"x" * 40000 + b"NOOP\r\n")
    await talker.transcript("S: 552 5.3.4 *\nS: 250 2.0.0 OK")
    assert world.delivery.begun == 0


async def test_a_connection_lost_between_chunks_delivers_nothing(world):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(b"BDAT 3\r\nabc")
    await talker.transcript("S: 250 2.0.0 3 *")
    assert world.door.bytes_in_flight == 3
    talker.writer.transport.abort()
    await world.until(lambda: world.door.open_connections == 0)
    assert (world.delivery.begun, world.door.bytes_in_flight) == (0, 0)
