"""SEARCH and UID SEARCH, with RETURN (RFC 4731), SAVE (RFC 5182) and MODSEQ (RFC 7162).

Invariants: what the view can answer narrows first; rows and contents are examined on the store's threads, in
slices, so that a search through everything delays nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mail_server.imap.protocol.commands import AllOf, Everything, Flagged, Key, Search
from mail_server.imap.protocol.responses import string
from mail_server.imap.protocol.sequence import compact
from mail_server.imap.search_plan import (
    FROM_CONTENT,
    FROM_VIEW,
    Compiler,
    Evidence,
    OfMessage,
    cost,
    mentions_modseq,
)
from mail_server.imap.session import Session
from mail_server.imap.view import FLAG_NAMES, MailboxView
from mail_server.store.interface import Damaged, NoSuchMessage, Reader
from mail_server.store.model import MailboxId

VIEW_SLICE = 4_000
ROW_SLICE = 500
CONTENT_SECONDS = 0.05  # one turn of a store thread over contents
NOTICE = (
    b"OK Sealed messages were searched by their outer headers only / messages scelles: en-tetes seulement"
)


async def search(session: Session, wanted: Search, tag: bytes) -> bytes:
    view = session.selected
    if mentions_modseq(wanted.key):
        await session.use_condstore()
    if wanted.returns is not None and "SAVE" in wanted.returns:
        previous, session.saved = session.saved, []  # RFC 5182 §2.1: a search that fails saves nothing
    else:
        previous = session.saved
    found = await _find(session, view, wanted.key, previous)
    if wanted.returns is None and not session.rev2:
        text = await session.apart(len(found), _search_text, view, wanted, found)
    else:
        text = await session.apart(len(found), _esearch_text, session, view, wanted, found, tag)
    if text is not None:
        session.untagged(text)
    return b"SEARCH completed"


async def _find(session: Session, view: MailboxView, key: Key, saved: Sequence[int]) -> list[int]:
    """Indexes that match, ascending."""
    compiler = Compiler(view, saved)
    keys = sorted(key.keys, key=cost) if isinstance(key, AllOf) else [key]
    candidates: Sequence[int] = range(len(view))
    dear: list[Key] = []
    for one in keys:
        if cost(one) == FROM_VIEW:
            candidates = await _narrow(compiler, view, one, candidates)
        else:
            dear.append(one)
    if not dear or not candidates:
        return list(candidates)
    return await _examine(
        session, view, compiler.of_message(AllOf(tuple(dear))), candidates, max(map(cost, dear))
    )


async def _narrow(compiler: Compiler, view: MailboxView, key: Key, among: Sequence[int]) -> Sequence[int]:
    if isinstance(key, Everything):
        return among
    kept: list[int] = []
    judge = compiler.of_index(key)
    for start in range(0, len(among), VIEW_SLICE):
        part = among[start : start + VIEW_SLICE]
        if isinstance(key, Flagged) and key.flag != "recent":
            flags, mask = view.flags, int(FLAG_NAMES[key.flag])
            wanted = mask if key.wanted else 0
            kept += [i for i in part if flags[i] & mask == wanted]
        else:
            kept += [i for i in part if judge(i)]
        if start + VIEW_SLICE < len(among):
            await asyncio.sleep(0)
    return kept


@dataclass(slots=True)
class _Turn:
    """What one turn on a store thread found, and how far it came."""

    matched: list[int] = field(default_factory=list[int])  # uids
    examined: int = 0
    sealed: bool = False
    opened: int = 0  # letters whose text was looked through


async def _examine(
    session: Session, view: MailboxView, judge: OfMessage, candidates: Sequence[int], dearest: int
) -> list[int]:
    mailbox = view.mailbox.id
    size = ROW_SLICE if dearest < FROM_CONTENT else ROW_SLICE // 10
    found: list[int] = []
    sealed = False
    opened = 0
    start = 0
    if dearest >= FROM_CONTENT:
        session.require_trace()
    while start < len(candidates):
        uids = [view.uids[i] for i in candidates[start : start + size]]
        turn = await session.services.store.read(
            lambda reader, uids=uids: _turn(reader, mailbox, view, uids, judge)
        )
        start += turn.examined
        sealed |= turn.sealed
        opened += turn.opened
        found += [i for uid in turn.matched if (i := view.index_of(uid)) is not None]
    if opened:
        session.trace_search(opened, view.mailbox.account)
    if sealed:
        session.untagged(NOTICE)
    return found


def _turn(
    reader: Reader, mailbox: MailboxId, view: MailboxView, uids: Sequence[int], judge: OfMessage
) -> _Turn:
    """Runs on a store thread; the session waits meanwhile, so the view stands still."""
    turn = _Turn(examined=len(uids))
    until = time.monotonic() + CONTENT_SECONDS
    rows = reader.rows(mailbox, uids)
    for row in rows:
        index = view.index_of(row.uid)
        if index is None:
            continue
        evidence = Evidence(index, row, lambda message=row.message: reader.content(message))
        try:
            if judge(evidence):
                turn.matched.append(row.uid)
        except (NoSuchMessage, Damaged):
            continue
        finally:
            turn.sealed |= evidence.sealed
            turn.opened += evidence.opened
        if time.monotonic() > until:
            turn.examined = sum(1 for uid in uids if uid <= row.uid)
            break
    return turn


# ── answers ──


def _search_text(view: MailboxView, wanted: Search, found: Sequence[int]) -> bytes:
    numbers = [view.uids[i] for i in found] if wanted.by_uid else [i + 1 for i in found]
    text = b"SEARCH" + b"".join([b" %d" % number for number in numbers])
    if found and mentions_modseq(wanted.key):
        # RFC 7162 §3.1.5
        text += b" (MODSEQ %d)" % max(view.modseqs[i] for i in found)
    return text


def _esearch_text(
    session: Session, view: MailboxView, wanted: Search, found: Sequence[int], tag: bytes
) -> bytes | None:
    """Also keeps what is to be saved; None when nothing else was asked."""
    returns = wanted.returns or frozenset({"ALL"})
    ends = [found[0], found[-1]] if found else []
    only_ends = not returns & {"ALL", "COUNT"} and bool(returns & {"MIN", "MAX"})
    if only_ends:
        ends = [i for name, i in zip(("MIN", "MAX"), ends, strict=False) if name in returns]
    if "SAVE" in returns:
        # RFC 5182 §2.4: with MIN or MAX alone, only these are saved.
        session.saved = [view.uids[i] for i in (sorted(set(ends)) if only_ends else found)]
        if returns == frozenset({"SAVE"}):
            return None
    numbers = [view.uids[i] for i in found] if wanted.by_uid else [i + 1 for i in found]
    text = b"ESEARCH (TAG " + string(tag) + b")" + (b" UID" if wanted.by_uid else b"")
    if numbers:
        if "MIN" in returns:
            text += b" MIN %d" % numbers[0]
        if "MAX" in returns:
            text += b" MAX %d" % numbers[-1]
    if "COUNT" in returns:
        text += b" COUNT %d" % len(numbers)
    if numbers and "ALL" in returns:
        # RFC 4731 §3.1: no ALL when nothing was found.
        text += b" ALL " + compact(numbers)
    if found and mentions_modseq(wanted.key):
        # RFC 7162 §3.1.10: of the messages told, or of all that matched.
        text += b" MODSEQ %d" % max(view.modseqs[i] for i in (ends if only_ends else found))
    return text
