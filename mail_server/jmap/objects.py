"""What all /get, /changes and /set methods have in common (RFC 8620 §5).

Invariants: ids and properties are checked before anything is read; `id` is always told; an id that is not the
account's is in `notFound`, whoever's it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mail_server.accounts.interface import Account
from mail_server.jmap.interface import MethodError, SetError, Turn
from mail_server.jmap.protocol.arguments import Given, within
from mail_server.jmap.protocol.errors import told
from mail_server.store.model import EmailChanges

MOST_CHANGES = 512


def resolve(turn: Turn, reference: str) -> str:
    """An id, or the id that a creation id of this request stands for; itself when unknown (it is not found then)."""
    return turn.created.get(reference[1:], reference) if reference.startswith("#") else reference


def wanted_ids(turn: Turn, given: Given, most: int) -> list[str] | None:
    """The ids of a /get, creation ids resolved. Raises MethodError."""
    ids = given.ids("ids")
    if ids is None:
        return None
    within(len(ids), most)
    return list(dict.fromkeys(resolve(turn, each) for each in ids))


def get_response(
    account: Account, state: str, ids: Sequence[str] | None, found: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """In the order asked; everything there is when nothing was named."""
    named = list(found) if ids is None else ids
    return {
        "accountId": account.id,
        "state": state,
        "list": [found[each] for each in named if each in found],
        "notFound": [each for each in named if each not in found],
    }


def chosen(whole: Mapping[str, Any], properties: Sequence[str] | None) -> dict[str, Any]:
    if properties is None:
        return dict(whole)
    return {"id": whole["id"]} | {name: whole[name] for name in properties}


def most_changes(given: Given) -> int:
    return min(given.number("maxChanges", MOST_CHANGES, lowest=1) or MOST_CHANGES, MOST_CHANGES)


def since_state(given: Given) -> str:
    state = given.text("sinceState")
    if state is None:
        raise MethodError("invalidArguments", "sinceState is missing")
    return state


def changes_response(
    account: Account, old: str, new: str, changes: EmailChanges, **more: Any
) -> dict[str, Any]:
    return {
        "accountId": account.id,
        "oldState": old,
        "newState": new,
        "hasMoreChanges": changes.more,
        "created": list(changes.created),
        "updated": list(changes.updated),
        "destroyed": list(changes.destroyed),
        **more,
    }


def set_response(
    account: Account,
    old: str | None,
    new: str,
    *,
    created: Mapping[str, dict[str, Any]] | None = None,
    updated: Mapping[str, dict[str, Any] | None] | None = None,
    destroyed: Sequence[str] = (),
    not_created: Mapping[str, SetError] | None = None,
    not_updated: Mapping[str, SetError] | None = None,
    not_destroyed: Mapping[str, SetError] | None = None,
) -> dict[str, Any]:
    return {
        "accountId": account.id,
        "oldState": old,
        "newState": new,
        "created": dict(created or {}) or None,
        "updated": dict(updated or {}) or None,
        "destroyed": list(destroyed) or None,
        "notCreated": told(not_created or {}),
        "notUpdated": told(not_updated or {}),
        "notDestroyed": told(not_destroyed or {}),
    }
