"""The console's way into a running node: one JSON request, then how far it is, then its answer, line by line, over a
Unix socket.

Invariants: the socket in the home is open to its owner alone, a second one to one group; a request names a command
of `Console` and nothing else can be called; who asks is what the kernel says; an error answer carries the sentence
for the administrator, never a trace; an answer of another version is told as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger("vaguemestre.node")
Report = Callable[[str, int, int], None]  # stage, done, of all; called on the loop
Handler = Callable[[str, Mapping[str, Any], Report], Awaitable[Any]]

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_REQUEST_LIMIT = 4 * 1024 * 1024
_STOPPED = "The node stopped."


class CommandFailed(Exception):
    """A command was refused; the text is for the administrator."""


class NodeDown(Exception):
    """No node serves this home."""


class NotUnderstood(CommandFailed):
    """The node answered in a shape that this version does not know."""

    def __init__(self) -> None:
        super().__init__(
            "The node does not answer as this version expects: it runs an older one, most likely. Restart it, then ask "
            "again."
        )


class _Answer(dict[str, Any]):
    """An object of an answer: what it should hold and does not is told in words, wherever it is looked for."""

    def __missing__(self, name: str) -> Any:
        raise NotUnderstood


def unheard(stage: str, done: int, total: int) -> None:
    """A report nobody waits for."""


@contextlib.contextmanager
def _short_path(path: Path) -> Any:
    """A name of at most 108 bytes for a socket, however deep the home lies (unix(7), sun_path)."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlServer:
    """`handler_for` gives the handler of a user, by the uid that the kernel tells."""

    def __init__(self, path: Path, handler_for: Callable[[int], Handler], group: int | None = None) -> None:
        self._path = path
        self._handler_for = handler_for
        self._group = group  # None: for its owner alone
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        with _short_path(self._path) as name:
            previous = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, name, limit=_REQUEST_LIMIT)
            finally:
                os.umask(previous)
            if self._group is not None:
                os.chown(name, -1, self._group)
                os.chmod(name, 0o660)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def report(stage: str, done: int, total: int) -> None:
            if not writer.is_closing():
                writer.write(json.dumps({"progress": [stage, done, total]}).encode() + b"\n")

        try:
            answer = await self._answer(_peer(writer), await reader.readline(), report)
            if writer.is_closing():
                return  # the console went away; uvloop raises at a write then
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            return  # the console went away, or sent what no console sends
        finally:
            writer.close()

    async def _answer(self, uid: int, line: bytes, report: Report) -> dict[str, Any]:
        try:
            request: dict[str, Any] = json.loads(line)
            return {
                "result": await self._handler_for(uid)(str(request["command"]), request["arguments"], report)
            }
        except CommandFailed as failure:
            return {"error": str(failure)}
        except (KeyError, TypeError, json.JSONDecodeError):
            return {"error": "The request was not understood."}
        except Exception as failure:  # one command that fails must not look like a node that stopped
            _log.exception("a command of the console failed")
            return {"error": f"This failed in the node ({type(failure).__name__}): its log says where."}


async def ask(path: Path, command: str, arguments: Mapping[str, Any], report: Report = unheard) -> Any:
    """Ask the running node. Raises NodeDown when none listens, CommandFailed with its words."""
    if not path.exists():
        raise NodeDown
    try:
        with _short_path(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=64 * 1024 * 1024)
    except (ConnectionError, FileNotFoundError):
        raise NodeDown from None
    try:
        writer.write(json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n")
        await writer.drain()
        while "progress" in (answer := await _next_line(reader)):
            match answer["progress"]:
                case [str(stage), int(done), int(total)]:
                    report(stage, done, total)
                case _:
                    raise NotUnderstood
    except ConnectionError:
        raise CommandFailed(_STOPPED) from None
    finally:
        writer.close()
    if "error" in answer:
        raise CommandFailed(str(answer["error"]))
    return answer["result"]


def _peer(writer: asyncio.StreamWriter) -> int:
    """Who is at the other end (unix(7), SO_PEERCRED): the kernel's word, not the request's."""
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return uid


async def _next_line(reader: asyncio.StreamReader) -> _Answer:
    try:
        line = await reader.readline()
        answer = json.loads(line, object_hook=_Answer) if line else _Answer(error=_STOPPED)
    except ValueError:  # cut short, too long, or no JSON at all
        raise NotUnderstood from None
    if not isinstance(answer, _Answer):
        raise NotUnderstood
    return answer
