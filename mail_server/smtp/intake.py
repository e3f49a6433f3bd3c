"""One message on its way in: its reader, its share of memory, its pace.

Invariants: no more bytes are held than were reserved; a refused message holds none; the bytes are freed as
soon as `close` is called, whatever happened before.
"""

from __future__ import annotations

import asyncio

from mail_server.smtp.limits import ByteBudget, Reservation
from mail_server.smtp.protocol.bdat import ChunkedMessage
from mail_server.smtp.protocol.end_of_data import EndOfData, Fault

_PARTS_FREED = 16
_JOIN_IN_THREAD = (
    2 << 20
)  # bytes.join gives up the GIL above 1 MiB; below that the hop costs more than the copy


class Intake:
    """Fed straight from the transport while a message is coming in."""

    __slots__ = (
        "_drain_limit",
        "_reservation",
        "deadline",
        "reader",
        "received",
        "rest",
        "silence",
        "started",
    )

    def __init__(
        self, reader: EndOfData | ChunkedMessage, budget: ByteBudget, limit: int, silence: float
    ) -> None:
        self.reader = reader
        self.rest = b""
        self.received = 0
        self.started = 0.0
        self.deadline = 0.0
        self.silence = silence
        self._reservation = Reservation(budget)
        self._drain_limit = limit

    def reserve(self, size: int) -> bool:
        return self._reservation.reach(size)

    def begin(self, now: float) -> None:
        """A stretch of content begins: the pace is measured from here."""
        self.started, self.received, self.deadline = now, 0, now + self.silence

    def feed(self, data: bytes, now: float) -> bool:
        """Take bytes; True when this stretch is whole (`rest` holds what follows) or must be cut off."""
        self.received += len(data)
        self.deadline = now + self.silence
        rest = self.reader.feed(data)
        if self.reader.fault is None and not self._reservation.reach(self.reader.size):
            self.reader.refuse(Fault.MEMORY_FULL)
        if self.reader.fault is not None:
            self._reservation.release()
        if rest is not None:
            self.rest = rest
            return True
        return self.endless

    @property
    def endless(self) -> bool:
        """A refused message that goes on beyond what is worth draining."""
        return self.reader.drained > self._drain_limit

    def too_slow(self, now: float, rate: int, after: float) -> bool:
        elapsed = now - self.started
        return elapsed > after and self.received < rate * elapsed

    async def message(self) -> bytes:
        """The whole message; the pieces are let go."""
        parts = self.reader.parts.copy()
        self.reader.parts.clear()
        if self.reader.size <= _JOIN_IN_THREAD:
            return b"".join(parts)
        message = await asyncio.to_thread(b"".join, parts)
        while parts:
            # Giving many pages back takes the system milliseconds: a little at a time.
            del parts[-_PARTS_FREED:]
            await asyncio.sleep(0)
        return message

    def close(self) -> None:
        self.reader.parts.clear()
        self._reservation.release()
