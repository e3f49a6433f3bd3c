"""How letters come in on the two roads, and what is said to their senders."""

from __future__ import annotations

import asyncio
import logging

from mail_server.outbound.interface import Notify
from policies.refusal import Refusal


async def test_an_operator_hands_a_letter_over(world):
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"Subject: x\r\n\r\nhello\r\n..dot\r\n.\r\n")
    await talker.transcript("S: 250 2.0.0 Accepted id1\nC: QUIT\nS: 221 2.0.0 Bye\nS: closed")
    envelope, message = world.delivery.letters[0]
    assert message == b"Subject: x\r\n\r\nhello\r\n.dot\r\n"
    assert envelope.sender.mail_from == "alice@example.org"
    assert [recipient.address for recipient in envelope.recipients] == ["bob@example.org"]
    road, _, _, peer, identity = world.delivery.senders[0]
    assert (road.value, peer.protocol, peer.address, peer.tls, identity) == (
        "operator",
        "smtp",
        "127.0.0.1",
        True,
        None,
    )
    assert peer.certificate == world.pki.der("operator")


async def test_what_is_asked_to_be_told_reaches_delivery_on_both_roads(world):
    for talker in (await world.operator(), await world.client()):
        await talker.transcript(
            """
            C: MAIL FROM:<alice@example.org> RET=HDRS ENVID=Lettre+2B1
            S: 250 2.1.0 *
            C: RCPT TO:<bob@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Robert@example.org
            S: 250 2.1.5 *
            C: RCPT TO:<carol@example.org> NOTIFY=NEVER
            S: 250 2.1.5 *
            C: RCPT TO:<dave@example.org>
            S: 250 2.1.5 *
            C: DATA
            S: 354 *
            """
        )
        await talker.send(b"hello\r\n.\r\n")
        await talker.transcript("S: 250 2.0.0 *")
        envelope, _ = world.delivery.letters[-1]
        assert (envelope.parameters.ret, envelope.parameters.envid) == ("HDRS", "Lettre+2B1")
        assert [(one.notify, one.orcpt) for one in envelope.recipients] == [
            (Notify.SUCCESS | Notify.DELAY, "rfc822;Robert@example.org"),
            (Notify.NEVER, ""),
            (Notify.NONE, ""),
        ]


async def test_a_client_submits_a_letter(world):
    talker = await world.client()
    await talker.begin_data()
    await talker.send(b"hello\r\n.\r\n")
    await talker.transcript("S: 250 2.0.0 Accepted id1")
    road, mail_from, _, peer, identity = world.delivery.senders[0]
    assert (road.value, mail_from, peer.protocol, peer.tls) == (
        "client",
        "alice@example.org",
        "submission",
        True,
    )
    assert identity.address == "alice@example.org"


async def test_the_trace_line_stays_apart_and_tells_nothing_of_a_client(world):
    talker = await world.client()
    await talker.begin_data()
    await talker.send(b"hello\r\n.\r\n")
    await talker.transcript("S: 250 2.0.0 *")
    envelope, message = world.delivery.letters[0]
    assert message == b"hello\r\n"
    assert envelope.trace.startswith(b"Received: from client.invalid\r\n\tby mx.example.org with ESMTPSA id ")
    assert b"127.0.0.1" not in envelope.trace
    assert b"client.example" not in envelope.trace


async def test_the_trace_line_names_an_operator(world):
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"hello\r\n.\r\n")
    await talker.transcript("S: 250 2.0.0 *")
    trace = world.delivery.letters[0][0].trace
    assert trace.startswith(
        b"Received: from client.example ([127.0.0.1])\r\n\tby mx.example.org with ESMTPS id "
    )


async def test_a_letter_of_megabytes_arrives_whole(world):
    letter = b"".join(b"line %07d\r\n" % number for number in range(400_000))
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(letter + b".\r\n")
    await talker.transcript("S: 250 2.0.0 *")
    assert world.delivery.bodies == [letter]
    assert world.door.bytes_in_flight == 0


async def test_several_letters_take_one_connection(world):
    talker = await world.operator()
    for number in range(3):
        await talker.begin_data()
        await talker.send(b"letter %d\r\n.\r\n" % number)
        await talker.transcript(f"S: 250 2.0.0 Accepted id{number + 1}")
    assert world.delivery.bodies == [b"letter 0\r\n", b"letter 1\r\n", b"letter 2\r\n"]


async def test_each_recipient_has_its_own_answer_and_the_good_ones_are_served(world):
    unknown = Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")
    full = Refusal(452, "4.2.2", "Mailbox full", "quota")
    world.delivery.refused_recipients = {"ghost@example.org": unknown, "full@example.org": full}
    talker = await world.operator()
    await talker.transcript(
        f"""
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<ghost@example.org>
        S: 550 5.1.1 No such mailbox here (ref {unknown.id})
        C: RCPT TO:<bob@example.org>
        S: 250 2.1.5 Recipient OK
        C: RCPT TO:<full@example.org>
        S: 452 4.2.2 Mailbox full (ref {full.id})
        C: DATA
        S: 354 *
        C: hello
        C: .
        S: 250 2.0.0 Accepted id1
        """
    )
    assert [recipient.address for recipient in world.delivery.letters[0][0].recipients] == ["bob@example.org"]


async def test_when_all_recipients_were_refused_there_is_no_data(world):
    world.delivery.refused_recipients = {
        "ghost@example.org": Refusal(550, "5.1.1", "No such mailbox here", "x")
    }
    talker = await world.operator()
    await talker.transcript(
        """
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 *
        C: RCPT TO:<ghost@example.org>
        S: 550 5.1.1 *
        C: DATA
        S: 554 5.5.1 No valid recipients
        C: RSET
        S: 250 2.0.0 OK
        """
    )


async def test_a_refused_sender_opens_no_transaction(world):
    refusal = Refusal(550, "5.7.1", "No certificate was shown", "no-certificate")
    world.delivery.refuse_sender = refusal
    talker = await world.operator(certificate="")
    assert (
        await talker.ask("MAIL FROM:<a@example.org>")
        == f"550 5.7.1 No certificate was shown (ref {refusal.id})"
    )
    assert await talker.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Need MAIL command"
    assert world.delivery.senders[0][3].certificate is None


async def test_delivery_refuses_a_whole_letter_and_the_session_goes_on(world):
    world.delivery.error = Refusal(550, "5.7.1", "From is not who logged in", "forged-from")
    talker = await world.client()
    await talker.begin_data()
    await talker.transcript("C: hello\nC: .\nS: 550 5.7.1 From is not who logged in (ref *)")
    world.delivery.error = None
    await talker.begin_data()
    await talker.transcript("C: hello\nC: .\nS: 250 2.0.0 *")


async def test_an_unforeseen_error_is_451_with_an_id_and_leaks_nothing(world, caplog):
    caplog.set_level(logging.DEBUG)
    world.delivery.error = RuntimeError("patient MARTIN has hepatitis")
    talker = await world.client()
    await talker.begin_data()
    await talker.send(b"Subject: MARTIN\r\n.\r\n")
    reply = await talker.reply()
    assert reply.startswith("451 4.3.0 Temporary failure, try again later (ref ")
    reference = reply[:-1].rpartition(" ")[2]
    assert f"incident {reference}: RuntimeError at conftest.py:" in caplog.text
    assert "MARTIN" not in caplog.text
    assert await talker.ask("NOOP") == "250 2.0.0 OK"


async def test_an_unforeseen_error_about_one_recipient_is_451_for_that_one(world):
    world.delivery.refused_recipients = {"bob@example.org": KeyError("bob")}
    talker = await world.operator()
    assert (await talker.ask("MAIL FROM:<a@example.org>")).startswith("250")
    assert (await talker.ask("RCPT TO:<bob@example.org>")).startswith("451 4.3.0 ")
    assert (await talker.ask("RCPT TO:<eve@example.org>")).startswith("250 2.1.5 ")


async def test_no_log_line_holds_an_address_or_content_even_at_debug(world, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail.log").setLevel(logging.DEBUG)
    talker = await world.client()
    await talker.begin_data()
    await talker.transcript("C: Subject: secret-subject\nC: .\nS: 250 *\nC: BOGUS secret-argument\nS: 500 *")
    for word in ("secret", "alice", "bob", "AGFsaWNl"):
        assert word not in caplog.text
    assert "accepted id1" in caplog.text


async def test_a_connection_lost_in_the_middle_of_data_delivers_nothing(world):
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"half a letter\r\n")
    talker.writer.transport.abort()
    await world.until(lambda: world.door.open_connections == 0)
    assert world.delivery.begun == 0
    assert world.door.bytes_in_flight == 0


async def test_a_peer_that_hangs_up_after_the_dot_has_still_sent_its_letter(world):
    world.delivery.gate = asyncio.Event()
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"hello\r\n.\r\n")
    await world.until(lambda: world.delivery.begun == 1)
    talker.writer.transport.abort()
    await world.until(lambda: world.door.open_connections == 0)
    world.delivery.gate.set()
    await world.until(lambda: len(world.delivery.letters) == 1)


async def test_parameters_reach_delivery(world):
    talker = await world.operator()
    assert (await talker.ask("MAIL FROM:<hélène@example.org> SIZE=99 BODY=8BITMIME SMTPUTF8")).startswith(
        "250"
    )
    _, mail_from, parameters, *_ = world.delivery.senders[0]
    assert (mail_from, parameters.size, parameters.body, parameters.smtputf8) == (
        "hélène@example.org",
        99,
        "8BITMIME",
        True,
    )


async def test_an_empty_sender_is_a_sender(world):
    talker = await world.operator()
    assert (await talker.ask("MAIL FROM:<>")).startswith("250 2.1.0 ")
    assert world.delivery.senders[0][1] == ""


async def test_what_happened_is_counted_and_told_by_id_alone(world):
    talker = await world.client()
    await talker.begin_data()
    await talker.transcript("C: hello\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\nS: closed")
    await world.until(lambda: world.door.open_connections == 0)
    counters = world.door.counters
    assert (counters.connections, counters.logins, counters.recipients_accepted) == (1, 1, 1)
    assert (counters.messages_accepted, counters.bytes_received) == (1, 7)
    assert [event.name for event in world.events] == ["connected", "authenticated", "accepted", "closed"]
    assert len({event.session for event in world.events}) == 1
