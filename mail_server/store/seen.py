"""What each reader of a shared account has seen and is subscribed to (RFC 4314 §4: \\Seen may be one's own).

A reader's word on a message overrides the flag that its places carry for all; a message nobody has said anything of
has the common one. It is kept by message, so it goes along when the message is moved.

Invariants: whoever reads as themselves sees one set of flags everywhere (lists, counts, queries, changes); a change
takes a modseq, like any other, so that caches and other sessions learn of it; who does not ask pays nothing.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and numbers, never a value

from __future__ import annotations

from collections.abc import Sequence

from mail_server.store.driver import Driver
from mail_server.store.model import AccountId, Flag, MailboxId, MessageId

SEEN = int(Flag.SEEN)
NOBODY = 0  # number of a reader who has never said anything; no row has it


def number_of(sql: Driver, account: AccountId, person: AccountId) -> int:
    row = sql.one("SELECT id FROM reader WHERE account_id = ? AND person = ?", (account, person))
    return NOBODY if row is None else row[0]


def made_number(sql: Driver, account: AccountId, person: AccountId) -> int:
    """The reader's number, given now when they had none."""
    known = number_of(sql, account, person)
    if known != NOBODY:
        return known
    sql.run("INSERT INTO reader (account_id, person) VALUES (?, ?) ON CONFLICT DO NOTHING", (account, person))
    return number_of(sql, account, person)


def flags_as(alias: str, reader: int | None) -> str:
    """The flags of a place as this reader sees them; as all do for None."""
    if reader is None or reader == NOBODY:
        return f"{alias}.flags"
    return (
        f"coalesce((SELECT ({alias}.flags & ~{SEEN}) | seen.seen FROM seen WHERE seen.message_id ="
        f" {alias}.message_id AND seen.reader_id = {reader:d}), {alias}.flags)"
    )


def overrides(sql: Driver, reader: int, messages: Sequence[MessageId]) -> dict[int, int]:
    """What the reader said of these messages: 1 or 0."""
    if reader == NOBODY or not messages:
        return {}
    rows = sql.all(
        f"SELECT message_id, seen FROM seen WHERE {sql.listed('message_id')} AND reader_id = ?",
        (sql.as_list(messages), reader),
    )
    return {row[0]: row[1] for row in rows}


def mark(sql: Driver, reader: int, messages: Sequence[MessageId], seen: int) -> None:
    sql.many(
        "INSERT INTO seen (message_id, reader_id, seen) VALUES (?, ?, ?)"
        " ON CONFLICT (message_id, reader_id) DO UPDATE SET seen = excluded.seen",
        [(message, reader, seen) for message in messages],
    )


def carry(sql: Driver, old: MessageId, new: MessageId) -> None:
    """A message took another's place (re-seal): what was said of it holds on."""
    sql.run("UPDATE seen SET message_id = ? WHERE message_id = ?", (new, old))


def forget_messages(sql: Driver, listed: object) -> None:
    sql.run(f"DELETE FROM seen WHERE {sql.listed('message_id')}", (listed,))


def forget_reader(sql: Driver, account: AccountId, person: AccountId) -> None:
    reader = number_of(sql, account, person)
    if reader == NOBODY:
        return
    for table in ("seen", "reader_subscription"):
        sql.run(f"DELETE FROM {table} WHERE reader_id = ?", (reader,))
    sql.run("DELETE FROM reader WHERE id = ?", (reader,))


def subscriptions(sql: Driver, reader: int) -> dict[int, bool]:
    rows = sql.all("SELECT mailbox_id, subscribed FROM reader_subscription WHERE reader_id = ?", (reader,))
    return {row[0]: bool(row[1]) for row in rows}


def subscribe(sql: Driver, reader: int, mailbox: MailboxId, subscribed: bool) -> None:
    sql.run(
        "INSERT INTO reader_subscription (reader_id, mailbox_id, subscribed) VALUES (?, ?, ?)"
        " ON CONFLICT (reader_id, mailbox_id) DO UPDATE SET subscribed = excluded.subscribed",
        (reader, mailbox, int(subscribed)),
    )
