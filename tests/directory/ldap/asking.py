"""The client's side of LDAP for tests: requests encoded, answers decoded, a caller on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from dataclasses import dataclass, field

from directory.ldap.protocol import ber, filters
from directory.ldap.protocol.controls import Page, asked
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

BASE = "dc=mssante,dc=fr"


def message(number: int, tag: int, contents: bytes, *controls: bytes) -> bytes:
    whole = ber.number(number) + ber.value(tag, contents)
    return ber.sequence((whole, *([ber.sequence(controls, 0xA0)] if controls else [])))


def bind(number: int, name: str = "", password: bytes = b"", *, version: int = 3) -> bytes:
    return message(number, 0x60, ber.number(version) + ber.octets(name.encode()) + ber.octets(password, 0x80))


def sasl(number: int, mechanism: str, credentials: bytes | None = None) -> bytes:
    inner = ber.octets(mechanism.encode()) + (b"" if credentials is None else ber.octets(credentials))
    return message(number, 0x60, ber.number(3) + ber.octets(b"") + ber.value(0xA3, inner))


def search(
    number: int,
    what: str | Filter,
    base: str = BASE,
    *,
    scope: int = 2,
    size: int = 0,
    seconds: int = 0,
    types_only: bool = False,
    attributes: tuple[str, ...] = (),
    page: Page | None = None,
    controls: tuple[bytes, ...] = (),
) -> bytes:
    one = parsed(what) if isinstance(what, str) else what
    contents = (
        ber.octets(base.encode())
        + ber.number(scope, ber.ENUMERATED)
        + ber.number(0, ber.ENUMERATED)
        + ber.number(size)
        + ber.number(seconds)
        + ber.truth(types_only)
        + filters.encoded(one)
        + ber.sequence(ber.octets(each.encode()) for each in attributes)
    )
    return message(number, 0x63, contents, *([asked(page)] if page else []), *controls)


def compare(number: int, name: str, attribute: str, value: bytes) -> bytes:
    assertion = ber.sequence((ber.octets(attribute.encode()), ber.octets(value)))
    return message(number, 0x6E, ber.octets(name.encode()) + assertion)


def abandon(number: int, operation: int) -> bytes:
    return message(number, 0x50, operation.to_bytes((operation.bit_length() >> 3) + 1, "big"))


def unbind(number: int) -> bytes:
    return message(number, 0x42, b"")


def extended(number: int, name: str, value: bytes | None = None) -> bytes:
    contents = ber.octets(name.encode(), 0x80) + (b"" if value is None else ber.octets(value, 0x81))
    return message(number, 0x77, contents)


def control(kind: str, *, critical: bool = False, value: bytes | None = None) -> bytes:
    parts = [ber.octets(kind.encode()), *([ber.truth(True)] if critical else [])]
    return ber.sequence([*parts, *([] if value is None else [ber.octets(value)])])


# ── answers ──


@dataclass
class Answer:
    number: int
    tag: int
    code: int = -1
    matched: str = ""
    words: str = ""
    name: str = ""
    attributes: dict[str, list[bytes]] = field(default_factory=dict)
    credentials: bytes | None = None
    value: bytes | None = None
    cookie: bytes | None = None

    def texts(self, attribute: str) -> list[str]:
        return [value.decode() for value in self.attributes.get(attribute, [])]


def parts(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, start, at = ber.header(data, at, len(data))
        found.append((tag, data[start:at]))
    return found


def answers(data: bytes) -> list[Answer]:
    return [_answer(contents) for tag, contents in parts(data) if tag == ber.SEQUENCE]


def _answer(data: bytes) -> Answer:
    (_, number), (tag, body), *rest = parts(data)
    answer = Answer(int.from_bytes(number, "big"), tag)
    inner = parts(body)
    if tag == 0x64:
        answer.name = inner[0][1].decode()
        for _, attribute in parts(inner[1][1]):
            (_, kind), (_, values) = parts(attribute)
            answer.attributes[kind.decode()] = [value for _, value in parts(values)]
    else:
        answer.code = int.from_bytes(inner[0][1], "big")
        answer.matched, answer.words = inner[1][1].decode(), inner[2][1].decode()
        for kind, value in inner[3:]:
            assert kind != 0xA3, "a referral, which is never given"
            if kind == 0x87:
                answer.credentials = value
            elif kind == 0x8A:
                answer.name = value.decode()
            elif kind == 0x8B:
                answer.value = value
    for kind, controls in rest:
        assert kind == 0xA0
        for _, one in parts(controls):
            _, (_, value) = parts(one)
            answer.cookie = parts(parts(value)[0][1])[1][1]
    return answer


class Caller:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.number = 0

    @classmethod
    async def to(cls, port: int, tls: ssl.SSLContext | None = None) -> Caller:
        name = "localhost" if tls else None
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name))

    def next(self) -> int:
        self.number += 1
        return self.number

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, timeout: float = 60) -> Answer | None:
        """None: the server closed."""
        async with asyncio.timeout(timeout):
            try:
                head = await self.reader.readexactly(2)
                if head[1] >= 0x80:
                    head += await self.reader.readexactly(head[1] & 0x7F)
                length = head[1] if head[1] < 0x80 else int.from_bytes(head[2:], "big")
                return _answer(await self.reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def ask(self, data: bytes) -> Answer:
        self.send(data)
        answer = await self.answer()
        assert answer is not None
        return answer

    async def found(self, data: bytes) -> tuple[list[Answer], Answer]:
        """The entries of a search, and its end."""
        self.send(data)
        entries: list[Answer] = []
        while (answer := await self.answer()) is not None:
            if answer.tag != 0x64:
                return entries, answer
            entries.append(answer)
        raise AssertionError("closed before the end of a search")

    async def look(self, what: str, **more: object) -> tuple[list[Answer], Answer]:
        return await self.found(search(self.next(), what, **more))  # type: ignore[arg-type]

    async def start_tls(self, tls: ssl.SSLContext) -> Answer:
        answer = await self.ask(extended(self.next(), "1.3.6.1.4.1.1466.20037"))
        if answer.code == 0:
            await self.writer.start_tls(tls, server_hostname="localhost")
        return answer

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


# ── filters as people write them (RFC 4515) ──


def parsed(text: str) -> Filter:
    one, at = _filter(text, 0)
    assert at == len(text), text[at:]
    return one


def _filter(text: str, at: int) -> tuple[Filter, int]:
    assert text[at] == "("
    at += 1
    if text[at] in "&|!":
        sign, inner = text[at], []
        at += 1
        while text[at] == "(":
            one, at = _filter(text, at)
            inner.append(one)
        made: Filter = Not(inner[0]) if sign == "!" else (And if sign == "&" else Or)(tuple(inner))
        return made, at + 1
    end = text.index(")", at)
    return _item(text[at:end]), end + 1


def _item(text: str) -> Filter:
    left, value = text.split("=", 1)
    if left.endswith(":"):
        attribute, *more = left[:-1].split(":")
        of_names = "dn" in more
        rule = next((each for each in more if each != "dn"), "")
        return Extensible(rule, attribute, _value(value), of_names)
    for sign, kind in ((">", GreaterOrEqual), ("<", LessOrEqual), ("~", Approx)):
        if left.endswith(sign):
            return kind(left[:-1], _value(value))
    if value == "*":
        return Present(left)
    if "*" in value:
        initial, *anywhere, final = value.split("*")
        return Substrings(
            left,
            _value(initial) if initial else None,
            tuple(_value(each) for each in anywhere if each),
            _value(final) if final else None,
        )
    return Equal(left, _value(value))


def _value(text: str) -> bytes:
    return re.sub(rb"\\([0-9a-fA-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
