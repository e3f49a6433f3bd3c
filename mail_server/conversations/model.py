"""The values of conversations: who, how they stand, what a letter does. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mail_server.conversations.roots import LetterIds
from mail_server.store.model import AccountId


class Standing(enum.Enum):
    """How a patient stands with one correspondent."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"


class How(enum.StrEnum):
    """By what a professional closed an exchange."""

    SUBJECT = "fin-subject"  # a subject that is exactly "[FIN]"
    HEADER = "fin-header"  # a first letter with `X-MSS-MES: FIN`: a notice that takes no answer
    ADDRESS = "fin-address"  # fin@<domain> among the addressees
    MAILBOX = "clos-mailbox"  # a letter of it was filed in the mailbox "Clos"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Party:
    """A correspondent as a row names them."""

    key: str
    address: bytes | None = field(default=None, repr=False)  # wrapped; of another operator alone


@dataclass(frozen=True, slots=True)
class Written:
    """What a professional's letter does to conversations."""

    opener: Party
    correspondents: tuple[Party, ...]  # whom the patient may answer
    ids: LetterIds = field(default_factory=LetterIds)
    closes: How | None = None  # the whole exchange
    no_answer: bool = False  # `X-MSS-MES: FIN`: to this letter alone


@dataclass(frozen=True, slots=True)
class Correspondence:
    """Someone with whom letters go to and fro."""

    address: str = field(repr=False)
    open: bool
    last_at: int
    threads: tuple[str, ...] = ()  # in the asker's own account, newest first
    closed: frozenset[str] = frozenset()  # those of them that take no answer any more


@dataclass(frozen=True, slots=True)
class Stand:
    """`Standing`, and when closed by whom, as patients see them."""

    standing: Standing
    closed_by: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Bar:
    """Why a letter takes no answer."""

    message_alone: bool
    closed_by: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One row, as the page shows it. `key` names it to who sees it, and tells nothing."""

    patient: AccountId
    correspondent: str
    root: bytes = field(repr=False)
    other: str = field(repr=False)  # the address of whom the asker has it with
    open: bool = True
    closed_by: str = field(default="", repr=False)
    closed_at: int | None = None
    closed_how: str = ""
