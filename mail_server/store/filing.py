"""Laying messages down inside a write transaction: blobs and their counts, threads and their tags, rows.

Invariants: the account's row is locked (its modseq taken) before anything else of the account is touched;
a blob's refcount is the number of message, upload and queued rows that name it; a message joins at most one thread,
and threads never merge; a tag belongs to one thread of an account.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from mail_server.store.at_rest import Cipher, bound_column, pack_outer, pack_rendered
from mail_server.store.driver import Driver
from mail_server.store.emails import EmailReader
from mail_server.store.identifiers import new_id, thread_key
from mail_server.store.interface import NoSpace, NoSuchAccount, NoSuchMailbox, StoreError, TagTaken
from mail_server.store.model import (
    AccountId,
    Conversation,
    Filed,
    Form,
    MailboxId,
    MessageId,
    MessageRow,
    NewMessage,
    SpecialUse,
    SplitContent,
    StagedBlob,
)
from mail_server.store.octets import Used
from mail_server.store.reader import Shared
from mail_server.store.segments import OVERHEAD, SegmentWriter

T = TypeVar("T")
_INSERT_MESSAGE = (
    "INSERT INTO message (account_id, email_id, thread_id, form, state, blob_id, outer_part, key_packets, rendered,"
    " size, received_at, created_modseq, modseq, coarse_class, closes_exchange, has_xdm, has_calendar, scan,"
    " summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
)
INSERT_MEMBERSHIP = (
    "INSERT INTO membership (mailbox_id, uid, message_id, flags, keywords, modseq, created_modseq, savedate, size,"
    " received_at, thread_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Laid:
    """What lies in segment files beyond the last commit; it outlives a transaction that is run again."""

    def __init__(self, writer: SegmentWriter) -> None:
        self.writer = writer
        self.grown: dict[int, int] = {}  # segment: its length now
        self.places: dict[bytes, tuple[int, int]] = {}  # blob id: where it already lies
        self.pruned_at = 0

    def forget(self) -> None:
        """What was appended may not reach the disk: it is appended again, to a new file."""
        self.writer.discard()
        self.grown.clear()
        self.places.clear()


class Filing(EmailReader):
    """The part of a transaction that makes messages."""

    def __init__(self, driver: Driver, shared: Shared, laid: Laid) -> None:
        super().__init__(driver, shared)
        self._laid = laid
        self.touched: set[AccountId] = set()  # accounts to announce
        self.used: dict[AccountId, Used] = {}  # octets of the accounts that changed
        self.volume: int = 0  # bytes laid down, for the bound on a commit
        self.fresh_keys: dict[AccountId, Cipher] = {}  # of accounts opened in this commit

    def file(self, message: NewMessage) -> Filed:
        self.require_space()
        modseq = self._next_modseq(message.account, message.size)
        thread_id = self._thread(message)
        number, email_id = self._insert(message, thread_id, modseq)
        return self._place(message, number, email_id, thread_id, modseq)

    def require_space(self) -> None:
        if not self._shared.space.enough:
            raise NoSpace("free space is below the floor")

    # -- rows --------------------------------------------------------------------------------------------

    def _insert(self, message: NewMessage, thread_id: str, modseq: int) -> tuple[MessageId, str]:
        """The message row and its blob; no mailbox yet."""
        account = message.account
        cipher = self._cipher(account)
        email_id = new_id("M")
        content = message.content
        outer: bytes | None = None
        key_packets: bytes | None = None
        if isinstance(content, SplitContent):
            form, blob = Form.SPLIT, content.body
            outer = cipher.seal(
                pack_outer(content.head, content.tail), bound_column(account, b"outer", email_id)
            )
            key_packets = content.key_packets
        else:
            form, blob = Form.VERBATIM, content.data
        if blob.owner != account and (blob.owner is not None or form is Form.VERBATIM):
            raise StoreError("a blob can be filed only where its key is")
        self._reference_blob(blob)
        rendered = cipher.seal(pack_rendered(message.rendered), bound_column(account, b"rendered", email_id))
        found = message.findings
        row = self.sql.one(
            _INSERT_MESSAGE,
            (
                account, email_id, thread_id, int(form), int(message.state), blob.blob_id, outer, key_packets, rendered,
                message.size, message.received_at, modseq, modseq, int(found.coarse_class), int(found.closes_exchange),
                int(found.has_xdm), int(found.has_calendar), int(found.scan), found.summary,
            ),
        )  # fmt: skip
        assert row is not None
        self.volume += len(blob.stored) + len(rendered)
        return row[0], email_id

    def _place(
        self, message: NewMessage, number: MessageId, email_id: str, thread_id: str, modseq: int
    ) -> Filed:
        account, where = message.account, message.mailbox
        if isinstance(where, SpecialUse):
            column, value = "special_use", where.value
        else:
            column, value = "id", where
        row = self.sql.one(
            "UPDATE mailbox SET uidnext = uidnext + 1, highestmodseq = ?"
            f" WHERE account_id = ? AND {column} = ? RETURNING id, uidnext - 1, uidvalidity",
            (modseq, account, value),
        )
        if row is None:
            raise NoSuchMailbox
        mailbox, uid, uidvalidity = row
        keywords = self._seal_keywords(account, number, message.keywords) if message.keywords else None
        savedate = message.received_at if message.savedate is None else message.savedate
        self.sql.run(
            INSERT_MEMBERSHIP,
            (
                mailbox, uid, number, int(message.flags), keywords, modseq, modseq, savedate, message.size,
                message.received_at, thread_key(thread_id),
            ),
        )  # fmt: skip
        return Filed(account, mailbox, uidvalidity, uid, number, email_id, thread_id, modseq)

    def _next_modseq(self, account: AccountId, octets: int = 0) -> int:
        """One more change in the account, which makes it larger by so many octets."""
        row = self.sql.one(
            "UPDATE account_store SET modseq = modseq + 1, octets = octets + ? WHERE account_id = ?"
            " RETURNING modseq, octets",
            (octets, account),
        )
        if row is None:
            raise NoSuchAccount(account)
        self.touched.add(account)
        self.used[account] = (row[0], row[1])
        return row[0]

    # -- threads -----------------------------------------------------------------------------------------

    def _thread(self, message: NewMessage) -> str:
        account, tag = message.account, message.tag
        references = self._references(account, message.message_ids)
        if message.thread_id is not None:
            found, known = None, Conversation(message.thread_id, None)  # a re-seal keeps its thread
        else:
            found = self._known_thread(account, references)
            known = found or Conversation(new_id("T"), None)
        thread_id = known.thread_id
        if known.tag is None and (found is None or tag is not None):
            # New, or had no tag so far: it takes this one.
            self.sql.run(
                "INSERT INTO thread (account_id, thread_id, tag) VALUES (?, ?, ?)"
                " ON CONFLICT (account_id, thread_id) DO UPDATE SET tag = coalesce(thread.tag, excluded.tag)",
                (account, thread_id, tag),
            )
        if tag is not None and tag != known.tag:
            self._take_tag(account, tag, thread_id)
        if references:
            self.sql.many(
                "INSERT INTO thread_reference (reference, account_id, thread_id) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                [(reference, account, thread_id) for reference in references],
            )
        return thread_id

    def _take_tag(self, account: AccountId, tag: str, thread_id: str) -> None:
        """Clients that thread by subject must never merge two patients: a tag stands for one thread."""
        made = self.sql.run(
            "INSERT INTO thread_tag (account_id, tag, thread_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (account, tag, thread_id),
        )
        if not made and not self.sql.one(
            "SELECT 1 FROM thread_tag WHERE account_id = ? AND tag = ? AND thread_id = ?",
            (account, tag, thread_id),
        ):
            raise TagTaken(account)

    # -- blobs -------------------------------------------------------------------------------------------

    def _reference_blob(self, blob: StagedBlob) -> None:
        """One more message names this blob; the first one lays it down."""
        if blob.owner is None or len(blob.stored) > self._shared.settings.inline_limit:
            known = self.sql.run("UPDATE blob SET refcount = refcount + 1 WHERE blob_id = ?", (blob.blob_id,))
            if known:
                return
        segment: int | None = None
        position: int | None = None
        data: bytes | bytearray | None = blob.stored
        if len(blob.stored) > self._shared.settings.inline_limit:
            segment, position = self._append(blob)
            data = None
        self.sql.run(
            "INSERT INTO blob (blob_id, owner, refcount, codec, clear_size, stored_size, segment, position, data)"
            " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (blob_id) DO UPDATE SET refcount = blob.refcount + 1",
            (
                blob.blob_id, blob.owner, blob.codec, blob.clear_size, len(blob.stored), segment, position, data,
            ),
        )  # fmt: skip

    def _append(self, blob: StagedBlob) -> tuple[int, int]:
        laid = self._laid
        place = laid.places.get(blob.blob_id)
        if place is None:
            place = laid.writer.append(blob.blob_id, blob.codec, blob.clear_size, blob.stored)
            laid.places[blob.blob_id] = place
            laid.grown[place[0]] = laid.writer.length
        self.sql.run(
            "INSERT INTO segment (id, length, garbage, created) VALUES (?, 0, 0, ?) ON CONFLICT DO NOTHING",
            (place[0], now_ms()),
        )
        return place

    def _dereference_blob(self, blob_id: bytes, count: int) -> None:
        """`count` messages less name this blob; the last one frees it."""
        row = self.sql.one(
            "UPDATE blob SET refcount = refcount - ? WHERE blob_id = ? RETURNING refcount, segment, stored_size",
            (count, blob_id),
        )
        if row is None or row[0] > 0:
            return
        self.sql.run("DELETE FROM blob WHERE blob_id = ?", (blob_id,))
        if row[1] is not None:
            self.sql.run("UPDATE segment SET garbage = garbage + ? WHERE id = ?", (row[2] + OVERHEAD, row[1]))

    # -- the transaction's own state ---------------------------------------------------------------------

    def _cipher(self, account: AccountId) -> Cipher:
        return self.fresh_keys.get(account) or self._keyring.load(self.sql, account)

    def _remember(self, mailbox: MailboxId, rows: Iterable[MessageRow]) -> None:
        """Nothing read here enters the cache: this transaction may yet be rolled back."""

    def _once_a_change(self, question: Hashable, stamp: Hashable, count: Callable[[], T]) -> T:
        """Nor what is counted here."""
        return count()

    def _lock(self, account: AccountId) -> None:
        """PostgreSQL: wait for other nodes that write in this account. SQLite has one writer anyway."""
        if self.sql.dialect == "postgresql":
            row: Any = self.sql.one("SELECT 1 FROM account_store WHERE account_id = ? FOR UPDATE", (account,))
            if row is None:
                raise NoSuchAccount(account)
