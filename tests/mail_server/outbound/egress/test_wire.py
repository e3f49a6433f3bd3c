"""What goes over the wire of a letter that its author sealed: no field that nobody checked gets out with it."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server import mime
from mail_server.outbound.egress.wire import NotALetter, wire_bytes

OUTER = (
    b"Received: from page by node\r\nX-MSS-NIL: 123456789\r\nFrom: a@mss.example\r\nTo: b@other.example\r\n"
    b"Message-ID: <1@mss.example>\r\nSubject: [...] abcd\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b--\r\n"
)


def wire(entity: bytes, outer: bytes = OUTER) -> bytes:
    return wire_bytes(outer, mime.parse(outer), entity)


def names(made: bytes) -> list[str]:
    return [found.name for found in mime.fields(made)]


def test_the_sealed_subject_stands_for_the_one_outside() -> None:
    made = wire(b"Subject: Compte rendu\r\nContent-Type: text/plain\r\n\r\nBonjour\r\n")
    assert mime.first(made, "subject") == b"Compte rendu"
    assert names(made).count("subject") == 1
    assert made.endswith(b"\r\n\r\nBonjour\r\n")


@pytest.mark.parametrize(
    "hidden",
    [
        b"From: Evil <a@mss.example>",
        b"FROM : Evil <A@MSS.example>",
        b"Sender: evil@mss.example",
        b"X-MSS-NIL: 000000000",
        b"X-MSS-INS: 285017512345678",
        b"Received: from evil",
        b"Return-Path: <evil@x>",
        b"Bcc: secret@other.example",
        b"Resent-Bcc: secret@other.example",
        b"Resent-From: evil@mss.example",
        b"DKIM-Signature: v=1; evil",
        b"ARC-Seal: i=1; evil",
        b"Authentication-Results: evil",
        b"Vaguemestre-State: custody",
        b"Message-ID: <evil@x>",
        b"References: <evil@x>",
    ],
)
@pytest.mark.parametrize(
    "how", [b"%b\r\n", b"X-A: a\r%b\r\n", b"X-A: a\n%b\n", b"no field\r\n%b\r\n", b" folded\r\n%b\r\n"]
)
def test_what_the_operator_says_is_not_said_from_inside(hidden: bytes, how: bytes) -> None:
    made = wire(how % hidden + b"Content-Type: text/plain\r\n\r\nBonjour\r\n")
    assert b"evil" not in made.lower()
    assert b"secret" not in made
    assert b"custody" not in made
    assert b"000000000" not in made
    assert b"285017512345678" not in made
    assert mime.first(made, "from") == b"a@mss.example"


def test_an_entity_that_begins_with_white_space_does_not_go_on_with_an_outer_field() -> None:
    made = wire(b" evil\r\n\tevil\r\nContent-Type: text/plain\r\n\r\nBonjour\r\n")
    assert b"evil" not in made


@pytest.mark.parametrize(
    "entity",
    [
        b"From: victim@mss.example\r\nSubject: Bilan\r\n",  # as the page seals a letter
        b"Received: by mss.example\r\nDKIM-Signature: v=1\r\nFrom: V <victim@mss.example>\r\n",  # as we do
        b"From: a@mss.example\r\nFrom: victim@mss.example\r\n",
        b"X-A: a\rFROM : victim@mss.example\r\n",
    ],
)
def test_what_was_sealed_for_somebody_elses_letter_is_not_opened_in_this_one(entity: bytes) -> None:
    """Copied off a disk or a backup, and handed in under an account of the thief's."""
    with pytest.raises(NotALetter):
        wire(entity + b"Content-Type: text/plain\r\n\r\nBonjour\r\n")


def test_an_entity_may_name_the_author_of_its_letter_or_nobody() -> None:
    for said in (b"From: =?utf-8?q?=C3=89lise?= <A@mss.Example>\r\n", b""):
        made = wire(said + b"Content-Type: text/plain\r\n\r\nBonjour\r\n")
        assert mime.first(made, "from") == b"a@mss.example"


def test_marks_of_protection_go() -> None:
    made = wire(
        b'Content-Type: text/plain; hp="cipher"; charset=utf-8; protected-headers="v1"\r\n'
        b"HP-Outer: Subject: [...] abcd\r\n\r\nBonjour\r\n"
    )
    assert mime.first(made, "content-type") == b"text/plain; charset=utf-8"
    assert b"HP-Outer" not in made


@pytest.mark.parametrize(
    "entity",
    [
        b"X-A: " + b"a" * mime.MAX_HEADER + b"\r\nBcc: secret@x\r\n\r\n",
        b"Content-Type: text/plain\r\n\r\n\0\r\n",
    ],
)
def test_what_cannot_go_over_the_wire_is_refused(entity: bytes) -> None:
    with pytest.raises(NotALetter):
        wire(entity)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"From: evil <a@mss.example>",
                b"Bcc: evil@x",
                b"Sender: evil@x",
                b"X-MSS-NIL: evil",
                b"\r",
                b"\n",
                b"\r\n",
                b" ",
                b"\t",
                b":",
                b"X-A: a",
                b"Subject: a",
                b"\xff",
                b"--b",
                b"Content-Type: text/plain",
            ]
        ),
        max_size=12,
    ).map(b"".join)
)
def test_however_it_is_written_another_reader_sees_one_author_and_no_bcc(start: bytes) -> None:
    made = wire(start + b"\r\n\r\nBonjour\r\n")
    assert made.count(b"\r\n") == made.count(b"\r") == made.count(b"\n")
    read = email.message_from_bytes(made, policy=email.policy.compat32)
    assert read.get_all("From") == ["a@mss.example"]
    assert read.get_all("Bcc") is None
    assert read.get_all("Sender") is None
    assert read.get_all("X-MSS-NIL") == ["123456789"]
