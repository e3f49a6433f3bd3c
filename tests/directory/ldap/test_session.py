"""A connection as a transcript: who may ask what, by which way, and how it ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from directory.ldap.protocol import ber
from directory.ldap.protocol.controls import Page
from tests.directory.ldap import asking
from tests.directory.ldap.asking import BASE, Caller
from tests.directory.ldap.listed import ADDRESS, PASSWORD, Listed, many, person

START_TLS, WHO, CANCEL = "1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.1.8"
ZOE = f"uid={ADDRESS},ou=people,{BASE}"


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not so():
            await asyncio.sleep(0.005)


async def who(caller: Caller) -> str:
    answer = await caller.ask(asking.extended(caller.next(), WHO))
    return (answer.value or b"").decode()


# ── who ──


async def test_nobody_may_ask_a_little(door: Any) -> None:
    caller = await door.call()
    assert (await caller.ask(asking.bind(caller.next()))).code == 0
    assert await who(caller) == ""
    entries, done = await caller.look("(sn=martin)")
    assert (len(entries), done.code) == (2, 0)
    assert door.harvest.shown_to == [
        ("net:127.0.0.1", ["zoe.martin@hopital.mssante.fr", "marie.martin@cabinet.mssante.fr"], False)
    ]


@pytest.mark.parametrize(("what", "scope"), [("(sn=nobody)", 0), ("(objectClass=*)", 1)])
async def test_who_asks_whether_a_name_is_somebodys_is_counted(door: Any, what: str, scope: int) -> None:
    """Whatever the filter says of them: that somebody has the name is told."""
    caller = await door.call()
    entries, done = await caller.look(what, base=ZOE, scope=scope)
    assert (entries, done.code) == ([], 0)
    assert door.harvest.shown_to == [("net:127.0.0.1", ["zoe.martin@hopital.mssante.fr"], False)]


async def test_where_nobody_may_ask_they_are_told_to_log_in(opening: Any) -> None:
    async with opening(anonymous=False) as door:
        caller = await door.call_securely()
        _, done = await caller.look("(sn=martin)")
        assert done.code == 50
        assert (await caller.look("(objectClass=*)", base="", scope=0))[1].code == 0
        assert (await caller.ask(asking.bind(caller.next(), ADDRESS, PASSWORD.encode()))).code == 0
        assert (await caller.look("(sn=martin)"))[1].code == 0
        await caller.close()


@pytest.mark.parametrize("name", [ADDRESS, ZOE, f"mail={ADDRESS},{BASE}", f" {ADDRESS}"])
async def test_a_person_logs_in_over_tls_by_address_or_name(door: Any, name: str) -> None:
    caller = await door.call()
    refused = await caller.ask(asking.bind(caller.next(), name, PASSWORD.encode()))
    assert refused.code == 13
    assert door.logins.tried == []
    assert (await caller.start_tls(door.tls)).code == 0
    assert (await caller.ask(asking.bind(caller.next(), name, PASSWORD.encode()))).code == 0
    assert await who(caller) == f"u:{ADDRESS}"
    await caller.look("(givenName=jean)")
    assert door.harvest.shown_to[-1][0] == "account:account-1"
    assert door.harvest.shown_to[-1][2] is True
    await caller.close()


async def test_a_wrong_password_leaves_nobody_logged_in(door: Any) -> None:
    caller = await door.call_securely()
    assert (await caller.ask(asking.bind(caller.next(), ADDRESS, PASSWORD.encode()))).code == 0
    assert (await caller.ask(asking.bind(caller.next(), ADDRESS, b"wrong"))).code == 49
    assert await who(caller) == ""
    await caller.close()


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        (ADDRESS, b"", 53),
        ("", b"secret", 49),
        ("cn=root", b"secret", 49),
        ("no name", b"secret", 49),
        (ADDRESS, b"\xff\xfe", 49),
    ],
)
async def test_what_is_no_login_is_none(door: Any, name: str, password: bytes, code: int) -> None:
    caller = await door.call_securely()
    assert (await caller.ask(asking.bind(caller.next(), name, password))).code == code
    assert door.logins.tried == []
    await caller.close()


async def test_who_guesses_is_shown_the_door(door: Any) -> None:
    caller = await door.call_securely()
    for _ in range(5):
        assert (await caller.ask(asking.bind(caller.next(), ADDRESS, b"guess"))).code == 49
    notice = await caller.answer()
    assert notice is not None
    assert (notice.number, notice.name, notice.code) == (0, "1.3.6.1.4.1.1466.20036", 52)
    assert await caller.answer() is None


async def test_a_login_that_cannot_be_looked_at_now_is_busy(door: Any) -> None:
    door.logins.temporary = True
    caller = await door.call_securely()
    assert (await caller.ask(asking.bind(caller.next(), ADDRESS, PASSWORD.encode()))).code == 51
    await caller.close()


async def test_another_version_is_told_which_is_spoken(door: Any) -> None:
    caller = await door.call()
    assert (await caller.ask(asking.bind(caller.next(), version=2))).code == 2
    assert (await caller.ask(asking.bind(caller.next(), version=3))).code == 0


async def test_sasl_in_one_step(door: Any) -> None:
    caller = await door.call_securely()
    plain = b"\0" + ADDRESS.encode() + b"\0" + PASSWORD.encode()
    assert (await caller.ask(asking.sasl(caller.next(), "PLAIN", plain))).code == 0
    assert await who(caller) == f"u:{ADDRESS}"
    assert (await caller.ask(asking.sasl(caller.next(), "PLAIN", b"\0x\0y"))).code == 49
    assert await who(caller) == ""
    await caller.close()


async def test_sasl_in_several_steps(door: Any) -> None:
    caller = await door.call_securely()
    first = await caller.ask(asking.sasl(caller.next(), "echo"))
    assert (first.code, first.credentials) == (14, b"")
    second = await caller.ask(asking.sasl(caller.next(), "ECHO", b"say 0"))
    assert (second.code, second.credentials) == (14, b"say 1")
    assert (await caller.ask(asking.sasl(caller.next(), "ECHO", b"say 1"))).code == 14
    assert (await caller.ask(asking.sasl(caller.next(), "ECHO", b"say 2"))).code == 0
    assert await who(caller) == f"u:{ADDRESS}"
    await caller.close()


async def test_sasl_left_for_another_way_begins_anew(door: Any) -> None:
    caller = await door.call_securely()
    assert (await caller.ask(asking.sasl(caller.next(), "ECHO", b"a"))).code == 14
    assert (await caller.ask(asking.bind(caller.next()))).code == 0
    assert (await caller.ask(asking.sasl(caller.next(), "ECHO", b"b"))).credentials == b"say 1"
    assert (await caller.ask(asking.sasl(caller.next(), "GSSAPI"))).code == 7
    await caller.close()


async def test_no_mechanism_is_offered_in_clear(door: Any) -> None:
    caller = await door.call()
    assert (await caller.ask(asking.sasl(caller.next(), "PLAIN", b"\0a\0b"))).code == 13
    entries, _ = await caller.look("(objectClass=*)", base="", scope=0, attributes=("+",))
    assert "supportedSASLMechanisms" not in entries[0].attributes
    assert START_TLS in entries[0].texts("supportedExtension")


async def test_withdrawn_credentials_end_the_connection(door: Any) -> None:
    caller = await door.call_securely()
    await caller.ask(asking.bind(caller.next(), ADDRESS, PASSWORD.encode()))
    door.logins.stands = False
    notice = await caller.ask(asking.search(caller.next(), "(sn=martin)"))
    assert (notice.number, notice.code) == (0, 8)
    assert await caller.answer() is None


# ── by which way ──


async def test_starttls_is_done_once(door: Any) -> None:
    caller = await door.call()
    assert (await caller.start_tls(door.tls)).code == 0
    entries, _ = await caller.look("(objectClass=*)", base="", scope=0, attributes=("+",))
    assert entries[0].texts("supportedSASLMechanisms") == ["PLAIN", "ECHO"]
    assert START_TLS not in entries[0].texts("supportedExtension")
    assert (await caller.ask(asking.extended(caller.next(), START_TLS))).code == 1
    assert (await caller.look("(sn=martin)"))[1].code == 0
    await caller.close()


async def test_what_is_slipped_in_behind_starttls_ends_the_connection(door: Any) -> None:
    caller = await door.call()
    caller.send(asking.extended(1, START_TLS) + asking.search(2, "(sn=martin)"))
    notice = await caller.answer()
    assert notice is not None
    assert (notice.number, notice.code) == (0, 2)
    assert await caller.answer() is None
    assert door.listed.asked == []


async def test_starttls_waits_for_no_running_search(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        with door.listed.held():
            caller.send(asking.search(1, "(sn=martin)"))
            await until(lambda: door.listed.at_once == 1)
            assert (await caller.ask(asking.extended(2, START_TLS))).code == 1


async def test_a_handshake_that_fails_ends_the_connection(door: Any) -> None:
    caller = await door.call()
    stranger = ssl.create_default_context()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await caller.start_tls(stranger)
    await until(lambda: door.door.counters.handshakes_failed == 1)


async def test_a_new_certificate_serves_from_the_next_handshake_on(door: Any) -> None:
    before = await door.call_securely()
    door.door.reload_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # without any certificate
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await door.call_securely()
    assert (await before.look("(sn=martin)"))[1].code == 0
    await before.close()


# ── what ──


@pytest.mark.parametrize(("tag", "answered"), [(0x66, 0x67), (0x68, 0x69), (0x4A, 0x6B), (0x6C, 0x6D)])
async def test_nothing_is_changed_here(door: Any, tag: int, answered: int) -> None:
    caller = await door.call()
    answer = await caller.ask(asking.message(1, tag, ber.octets(ZOE.encode())))
    assert (answer.tag, answer.code, answer.words) == (answered, 53, "This directory is read only")


async def test_comparisons_are_answered(door: Any) -> None:
    caller = await door.call()
    for name, attribute, value, code in (
        (ZOE, "sn", b"MARTIN", 6),
        (ZOE, "sn", b"dupont", 5),
        (ZOE, "description", b"x", 16),
        (ZOE, "favouriteColour", b"blue", 17),
        (f"uid=nobody@x.fr,ou=people,{BASE}", "sn", b"x", 32),
        ("no name", "sn", b"x", 34),
    ):
        assert (await caller.ask(asking.compare(caller.next(), name, attribute, value))).code == code


async def test_an_unknown_extended_operation_is_a_protocol_error(door: Any) -> None:
    caller = await door.call()
    answer = await caller.ask(asking.extended(caller.next(), "1.2.3.4"))
    assert (answer.tag, answer.code) == (0x78, 2)


async def test_an_unknown_control_is_passed_over_unless_it_must_not_be(door: Any) -> None:
    caller = await door.call()
    entries, done = await caller.found(
        asking.search(1, "(sn=martin)", controls=(asking.control("1.2.3.4", value=b"x"),))
    )
    assert (len(entries), done.code) == (2, 0)
    entries, done = await caller.found(
        asking.search(2, "(sn=martin)", controls=(asking.control("1.2.3.4", critical=True),))
    )
    assert (entries, done.code) == ([], 12)


async def test_pipelined_requests_are_all_answered(door: Any) -> None:
    caller = await door.call()
    caller.send(
        b"".join(asking.search(number, "(sn=martin)", attributes=("1.1",)) for number in range(1, 31))
    )
    ended = set()
    while len(ended) < 30:
        answer = await caller.answer()
        assert answer is not None
        if answer.tag == 0x65:
            assert answer.code == 0
            ended.add(answer.number)


async def test_too_many_requests_at_once_are_busy(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        with door.listed.held():
            caller.send(b"".join(asking.search(number, "(sn=martin)") for number in range(1, 70)))
            answer = await caller.answer()
            assert answer is not None
            assert (answer.number, answer.code) == (65, 51)
            await until(lambda: door.door.counters.busy == 5)


async def test_a_number_that_is_taken_ends_the_connection(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        with door.listed.held():
            caller.send(asking.search(1, "(sn=martin)") + asking.search(1, "(sn=dupont)"))
            notice = await caller.answer()
            assert notice is not None
            assert (notice.number, notice.code) == (0, 2)


async def test_what_was_abandoned_is_not_answered(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        with door.listed.held():
            caller.send(asking.search(1, "(sn=martin)"))
            await until(lambda: door.listed.at_once == 1)
            caller.send(asking.abandon(2, 1) + asking.abandon(3, 77))
            assert (await caller.ask(asking.extended(4, WHO))).number == 4
        await until(lambda: not door.door.counters.searching)
        with pytest.raises(TimeoutError):
            await caller.answer(timeout=0.1)
        assert door.door.counters.abandoned == 1
        assert door.harvest.shown_to == []


async def test_what_was_cancelled_is_told_so(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        with door.listed.held():
            cancel = asking.extended(2, CANCEL, ber.sequence([ber.number(1)]))
            caller.send(asking.search(1, "(sn=martin)") + cancel)
            cancelled, answer = await caller.answer(), await caller.answer()
        assert cancelled is not None
        assert answer is not None
        assert (cancelled.number, cancelled.tag, cancelled.code) == (1, 0x65, 118)
        assert (answer.number, answer.code) == (2, 0)
        assert (await caller.ask(asking.extended(3, CANCEL, ber.sequence([ber.number(1)])))).code == 119
        assert (await caller.ask(asking.extended(4, CANCEL, b"?"))).code == 2


async def test_a_bind_gives_up_what_ran_before_it(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        with door.listed.held():
            caller.send(asking.search(1, "(sn=martin)") + asking.bind(2) + asking.search(3, "(sn=dupont)"))
            answer = await caller.answer()
        assert answer is not None
        assert (answer.number, answer.tag) == (2, 0x61)
        answer = await caller.answer()
        assert answer is not None
        assert answer.number == 3


async def test_an_unbind_ends_the_connection_without_a_word(door: Any) -> None:
    caller = await door.call()
    caller.send(asking.unbind(1))
    assert await caller.answer() is None


@pytest.mark.parametrize(
    "wrong", [b"GET / HTTP/1.1\r\n\r\n", b"\x30\x84\x7f\xff\xff\xff", b"\x30\x03\x02\x01\x00\x16"]
)
async def test_what_is_no_ldap_is_told_so_and_cut_off(door: Any, wrong: bytes) -> None:
    caller = await door.call()
    notice = await caller.ask(wrong)
    assert (notice.number, notice.name, notice.code) == (0, "1.3.6.1.4.1.1466.20036", 2)
    assert await caller.answer() is None
    assert door.door.counters.protocol_errors == 1


# ── how much ──


async def test_pages_show_everybody_once(opening: Any) -> None:
    async with opening(Listed(many(250)), largest_anonymous_answer=1000) as door:
        caller, seen, cookie = await door.call(), [], b""
        for _ in range(20):
            entries, done = await caller.look("(o=hopital*)", page=Page(30, cookie), attributes=("mail",))
            assert done.code == 0
            seen += [entry.name for entry in entries]
            cookie = done.cookie
            if not cookie:
                break
        assert len(seen) == len(set(seen)) == 250


async def test_pages_end_where_the_limit_does(opening: Any) -> None:
    async with opening(Listed(many(250)), largest_anonymous_answer=50) as door:
        caller = await door.call()
        entries, done = await caller.look("(o=hopital*)", page=Page(40, b""))
        assert (len(entries), done.code) == (40, 0)
        entries, done = await caller.look("(o=hopital*)", page=Page(40, done.cookie))
        assert (len(entries), done.code, done.cookie) == (10, 4, b"")


async def test_pages_go_on_where_few_of_many_are_meant(opening: Any) -> None:
    async with opening(
        Listed([*many(6_000), person(9_000, "Zoé", "Martin")]), largest_anonymous_answer=1000
    ) as door:
        caller, seen, cookie, pages = await door.call(), [], b"", 0
        while cookie or not pages:
            entries, done = await caller.look("(&(o=hopital*)(!(sn=durand*)))", page=Page(5, cookie))
            assert done.code == 0
            seen, cookie, pages = [*seen, *entries], done.cookie, pages + 1
        assert [entry.texts("sn") for entry in seen] == [["Martin"]]
        assert 2 <= pages <= 5


async def test_a_cookie_serves_once_and_its_own_search(opening: Any) -> None:
    async with opening(Listed(many(50))) as door:
        caller = await door.call()
        _, done = await caller.look("(o=hopital*)", page=Page(5, b""))
        other = await door.call()
        assert (await other.look("(o=hopital*)", page=Page(5, done.cookie)))[1].code == 53
        assert (await caller.look("(o=h*)", page=Page(5, done.cookie)))[1].code == 53
        assert (await caller.look("(o=hopital*)", page=Page(5, done.cookie)))[1].code == 53
        _, done = await caller.look("(o=hopital*)", page=Page(5, b""))
        assert (await caller.look("(o=hopital*)", page=Page(0, done.cookie)))[1].cookie == b""
        assert (await caller.look("(o=hopital*)", page=Page(5, b"made up")))[1].code == 53


async def test_a_search_that_takes_too_long_is_ended(opening: Any) -> None:
    async with opening(Listed(takes=1.2), longest_search=0.2) as door:
        caller = await door.call()
        assert (await caller.look("(sn=martin)"))[1].code == 3


async def test_a_harvest_is_refused_and_slowed(door: Any) -> None:
    caller = await door.call()
    door.harvest.delay = 0.2
    began = asyncio.get_running_loop().time()
    assert (await caller.look("(sn=martin)"))[1].code == 0
    assert asyncio.get_running_loop().time() - began >= 0.2
    door.harvest.refused = True
    entries, done = await caller.look("(sn=martin)")
    assert (entries, done.code) == ([], 11)
    assert "30 seconds" in done.words
    assert (await caller.look("(objectClass=*)", base="", scope=0))[1].code == 0


async def test_one_place_has_so_many_connections(opening: Any) -> None:
    async with opening(connections_of_place=2) as door:
        first, second = await door.call(), await door.call()
        assert (await first.ask(asking.bind(1))).code == 0
        assert (await second.ask(asking.bind(1))).code == 0
        third = await door.call()
        third.send(asking.bind(1))
        assert await third.answer() is None
        first.send(asking.unbind(2))
        assert await first.answer() is None
        fourth = await door.call()
        assert (await fourth.ask(asking.bind(1))).code == 0


async def test_who_says_nothing_is_sent_away(opening: Any) -> None:
    async with opening(idle_seconds=0.1) as door:
        caller = await door.call()
        notice = await caller.answer()
        assert notice is not None
        assert (notice.number, notice.code) == (0, 52)


async def test_who_reads_nothing_is_cut_off_and_costs_little(opening: Any) -> None:
    async with opening(Listed(many(200)), stall_timeout=0.2, largest_anonymous_answer=200) as door:
        caller = await door.call()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(1, 400):
            caller.send(asking.search(number, "(o=hopital*)"))
        await until(lambda: not door.door.counters.open)
        assert door.door.counters.stalled == 1


async def test_all_are_told_when_the_server_goes(opening: Any) -> None:
    async with opening() as door:
        caller = await door.call()
        await caller.ask(asking.bind(1))
        await door.door.stop()
        notice = await caller.answer()
        assert notice is not None
        assert (notice.number, notice.code) == (0, 52)
        assert await caller.answer() is None


async def test_an_error_of_ours_is_answered_and_tells_nothing(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> object:
        raise RuntimeError("zoe.martin@hopital.mssante.fr")

    monkeypatch.setattr(door.listed, "search", broken)
    caller = await door.call()
    entries, done = await caller.look("(sn=martin)")
    assert (entries, done.code) == ([], 80)
    assert "zoe" not in done.words
    assert door.door.counters.failures == 1
