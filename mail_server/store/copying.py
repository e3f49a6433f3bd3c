"""Copies, moves, removals and re-seals inside a write transaction.

Invariants: what leaves a mailbox leaves a tombstone there; a message without a mailbox is gone, with its reference
on the blob; within an account a copy is one more membership, across accounts a new message under the other key.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace as altered
from typing import Any

from mail_server.store import seen
from mail_server.store.at_rest import bound_column, unpack_outer, unpack_rendered
from mail_server.store.filing import INSERT_MEMBERSHIP, now_ms
from mail_server.store.identifiers import new_id
from mail_server.store.interface import NoSuchMailbox, NoSuchMessage, StoreError
from mail_server.store.model import (
    AccountId,
    Copied,
    Filed,
    Form,
    MailboxId,
    MessageId,
    NewMessage,
    SplitContent,
    VerbatimContent,
)
from mail_server.store.queueing import Queueing
from mail_server.store.reader import FLAGS, NO_KEYWORDS
from mail_server.store.staging import stage_blob


class Copying(Queueing):
    """The part of a transaction that moves messages between mailboxes, and out of them."""

    def lock(self, accounts: Sequence[AccountId]) -> None:
        for account in sorted(set(accounts)):
            self._lock(account)

    def copy(self, source: MailboxId, uids: Sequence[int], target: MailboxId) -> Copied:
        self.require_space()
        giver, taker = self._account_of(source), self._account_of(target)
        self.lock([giver, taker])
        rows = self._select(source, uids, "uid, message_id, flags, keywords, size, received_at, thread_key")
        if not rows:
            return Copied(self.mailbox(target).uidvalidity, [], [])
        if giver == taker:
            return self._copy_within(taker, rows, target)
        return self._copy_across(source, taker, rows, target)

    def move(self, source: MailboxId, uids: Sequence[int], target: MailboxId) -> Copied:
        copied = self.copy(source, uids, target)
        if copied.source_uids:
            self.expunge(source, copied.source_uids)
        return copied

    def expunge(self, mailbox: MailboxId, uids: Sequence[int]) -> list[int]:
        account = self._account_of(mailbox)
        self._lock(account)
        rows = self._select(mailbox, uids, "uid, message_id, created_modseq")
        if not rows:
            return []
        modseq = self._next_modseq(account)
        gone = self._remove(account, mailbox, rows, modseq)
        self._drop_messages(account, gone)
        self._raise_mailbox(mailbox, modseq)
        return [row[0] for row in rows]

    def replace(self, message: MessageId, new: NewMessage) -> list[Filed]:
        origin = self.message_origin(message)
        if origin.account != new.account:
            raise StoreError("a message is replaced within its account")
        self.require_space()
        self._lock(origin.account)
        places = self.sql.all(
            "SELECT mailbox_id, uid, message_id, flags, keywords, created_modseq, savedate FROM membership"
            " WHERE message_id = ? ORDER BY mailbox_id, uid",
            (message,),
        )
        if not places:
            raise NoSuchMessage(str(message))
        modseq = self._next_modseq(origin.account, new.size)
        kept = altered(new, thread_id=origin.thread_id, received_at=origin.received_at)
        # The new message refers to its blob before the old one lets go: a body they share survives.
        number, email_id = self._insert(kept, self._thread(kept), modseq)
        seen.carry(self.sql, message, number)
        filed: list[Filed] = []
        for mailbox, uid, old, flags, keywords, created, savedate in places:
            words = NO_KEYWORDS if keywords is None else self._open_keywords(origin.account, old, keywords)
            here = altered(kept, mailbox=mailbox, flags=FLAGS[flags], keywords=words, savedate=savedate)
            filed.append(self._place(here, number, email_id, origin.thread_id, modseq))
            self._remove(origin.account, mailbox, [(uid, old, created)], modseq)
        self._drop_messages(origin.account, [message])
        return filed

    def _copy_within(self, account: AccountId, rows: list[tuple[Any, ...]], target: MailboxId) -> Copied:
        modseq = self._next_modseq(account)
        uidvalidity, first = self._take_uids(target, len(rows), modseq)
        now = now_ms()
        self.sql.many(
            INSERT_MEMBERSHIP,
            [
                (target, first + place, message, flags, keywords, modseq, modseq, now, *copied)
                for place, (_, message, flags, keywords, *copied) in enumerate(rows)
            ],
        )
        return Copied(uidvalidity, [row[0] for row in rows], list(range(first, first + len(rows))))

    def _copy_across(
        self, source: MailboxId, taker: AccountId, rows: list[tuple[Any, ...]], target: MailboxId
    ) -> Copied:
        giver = self._account_of(source)
        threads: dict[str, str] = {}  # what was one thread there is one thread here
        uids: list[int] = []
        uidvalidity = 0
        for _, message, flags, keywords, *_ in rows:
            words = NO_KEYWORDS if keywords is None else self._open_keywords(giver, message, keywords)
            copy = self._for_account(message, taker, target)
            thread = threads.setdefault(copy.thread_id or "", new_id("T"))
            filed = self.file(altered(copy, thread_id=thread, flags=FLAGS[flags], keywords=words))
            uids.append(filed.uid)
            uidvalidity = filed.uidvalidity
        return Copied(uidvalidity, [row[0] for row in rows], uids)

    def _for_account(self, message: MessageId, taker: AccountId, target: MailboxId) -> NewMessage:
        """The same message under another account's data key (a split body stays shared)."""
        origin = self.message_origin(message)
        row = self.sql.one("SELECT outer_part, key_packets, rendered FROM message WHERE id = ?", (message,))
        assert row is not None
        outer, key_packets, rendered = row
        giver = self._cipher(origin.account)
        blob = self.stored_body(message)
        if blob.owner is not None:
            clear = self._open_blob(blob)
            blob = stage_blob(
                self._cipher(taker),
                taker,
                self._keyring.new_blob_id(),
                clear,
                compress=blob.codec != 0,
                levels=self._shared.settings.compression_levels(),
            )
        content: SplitContent | VerbatimContent
        if origin.form is Form.SPLIT:
            head, tail = unpack_outer(
                giver.open(bytes(outer), bound_column(origin.account, b"outer", origin.email_id))
            )
            content = SplitContent(head, bytes(key_packets), blob, tail)
        else:
            content = VerbatimContent(blob)
        return NewMessage(
            account=taker,
            mailbox=target,
            content=content,
            rendered=unpack_rendered(
                giver.open(bytes(rendered), bound_column(origin.account, b"rendered", origin.email_id))
            ),
            size=origin.size,
            received_at=origin.received_at,
            state=origin.state,
            findings=origin.findings,
            savedate=now_ms(),
            thread_id=origin.thread_id,
        )

    # -- shared steps ------------------------------------------------------------------------------------

    def _select(self, mailbox: MailboxId, uids: Sequence[int], columns: str) -> list[tuple[Any, ...]]:
        """Memberships of these uids, by uid; the first column is the uid."""
        if not uids:
            return []
        condition, parameters, wanted = self._among("uid", uids)
        rows = self.sql.all(
            f"SELECT {columns} FROM membership WHERE mailbox_id = ? AND {condition} ORDER BY uid",
            (mailbox, *parameters),
        )
        return rows if wanted is None else [row for row in rows if row[0] in wanted]

    def _take_uids(self, mailbox: MailboxId, count: int, modseq: int) -> tuple[int, int]:
        row = self.sql.one(
            "UPDATE mailbox SET uidnext = uidnext + ?, highestmodseq = ? WHERE id = ?"
            " RETURNING uidvalidity, uidnext",
            (count, modseq, mailbox),
        )
        if row is None:
            raise NoSuchMailbox
        return row[0], row[1] - count

    def _raise_mailbox(self, mailbox: MailboxId, modseq: int) -> None:
        self.sql.run("UPDATE mailbox SET highestmodseq = ? WHERE id = ?", (modseq, mailbox))

    def _remove(
        self, account: AccountId, mailbox: MailboxId, rows: Sequence[tuple[Any, ...]], modseq: int
    ) -> list[MessageId]:
        """Take (uid, message, created_modseq) out of a mailbox; return the messages left without any."""
        uids = [row[0] for row in rows]
        messages = list({row[1] for row in rows})
        self.sql.run(
            f"DELETE FROM membership WHERE mailbox_id = ? AND {self.sql.listed('uid')}",
            (mailbox, self.sql.as_list(uids)),
        )
        listed = self.sql.as_list(messages)
        elsewhere = {
            row[0]
            for row in self.sql.all(
                f"SELECT DISTINCT message_id FROM membership WHERE {self.sql.listed('message_id')}", (listed,)
            )
        }
        known: dict[int, tuple[str, str, int]] = {
            number: (email_id, thread_id, made)
            for number, email_id, thread_id, made in self.sql.all(
                f"SELECT id, email_id, thread_id, created_modseq FROM message WHERE {self.sql.listed('id')}",
                (listed,),
            )
        }
        self.sql.many(
            "INSERT INTO tombstone (mailbox_id, modseq, uid, created_modseq, account_id, destroyed, email_id,"
            " thread_id, email_created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (mailbox, modseq, uid, created, account, int(message not in elsewhere), *known[message])
                for uid, message, created in rows
            ],
        )
        return [message for message in messages if message not in elsewhere]

    def _drop_messages(self, account: AccountId, messages: Sequence[MessageId]) -> None:
        if not messages:
            return
        listed = self.sql.as_list(messages)
        gone = self.sql.all(f"SELECT blob_id, size FROM message WHERE {self.sql.listed('id')}", (listed,))
        self.sql.run(f"DELETE FROM message WHERE {self.sql.listed('id')}", (listed,))
        seen.forget_messages(self.sql, listed)
        for blob_id, count in Counter(bytes(row[0]) for row in gone).items():
            self._dereference_blob(blob_id, count)
        row = self.sql.one(
            "UPDATE account_store SET octets = octets - ? WHERE account_id = ? RETURNING modseq, octets",
            (sum(row[1] for row in gone), account),
        )
        assert row is not None
        self.used[account] = (row[0], row[1])
