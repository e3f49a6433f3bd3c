"""The core, sans I/O: bytes in, events out; whatever comes, nothing is raised but ProtocolError."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from directory.ldap.protocol import (
    LARGEST_MESSAGE,
    Connection,
    ProtocolError,
    Refused,
    Requested,
    State,
    ber,
    filters,
)
from directory.ldap.protocol.controls import Page
from directory.ldap.protocol.filters import (
    And,
    Approx,
    Equal,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
)
from directory.ldap.protocol.messages import (
    Abandon,
    Bind,
    Change,
    Compare,
    Extended,
    Sasl,
    Scope,
    Search,
    Simple,
    Unbind,
)
from tests.directory.ldap import asking


def events(data: bytes, core: Connection | None = None) -> Iterator[Requested | Refused]:
    core = core or Connection()
    core.receive(data)
    while (event := core.next_event()) is not None:
        yield event


def one(data: bytes) -> Requested:
    (event,) = events(data)
    assert isinstance(event, Requested)
    return event


def refused(data: bytes) -> asking.Answer:
    (event,) = events(data)
    assert isinstance(event, Refused)
    (answer,) = asking.answers(event.answer)
    assert answer.code == event.code
    return answer


def fatal(data: bytes) -> asking.Answer:
    core = Connection()
    with pytest.raises(ProtocolError) as raised:
        list(events(data, core))
    assert core.state is State.CLOSED
    (notice,) = asking.answers(raised.value.notice)
    assert (notice.number, notice.name, notice.code) == (0, "1.3.6.1.4.1.1466.20036", 2)
    return notice


# ── each request ──


def test_requests_are_read() -> None:
    assert one(asking.bind(1, "x", b"y")).request == Bind("x", Simple(b"y"))
    assert one(asking.sasl(2, "plain", b"z")).request == Bind("", Sasl("PLAIN", b"z"))
    assert one(asking.sasl(2, "EXTERNAL")).request == Bind("", Sasl("EXTERNAL", None))
    assert one(asking.unbind(3)).request == Unbind()
    assert one(asking.abandon(4, 300)).request == Abandon(300)
    assert one(asking.compare(5, "dc=fr", "sn", b"x")).request == Compare("dc=fr", "sn", b"x")
    assert one(asking.extended(6, "1.2", b"v")).request == Extended("1.2", b"v")
    assert one(asking.message(7, 0x4A, b"dc=fr")).request == Change()
    asked = one(
        asking.search(8, "(sn=x)", "dc=fr", scope=1, size=3, seconds=4, types_only=True, attributes=("cn",))
    )
    assert asked.request == Search("dc=fr", Scope.ONE, 3, 4, True, Equal("sn", b"x"), ("cn",))


def test_no_password_is_in_a_repr() -> None:
    assert "hunter2" not in repr(one(asking.bind(1, "x", b"hunter2")))
    assert "hunter2" not in repr(one(asking.sasl(1, "PLAIN", b"hunter2")))


def test_long_lengths_are_read_as_windows_writes_them() -> None:
    plain = asking.search(1, "(sn=x)")
    start, _ = ber.expect(plain, 0, len(plain), ber.SEQUENCE)
    contents = plain[start:]
    assert one(b"\x30\x84" + len(contents).to_bytes(4, "big") + contents).request == one(plain).request


def test_trailing_parts_from_later_versions_are_passed_over() -> None:
    whole = ber.number(1) + ber.value(0x77, ber.octets(b"1.2", 0x80)) + ber.octets(b"later", 0x8F)
    assert one(ber.sequence([whole])).request == Extended("1.2", None)


def test_bytes_come_cut_anywhere() -> None:
    data = asking.search(1, "(&(sn=martin)(l=lyon))") + asking.abandon(2, 1) + asking.unbind(3)
    core, found = Connection(), []
    for octet in data:
        found += list(events(bytes([octet]), core))
    assert [type(each.request) for each in found] == [Search, Abandon, Unbind]


# ── the table of states ──


def test_nothing_is_read_while_a_bind_runs() -> None:
    core = Connection()
    (bind,) = events(asking.bind(1) + asking.search(2, "(sn=x)"), core)
    assert core.state is State.BINDING
    assert list(events(b"", core)) == []
    assert core.answered(bind.message_id)
    core.bind_answered()
    (search,) = events(b"", core)
    assert search.message_id == 2


def test_nothing_may_follow_starttls() -> None:
    core = Connection()
    list(events(asking.extended(1, "1.3.6.1.4.1.1466.20037"), core))
    assert core.state is State.SECURING
    with pytest.raises(ProtocolError):
        core.receive(b"\x30")
    fatal(asking.extended(1, "1.3.6.1.4.1.1466.20037") + b"\x16")


def test_nothing_is_read_after_an_unbind() -> None:
    core = Connection()
    assert len(list(events(asking.unbind(1) + asking.search(2, "(sn=x)"), core))) == 1
    assert core.state is State.CLOSED
    assert list(events(asking.search(3, "(sn=x)"), core)) == []


def test_a_request_is_answered_once() -> None:
    core = Connection()
    list(events(asking.search(1, "(sn=x)") + asking.search(2, "(sn=y)"), core))
    assert core.outstanding == 2
    assert core.answered(1)
    assert not core.answered(1)
    assert core.abandoned(2)
    assert not core.answered(2)
    assert not core.abandoned(9)


def test_a_number_in_use_ends_the_session() -> None:
    fatal(asking.search(1, "(sn=x)") + asking.search(1, "(sn=y)"))


def test_so_many_requests_are_outstanding_and_no_more() -> None:
    asked = b"".join(asking.search(number, "(sn=x)") for number in range(1, 66))
    found = list(events(asked))
    assert [isinstance(each, Requested) for each in found] == [True] * 64 + [False]


def test_so_many_octets_are_outstanding_and_no_more() -> None:
    """Fifty connections of one place held two hundred megabytes of questions."""
    core = Connection()
    long = "(sn=" + "x" * 60_000 + ")"
    found = list(events(b"".join(asking.search(number, long) for number in range(1, 11)), core))
    assert [isinstance(each, Requested) for each in found] == [True] * 4 + [False] * 6
    assert core.answered(1)
    assert core.abandoned(2)
    assert not core.answered(2)
    again = b"".join(asking.search(number, long) for number in range(11, 14))
    assert [isinstance(each, Requested) for each in events(again, core)] == [True, True, False]


# ── refused, and fatal ──


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (asking.bind(1, version=2), 2),
        (asking.bind(1, version=127), 2),
        (asking.message(1, 0x60, ber.number(3) + ber.octets(b"") + ber.octets(b"", 0x8F)), 7),
        (asking.search(1, "(sn=x)", scope=3), 2),
        (asking.search(1, "(sn=x)", size=-1), 2),
        (asking.search(1, "(sn=x)", size=2**31), 2),
        (asking.search(1, "(sn=x)", seconds=-5), 2),
        (asking.search(1, "(sn=x)", attributes=("cn",) * 257), 11),
        (asking.search(1, And(tuple(Present("cn") for _ in range(256)))), 11),
        (asking.search(1, "(sn=x)", controls=(asking.control("1.2", critical=True),)), 12),
        (asking.search(1, "(sn=x)", page=Page(-1, b"")), 2),
        (asking.search(1, "(sn=x)", page=Page(1, b"x" * 65)), 2),
        (asking.search(1, "(sn=x)", controls=(asking.control("1.2.840.113556.1.4.319"),)), 2),
        (asking.search(1, "(sn=x)", page=Page(1, b""), controls=(asking.control("1.2.840.113556.1.4.319"),)), 2),
    ],
)  # fmt: skip
def test_what_is_understood_and_cannot_be_done_is_answered(data: bytes, code: int) -> None:
    answer = refused(data)
    assert (answer.number, answer.code) == (1, code)


def nested(depth: int) -> Filter:
    made: Filter = Present("cn")
    for _ in range(depth - 1):
        made = Not(made)
    return made


def test_filters_are_read_to_a_depth_and_no_deeper() -> None:
    assert one(asking.search(1, nested(32))).request.filter == nested(32)  # type: ignore[union-attr]
    assert refused(asking.search(1, nested(33))).code == 11
    deep = b"\x87\x02cn"
    for _ in range(12_000):
        deep = ber.value(0xA2, deep)
    head, tail = (
        ber.octets(b"") + b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00",
        ber.sequence([]),
    )
    data = asking.message(1, 0x63, head + deep + tail)
    assert len(data) < LARGEST_MESSAGE
    assert refused(data).code == 11


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"\x30\x80",  # indefinite
        b"\x30\x85\x00\x00\x00\x00\x05",
        b"\x30\x83\x01\x00\x01",  # one more than is taken
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x00",
        b"\x30\x03\x02\x01\x01",
        asking.message(0, 0x42, b""),
        asking.message(-1, 0x42, b""),
        asking.message(2**31, 0x42, b""),
        asking.message(1, 0x41, b""),
        asking.message(1, 0x61, b""),  # an answer
        asking.message(1, 0x7F, b""),
        asking.message(1, 0x63, b"\x04\x05ab"),
        asking.message(1, 0x60, b"\x04\x01\x03"),
        asking.message(1, 0x63, b"\x24\x04\x04\x02ab"),  # a string made of strings
        asking.unbind(1)[:-2] + b"\x42\x01",
        b"\x30\x0a" + ber.number(1) + b"\x42\x00" + b"\xa0\x03\x30\x05\x04",
    ],
)
def test_what_cannot_be_decoded_ends_the_session_with_a_notice(data: bytes) -> None:
    fatal(data)


def test_a_message_too_long_is_refused_when_its_length_is_read() -> None:
    core = Connection()
    core.receive(b"\x30\x84\x00\x01\x00\x01")
    with pytest.raises(ProtocolError):
        core.next_event()
    assert core.buffered == 0


def test_the_longest_message_is_taken() -> None:
    room = LARGEST_MESSAGE - 30
    data = asking.extended(1, "1.2", b"x" * room)
    assert len(data) <= LARGEST_MESSAGE + 4
    assert one(data).request == Extended("1.2", b"x" * room)


@pytest.mark.parametrize("choice", [0x8A, 0xAA, 0x9E])
def test_a_filter_from_a_later_version_is_undefined(choice: int) -> None:
    head = ber.octets(b"") + b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00"
    asked = one(asking.message(1, 0x63, head + ber.value(choice, b"") + ber.sequence([])))
    assert asked.request.filter == filters.Unrecognised(choice & 0x1F)  # type: ignore[union-attr]


# ── there and back ──

names = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.binary(max_size=20)
items = st.one_of(
    st.builds(Equal, names, values),
    st.builds(GreaterOrEqual, names, values),
    st.builds(LessOrEqual, names, values),
    st.builds(Approx, names, values),
    st.builds(Present, names),
    st.builds(Extensible, names, names, values, st.booleans()),
    st.builds(Substrings, names, st.none() | values, st.tuples(values) | st.just(()), values),
)
any_filter = st.recursive(
    items,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=4).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=4).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=12,
)


@given(any_filter)
def test_filters_go_there_and_back(filter_: Filter) -> None:
    encoded = filters.encoded(filter_)
    assert filters.decoded(encoded, 0, len(encoded)) == (filter_, len(encoded))


@given(
    st.integers(1, 2**31 - 1),
    any_filter,
    names,
    st.integers(0, 2),
    st.integers(0, 2**31 - 1),
    st.lists(names, max_size=5).map(tuple),
)
@settings(max_examples=60)
def test_searches_go_there_and_back(
    number: int, filter_: Filter, base: str, scope: int, size: int, attributes: tuple[str, ...]
) -> None:
    asked = one(asking.search(number, filter_, base, scope=scope, size=size, attributes=attributes))
    assert asked.message_id == number
    assert asked.request == Search(base, Scope(scope), size, 0, False, filter_, attributes)


@given(st.integers(-(2**31), 2**31 - 1))
@example(127)
@example(128)
@example(-128)
@example(-129)
def test_integers_go_there_and_back(number: int) -> None:
    encoded = ber.number(number)
    start, stop = ber.expect(encoded, 0, len(encoded), ber.INTEGER)
    assert ber.integer(encoded, start, stop) == number


# ── whatever comes ──


def survive(data: bytes, cuts: random.Random) -> None:
    """Feed it in pieces, as a session would."""
    core, at = Connection(), 0
    try:
        while at < len(data):
            size = cuts.randrange(1, 64)
            core.receive(data[at : at + size])
            at += size
            while (event := core.next_event()) is not None:
                if isinstance(event, Requested):
                    core.answered(event.message_id)
                core.bind_answered()
                core.secured()
    except ProtocolError as wrong:
        assert asking.answers(wrong.notice)[0].code == 2  # noqa: PT017


@given(st.binary(max_size=200), st.randoms(use_true_random=False))
def test_any_bytes_are_survived(data: bytes, cuts: random.Random) -> None:
    survive(data, cuts)
    survive(ber.sequence([data]), cuts)
    survive(asking.message(1, 0x63, data), cuts)


SEEDS = (
    asking.search(1, "(&(|(cn=*a*b*)(mail=x*))(!(sn~=y))(ou:dn:2.5.13.2:=z)(st>=1))", page=Page(5, b"c")),
    asking.bind(2, "x", b"y"),
    asking.sasl(3, "PLAIN", b"z"),
    asking.extended(4, "1.3.6.1.1.8", b"\x30\x03\x02\x01\x01"),
    asking.compare(5, "dc=fr", "sn", b"x"),
    asking.abandon(6, 5),
)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 4)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 4))
            case _:
                data[at] ^= 1 << chance.randrange(8)
        if not data:
            break
    return bytes(data)


def test_mutated_messages_are_survived() -> None:
    chance = random.Random(7)
    for _ in range(4_000):
        survive(mutated(chance.choice(SEEDS), chance), chance)
