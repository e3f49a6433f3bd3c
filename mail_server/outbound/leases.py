"""Who hands over which letters now: leases, so that several nodes share one queue.

Invariants: a letter is taken by one statement that no other node can take part in; whoever hands bytes over has
written so first, under a lease that was still theirs (`mark_handed`), so that what a crash leaves in doubt is known to
the letter; a lease that ended is anybody's.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

from dataclasses import dataclass

from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.rows import COLUMNS, QueuedLetter, QueuedRecipient, Wraps, letter_of, recipients
from mail_server.store.interface import Sql


@dataclass(frozen=True, slots=True)
class Lease:
    owner: str  # one start of one node (`owner_of`)
    until: int  # ms


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter with the recipients that wait for it."""

    letter: QueuedLetter
    recipients: tuple[QueuedRecipient, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a domain had to give."""

    letters: tuple[Taken, ...]
    held: bool = False
    failures: int = 0
    retry_at: int = 0
    next_due: int | None = None  # of what still waits
    damaged: int = 0  # letters that do not open under this node's key: held, for an administrator


def owner_of(home: str, start: str) -> str:
    return f"{home}.{start}"


def claim(sql: Sql, wraps: Wraps, domain: str, now: int, limit: int, lease: Lease) -> Claim:
    """Lease what is due for this domain, the longest due first."""
    standing = sql.one("SELECT failures, retry_at FROM outbound_domain WHERE domain = ?", (domain,))
    failures, retry_at = standing or (0, 0)
    held = sql.one("SELECT 1 FROM outbound_hold WHERE domain = ?", (domain,)) is not None
    if held or retry_at > now:
        return Claim((), held, failures, retry_at, next_due(sql, domain))
    # PostgreSQL: rows that another node takes at this moment are passed over. SQLite has one writer anyway.
    alone = " FOR UPDATE SKIP LOCKED" if sql.dialect == "postgresql" else ""
    rows = sql.all(
        f"SELECT {COLUMNS} FROM outbound_letter WHERE domain = ? AND state = 0 AND held = 0 AND due <= ?"
        f" ORDER BY due, id LIMIT ?{alone}",
        (domain, now, 1 if failures else limit),
    )
    taken: list[Taken] = []
    damaged = 0
    for row in rows:
        try:
            letter = letter_of(wraps, row)
            waiting = recipients(sql, wraps, letter, waiting=True)
        except KeyUnavailable:
            sql.run("UPDATE outbound_letter SET held = 1 WHERE id = ?", (row[0],))
            damaged += 1
            continue
        sql.run(
            "UPDATE outbound_letter SET state = 1, lease_owner = ?, lease_until = ? WHERE id = ?",
            (lease.owner, lease.until, letter.id),
        )
        taken.append(Taken(letter, waiting))
    return Claim(tuple(taken), False, failures, retry_at, next_due(sql, domain), damaged)


def next_due(sql: Sql, domain: str) -> int | None:
    # Not min(due): PostgreSQL may read a whole long queue for it.
    row = sql.one(
        "SELECT due FROM outbound_letter WHERE domain = ? AND state = 0 AND held = 0 ORDER BY due LIMIT 1",
        (domain,),
    )
    return None if row is None else row[0]


def mark_handed(sql: Sql, taken: Taken, owner: str, now: int) -> bool:
    """The bytes go out now. False: the lease is lost, or another node settled a recipient meanwhile."""
    marked = sql.run(
        "UPDATE outbound_letter SET handed_at = ? WHERE id = ? AND state = 1 AND lease_owner = ?",
        (now, taken.letter.id, owner),
    )
    if not marked:
        return False
    row = sql.one(
        "SELECT count(*) FROM outbound_recipient WHERE letter = ? AND state = 0", (taken.letter.id,)
    )
    return row is not None and row[0] == len(taken.recipients)


def extend(sql: Sql, numbers: list[int], lease: Lease) -> None:
    sql.many(
        "UPDATE outbound_letter SET lease_until = ? WHERE id = ? AND state = 1 AND lease_owner = ?",
        [(lease.until, number, lease.owner) for number in numbers],
    )


def release(sql: Sql, numbers: list[int], owner: str) -> None:
    """Letters that were not tried: they wait as before."""
    sql.many(
        "UPDATE outbound_letter SET state = 0, lease_owner = NULL, lease_until = NULL"
        " WHERE id = ? AND state = 1 AND lease_owner = ? AND handed_at IS NULL",
        [(number, owner) for number in numbers],
    )


def release_all(sql: Sql, owner: str) -> None:
    """At the end of a node: what it has not handed over waits for the next one."""
    sql.run(
        "UPDATE outbound_letter SET state = 0, lease_owner = NULL, lease_until = NULL"
        " WHERE state = 1 AND lease_owner = ? AND handed_at IS NULL",
        (owner,),
    )


def take_back(sql: Sql, now: int | None, limit: int, home: str = "") -> tuple[int, int]:
    """Letters whose node is gone wait again: those whose lease ended by `now`; None: all, for there is one node.

    `home`: those alone that earlier starts of this node had. Returns how many letters, and for how many recipients
    nobody knows whether they arrived.
    """
    alone = " FOR UPDATE SKIP LOCKED" if sql.dialect == "postgresql" else ""
    ended, bound = ("", ()) if now is None else (" AND lease_until <= ?", (now,))
    if home:
        ended, bound = ended + " AND lease_owner LIKE ?", (*bound, owner_of(home, "%"))
    rows = sql.all(
        f"SELECT id, handed_at FROM outbound_letter WHERE state = 1{ended} LIMIT ?{alone}",
        (*bound, limit),
    )
    unsure = 0
    for number, handed_at in rows:
        if handed_at is not None:
            unsure += sql.run(
                "UPDATE outbound_recipient SET unsure = unsure + 1, attempts = attempts + 1, at = ?"
                " WHERE letter = ? AND state = 0",
                (handed_at, number),
            )
        sql.run(
            "UPDATE outbound_letter SET state = 0, lease_owner = NULL, lease_until = NULL, handed_at = NULL"
            " WHERE id = ?",
            (number,),
        )
    return len(rows), unsure
