"""EmailSubmission/get, changes and query (RFC 8621 §7.1 to §7.4); /set is in `submission_set`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from mail_server.jmap.email_query import MOST_FOUND, Window
from mail_server.jmap.interface import Arguments, MethodError, Turn
from mail_server.jmap.objects import (
    changes_response,
    chosen,
    get_response,
    most_changes,
    since_state,
    wanted_ids,
)
from mail_server.jmap.protocol.arguments import Given, utc_ms, utc_text, within
from mail_server.jmap.protocol.errors import invalid_arguments
from mail_server.jmap.services import Services
from mail_server.jmap.states import state_at
from mail_server.jmap.submission_rows import (
    Submission,
    SubmissionRows,
    submission_changes,
    submission_state,
)
from mail_server.store.interface import Reader

PROPERTIES = (
    "id", "identityId", "emailId", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus",
    "dsnBlobIds", "mdnBlobIds",
)  # fmt: skip
_LISTS: dict[str, Callable[[Submission], str]] = {
    "identityIds": lambda one: one.identity,
    "emailIds": lambda one: one.email_id,
    "threadIds": lambda one: one.thread_id,
}
_SORTS: dict[str, Callable[[Submission], Any]] = {
    "emailId": lambda one: one.email_id,
    "threadId": lambda one: one.thread_id,
    "sentAt": lambda one: one.send_at,
}


def told(one: Submission) -> dict[str, Any]:
    to = one.addressed
    envelope = {
        "mailFrom": {"email": to.mail_from, "parameters": to.parameters or None},
        "rcptTo": [{"email": each, "parameters": to.asked.get(each) or None} for each in to.recipients],
    }
    return {
        "id": one.id,
        "identityId": one.identity,
        "emailId": one.email_id,
        "threadId": one.thread_id,
        "envelope": envelope,
        "sendAt": utc_text(one.send_at),
        "undoStatus": one.undo.name.lower(),
        "deliveryStatus": {each: outcome.as_json() for each, outcome in to.outcomes.items()},
        "dsnBlobIds": [],
        "mdnBlobIds": [],
    }


class SubmissionReads:
    def __init__(self, services: Services, rows: SubmissionRows) -> None:
        self._services = services
        self._rows = rows

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "p")
        given = Given(arguments, "ids", "properties")
        properties = given.properties(PROPERTIES)
        most = self._services.settings.max_objects_get
        ids = wanted_ids(turn, given, most)

        def read(reader: Reader) -> dict[str, Any]:
            rows = self._rows.of(reader.sql, account.id, ids)
            within(len(rows), most)
            found = {each: chosen(told(one), properties) for each, one in rows.items()}
            return get_response(account, submission_state(reader, account.id), ids, found)

        return await self._services.store.read(read)

    async def changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "p")
        given = Given(arguments, "sinceState", "maxChanges")
        old, most = since_state(given), most_changes(given)

        def read(reader: Reader) -> dict[str, Any]:
            changes = submission_changes(reader, account.id, old, most)
            return changes_response(account, old, state_at(reader, account.id, changes.upto), changes)

        return await self._services.store.read(read)

    async def query(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "p")
        given = Given(
            arguments, "filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal"
        )
        fits, ordered, window = _filter(given.object("filter")), _order(given.array("sort")), Window.of(given)

        def read(reader: Reader) -> dict[str, Any]:
            rows = self._rows.of(reader.sql, account.id)
            ids = [each.id for each in ordered([one for one in rows.values() if fits(one)])]
            start = _start(ids, window)
            answer: dict[str, Any] = {
                "accountId": account.id,
                "queryState": submission_state(reader, account.id),
                "canCalculateChanges": False,
                "position": start,
                "ids": ids[start : start + window.limit],
            }
            if window.total:
                answer["total"] = len(ids)
            return answer | ({"limit": MOST_FOUND} if window.clamped else {})

        return await self._services.store.read(read)


def _start(ids: Sequence[str], window: Window) -> int:
    if window.anchor is None:
        return window.position if window.position >= 0 else max(len(ids) + window.position, 0)
    if window.anchor not in ids:
        raise MethodError("anchorNotFound")
    return max(ids.index(window.anchor) + window.position, 0)


def _filter(value: Mapping[str, Any] | None) -> Callable[[Submission], bool]:
    """RFC 8621 §7.3. Raises MethodError."""
    tests: list[Callable[[Submission], bool]] = []
    for name, wanted in (value or {}).items():
        if wanted is None:
            continue
        if name in ("operator", "conditions"):
            raise MethodError("unsupportedFilter", "One condition at a time")
        if name in _LISTS:
            if not isinstance(wanted, list):
                raise invalid_arguments(f"{name} is an array of ids")
            among, read = cast("list[Any]", wanted), _LISTS[name]
            tests.append(lambda one, among=among, read=read: read(one) in among)
        elif name == "undoStatus":
            tests.append(lambda one, wanted=wanted: one.undo.name.lower() == wanted)
        elif name in ("before", "after"):
            at = utc_ms(wanted)
            if at is None:
                raise invalid_arguments(f"{name} is a UTCDate")
            before = name == "before"
            tests.append(lambda one, at=at, before=before: (one.send_at < at) is before)
        else:
            raise invalid_arguments("A filter condition is unknown")
    return lambda one: all(test(one) for test in tests)


def _order(comparators: Sequence[Any]) -> Callable[[list[Submission]], list[Submission]]:
    keys: list[tuple[Callable[[Submission], Any], bool]] = []
    for value in comparators:
        comparator = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        name, up = comparator.get("property"), comparator.get("isAscending", True)
        if not isinstance(name, str) or not isinstance(up, bool):
            raise invalid_arguments("A comparator has a property and a direction")
        if name not in _SORTS:
            raise MethodError("unsupportedSort")
        keys.append((_SORTS[name], up))

    def ordered(found: list[Submission]) -> list[Submission]:
        for key, up in reversed(keys):
            found.sort(key=key, reverse=not up)
        return found

    return ordered
