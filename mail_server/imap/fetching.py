"""FETCH and UID FETCH: slices of at most `SLICE` messages, each written before the next is read.

Invariants: the loop is never held for more than one slice; no more than `READ_AHEAD` octets of bodies are read
before they are written; a body is noted for the trace (its next commit) before its
first octet is written, and not read while the trace takes no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from mail_server.imap.access import may, write
from mail_server.imap.changing import ranges_of
from mail_server.imap.fetch_plan import Plan, TooMuch, UndecodablePart, compile_plan, cut_sections
from mail_server.imap.protocol.commands import Fetch, Item
from mail_server.imap.session import LARGE, SLICE, Refused, Session
from mail_server.imap.view import MailboxView
from mail_server.store.interface import Damaged, NoSuchMessage, Reader
from mail_server.store.model import Flag, FlagChange, MailboxId, MessageRow

READ_AHEAD = 1 << 20
_NOTHING: MessageRow = None  # type: ignore[assignment]  # plans without `needs_row` never look at it
_SEEN = int(Flag.SEEN)


async def fetch(session: Session, wanted: Fetch) -> bytes:
    view = session.selected
    if wanted.changed_since is not None or any(item.item is Item.MODSEQ for item in wanted.items):
        await session.use_condstore()
    ranges = ranges_of(session, wanted.which, wanted.by_uid)
    if wanted.changed_since is not None:
        since, modseqs = wanted.changed_since, view.modseqs
        indexes: Sequence[int] = [i for i in chain.from_iterable(ranges) if modseqs[i] > since]
    else:
        indexes = ranges[0] if len(ranges) == 1 else list(chain.from_iterable(ranges))
    plan = compile_plan(wanted.items, wanted.by_uid, wanted.changed_since is not None, session.rev2)
    problems = _Problems()
    step = max(1, SLICE // max(1, plan.header_sections))
    for start in range(0, len(indexes), step):
        part = indexes[start : start + step]
        if not plan.needs_row:
            session.write(b"".join([_line(plan, view, i, _NOTHING) + b")\r\n" for i in part]))
        elif not plan.sections:
            await _rows(session, plan, view, part, problems)
        else:
            await _bodies(session, plan, view, part, problems)
        await session.drain()
    session.services.limits.counters.messages_fetched += len(indexes)
    problems.tell(session, wanted.by_uid)
    return b"FETCH completed"


@dataclass(slots=True)
class _Problems:
    """What one message of many may have: told at the end, after all that could be answered."""

    gone: int = 0
    damaged: int = 0
    undecodable: int = 0
    too_much: int = 0

    def tell(self, session: Session, by_uid: bool) -> None:
        if self.gone:
            session.dirty = True
        if self.undecodable:
            raise Refused("[UNKNOWN-CTE] A part's transfer encoding is unknown")
        if self.too_much:
            raise Refused("[LIMIT] Too many sections of one message in one command")
        if self.damaged:
            raise Refused("[SERVERBUG] A stored message is damaged, the operator was told")
        if self.gone and not by_uid:
            # RFC 5530 §3: the client learns it at its next command.
            raise Refused("[EXPUNGEISSUED] Some of the messages are gone")


def _line(plan: Plan, view: MailboxView, index: int, row: MessageRow) -> bytes:
    return plan.template % (index + 1, *[value(view, index, row) for value in plan.values])


async def _rows(
    session: Session, plan: Plan, view: MailboxView, part: Sequence[int], problems: _Problems
) -> None:
    """What the rendered rows answer: listings."""
    mailbox, uids = view.mailbox.id, [view.uids[i] for i in part]
    rows = await session.services.store.read(lambda reader: reader.rows(mailbox, uids))
    marked = await _mark_seen(session, plan, view, part)
    if len(rows) == len(part):
        lines = [
            _line(plan, view, i, row) + _ending(session, plan, view, i, marked)
            for i, row in zip(part, rows, strict=True)
        ]
    else:
        problems.gone += len(part) - len(rows)
        lines = [
            _line(plan, view, i, row) + _ending(session, plan, view, i, marked)
            for row in rows
            if (i := view.index_of(row.uid)) is not None
        ]
    session.write(b"".join(lines))


def _ending(session: Session, plan: Plan, view: MailboxView, index: int, marked: set[int]) -> bytes:
    if not marked or view.uids[index] not in marked:
        return b")\r\n"
    told = b""
    if not plan.tells_flags:
        told += b" FLAGS (" + view.flags_text(index, not session.rev2) + b")"
    if session.condstore:
        told += b" MODSEQ (%d)" % view.modseqs[index]
    return told + b")\r\n"


async def _mark_seen(session: Session, plan: Plan, view: MailboxView, part: Sequence[int]) -> set[int]:
    """\\Seen as BODY[...] without PEEK sets it; UIDs it was new to."""
    if not plan.marks_seen or view.read_only or not session.services.store.writable:
        return set()
    if not may(session, view.mailbox.account, "s"):
        return set()
    mailbox = view.mailbox.id
    unseen = [view.uids[i] for i in part if not view.flags[i] & _SEEN]
    if not unseen:
        return set()
    changed = await write(
        session,
        view.mailbox.account,
        lambda transaction: transaction.set_flags(mailbox, unseen, FlagChange.ADD, Flag.SEEN, frozenset()),
    )
    view.take(changed.changed)
    return {membership.uid for membership in changed.changed}


# ── bodies ──


@dataclass(slots=True)
class _Batch:
    """Rows of a slice, read once, and the sections cut so far."""

    rows: list[MessageRow]
    next: int = 0
    cut: list[tuple[MessageRow, list[bytes]]] = field(
        default_factory=list[tuple[MessageRow, list[bytes]]], repr=False
    )


def _read_ahead(
    reader: Reader,
    plan: Plan,
    mailbox: MailboxId,
    uids: Sequence[int],
    batch: _Batch | None,
    problems: _Problems,
) -> _Batch:
    """On the store's threads: rows the first time, then contents until READ_AHEAD octets are cut."""
    batch = batch or _Batch(reader.rows(mailbox, uids))
    batch.cut = []
    octets = 0
    while batch.next < len(batch.rows) and octets < READ_AHEAD:
        row = batch.rows[batch.next]
        batch.next += 1
        try:
            pieces = cut_sections(plan, row, reader.content(row.message))
        except NoSuchMessage:
            problems.gone += 1
            continue
        except Damaged:
            problems.damaged += 1
            continue
        except UndecodablePart:
            problems.undecodable += 1
            continue
        except TooMuch:
            problems.too_much += 1
            continue
        octets += sum(map(len, pieces))
        batch.cut.append((row, pieces))
    return batch


async def _bodies(
    session: Session, plan: Plan, view: MailboxView, part: Sequence[int], problems: _Problems
) -> None:
    mailbox, uids = view.mailbox.id, [view.uids[i] for i in part]
    batch: _Batch | None = None
    first = True
    while first or (batch is not None and batch.next < len(batch.rows)):
        if plan.reads_body:
            session.require_trace()
        known = batch
        batch = await session.services.store.read(
            lambda reader, known=known: _read_ahead(reader, plan, mailbox, uids, known, problems)
        )
        if first:
            problems.gone += len(uids) - len(batch.rows)
            first = False
        here = [(i, row, pieces) for row, pieces in batch.cut if (i := view.index_of(row.uid)) is not None]
        batch.cut = []
        marked = await _mark_seen(session, plan, view, [i for i, _, _ in here])
        if plan.reads_body:
            if session.services.receipts is not None:
                headers = [row.rendered.header for _, row, _ in here]
                await session.services.receipts.opened(view.mailbox.account, headers)
            session.trace_reads(((row.message, row.email_id) for _, row, _ in here), view.mailbox.account)
        await _write_bodies(session, plan, view, here, marked)


async def _write_bodies(
    session: Session,
    plan: Plan,
    view: MailboxView,
    here: Sequence[tuple[int, MessageRow, list[bytes]]],
    marked: set[int],
) -> None:
    waiting: list[bytes] = []
    octets = 0
    for index, row, pieces in here:
        waiting.append(_line(plan, view, index, row))
        separator = b" " if plan.values else b""
        for piece in range(0, len(pieces), 2):
            waiting.append(separator + pieces[piece])
            separator = b" "
            data = pieces[piece + 1]
            octets += len(data)
            if len(data) > LARGE:
                session.write(b"".join(waiting))
                waiting.clear()
                await session.write_large(data)
            else:
                waiting.append(data)
        waiting.append(_ending(session, plan, view, index, marked))
        if octets > LARGE:
            session.write(b"".join(waiting))
            waiting.clear()
            octets = 0
            await session.drain()
    session.write(b"".join(waiting))
