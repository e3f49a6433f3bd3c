"""What goes over the wire of a letter that the page sealed, once its entity is open.

Invariants: a pure function; an entity that names another author than the letter around it was sealed for that one's,
and is not opened in this one: who laid hands on what waits for the gate (a disk, a backup) cannot have it opened under
an account of theirs; an entity may say no more than its fields do, however it is written; nobody's Bcc leaves, nor a
field of ours, nor one that the operator alone may set; what told who wrote it, and what was checked when it was handed
in, is said by the outer fields alone; CRLF throughout.
"""

from __future__ import annotations

import re

from mail_server import mime

OWN_PREFIX = "vaguemestre-"
# Never in a letter on its way (RFC 5322 §3.6.3, RFC 5321 §4.4), nor in the name of somebody it was sent on by.
_NEVER = frozenset({"bcc", "return-path", "delivered-to"})
# What the operator sets, or has checked outside: an entity that nobody could look into may not say it.
_OPERATORS = frozenset(
    {
        "received",
        "authentication-results",
        "dkim-signature",
        "x-mss-nil",
        "x-mss-codecda",
        "x-mss-ins",
        "x-mss-mes",
        "disposition-notification-to",
        "auto-submitted",
        "autocrypt",
        # Which exchange it belongs to was decided by these.
        "message-id",
        "in-reply-to",
        "references",
        "reply-to",
    }
)
_OPERATORS_FAMILIES = ("arc-", "resent-", "received-", OWN_PREFIX)
_LINE_END = re.compile(rb"\r\n|\r|\n")


class NotALetter(Exception):
    """What was sealed cannot be put on the wire. Carries nothing of it."""


def wire_bytes(letter: bytes, tree: mime.Part, entity: bytes) -> bytes:
    """An ordinary letter out of a PGP/MIME one (its outer fields) and the entity that was sealed in it.

    Raises NotALetter.
    """
    # Lines are closed before fields are looked for: a bare CR would hide one, and show it to others.
    head, entity = lines_closed(letter[: tree.header_end]), lines_closed(entity)
    header = mime.header_block(entity)
    if b"\0" in entity or max(len(head), len(header)) > mime.MAX_HEADER:
        raise NotALetter  # beyond what is read could stand a Bcc, or a second From
    outer = [
        found
        for found in mime.fields(head)
        if found.name not in _NEVER and not found.name.startswith(OWN_PREFIX)
    ]
    inside = {found.name for found in mime.fields(entity)}
    if _authors(entity) - _authors(head):
        raise NotALetter
    outside = {name for name in inside if name.startswith(_OPERATORS_FAMILIES)} | _OPERATORS | mime.AUTHORS
    clear = mime.without(mime.unprotected(entity), _NEVER)
    return mime.restored(outer, clear, outside)


def _authors(message: bytes) -> set[str]:
    fields = mime.fields(mime.header_block(message))
    return {box.spec.lower() for one in fields if one.name == "from" for box in mime.mailboxes(one.value)}


def lines_closed(message: bytes) -> bytes:
    """A bare CR or LF is refused by careful servers (RFC 5321 §2.3.8); our page writes none, another program may."""
    if message.count(b"\r\n") == message.count(b"\n") == message.count(b"\r"):
        return message
    return _LINE_END.sub(b"\r\n", message)
