"""Email/query, Email/queryChanges and Email/changes (RFC 8621 §4.3 to §4.5).

Invariants: one answer is of one state of the account; the order is by arrival and total; what carries \\Deleted is
never in it; a change too large to be told exactly is `cannotCalculateChanges`, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from mail_server.accounts.interface import Account
from mail_server.jmap import states
from mail_server.jmap.email_filter import Found, Question, Sieve, question_of, read_filter
from mail_server.jmap.emails import MAIL_VENDOR, visible
from mail_server.jmap.interface import Arguments, MethodError, Turn
from mail_server.jmap.objects import changes_response, most_changes, since_state
from mail_server.jmap.protocol.arguments import LARGEST, Given
from mail_server.jmap.protocol.errors import invalid_arguments
from mail_server.jmap.services import Services
from mail_server.store.interface import NoSuchMessage, Reader
from mail_server.store.model import AccountId, EmailChanges, EmailPage, EmailQuery, Flag

MOST_FOUND = 500  # ids in one page
_MOST_MOVED = 200  # changed messages whose new place is looked up one by one


def order_of(given: Given) -> EmailQuery:
    """The sort, as the store knows it. Raises MethodError invalidArguments, unsupportedSort."""
    comparators = given.array("sort")
    ascending = False  # no sort asked for: newest first
    for number, value in enumerate(comparators):
        comparator = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        name, up = comparator.get("property"), comparator.get("isAscending", True)
        if not isinstance(name, str) or not isinstance(up, bool):
            raise invalid_arguments("A comparator has a property and a direction")
        if name != "receivedAt":
            raise MethodError("unsupportedSort", "Letters are sorted by receivedAt")
        ascending = up if number == 0 else ascending
    return EmailQuery(ascending=ascending, flags_unset=Flag.DELETED)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of the result is wanted (RFC 8620 §5.5)."""

    position: int
    anchor: str | None
    limit: int
    total: bool
    clamped: bool

    @classmethod
    def of(cls, given: Given) -> Window:
        asked = given.number("limit")
        limit = MOST_FOUND if asked is None else min(asked, MOST_FOUND)
        anchor = given.id("anchor")
        offset = given.number("anchorOffset", 0, lowest=-LARGEST) or 0
        position = given.number("position", 0, lowest=-LARGEST) or 0
        return cls(
            offset if anchor is not None else position,
            anchor,
            limit,
            given.flag("calculateTotal"),
            asked is None or asked > MOST_FOUND,
        )


class EmailQueries:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def query(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(
            arguments, "filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal",
            "collapseThreads",
        )  # fmt: skip
        order, window = order_of(given), Window.of(given)
        collapse = given.flag("collapseThreads")
        filter_, vendor = given.object("filter"), MAIL_VENDOR in turn.using

        def read(reader: Reader) -> dict[str, Any]:
            question = _question(reader, account.id, filter_, order, collapse, vendor)
            page, total = _page(reader, account.id, question, window)
            told: dict[str, Any] = {
                "accountId": account.id,
                "queryState": states.email_state(reader, account.id),
                "canCalculateChanges": not collapse,
                "position": page.position,
                "ids": [email for email, _ in page.found],
            }
            if total is not None and window.total:
                told["total"] = total
            return told | ({"limit": window.limit} if window.clamped else {})

        return await self._services.read(turn, account, read)

    async def query_changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(
            arguments, "filter", "sort", "sinceQueryState", "maxChanges", "upToId", "calculateTotal",
            "collapseThreads",
        )  # fmt: skip
        order = order_of(given)
        collapse, total = given.flag("collapseThreads"), given.flag("calculateTotal")
        most = given.number("maxChanges", lowest=1)
        old, filter_ = given.text("sinceQueryState"), given.object("filter")
        vendor = MAIL_VENDOR in turn.using
        given.text("upToId")  # may be passed over (RFC 8620 §5.6): all changes are told
        if old is None:
            raise invalid_arguments("sinceQueryState is missing")

        def read(reader: Reader) -> dict[str, Any]:
            since = states.since(reader, account.id, old)
            question = _question(reader, account.id, filter_, order, collapse, vendor)
            removed, added = _moved(reader, account.id, question, since)
            if most is not None and len(removed) + len(added) > most:
                raise MethodError("tooManyChanges")
            told: dict[str, Any] = {
                "accountId": account.id,
                "oldQueryState": old,
                "newQueryState": states.email_state(reader, account.id),
                "removed": removed,
                "added": [{"id": email, "index": index} for index, email in added],
            }
            return told | ({"total": _total(reader, account.id, question)} if total else {})

        return await self._services.read(turn, account, read)

    async def changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "sinceState", "maxChanges")
        old, most = since_state(given), most_changes(given)

        def read(reader: Reader) -> dict[str, Any]:
            since = states.since(reader, account.id, old)
            changes = _told_changes(reader, account, since, most)
            return changes_response(account, old, states.state_at(reader, account.id, changes.upto), changes)

        return await self._services.read(turn, account, read)


def spanned(changes: EmailChanges, since: int) -> EmailChanges:
    """What the store tells of a span. Raises MethodError when it cannot tell it."""
    if changes.more and changes.upto <= since:
        raise MethodError("cannotCalculateChanges")
    return changes


def _told_changes(reader: Reader, account: Account, since: int, most: int) -> EmailChanges:
    """A message that was marked \\Deleted is gone for JMAP, though it still lies there."""
    changes = spanned(reader.email_changes(account.id, since, most), since)
    seen = visible(reader, account.id, [*changes.created, *changes.updated])
    hidden = [each for each in changes.updated if each not in seen]
    return replace(
        changes,
        created=[each for each in changes.created if each in seen],
        updated=[each for each in changes.updated if each in seen],
        destroyed=[*changes.destroyed, *hidden],
    )


# ── the result of a query ──


def _question(
    reader: Reader, account: AccountId, filter_: Any, order: EmailQuery, collapse: bool, vendor: bool
) -> Question:
    folders = {each.object_id: each.id for each in reader.mailboxes(account)}
    return question_of(
        read_filter(filter_, folders, vendor=vendor), replace(order, collapse_threads=collapse)
    )


def _sifted(reader: Reader, account: AccountId, question: Question) -> list[Found]:
    """The whole result, for what the store cannot answer by itself."""
    alone = Question(replace(question.query, collapse_threads=False), question.rest)
    found = Sieve(reader, account).ordered(alone)
    if not question.query.collapse_threads:
        return found
    first: dict[str, Found] = {}
    for each in found:
        first.setdefault(each[1], each)
    return list(first.values())


def _total(reader: Reader, account: AccountId, question: Question) -> int:
    if question.rest:
        return len(_sifted(reader, account, question))
    return reader.count_emails(account, question.query)


def _page(
    reader: Reader, account: AccountId, question: Question, window: Window
) -> tuple[EmailPage, int | None]:
    """Raises MethodError anchorNotFound."""
    if question.rest:
        found = _sifted(reader, account, question)
        return _slice(found, window), len(found)
    total = None
    position = window.position
    if window.total or (position < 0 and window.anchor is None):
        total = reader.count_emails(account, question.query)
    if position < 0 and window.anchor is None:
        position = max((total or 0) + position, 0)  # RFC 8620 §5.5: counted from the end
    try:
        page = reader.query_emails(account, question.query, position, window.limit, window.anchor)
    except NoSuchMessage:
        raise MethodError("anchorNotFound") from None
    return page, total


def _slice(found: Sequence[Found], window: Window) -> EmailPage:
    start = window.position
    if window.anchor is not None:
        at = next((index for index, each in enumerate(found) if each[0] == window.anchor), None)
        if at is None:
            raise MethodError("anchorNotFound")
        start = max(at + window.position, 0)
    elif start < 0:
        start = max(len(found) + start, 0)
    return EmailPage(found[start : start + window.limit], start)


def _moved(
    reader: Reader, account: AccountId, question: Question, since: int
) -> tuple[list[str], list[tuple[int, str]]]:
    """RFC 8620 §5.6: every message that changed is taken out, and put back where it stands now, if it does."""
    if question.query.collapse_threads:
        if since == reader.modseq(account):
            return [], []
        # Which letter stands for a thread may change with letters that are no longer there.
        raise MethodError("cannotCalculateChanges")
    changes = spanned(reader.email_changes(account, since, _MOST_MOVED), since)
    if changes.more:
        raise MethodError("cannotCalculateChanges")
    touched = [*changes.created, *changes.updated]
    removed = [*changes.updated, *changes.destroyed]
    if question.rest:
        places = {each[0]: at for at, each in enumerate(_sifted(reader, account, question))}
        added = [(places[each], each) for each in touched if each in places]
    else:
        added: list[tuple[int, str]] = []
        for each in touched:
            try:
                page = reader.query_emails(account, question.query, 0, 1, each)
            except NoSuchMessage:
                continue
            added.append((page.position, each))
    return removed, sorted(added)
