"""The console's socket: one request, how far it is, one answer."""

from __future__ import annotations

import asyncio
import gc
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from deploy.node.control import CommandFailed, ControlServer, Handler, Report, ask

Steps = list[tuple[str, int, int]]


async def counting(command: str, arguments: Mapping[str, Any], report: Report) -> str:
    for done in range(1, arguments["to"] + 1):
        report("counting", done, arguments["to"])
        await asyncio.sleep(0)
    if command == "fail":
        raise CommandFailed("It cannot be counted.")
    return "counted"


async def test_long_work_tells_how_far_it_is_before_its_answer(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "s", lambda uid: counting)
    await server.start()
    heard: Steps = []

    def hear(stage: str, done: int, total: int) -> None:
        heard.append((stage, done, total))

    try:
        answer = await ask(tmp_path / "s", "count", {"to": 3}, hear)
        assert answer == "counted"
        assert heard == [("counting", 1, 3), ("counting", 2, 3), ("counting", 3, 3)]
        assert await ask(tmp_path / "s", "count", {"to": 3}) == "counted", (
            "whoever does not listen gets the answer"
        )
        with pytest.raises(CommandFailed, match="cannot be counted"):
            await ask(tmp_path / "s", "fail", {"to": 1})
    finally:
        await server.stop()


async def test_a_console_that_leaves_does_not_stop_the_work(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def long(command: str, arguments: Mapping[str, Any], report: Report) -> None:
        for done in range(50):
            report("working", done, 50)
            await asyncio.sleep(0.001)
        ended.set()

    server = ControlServer(tmp_path / "s", lambda uid: long)
    await server.start()
    try:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b'{"command": "x", "arguments": {}}\n')
        await writer.drain()
        writer.close()
        await asyncio.wait_for(ended.wait(), 60)
    finally:
        await server.stop()


async def test_who_asks_is_whom_the_kernel_names(tmp_path: Path) -> None:
    def handler_for(uid: int) -> Handler:
        async def answer(command: str, arguments: Mapping[str, Any], report: Report) -> Any:
            return [uid, dict(arguments)]

        return answer

    server = ControlServer(tmp_path / "s", handler_for)
    await server.start()
    try:
        uid, _ = await ask(tmp_path / "s", "status", {"uid": 12345})
        assert uid == os.getuid()
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600, "its owner's alone"
    finally:
        await server.stop()


async def test_a_second_socket_is_open_to_one_group(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "s", lambda uid: counting, os.getgid())
    await server.start()
    try:
        found = (tmp_path / "s").stat()
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert found.st_gid == os.getgid()
        assert await ask(tmp_path / "s", "count", {"to": 0}) == "counted"
    finally:
        await server.stop()


def test_nothing_is_told_of_a_console_that_left_on_the_loop_that_nodes_run(tmp_path: Path) -> None:
    told: list[str] = []

    async def long(command: str, arguments: Mapping[str, Any], report: Report) -> str:
        for done in range(20):
            report("working", done, 20)
            await asyncio.sleep(0.005)
        return "x" * 100_000

    async def leave_early() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(repr(context)))
        server = ControlServer(tmp_path / "s", lambda uid: long)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b'{"command": "count", "arguments": {}}\n')
        await reader.readline()
        writer.transport.abort()
        await asyncio.sleep(0.3)
        gc.collect()  # a task that failed says so when it goes
        await server.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(leave_early())
    assert told == []


# -- a node of another version


async def answered(tmp_path: Path, line: bytes) -> Any:
    """What `ask` makes of this one line from the socket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(line)
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
    try:
        return await ask(tmp_path / "s", "standing", {})
    finally:
        server.close()


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b'"words"\n',
        b"[1]\n",
        b"{}\n",
        b'{"progress": 3}\n',
        b'{"progress": ["a", 1]}\n',
        b'{"result"',
    ],
)
async def test_an_answer_of_another_shape_is_a_sentence(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(CommandFailed, match="older"):
        await answered(tmp_path, line)


async def test_what_an_answer_lacks_is_a_sentence_where_it_is_looked_for(tmp_path: Path) -> None:
    found = await answered(tmp_path, b'{"result": {"rows": [{"address": "a@b.example"}]}}\n')
    assert found == {"rows": [{"address": "a@b.example"}]}
    for lacking in (found, found["rows"][0]):
        with pytest.raises(CommandFailed, match=r"runs an older one.*Restart it"):
            lacking["elsewhere"]


async def test_a_node_that_stops_in_the_middle_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="The node stopped"):
        await answered(tmp_path, b'{"progress": ["reading", 1, 2]}\n')
