"""Commands as values: what the parser makes and the session carries out (RFC 3501 §6, RFC 9051 §6).

Invariants: frozen; what may hold a secret or content (passwords, messages, search texts) stays out of repr().
"""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass, field

from mail_server.imap.protocol.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Bare:
    """A command without arguments: CAPABILITY, NOOP, LOGOUT, STARTTLS, CHECK, CLOSE, IDLE..."""


@dataclass(frozen=True, slots=True)
class Id:
    fields: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Login:
    user: bytes = field(repr=False)
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    mechanism: str
    initial: bytes | None = field(repr=False)  # decoded initial response (RFC 4959); None when absent


@dataclass(frozen=True, slots=True)
class Enable:
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT and EXAMINE."""

    mailbox: str
    condstore: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    mailbox: str
    noinferiors_hint: bool  # the name ended with the separator (RFC 3501 §6.3.3)


@dataclass(frozen=True, slots=True)
class OnMailbox:
    """DELETE, SUBSCRIBE, UNSUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class List:
    """LIST with the extensions of RFC 5258, 5819, 6154; LSUB uses reference and patterns alone."""

    reference: str
    patterns: tuple[str, ...]
    select_subscribed: bool = False
    select_remote: bool = False
    select_recursive: bool = False
    select_special: bool = False
    return_subscribed: bool = False
    return_children: bool = False
    return_special: bool = False
    return_status: tuple[str, ...] = ()
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acl:
    """SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3): what a command does not take stays empty."""

    mailbox: str
    identifier: str = ""
    rights: str = ""


@dataclass(frozen=True, slots=True)
class FlagList:
    system: frozenset[str] = frozenset()  # "seen", "answered", "flagged", "deleted", "draft", "recent"
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Append:
    """Everything of APPEND but the message."""

    mailbox: str
    flags: FlagList = FlagList()
    received_at: int | None = None  # ms
    binary: bool = False  # literal8 (RFC 3516 §4.4)


@dataclass(frozen=True, slots=True)
class Expunge:
    uids: SequenceSet | None = None  # UID EXPUNGE (RFC 4315)


@dataclass(frozen=True, slots=True)
class Section:
    """A body section: `1.2.MIME`, `HEADER.FIELDS (FROM)`, or whole (RFC 9051 §6.4.5.1)."""

    part: tuple[int, ...] = ()
    text: str = ""  # "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME
    fields: tuple[bytes, ...] = ()  # lower case

    @property
    def header_only(self) -> bool:
        """Answered from the rendered header block, without the body."""
        return not self.part and self.text.startswith("HEADER")


class Item(enum.Enum):
    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    STRUCTURE = "BODY"
    MODSEQ = "MODSEQ"
    EMAILID = "EMAILID"
    THREADID = "THREADID"
    SAVEDATE = "SAVEDATE"
    SECTION = "BODY["
    BINARY = "BINARY["
    BINARY_SIZE = "BINARY.SIZE["


@dataclass(frozen=True, slots=True)
class FetchItem:
    item: Item
    label: bytes  # as it stands in the answer
    section: Section | None = None
    partial: tuple[int, int] | None = None  # offset, length
    marks_seen: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    which: SequenceSet
    items: tuple[FetchItem, ...]
    by_uid: bool
    changed_since: int | None = None


class Change(enum.Enum):
    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Store:
    which: SequenceSet
    change: Change
    silent: bool
    flags: FlagList
    by_uid: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and MOVE."""

    which: SequenceSet
    mailbox: str
    by_uid: bool


# ── SEARCH keys (RFC 3501 §6.4.4, RFC 5032, RFC 7162 §3.1.5, RFC 8474, RFC 8514) ──


@dataclass(frozen=True, slots=True)
class Everything:
    pass


@dataclass(frozen=True, slots=True)
class Within:
    which: SequenceSet
    by_uid: bool


@dataclass(frozen=True, slots=True)
class Flagged:
    flag: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Keyword:
    keyword: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class HeaderHas:
    name: str  # lower case
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BodyHas:
    text: str = field(repr=False)
    with_header: bool  # TEXT


class Clock(enum.Enum):
    INTERNAL = "internal"
    SENT = "sent"
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class OnDay:
    clock: Clock
    comparison: str  # BEFORE, ON, SINCE
    day: datetime.date


@dataclass(frozen=True, slots=True)
class Age:
    younger: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class SizeIs:
    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class ModSeqSince:
    modseq: int


@dataclass(frozen=True, slots=True)
class ObjectIdIs:
    item: str  # EMAILID, THREADID
    value: str


@dataclass(frozen=True, slots=True)
class AllOf:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


Key = (
    Everything | Within | Flagged | Keyword | HeaderHas | BodyHas | OnDay | Age | SizeIs | ModSeqSince
    | ObjectIdIs | AllOf | AnyOf | Not
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Search:
    key: Key
    by_uid: bool
    returns: frozenset[str] | None = None  # MIN MAX ALL COUNT SAVE (RFC 4731, RFC 5182); None: plain SEARCH


Arguments = (
    Bare | Id | Login | Authenticate | Enable | Select | Create | OnMailbox | Rename | List | Status | Append
    | Expunge | Fetch | Store | Copy | Search | Acl
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    tag: bytes
    name: str  # upper case, "UID FETCH" for the UID forms
    arguments: Arguments
