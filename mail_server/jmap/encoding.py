"""A response as JSON, made in slices: a list of hundreds of letters would hold the loop (RFC 8620 §3.4).

Invariant: the slices joined are one JSON object; between two of them the loop is free.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

_SLICE = 16_384  # octets made without letting others run

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


async def encode(
    responses: Sequence[tuple[str, dict[str, Any], str]],
    session_state: str,
    created: Mapping[str, str] | None,
) -> bytes:
    pieces: list[str] = []
    size = 0
    for piece in _pieces(responses, session_state, created):
        pieces.append(piece)
        size += len(piece)
        if size > _SLICE:
            size = 0
            await asyncio.sleep(0)
    return "".join(pieces).encode("utf-8", "replace")


def _pieces(
    responses: Sequence[tuple[str, dict[str, Any], str]],
    session_state: str,
    created: Mapping[str, str] | None,
) -> Iterator[str]:
    yield '{"methodResponses":['
    for number, (name, result, call_id) in enumerate(responses):
        yield ("," if number else "") + "[" + _dumps(name) + ","
        yield from _object(result)
        yield "," + _dumps(call_id) + "]"
    yield '],"sessionState":' + _dumps(session_state)
    if created is not None:
        yield ',"createdIds":' + _dumps(created)
    yield "}"


def _object(value: Mapping[str, Any]) -> Iterator[str]:
    yield "{"
    for number, (name, member) in enumerate(value.items()):
        yield ("," if number else "") + _dumps(name) + ":"
        if isinstance(member, list) and len(cast("list[Any]", member)) > 1:
            yield "["
            for at, item in enumerate(cast("list[Any]", member)):
                yield ("," if at else "") + _dumps(item)
            yield "]"
        else:
            yield _dumps(member)
    yield "}"


def encode_session(told: Mapping[str, Any]) -> bytes:
    return _dumps(told).encode()
