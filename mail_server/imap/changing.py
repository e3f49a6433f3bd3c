"""STORE, COPY, MOVE, EXPUNGE: what changes messages already there.

Invariants: each command is one transaction, durable before its answer; the view follows what the store said
happened, not what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from mail_server.conversations.closings import MAILBOX as CLOSING_MAILBOX
from mail_server.conversations.closings import Actor, Wish
from mail_server.imap.access import require, rights, settable, write
from mail_server.imap.mailboxes import target_of
from mail_server.imap.names import Target
from mail_server.imap.protocol.commands import Change, Copy, Expunge, Store
from mail_server.imap.protocol.sequence import SequenceSet, compact
from mail_server.imap.session import SLICE, Refused, Session, Wrong
from mail_server.imap.view import FLAG_NAMES, MailboxView
from mail_server.store.interface import NoSuchMailbox, Transaction
from mail_server.store.model import EVERY_FLAG, Copied, Flag, FlagChange, FlagsChanged, MailboxId

_CHANGES = {
    Change.REPLACE: FlagChange.REPLACE,
    Change.ADD: FlagChange.ADD,
    Change.REMOVE: FlagChange.REMOVE,
}


def ranges_of(session: Session, which: SequenceSet, by_uid: bool) -> list[range]:
    """Index ranges a command speaks of. Raises Wrong for message numbers that do not exist."""
    view = session.selected
    if which.saved:
        # RFC 5182 §2.1: `$` may hold UIDs gone since; they are skipped.
        known = [i for uid in session.saved if (i := view.index_of(uid)) is not None]
        return [range(i, i + 1) for i in known]
    if by_uid:
        return which.among_uids(view.uids)
    ranges = which.among_numbers(len(view))
    if ranges is None:
        raise Wrong("No such message number")
    return ranges


def indexes_of(session: Session, which: SequenceSet, by_uid: bool) -> list[int]:
    return list(chain.from_iterable(ranges_of(session, which, by_uid)))


def flags_of(names: Iterable[str]) -> Flag:
    flags = Flag.NONE
    for name in names:
        flags |= FLAG_NAMES.get(name, Flag.NONE)  # \Recent cannot be set: it is ignored
    return flags


async def store(session: Session, wanted: Store) -> bytes:
    view = session.writable_view
    indexes = indexes_of(session, wanted.which, wanted.by_uid)
    if wanted.unchanged_since is not None:
        await session.use_condstore()
    uids = [view.uids[i] for i in indexes]
    flags = flags_of(wanted.flags.system)
    keywords = frozenset(view.spelling(word) for word in wanted.flags.keywords)
    among, words_too = _allowed(session, view, wanted.change, flags, bool(keywords))
    mailbox, change, since = view.mailbox.id, _CHANGES[wanted.change], wanted.unchanged_since
    changed = FlagsChanged([], [])
    if uids:
        changed = await write(
            session,
            view.mailbox.account,
            lambda transaction: transaction.set_flags(
                mailbox, uids, change, flags, keywords, since, among, words_too
            ),
        )
    for start in range(0, len(changed.changed), SLICE):
        touched, new_keywords = view.take(changed.changed[start : start + SLICE])
        if new_keywords:
            session.tell_known_flags(view)
        if not wanted.silent or session.condstore:
            # RFC 7162 §3.1.3: the new modseq is told even when .SILENT
            await session.tell_flags(touched, wanted.by_uid, only_modseq=wanted.silent)
        await session.drain()
    return _stored(session, view, wanted, uids, changed)


def _allowed(
    session: Session, view: MailboxView, change: Change, flags: Flag, keywords: bool
) -> tuple[Flag, bool]:
    """RFC 4314 §4: which flags this STORE touches; it fails only when it may touch none that it names."""
    letters = rights(session, view.mailbox.account)
    among = settable(letters)
    words_too = "w" in letters
    named = EVERY_FLAG if change is Change.REPLACE else flags
    if (named & among) or (words_too and (keywords or change is Change.REPLACE)):
        return among, words_too
    if named or keywords:
        raise Refused("[NOPERM] You may not change these flags here")
    return among, words_too


def _stored(
    session: Session, view: MailboxView, wanted: Store, uids: Sequence[int], changed: FlagsChanged
) -> bytes:
    code = b""
    if changed.modified:
        failed: list[int] = list(changed.modified)
        if not wanted.by_uid:
            failed = [i + 1 for uid in failed if (i := view.index_of(uid)) is not None]
        # The client learns the present flags of what it could not change.
        session.dirty = True
        code = b"[MODIFIED " + compact(sorted(failed)) + b"] "
    if not wanted.by_uid and len(changed.changed) + len(changed.modified) < len(uids):
        # RFC 2180 §4.2.1: some are gone, which the client does not know yet.
        session.dirty = True
        raise Refused("[EXPUNGEISSUED] Some of the messages are gone")
    return code + b"STORE completed"


async def copy(session: Session, wanted: Copy) -> bytes:
    session.require_space()
    _, copied = await _transfer(session, wanted, moving=False)
    return _copyuid(copied) + b"COPY completed"


async def move(session: Session, wanted: Copy) -> bytes:
    """RFC 6851 §3.3: COPYUID first, untagged, then the EXPUNGEs, then OK."""
    view = session.writable_view
    require(session, view.mailbox.account, "te")  # RFC 4314 §4
    _, copied = await _transfer(session, wanted, moving=True)
    if copied.source_uids:
        session.untagged(b"OK " + _copyuid(copied) + b"Moved")
        gone = set(copied.source_uids)
        await session.tell_expunged(await session.apart(len(view), view.remove, gone))
        session.dirty = True
    return b"MOVE completed"


async def _transfer(session: Session, wanted: Copy, moving: bool) -> tuple[list[int], Copied]:
    view = session.selected
    indexes = indexes_of(session, wanted.which, wanted.by_uid)
    target = target_of(session, wanted.mailbox)
    uids = [view.uids[i] for i in indexes]
    require(session, target.account, "i")
    source = view.mailbox.id
    kept_out = EVERY_FLAG & ~settable(rights(session, target.account))
    own_seen = session.seer(view.mailbox.account) is not None
    leaves = target.account != view.mailbox.account
    if leaves:
        session.require_trace()
    taken: dict[int, str] = {}  # uid: EMAILID, of what goes over to another account
    closing = await _closing(session, target, source, uids)

    def transfer(transaction: Transaction) -> Copied:
        to = transaction.mailbox_by_name(target.account, target.name)
        if not uids:
            return Copied(to.uidvalidity, [], [])
        if leaves:
            taken.update((row.uid, row.email_id) for row in transaction.rows(source, uids))
        if closing is not None:
            for row in transaction.rows(source, uids):
                closing(transaction, row.rendered.header)
        done = transaction.move(source, uids, to.id) if moving else transaction.copy(source, uids, to.id)
        if leaves and own_seen:
            _take_seen_along(transaction, to.id, done, view)
        if leaves and kept_out and done.target_uids:
            transaction.set_flags(to.id, done.target_uids, FlagChange.REMOVE, kept_out, frozenset())
        return done

    try:
        copied = await write(session, target.account, transfer)
    except NoSuchMailbox:
        # RFC 9051 §6.4.7
        raise Refused("[TRYCREATE] No such mailbox") from None
    if leaves:
        word = "move" if moving else "copy"
        session.trace_taken(
            word, [taken[uid] for uid in copied.source_uids], view.mailbox.account, target.account
        )
    else:
        session.dirty = True
    return uids, copied


async def _closing(session: Session, target: Target, source: MailboxId, uids: Sequence[int]) -> Wish | None:
    """What a professional closes who files letters in `Clos`; asked before the transaction that files them."""
    closings = session.services.closings
    if closings is None or target.name != CLOSING_MAILBOX or not uids:
        return None
    return await closings.wish(
        target.account,
        Actor(session.person.account, session.peer.session, session.peer.address),
        lambda reader: [row.rendered.header for row in reader.rows(source, uids)],
    )


def _take_seen_along(transaction: Transaction, to: MailboxId, done: Copied, view: MailboxView) -> None:
    """What this person has seen is theirs: in another account it is a flag of the copy."""
    seen = [
        target
        for source, target in zip(done.source_uids, done.target_uids, strict=True)
        if (i := view.index_of(source)) is not None and view.flags[i] & Flag.SEEN
    ]
    if seen:
        transaction.set_flags(to, seen, FlagChange.ADD, Flag.SEEN, frozenset())


def _copyuid(copied: Copied) -> bytes:
    if not copied.source_uids:
        return b""
    # RFC 4315 §3: source and target pairwise.
    return b"[COPYUID %d %b %b] " % (
        copied.uidvalidity,
        compact(copied.source_uids),
        compact(copied.target_uids),
    )


async def expunge(session: Session, wanted: Expunge) -> bytes:
    view = session.writable_view
    require(session, view.mailbox.account, "e")
    ranges = None if wanted.uids is None else ranges_of(session, wanted.uids, by_uid=True)
    deleted = view.deleted_among(ranges)
    if deleted:
        mailbox = view.mailbox.id
        gone = await session.services.store.write(lambda transaction: transaction.expunge(mailbox, deleted))
        await session.tell_expunged(await session.apart(len(view), view.remove, set(gone)))
        session.dirty = True
    return b"EXPUNGE completed"
