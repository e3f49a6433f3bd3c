"""Parameters, dates, patches, ids and tokens: whatever comes in, they are read or refused, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.fhir.dates import instant, moment
from directory.fhir.entries import Type
from directory.fhir.locators import Locator, Locators, mark
from directory.fhir.outcome import FhirRefusal
from directory.fhir.parameters import PARAMETERS, Criterion, Match, Token, format_of, pairs_of, parsed, token
from directory.fhir.patching import operations

T = TypeVar("T")
NAMES = sorted(
    {name for known in PARAMETERS.values() for name in known} | {"_count", "_elements", "_include", "_x"}
)
LOCATORS = Locators(b"a" * 32)


def one(query: str, type_: Type = Type.PRACTITIONER) -> Criterion:
    (criterion,) = parsed(type_, pairs_of(query.encode()), page=50).criteria
    return criterion


def read(work: Callable[[], T]) -> tuple[T | None, int | None]:
    """What it gives, or the status it is refused with."""
    try:
        return work(), None
    except FhirRefusal as refusal:
        return None, refusal.status


def test_commas_are_alternatives_and_repetition_is_conjunction():
    assert one("family=a,b").values == ("a", "b")
    assert one(r"family=a\,b").values == ("a,b",)
    assert one(r"family=a\\,b").values == ("a\\", "b")
    search = parsed(Type.PRACTITIONER, pairs_of(b"family=a&family=b&given:exact=c"), page=50)
    assert [(each.name, each.values, each.match) for each in search.criteria] == [
        ("family", ("a",), Match.PREFIX),
        ("family", ("b",), Match.PREFIX),
        ("given", ("c",), Match.EXACT),
    ]


@pytest.mark.parametrize("value", ["", " ", ",", " ,, "])
@pytest.mark.parametrize("name", ["family", "identifier", "_lastUpdated", "active", "_count", "_elements"])
def test_what_is_blank_is_as_if_it_was_not_there(name, value):
    assert parsed(Type.PRACTITIONER, [(name, value)], page=50) == parsed(Type.PRACTITIONER, [], page=50)


def test_tokens_have_a_system_or_none():
    assert token("a") == Token(None, "a")
    assert token("s|a") == Token("s", "a")
    assert token("|a") == Token("", "a")
    assert token("s|") == Token("s", "")
    assert token(r"a\|b") == Token(None, "a|b")


def ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "comparison", "low", "high"),
    [
        ("2026", "eq", ms(2026, 1, 1), ms(2027, 1, 1)),
        ("ge2026-12", "ge", ms(2026, 12, 1), ms(2027, 1, 1)),
        ("lt2026-11-22", "lt", ms(2026, 11, 22), ms(2026, 11, 23)),
        ("2026-11-22T08:30Z", "eq", ms(2026, 11, 22, 8, 30), ms(2026, 11, 22, 8, 31)),
        ("2026-11-22T08:30:05+01:00", "eq", ms(2026, 11, 22, 7, 30, 5), ms(2026, 11, 22, 7, 30, 6)),
        ("gt2026-11-22T08:30:05 01:00", "gt", ms(2026, 11, 22, 7, 30, 5), ms(2026, 11, 22, 7, 30, 6)),
        ("2026-11-22T08:30:05.25", "eq", ms(2026, 11, 22, 8, 30, 5) + 250, ms(2026, 11, 22, 8, 30, 5) + 251),
    ],
)
def test_a_date_lasts_as_long_as_it_is_precise(text, comparison, low, high):
    found = moment(text)
    assert found is not None
    assert (found.comparison, found.low, found.high) == (comparison, low, high)


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-13", "2026-02-30", "9999", "0000", "2026-1-1", "ap2026", "2026-11-22T25:00Z", "2026-11-22T1:00Z",
     "2026-11-22T10:00+15:00", "٢٠٢٦", "2026-11-22T10:00:60Z"],
)  # fmt: skip
def test_what_is_no_date_is_none(text):
    assert moment(text) is None


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_holds_for_itself(at):
    found = moment(instant(at))
    assert found is not None
    assert (found.low, found.holds(at), found.holds(at + 1)) == (at, True, False)


@given(st.text(max_size=60))
def test_any_text_is_a_moment_or_none(text):
    found = moment(text)
    assert found is None or found.low < found.high


@settings(max_examples=300)
@given(
    st.sampled_from(list(Type)),
    st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=20), st.text(max_size=40)), max_size=6),
    st.booleans(),
)
def test_any_parameters_are_read_or_refused(type_, pairs, lenient):
    search, status = read(lambda: parsed(type_, pairs, page=50, lenient=lenient))
    assert status in (None, 400)
    if search is not None:
        assert 0 <= search.count <= 50
        assert all(each.values for each in search.criteria if each.name != "_x")


@given(st.binary(max_size=300))
def test_any_query_is_read_or_refused(query):
    assert read(lambda: pairs_of(query))[1] in (None, 400)


@given(st.lists(st.tuples(st.just("_format"), st.text(max_size=30)), max_size=2), st.text(max_size=60))
def test_any_format_is_json_or_not_acceptable(pairs, accept):
    assert read(lambda: format_of(pairs, accept))[1] in (None, 406)


def test_a_link_says_again_what_was_asked():
    asked = "family=le%20goff,d%26d&identifier=urn:oid:1.2%7C8&_count=3"
    search = parsed(Type.PRACTITIONER, pairs_of(asked.encode()), page=50)
    again = search.link("https://a").partition("?")[2]
    assert parsed(Type.PRACTITIONER, pairs_of(again.encode()), page=50) == search


# ------------------------------------------------------------------------------------------------- patches

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["name", "valueCode", "valueString", "valueContactPoint", "valueInteger", "valueBoolean", "id"]
)
WORDS = st.sampled_from(
    ["operation", "type", "path", "value", "index", "insert", "replace", "delete", "Practitioner.telecom",
     "Practitioner.telecom.where(value = 'a@b.fr')", "Practitioner.telecom.where(value = 'a@b.fr').rank"]
)  # fmt: skip
PARTS = st.dictionaries(KEYS, WORDS | JSON, max_size=3)


@given(st.binary(max_size=200))
def test_any_body_is_refused_or_read(body):
    with pytest.raises(FhirRefusal) as refused:
        operations(Type.PRACTITIONER, body)
    assert refused.value.status in (400, 422)


@settings(max_examples=300)
@given(
    st.lists(st.dictionaries(KEYS | st.just("part"), WORDS | JSON | st.lists(PARTS, max_size=4)), max_size=3)
)
def test_any_operations_are_read_or_refused(listed):
    body = json.dumps({"resourceType": "Parameters", "parameter": listed}).encode()
    found, status = read(lambda: operations(Type.PRACTITIONER, body))
    assert bool(found) is (status is None)
    assert status in (None, 422)


@given(st.text(max_size=80))
def test_any_path_is_read_or_refused(path):
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    with pytest.raises(FhirRefusal) as refused:
        operations(Type.PRACTITIONER, json.dumps(body).encode())
    assert refused.value.status == 422


# -------------------------------------------------------------------------------------------- ids and pages


@given(st.sampled_from("PO"), st.from_regex(r"[0-9][0-9A-Z]{8,17}", fullmatch=True))
def test_an_id_reads_back_and_is_allowed(shape, key):
    made = LOCATORS.id(Locator(shape, key))
    assert len(made) <= 64
    assert all(each.isalnum() or each in "-." for each in made)
    assert LOCATORS.read(made) == Locator(shape, key)
    assert Locators(b"b" * 32).read(made) is None


@given(st.sampled_from("QRSH"), st.from_regex(r"[0-9][0-9A-Z]{8,17}|", fullmatch=True), st.text(max_size=30))
def test_what_is_long_is_known_by_its_mark(shape, key, text):
    found = LOCATORS.read(LOCATORS.id(Locator(shape, key, mark(text))))
    assert found is not None
    assert (found.key, found.marks(text), found.marks(text + "x")) == (key, True, False)


@given(st.text(max_size=70))
def test_any_other_text_is_no_id(text):
    assert LOCATORS.read(text) is None


@given(st.lists(st.integers() | st.text(max_size=20), max_size=3), st.text(max_size=20))
def test_a_token_is_good_for_its_question_and_its_time(cursor, bound):
    made = LOCATORS.page(cursor, bound, 1000)
    assert LOCATORS.cursor(made, bound, 0) == cursor
    assert LOCATORS.cursor(made, bound + "x", 0) is None
    assert LOCATORS.cursor(made, bound, 10_000_000) is None


@given(st.text(max_size=60))
def test_any_other_text_is_no_token(text):
    assert LOCATORS.cursor(text, "", 0) is None
