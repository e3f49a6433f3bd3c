"""Lists of messages by order of arrival, without opening any of them (RFC 8621 §4.4).

Invariants: a message stands once in a result, however many places it has; the order is total (arrival, then message
id), so pages of one state never overlap; flags and keywords are those of the place in the mailbox asked for, or of
any place when none is.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace as altered
from itertools import islice
from typing import Any

from mail_server.store.changes import ChangeReader
from mail_server.store.identifiers import is_email_id
from mail_server.store.interface import NoSuchMessage
from mail_server.store.model import AccountId, EmailPage, EmailQuery, Flag, MailboxId, MessageId

_FIRST = 100
_MOST = 1000  # rows of one step of a walk
_END = 1 << 62
_Place = tuple[int, int, int]  # received_at, message, thread key

# RFC 8621 §2: a message counts as unread with neither $seen nor $draft.
_READ = int(Flag.SEEN | Flag.DRAFT)


class QueryReader(ChangeReader):
    """The part of a reader that lists and counts."""

    def query_emails(
        self, account: AccountId, query: EmailQuery, position: int, limit: int, anchor: str | None = None
    ) -> EmailPage:
        number = None if anchor is None else self._message_number(account, anchor)
        mailbox = self._only_mailbox(account, query)
        if mailbox is not None:
            start = max(position + (0 if number is None else self._rank(mailbox, query, number)), 0)
            found = self._slice(mailbox, query, start, limit)
        elif number is None:
            start = max(position, 0)
            found = list(islice(self._walk(account, query, start + limit), start, start + limit))
        else:
            start, found = _around(self._walk(account, query, _MOST), number, position, limit)
        return EmailPage(self._named(found), start)

    def count_emails(self, account: AccountId, query: EmailQuery) -> int:
        asked = altered(query, ascending=False)
        if query.mailbox is None or query.mailbox in query.other_than:
            stamp: object = self.modseq(account)
        else:
            stamp = self._mailbox_stamp(query.mailbox)
        return self._once_a_change((account, asked), stamp, lambda: self._count_emails(account, asked))

    def thread_counts(self, mailbox: MailboxId) -> tuple[int, int]:
        def count() -> tuple[int, int]:
            unread = f"{self._flags_of('p')} & {_READ} = 0"
            row = self.sql.one(
                "SELECT count(DISTINCT p.thread_key),"
                f" count(DISTINCT CASE WHEN {unread} THEN p.thread_key END)"
                " FROM membership p WHERE p.mailbox_id = ?",
                (mailbox,),
            )
            assert row is not None
            return row[0], row[1]

        return self._once_a_change(("threads", mailbox), self._mailbox_stamp(mailbox), count)

    # -- one mailbox, and nothing that the database cannot judge -----------------------------------------

    def _only_mailbox(self, account: AccountId, query: EmailQuery) -> MailboxId | None:
        """The mailbox when its index alone gives the answer."""
        if query.collapse_threads or _worded(query) or query.mailbox is None:
            return None
        return query.mailbox if self._owned(account, query.mailbox) else None

    def _slice(self, mailbox: MailboxId, query: EmailQuery, start: int, limit: int) -> list[int]:
        condition, parameters = _condition(query, self._flags_of("p"))
        order = _order(query)
        rows = self.sql.all(
            f"SELECT p.message_id FROM membership p WHERE p.mailbox_id = ?{condition}"
            f" GROUP BY p.received_at, p.message_id ORDER BY {order} LIMIT ? OFFSET ?",
            (mailbox, *parameters, max(limit, 0), start),
        )
        return [row[0] for row in rows]

    def _rank(self, mailbox: MailboxId, query: EmailQuery, message: MessageId) -> int:
        """How many stand before it. Raises NoSuchMessage when it is not in the result."""
        condition, parameters = _condition(query, self._flags_of("p"))
        place = self.sql.one(
            f"SELECT p.received_at FROM membership p WHERE p.mailbox_id = ? AND p.message_id = ?{condition}",
            (mailbox, message, *parameters),
        )
        if place is None:
            raise NoSuchMessage("the anchor is not in the result")
        row = self.sql.one(
            f"SELECT count(*) FROM (SELECT 1 FROM membership p WHERE p.mailbox_id = ?{condition}"
            f" AND (p.received_at, p.message_id) {'<' if query.ascending else '>'} (?, ?)"
            " GROUP BY p.received_at, p.message_id) before",
            (mailbox, *parameters, place[0], message),
        )
        assert row is not None
        return row[0]

    # -- several mailboxes, keywords, threads ------------------------------------------------------------

    def _walk(self, account: AccountId, query: EmailQuery, first: int) -> Iterator[MessageId]:
        """The whole result in order, read as far as it is asked for."""
        steps = [
            self._places(account, mailbox, query, min(max(first, _FIRST), _MOST))
            for mailbox in self._searched(account, query)
        ]
        merged = steps[0] if len(steps) == 1 else heapq.merge(*steps, reverse=not query.ascending)
        before: int | None = None
        threads: set[int] = set()
        for _, message, thread in merged:
            if message == before:
                continue
            before = message
            if query.collapse_threads:
                if thread in threads:
                    continue
                threads.add(thread)
            yield MessageId(message)

    def _places(
        self, account: AccountId, mailbox: MailboxId, query: EmailQuery, step: int
    ) -> Iterator[_Place]:
        condition, parameters = _condition(query, self._flags_of("p"))
        words = _worded(query)
        statement = (
            f"SELECT p.received_at, p.message_id, p.thread_key{', p.keywords' if words else ''}"
            f" FROM membership p WHERE p.mailbox_id = ?{condition}"
            f" AND (p.received_at, p.message_id) {'>' if query.ascending else '<'} (?, ?)"
            f" ORDER BY {_order(query)} LIMIT ?"
        )
        at, message = (-_END, 0) if query.ascending else (_END, 0)
        while True:
            rows = self.sql.all(statement, (mailbox, *parameters, at, message, step))
            for row in rows:
                if not words or self._worded(account, query, row):
                    yield row[0], row[1], row[2]
            if len(rows) < step:
                return
            at, message = rows[-1][0], rows[-1][1]
            step = _MOST

    def _worded(self, account: AccountId, query: EmailQuery, row: tuple[Any, ...]) -> bool:
        """RFC 8621 §4.1.1: a keyword is the same in capitals and not; IMAP keeps it as it was first spelled."""
        words: set[str] = set()
        if row[3] is not None:
            words = {word.lower() for word in self._open_keywords(account, MessageId(row[1]), row[3])}
        wanted, unwanted = query.keyword_set, query.keyword_unset
        return (wanted is None or wanted.lower() in words) and (
            unwanted is None or unwanted.lower() not in words
        )

    def _searched(self, account: AccountId, query: EmailQuery) -> list[MailboxId]:
        if query.mailbox is not None:
            return [query.mailbox] if self._owned(account, query.mailbox) else []
        rows = self.sql.all("SELECT id FROM mailbox WHERE account_id = ? ORDER BY id", (account,))
        return [row[0] for row in rows if row[0] not in query.other_than]

    # -- counting ----------------------------------------------------------------------------------------

    def _count_emails(self, account: AccountId, query: EmailQuery) -> int:
        if _worded(query):
            return sum(1 for _ in self._walk(account, query, _MOST))
        mailboxes = self._searched(account, query)
        if not mailboxes:
            return 0
        condition, parameters = _condition(query, self._flags_of("p"))
        counted = "p.thread_key" if query.collapse_threads else "p.message_id"
        among, values = (
            ("p.mailbox_id = ?", mailboxes[0])
            if len(mailboxes) == 1
            else (self.sql.listed("p.mailbox_id"), self.sql.as_list(mailboxes))
        )
        row = self.sql.one(
            f"SELECT count(DISTINCT {counted}) FROM membership p WHERE {among}{condition}",
            (values, *parameters),
        )
        assert row is not None
        return row[0]

    # -- shared steps ------------------------------------------------------------------------------------

    def _owned(self, account: AccountId, mailbox: MailboxId) -> bool:
        row = self.sql.one("SELECT 1 FROM mailbox WHERE id = ? AND account_id = ?", (mailbox, account))
        return row is not None

    def _message_number(self, account: AccountId, email_id: str) -> MessageId:
        """Raises NoSuchMessage also for another account's."""
        row = (
            self.sql.one("SELECT id FROM message WHERE email_id = ? AND account_id = ?", (email_id, account))
            if is_email_id(email_id)
            else None
        )
        if row is None:
            raise NoSuchMessage("no such message in this account")
        return row[0]

    def _named(self, messages: list[MessageId] | list[int]) -> list[tuple[str, str]]:
        if not messages:
            return []
        rows = self.sql.all(
            f"SELECT id, email_id, thread_id FROM message WHERE {self.sql.listed('id')}",
            (self.sql.as_list(messages),),
        )
        names: dict[int, tuple[str, str]] = {row[0]: (row[1], row[2]) for row in rows}
        return [names[message] for message in messages]


def _worded(query: EmailQuery) -> bool:
    """Keywords lie encrypted: the database cannot judge them."""
    return query.keyword_set is not None or query.keyword_unset is not None


def _condition(query: EmailQuery, flags: str) -> tuple[str, list[int]]:
    """What a place must be, as ` AND …`; `flags` is how its flags are named."""
    parts: list[str] = []
    parameters: list[int] = []

    def add(part: str, *values: int) -> None:
        parts.append(" AND " + part)
        parameters.extend(values)

    if query.before is not None:
        add("p.received_at < ?", query.before)
    if query.after is not None:
        add("p.received_at >= ?", query.after)
    if query.min_size is not None:
        add("p.size >= ?", query.min_size)
    if query.max_size is not None:
        add("p.size < ?", query.max_size)  # RFC 8621 §4.4.1: less than, where minSize is "or equal"
    if query.flags_set:
        add(f"{flags} & ? = ?", int(query.flags_set), int(query.flags_set))
    if query.flags_unset:
        add(f"{flags} & ? = 0", int(query.flags_unset))
    if query.keyword_set is not None:
        add("p.keywords IS NOT NULL")
    if query.coarse_class is not None:
        add(
            "EXISTS (SELECT 1 FROM message c WHERE c.id = p.message_id AND c.coarse_class = ?)",
            int(query.coarse_class),
        )
    if query.mailbox is not None and query.mailbox in query.other_than:
        marks = ", ".join("?" * len(query.other_than))
        add(
            "EXISTS (SELECT 1 FROM membership o WHERE o.message_id = p.message_id"
            f" AND o.mailbox_id NOT IN ({marks}))",
            *sorted(query.other_than),
        )
    return "".join(parts), parameters


def _order(query: EmailQuery) -> str:
    return "p.received_at, p.message_id" if query.ascending else "p.received_at DESC, p.message_id DESC"


def _around(
    result: Iterator[MessageId], anchor: MessageId, offset: int, limit: int
) -> tuple[int, list[MessageId]]:
    """A page that begins `offset` after the anchor (or before, when negative)."""
    passed: list[MessageId] = []
    for message in result:
        passed.append(message)
        if message == anchor:
            break
    else:
        raise NoSuchMessage("the anchor is not in the result")
    start = max(len(passed) - 1 + offset, 0)
    end = start + max(limit, 0)
    passed.extend(islice(result, max(end - len(passed), 0)))
    return start, passed[start:end]
