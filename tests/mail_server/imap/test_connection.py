"""The sans-I/O core: literals of both kinds, caps by state, and any bytes cut anywhere."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.imap.protocol import (
    Caps,
    CommandReceived,
    CommandRejected,
    Connection,
    ContinuationWanted,
    LineReceived,
    MessageAnnounced,
    MessageReceived,
    State,
)

SCRIPT = (
    b"a ID (\"name\" \"x\")\r\n"
    b"b LOGIN {3+}\r\nbob {7+}\r\npass{3}\r\n"
    b"c UID FETCH 1:*,7 (FLAGS BODY.PEEK[HEADER.FIELDS (From {2+}\r\nTo)] BODY[1.2.MIME]<0.10>)\r\n"
    b"d SEARCH CHARSET UTF-8 OR NOT SEEN (SUBJECT {4+}\r\n\xc3\xa9t\xc3 1:3) SENTSINCE 1-Jan-2020\r\n"
    b"e APPEND {4+}\r\nSent (\\Seen) {10+}\r\nhello\r\nyou\r\n"
    b"f NONSENSE {3+}\r\nabc\r\n"
    b"g STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (NIL)\r\n"
    b"\r\n"
    b"h LIST (SUBSCRIBED) \"\" (a% \"b*\") RETURN (STATUS (MESSAGES))\r\n"
    b"i LOGIN {9999999+}\r\n"
)  # fmt: skip


def events(pieces, state=State.SELECTED, caps=None):
    connection = Connection(caps)
    connection.state = state
    found = []
    for piece in pieces:
        connection.receive(piece)
        while (event := connection.next_event()) is not None:
            found.append(event)
            if isinstance(event, MessageAnnounced):
                connection.accept_message()
    return found


def test_a_synchronizing_literal_is_asked_for():
    connection = Connection()
    connection.receive(b"a LOGIN {3}\r\n")
    assert connection.next_event() == ContinuationWanted()
    assert connection.next_event() is None
    connection.receive(b"bob secret\r\n")
    event = connection.next_event()
    assert isinstance(event, CommandReceived)
    assert (event.command.arguments.user, event.command.arguments.password) == (b"bob", b"secret")
    assert "secret" not in repr(event)


def test_a_non_synchronizing_literal_is_not():
    (event,) = events([b"a LOGIN {3+}\r\nbob {0+}\r\n\r\n"], State.NOT_AUTHENTICATED)
    assert event.command.arguments.password == b""


def test_literals_are_small_before_login():
    (event,) = events([b"a LOGIN {5000}\r\n"], State.NOT_AUTHENTICATED)
    assert event == CommandRejected(b"a", "[TOOBIG] Literal too large")
    found = events([b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" y\r\nb NOOP\r\n"], State.NOT_AUTHENTICATED)
    assert [type(event) for event in found] == [CommandRejected, CommandReceived]


def test_a_literal_beyond_all_measure_ends_the_connection():
    (event,) = events([b"a LOGIN {999999999+}\r\n"], State.NOT_AUTHENTICATED)
    assert event.fatal
    connection = Connection()
    connection.receive(b"a LOGIN {999999999+}\r\n")
    connection.next_event()
    connection.receive(b"b NOOP\r\n")
    assert connection.next_event() is None


def test_a_refused_command_is_read_past_with_all_its_literals():
    found = events([b"f NONSENSE {3+}\r\na\r\n {4+}\r\nz NO {2}\r\ng NOOP\r\n"])
    assert [getattr(event, "tag", None) or event.command.tag for event in found] == [b"f", b"g"]


def test_lines_of_sixty_four_kilobytes_are_taken_and_longer_ones_refused():
    for state in (State.NOT_AUTHENTICATED, State.SELECTED):
        line = b"a ID (" + b" ".join(b'"k%02d" "%b"' % (n, b"v" * 2000) for n in range(30)) + b")\r\n"
        assert 60_000 < len(line) < 65_536
        (event,) = events([line[n : n + 1000] for n in range(0, len(line), 1000)], state)
        assert isinstance(event, CommandReceived)
    for pieces in (
        [b"a NOOP " + b"x" * 70_000 + b"\r\nb NOOP\r\n"],
        [b"a NOOP ", *[b"x" * 30_000] * 4, b"\r\nb NOOP\r\n"],
    ):
        found = events(pieces)
        assert [type(event) for event in found] == [CommandRejected, CommandReceived]
        assert found[0].tag == b"a"


def test_a_line_without_end_ends_the_connection():
    found = events([b"x" * 60_000] * 20)
    assert found[-1].fatal


def test_a_command_made_of_many_literals_is_capped():
    piece = b"{60000+}\r\n" + b"x" * 60_000 + b" "
    found = events([b"a SEARCH " + b"SUBJECT " + piece + (b"SUBJECT " + piece) * 5 + b"ALL\r\nb NOOP\r\n"])
    assert [type(event) for event in found] == [CommandRejected, CommandReceived]


def test_a_message_waits_for_someone_to_agree():
    connection = Connection()
    connection.state = State.AUTHENTICATED
    connection.receive(b"a APPEND Sent {5}\r\n")
    event = connection.next_event()
    assert isinstance(event, MessageAnnounced)
    assert (event.size, event.synchronizing) == (5, True)
    assert connection.next_event() is None
    connection.refuse_message()
    connection.receive(b"b NOOP\r\n")
    assert isinstance(connection.next_event(), CommandReceived)


def test_a_refused_message_that_comes_anyway_is_read_past():
    connection = Connection()
    connection.state = State.AUTHENTICATED
    connection.receive(b"a APPEND Sent {5+}\r\nb NO\n\r\nc NOOP\r\n")
    assert isinstance(connection.next_event(), MessageAnnounced)
    connection.refuse_message()
    event = connection.next_event()
    assert isinstance(event, CommandReceived)
    assert event.command.tag == b"c"


def test_a_message_over_the_cap_is_refused_with_no():
    (event,) = events([b"a APPEND Sent {101}\r\n"], caps=Caps(message=100))
    assert (event.status, event.text[:8]) == ("NO", "[TOOBIG]")


def test_an_expected_line_is_no_command():
    connection = Connection()
    connection.expect_line()
    connection.receive(b"AGFsaWNl{3}\r\nb NOOP\r\n")
    assert connection.next_event() == LineReceived(b"AGFsaWNl{3}")
    assert isinstance(connection.next_event(), CommandReceived)


def test_what_came_before_tls_is_forgotten():
    connection = Connection()
    connection.receive(b"a STARTTLS\r\nb LOGIN x {3+}\r\nyy")
    assert connection.next_event().command.name == "STARTTLS"
    connection.discard_input()
    connection.receive(b"c NOOP\r\n")
    assert connection.next_event().command.tag == b"c"


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=30))
def test_where_the_bytes_are_cut_changes_nothing(cuts):
    places = sorted({0, len(SCRIPT), *cuts})
    pieces = [SCRIPT[a:b] for a, b in itertools.pairwise(places)]
    for state in (State.NOT_AUTHENTICATED, State.SELECTED):
        assert events(pieces, state) == events([SCRIPT], state)


def test_the_script_is_understood():
    kinds = [type(event).__name__ for event in events([SCRIPT])]
    assert kinds.count("CommandReceived") == 5
    assert kinds.count("MessageReceived") == 1
    message = next(event for event in events([SCRIPT]) if isinstance(event, MessageReceived))
    assert message.message == b"hello\r\nyou"


NAMES = [
    b"LOGIN",
    b"FETCH",
    b"UID FETCH",
    b"SEARCH",
    b"STORE",
    b"LIST",
    b"APPEND",
    b"STATUS",
    b"ID",
    b"RENAME",
]
WORDS = (
    b' ( ) " \\ {3} {3+}\r\n \r\n 1:* $ BODY[ ] <0.5> HEADER.FIELDS OR NOT UID NIL INBOX +FLAGS * % &AO \xff \0'
    b" RETURN CHARSET 1-Jan-2020 MESSAGES BINARY[1.2] MODSEQ 99999999999999999999"
)
TOKENS = st.sampled_from([b" ", *WORDS.split(b" ")])


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from([State.NOT_AUTHENTICATED, State.SELECTED]))
def test_random_bytes_never_raise(data, state):
    events([data, b"\r\n"], state)


@settings(max_examples=400)
@given(st.sampled_from(NAMES), st.lists(TOKENS | st.binary(max_size=5), max_size=25), st.booleans())
def test_almost_commands_never_raise(name, tokens, utf8):
    connection = Connection()
    connection.state = State.SELECTED if name != b"LOGIN" else State.NOT_AUTHENTICATED
    connection.utf8 = utf8
    connection.receive(b"t " + name + b" " + b"".join(tokens) + b"\r\n\r\n")
    for _ in range(200):
        event = connection.next_event()
        if event is None:
            break
        if isinstance(event, MessageAnnounced):
            connection.refuse_message()
