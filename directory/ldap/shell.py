"""The socket's side of a connection: bytes when they are asked for, writing that waits for a slow reader, TLS.

Invariants: about `READ_LIMIT` unread octets are held at most, and what `WRITE_HIGH` and one slice allow unsent;
plaintext is forgotten when TLS begins; whoever waits is woken when the connection is lost.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import cast

READ_LIMIT = 131_072
WRITE_HIGH, WRITE_LOW = 131_072, 32_768
SLICE = 65_536


class Link(asyncio.Protocol):
    def __init__(self, made: Callable[[Link], None]) -> None:
        self._made = made
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._came = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._paused = False
        self.lost = False
        self.ended = False  # the client sends no more
        self.last_input = time.monotonic()
        self.congested_since: float | None = None

    # ── asyncio's side ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self.last_input = time.monotonic()
        self._came.set()
        if len(self._unread) > READ_LIMIT and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        self._came.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True
        self._came.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        self.congested_since = time.monotonic()
        self._may_write.clear()

    def resume_writing(self) -> None:
        self.congested_since = None
        self._may_write.set()

    # ── the session's side ──

    @property
    def unread(self) -> int:
        return len(self._unread)

    async def read(self) -> bytes:
        """What came; b"" when nothing more will."""
        while not self._unread and not self.ended:
            self._came.clear()
            await self._came.wait()
        return self.take()

    def take(self) -> bytes:
        """What came and was not read yet."""
        data = bytes(self._unread)
        self._unread.clear()
        if self._paused and not self.lost and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """A short answer."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def send(self, messages: Iterable[bytes]) -> None:
        """An answer of any length, as fast as it is read. Raises ConnectionResetError.

        Whole messages at a time: other answers go out between two of them, where somebody reads slowly.
        """
        held: list[bytes] = []
        size = 0
        for one in messages:
            held.append(one)
            size += len(one)
            if size >= SLICE:
                await self._send(held)
                held, size = [], 0
        await self._send(held)

    async def _send(self, held: Sequence[bytes]) -> None:
        await self.drained()
        self.write(b"".join(held))

    async def drained(self) -> None:
        await self._may_write.wait()
        if self.lost:
            raise ConnectionResetError

    async def secure(self, context: ssl.SSLContext, timeout: float) -> None:
        """Shake hands; octets that came in clear are dropped. Raises ConnectionAbortedError."""
        transport = self._transport
        if transport is None or self.lost:
            raise ConnectionAbortedError
        self._unread.clear()
        loop = asyncio.get_running_loop()
        try:
            over = await loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=timeout
            )
        except (OSError, TimeoutError) as failure:
            transport.abort()
            raise ConnectionAbortedError from failure
        if over is None:
            raise ConnectionAbortedError
        over.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        self._transport = over
        self.last_input = time.monotonic()

    # ── the door's side ──

    @property
    def peer(self) -> tuple[str, int]:
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return (str(name[0]), int(name[1])) if name else ("", 0)

    @property
    def layer(self) -> ssl.SSLObject | None:
        """What TLS knows of the connection."""
        return self._transport.get_extra_info("ssl_object") if self._transport is not None else None

    @property
    def certificate(self) -> bytes | None:
        """The client's (DER), believed only where the context verified it."""
        layer = self.layer
        if layer is None or layer.context.verify_mode is ssl.CERT_NONE:
            return None
        return layer.getpeercert(binary_form=True)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
