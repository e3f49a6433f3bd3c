"""One line of the trace: what may stand in it, and the one encoding that is hashed.

Invariants: no content ever: a detail key is on the list below or it is dropped, and every value is capped and
freed of control characters; the encoding is injective, so that two different entries never hash alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.interface import Event

# What may be told beside the fixed columns. A subject, a file name, a message-id or a text has no place here.
DETAIL_KEYS = frozenset(
    {
        "account",
        "address",
        "after",
        "before",
        "cause",
        "certificate",  # SHA-256 of a certificate
        "class",
        "code",
        "count",
        "credential",
        "dn",
        "domain",
        "dropped",  # written here: how many keys were not on this list
        "expires",
        "fingerprint",
        "flags",
        "folder",  # mailbox id, never its name
        "form",
        "from",  # envelope sender
        "generated",
        "issuer",
        "key",
        "kind",
        "label",
        "limit",
        "mailbox",
        "means",  # by which an administrator acted: console, page, provider
        "mechanism",
        "member",
        "mode",
        "phase",
        "port",
        "protocol",
        "reason",
        "reference",  # moved to its own column
        "recipient",
        "recipients",  # a number
        "road",
        "rows",
        "rule",
        "sender",
        "size",
        "state",
        "tls",
        "uid",
        "verdict",
        "version",
    }
)
LONGEST = 320  # an address at its longest (RFC 5321 §4.5.3.1), and enough for an operator's name

GENESIS = bytes(32)
_MARK = b"vaguemestre audit 1\n"

_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the trace as it is stored."""

    chain: str
    seq: int
    at: int
    action: str
    actor: str
    subject: str
    outcome: str
    reference: str
    session: str
    network: str
    detail: str  # JSON text
    previous: bytes
    hash: bytes

    @property
    def details(self) -> Mapping[str, str]:
        loaded: dict[str, str] = json.loads(self.detail)
        return loaded


COLUMNS = (
    "chain",
    "seq",
    "at",
    "action",
    "actor",
    "subject",
    "outcome",
    "reference",
    "session",
    "network",
    "detail",
    "previous",
    "hash",
)


def row_of(chain: str, seq: int, event: Event, previous: bytes) -> tuple[Any, ...]:
    """The row to store for an event, in the order of COLUMNS.

    A door gives the id of its refusal among the details: it goes to its own column, where it is looked for.
    """
    detail, reference = event.detail, event.reference
    if "reference" in detail:
        reference = reference or detail["reference"]
        detail = {name: value for name, value in detail.items() if name != "reference"}
    fields = (
        chain,
        seq,
        event.at,
        cleaned(event.action),
        cleaned(event.actor),
        cleaned(event.subject),
        cleaned(event.outcome),
        cleaned(reference),
        cleaned(event.session),
        cleaned(event.network),
        detail_of(detail) if detail else "{}",
    )
    return (*fields, previous, digest(previous, fields))


def digest(previous: bytes, fields: tuple[object, ...]) -> bytes:
    """SHA-256 over a mark, the hash before, and the fields as a JSON array (injective)."""
    return hashlib.sha256(_MARK + previous + _dumps(fields).encode("ascii")).digest()


def detail_of(detail: Mapping[str, str]) -> str:
    kept = {name: cleaned(str(value)) for name, value in detail.items() if name in DETAIL_KEYS}
    if len(kept) != len(detail):
        kept["dropped"] = str(len(detail) - len(kept))
    return _dumps(kept)


def cleaned(text: str) -> str:
    """Capped, and without what a terminal would obey or a database refuse."""
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "\u2026"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
