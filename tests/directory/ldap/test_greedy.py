"""Programs that want more than their part: of time, of turns, of memory. Others are answered meanwhile."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from directory.ldap.binding import address_of
from directory.ldap.protocol.filters import And, Equal, Extensible, Or
from directory.ldap.shell import Link
from tests.directory.ldap import asking
from tests.directory.ldap.listed import ADDRESS, PASSWORD, Listed, many

COSTLY = Or(tuple(Extensible("caseIgnoreMatch", "", b"durand x%d" % number) for number in range(250)))


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not so():
            await asyncio.sleep(0.005)


async def test_a_filter_of_hundreds_of_items_ends_in_its_time(opening: Any) -> None:
    async with opening(Listed(many(200)), longest_search=0.3, largest_anonymous_answer=200) as door:
        searcher, looked_at = door.door._services.searcher, list[Any]()
        made = searcher.entry

        def entry(card: Any) -> Any:
            looked_at.append(card)
            time.sleep(0.005)  # a second for all of them, however quick the machine
            return made(card)

        searcher.entry = entry
        caller = await door.call()
        both = asking.parsed("(sn=durand*)")
        _, done = await caller.look(And((both, COSTLY)))
        assert done.code == 3  # timeLimitExceeded
        await until(lambda: not door.door.counters.searching)
        assert len(looked_at) < 100  # the thread too gave up


async def test_a_value_of_nothing_but_marks_holds_up_nobody(opening: Any) -> None:
    marks = ("a" + "\u0301" * 14_000 + "\u0327" * 14_000).encode()
    async with opening(Listed(many(3))) as door:
        caller = await door.call()
        for what in (Equal("cn", marks), Equal("mail", marks), Equal("entryDN", b"uid=" + marks)):
            for base, scope in (("", 0), ("dc=mssante,dc=fr", 2)):
                spent: list[float] = []
                while not spent or (min(spent) >= 1.0 and len(spent) < 5):  # garbage is collected at times
                    began = time.process_time()
                    await caller.look(what, base=base, scope=scope)
                    spent.append(time.process_time() - began)
                assert min(spent) < 1.0  # two seconds and more by Unicode's rule alone


async def test_questions_about_the_server_are_read_in_a_thread(opening: Any) -> None:
    costly = Or(tuple(Extensible("caseIgnoreMatch", "", ("é" * 100).encode()) for _ in range(250)))
    async with opening(Listed(many(3))) as door:
        caller = await door.call()
        threads: list[int] = []
        searcher = door.door._services.searcher
        entirely = searcher.search

        def search(*asked: Any) -> Any:
            threads.append(threading.get_ident())
            return entirely(*asked)

        searcher.search = search
        for what in (costly, And(()), "(objectClass=*)"):
            assert (await caller.look(what, base="", scope=0))[1].code == 0
        here = threading.get_ident()
        assert [each == here for each in threads] == [False, False, True]


async def test_who_has_many_connections_leaves_others_their_turn(opening: Any) -> None:
    listed = Listed(many(3))
    async with opening(listed, searches=4) as door:
        greedy = [await door.call() for _ in range(6)]
        member = await door.call_securely()
        await member.ask(asking.bind(1, ADDRESS, PASSWORD.encode()))
        with listed.held():
            for caller in greedy:
                caller.send(b"".join(asking.search(number, "(sn=durand01)") for number in range(1, 30)))
            await until(lambda: listed.at_once == 2)
            member.send(asking.search(2, "(mail=nobody@x.fr)"))
            await until(lambda: listed.at_once == 3)
            assert listed.asked[-1].address == "nobody@x.fr"
        answer = await member.answer()
        assert answer is not None
        assert answer.code == 0
        assert listed.most_at_once == 3  # two of theirs, and the member's


async def test_nothing_is_looked_for_while_answers_are_not_read(opening: Any) -> None:
    async with opening(Listed(many(500)), largest_anonymous_answer=500, longest_search=30) as door:
        with socket.socket() as reader:  # the kernel holds little for it, and it reads nothing
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(reader, ("127.0.0.1", door.port))
            asked = b"".join(asking.search(number, "(sn=durand*)") for number in range(1, 61))
            await loop.sock_sendall(reader, asked)
            await until(lambda: bool(door.door._sessions))
            (session,) = door.door._sessions
            counters, same, seen = door.door.counters, 0, 0
            while same < 50:
                waits = session.link.congested_since is not None and not counters.searching
                same = same + 1 if waits and counters.entries == seen else 0
                seen = counters.entries
                await asyncio.sleep(0.005)
            assert 0 < seen < 20_000  # of 30,000


async def test_answers_to_who_reads_slowly_are_whole_messages() -> None:
    """Of several answers that wait for the reader, each message goes out in one piece."""
    loop, links = asyncio.get_running_loop(), list[Link]()
    server = await loop.create_server(lambda: Link(links.append), "127.0.0.1", 0)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.setblocking(False)
        await loop.sock_connect(reader, server.sockets[0].getsockname())
        while not links:
            await asyncio.sleep(0)
        one, other = b"a" * 50_000, b"b" * 50_000
        sending = [asyncio.create_task(links[0].send([message] * 120)) for message in (one, other)]
        await until(lambda: links[0].congested_since is not None)
        received = bytearray()
        while len(received) < 12_000_000:
            received += await loop.sock_recv(reader, 1 << 20)
        await asyncio.gather(*sending)
        links[0].abort()
    server.close()
    assert received.count(one) == received.count(other) == 120
    assert received.replace(one, b"").replace(other, b"") == b""


def test_the_name_of_a_login_is_not_read_where_it_is_longer_than_any() -> None:
    assert address_of("uid=zoe@x.fr," + "ou=a+" * 10_000 + "ou=b") is None
    assert address_of("a" * 65_000 + "@x.fr") is None
    assert address_of("uid=zoe@x.fr,ou=people,dc=mssante,dc=fr") == "zoe@x.fr"
