"""Answers of the FHIR door as octets, with their headers: one resource, or the page of a search.

Runs in the thread that read them, so that the loop only sends. Invariant: links lead on by authenticated tokens,
good for who asked and for what was asked alone, for an hour.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from directory.fhir.dates import instant, moment
from directory.fhir.entries import Entry
from directory.fhir.locators import Locators
from directory.fhir.outcome import FhirRefusal, operation_outcome
from directory.fhir.parameters import Search
from directory.fhir.resources import Resource, Resources, bundle_entries, etag
from directory.fhir.selection import Cursor, Selection
from directory.listings.database import Sql

_TOKEN_LIFE = 3_600_000  # ms
_NOT_THE_QUESTION = frozenset({"_count", "_format", "_elements", "_total"})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def resource_answer(status: int, resource: Resource) -> Answer:
    headers: dict[str, str] = {}
    meta: Mapping[str, str] = resource.get("meta", {})
    if "versionId" in meta and (changed := moment(meta["lastUpdated"])):
        headers["ETag"] = etag(resource)
        headers["Last-Modified"] = formatdate(changed.low / 1000, usegmt=True)
    return Answer(status, _octets(resource), headers)


def not_modified(answer: Answer) -> Answer:
    return Answer(304, b"", answer.headers)


def searched(
    sql: Sql,
    search: Search,
    locators: Locators,
    resources: Resources,
    asker: str,
    base: str,
    now: int,
    until: float,
) -> tuple[Answer, list[str]]:
    """A searchset, and what harvesting counts of it."""
    bound = _question(search, asker)
    cursor = _cursor(search, locators, bound, now)
    if sql.dialect == "postgresql":
        sql.run("SET LOCAL enable_seqscan = on")  # off for searches by words; here a pass may be the way
    page = Selection(sql, search, locators, until).page(cursor)
    links = [{"relation": "self", "url": search.link(base, search.token)}]
    if page.after is not None:
        token = locators.page([page.after.phase, page.after.key, page.after.rest], bound, now + _TOKEN_LIFE)
        links.append({"relation": "next", "url": search.link(base, token)})
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "meta": {"lastUpdated": instant(now)},
        "link": links,
    }
    if page.total is not None:
        bundle["total"] = page.total
    entries = bundle_entries(
        base,
        [_made(resources, one, search.elements) for one in page.entries],
        [_made(resources, one) for one in page.included],
    )
    if search.ignored:
        entries.append({"resource": operation_outcome(search.ignored), "search": {"mode": "outcome"}})
    shown = [key for one in (*page.entries, *page.included) for key in one.shown]
    return Answer(200, _bundle(bundle, entries)), shown


def _made(resources: Resources, entry: Entry, elements: frozenset[str] = frozenset()) -> Resource:
    time.sleep(0)  # lets the loop's thread have the interpreter
    return resources.of(entry, elements)


def _question(search: Search, asker: str) -> str:
    """What a page's token is good for: this key, this type, these criteria."""
    asked = sorted(pair for pair in search.used if pair[0] not in _NOT_THE_QUESTION)
    text = json.dumps([asker, search.type.value, asked], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _cursor(search: Search, locators: Locators, bound: str, now: int) -> Cursor | None:
    if not search.token:
        return None
    found = locators.cursor(search.token, bound, now)
    match found:
        case [int() as phase, str() as key, str() as rest]:
            return Cursor(phase, key, rest)
        case _:
            words = "This page's token is of another search, or too old: begin again without it."
            raise FhirRefusal(400, "expired", words, "_page_token")


def _bundle(bundle: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> bytes:
    """Entry by entry: one encoding of many would hold the interpreter for too long."""
    head = _octets(bundle)[:-1]
    if not entries:
        return head + b"}"
    return head + b',"entry":[' + b",".join(_octets(one) for one in entries) + b"]}"


def _octets(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
