"""The Request object (RFC 8620 §3.3), checked member by member.

Invariants: only `RequestError` is raised; what passes has the right types all the way down to the arguments,
which are the methods' to check.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from mail_server.jmap.protocol.errors import RequestError
from mail_server.jmap.protocol.ijson import NotJson, decode

ID = re.compile(r"[A-Za-z0-9_-]{1,255}")  # RFC 8620 §1.2


@dataclass(frozen=True, slots=True)
class Caps:
    """What the core capability promises (RFC 8620 §2)."""

    size_upload: int = 26_214_400
    concurrent_upload: int = 4
    size_request: int = 1_000_000
    concurrent_requests: int = 8
    calls_in_request: int = 32
    objects_in_get: int = 500
    objects_in_set: int = 500


@dataclass(frozen=True, slots=True)
class Invocation:
    name: str
    arguments: dict[str, Any] = field(repr=False)
    call_id: str


@dataclass(frozen=True, slots=True)
class Request:
    using: frozenset[str]
    calls: tuple[Invocation, ...]
    created: dict[str, str] | None  # None: the client did not ask to be told


def parse_request(body: bytes, caps: Caps, known: Collection[str]) -> Request:
    """Raises RequestError: notJSON, notRequest, unknownCapability, limit."""
    if len(body) > caps.size_request:
        raise RequestError.beyond("maxSizeRequest")
    try:
        value = decode(body)
    except NotJson:
        raise RequestError.not_json() from None
    if not isinstance(value, dict):
        raise RequestError.not_request("A request is an object")
    members = cast("dict[str, Any]", value)
    using, calls = members.get("using"), members.get("methodCalls")
    if not isinstance(using, list) or not all(isinstance(each, str) for each in cast("list[Any]", using)):
        raise RequestError.not_request("`using` is an array of strings")
    if not isinstance(calls, list):
        raise RequestError.not_request("`methodCalls` is an array")
    invocations = tuple(_invocation(each) for each in cast("list[Any]", calls))
    created = _created(members.get("createdIds"))
    uses = frozenset(cast("list[str]", using))
    if not uses <= frozenset(known):
        raise RequestError.unknown_capability()
    if len(invocations) > caps.calls_in_request:
        raise RequestError.beyond("maxCallsInRequest")
    return Request(uses, invocations, created)


def _invocation(value: Any) -> Invocation:
    if isinstance(value, list) and len(cast("list[Any]", value)) == 3:
        name, arguments, call_id = cast("list[Any]", value)
        if isinstance(name, str) and isinstance(arguments, dict) and isinstance(call_id, str):
            return Invocation(name, cast("dict[str, Any]", arguments), call_id)
    raise RequestError.not_request("A method call is an array of a name, an object and a string")


def _created(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if isinstance(value, dict):
        ids = cast("dict[str, Any]", value)
        if all(
            ID.fullmatch(name) and isinstance(each, str) and ID.fullmatch(each) for name, each in ids.items()
        ):
            return cast("dict[str, str]", ids)
    raise RequestError.not_request("`createdIds` is an object of ids")
