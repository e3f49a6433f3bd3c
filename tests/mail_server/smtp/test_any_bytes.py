"""Whatever a peer sends, the session answers or hangs up; nothing is raised, nothing stays."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WORDS = [
    b"EHLO x",
    b"HELO x",
    b"MAIL FROM:<a@example.org>",
    b"MAIL FROM:<> SIZE=9 BODY=8BITMIME SMTPUTF8",
    b"RCPT TO:<b@example.org>",
    b"RCPT TO:<",
    b"DATA",
    b"BDAT 5",
    b"BDAT 4 LAST",
    b"BDAT x",
    b"RSET",
    b"NOOP",
    b"VRFY x",
    b"HELP",
    b"QUIT",
    b"STARTTLS",
    b"AUTH PLAIN",
    b"AUTH PLAIN =",
    b"*",
    b"hello",
    b".",
    b"\xff\xfe",
    b"\0",
    b"x" * 600,
]
line = st.one_of(st.sampled_from(WORDS), st.binary(max_size=40))
ending = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
talk = st.lists(st.tuples(line, ending).map(b"".join), max_size=25)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(lines=talk, operator=st.booleans(), batches=st.integers(1, 4))
async def test_any_bytes_at_all(open_door, lines: list[bytes], operator: bool, batches: int):
    world = await open_door(max_errors=1000)
    talker = await (world.operator() if operator else world.client())
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        for start in range(batches):
            await talker.send(b"".join(lines[start::batches]))
            await asyncio.sleep(0)
        talker.writer.transport.write_eof() if talker.writer.can_write_eof() else None
    await asyncio.sleep(0.002)
    talker.close()
    await world.until(lambda: world.door.open_connections == 0)
    assert world.door.bytes_in_flight == 0
    assert world.door.counters.internal_errors == 0
    await world.door.stop()
