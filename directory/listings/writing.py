"""The one way anything comes into the listings: the imports, our own accounts, what other operators publish.

Who names an address first by right keeps it: our own accounts before what another operator publishes, and that before
the national files; an import never writes over an account of ours.

Each function works inside a transaction of the caller's and leaves professional, organisation, holder, card, index and
vocabulary saying the same; `state.generation` moves when anything did. What one organisation changed for thousands of
cards is noted in `organisation_due` and made anew by `settle`, some at a time.

Invariants: what is on the red list or struck off has no card; writing the same again writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from directory.listings.database import Sql
from directory.listings.situation_id import situation_id
from directory.listings.transaction import AT_ONCE, Transaction, Written
from directory.model import Mailbox, Origin, Situation
from directory.search.index import Vocabulary


def put_mailboxes(
    sql: Sql,
    mailboxes: Iterable[Mailbox],
    publisher: str = "",
    at: int = 0,
    vocabulary: Vocabulary | None = None,
) -> Written:
    """List them, or what changed of them. `publisher`: which operator published them, for Origin.PUBLISHED."""
    transaction = Transaction(sql, at, vocabulary)
    written = transaction.put_mailboxes(mailboxes, publisher)
    transaction.finish()
    return written


def put_situations(
    sql: Sql, situations: Iterable[Situation], at: int, vocabulary: Vocabulary | None = None
) -> Written:
    return put_numbered_situations(sql, {situation_id(one): one for one in situations}, at, vocabulary)


def put_numbered_situations(
    sql: Sql, situations: Mapping[int, Situation], at: int, vocabulary: Vocabulary | None = None
) -> Written:
    """The same, by their `situation_id`, for who knows it already."""
    transaction = Transaction(sql, at, vocabulary)
    written = transaction.put_situations(situations)
    transaction.finish()
    return written


def compare_mailboxes(sql: Sql, mailboxes: Iterable[Mailbox]) -> Written:
    """What `put_mailboxes` would answer; nothing is written."""
    return Transaction(sql, 0).compare_mailboxes(mailboxes)


def compare_situations(sql: Sql, situations: Mapping[int, Situation]) -> Written:
    """What `put_numbered_situations` would answer; nothing is written."""
    return Transaction(sql, 0).compare_situations(situations)


def remove_mailboxes(
    sql: Sql, addresses: Iterable[str], at: int = 0, origin: Origin | None = None
) -> Written:
    """Take them out. `origin`: only those that this one told."""
    transaction = Transaction(sql, at)
    written = transaction.remove_mailboxes(addresses, origin)
    transaction.finish()
    return written


def remove_situations(sql: Sql, ids: Iterable[str], at: int = 0) -> Written:
    transaction = Transaction(sql, at)
    written = transaction.remove_situations(ids)
    transaction.finish()
    return written


def strike_off(sql: Sql, national_ids: Iterable[str], at: int) -> Written:
    """Nothing of them is shown from now on. `changed`: who was not struck off before."""
    transaction = Transaction(sql, at)
    written = transaction.standing(national_ids, at)
    transaction.finish()
    return written


def reinstate(sql: Sql, national_ids: Iterable[str], at: int) -> Written:
    transaction = Transaction(sql, at)
    written = transaction.standing(national_ids, None)
    transaction.finish()
    return written


def settle(sql: Sql, at: int, limit: int = AT_ONCE, vocabulary: Vocabulary | None = None) -> bool:
    """Make some cards anew of an organisation that changed. False: nothing is due."""
    transaction = Transaction(sql, at, vocabulary)
    more = transaction.settle(limit)
    transaction.finish()
    return more
