"""The socket's side of a session: an asyncio protocol that gives bytes when asked and stops reading when not.

Invariants: at most `READ_LIMIT` unread octets are held; STARTTLS keeps the same object and forgets nothing but
plaintext; a lost connection wakes whoever waits.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import cast

from mail_server.accounts import channel_binding

READ_LIMIT = 262_144
WRITE_HIGH, WRITE_LOW = 262_144, 65_536


class SocketLink(asyncio.Protocol):
    __slots__ = (
        "_closed",
        "_congested",
        "_context",
        "_drainers",
        "_ended",
        "_handshake_timeout",
        "_loop",
        "_on_connect",
        "_pieces",
        "_reader",
        "_reading_paused",
        "_size",
        "_transport",
        "_woken",
        "last_input",
        "opened",
        "stalled_since",
        "task",
    )

    def __init__(
        self,
        on_connect: Callable[[SocketLink], None],
        context: Callable[[], ssl.SSLContext],
        handshake_timeout: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_connect = on_connect
        self._context = context
        self._handshake_timeout = handshake_timeout
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._drainers: asyncio.Future[None] | None = None
        self._woken = False
        self._ended = False  # the client will send no more
        self._closed = False
        self._congested = False
        self._reading_paused = False
        self.opened = self.last_input = time.monotonic()
        self.stalled_since: float | None = None
        self.task: asyncio.Task[None] | None = None

    # ── asyncio's side ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > READ_LIMIT and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        _release(self._reader)

    def eof_received(self) -> bool:
        self._ended = True
        _release(self._reader)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = self._closed = True
        _release(self._reader)
        _release(self._drainers)

    def pause_writing(self) -> None:
        self._congested = True
        self.stalled_since = time.monotonic()

    def resume_writing(self) -> None:
        self._congested = False
        self.stalled_since = None
        _release(self._drainers)

    # ── the session's side (session.Link) ──

    @property
    def congested(self) -> bool:
        return self._congested or self._closed

    @property
    def waiting(self) -> bool:
        """The session waits for its client."""
        return self._reader is not None

    async def read(self) -> bytes | None:
        if not (self._pieces or self._woken or self._ended):
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self.last_input = time.monotonic()
            if self._reading_paused and self._transport is not None and not self._closed:
                self._reading_paused = False
                self._transport.resume_reading()
            return data
        if self._ended:
            return b""
        self._woken = False
        return None

    def wake(self) -> None:
        self._woken = True
        _release(self._reader)

    def write(self, data: bytes | memoryview) -> None:
        if self._transport is not None and not self._closed:
            self._transport.write(data)

    async def drain(self) -> None:
        if self._closed:
            raise ConnectionResetError
        if self._congested:
            self._drainers = self._loop.create_future()
            try:
                await self._drainers
            finally:
                self._drainers = None
            if self._closed:
                raise ConnectionResetError

    async def start_tls(self) -> bytes | None:
        """RFC 9051 §6.2.1; octets that came in clear after the command are dropped, not obeyed."""
        transport = self._transport
        if transport is None or self._closed:
            raise ConnectionResetError
        self._pieces.clear()
        self._size = 0
        try:
            over = await self._loop.start_tls(
                transport,
                self,
                self._context(),
                server_side=True,
                ssl_handshake_timeout=self._handshake_timeout,
            )
        except (OSError, TimeoutError) as failure:
            transport.abort()
            raise ConnectionAbortedError from failure
        if over is None:
            raise ConnectionAbortedError
        self._transport = over
        over.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        return self.peer_certificate

    # ── the door's side ──

    @property
    def peer(self) -> tuple[str, int]:
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return (str(name[0]), int(name[1])) if name else ("", 0)

    @property
    def end_point(self) -> bytes | None:
        """What a login on this connection can be bound to."""
        return channel_binding.of_connection(self._transport)

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's (DER), believed only when the context verified it."""
        layer = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        if layer is None or layer.context.verify_mode is ssl.CERT_NONE:
            return None
        return cast("bytes | None", layer.getpeercert(binary_form=True))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _release(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
