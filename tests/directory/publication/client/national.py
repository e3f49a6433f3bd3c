"""A national directory for the tests: takes what the publication API takes, and fails as it is told to.

Its own memory is what it would tell; `asked` is every request that reached it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

KEY = "cle-de-test-" + "x" * 20
_PATH = re.compile(r"(Practitioner|Organization)\.telecom(?:\.where\(value = '((?:[^'\\]|\\.)*)'\))?")
Fault = Callable[["National", httpx.Request], httpx.Response]


@dataclass
class National:
    holders: set[str]
    told: dict[str, dict[str, Any]] = field(
        default_factory=dict[str, dict[str, Any]]
    )  # address: ContactPoint with its holder
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # operation, address
    keys: list[str] = field(default_factory=list[str])
    faults: deque[Fault] = field(default_factory=deque[Fault])

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("esante-api-key", ""))
        if self.faults:
            return self.faults.popleft()(self, request)
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "PATCH"
        assert request.headers["content-type"] == "application/fhir+json"
        holder = request.url.params["identifier"].partition("|")[2]
        (operation,) = json.loads(request.content)["parameter"]
        parts = {part["name"]: part for part in operation["part"]}
        kind = parts["type"]["valueCode"]
        found = _PATH.fullmatch(parts["path"]["valueString"])
        assert found is not None
        value = parts.get("value", {}).get("valueContactPoint")
        address = value["value"] if value else str(found[2])
        self.asked.append((kind, address))
        if holder not in self.holders:
            return outcome(404, "not-found", "inconnu")
        return self._apply(kind, address, value, holder)

    def _apply(self, kind: str, address: str, value: dict[str, Any] | None, holder: str) -> httpx.Response:
        there = self.told.get(address)
        if kind == "delete":
            if there and there["holder"] == holder:
                del self.told[address]
            return httpx.Response(200)
        assert value is not None
        if kind == "insert" and there is not None and there != {**value, "holder": holder}:
            return outcome(409, "duplicate", "déjà là")
        if kind == "replace" and (there is None or there["holder"] != holder):
            return outcome(422, "not-found", "rien à remplacer")
        self.told[address] = {**value, "holder": holder}
        return httpx.Response(200)


class Wire(httpx.AsyncBaseTransport):
    """Answers arrive piece by piece, as over a network."""

    def __init__(self, answer: Callable[[httpx.Request], Awaitable[httpx.Response]]) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._answer(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )


def outcome(status: int, code: str, words: str, **headers: str) -> httpx.Response:
    issue = {"severity": "error", "code": code, "details": {"text": words}}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return httpx.Response(status, json=body, headers=headers)


def status(number: int, **headers: str) -> Fault:
    return lambda _, __: httpx.Response(
        number, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def lost(national: National, request: httpx.Request) -> httpx.Response:
    """It takes what is asked, and its answer never comes."""
    national.answer(request)
    raise httpx.ReadTimeout("cut")


def cut(_: National, request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there")
