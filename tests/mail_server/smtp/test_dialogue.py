"""The dialogue: greeting, EHLO, order, bad lines, pipelining."""

from __future__ import annotations

import asyncio

import pytest

from mail_server.smtp.server import Entrance
from policies.refusal import Refusal


async def test_ehlo_before_tls_offers_starttls_and_no_auth(world):
    for entrance in (Entrance.OPERATOR, Entrance.SUBMISSION):
        talker = await world.connect(entrance)
        assert await talker.hello() == [
            "PIPELINING",
            "SIZE 26214400",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
            "CHUNKING",
            "STARTTLS",
        ]


async def test_ehlo_under_tls_offers_auth_on_the_client_road_alone(world):
    operator = await world.operator()
    assert not [word for word in await operator.hello() if word.startswith(("AUTH", "STARTTLS"))]
    talker = await world.connect(Entrance.SUBMISSIONS)
    assert (await talker.hello())[-1] == "AUTH PLAIN SCRAM-SHA-256"
    talker = await world.connect(Entrance.SUBMISSIONS, certificate="operator")
    assert (await talker.hello())[-1] == "AUTH PLAIN SCRAM-SHA-256 EXTERNAL"


async def test_helo_is_answered_in_one_line(world):
    talker = await world.operator()
    assert await talker.ask("HELO client.example") == "250 mx.example.org"


async def test_before_starttls_little_is_obeyed(world):
    talker = await world.connect(Entrance.OPERATOR)
    await talker.hello()
    await talker.transcript(
        """
        C: MAIL FROM:<a@example.org>
        S: 530 5.7.0 Must issue a STARTTLS command first (ref *)
        C: HELO x
        S: 530 5.7.0 *
        C: VRFY x
        S: 530 5.7.0 *
        C: RSET
        S: 530 5.7.0 *
        C: NOOP
        S: 250 2.0.0 OK
        C: AUTH PLAIN =
        S: 502 5.5.1 *
        C: QUIT
        S: 221 2.0.0 Bye
        S: closed
        """
    )


async def test_out_of_order_commands_are_503(world):
    talker = await world.operator()
    await talker.transcript(
        """
        C: RCPT TO:<b@example.org>
        S: 503 5.5.1 Need MAIL command
        C: DATA
        S: 503 5.5.1 Need MAIL command
        C: MAIL FROM:<a@example.org>
        S: 250 2.1.0 *
        C: MAIL FROM:<a@example.org>
        S: 503 5.5.1 *
        C: DATA
        S: 503 5.5.1 Need RCPT command
        C: STARTTLS
        S: 503 5.5.1 TLS is already active
        """
    )


async def test_mail_before_ehlo_is_503(world):
    talker = await world.connect(Entrance.SUBMISSIONS)
    assert await talker.ask("MAIL FROM:<a@example.org>") == "503 5.5.1 Send EHLO first"


async def test_rset_and_ehlo_end_a_transaction(world):
    talker = await world.operator()
    for command in ("RSET", "EHLO again.example", "HELO again.example"):
        await talker.open_transaction()
        assert (await talker.ask(command)).startswith("250")
        assert await talker.ask("DATA") == "503 5.5.1 Need MAIL command"


async def test_the_small_commands(world):
    talker = await world.operator()
    await talker.transcript(
        """
        C: NOOP with an argument
        S: 250 2.0.0 OK
        C: VRFY bob
        S: 252 2.5.2 *
        C: VRFY
        S: 501 5.5.2 *
        C: EXPN list
        S: 502 5.5.1 *
        C: HELP
        S: 214 2.0.0 *
        C: noop
        S: 250 2.0.0 OK
        """
    )


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("FOO", "500 5.5.1 *"),
        ("", "500 5.5.1 *"),
        ("EHLO", "501 5.5.2 *"),
        ("EHLO two words", "501 5.5.2 *"),
        ("RSET now", "501 5.5.4 *"),
        ("QUIT now", "501 5.5.4 *"),
        ("MAIL", "501 5.5.2 *"),
        ("MAIL FROM:<a>", "553 5.1.7 *"),
        ("MAIL FROM:<a@[127.0.0.1]>", "553 5.1.7 Address literals*"),
        ("MAIL FROM:<é@example.org>", "553 5.6.7 *"),
        ("MAIL FROM:<a@example.org> MT-PRIORITY=3", "555 5.5.4 *"),
        ("MAIL FROM:<a@example.org> SIZE=x", "501 5.5.4 *"),
        ("MAIL FROM:<a@example.org> AUTH=<>", "555 5.5.4 *"),
        ("NOOP " + "x" * 510, "500 5.5.2 *"),
        ("MAIL FROM:<a@example.org> " + "x" * 1700, "500 5.5.2 *"),
        ("x" * 20000, "500 5.5.2 *"),
    ],
)
async def test_a_bad_command_is_refused_and_the_session_goes_on(world, command: str, reply: str):
    talker = await world.operator()
    await talker.transcript(f"C: {command}\nS: {reply}\nC: NOOP\nS: 250 2.0.0 OK")


async def test_bad_recipients_are_refused_one_by_one(world):
    talker = await world.operator()
    await talker.transcript(
        """
        C: MAIL FROM:<a@example.org>
        S: 250 2.1.0 *
        C: RCPT TO:<b>
        S: 553 5.1.3 *
        C: RCPT TO:<b@example.org> NOTIFY=NEVER,DELAY
        S: 501 5.5.4 *
        C: RCPT TO:<b@example.org> MT-PRIORITY=3
        S: 555 5.5.4 *
        C: RCPT TO:<é@example.org>
        S: 553 5.6.7 *
        C: DATA now
        S: 503 5.5.1 *
        C: RCPT TO:<b@example.org>
        S: 250 2.1.5 *
        C: DATA now
        S: 501 5.5.4 *
        """
    )


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b"\n"])
async def test_a_command_line_ends_with_crlf_alone(world, line: bytes):
    talker = await world.operator()
    await talker.send(line)
    assert (await talker.reply()).startswith("500 5.5.2 ")
    assert await talker.ask("NOOP") == "250 2.0.0 OK"


async def test_octets_that_are_no_utf8_are_refused(world):
    talker = await world.operator()
    await talker.send(b"MAIL FROM:<\xff@example.org>\r\n")
    assert (await talker.reply()).startswith("501 5.5.2 ")


async def test_too_many_errors_end_the_session(open_door):
    world = await open_door(max_errors=3)
    talker = await world.operator()
    await talker.transcript(
        "C: FOO\nS: 500 *\nC: FOO\nS: 500 *\nC: FOO\nS: 500 *\nS: 421 4.7.0 Too many errors, closing (ref *)\nS: closed"
    )
    assert world.delivery.audited == ["too-many-errors"]
    (_, _, _, detail) = world.delivery.audit[0]
    assert [key for key, _ in detail] == ["reference"]


async def test_who_talks_before_the_greeting_is_sent_away(open_door):
    world = await open_door(greeting_pause_seconds=2)
    talker = await world.connect(Entrance.OPERATOR, greeted=False)
    await talker.transcript("C: EHLO spam.example\nS: 554 5.5.0 * (ref *)\nS: closed")
    assert world.delivery.audited == ["out-of-turn"]


async def test_commands_in_one_write_are_answered_in_one_read(world):
    talker = await world.operator()
    await talker.send(
        b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n"
    )
    await talker.transcript("S: 250 2.1.0 *\nS: 250 2.1.5 *\nS: 250 2.1.5 *\nS: 354 *")
    await talker.send(b"hello\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
    await talker.transcript("S: 250 2.0.0 Accepted id1\nS: 250 2.1.0 *\nS: 250 2.1.5 *\nS: 354 *")
    await talker.send(b"again\r\n.\r\nQUIT\r\n")
    await talker.transcript("S: 250 2.0.0 Accepted id2\nS: 221 2.0.0 *\nS: closed")
    assert world.delivery.bodies == [b"hello\r\n", b"again\r\n"]


async def test_replies_to_a_batch_leave_in_one_segment(world):
    talker = await world.operator()
    await talker.send(b"NOOP\r\n" * 3 + b"RSET\r\n")
    async with asyncio.timeout(60):
        assert await talker.reader.read(4096) == b"250 2.0.0 OK\r\n" * 4


async def test_a_batch_whose_recipient_is_refused_gets_no_354(world):
    world.delivery.refused_recipients = {"b@example.org": Refusal(550, "5.1.1", "No such mailbox here", "x")}
    talker = await world.operator()
    await talker.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
    await talker.transcript("S: 250 2.1.0 *\nS: 550 5.1.1 *\nS: 554 5.5.1 *\nC: NOOP\nS: 250 *")


@pytest.mark.parametrize("command", [b"DATA\r\nhello\r\n.\r\n", b"EHLO x\r\nNOOP\r\n", b"HELO x\r\nNOOP\r\n"])
async def test_what_must_wait_for_an_answer_and_does_not_ends_the_session(world, command: bytes):
    talker = await world.operator()
    await talker.open_transaction()
    await talker.send(command)
    await talker.transcript(
        "S: 554 5.5.0 SMTP protocol synchronization: talking out of turn (ref *)\nS: closed"
    )
    assert world.delivery.begun == 0
    assert world.delivery.audited == ["out-of-turn"]


async def test_a_flood_of_commands_does_not_hold_the_loop(world):
    talker = await world.operator()
    other = await world.operator()
    talker.writer.write(b"NOOP\r\n" * 20000)
    reading = asyncio.create_task(talker.reader.readexactly(len(b"250 2.0.0 OK\r\n") * 20000))
    for _ in range(5):
        assert await other.ask("NOOP") == "250 2.0.0 OK"
    await asyncio.wait_for(reading, 120)


async def test_a_peer_that_half_closes_in_clear_still_gets_its_answers(world):
    talker = await world.connect(Entrance.OPERATOR)
    talker.writer.write(b"NOOP\r\nNOOP\r\n")
    talker.writer.write_eof()
    await talker.transcript("S: 250 2.0.0 OK\nS: 250 2.0.0 OK\nS: closed")
