"""Brings the national directory to what is wanted, address by address, for as long as that takes.

Invariants: each row is asked for as it is when its turn comes, so that what changed twice is sent once; nothing is
confirmed but by an answer, and what was sent without one is asked again in a way that never makes a second entry; what
is refused is told once and rests; when the directory is down or asks for slowness, everything waits, not each address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from directory.publication.client.queue import PublicationQueue
from directory.publication.client.remote import Answer, Meaning, NationalDirectory
from directory.publication.client.states import Entry, Standing, Step

_log = logging.getLogger("vaguemestre.directory")
_EVERY = 15.0  # seconds between two looks for what is due
_PACE = 1 / 17  # seconds: the national directory takes 17 calls a second (reference/mssante.md §5.1)
_ASKS = 3  # of one address in one turn: insert, replace, insert
_SILENCES = 3  # in a row, after which the directory is left alone for a while
_UNTOLD_WAIT = 5.0  # seconds, where 429 does not say
_MINUTE = 60_000  # ms
_JITTER = 0.1
NO_HOLDER = "no-identifier"

Noted = Callable[[str, str, str, str], None]
"""Address, "listing-published" or "listing-withdrawn", outcome, slug."""


@dataclass(slots=True)
class Counters:
    asked: int = 0
    published: int = 0
    withdrawn: int = 0
    refused: int = 0
    failed: int = 0
    slowed: int = 0


class Publisher:
    def __init__(
        self,
        queue: PublicationQueue,
        remote: NationalDirectory,
        *,
        retry_minutes: Sequence[int],
        seconds: float,
        clock: Callable[[], int],
        noted: Noted,
    ) -> None:
        self._queue = queue
        self._remote = remote
        self._retry = tuple(retry_minutes) or (1,)
        self._held = round(seconds * 1000 * (_ASKS + 1)) + _MINUTE  # ms that a row is ours
        self._clock = clock
        self._noted = noted
        self.counters = Counters()
        self.shut = ""  # what it says of our key, where it does not take it
        self._not_before = 0
        self._silent = 0
        self._left: list[NationalDirectory] = []  # an answer may be under way there
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def soon(self) -> None:
        self._wanted.set()

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    def use(self, remote: NationalDirectory) -> None:
        """From the next question on: another key, another authority."""
        self._left.append(self._remote)
        self._remote, self.shut, self._not_before = remote, "", 0
        self.soon()

    async def stop(self) -> None:
        """At once: what is being asked is asked again after the next start."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        for remote in (*self._left, self._remote):
            await remote.close()

    async def _keep(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self.round()
            except (
                Exception
            ) as failure:  # a database that is away for a moment must not end publication for good
                _log.error("publication stands still (%s); tried again", type(failure).__name__)
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation on Python 3.11.
                async with asyncio.timeout(_EVERY):
                    await self._wanted.wait()

    async def round(self) -> None:
        """Everything that is due now."""
        while self._clock() >= self._not_before:
            due = await asyncio.to_thread(self._queue.due, self._clock())
            if not due:
                return
            for address in due:
                if self._clock() < self._not_before:
                    return
                await self._settle(address)

    async def _settle(self, address: str) -> None:
        now = self._clock()
        standing = await asyncio.to_thread(self._queue.claim, address, now, now + self._held)
        if standing is None:
            return
        step = standing.step()
        asks = 0
        while step is not None:
            kind, entry = step
            if kind is not Step.DELETE and not entry.holder:
                await self._refuse(standing, NO_HOLDER, "Nobody said whose it is: an identifier is missing.")
                return
            if asks == _ASKS:
                await self._fail(
                    standing, Answer(Meaning.LATER, "contradiction", "It says yes and no in turn.")
                )
                return
            asks += 1
            answer = await self._ask(standing, kind, entry)
            match answer.meaning:
                case Meaning.DONE:
                    standing, asks = await self._done(standing, kind, entry), 0
                    step = standing.step()
                case Meaning.NOT_THERE if kind is Step.DELETE:
                    standing, asks = await self._done(standing, kind, entry), 0
                    step = standing.step()
                case Meaning.NOT_THERE if kind is Step.REPLACE:
                    step = (Step.INSERT, entry)
                case Meaning.THERE_ALREADY if kind is Step.INSERT:
                    step = (Step.REPLACE, entry)
                case Meaning.NOT_THERE | Meaning.THERE_ALREADY | Meaning.REFUSED:
                    await self._refuse(standing, answer.reason, answer.words)
                    return
                case Meaning.SHUT | Meaning.SLOWER | Meaning.LATER:
                    await self._fail(standing, answer)
                    return
        await asyncio.to_thread(self._queue.release, address)

    async def _ask(self, standing: Standing, kind: Step, entry: Entry) -> Answer:
        if kind is not Step.DELETE:
            await asyncio.to_thread(self._queue.attempting, standing.address, entry.as_text())
        self.counters.asked += 1
        answer = await self._remote.ask(kind, entry)
        await asyncio.sleep(_PACE)
        if answer.meaning not in (Meaning.SHUT, Meaning.SLOWER, Meaning.LATER):
            self._silent, self.shut = 0, ""
        return answer

    async def _done(self, standing: Standing, kind: Step, entry: Entry) -> Standing:
        """It is there as asked, or gone; the row as it is then: what is wanted may have changed meanwhile."""
        gone = kind is Step.DELETE
        await asyncio.to_thread(
            self._queue.confirmed, standing.address, "" if gone else entry.as_text(), self._clock()
        )
        if gone:
            self.counters.withdrawn += 1
        else:
            self.counters.published += 1
        self._noted(
            standing.address, "listing-withdrawn" if gone else "listing-published", "done", kind.value
        )
        return await asyncio.to_thread(self._queue.one, standing.address) or standing

    async def _refuse(self, standing: Standing, reason: str, words: str) -> None:
        self.counters.refused += 1
        await asyncio.to_thread(self._queue.refused, standing.address, standing.wanted, reason, words)
        action = "listing-published" if standing.wanted else "listing-withdrawn"
        self._noted(standing.address, action, "refused", reason)

    async def _fail(self, standing: Standing, answer: Answer) -> None:
        now = self._clock()
        minutes = self._retry[min(standing.tries, len(self._retry) - 1)]
        wait = max(round(minutes * _MINUTE * (1 + _JITTER * random.random())), round(answer.wait * 1000))  # noqa: S311
        if answer.meaning is Meaning.SLOWER:
            self.counters.slowed += 1
            wait = round((answer.wait or _UNTOLD_WAIT) * 1000)
            self._not_before = now + wait
        else:
            self.counters.failed += 1
            self._silent += 1
            if answer.meaning is Meaning.SHUT:
                self.shut = answer.words
            if self._silent >= _SILENCES or answer.meaning is Meaning.SHUT:
                self._not_before = now + max(self._retry[0] * _MINUTE, round(answer.wait * 1000))
        await asyncio.to_thread(self._queue.failed, standing.address, answer.reason, answer.words, now + wait)
