"""The outside of a sealed letter: which header fields stay readable, and the four letters of its subject.

Invariants: what is not on the allow-list goes inside the seal; `Bcc` goes nowhere; the subject outside is
`[...] abcd`, the same through a conversation and never shared by two conversations of one account, so that a
client that threads by subject never merges two patients (DESIGN §1, "Outer headers").
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Sequence

from mail_server import mime
from mail_server.mime import Field
from mail_server.store.model import CoarseClass

OUTER_FIELDS = frozenset(
    {
        "from",
        "to",
        "cc",
        "reply-to",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "disposition-notification-to",
        "auto-submitted",
        "x-mss-mes",
        "autocrypt",
    }
)
# What a professional alone may say: `X-MSS-MES: FIN` ends an exchange (reference/mssante.md §7, row 36).
PROFESSIONALS_ALONE = frozenset({"x-mss-mes"})
# The patient's certificate is ours to tell (`autocrypt`): one that their program names could be anybody's.
NOT_FROM_PATIENTS = PROFESSIONALS_ALONE | {"autocrypt"}
OWN_PREFIX = "vaguemestre-"
STATE_FIELD = "Vaguemestre-State"
RECEIVED_FIELD = "Vaguemestre-Received"
# What a letter is that our own page sealed: the server could not tell. One word out of three, never delivered.
CLASS_FIELD = "Vaguemestre-Class"
_CLASSES = {one.name.lower().encode(): one for one in CoarseClass}

_LETTERS = string.ascii_lowercase
_NAMES_PEOPLE = mime.AUTHORS | {"to", "cc", "reply-to", "disposition-notification-to"}
_TELLS_NOTHING = (
    OUTER_FIELDS
    | _NAMES_PEOPLE
    | {"bcc", "subject", "mime-version", "content-type", "content-transfer-encoding", "content-disposition"}
    | {"content-description", "user-agent", "x-mailer"}
)


def new_tag() -> str:
    """Four random letters."""
    drawn = secrets.randbelow(26**4)
    return "".join(_LETTERS[drawn // 26**place % 26] for place in range(4))


def outer_subject(tag: str) -> str:
    return f"[...] {tag}"


def is_own(name: str) -> bool:
    """Whether a field name is ours alone: one arriving from outside is a forgery and is stripped."""
    return name.lower().startswith(OWN_PREFIX)


def outer_fields(fields: Iterable[Field]) -> list[Field]:
    """The fields of a message that stay outside, in their order, byte for byte."""
    return [found for found in fields if found.name in OUTER_FIELDS]


def outer_block(fields: Iterable[Field]) -> bytes:
    """The same as one block, each with its line end: what a report shows of a letter, never its subject."""
    return b"".join(line(found) for found in outer_fields(fields))


def line(found: Field) -> bytes:
    """The field with a line end: the last one of a letter that has no body may lack it."""
    return found.raw if found.raw.endswith(b"\n") else found.raw + b"\r\n"


def never_delivered(fields: Iterable[Field]) -> frozenset[str]:
    """Names of the fields that no copy of the letter may carry: Bcc (RFC 5322 §3.6.3, and §3.6.6 for a letter
    sent on), Return-Path, and ours from outside."""
    return frozenset(
        {"bcc", "resent-bcc", "return-path"} | {found.name for found in fields if is_own(found.name)}
    )


def written_name(found: Field) -> str:
    """The field's name as its sender wrote it."""
    return found.raw.partition(b":")[0].strip().decode("ascii", "replace")


def without(message: bytes, fields: Iterable[Field], names: frozenset[str]) -> bytes:
    """The message with those fields cut out; every other byte as it was."""
    if not any(found.name in names for found in fields):
        return message
    return mime.without(message, names)


def shown_as(message: bytes, fields: Iterable[Field], address: str, shown: str) -> bytes:
    """The message with an address of its author replaced by the one that correspondents see."""
    pattern = re.compile(re.escape(address.encode()), re.IGNORECASE)
    header = mime.header_block(message)
    changed = header
    for found in fields:
        if found.name in _NAMES_PEOPLE and pattern.search(found.raw):
            changed = changed.replace(found.raw, pattern.sub(shown.encode(), found.raw), 1)
    return message if changed == header else changed + message[len(header) :]


def said_class(fields: Iterable[Field]) -> CoarseClass | None:
    """What the page says this sealed letter is; None when it says nothing, or what it may not."""
    found = [one.value.strip() for one in fields if one.name == CLASS_FIELD.lower()]
    return _CLASSES.get(found[0]) if len(found) == 1 else None


def nothing_clear(fields: Iterable[Field]) -> bool:
    """Whether the header of an encrypted letter has no field that could carry content."""
    return all(
        found.name in _TELLS_NOTHING
        or (found.name == CLASS_FIELD.lower() and found.value.strip() in _CLASSES)
        for found in fields
    )


def opened(fields: Sequence[Field], entity: bytes) -> bytes:
    """A letter that came encrypted, once its entity is open (RFC 9788 §4): who wrote it is told outside alone."""
    return mime.restored(fields, entity)
