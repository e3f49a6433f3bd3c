"""The FHIR door: /fhir/v2 on the HTTPS port, for programs that have an API key.

Reads and searches of Practitioner, PractitionerRole, Organization and HealthcareService, a CapabilityStatement, and
the PATCH by which other operators publish their mailboxes (`publishing`).

Invariants: every answer is a FHIR resource, errors an OperationOutcome without a library's text; without a key that is
in force nothing but /metadata is told (`admission`); all work on the database is done in `threads`; what is shown is
counted before it is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from directory.fhir.admission import Admission
from directory.fhir.answers import Answer, not_modified, resource_answer, searched
from directory.fhir.capability import PUBLISHED_ON, capability_statement
from directory.fhir.codes import MEDIA_TYPE, ROOT
from directory.fhir.counters import Counters
from directory.fhir.entries import Type
from directory.fhir.keys import PUBLISH, READ, ApiKey, ApiKeys
from directory.fhir.loading import Loader
from directory.fhir.locators import Locators
from directory.fhir.outcome import FhirRefusal, Issue, operation_outcome
from directory.fhir.parameters import format_of, pairs_of, parsed
from directory.fhir.publishing import Publication, Publisher, Target
from directory.fhir.resources import Resources
from directory.fhir.selection import TooMuchIncluded
from directory.fhir.settings import FhirSettings
from directory.fhir.threads import Threads
from directory.harvest import Harvest, TooMuch
from directory.listings.database import ListingsDatabase, Sql
from directory.room import without_room

_log = logging.getLogger("vaguemestre.fhir")
_SENT_AT_ONCE = 64 * 1024  # octets: TLS of more would hold the loop
_LARGEST_BODY = 128 * 1024
_FORM = "application/x-www-form-urlencoded"
_PATCH_TYPES = {MEDIA_TYPE, "application/json"}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
_HEADERS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}


class _Sliced(Response):
    """Sent a part at a time, with turns for others between."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        for end in range(_SENT_AT_ONCE, len(body), _SENT_AT_ONCE):
            part = body[end - _SENT_AT_ONCE : end]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0)
        rest = body[max(0, len(body) - 1) // _SENT_AT_ONCE * _SENT_AT_ONCE :]
        await send({"type": "http.response.body", "body": rest})


class FhirDoor:
    """`told` hears of each publication that changed something, in the loop's thread, before the answer is sent.

    While the trace is full nothing is published. `place_of`: what an IP address is counted as.
    """

    def __init__(
        self,
        settings: FhirSettings,
        *,
        database: ListingsDatabase,
        keys: ApiKeys,
        harvest: Harvest,
        clock: Callable[[], int],
        told: Callable[[Publication], None],
        trace_full: Callable[[], bool] = lambda: False,
        place_of: Callable[[str], str] = str,
    ) -> None:
        self._settings = settings
        self._database = database
        self._keys = keys
        self._clock = clock
        self._told = told
        self._trace_full = trace_full
        self.counters = Counters()
        self._admission = Admission(settings.calls_per_second, keys, harvest, self.counters, place_of)
        self._threads = Threads(settings.longest_search, self.counters)
        self._made: tuple[Locators, Resources] | None = None
        self.router = self._routes()

    async def stop(self) -> None:
        """Wait for what is under way; what waits is not begun any more."""
        await self._threads.stop()
        await self._admission.stop()

    # ------------------------------------------------------------ routes

    def _routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        for type_ in Type:
            place = f"{ROOT}/{type_}"
            router.add_api_route(place, self._guarded(self._search_by_get, type_), methods=["GET"])
            router.add_api_route(
                f"{place}/_search", self._guarded(self._search_by_post, type_), methods=["POST"]
            )
            router.add_api_route(f"{place}/_search", self._guarded(self._nowhere), methods=_METHODS)
            router.add_api_route(
                f"{place}/{{resource_id}}", self._guarded(self._read, type_), methods=["GET"]
            )
            if type_ in PUBLISHED_ON:
                router.add_api_route(place, self._guarded(self._patch, type_), methods=["PATCH"])
                router.add_api_route(
                    f"{place}/{{resource_id}}", self._guarded(self._patch, type_), methods=["PATCH"]
                )
        router.add_api_route(f"{ROOT}/metadata", self._guarded(self._metadata), methods=["GET"])
        # Whatever else: also in FHIR's words.
        router.add_api_route(f"{ROOT}/{{rest:path}}", self._guarded(self._nowhere), methods=_METHODS)
        router.add_api_route(ROOT, self._guarded(self._nowhere), methods=_METHODS)
        return router

    def _guarded(
        self, handler: Callable[..., Awaitable[Answer]], *arguments: Any
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                answer = await handler(request, *arguments)
            except FhirRefusal as refusal:
                answer = self._refused(refusal)
            except TooMuch as harvested:
                self.counters.throttled += 1
                answer = _problem(
                    429,
                    [Issue("throttled", "Too many different entries were shown to this key in an hour.")],
                    {"Retry-After": str(harvested.retry_after)},
                )
            except ClientDisconnect:
                answer = Answer(400, b"")
            except Exception as fault:  # its text may hold what the database does
                self.counters.failed += 1
                _log.error("a request failed: %s", type(fault).__name__)
                answer = _no_room() if without_room(fault) else _went_wrong()
            headers = {**_HEADERS, **answer.headers}
            media_type = f"{MEDIA_TYPE}; charset=utf-8"
            return _Sliced(answer.body, answer.status, headers, media_type)

        return answered

    def _refused(self, refusal: FhirRefusal) -> Answer:
        if refusal.status >= 500:
            self.counters.failed += 1
        else:
            self.counters.refused += 1
        return _problem(refusal.status, refusal.issues, refusal.headers)

    # ------------------------------------------------------------ handlers

    async def _metadata(self, request: Request) -> Answer:
        format_of(pairs_of(request.scope["query_string"]), request.headers.get("accept", ""))
        return resource_answer(200, capability_statement(_base(request)))

    async def _nowhere(self, request: Request) -> Answer:
        there = _allowed(request.url.path)
        if there is None:
            raise FhirRefusal(404, "not-found", "There is nothing here; see /metadata.")
        raise FhirRefusal(
            405,
            "not-supported",
            "This cannot be done here; see /metadata.",
            headers={"Allow": ", ".join(there)},
        )

    async def _read(self, request: Request, type_: Type) -> Answer:
        key = await self._admission.admitted(request, READ)
        pairs = pairs_of(request.scope["query_string"])
        format_of(pairs, request.headers.get("accept", ""))
        search = parsed(type_, [(name, value) for name, value in pairs if name != "_format"], page=1)
        if search.criteria or search.token or search.include or search.revinclude:
            raise FhirRefusal(
                400, "not-supported", "One resource is read: only _elements and _format go with it."
            )
        self.counters.reads += 1
        self._admission.require(key)
        locators, resources = await self._tools()
        locator = locators.read(request.path_params["resource_id"])

        def work(sql: Sql) -> Any:
            entry = Loader(sql).one(locator) if locator is not None else None
            if entry is None or entry.type is not type_:
                raise FhirRefusal(404, "not-found", "There is no such resource.")
            return entry, resources.of(entry, search.elements)

        entry, resource = await self._threads.run(
            lambda: self._database.read(work, self._settings.longest_search), key.id
        )
        await self._admission.counted(key, entry.shown)
        answer = resource_answer(200, resource)
        return not_modified(answer) if _is_known(request.headers, answer.headers["ETag"]) else answer

    async def _search_by_get(self, request: Request, type_: Type) -> Answer:
        return await self._search(request, type_, pairs_of(request.scope["query_string"]))

    async def _search_by_post(self, request: Request, type_: Type) -> Answer:
        key = await self._admission.admitted(request, READ)
        body = await _body(request)
        if body and _media_type(request.headers) != _FORM:
            raise FhirRefusal(415, "not-supported", f"A search is posted as {_FORM}.")
        pairs = pairs_of(request.scope["query_string"]) + pairs_of(body)
        return await self._search(request, type_, pairs, key)

    async def _search(
        self, request: Request, type_: Type, pairs: list[tuple[str, str]], admitted: ApiKey | None = None
    ) -> Answer:
        key = admitted or await self._admission.admitted(request, READ)
        format_of(pairs, request.headers.get("accept", ""))
        lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "").lower()
        search = parsed(type_, pairs, page=self._settings.page, lenient=lenient)
        self.counters.searches += 1
        self._admission.require(key)
        locators, resources = await self._tools()
        within, now, base = self._settings.longest_search, self._clock(), _base(request)
        until = time.monotonic() + within

        def work(sql: Sql) -> tuple[Answer, list[str]]:
            return searched(sql, search, locators, resources, key.id, base, now, until)

        try:
            answer, shown = await self._threads.run(lambda: self._database.read(work, within), key.id)
        except TooMuchIncluded:
            raise FhirRefusal(
                400, "too-costly", "Too much would be included: ask for fewer with _count, or without it."
            ) from None
        await self._admission.counted(key, shown)
        return answer

    async def _patch(self, request: Request, type_: Type) -> Answer:
        key = await self._admission.admitted(request, PUBLISH)
        if self._trace_full():
            raise FhirRefusal(
                503, "transient", "Nothing is published for now.", headers={"Retry-After": "60"}
            )
        minimal = "return=minimal" in request.headers.get("prefer", "").replace(" ", "").lower()
        if not minimal:
            self._admission.require(key)
        pairs = pairs_of(request.scope["query_string"])
        format_of(pairs, request.headers.get("accept", ""))
        if _media_type(request.headers) not in _PATCH_TYPES:
            raise FhirRefusal(415, "not-supported", f"A patch is FHIR Parameters, as {MEDIA_TYPE}.")
        body = await _body(request)
        self.counters.publications += 1
        locators, resources = await self._tools()
        target = Target(
            type_,
            request.path_params.get("resource_id", ""),
            tuple((name, value) for name, value in pairs if name != "_format"),
            request.headers.get("if-match", ""),
        )
        publisher = Publisher(key, locators, resources, self._clock())

        def work() -> Publication:
            operations = publisher.operations(type_, body)
            return self._database.write(lambda sql: publisher.publish(sql, target, operations))

        # A task of its own: what was written is told, also when who asked has gone.
        done = await asyncio.shield(asyncio.create_task(self._published(work, key.id)))
        answer = resource_answer(200, done.resource)
        if minimal:
            return Answer(200, b"", answer.headers)
        if not done.changes:  # somebody may be reading by patches that change nothing
            await self._admission.counted(key, [done.resource["id"]])
        return answer

    async def _published(self, work: Callable[[], Publication], key: str) -> Publication:
        done = await self._threads.run(work, key, patient=True)
        if done.changes:
            self._told(done)
        return done

    # ------------------------------------------------------------ what they share

    async def _tools(self) -> tuple[Locators, Resources]:
        if self._made is None:
            locators = Locators(await self._threads.run(lambda: self._keys.secret("fhir")))
            self._made = locators, Resources(locators)
        return self._made


def _problem(status: int, issues: Sequence[Issue], headers: dict[str, str] | None = None) -> Answer:
    body = json.dumps(operation_outcome(issues), ensure_ascii=False).encode("utf-8")
    return Answer(status, body, {**(headers or {}), "Cache-Control": "no-store"})


def _went_wrong() -> Answer:
    return _problem(500, [Issue("exception", "This went wrong here; nothing was changed.")])


def _no_room() -> Answer:
    words = "The disk is full here: nothing was changed. Try again later."
    return _problem(503, [Issue("no-store", words)], {"Retry-After": "300"})


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_known(headers: Headers, etag: str) -> bool:
    """If-None-Match (RFC 9110 §13.1.2), weakly compared."""
    wanted = etag.removeprefix("W/")
    held = [one.strip().removeprefix("W/") for one in headers.get("if-none-match", "").split(",")]
    return wanted in held


def _allowed(path: str) -> list[str] | None:
    """What can be done at a place of ours; None where there is none."""
    parts = path.removeprefix(ROOT).strip("/").split("/")
    if parts == ["metadata"]:
        return ["GET"]
    if parts[0] not in list(Type) or len(parts) > 2:
        return None
    if parts[1:] == ["_search"]:
        return ["POST"]
    return ["GET", "PATCH"] if Type(parts[0]) in PUBLISHED_ON else ["GET"]


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise FhirRefusal(413, "too-long", f"No more than {_LARGEST_BODY} octets are taken.")
    return body
