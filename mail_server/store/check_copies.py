"""Checks what the store keeps twice for speed: a membership's copies of its message, an account's octets."""

from __future__ import annotations

from collections.abc import Iterator

from mail_server.store.driver import Driver
from mail_server.store.findings import Fault, Finding
from mail_server.store.identifiers import thread_key

_PAGE = 5000


def check_copies(sql: Driver) -> Iterator[Finding]:
    yield from _memberships(sql)
    for account, octets, summed in sql.all(
        "SELECT a.account_id, a.octets, coalesce(m.summed, 0) FROM account_store a LEFT JOIN"
        " (SELECT account_id, CAST(sum(size) AS BIGINT) AS summed FROM message GROUP BY account_id) m"
        " ON m.account_id = a.account_id WHERE a.octets <> coalesce(m.summed, 0) ORDER BY a.account_id"
    ):
        yield Finding(Fault.OCTETS, account, f"counted {octets}, its messages have {summed}")


def _memberships(sql: Driver) -> Iterator[Finding]:
    mailbox, uid = 0, 0
    while True:
        rows = sql.all(
            "SELECT p.mailbox_id, p.uid, p.size = m.size AND p.received_at = m.received_at, p.thread_key, m.thread_id"
            " FROM membership p JOIN message m ON m.id = p.message_id WHERE (p.mailbox_id, p.uid) > (?, ?)"
            " ORDER BY p.mailbox_id, p.uid LIMIT ?",
            (mailbox, uid, _PAGE),
        )
        for mailbox, uid, same, key, thread in rows:
            subject = f"mailbox {mailbox} uid {uid}"
            if not same:
                yield Finding(Fault.COPY_DIFFERS, subject, "its size or arrival is not its message's")
            if key != thread_key(thread):
                yield Finding(Fault.COPY_DIFFERS, subject, "its thread is not its message's")
        if len(rows) < _PAGE:
            return
