"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, NOOP, IDLE: which mailbox is open, and what is told of it.

Invariant: what SELECT says and what the view holds come from one read of one state of the store.
"""

from __future__ import annotations

from dataclasses import replace

from mail_server.accounts.access import CHANGING, READ
from mail_server.imap.access import may, read, require, rights, settable
from mail_server.imap.mailboxes import target_of
from mail_server.imap.protocol import LineReceived
from mail_server.imap.protocol.commands import Bare, Select
from mail_server.imap.protocol.responses import mailbox as mailbox_text
from mail_server.imap.session import Farewell, Refused, Session, Wrong
from mail_server.imap.view import FLAG_WORDS, MailboxView
from mail_server.store.interface import NoSuchMailbox, Reader
from mail_server.store.model import EVERY_FLAG, MailboxId


async def select(session: Session, wanted: Select) -> bytes:
    return await _open(session, wanted, read_only=False)


async def examine(session: Session, wanted: Select) -> bytes:
    return await _open(session, wanted, read_only=True)


async def _open(session: Session, wanted: Select, read_only: bool) -> bytes:
    if session.view is not None:
        # RFC 9051 §6.3.2: the old mailbox is closed even when the new one cannot be opened.
        await session.close_view()
        session.untagged(b"OK [CLOSED] Previous mailbox closed")
    target = target_of(session, wanted.mailbox)
    require(session, target.account, READ)
    writable = session.services.store.writable and bool(CHANGING & set(rights(session, target.account)))

    def load(reader: Reader) -> MailboxView:
        mailbox = reader.mailbox_by_name(target.account, target.name)
        view = MailboxView(mailbox, wanted.mailbox, read_only or not writable, mailbox.first_recent)
        view.load(reader.memberships(mailbox.id))
        return view

    view = await read(session, target.account, load)
    session.open_view(view)
    if not view.read_only and view.recent:
        view.recent_from = await _claim_recent(session, view.mailbox.id)
        view.mailbox = replace(view.mailbox, first_recent=view.mailbox.uidnext)
    if wanted.condstore:
        session.condstore = True
    _tell(session, view)
    word = (
        b"[READ-ONLY] EXAMINE"
        if read_only
        else b"[READ-ONLY] SELECT"
        if view.read_only
        else b"[READ-WRITE] SELECT"
    )
    return word + b" completed"


async def _claim_recent(session: Session, mailbox: MailboxId) -> int:
    try:
        return await session.services.store.write(lambda transaction: transaction.claim_recent(mailbox))
    except NoSuchMailbox:
        await session.close_view()
        raise Refused("[NONEXISTENT] No such mailbox") from None


def _tell(session: Session, view: MailboxView) -> None:
    """RFC 9051 §6.3.2, RFC 3501 §6.3.1, RFC 7162 §3.1.2.1, RFC 8474 §4.2."""
    mailbox = view.mailbox
    known = view.known_flags()
    session.untagged(b"FLAGS (" + known + b")")
    permanent = b"" if view.read_only else _permanent(session, view)
    session.untagged(b"OK [PERMANENTFLAGS (" + permanent + b")] Flags permitted")
    session.untagged(b"%d EXISTS" % len(view))
    if session.rev2:
        name = mailbox_text(view.shown_name, utf8=True)
        session.untagged(b'LIST () "/" ' + name)
    else:
        session.untagged(b"%d RECENT" % view.recent)
        unseen = view.first_unseen
        if unseen is not None:
            session.untagged(b"OK [UNSEEN %d] First unseen" % unseen)
    session.untagged(b"OK [UIDVALIDITY %d] UIDs valid" % mailbox.uidvalidity)
    session.untagged(b"OK [UIDNEXT %d] Predicted next UID" % mailbox.uidnext)
    session.untagged(b"OK [HIGHESTMODSEQ %d] Highest" % mailbox.highestmodseq)
    session.untagged(b"OK [MAILBOXID (" + mailbox.object_id.encode("ascii") + b")] Its id")


def _permanent(session: Session, view: MailboxView) -> bytes:
    """RFC 4314 §5.1.1: the flags that this person may change here."""
    letters = rights(session, view.mailbox.account)
    may_set = settable(letters)
    words = [word for flag, word in FLAG_WORDS.items() if flag & may_set]
    if "w" in letters:
        return view.known_flags() + b" \\*" if may_set == EVERY_FLAG else b" ".join([*words, b"\\*"])
    return b" ".join(words)


async def close(session: Session, _: Bare) -> bytes:
    """RFC 9051 §6.4.1: what is \\Deleted goes, silently; after EXAMINE nothing goes and the answer is OK."""
    view = session.selected
    if not view.read_only and session.services.store.writable:
        # RFC 4314 §4: without "e" CLOSE removes nothing, and says so to nobody.
        deleted = view.deleted_among() if may(session, view.mailbox.account, "e") else []
        if deleted:
            mailbox = view.mailbox.id
            try:
                await session.services.store.write(lambda transaction: transaction.expunge(mailbox, deleted))
            except NoSuchMailbox:
                view.read_only = True
    await session.close_view()
    return b"CLOSE completed"


async def unselect(session: Session, _: Bare) -> bytes:
    await session.close_view()
    return b"UNSELECT completed"


async def check(session: Session, _: Bare) -> bytes:
    return b"CHECK completed"


async def noop(session: Session, _: Bare) -> bytes:
    return b"NOOP completed"


async def idle(session: Session, _: Bare) -> bytes:
    """RFC 2177: what happens is told as it happens, until DONE."""
    session.connection.expect_line()
    session.write(b"+ idling\r\n")
    while (event := session.connection.next_event()) is None:
        session.check_rights()
        await session.refresh(may_expunge=True)
        await session.wait()
    if not isinstance(event, LineReceived):
        raise Farewell("Unexpected input")
    if event.line.strip().upper() != b"DONE":
        raise Wrong("Expected DONE")
    return b"IDLE completed"
