"""One line of the trace: what may stand in it, and the one encoding that is hashed.

An entry's *leaf* is the hash of its salt and its fields; its *link* is the hash of the link before and the leaf. When
an entry is purged its fields and its salt go and its leaf stays: nothing can be guessed from it, and the links hold.
Each retention class of a chain has its own links; those of a day begin with the last link of the day before.

Invariants: no content ever: a detail key is on the list below or it is dropped, and every value is capped and
freed of control characters; the encoding is injective, so that two different entries never hash alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from policies.audit.classes import Retention
from policies.interface import Event

# What may be told beside the fixed columns. A subject, a file name, a message-id or a text has no place here.
DETAIL_KEYS = frozenset(
    {
        "account",
        "added",  # a number: what another trust list gives
        "acr",  # eIDAS level that an identity provider vouched for
        "address",
        "apart",  # a number: letters of the past that nothing could be added to
        "after",
        "before",
        "cause",
        "changed",  # a number: listings that an import changed
        "certificate",  # SHA-256 of a certificate
        "class",
        "code",
        "command",  # of the console
        "count",
        "credential",
        "dn",
        "domain",
        "dropped",  # written here: how many keys were not on this list
        "expires",
        "fingerprint",
        "first",  # written here: the first time that this person read this letter
        "flags",
        "folder",  # mailbox id, never its name
        "form",
        "from",  # envelope sender
        "generated",
        "held",  # a number: changes of the trust list that wait; listings kept for a wrong line of an import
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
        "power",  # of an administrator
        "protocol",
        "reason",
        "reference",  # moved to its own column
        "recipient",
        "recipients",  # a number
        "wrong",  # a number: lines of an import that nobody could read
        "struck_off",  # a number: professionals gone from the national file
        "removed",  # a number: what another trust list takes away
        "rights",  # letters of RFC 4314
        "road",
        "rows",
        "rule",
        "sender",
        "since",
        "size",
        "state",
        "tls",
        "uid",
        "until",
        "verdict",
        "version",
    }
)
LONGEST = 320  # an address at its longest (RFC 5321 §4.5.3.1), and enough for an operator's name
SALT = 16  # octets

GENESIS = bytes(32)
_LEAF = b"vaguemestre audit leaf 2\n"
_LINK = b"vaguemestre audit link 2\n"
_DAY = b"vaguemestre audit day 2\n"
DAY_MS = 86_400_000

_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode
_sha256 = hashlib.sha256

COLUMNS = (
    "chain",
    "seq",
    "retention",
    "day",
    "at",
    "action",
    "actor",
    "subject",
    "behalf",
    "kind",
    "door",
    "outcome",
    "reference",
    "session",
    "network",
    "detail",
    "salt",
    "leaf",
    "link",
)
FIELDS = COLUMNS.index("salt")  # how many of them are hashed into the leaf


class Entry(NamedTuple):
    """A line of the trace as it is stored, in the order of COLUMNS."""

    chain: str
    seq: int
    retention: int
    day: int
    at: int
    action: str
    actor: str
    subject: str
    behalf: str
    kind: str
    door: str
    outcome: str
    reference: str
    session: str
    network: str
    detail: str  # JSON text
    salt: bytes
    leaf: bytes | None
    link: bytes

    @property
    def details(self) -> Mapping[str, str]:
        loaded: dict[str, str] = json.loads(self.detail) if self.detail else {}
        return loaded

    @property
    def purged(self) -> bool:
        return self.leaf is not None


def fields_of(
    chain: str, seq: int, retention: Retention, day: int, event: Event, more: Mapping[str, str] | None = None
) -> tuple[Any, ...]:
    """What is hashed and stored of an event, in the order of COLUMNS.

    A door gives the id of its refusal among the details: it goes to its own column, where it is looked for.
    """
    detail, reference = event.detail, event.reference
    if "reference" in detail:
        reference = reference or detail["reference"]
        detail = {name: value for name, value in detail.items() if name != "reference"}
    if more:
        detail = {**detail, **more}
    return (
        chain,
        seq,
        int(retention),
        day,
        event.at,
        cleaned(event.action),
        cleaned(event.actor),
        cleaned(event.subject),
        cleaned(event.behalf),
        cleaned(event.kind),
        cleaned(event.door),
        cleaned(event.outcome),
        cleaned(reference),
        cleaned(event.session),
        cleaned(event.network),
        detail_of(detail) if detail else "{}",
    )


def leaf_of(salt: bytes, fields: tuple[Any, ...]) -> bytes:
    """SHA-256 over a mark, the salt and the fields as a JSON array (injective)."""
    return _sha256(_LEAF + salt + _dumps(fields).encode("ascii")).digest()


def link_of(previous: bytes, leaf: bytes) -> bytes:
    return _sha256(_LINK + previous + leaf).digest()


def opening_of(chain: str, retention: int, day: int, previous: bytes) -> bytes:
    """What the first link of a day builds on: the day, and the last link of the day before."""
    return _sha256(_DAY + previous + _dumps((chain, retention, day)).encode("ascii")).digest()


def purged(found: Entry, leaf: bytes) -> Entry:
    """What stays of an entry: its place, and its leaf."""
    return Entry._make(
        (found.chain, found.seq, found.retention, found.day, 0, *([""] * 11), b"", leaf, found.link)
    )


def parties_of(fields: tuple[Any, ...]) -> set[str]:
    """Whom an entry is about: who acted, on whom, in whose name, and who else is named among the details.

    Roads and other operators are nobody's log.
    """
    parties = {party for party in fields[6:9] if _is_party(party)}
    detail: str = fields[15]
    if '"member":' in detail or '"account":' in detail:
        named: dict[str, str] = json.loads(detail)
        parties |= {named[name] for name in ("member", "account") if named.get(name)}
    return parties


def _is_party(name: str) -> bool:
    return bool(name) and name not in _NOBODY and not name.startswith("operator:")


_NOBODY = frozenset({"node", "unknown", "operator-road", "client-road"})


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
