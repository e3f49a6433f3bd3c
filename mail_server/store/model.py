"""Values that enter and leave the store. No SQL, no I/O.

Invariants: every time is milliseconds since the epoch, UTC; `AccountId` is opaque (it tells nothing of its
holder); content reaches the store either sealed (split form) or to be encrypted at rest (verbatim form).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

AccountId = NewType("AccountId", str)  # 20 characters of a-z2-7, random
MailboxId = NewType("MailboxId", int)
MessageId = NewType("MessageId", int)

RENDERER_VERSION = 1


class Form(enum.IntEnum):
    """How the bytes lie in the store (DESIGN §3, "stored form")."""

    SPLIT = 1  # sealed by us: shared encrypted packet + this copy's key packets and outer headers
    VERBATIM = 2  # the bytes as they came, encrypted at rest under the account's data key


class State(enum.IntEnum):
    """Who can read a stored message: the addressee alone, or one of the five states of the promise."""

    SEALED = 0
    WAITING = 1
    CUSTODY = 2
    KEPT = 3  # kept by your program
    AT_THE_GATE = 4
    SUBJECT_OUTSIDE = 5


class CoarseClass(enum.IntEnum):
    """All the server may know of what a message is about."""

    MESSAGE = 0
    RECORD = 1
    AGENDA = 2


class ScanVerdict(enum.IntEnum):
    NOT_SCANNED = 0
    CLEAN = 1
    INFECTED = 2


class Flag(enum.IntFlag):
    """System flags (RFC 9051 §2.3.2). \\Recent belongs to a session, not to a message."""

    NONE = 0
    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


EVERY_FLAG = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT


class SpecialUse(enum.StrEnum):
    """RFC 6154 roles; every account owns one mailbox of each (INBOX has no attribute on the wire)."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    TRASH = "trash"
    JUNK = "junk"
    ARCHIVE = "archive"


class Rendered(NamedTuple):
    """What IMAP answers without touching the body, made once at delivery by `mail_server.mime`.

    `header` is the header block with its closing blank line; the three others are the text that stands
    after `ENVELOPE `, `BODYSTRUCTURE ` and `BODY ` in a FETCH answer (RFC 9051 §7.5.2).
    A tuple, as MessageRow: a listing makes one of each a message, and a frozen dataclass costs four times as much.
    """

    header: bytes
    envelope: bytes
    bodystructure: bytes
    body: bytes
    version: int = RENDERER_VERSION

    def __repr__(self) -> str:
        return f"Rendered(version={self.version})"


@dataclass(frozen=True, slots=True)
class FindingsColumns:
    """What *find* learned while the text was clear. `summary`, with the manifest in it, comes already sealed."""

    coarse_class: CoarseClass = CoarseClass.MESSAGE
    closes_exchange: bool = False  # subject exactly "[FIN]"
    has_xdm: bool = False
    has_calendar: bool = False
    scan: ScanVerdict = ScanVerdict.NOT_SCANNED
    summary: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StagedBlob:
    """Bytes ready to be laid down: compressed when that pays, encrypted, not yet durable.

    `owner` is the account whose data key was used, or None for the node's shared key (bodies that are
    already OpenPGP ciphertext and shared by several accounts). One StagedBlob may be filed in several
    accounts only when `owner` is None.
    """

    blob_id: bytes  # 32-byte HMAC, also bound as associated data
    owner: AccountId | None
    stored: bytes | bytearray = field(repr=False)
    clear_size: int
    codec: int  # 0 as is, 1 zstd


@dataclass(frozen=True, slots=True)
class SplitContent:
    """A message we sealed. On the wire: head + armor(key_packets + body) + tail, all CRLF, byte-stable.

    `head` ends just before the armored text (outer headers, the two PGP/MIME parts' headers); `tail` begins
    just after it. See `mail_server.store.armor` for the fixed armor.
    """

    head: bytes = field(repr=False)
    key_packets: bytes = field(repr=False)
    body: StagedBlob
    tail: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerbatimContent:
    data: StagedBlob


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One message to file in one mailbox of one account."""

    account: AccountId
    mailbox: MailboxId | SpecialUse
    content: SplitContent | VerbatimContent
    rendered: Rendered
    size: int  # RFC822.SIZE of the rendered whole
    received_at: int  # IMAP INTERNALDATE, ms
    state: State
    message_ids: Sequence[bytes] = field(
        default=(), repr=False
    )  # own Message-ID first, then References, In-Reply-To: for threading
    tag: str | None = None  # four letters of the outer subject (split form only)
    findings: FindingsColumns = field(default_factory=FindingsColumns)
    flags: Flag = Flag.NONE
    keywords: frozenset[str] = frozenset()
    savedate: int | None = None  # ms; None: received_at
    thread_id: str | None = None  # keep this thread (re-seal); None: found or made from message_ids


@dataclass(frozen=True, slots=True)
class Placement:
    """One mailbox an Email is in (JMAP looks at messages, IMAP at memberships)."""

    mailbox: MailboxId
    uid: int
    flags: Flag
    keywords: frozenset[str]
    modseq: int


@dataclass(frozen=True, slots=True)
class EmailRow:
    """A message as JMAP sees it (RFC 8621 §4): one keyword set, the mailboxes it is in. No body."""

    message: MessageId
    email_id: str
    thread_id: str
    placements: tuple[Placement, ...]
    form: Form
    state: State
    size: int
    received_at: int
    created_modseq: int
    findings: FindingsColumns
    rendered: Rendered


@dataclass(frozen=True, slots=True)
class EmailQuery:
    """A filter that needs no clear text (RFC 8621 §4.4.1), and the order by arrival."""

    mailbox: MailboxId | None = None
    other_than: frozenset[MailboxId] = frozenset()
    before: int | None = None  # received_at, ms, excluded
    after: int | None = None  # ms, included
    min_size: int | None = None
    max_size: int | None = None
    flags_set: Flag = Flag.NONE
    flags_unset: Flag = Flag.NONE
    keyword_set: str | None = None  # one that is no system flag
    keyword_unset: str | None = None
    coarse_class: CoarseClass | None = None
    ascending: bool = False
    collapse_threads: bool = False


@dataclass(frozen=True, slots=True)
class EmailPage:
    """Part of a query's result: (email_id, thread_id) in order, from `position` on."""

    found: Sequence[tuple[str, str]]
    position: int


@dataclass(frozen=True, slots=True)
class EmailChanges:
    """What happened to an account's messages between two modseqs (RFC 8620 §5.2)."""

    created: Sequence[str]
    updated: Sequence[str]
    destroyed: Sequence[str]
    upto: int  # the modseq this brings the asker to
    more: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes a client left to be imported or attached (RFC 8620 §6.1), at rest under the account's data key."""

    id: str
    account: AccountId
    size: int
    media_type: str
    expires: int  # ms


@dataclass(frozen=True, slots=True)
class Filed:
    account: AccountId
    mailbox: MailboxId
    uidvalidity: int
    uid: int
    message: MessageId
    email_id: str
    thread_id: str
    modseq: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A folder, as IMAP and JMAP say."""

    id: MailboxId
    account: AccountId
    name: str  # unicode, "/" separates levels; "INBOX" in capitals
    object_id: str  # RFC 8474 MAILBOXID
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    special_use: SpecialUse | None
    subscribed: bool
    first_recent: int  # uids from here on are \\Recent for the next read-write SELECT


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    messages: int
    unseen: int
    deleted: int
    recent: int
    size: int


@dataclass(frozen=True, slots=True)
class Membership:
    """A message's place in one mailbox: what SELECT and FETCH FLAGS need, nothing else."""

    uid: int
    message: MessageId
    flags: Flag
    keywords: frozenset[str]
    modseq: int


class MessageRow(NamedTuple):
    """Everything about a message but its body."""

    uid: int
    message: MessageId
    flags: Flag
    keywords: frozenset[str]
    modseq: int
    size: int
    received_at: int
    savedate: int
    email_id: str
    thread_id: str
    form: Form
    state: State
    rendered: Rendered


class FlagChange(enum.Enum):
    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Outcome of STORE: memberships as they now are, and those left alone by UNCHANGEDSINCE (RFC 7162)."""

    changed: Sequence[Membership]
    modified: Sequence[int]  # uids whose modseq was above UNCHANGEDSINCE


@dataclass(frozen=True, slots=True)
class Copied:
    """COPYUID data (RFC 4315): source and target uids, pairwise."""

    uidvalidity: int
    source_uids: Sequence[int]
    target_uids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A known thread of one account that one of the given message-ids belongs to."""

    thread_id: str
    tag: str | None


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """How a message lies, and whose keys open it."""

    message: MessageId
    form: Form
    state: State
    key_packets: bytes = field(repr=False)  # b"" for the verbatim form


@dataclass(frozen=True, slots=True)
class MessageOrigin:
    """What a re-seal needs to know of the message it replaces (its message-ids are not kept: give thread_id)."""

    message: MessageId
    account: AccountId
    email_id: str
    thread_id: str
    tag: str | None
    form: Form
    state: State
    size: int
    received_at: int
    findings: FindingsColumns
