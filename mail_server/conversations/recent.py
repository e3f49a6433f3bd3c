"""Whom somebody wrote with lately, read from the outer headers of their newest letters.

Invariants: nothing is kept; one bad header costs its own letter alone; at most `most` letters of each mailbox are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mail_server import mime
from mail_server.store.interface import NoSuchAccount, NoSuchMailbox, Reader
from mail_server.store.model import AccountId, EmailQuery, SpecialUse

_OTHERS = {SpecialUse.INBOX: ("from", "reply-to"), SpecialUse.SENT: ("to", "cc")}
_MOST_NAMED = 50  # addresses of one letter


@dataclass(frozen=True, slots=True)
class RecentLetter:
    at: int
    thread: str
    addresses: tuple[str, ...] = field(repr=False)


def recently_written(reader: Reader, account: AccountId, most: int) -> Iterator[RecentLetter]:
    """Letters received and sent, newest first in each mailbox."""
    for use, names in _OTHERS.items():
        try:
            mailbox = reader.mailbox_by_use(account, use).id
        except (NoSuchAccount, NoSuchMailbox):
            continue
        page = reader.query_emails(account, EmailQuery(mailbox=mailbox), 0, most)
        for row in reader.emails(account, [email for email, _ in page.found]):
            named = [
                one.spec
                for found in mime.fields(row.rendered.header)
                if found.name in names
                for one in mime.mailboxes(found.value)
            ]
            yield RecentLetter(row.received_at, row.thread_id, tuple(named[:_MOST_NAMED]))
