"""What was handed over and is not gone yet: waits for its time, then sends (RFC 8621 §7, FUTURERELEASE).

Invariants: durable: what `EmailSubmission/set` answered leaves, though the process is killed at any moment; exactly
once per recipient (see `sending`); a submission is claimed before it is touched, so that several nodes on one
database never work on the same; a letter that cannot be read is told as failed, never dropped in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from mail_server.accounts.interface import HELD, Identity, Peer
from mail_server.jmap.sending import Speaker, send
from mail_server.jmap.services import Services
from mail_server.jmap.submission_rows import Outcome, Submission, SubmissionRows
from mail_server.keys.interface import KeyUnavailable
from mail_server.store.interface import Damaged, NoSuchMessage, Reader, StoreError, Transaction
from mail_server.store.model import AccountId

log = logging.getLogger("vaguemestre.jmap")
LEASE_MS = 600_000  # after that another node may take what this one began
_RETRIES_MS = (60_000, 300_000, 900_000, 1_800_000)  # then every hour
_LAST_MS = 3_600_000
_GIVE_UP_MS = 2 * 86_400_000
_TOGETHER = 4  # submissions sent at one time
_LONGEST_SLEEP = 60.0
_UPKEEP_SECONDS = 3600.0
_LOST = Outcome("554 5.6.0 The letter was destroyed before it left", "no")


class SubmissionQueue:
    def __init__(self, services: Services, rows: SubmissionRows) -> None:
        self._services = services
        self._rows = rows
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None

    async def start(self) -> None:
        now = self._services.clock()

        def again(transaction: Transaction) -> None:
            if transaction.sql.dialect == "sqlite":  # one process alone has this database
                self._rows.again(transaction.sql, now)

        await self._services.store.write(again)
        self._task = asyncio.create_task(self._run(), name="jmap-submissions")
        self._upkeep = asyncio.create_task(self._keep_up(), name="jmap-upkeep")

    async def stop(self) -> None:
        """What is being sent is sent: delivery and its outcome are not cut apart where it can be helped."""
        for task in (self._upkeep, self._task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._task = self._upkeep = None

    def wake(self) -> None:
        """Something new may be due earlier than what was waited for."""
        self._wake.set()

    # ── the loop ──

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                due = await self._send_due()
                pause = _LONGEST_SLEEP if due is None else (due - self._services.clock()) / 1000
            except StoreError as failure:
                log.error("submissions wait (%s)", type(failure).__name__)
                pause = 1.0
            except KeyUnavailable:
                log.error("a submission does not open; looked at again later")
                await self._set_aside()
                pause = 0.0
            except Exception as failure:  # one bad row must not end the sending of all others
                log.error("a submission failed: %s", type(failure).__name__)
                pause = 5.0
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation on Python 3.11.
                async with asyncio.timeout(min(max(pause, 0.0), _LONGEST_SLEEP)):
                    await self._wake.wait()

    async def _set_aside(self) -> None:
        now = self._services.clock()
        with contextlib.suppress(StoreError):
            await self._services.store.write(
                lambda transaction: self._rows.set_aside(transaction.sql, now, now + LEASE_MS)
            )

    async def _send_due(self) -> int | None:
        """Everything that is due; the time of what comes next."""
        while True:
            now = self._services.clock()
            due = await self._services.store.read(
                lambda reader, now=now: self._rows.due(reader.sql, now, _TOGETHER)
            )
            if not due:
                return await self._services.store.read(lambda reader: self._rows.next_due(reader.sql))
            work = [asyncio.create_task(self._leave(one)) for one in due]
            try:
                await asyncio.wait(work)
            except asyncio.CancelledError:
                # Stopping: let what is under way be told.
                await asyncio.wait(work, timeout=5)
                raise
            for task in work:
                if not task.cancelled():
                    task.result()

    async def _leave(self, one: Submission) -> None:
        until = self._services.clock() + LEASE_MS
        claimed = await self._services.store.write(
            lambda transaction: self._rows.claim(transaction.sql, one, until)
        )
        if not claimed:
            return
        self._services.submissions_changed(one.account)
        try:
            await self._send(one)
        except Exception as failure:  # what was filed is known to delivery: it is not filed again
            log.error("a submission failed: %s; tried again", type(failure).__name__)
        due = self._next_attempt(one)
        await self._services.store.write(lambda transaction: self._rows.settle(transaction.sql, one, due))
        self._services.submissions_changed(one.account)

    async def _send(self, one: Submission) -> None:
        speaker = self._speaker(one)
        try:
            message = await self._services.store.read(lambda reader: letter_of(reader, one))
        except (NoSuchMessage, Damaged):
            message = None
        if speaker is None or message is None:
            for address in one.addressed.waiting:
                one.addressed.outcomes[address] = _LOST
        else:
            refused = await send(
                self._services.delivery, speaker, one.addressed, message, one.addressed.waiting
            )
            self._services.counters.submissions_failed += sum(
                not refusal.temporary for refusal in refused.values()
            )

    def _speaker(self, one: Submission) -> Speaker | None:
        account = self._services.accounts.by_id(one.speaker)
        if account is None:
            return None
        identity = Identity(account.id, account.address, account.kind, HELD, one.id)
        return Speaker(identity, Peer(one.network, 0, "jmap", one.session, tls=True), one.account)

    def _next_attempt(self, one: Submission) -> int | None:
        if not one.addressed.waiting:
            return None
        now = self._services.clock()
        if now - one.send_at > _GIVE_UP_MS:
            for address in one.addressed.waiting:
                one.addressed.outcomes[address].delivered = "no"
            return None
        tries = one.attempts - 1
        return now + (_RETRIES_MS[tries] if tries < len(_RETRIES_MS) else _LAST_MS)

    # ── by the hour ──

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._forget()
            except StoreError as failure:
                log.error("upkeep of uploads waits (%s)", type(failure).__name__)
            await asyncio.sleep(_UPKEEP_SECONDS)

    async def _forget(self) -> None:
        now = self._services.clock()
        before = now - self._services.settings.submission_days * 86_400_000

        def forget(transaction: Transaction) -> None:
            transaction.drop_uploads(now)
            self._rows.forget(transaction.sql, before)

        await self._services.store.write(forget)


def letter_of(reader: Reader, one: Submission) -> bytes:
    """The letter as it was handed over: its Email, or the copy kept for the time that is destroyed.

    Raises NoSuchMessage, Damaged.
    """
    account = AccountId(one.account)
    found = reader.emails(account, [one.email_id])
    if found:
        return reader.content(found[0].message)
    return reader.upload(account, one.copy)[1]
