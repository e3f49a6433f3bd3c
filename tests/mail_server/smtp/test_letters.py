"""How letters come in on the two roads."""

from __future__ import annotations


async def test_an_operator_hands_a_letter_over(world):
    talker = await world.operator()
    await talker.begin_data()
    await talker.send(b"Subject: x\r\n\r\nhello\r\n..dot\r\n.\r\n")
    await talker.transcript("S: 250 2.0.0 Accepted id1\nC: QUIT\nS: 221 2.0.0 Bye\nS: closed")
    envelope, message = world.delivery.letters[0]
    assert message == b"Subject: x\r\n\r\nhello\r\n.dot\r\n"
    assert envelope.sender.mail_from == "alice@example.org"
    assert [recipient.address for recipient in envelope.recipients] == ["bob@example.org"]


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
    assert identity is not None
    assert identity.address == "alice@example.org"
