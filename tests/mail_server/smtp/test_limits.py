"""How much the door takes: sizes, memory, time, pace, connections; and how it closes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mail_server.smtp import transaction
from mail_server.smtp.limits import ByteBudget, ConnectionGate, Reservation
from mail_server.smtp.protocol.bdat import Chunk, ChunkedMessage
from mail_server.smtp.protocol.end_of_data import EndOfData
from mail_server.smtp.server import Entrance
from policies.refusal import Refusal


async def test_a_letter_declared_too_big_is_refused_at_mail(world):
    talker = await world.operator()
    await talker.transcript(
        "C: MAIL FROM:<a@example.org> SIZE=26214401\nS: 552 5.3.4 Message too big (ref *)"
    )
    await talker.transcript("C: MAIL FROM:<a@example.org> SIZE=26214400\nS: 250 2.1.0 *")
    assert world.delivery.audited == ["too-big"]


async def test_a_letter_too_big_undeclared_is_drained_and_refused(open_door):
    world = await open_door(max_message_bytes=65536)
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"x" * 100000 + b"\r\n.\r\n")
    await talker.transcript("S: 552 5.3.4 *\nC: NOOP\nS: 250 2.0.0 OK")
    assert world.delivery.begun == 0
    assert world.door.counters.oversize_messages == 1


async def test_a_letter_that_never_ends_is_not_drained_for_ever(open_door):
    world = await open_door(max_message_bytes=65536)
    talker = await world.operator()
    await talker.begin_data()
    pouring = asyncio.create_task(_pour(talker))
    await world.until(lambda: world.door.open_connections == 0)
    pouring.cancel()
    assert world.delivery.audited == ["too-big"]


async def _pour(talker) -> None:
    while not talker.writer.is_closing():
        await talker.send(b"x" * 10000)
        await asyncio.sleep(0)


async def test_memory_is_one_budget_for_all(open_door):
    world = await open_door(memory_in_flight_bytes=100_000)
    first, second = await world.operator(), await world.operator()
    await first.begin_data()
    await first.send(b"x" * 70_000)
    await world.until(lambda: world.door.bytes_in_flight >= 70_000)
    await second.begin_data()
    await second.send(b"y" * 40_000 + b"\r\n.\r\n")
    await second.transcript("S: 452 4.3.1 * (ref *)\nC: MAIL FROM:<a@example.org> SIZE=40000\nS: 452 4.3.1 *")
    await first.send(b"\r\n.\r\n")
    await first.transcript("S: 250 2.0.0 *")
    await world.until(lambda: world.door.bytes_in_flight == 0)
    await second.begin_data()
    await second.send(b"y" * 40_000 + b"\r\n.\r\n")
    await second.transcript("S: 250 2.0.0 *")
    assert world.door.counters.memory_refusals == 2


async def test_a_declared_size_is_reserved_when_data_begins(open_door):
    world = await open_door(memory_in_flight_bytes=100_000)
    first, second = await world.operator(), await world.operator()
    for talker in (first, second):
        await talker.transcript(
            "C: MAIL FROM:<a@example.org> SIZE=60000\nS: 250 *\nC: RCPT TO:<b@example.org>\nS: 250 *"
        )
    assert world.door.bytes_in_flight == 0
    assert (await first.ask("DATA")).startswith("354")
    assert world.door.bytes_in_flight == 60_000
    assert (await second.ask("DATA")).startswith("452 4.3.1 ")
    await first.transcript("C: short after all\nC: .\nS: 250 2.0.0 *")
    assert world.door.bytes_in_flight == 0


async def test_memory_is_held_until_delivery_has_answered(world):
    world.delivery.gate = asyncio.Event()
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"hello\r\n.\r\n")
    await world.until(lambda: world.delivery.begun == 1)
    assert world.door.bytes_in_flight == 7
    world.delivery.gate.set()
    await talker.transcript("S: 250 *")
    assert world.door.bytes_in_flight == 0


async def test_recipients_beyond_the_limit_are_told_to_come_later(world):
    talker = await world.operator()
    await talker.transcript("C: MAIL FROM:<a@example.org>\nS: 250 *")
    for number in range(100):
        assert (await talker.ask(f"RCPT TO:<b{number}@example.org>")).startswith("250 2.1.5 ")
    assert (await talker.ask("RCPT TO:<late@example.org>")).startswith("452 4.5.3 ")
    await talker.transcript("C: DATA\nS: 354 *\nC: hello\nC: .\nS: 250 *")
    assert len(world.delivery.letters[0][0].recipients) == 100


async def test_messages_per_connection_are_limited(open_door):
    world = await open_door(max_messages_per_connection=1)
    talker = await world.operator()
    await talker.begin_data()
    await talker.transcript(
        "C: hello\nC: .\nS: 250 *\nC: MAIL FROM:<a@example.org>\nS: 421 4.7.0 *\nS: closed"
    )


async def test_a_silent_peer_is_told_good_bye(open_door):
    world = await open_door(command_timeout_seconds=1.5, greeting_timeout_seconds=1.5)
    silent = await world.connect(Entrance.OPERATOR)
    await silent.transcript("S: 421 4.4.2 Timeout, closing\nS: closed")
    talker = await world.operator()
    await talker.send(b"NOO")  # half a command is no command
    await talker.transcript("S: 421 4.4.2 *\nS: closed")
    assert world.door.counters.timeouts == 2


async def test_silence_inside_data_ends_the_session(open_door):
    world = await open_door(data_timeout_seconds=1)
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"half a let")
    await talker.transcript("S: 421 4.4.2 Timeout, closing\nS: closed")
    assert world.delivery.begun == 0


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_sender_that_drips_is_cut_off(open_door, chunked: bool):
    world = await open_door(min_rate_after_seconds=0.2, min_bytes_per_second=2000)
    talker = await world.operator()
    if chunked:
        await talker.open_transaction()
        await talker.send(b"BDAT 100000 LAST\r\n")
    else:
        await talker.begin_data()

    async def drip() -> None:
        while True:
            await talker.send(b"x\r\n")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    await talker.transcript("S: 421 4.4.2 Sending too slowly, closing (ref *)")
    dripping.cancel()
    assert world.delivery.audited == ["slow-sender"]
    assert world.delivery.begun == 0


async def test_a_long_delivery_is_no_timeout(open_door):
    world = await open_door(command_timeout_seconds=2, data_timeout_seconds=2, min_rate_after_seconds=2)
    world.delivery.gate = asyncio.Event()
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"hello\r\n.\r\n")
    await asyncio.sleep(2.5)
    world.delivery.gate.set()
    await talker.transcript("S: 250 2.0.0 *")


async def test_a_peer_that_reads_no_answers_is_cut_off(open_door, pki, monkeypatch):
    monkeypatch.setattr("mail_server.smtp.connection.LINGER_SECONDS", 0.2)
    world = await open_door(command_timeout_seconds=0.3)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", world.door.ports[Entrance.SUBMISSIONS]))
    reader, writer = await asyncio.open_connection(sock=narrow, ssl=pki.client(""), server_hostname="x")
    await reader.readline()
    writer.transport.pause_reading()
    writer.write(b"HELP\r\n" * 100_000)
    await world.until(lambda: world.door.counters.timeouts == 1)
    await world.until(lambda: world.door.open_connections == 0)
    writer.transport.abort()


async def test_connections_from_one_peer_and_in_all_are_limited(open_door):
    world = await open_door(max_connections_per_peer=2)
    first = await world.connect(Entrance.OPERATOR)
    await world.connect(Entrance.SUBMISSIONS)
    third = await world.connect(Entrance.OPERATOR, greeted=False)
    await third.transcript("S: 421 4.7.0 Too many connections, try again in a minute\nS: closed")
    with pytest.raises(OSError):  # noqa: PT011 - whichever way the handshake is broken off
        await world.connect(Entrance.SUBMISSIONS)
    assert world.door.counters.connections_refused == 2
    await first.transcript("C: QUIT\nS: 221 *\nS: closed")
    await world.until(lambda: world.door.open_connections == 1)
    await world.connect(Entrance.OPERATOR)


def test_the_gate_counts_an_ipv6_network_as_one_peer():
    gate = ConnectionGate(10, 1)
    ticket = gate.admit("2001:db8::1")
    assert ticket is not None
    assert gate.admit("2001:db8::ffff") is None
    assert gate.admit("2001:db8:0:1::1") is not None
    gate.leave(ticket)
    assert gate.admit("2001:db8::ffff") is not None


def test_the_gate_has_a_total():
    gate = ConnectionGate(2, 2)
    assert [gate.admit(f"192.0.2.{host}") for host in (1, 2, 3)] == ["192.0.2.1", "192.0.2.2", None]


def test_a_reservation_grows_and_is_given_back_once():
    budget = ByteBudget(100)
    one, other = Reservation(budget), Reservation(budget)
    assert one.reach(60)
    assert one.reach(10)
    assert not other.reach(41)
    assert other.reach(40)
    one.release()
    one.release()
    assert budget.used == 40


# --- stopping


async def test_a_stop_sends_idle_sessions_away_and_lets_open_transactions_finish(world):
    idle, busy = await world.operator(), await world.operator()
    await busy.begin_data()
    stopping = asyncio.create_task(world.door.stop())
    await idle.transcript("S: 421 4.3.2 Shutting down, try again later\nS: closed")
    await busy.transcript("C: hello\nC: .\nS: 250 2.0.0 Accepted id1\nS: 421 4.3.2 *\nS: closed")
    await stopping
    with pytest.raises(OSError):  # noqa: PT011
        await world.connect(Entrance.OPERATOR)


async def test_a_stop_does_not_wait_for_ever(open_door):
    world = await open_door(stop_grace_seconds=0.1)
    talker = await world.operator()
    await talker.begin_data()
    async with asyncio.timeout(60):
        await world.door.stop()
    assert world.door.open_connections == 0
    assert world.delivery.begun == 0


async def test_a_stop_lets_a_delivery_finish(world):
    world.delivery.gate = asyncio.Event()
    talker = await world.operator()
    await talker.begin_data()
    await talker.transcript("C: hello\nC: .")
    await world.until(lambda: world.delivery.begun == 1)
    stopping = asyncio.create_task(world.door.stop())
    await asyncio.sleep(0.05)
    world.delivery.gate.set()
    await talker.transcript("S: 250 2.0.0 *\nS: 421 4.3.2 *\nS: closed")
    await stopping


async def test_a_port_in_use_is_an_error_and_leaves_nothing_open(world, open_door):
    with pytest.raises(OSError):  # noqa: PT011
        await open_door(submissions_port=world.door.ports[Entrance.OPERATOR])


async def test_a_peer_whose_senders_are_all_refused_is_sent_away(open_door):
    world = await open_door(max_errors=3)
    world.delivery.refuse_sender = Refusal(550, "5.7.1", "A client certificate is required", "no-certificate")
    talker = await world.operator()
    refused = "C: MAIL FROM:<a@example.org>\nS: 550 5.7.1 *\n"
    await talker.transcript(refused * 3 + "S: 421 4.7.0 Too many errors, closing (ref *)\nS: closed")
    assert world.delivery.audited == ["too-many-errors"]


async def test_a_sender_refused_for_now_may_try_for_long(open_door):
    world = await open_door(max_errors=3)
    world.delivery.refuse_sender = Refusal(452, "4.3.1", "Not enough storage at the moment", "no-space")
    talker = await world.operator()
    await talker.transcript("C: MAIL FROM:<a@example.org>\nS: 452 4.3.1 *\n" * 5 + "C: NOOP\nS: 250 2.0.0 OK")


async def test_nobody_tries_names_for_ever_in_one_connection(world, monkeypatch):
    monkeypatch.setattr(transaction, "_MOST_REFUSED_RECIPIENTS", 3)
    unknown = Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")
    world.delivery.refused_recipients = {"ghost@example.org": unknown}
    talker = await world.operator()
    tried = "C: MAIL FROM:<a@example.org>\nS: 250 *\nC: RCPT TO:<ghost@example.org>\nS: 550 5.1.1 *\n"
    again = tried + "C: RSET\nS: 250 *\n"
    await talker.transcript(again * 2 + tried + "S: 421 4.7.0 *\nS: closed")
    assert world.delivery.audited == ["too-many-refused-recipients"]


@pytest.mark.parametrize("reader", [EndOfData(1 << 20), ChunkedMessage(1 << 20)])
def test_a_letter_that_comes_octet_by_octet_takes_no_more_memory_than_it_weighs(reader):
    if isinstance(reader, ChunkedMessage):
        reader.begin(Chunk(60_000, last=True))
    for _ in range(60_000):
        reader.feed(b"x")
    reader.feed(b"\r\n.\r\n")
    assert sum(map(len, reader.parts)) >= 60_000
    assert len(reader.parts) < 20
