"""APPEND: a message a mail program keeps, from its announcement to `Delivery.keep`.

Invariants: nothing is read before the mailbox was found and the octets are within the node's budget; what was
taken from the budget is given back however the command ends.
"""

from __future__ import annotations

from mail_server.imap.access import require, rights, settable
from mail_server.imap.changing import flags_of
from mail_server.imap.mailboxes import find
from mail_server.imap.protocol import MessageAnnounced, MessageReceived
from mail_server.imap.protocol.commands import Append
from mail_server.imap.session import Refused, Session
from mail_server.store.interface import NoSuchMailbox
from mail_server.store.model import Mailbox
from policies.refusal import Refusal


async def announce(session: Session, event: MessageAnnounced) -> None:
    """Agree to hold the message, or raise Refused."""
    session.require_space()
    if event.size == 0:
        raise Refused("[CANNOT] An empty message cannot be kept")
    mailbox = await _mailbox(session, event.append)
    require(session, mailbox.account, "i")
    if not session.services.limits.hold(event.size):
        raise Refused("[UNAVAILABLE] Too many messages are being stored, try again in a minute")


async def _mailbox(session: Session, append: Append) -> Mailbox:
    try:
        return await find(session, append.mailbox)
    except NoSuchMailbox:
        # RFC 9051 §6.3.12
        raise Refused("[TRYCREATE] No such mailbox") from None


async def append(session: Session, event: MessageReceived) -> bytes:
    if event.append.binary and b"\0" in event.message:
        # RFC 3516 §4.4: what we cannot store as it is, we refuse.
        raise Refused("[UNKNOWN-CTE] NUL octets cannot be stored")
    wanted = event.append
    mailbox = await _mailbox(session, wanted)
    require(session, mailbox.account, "i")
    letters = rights(session, mailbox.account)
    view = session.view
    here = view is not None and view.mailbox.id == mailbox.id
    spelling = view.spelling if view is not None and here else str
    try:
        filed = await session.services.delivery.keep(
            session.person,
            mailbox.id,
            event.message,
            # RFC 4314 §4: flags that this person may not set there are left out.
            flags_of(wanted.flags.system) & settable(letters),
            frozenset(spelling(word) for word in wanted.flags.keywords if "w" in letters),
            wanted.received_at,
        )
    except Refusal as refusal:
        raise Refused(f"{_code(refusal)} {refusal.sentence} (ref {refusal.id})") from None
    session.services.limits.counters.messages_appended += 1
    if here:
        session.dirty = True
    # RFC 4315 §3
    return b"[APPENDUID %d %d] APPEND completed" % (filed.uidvalidity, filed.uid)


def _code(refusal: Refusal) -> str:
    if refusal.code == 552:
        return "[TOOBIG]"
    if refusal.code == 452:
        return "[OVERQUOTA]"
    return "[UNAVAILABLE]" if refusal.temporary else "[CANNOT]"
