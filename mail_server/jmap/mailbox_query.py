"""Mailbox/query (RFC 8621 §2.3): which programs find a folder by, most often the one of a role.

Invariants: the order is total, by name and id where nothing else decides; a filter is bounded as those of letters
are; changes of a query are never told, since an account has few folders: ask again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mail_server.jmap import states
from mail_server.jmap.email_filter import MOST_CONDITIONS
from mail_server.jmap.email_query import MOST_FOUND, Window
from mail_server.jmap.interface import Arguments, MethodError, Turn
from mail_server.jmap.mailboxes import place, role_of, sort_order
from mail_server.jmap.protocol.arguments import Given, is_id
from mail_server.jmap.protocol.errors import invalid_arguments
from mail_server.jmap.services import Services
from mail_server.store.interface import Reader
from mail_server.store.model import Mailbox

_DEEPEST = 10
_KEYS = ("sortOrder", "name", "parentId")


@dataclass(frozen=True, slots=True)
class Folder:
    """A mailbox as filters and sorts look at it."""

    id: str
    name: str
    parent: str | None
    role: str | None
    order: int
    subscribed: bool


class MailboxQuery:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def query(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(
            arguments, "filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal",
            "sortAsTree", "filterAsTree",
        )  # fmt: skip
        window, filter_, sort = Window.of(given), given.object("filter"), _comparators(given)
        as_tree, whole_branches = given.flag("sortAsTree"), given.flag("filterAsTree")

        def read(reader: Reader) -> dict[str, Any]:
            mailboxes = reader.mailboxes(account.id)
            folders = {each.id: each for each in folders_of(mailboxes)}
            kept = _Filter().matching(filter_, folders)
            if whole_branches:
                kept = {each for each in kept if all(above in kept for above in _above(each, folders))}
            ids = [each for each in _ordered(folders, sort, as_tree) if each in kept]
            start = _start(ids, window)
            told: dict[str, Any] = {
                "accountId": account.id,
                "queryState": states.mailbox_state(reader, account.id, mailboxes),
                "canCalculateChanges": False,
                "position": start,
                "ids": ids[start : start + window.limit],
            }
            if window.total:
                told["total"] = len(ids)
            return told | ({"limit": MOST_FOUND} if window.clamped else {})

        return await self._services.read(turn, account, read)


def folders_of(mailboxes: Sequence[Mailbox]) -> list[Folder]:
    by_name = {each.name: each for each in mailboxes}
    found: list[Folder] = []
    for each in mailboxes:
        parent, name = place(each, by_name)
        role = role_of(each)
        above = parent.object_id if parent is not None else None
        found.append(Folder(each.object_id, name, above, role, sort_order(role), each.subscribed))
    return found


def _above(folder: str, folders: Mapping[str, Folder]) -> list[str]:
    """Its ancestors, the nearest first."""
    found: list[str] = []
    above = folders[folder].parent
    while above is not None:
        found.append(above)
        above = folders[above].parent
    return found


# ── which ──


class _Filter:
    def __init__(self) -> None:
        self._left = MOST_CONDITIONS

    def matching(self, value: Any, folders: Mapping[str, Folder], depth: int = 0) -> set[str]:
        """Raises MethodError invalidArguments, unsupportedFilter."""
        if value is None:
            return set(folders)
        self._left -= 1
        if not isinstance(value, dict) or depth > _DEEPEST:
            raise invalid_arguments("A filter is an object, not nested too deep")
        if self._left < 0:
            raise MethodError("unsupportedFilter", "Too many conditions")
        members = cast("dict[str, Any]", value)
        if "operator" not in members:
            return {each.id for each in folders.values() if _holds(members, each)}
        parts = members.get("conditions")
        if not isinstance(parts, list) or members.keys() - {"operator", "conditions"}:
            raise invalid_arguments("A filter operator has an array of conditions")
        found = [self.matching(part, folders, depth + 1) for part in cast("list[Any]", parts)]
        match members["operator"]:
            case "AND":
                return set(folders).intersection(*found)
            case "OR":
                return set[str]().union(*found)
            case "NOT":
                return set(folders).difference(*found)
            case _:
                raise invalid_arguments("A filter operator is AND, OR or NOT")


def _holds(condition: Mapping[str, Any], folder: Folder) -> bool:
    # Every one is looked at, so that a malformed one is told whatever the others say.
    answers = [_one_holds(name, value, folder) for name, value in condition.items()]
    return all(answers)


def _one_holds(name: str, value: Any, folder: Folder) -> bool:
    match name:
        case "parentId" if value is None or is_id(value):
            return folder.parent == value
        case "name" if isinstance(value, str):
            return value.casefold() in folder.name.casefold()
        case "role" if value is None or isinstance(value, str):
            return folder.role == value
        case "hasAnyRole" if isinstance(value, bool):
            return (folder.role is not None) is value
        case "isSubscribed" if isinstance(value, bool):
            return folder.subscribed is value
        case _:
            raise invalid_arguments("A condition of a folder is unknown or malformed")


# ── in which order, and which part of it ──


def _comparators(given: Given) -> list[tuple[str, bool]]:
    """Raises MethodError invalidArguments, unsupportedSort."""
    found: list[tuple[str, bool]] = []
    for value in given.array("sort"):
        comparator = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        name, up = comparator.get("property"), comparator.get("isAscending", True)
        if not isinstance(name, str) or not isinstance(up, bool):
            raise invalid_arguments("A comparator has a property and a direction")
        if name not in _KEYS:
            raise MethodError("unsupportedSort", "Folders are sorted by sortOrder, name, parentId")
        found.append((name, up))
    return found or [("sortOrder", True)]


def _ordered(folders: Mapping[str, Folder], sort: Sequence[tuple[str, bool]], as_tree: bool) -> list[str]:
    found = sorted(folders.values(), key=lambda each: (each.name.casefold(), each.name, each.id))
    for name, up in reversed(sort):
        found.sort(key=lambda each, name=name: _key(each, name), reverse=not up)
    ids = [each.id for each in found]
    if not as_tree:
        return ids
    # RFC 8621 §2.3: a folder right before what lies in it, siblings in the order of the sort.
    rank = {each: number for number, each in enumerate(ids)}
    return sorted(ids, key=lambda each: [rank[one] for one in (*reversed(_above(each, folders)), each)])


def _key(folder: Folder, name: str) -> Any:
    match name:
        case "sortOrder":
            return folder.order
        case "name":
            return folder.name.casefold()
        case _:
            return folder.parent or ""


def _start(ids: Sequence[str], window: Window) -> int:
    """Raises MethodError anchorNotFound."""
    if window.anchor is not None:
        if window.anchor not in ids:
            raise MethodError("anchorNotFound")
        return max(ids.index(window.anchor) + window.position, 0)
    return window.position if window.position >= 0 else max(len(ids) + window.position, 0)
