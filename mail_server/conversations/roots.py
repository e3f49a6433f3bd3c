"""To which exchange a letter belongs: the letter it began with (RFC 5322 §3.6.4).

The root is what the sender's program says: the first of References, else In-Reply-To, else the letter itself. Where
one of the letters it names is known already, its exchange is that one's: programs forget the first references.
Invariants: a Message-ID is kept as an HMAC; at most `MOST` of a letter are looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mail_server import mime
from mail_server.store.interface import Reader
from mail_server.store.model import AccountId

MOST = 50
Mark = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class LetterIds:
    """What a letter says of itself and of those before it."""

    own: bytes | None = field(default=None, repr=False)
    named: tuple[bytes, ...] = field(default=(), repr=False)  # References, then In-Reply-To
    answered: tuple[bytes, ...] = field(default=(), repr=False)  # In-Reply-To, else the last of References

    @classmethod
    def of(cls, fields: Sequence[mime.Field]) -> LetterIds:
        own, references, replied = (
            _ids(fields, name) for name in ("message-id", "references", "in-reply-to")
        )
        # The first one tells the root and the last ones what is answered: what is between may be cut.
        if len(references) > MOST:
            references = (references[0], *references[1 - MOST :])
        return cls(
            own[0] if own else None,
            tuple(dict.fromkeys((*references, *replied))),
            replied or references[-1:],
        )


def _ids(fields: Sequence[mime.Field], name: str) -> tuple[bytes, ...]:
    return tuple(each for found in fields if found.name == name for each in mime.message_ids(found.value))[
        : 4 * MOST
    ]


def known_roots(reader: Reader, patient: AccountId, ids: Sequence[bytes], mark: Mark) -> list[bytes]:
    """Roots of those letters that are known to belong to an exchange of this patient, in the order named."""
    if not ids:
        return []
    marks = [mark(each) for each in ids]
    places = ", ".join("?" * len(marks))
    rows = reader.sql.all(
        f"SELECT letter, root FROM conversation_letter WHERE patient = ? AND letter IN ({places})",  # noqa: S608
        (patient, *marks),
    )
    found = {bytes(letter): bytes(root) for letter, root in rows}
    if not found:
        # An exchange from before letters were noted one by one: it is known by its thread.
        thread = reader.conversations([patient], list(ids)).get(patient)
        return [thread_root(thread.thread_id)] if thread is not None else []
    return list(dict.fromkeys(found[each] for each in marks if each in found))


def root_of(reader: Reader, patient: AccountId, ids: LetterIds, mark: Mark) -> bytes:
    """Where a letter belongs, now that it is about to be noted."""
    for root in known_roots(reader, patient, ids.named, mark):
        if reader.sql.one("SELECT 1 FROM conversation WHERE patient = ? AND root = ?", (patient, root)):
            return root
    first = ids.named[0] if ids.named else ids.own
    return mark(first or b"")


def thread_root(thread_id: str) -> bytes:
    """Of an exchange that was noted by its thread (migration 0009 gave it this root)."""
    return hashlib.sha256(b"thread " + thread_id.encode()).digest()[:16]
