"""The store as everyone else sees it: reads, one durable group commit, changes to wait for.

Invariants:
* `Store.write` returns only after the commit is durable (segment fdatasync, then COMMIT): callers may answer
  `250`, `OK` or `201` right after it.
* An operation given to `write` is a plain function of its transaction; it may be run a second time when a
  neighbour in the same commit fails, so it touches nothing outside the transaction.
* Operations and queries run on the store's own threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from mail_server.store.model import (
    EVERY_FLAG,
    AccountId,
    Conversation,
    Copied,
    EmailChanges,
    EmailPage,
    EmailQuery,
    EmailRow,
    Filed,
    Flag,
    FlagChange,
    FlagsChanged,
    Mailbox,
    MailboxCounts,
    MailboxId,
    Membership,
    MessageId,
    MessageOrigin,
    MessageRow,
    NewMessage,
    SpecialUse,
    StagedBlob,
    State,
    StoredLetter,
    Upload,
)

T = TypeVar("T")


class StoreError(Exception):
    """Base of what the store raises."""


class NoSuchMailbox(StoreError):
    pass


class MailboxExists(StoreError):
    pass


class MailboxProtected(StoreError):
    """INBOX is neither renamed nor deleted; special-use mailboxes are not deleted."""


class NoSuchAccount(StoreError):
    """The account was never opened here (see Transaction.open_account)."""


class NoSuchMessage(StoreError):
    pass


class TagTaken(StoreError):
    """Another conversation of the account has this tag: draw another one and retry."""


class Damaged(StoreError):
    """What lies in the store is not what was written: tampered with, torn, or under another key."""


class StoreUnavailable(StoreError):
    """The database failed or is not there: temporary, nothing was promised."""


class HomeBusy(StoreError):
    """Another process writes in this home."""


class NoSpace(StoreError):
    """Free space is below the floor: nothing is accepted, IMAP is read-only."""


class AlreadyFiled(StoreError):
    """The same letter was filed within 24 h: answer 250, file nothing (DESIGN §3, durability)."""


class Sql(Protocol):
    """The driver's own connection, one spelling for both dialects: `?` marks parameters."""

    @property
    def dialect(self) -> str: ...  # "sqlite" | "postgresql"
    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int: ...  # rows touched
    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None: ...
    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...
    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None: ...


class Reader(Protocol):
    """Reads of one consistent state."""

    @property
    def sql(self) -> Sql: ...
    def as_person(self, account: AccountId, person: AccountId | None) -> AbstractContextManager[None]:
        """Within it, this account is seen (and flagged) with that person's own \\Seen and subscriptions.

        None: as all see it.
        """
        ...

    def mailboxes(self, account: AccountId) -> list[Mailbox]: ...
    def mailbox(self, mailbox: MailboxId) -> Mailbox: ...
    def mailbox_by_name(self, account: AccountId, name: str) -> Mailbox: ...
    def mailbox_by_use(self, account: AccountId, use: SpecialUse) -> Mailbox: ...
    def counts(self, mailbox: MailboxId) -> MailboxCounts: ...
    def memberships(self, mailbox: MailboxId, changed_since: int = 0) -> list[Membership]: ...
    def rows(self, mailbox: MailboxId, uids: Sequence[int]) -> list[MessageRow]: ...
    def vanished(self, mailbox: MailboxId, since_modseq: int) -> list[int]: ...
    def content(self, message: MessageId) -> bytes: ...  # the whole message, as the wire shows it
    def key_packets(self, message: MessageId) -> bytes: ...  # b"" for the verbatim form
    def conversations(
        self, accounts: Sequence[AccountId], message_ids: Sequence[bytes]
    ) -> dict[AccountId, Conversation]: ...
    def messages_in_state(
        self, account: AccountId, states: Sequence[State], after: MessageId, limit: int
    ) -> list[MessageId]:
        """Ids above `after`, in order: a resumable walk."""
        ...

    def letters_between(
        self, account: AccountId, after: MessageId, upto: MessageId, limit: int
    ) -> list[StoredLetter]:
        """The account's messages with ids above `after` up to `upto`, in order: a resumable walk."""
        ...

    def message_origin(self, message: MessageId) -> MessageOrigin: ...
    def stored_body(self, message: MessageId) -> StagedBlob:
        """The blob as it lies: file it again (new key packets, same body) without decrypting anything."""
        ...

    # -- as JMAP sees an account (RFC 8621)
    def modseq(self, account: AccountId) -> int: ...  # the JMAP state, as a number
    def emails(self, account: AccountId, email_ids: Sequence[str]) -> list[EmailRow]:
        """In the order asked; ids that are not this account's are left out."""
        ...

    def query_emails(
        self, account: AccountId, query: EmailQuery, position: int, limit: int, anchor: str | None = None
    ) -> EmailPage:
        """A page, newest first unless `query.ascending`; with an anchor, `position` counts from it.

        Raises NoSuchMessage when the anchor is not in the result.
        """
        ...

    def count_emails(self, account: AccountId, query: EmailQuery) -> int: ...
    def email_changes(self, account: AccountId, since: int, limit: int) -> EmailChanges: ...
    def thread_changes(self, account: AccountId, since: int, limit: int) -> EmailChanges: ...
    def threads(self, account: AccountId, thread_ids: Sequence[str]) -> dict[str, list[str]]:
        """Email ids of each thread that exists, oldest first."""
        ...

    def thread_counts(
        self, mailbox: MailboxId
    ) -> tuple[int, int]: ...  # threads, threads with an unseen message
    def upload(self, account: AccountId, upload: str) -> tuple[Upload, bytes]:
        """Raises NoSuchMessage for an unknown, expired or foreign one."""
        ...

    def queued(self, name: str) -> bytes:
        """What `keep_queued` kept under this name. Raises NoSuchMessage, Damaged."""
        ...

    def sent_copy(self, account: AccountId, message: bytes, since: int) -> Filed | None:
        """Where a letter with this Message-ID lies in the account's Sent, if it was noted since then."""
        ...

    def tags_taken(self, accounts: Sequence[AccountId], tags: Sequence[str]) -> set[str]: ...


class Transaction(Reader, Protocol):
    """Writes; all of them become durable together, or none."""

    def open_account(self, account: AccountId) -> None:
        """Make the account's data key, INBOX and special-use mailboxes. Idempotent."""
        ...

    def remember_submission(self, fingerprint: bytes, now: int) -> None:
        """Raise AlreadyFiled if this HMAC (see Store.submission_fingerprint) was committed within 24 h."""
        ...

    def note_sent(self, message: bytes, filed: Filed, at: int) -> None:
        """Remember for a day that the letter with this Message-ID has its copy in the account's Sent."""
        ...

    def lock(self, accounts: Sequence[AccountId]) -> None:
        """Take these accounts' row locks in one fixed order (PostgreSQL: no deadlock between nodes)."""
        ...

    def file(self, message: NewMessage) -> Filed:
        """Raises NoSpace, NoSuchAccount, NoSuchMailbox, TagTaken."""
        ...

    def replace(self, message: MessageId, new: NewMessage) -> list[Filed]:
        """Re-seal: destroy `message`, create `new` in every mailbox it was in, in one state.

        Thread, dates, flags and keywords are the old message's; `new.mailbox` is not looked at.
        """
        ...

    def place(
        self,
        account: AccountId,
        email_id: str,
        mailboxes: frozenset[MailboxId],
        flags: Flag,
        keywords: frozenset[str],
    ) -> None:
        """Give a message these mailboxes and this keyword set, in all of them (JMAP Email/set update).

        \\Deleted stays as each membership has it. An empty set of mailboxes destroys the message.
        Raises NoSuchMessage, NoSuchMailbox.
        """
        ...

    def keep_upload(self, blob: StagedBlob, media_type: str, expires: int) -> Upload: ...
    def drop_uploads(self, before: int) -> int: ...  # those that expired; how many
    def keep_queued(self, blob: StagedBlob) -> str:
        """For the outbound queue: keep a blob under the shared key; the name to read and drop it by. Raises NoSpace."""
        ...

    def drop_queued(self, name: str) -> bool: ...  # whether it was there
    def create_mailbox(self, account: AccountId, name: str) -> Mailbox: ...
    def rename_mailbox(self, mailbox: MailboxId, name: str) -> None: ...
    def delete_mailbox(self, mailbox: MailboxId) -> None: ...
    def subscribe(self, mailbox: MailboxId, subscribed: bool) -> None: ...
    def claim_recent(self, mailbox: MailboxId) -> int:
        """Return first_recent and move it to uidnext (a read-write SELECT)."""
        ...

    def set_flags(
        self,
        mailbox: MailboxId,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flag,
        keywords: frozenset[str],
        unchanged_since: int | None = None,
        among: Flag = EVERY_FLAG,
        words_too: bool = True,
    ) -> FlagsChanged:
        """Flags that are not `among` stay as they are (RFC 4314 §4: rights), keywords only where `words_too`."""
        ...

    def forget_reader(self, account: AccountId, person: AccountId) -> None:
        """Drop what they have seen, and their subscriptions: they read this account no more."""
        ...

    def copy(self, source: MailboxId, uids: Sequence[int], target: MailboxId) -> Copied:
        """Within one account a copy is one more membership; across accounts a new message (re-encrypted at rest)."""
        ...

    def move(self, source: MailboxId, uids: Sequence[int], target: MailboxId) -> Copied: ...
    def expunge(self, mailbox: MailboxId, uids: Sequence[int]) -> list[int]:
        """Remove memberships (whatever their flags); return the uids that were there."""
        ...


class Watch(Protocol):
    """Wakes when something changed in one of the accounts it watches."""

    async def wait(self) -> None: ...
    def close(self) -> None: ...


class Store(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def read(self, query: Callable[[Reader], T]) -> T: ...
    async def write(self, operation: Callable[[Transaction], T]) -> T: ...
    async def stage(self, owner: AccountId | None, clear: bytes, *, compress: bool) -> StagedBlob:
        """Compress (if it pays) and encrypt; in a thread when large. Raises NoSpace below the floor."""
        ...

    def submission_fingerprint(self, *parts: bytes) -> bytes:
        """32-byte HMAC under a node key of envelope and bytes of one submission."""
        ...

    def watch(self, accounts: Sequence[AccountId]) -> Watch: ...
    def used(self, account: AccountId) -> int:
        """Octets of the account's messages, from memory (for quotas; a rolled-back commit may blur it shortly)."""
        ...

    @property
    def writable(self) -> bool:
        """False below the free-space floor."""
        ...
