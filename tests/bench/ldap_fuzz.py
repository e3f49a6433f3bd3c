"""Wrong LDAP, for as long as is asked: mutated, cut and spliced messages against the core, then against an open door.

The core may raise ProtocolError and nothing else, keeps no more than a message and what came with it; the door must
answer a well-behaved client all the while, and end every connection without an error of its own.

`python -m tests.bench.ldap_fuzz --minutes 10` prints what was tried as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import uvloop

from directory.ldap.protocol import Connection, Event, ProtocolError, Refused, ber
from directory.ldap.protocol.controls import Page
from directory.ldap.protocol.filters import Extensible, Filter, Not, Or, Present, Substrings
from directory.ldap.server import LdapDoor
from directory.ldap.settings import LdapSettings
from tests.directory.ldap import asking
from tests.directory.ldap.asking import Caller
from tests.directory.ldap.listed import Free, Listed, Logins

_LONGEST = 70_000
_LEAST = 400  # messages, connections: tried on a busy machine too, however long it takes
_LEAST_ANSWERS = 10
_PIECES = (1, 2, 3, 7, 64, 1_000, 100_000)
_FILTERS = (
    "(&(|(cn=*a*b*)(mail=x*))(!(sn~=y))(ou:dn:2.5.13.2:=z)(modifyTimestamp>=20260101000000Z))",
    "(|(cn=*martin*)(mail=*martin*)(givenName=*martin*)(sn=*martin*))",
    "(&(mail=*)(|(cn=é*)(sn=œ*)))",
    "(st=2A)",
)


@dataclass(slots=True)
class Tried:
    messages: int = 0  # against the core
    octets: int = 0
    refused: int = 0  # answered without a session's help
    ended: int = 0  # with a notice
    understood: int = 0
    slowest_us: float = 0.0  # CPU of one look at what came, in the core
    connections: int = 0  # against the door
    answers: int = 0  # the well-behaved client's
    longest_wait_ms: float = 0.0
    failures: int = 0  # the door's own: none
    resident_mb: float = 0.0


def _nested(depth: int, chance: random.Random) -> Filter:
    made: Filter = Present("cn")
    for _ in range(depth):
        made = Not(made) if chance.random() < 0.5 else Or((made,))
    return made


def _seed(chance: random.Random) -> bytes:
    number = chance.choice((1, 2, 127, 128, 2**31 - 1))
    match chance.randrange(12):
        case 0 | 1 | 2:
            page = Page(chance.randrange(50), chance.randbytes(chance.randrange(20)))
            return asking.search(
                number, chance.choice(_FILTERS), page=page if chance.random() < 0.5 else None
            )
        case 3:
            return asking.search(number, _nested(chance.randrange(60), chance))
        case 4:
            pieces = tuple(chance.randbytes(chance.randrange(5)) for _ in range(chance.randrange(300)))
            return asking.search(number, Substrings("cn", None, pieces, b"x"))
        case 5:
            rule, kind = chance.choice(("2.5.13.2", "")), chance.choice(("cn", ""))
            return asking.search(number, Extensible(rule, kind, b"v", chance.random() < 0.5))
        case 6:
            return asking.bind(number, chance.choice(("", "uid=a,ou=people", "a@b")), chance.randbytes(5))
        case 7:
            return asking.sasl(number, chance.choice(("PLAIN", "ECHO", "é")), chance.randbytes(9))
        case 8:
            oid = chance.choice(("1.3.6.1.1.8", "1.3.6.1.4.1.4203.1.11.3", "1.2", "1.3.6.1.4.1.1466.20037"))
            return asking.extended(number, oid, chance.randbytes(5) if chance.random() < 0.5 else None)
        case 9:
            return asking.compare(number, chance.choice(("dc=fr", "x", '"')), "sn", chance.randbytes(3))
        case 10:
            return asking.abandon(number, chance.randrange(2**31))
        case _:
            return asking.message(number, chance.randrange(256), chance.randbytes(chance.randrange(60)))


def _wrong(chance: random.Random) -> bytes:
    """Something between a message and noise."""
    data = bytearray(_seed(chance))
    if chance.random() < 0.3:
        data += _seed(chance)
    for _ in range(chance.choice((0, 1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(7):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
            case 3 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 40)]
            case 5:  # lengths that lie
                data[at : at + 2] = b"\x84" + chance.randrange(2**32).to_bytes(4, "big")
            case _:
                data[at:at] = _seed(chance)[: chance.randrange(1, 60)]
    if chance.random() < 0.01:
        data = bytearray(ber.value(0x30, bytes(data) + bytes(chance.randrange(_LONGEST))))
    return bytes(data[:_LONGEST])


def _against_the_core(chance: random.Random, tried: Tried) -> None:
    data = _wrong(chance)
    core, at, size = Connection(), 0, chance.choice(_PIECES)
    try:
        while at < len(data):
            core.receive(data[at : at + size])
            at += size
            while (event := _looked(core, tried)) is not None:
                if isinstance(event, Refused):
                    tried.refused += 1
                    continue
                tried.understood += 1
                core.answered(event.message_id)
                core.bind_answered()
                core.secured()
    except ProtocolError as wrong:
        tried.ended += 1
        if asking.answers(wrong.notice)[0].code != 2:
            raise AssertionError("a notice that says something else") from wrong
    tried.messages += 1
    tried.octets += len(data)


def _looked(core: Connection, tried: Tried) -> Event | None:
    began = time.thread_time()
    try:
        return core.next_event()
    finally:
        tried.slowest_us = max(tried.slowest_us, (time.thread_time() - began) * 1e6)


def fuzz_core(seconds: float, tried: Tried, seed: int) -> None:
    chance, until = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < until or tried.messages < _LEAST:
        for _ in range(200):
            _against_the_core(chance, tried)


async def fuzz_door(seconds: float, tried: Tried, seed: int) -> None:
    door = LdapDoor(
        LdapSettings(host="127.0.0.1", port=0, tls_port=None, connections_of_place=500, longest_search=60),
        listings=Listed(),  # type: ignore[arg-type]
        harvest=Free(),
        logins=Logins(),
        tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        certificates=lambda _: (),
        capabilities=lambda _: None,
        place=lambda address: address,
    )
    await door.start()
    until = time.monotonic() + seconds

    def more() -> bool:
        few = tried.connections < _LEAST or tried.answers < _LEAST_ANSWERS
        return few or time.monotonic() < until

    try:
        await asyncio.gather(
            _behaves(door.ports[0], more, tried),
            *(_misbehaves(door.ports[0], more, tried, random.Random(seed + one)) for one in range(8)),
        )
    finally:
        await door.stop()
        tried.failures = door.counters.failures


async def _behaves(port: int, more: Callable[[], bool], tried: Tried) -> None:
    caller = await Caller.to(port)
    while more():
        began = time.monotonic()
        entries, done = await caller.look("(mail=zoe.martin@hopital.mssante.fr)")
        if (len(entries), done.code) != (1, 0):
            raise AssertionError(f"a right question was answered {done.code}")
        tried.answers += 1
        tried.longest_wait_ms = max(tried.longest_wait_ms, (time.monotonic() - began) * 1e3)
        await asyncio.sleep(0.005)


async def _misbehaves(port: int, more: Callable[[], bool], tried: Tried, chance: random.Random) -> None:
    while more():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        tried.connections += 1
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(chance.randrange(1, 20)):
                writer.write(_wrong(chance))
                await writer.drain()
                if chance.random() < 0.3:
                    async with asyncio.timeout(0.02):
                        await reader.read(65_536)
        writer.transport.abort()


def fuzz(seconds: float, seed: int = 1) -> Tried:
    tried = Tried()
    fuzz_core(seconds / 2, tried, seed)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(fuzz_door(seconds / 2, tried, seed))
    tried.resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return tried


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=int(time.time()))
    wanted = options.parse_args()
    tried = fuzz(wanted.minutes * 60, wanted.seed)
    print(json.dumps({"seed": wanted.seed, **asdict(tried)}))
    if tried.failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
