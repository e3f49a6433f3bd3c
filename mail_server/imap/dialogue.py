"""Runs a session: events of the core to handlers, their outcome to tagged answers, any bug to `[SERVERBUG]`.

Invariant: only a lost client, BYE or LOGOUT ends a session; an exception is a tagged NO with an id, and a log line
with that id, the kind of the error and where it rose, never its text.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from mail_server.imap import appending, changing, fetching, login, mailboxes, searching, selecting, sharing
from mail_server.imap.protocol import (
    CommandReceived,
    CommandRejected,
    ContinuationWanted,
    Event,
    LineReceived,
    MessageAnnounced,
    MessageReceived,
    State,
)
from mail_server.imap.protocol.responses import line_text
from mail_server.imap.protocol.states import WITHOUT_EXPUNGE
from mail_server.imap.session import Farewell, Gone, Refused, Session, Wrong
from mail_server.store.interface import (
    MailboxExists,
    MailboxProtected,
    NoSpace,
    NoSuchAccount,
    NoSuchMailbox,
    StoreUnavailable,
)

log = logging.getLogger("vaguemestre.imap")

Handler = Callable[[Session, Any], Awaitable[bytes]]
HANDLERS: dict[str, Handler] = {
    "CAPABILITY": login.capability,
    "NOOP": selecting.noop,
    "LOGOUT": login.logout,
    "ID": login.identify,
    "LOGIN": login.login,
    "AUTHENTICATE": login.authenticate,
    "ENABLE": login.enable,
    "SELECT": selecting.select,
    "EXAMINE": selecting.examine,
    "CREATE": mailboxes.create,
    "DELETE": mailboxes.delete,
    "RENAME": mailboxes.rename,
    "SUBSCRIBE": mailboxes.subscribe,
    "UNSUBSCRIBE": mailboxes.unsubscribe,
    "LIST": mailboxes.list_mailboxes,
    "LSUB": mailboxes.list_subscribed,
    "NAMESPACE": mailboxes.namespace,
    "SETACL": sharing.set_acl,
    "DELETEACL": sharing.delete_acl,
    "GETACL": sharing.get_acl,
    "LISTRIGHTS": sharing.list_rights,
    "MYRIGHTS": sharing.my_rights,
    "STATUS": mailboxes.status,
    "IDLE": selecting.idle,
    "CHECK": selecting.check,
    "CLOSE": selecting.close,
    "UNSELECT": selecting.unselect,
    "EXPUNGE": changing.expunge,
    "UID EXPUNGE": changing.expunge,
    "FETCH": fetching.fetch,
    "UID FETCH": fetching.fetch,
    "STORE": changing.store,
    "UID STORE": changing.store,
    "COPY": changing.copy,
    "UID COPY": changing.copy,
    "MOVE": changing.move,
    "UID MOVE": changing.move,
}
_WITH_TAG: dict[str, Callable[[Session, Any, bytes], Awaitable[bytes | None]]] = {
    "SEARCH": searching.search,
    "UID SEARCH": searching.search,
    "STARTTLS": login.start_tls,
}
# What the store says, as RFC 5530 codes.
_STORE_ANSWERS: tuple[tuple[type[Exception], str], ...] = (
    (NoSuchMailbox, "[NONEXISTENT] No such mailbox"),
    (NoSuchAccount, "[NONEXISTENT] No such mailbox"),
    (MailboxExists, "[ALREADYEXISTS] There is a mailbox of that name"),
    (MailboxProtected, "[CANNOT] This mailbox has a special use and stays"),
    (NoSpace, "[UNAVAILABLE] Read-only for want of disk space, try again later"),
    (StoreUnavailable, "[UNAVAILABLE] The store does not answer, try again later"),
)


async def run(session: Session) -> None:
    """Greeting to end. Returns when the connection is to be closed."""
    held = 0
    try:
        session.untagged(b"OK [CAPABILITY " + session.capability_words() + b"] Vaguemestre")
        while session.connection.state is not State.LOGOUT:
            event = session.connection.next_event()
            if event is None:
                await session.wait()
                continue
            if isinstance(event, MessageAnnounced):
                held = await _announced(session, event)
                continue
            try:
                await _act(session, event)
            finally:
                if held and not isinstance(event, ContinuationWanted):
                    session.services.limits.release(held)
                    held = 0
            await session.drain()
    except Farewell as farewell:
        session.untagged(b"BYE " + line_text(str(farewell)))
    except (Gone, ConnectionError):
        pass
    finally:
        if held:
            session.services.limits.release(held)
        await _leave(session)


async def _leave(session: Session) -> None:
    try:
        await session.close_view()
    except Exception as error:
        _report(session, error)
    if session.identity is not None:
        session.services.limits.log_out(session.identity.account)


async def _announced(session: Session, event: MessageAnnounced) -> int:
    """Octets taken from the budget, 0 when the message was refused."""
    try:
        session.check_rights()
        await appending.announce(session, event)
    except (Farewell, Gone, ConnectionError):
        raise
    except Exception as error:
        _answer(session, event.tag, *_failure(session, error))
        session.connection.refuse_message()
        return 0
    session.connection.accept_message()
    if event.synchronizing:
        session.write(b"+ OK\r\n")
    return event.size


async def _act(session: Session, event: Event) -> None:
    match event:
        case ContinuationWanted():
            session.write(b"+ OK\r\n")
        case CommandReceived(command):
            await _command(session, command.tag, command.name, command.arguments)
        case MessageReceived(tag=tag):
            await _finish(session, tag, "APPEND", lambda: appending.append(session, event))
        case CommandRejected(tag, text, status, fatal):
            if fatal:
                raise Farewell(text)
            _answer(session, tag, status.encode("ascii"), line_text(text))
        case LineReceived() | MessageAnnounced():
            pass


async def _command(session: Session, tag: bytes, name: str, arguments: Any) -> None:
    with_tag = _WITH_TAG.get(name)
    if with_tag is not None:
        await _finish(session, tag, name, lambda: with_tag(session, arguments, tag))
    else:
        handler = HANDLERS[name]
        await _finish(session, tag, name, lambda: handler(session, arguments))


async def _finish(
    session: Session, tag: bytes, name: str, work: Callable[[], Awaitable[bytes | None]]
) -> None:
    """Do the work, tell what others did, then the tagged answer."""
    session.services.limits.counters.commands += 1
    status, text = b"OK", None
    try:
        session.check_rights()
        text = await work()
    except (Farewell, Gone, ConnectionError):
        raise
    except Exception as error:
        status, text = _failure(session, error)
    try:
        await session.refresh(may_expunge=name not in WITHOUT_EXPUNGE)
    except (Farewell, Gone, ConnectionError):
        if text is not None:
            with contextlib.suppress(ConnectionError):
                _answer(session, tag, status, text)
        raise
    except Exception as error:
        session.dirty = True
        _report(session, error)
    if text is not None:  # STARTTLS answers before the handshake
        _answer(session, tag, status, text)


def _answer(session: Session, tag: bytes, status: bytes, text: bytes) -> None:
    session.write(b"%b %b %b\r\n" % (tag, status, text))
    if status != b"BAD":
        return
    session.bad_commands += 1
    session.services.limits.counters.bad_commands += 1
    if session.bad_commands >= session.services.settings.max_bad_commands:
        raise Farewell("Too many bad commands")


def _failure(session: Session, error: Exception) -> tuple[bytes, bytes]:
    match error:
        case Refused():
            return b"NO", line_text(str(error))
        case Wrong():
            return b"BAD", line_text(str(error))
        case _:
            for kind, text in _STORE_ANSWERS:
                if isinstance(error, kind):
                    return b"NO", line_text(text)
    reference = _report(session, error)
    return b"NO", line_text(f"[SERVERBUG] Something failed here, not with you (ref {reference})")


def _report(session: Session, error: Exception) -> str:
    """Log kind and place, never the text, which may hold content."""
    reference = secrets.token_hex(5)
    session.services.limits.counters.server_bugs += 1
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    log.error("ref %s session %s: %s at %s", reference, session.peer.session, type(error).__name__, where)
    return reference
