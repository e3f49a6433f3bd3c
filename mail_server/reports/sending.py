"""Reports taken and handed over: what a hospital's own program calls.

    sent = send_report({"patient": {...}, "type": "34112-3", ...}, pdf, settings=load(Path("reports.toml")))

Invariants: `take` returns once the report is on the disk; what then happens to it is in the spool alone, so that
whoever is killed goes on where they were; temporary refusals are tried again with growing pauses, final ones are
written down with their cause and told to the node; one letter that cannot be sent stops no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mail_server.accounts.addresses import parsed
from mail_server.payloads.record.causes import of_answer
from mail_server.reports.documents import Source
from mail_server.reports.making import Maker
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.settings import HospitalSettings
from mail_server.reports.spool import (
    About,
    Busy,
    Entry,
    Errand,
    Outcome,
    Row,
    Spool,
    SpoolUnusable,
    State,
    new_reference,
)
from mail_server.reports.submission import Answer, Connection, NotReached, Unwelcome, client_context
from mail_server.reports.telling import TOGETHER, notice

_log = logging.getLogger("vaguemestre.reports")
_LONGEST_PAUSE = 3600.0
_NOT_REACHED_PAUSE = 2.0  # doubled up to a minute: the node may be restarting
_IDLE = 0.5
_QUIET_BEFORE_QUIT = 20.0
_SETTLE = 0.05  # s: outcomes that come together are written together


@dataclass(frozen=True, slots=True)
class Taken:
    """A report that is kept, or was refused."""

    reference: str
    state: State
    slug: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One report of a folder: what is said of it (or why that cannot be read), the document, what it is known by."""

    told: Mapping[str, Any] | ReportRefused = field(repr=False)
    source: Source
    origin: bytes


@dataclass(slots=True)
class Progress:
    """What one run did."""

    sent: int = 0
    refused: int = 0
    later: int = 0
    trouble: str = field(default="")  # why the node is not reached, "" when it is


class Desk:
    """One spool with what makes letters for it."""

    def __init__(self, settings: HospitalSettings, spool: Spool) -> None:
        self.settings, self.spool = settings, spool
        self.maker = Maker(settings)

    @classmethod
    def open(cls, settings: HospitalSettings) -> Desk:
        """Raises SpoolUnusable."""
        return cls(settings, Spool.open(settings.spool))

    def take(self, told: Mapping[str, Any], source: Source) -> Taken:
        """Keep one report; durable on return. Raises ReportRefused, and then nothing is kept."""
        origin = self._origin(told, source)
        if origin is not None and (known := self._known(origin)) is not None:
            return known
        entries = self.maker.report(told, source, self.spool.find)
        first = replace(entries[0], origin=origin)
        (reference, *_) = self.spool.take([first, *entries[1:]])
        if reference != first.reference and origin is not None:
            return self._known(origin) or Taken(reference, State.WAITING)
        return Taken(reference, first.state)

    def take_many(self, offers: Sequence[Offer]) -> list[Taken]:
        """The same for several, in one commit; those refused are kept too, to be told of each morning."""
        before = self.spool.known([offer.origin for offer in offers])
        entries: list[Entry] = []
        results: list[Taken] = []
        for offer in offers:
            if offer.origin in before:
                results.append(self._known(offer.origin) or Taken(before[offer.origin], State.WAITING))
                continue
            made, taken = self._made(offer)
            entries += [replace(made[0], origin=offer.origin), *made[1:]]
            results.append(taken)
        if not entries:
            return results
        kept = dict(zip((one.reference for one in entries), self.spool.take(entries), strict=True))
        return [replace(one, reference=kept.get(one.reference, one.reference)) for one in results]

    def _made(self, offer: Offer) -> tuple[list[Entry], Taken]:
        try:
            if isinstance(offer.told, ReportRefused):
                raise offer.told
            made = self.maker.report(offer.told, offer.source, self.spool.find)
            return made, Taken(made[0].reference, made[0].state)
        except ReportRefused as refused:
            return self._refused(offer, refused)
        except (
            Exception
        ) as failure:  # one document stops no other, whatever it is; its words may hold content
            _log.error("a report could not be made: %s", type(failure).__name__)
            return self._refused(offer, ReportRefused("not-made"))

    def _refused(self, offer: Offer, refused: ReportRefused) -> tuple[list[Entry], Taken]:
        reference = new_reference()
        about = About(
            message_id=f"<{reference}@{self.settings.account.domain}>",
            source=offer.source.name,
            recipient=_recipient(offer.told),
            cause=refused.slug,
        )
        entry = Entry(reference, about, None, Errand.REPORT, State.REFUSED)
        return [entry], Taken(reference, State.REFUSED, refused.slug, refused.place)

    def announce(self, reference: str) -> Taken:
        """Send what was held; durable on return. Raises ReportRefused."""
        row = self.spool.find(reference)
        if row is None or row.state is not State.HELD:
            raise ReportRefused("field-wrong", "reference")
        letter, about = self.maker.announced(row, self.spool.letter(reference))
        self.spool.announce(reference, letter, about)
        return Taken(reference, State.WAITING)

    def withdraw(self, reference: str) -> Taken:
        """Take a report back: a letter says so; one that waits or is held leaves no more. Raises ReportRefused."""
        row = self.spool.find(reference)
        if row is None or row.errand is not Errand.REPORT or not row.about.unique_id:
            raise ReportRefused("field-wrong", "reference")
        if row.state is State.HELD:
            self.spool.note([Outcome(reference, State.REFUSED, cause="withdrawn")])
            self.spool.told([reference])  # the node never had it
            return Taken(reference, State.REFUSED, "withdrawn")
        if row.state is State.REFUSED:
            raise ReportRefused("field-wrong", "reference")
        entry = self.maker.withdrawal(row)
        self.spool.take([entry])
        return Taken(entry.reference, State.WAITING)

    def _origin(self, told: Mapping[str, Any], source: Source) -> bytes | None:
        """Who names a reference of their own may offer the same report again, and it is taken once."""
        reference = told.get("reference")
        if not isinstance(reference, str) or not reference:
            return None
        octets = repr(sorted(told.items(), key=str)).encode("utf-8", "replace")
        return self.spool.origin(b"reference", octets, *source.parts)

    def _known(self, origin: bytes) -> Taken | None:
        reference = self.spool.known([origin]).get(origin)
        row = self.spool.find(reference) if reference else None
        return None if row is None else Taken(row.reference, row.state, row.about.cause)


class Dispatcher:
    """Hands over what waits, on several connections, until told to stop or nothing is left."""

    def __init__(
        self,
        desk: Desk,
        *,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        done: Callable[[Sequence[Outcome]], None] = lambda _: None,
    ) -> None:
        self._desk, self._clock, self._done = desk, clock, done
        self._settings = desk.settings
        self._context = context or client_context(self._settings.node)
        self._queue: asyncio.Queue[Row] = asyncio.Queue()
        self._away: set[str] = set()
        self._outcomes: list[Outcome] = []
        self._to_write = asyncio.Event()
        self._pause = _NOT_REACHED_PAUSE
        self._told_at = 0.0
        self.progress = Progress()

    async def run(
        self,
        *,
        until_empty: bool,
        stop: asyncio.Event | None = None,
        more_to_come: asyncio.Event | None = None,
    ) -> Progress:
        """Raises Busy when another program sends from this spool, SpoolUnusable.

        `more_to_come` is set once nothing more is taken: only then can the spool be empty.
        """
        stop = stop or asyncio.Event()
        await asyncio.to_thread(self._desk.spool.hold_sending)
        workers = [asyncio.create_task(self._work()) for _ in range(self._settings.sending.connections)]
        writer = asyncio.create_task(self._write_outcomes())
        try:
            while not stop.is_set():
                found = await self._more()
                if not found and not self._away:
                    await self._tell()
                    complete = more_to_come is None or more_to_come.is_set()
                    if until_empty and complete and await self._empty():
                        break
                with contextlib.suppress(TimeoutError):
                    # Not wait_for, which may swallow a cancellation on Python 3.11.
                    async with asyncio.timeout(_SETTLE if self._away else _IDLE):
                        await stop.wait()
                self._raise_of(writer)
        finally:
            for task in (*workers, writer):
                task.cancel()
            await asyncio.gather(*workers, writer, return_exceptions=True)
            await self._flush()
            self._desk.spool.release()
        return self.progress

    def _raise_of(self, task: asyncio.Task[None]) -> None:
        if task.done() and not task.cancelled():
            task.result()

    async def _more(self) -> int:
        """Give the connections what is due."""
        room = 4 * self._settings.sending.connections - len(self._away)
        if room <= 0:
            return 0
        rows = await asyncio.to_thread(self._desk.spool.due, room, tuple(self._away))
        for row in rows:
            self._away.add(row.reference)
            self._queue.put_nowait(row)
        return len(rows)

    async def _empty(self) -> bool:
        """Whether nothing is left that could be done soon."""
        due = await asyncio.to_thread(self._desk.spool.next_due)
        if due is None:
            return True
        return bool(self.progress.trouble) or due > self._clock() + 1000

    # -- one connection

    async def _work(self) -> None:
        node, sending = self._settings.node, self._settings.sending
        connection = Connection(node, self._context, self._settings.account.domain, sending.timeout_seconds)
        try:
            while True:
                try:
                    row = await asyncio.wait_for(self._queue.get(), _QUIET_BEFORE_QUIT)
                except TimeoutError:
                    await connection.quit()
                    continue
                try:
                    self._add(await self._hand_over(connection, row))
                except NotReached as failure:
                    self._add(self._again(row, failure))
                    await asyncio.sleep(self._next_pause())
                except SpoolUnusable:
                    self._add(Outcome(row.reference, State.REFUSED, cause="spool-damaged"))
        finally:
            await connection.quit()

    async def _hand_over(self, connection: Connection, row: Row) -> Outcome:
        letter = await asyncio.to_thread(self._desk.spool.letter, row.reference)
        if not connection.open:
            await connection.connect()
        answer = await connection.send(self._settings.account.address, row.about.recipient, letter)
        self._pause, self.progress.trouble = _NOT_REACHED_PAUSE, ""
        return self._outcome(row, answer)

    def _outcome(self, row: Row, answer: Answer) -> Outcome:
        told = f"{answer.code} {answer.text.splitlines()[0] if answer.text else ''}".strip()
        if answer.taken:
            return Outcome(row.reference, State.SENT, told)
        if answer.temporary:
            return self._later(row, told)
        return Outcome(row.reference, State.REFUSED, told, of_answer(answer.code, answer.text))

    def _later(self, row: Row, told: str) -> Outcome:
        sending, now = self._settings.sending, self._clock()
        if now - row.taken_at > sending.give_up_hours * 3_600_000:
            return Outcome(row.reference, State.REFUSED, told, "expired")
        pause = min(sending.first_retry_seconds * 2 ** min(row.attempts, 20), _LONGEST_PAUSE)
        return Outcome(row.reference, State.WAITING, told, due=now + int(pause * 1000))

    def _again(self, row: Row, failure: NotReached) -> Outcome:
        """The node was not reached: the same letter again soon, however often."""
        words = str(failure)
        if words != self.progress.trouble or isinstance(failure, Unwelcome):
            _log.warning("the node is not reached: %s", words)
        self.progress.trouble = words
        now = self._clock()
        if now - row.taken_at > self._settings.sending.give_up_hours * 3_600_000:
            return Outcome(row.reference, State.REFUSED, words, "expired")
        return Outcome(row.reference, State.WAITING, words, due=now + int(self._pause * 1000))

    def _next_pause(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, 60.0)
        return pause

    # -- what became of them

    def _add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._to_write.set()

    async def _write_outcomes(self) -> None:
        while True:
            await self._to_write.wait()
            await asyncio.sleep(_SETTLE)
            await self._flush()

    async def _flush(self) -> None:
        self._to_write.clear()
        outcomes, self._outcomes = self._outcomes, []
        if not outcomes:
            return
        await asyncio.to_thread(self._desk.spool.note, outcomes)
        self.progress.sent += sum(one.state is State.SENT for one in outcomes)
        self.progress.refused += sum(one.state is State.REFUSED for one in outcomes)
        self.progress.later += sum(one.state is State.WAITING for one in outcomes)
        await asyncio.to_thread(self._done, outcomes)
        self._away -= {one.reference for one in outcomes}

    async def _tell(self) -> None:
        """Tell the node of what failed on this side; what cannot be told now is told later."""
        if time.monotonic() - self._told_at < 0:
            return
        while rows := await asyncio.to_thread(self._desk.spool.untold, TOGETHER):
            node, sending, account = self._settings.node, self._settings.sending, self._settings.account
            connection = Connection(node, self._context, account.domain, sending.timeout_seconds)
            letter = notice(rows, self._settings, self._clock())
            try:
                await connection.connect()
                answer = await connection.send(account.address, account.followed, letter)
            except NotReached as failure:
                self.progress.trouble = str(failure)
                self._told_at = time.monotonic() + 30
                return
            finally:
                await connection.quit()
            if answer.temporary:
                self._told_at = time.monotonic() + 30
                return
            if not answer.taken:
                _log.warning("the node takes no word of failed reports (%s)", answer.code)
            await asyncio.to_thread(self._desk.spool.told, [row.reference for row in rows])


def send_report(
    order: Mapping[str, Any],
    pdf: bytes = b"",
    *,
    settings: HospitalSettings,
    cda: bytes = b"",
    fhir: bytes = b"",
    wait: bool = True,
) -> Taken:
    """Take one report and, unless `wait` is False, try once to hand it over. To be called from ordinary code, in any
    thread that runs no event loop; one call at a time for each report, as many as wanted at once.

    The document is `pdf` or `cda`, with `fhir` beside if wanted, or `fhir` alone.

    When it returns, the report is safe: in the node, or in the spool for whoever sends next (`vaguemestre report
    watch`, or another call). Raises ReportRefused, SpoolUnusable.
    """
    desk = Desk.open(settings)
    try:
        taken = desk.take(order, Source(pdf, cda, fhir=fhir))
        if not wait:
            return taken
        with contextlib.suppress(Busy):  # another program sends from this spool, this report with the others
            deliver(desk)
        row = desk.spool.find(taken.reference)
        return taken if row is None else Taken(taken.reference, row.state, row.about.cause)
    finally:
        desk.spool.close()


def deliver(desk: Desk, done: Callable[[Sequence[Outcome]], None] = lambda _: None) -> Progress:
    """Hand over what is due now; returns when nothing is left to be tried soon. Raises Busy."""
    return asyncio.run(Dispatcher(desk, done=done).run(until_empty=True))


def _recipient(told: object) -> str:
    """The address an order named, for the morning's list; "" when it named none; looked at later."""
    if isinstance(told, Mapping):
        value: object = told.get("to")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return value if isinstance(value, str) and parsed(value) else ""
    return ""
