"""The loop's end of a worker's socket: whole frames out of a stream, with as few reads and copies as can be.

A frame that fits the scratch buffer takes one read; a larger one is received straight into a buffer of its
size. Invariant: one frame at a time, since a worker holds one message at a time; anything else closes the
link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from mail_server.sealing import frames
from mail_server.sealing.frames import FrameError

_SCRATCH = 64 << 10


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame from a worker."""

    what: int
    counter: int
    fields: list[bytes] = field(repr=False)
    payload: bytes = field(repr=False)
    beside: int = 0  # size of the payload that comes over the other socket, instead


class Link(asyncio.BufferedProtocol):
    """Hands each reply to `on_reply`; tells `on_lost` once."""

    def __init__(self, on_reply: Callable[[Reply], None], on_lost: Callable[[], None]) -> None:
        self._on_reply = on_reply
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._scratch = bytearray(_SCRATCH)
        self._target = self._scratch
        self._filled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, what: int, fields: bytes, payload: bytes) -> None:
        """Ask; the reply comes later. A payload beyond `frames.INLINE` is announced, and must be sent beside."""
        assert self._transport is not None
        head = frames.head(what, 0, len(fields), len(payload))
        if 0 < len(payload) <= frames.INLINE:
            self._transport.writelines([head + fields, payload])
        else:
            self._transport.write(head + fields)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._target)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        try:
            reply = self._whole()
        except FrameError:
            self.abort()
            return
        if reply is not None:
            self._on_reply(reply)

    def _whole(self) -> Reply | None:
        """The reply, once all of it is here."""
        start = frames.HEAD.size
        if self._filled < start:
            return None
        head = frames.read_head(bytes(self._target[:start]))
        total = start + head.fields + (0 if head.beside else head.payload)
        if self._filled < total:
            if total > len(self._target):
                larger = bytearray(total)
                larger[: self._filled] = memoryview(self._target)[: self._filled]
                self._target = larger
            return None
        if self._filled > total:
            raise FrameError
        view = memoryview(self._target)
        fields = start + head.fields
        unpacked = frames.unpack(bytes(view[start:fields]))
        beside = head.payload if head.beside else 0
        reply = Reply(head.what, head.counter, unpacked, bytes(view[fields:total]), beside)
        if self._target is self._scratch:
            view[:total] = bytes(total)  # what `open` gave back does not linger
        self._target = self._scratch
        self._filled = 0
        return reply

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost()
