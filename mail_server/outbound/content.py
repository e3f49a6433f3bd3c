"""The bytes of one attempt, opened at the moment they are sent.

Invariants: that they go out is durable before anybody has them, under a lease that is still ours; they are kept by
nobody; a letter that is opened by the gate is opened for this one attempt.
"""

from __future__ import annotations

from collections.abc import Callable

from mail_server.outbound.interface import Egress, Form, NotOpened
from mail_server.outbound.leases import Taken, mark_handed
from mail_server.store.interface import NoSuchMessage, Store, StoreError


class WireBytes:
    """`interface.Content` of one attempt."""

    def __init__(
        self, store: Store, egress: Egress | None, taken: Taken, owner: str, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._egress = egress
        self._taken = taken
        self._owner = owner
        self._clock = clock
        self.went_out = False  # somebody was given them: they may have arrived

    async def __call__(self) -> bytes:
        wire = await self._opened()
        await self._mark()
        self.went_out = True
        return wire

    async def _opened(self) -> bytes:
        letter = self._taken.letter
        try:
            queued = await self._store.read(lambda reader: reader.queued(letter.content))
        except NoSuchMessage:
            raise NotOpened("content-gone", lasting=True) from None
        except StoreError:
            raise NotOpened("content-unreadable") from None
        if letter.form is Form.WIRE:
            return queued
        if self._egress is None:
            raise NotOpened("no-gate")
        return await self._egress.open(letter.egress, letter.form, queued)

    async def _mark(self) -> None:
        taken, owner, now = self._taken, self._owner, self._clock()
        try:
            ours = await self._store.write(lambda tx: mark_handed(tx.sql, taken, owner, now))
        except StoreError:
            raise NotOpened("store-unavailable") from None
        if not ours:
            raise NotOpened("lease-lost")
