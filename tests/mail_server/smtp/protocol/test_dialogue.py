"""Which command may come when; small pure pieces of the core."""

from __future__ import annotations

import pytest

from mail_server.smtp.protocol import replies, sasl, trace
from mail_server.smtp.protocol.commands import Dialogue
from mail_server.smtp.protocol.replies import CommandRefused, Reply

ALL = (
    "AUTH",
    "BDAT",
    "DATA",
    "EHLO",
    "EXPN",
    "HELO",
    "HELP",
    "MAIL",
    "NOOP",
    "QUIT",
    "RCPT",
    "RSET",
    "STARTTLS",
    "VRFY",
)


def refused(dialogue: Dialogue) -> dict[str, str]:
    found = {verb: dialogue.objection(verb) for verb in ALL}
    return {verb: f"{reply.code} {reply.enhanced}" for verb, reply in found.items() if reply}


def test_before_tls_only_four_commands_are_obeyed():
    dialogue = Dialogue(client_road=True, hello="EHLO")
    assert set(ALL) - set(refused(dialogue)) == {"EHLO", "NOOP", "QUIT", "STARTTLS"}
    assert refused(dialogue)["AUTH"] == "538 5.7.11"
    assert refused(dialogue)["MAIL"] == "530 5.7.0"


def test_an_operator_has_no_auth_and_needs_none():
    dialogue = Dialogue(client_road=False, tls=True, hello="EHLO")
    assert dialogue.objection("AUTH") == replies.NOT_IMPLEMENTED
    assert dialogue.objection("MAIL") is None


def test_a_client_authenticates_first_and_once():
    dialogue = Dialogue(client_road=True, tls=True, hello="EHLO")
    assert dialogue.objection("MAIL") == replies.AUTHENTICATE_FIRST
    assert dialogue.objection("AUTH") is None
    dialogue.authenticated = True
    assert dialogue.objection("MAIL") is None
    assert dialogue.objection("AUTH") == replies.ALREADY_AUTHENTICATED


def test_after_helo_there_is_no_auth():
    assert Dialogue(client_road=True, tls=True, hello="HELO").objection("AUTH") == replies.HELLO_FIRST


def test_tls_makes_the_client_a_stranger_again():
    dialogue = Dialogue(client_road=False, hello="EHLO")
    dialogue.secured()
    assert dialogue.objection("MAIL") == replies.HELLO_FIRST
    assert dialogue.objection("STARTTLS") == replies.TLS_ACTIVE


def test_a_transaction_goes_in_its_order():
    dialogue = Dialogue(client_road=False, tls=True, hello="EHLO")
    assert dialogue.objection("RCPT") == replies.MAIL_FIRST
    dialogue.mail = True
    assert dialogue.objection("MAIL") == replies.NESTED_MAIL
    assert dialogue.objection("DATA") == replies.RECIPIENT_FIRST
    dialogue.refused_recipients = 1
    assert dialogue.objection("DATA") == replies.NO_VALID_RECIPIENT
    dialogue.recipients = 1
    assert dialogue.objection("DATA") is None
    dialogue.chunks = True
    assert dialogue.objection("DATA") == replies.CHUNKS_BEGUN
    assert dialogue.objection("RCPT") == replies.CHUNKS_BEGUN
    assert dialogue.objection("BDAT") is None


def test_every_reply_but_the_greeting_and_3yz_has_an_enhanced_code_of_its_class():
    constants = [value for value in vars(replies).values() if isinstance(value, Reply)]
    assert len(constants) > 40
    for reply in constants:
        assert reply.wire.endswith(b"\r\n")
        assert reply.enhanced[:1] == ("" if reply.code == 354 else str(reply.code)[0])


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("plain", ("PLAIN", None)),
        ("PLAIN =", ("PLAIN", b"")),
        ("SCRAM-SHA-256 YWI=", ("SCRAM-SHA-256", b"ab")),
    ],
)
def test_auth_names_a_mechanism_and_may_begin_it(argument: str, expected: tuple[str, bytes | None]):
    assert sasl.auth(argument) == expected


@pytest.mark.parametrize(
    "argument", ["", "PLAIN a b", "PL@IN", "X" * 21, "PLAIN !!", "PLAIN YQ", "PLAIN YWI=x", "PLAIN é"]
)
def test_auth_arguments_are_strict(argument: str):
    with pytest.raises(CommandRefused) as refusal:
        sasl.auth(argument)
    assert refusal.value.reply.code == 501


def test_the_trace_line_of_an_operator_names_its_host():
    line = trace.received(
        client="mail.chu.example",
        network="192.0.2.1",
        by="mx.example.org",
        protocol="ESMTPS",
        identifier="a1.1",
        at=0,
    )
    assert line == (
        b"Received: from mail.chu.example ([192.0.2.1])\r\n\tby mx.example.org with ESMTPS id a1.1;\r\n"
        b"\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
    )


def test_the_trace_line_repeats_no_name_that_is_not_one():
    line = trace.received(
        client="(evil)\t<x>", network="2001:db8::1", by="mx", protocol="ESMTPS", identifier="a", at=0
    )
    assert line.startswith(b"Received: from [IPv6:2001:db8::1]\r\n")


def test_the_trace_line_of_a_client_tells_nothing_of_it():
    line = trace.received(client="pc-of-alice", network="", by="mx", protocol="ESMTPSA", identifier="a", at=0)
    assert line.startswith(b"Received: from client.invalid\r\n")


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ((True, True, True, False), "ESMTPSA"),
        ((True, True, False, False), "ESMTPS"),
        ((False, True, False, False), "SMTP"),
        ((True, True, True, True), "UTF8SMTPSA"),
    ],
)
def test_the_protocol_is_named_as_registered(how: tuple[bool, bool, bool, bool], name: str):
    extended, tls, authenticated, smtputf8 = how
    found = trace.protocol_name(extended=extended, tls=tls, authenticated=authenticated, smtputf8=smtputf8)
    assert found == name
