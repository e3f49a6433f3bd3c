"""Who is told of what: written down when a letter is settled, composed and filed by a loop (RFC 3461 §5.2, §6).

Invariants: what is owed is a row of the transaction that settled; it is gone in the transaction that files the report,
or lays it into the queue, so that it is told once whatever crashes; nobody is told for the null sender, nor who said
NEVER; a letter's sender is told at most once that it is late; what is owed about one letter is told together.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from zoneinfo import ZoneInfo

from mail_server import mime
from mail_server.accounts.interface import Account, Accounts
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.interface import (
    Form,
    Notify,
    OutboundQueue,
    Outgoing,
    OutgoingRecipient,
    Readable,
)
from mail_server.outbound.reports import words
from mail_server.outbound.reports.dsn import Composed, Report, compose
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.outbound.reports.rows import Owed, OwedRows, Unreadable
from mail_server.outbound.reports.words import Line
from mail_server.store.interface import AlreadyFiled, Store, StoreError, Transaction
from mail_server.store.model import AccountId
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

_TOGETHER_MS = 3_000  # recipients of one letter, settled so near to each other, are told of in one report
_DELAYS_TOGETHER_MS = 60_000
_RETRIES_MS = (60_000, 300_000, 900_000, 3_600_000)  # then every six hours
_LAST_MS = 21_600_000
_DAY_MS = 86_400_000
_GIVE_UP_MS = 7 * _DAY_MS
_REMEMBER_MS = 30 * _DAY_MS  # longer than any letter is tried
_MOST = 100  # rows of one report
_LONGEST_SLEEP = 60.0
_BAD = frozenset({Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED})
_log = logging.getLogger("vaguemestre.outbound")

Sign = Callable[[bytes, str], Awaitable[bytes]]
"""Header fields to put above what leaves in the name of a domain (DKIM); b"" for none."""


class Files(Protocol):
    """Delivery, as far as a report needs it."""

    async def file(
        self,
        account: Account,
        message: bytes,
        fingerprint: bytes,
        note: Callable[[Transaction, int], None],
    ) -> None:
        """Sealed and filed like any letter, `note` in the same transaction. Raises Refusal, StoreError."""
        ...


@dataclass(slots=True)
class ReportCounters:
    failed: int = 0
    delayed: int = 0
    relayed: int = 0
    delivered: int = 0
    dropped: int = 0  # nobody is there to be told


async def unsigned(_: bytes, __: str) -> bytes:
    """Where no signer is."""
    return b""


def wanted(told: Told, line: Settled) -> bool:
    """Whether the sender is told of this recipient (RFC 3461 §4.1, §5.2; without NOTIFY as the account wishes)."""
    asked = line.recipient.notify
    if not told.mail_from or Notify.NEVER in asked:
        return False
    if line.fate in _BAD:
        return not asked or Notify.FAILURE in asked
    if line.fate is Fate.DELAYED:
        return not asked or Notify.DELAY in asked
    if line.fate is Fate.DELIVERED:
        return Notify.SUCCESS in asked
    return Notify.SUCCESS in asked or (told.result and not asked)


class Reports:
    """See `mail_server.outbound.reports.interface.Owing`; and the loop that tells."""

    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        keys: KeyWrapper,
        trail: AuditTrail,
        domain: str,
        clock: Callable[[], int],
        zone: ZoneInfo | None = None,
        meant: Callable[[AccountId, str], tuple[str, ...]] = lambda _account, _address: (),
    ) -> None:
        """`meant`: addresses that the account may have meant by one that nobody has; called in a thread."""
        self._store = store
        self._accounts = accounts
        self._trail = trail
        self._domain = domain
        self._clock = clock
        self._zone = zone or ZoneInfo("Europe/Paris")
        self._meant = meant
        self._rows = OwedRows(keys)
        self._files: Files | None = None
        self._queue: OutboundQueue | None = None
        self._sign: Sign = unsigned
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._forgot_at = 0
        self.counters = ReportCounters()

    def tell_through(self, files: Files, queue: OutboundQueue | None, sign: Sign | None = None) -> None:
        """Delivery and the queue are made of this, and carry what it tells."""
        self._files, self._queue, self._sign = files, queue, sign or unsigned

    # -- owing

    def owe(self, transaction: Transaction, letter: Told, settled: Sequence[Settled], at: int) -> None:
        lines = [line for line in settled if wanted(letter, line)]
        if not lines:
            return
        mark = self._mark(letter)
        late = [line for line in lines if line.fate is Fate.DELAYED]
        if late and not self._rows.first_delay(transaction.sql, mark, at, _DELAYS_TOGETHER_MS // 2):
            lines = [line for line in lines if line.fate is not Fate.DELAYED]
        if not lines:
            return
        wait = _DELAYS_TOGETHER_MS if all(line.fate is Fate.DELAYED for line in lines) else _TOGETHER_MS
        id_ = secrets.token_hex(16)
        told_to = letter.account or self._account_of(letter.mail_from)
        row = Owed(id_, mark, told_to, self._rows.sealed(id_, letter, lines), at, at + wait, 0)
        self._rows.add(transaction.sql, row)
        self._wake_in(wait / 1000)

    def _mark(self, letter: Told) -> bytes:
        """One for all that belongs together: a submission by JMAP has an envelope for each recipient."""
        own = mime.message_ids(mime.first(letter.head, "message-id") or b"")[:1]
        name = own[0] if own else letter.reference.encode()
        who = (letter.account or letter.mail_from.lower()).encode()
        return self._store.submission_fingerprint(b"report letter", who, name)[:16]

    def _account_of(self, mail_from: str) -> str:
        if not self._accounts.is_local_domain(mail_from.rpartition("@")[2].lower()):
            return ""
        found = self._accounts.by_address(mail_from)
        return found.id if found is not None else ""

    def wake(self) -> None:
        """From any thread, after the commit."""
        self._wake_in(0)

    def _wake_in(self, seconds: float) -> None:
        """Who files letters calls nobody after the commit: by then what was owed is due anyway."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        with contextlib.suppress(RuntimeError):  # the loop ended meanwhile
            loop.call_soon_threadsafe(loop.call_later, seconds + 0.05, self._wake.set)

    # -- telling

    def start(self) -> None:
        """What was owed and not told when the node stopped is told now."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="reports")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            sleep = _LONGEST_SLEEP
            try:
                await self.send_due()
                await self._forget()
                sleep = await self._until_next()
            except StoreError as failure:
                _log.error("reports wait (%s)", type(failure).__name__)
            except Exception as failure:  # one bad row must not end the telling of all others
                _log.error("reports failed: %s", type(failure).__name__)
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation on Python 3.11.
                async with asyncio.timeout(sleep):
                    await self._wake.wait()

    async def _until_next(self) -> float:
        due = await self._store.read(lambda reader: self._rows.next_due(reader.sql))
        if due is None:
            return _LONGEST_SLEEP
        return min(max((due - self._clock()) / 1000, 0.05), _LONGEST_SLEEP)

    async def send_due(self) -> int:
        """Tell what is due; how many reports left."""
        sent = 0
        while rows := await self._store.read(
            lambda reader: self._rows.next(reader.sql, self._clock(), _MOST)
        ):
            sent += await self._send(rows)
        return sent

    async def _send(self, rows: Sequence[Owed]) -> bool:
        try:
            told, lines = await asyncio.to_thread(self._opened, rows)
        except Unreadable:
            _log.error("a report cannot be read: damaged, or under another key")
            await self._later(rows)
            return False
        try:
            if rows[0].account:
                return await self._to_account(rows, told, lines)
            return await self._to_other_operator(rows, told, lines)
        except (Refusal, StoreError, KeyUnavailable, OSError) as failure:
            _log.warning("a report waits (%s)", type(failure).__name__)
            await self._later(rows)
            return False

    def _opened(self, rows: Sequence[Owed]) -> tuple[Told, list[Line]]:
        """Of what became of one recipient, the last thing is told; that it is late, only while nothing else is."""
        last: dict[str, Line] = {}
        told: Told | None = None
        for row in rows:
            told, settled = self._rows.opened(row)
            for one in settled:
                if one.fate is Fate.DELAYED and one.recipient.address in last:
                    continue
                last.pop(one.recipient.address, None)
                last[one.recipient.address] = Line(one, told.readable)
        assert told is not None
        order = {fate: number for number, fate in enumerate(Fate)}
        worst_first = (Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED, Fate.DELAYED)
        order |= {fate: number - len(worst_first) for number, fate in enumerate(worst_first)}
        lines = sorted(last.values(), key=lambda line: order[line.settled.fate])
        if account := rows[0].account:
            lines = [self._asking(AccountId(account), line) for line in lines]
        return told, lines

    def _asking(self, account: AccountId, line: Line) -> Line:
        """Who mistyped an address learns whom they may have meant, as far as that may be told to them."""
        settled = line.settled
        if settled.fate is not Fate.FAILED or words.cause(settled) is not words.Cause.UNKNOWN:
            return line
        return replace(line, meant=self._meant(account, settled.recipient.address))

    async def _to_account(self, rows: Sequence[Owed], told: Told, lines: Sequence[Line]) -> bool:
        account = self._accounts.by_id(AccountId(rows[0].account))
        if account is None or account.closed or self._files is None:
            await self._drop(rows)
            return False
        made = await asyncio.to_thread(self._composed, rows, account.shown, told, lines)
        noted = False

        def note(transaction: Transaction, at: int) -> None:
            nonlocal noted
            if not self._rows.remove(transaction.sql, rows):
                raise AlreadyFiled  # another node was quicker
            self._trail.append(transaction.sql, [self._told_event(account.id, told, lines, at)])
            noted = True

        await self._files.file(account, made.data, self._fingerprint(rows), note)
        if not noted:
            await self._told_before(rows)
            return False
        self._count(lines)
        return True

    async def _told_before(self, rows: Sequence[Owed]) -> None:
        """It was filed already: nothing of it is owed, unless another node told a part and left the rest."""

        def write(transaction: Transaction) -> None:
            if not self._rows.remove(transaction.sql, rows):
                raise AlreadyFiled

        with contextlib.suppress(AlreadyFiled):
            await self._store.write(write)

    async def _to_other_operator(self, rows: Sequence[Owed], told: Told, lines: Sequence[Line]) -> bool:
        """It holds no content: it leaves as it is, from nobody (RFC 3461 §6.1)."""
        domain = told.mail_from.rpartition("@")[2].lower()
        if self._queue is None or self._accounts.is_local_domain(domain):
            await self._drop(rows)  # an address of ours that nobody has any more
            return False
        queue = self._queue
        made = await asyncio.to_thread(self._composed, rows, told.mail_from, told, lines)
        data = await self._sign(made.data, self._domain) + made.data
        content = await self._store.stage(None, data, compress=True)
        name = _name(rows)
        outgoing = Outgoing(
            account=None,
            mail_from="",
            domain=domain,
            recipients=(OutgoingRecipient(told.mail_from, Notify.NEVER),),
            content=content,
            form=Form.WIRE,
            egress="",
            readable=Readable.GATED,
            size=len(data),
            head=made.head,
            reference="R" + name[:24],
            accepted_at=self._clock(),
            smtputf8=made.smtputf8,
            eight_bit=made.eight_bit,
        )

        def write(transaction: Transaction) -> bool:
            if not self._rows.remove(transaction.sql, rows):
                raise AlreadyFiled
            queue.lay(transaction, outgoing)
            self._trail.append(
                transaction.sql, [self._told_event("", told, lines, self._clock(), domain=domain)]
            )
            return True

        with contextlib.suppress(AlreadyFiled):
            await self._store.write(write)
            queue.wake()
            self._count(lines)
            return True
        return False

    def _composed(self, rows: Sequence[Owed], to: str, told: Told, lines: Sequence[Line]) -> Composed:
        at = max(row.owed_at for row in rows)
        return compose(Report(_name(rows), self._domain, to, told, lines, at, self._zone))

    def _fingerprint(self, rows: Sequence[Owed]) -> bytes:
        return self._store.submission_fingerprint(b"report", *(row.id.encode() for row in rows))

    def _told_event(
        self, account: str, told: Told, lines: Sequence[Line], at: int, *, domain: str = ""
    ) -> Event:
        detail = {"count": str(len(lines))} | ({"domain": domain} if domain else {})
        return Event(
            "delivery-report",
            at,
            "node",
            account,
            outcome=lines[0].settled.fate.value,
            reference=told.reference,
            detail=detail,
        )

    def _count(self, lines: Sequence[Line]) -> None:
        for line in lines:
            name = "failed" if line.settled.fate in _BAD else line.settled.fate.value
            setattr(self.counters, name, getattr(self.counters, name) + 1)

    async def _later(self, rows: Sequence[Owed]) -> None:
        now = self._clock()
        if now - min(row.owed_at for row in rows) > _GIVE_UP_MS:
            await self._drop(rows)
            return
        attempts = max(row.attempts for row in rows)
        due = now + (_RETRIES_MS[attempts] if attempts < len(_RETRIES_MS) else _LAST_MS)
        await self._store.write(lambda transaction: self._rows.postpone(transaction.sql, rows, due))

    async def _drop(self, rows: Sequence[Owed]) -> None:
        """Nobody is there to be told."""

        await self._store.write(lambda transaction: self._rows.drop(transaction.sql, rows))
        self.counters.dropped += 1

    async def _forget(self) -> None:
        """Once a day: which letters were late a month ago."""
        now = self._clock()
        if now - self._forgot_at < _DAY_MS:
            return
        await self._store.write(
            lambda transaction: self._rows.forget_delays(transaction.sql, now - _REMEMBER_MS)
        )
        self._forgot_at = now


def _name(rows: Sequence[Owed]) -> str:
    """The same at each attempt, for the same rows."""
    return hashlib.sha256("".join(row.id for row in rows).encode()).hexdigest()[:32]
