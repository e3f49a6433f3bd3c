"""Whatever is typed, a search answers; and the parts it is made of hold for any text."""

from __future__ import annotations

import unicodedata
from dataclasses import fields
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.listings import writing
from directory.listings.database import ListingsDatabase
from directory.listings.interface import AddressMatch, Query
from directory.listings.service import ListingsService
from directory.model import Card, Coded, Kind, Mailbox
from directory.search import departments
from directory.search.documents import document
from directory.search.lexicon import Lexicon
from directory.search.searching import Search
from directory.search.typed import MOST_TERMS, typed
from directory.search.words import normalised, without_marks, words
from tests.effort import least_cpu

NEVER_SHOWN = ("ECARLATE", "RADIE")  # on the red list; struck off
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="\"*()^:+-{}&|!<>'\\%_\0,.@ azéœ0123", max_size=40),
    st.sampled_from(
        [
            "\0",
            "'; DROP TABLE card; --",
            '" OR "a"*',
            "NEAR(a b)",
            "name_words:a",
            "a AND OR NOT",
            "a:* & !b | <->",
            "\ud800",
            "😀 é́́́ ﷽",
            "مرحبا שלום",
            "@" * 50,
            "a@b " * 50,
            "é" * 10_000,
            "dupont " * 2_000,
            "a b c d e f g h i j k l m n o p",
            "1 22 333 4444 55555 666666",
            "9" * 400,
        ]
    ),
)
QUERIES = st.builds(
    Query,
    text=HOSTILE,
    family=st.just("") | HOSTILE,
    given=st.just("") | HOSTILE,
    profession=st.just("") | HOSTILE,
    speciality=st.just("") | HOSTILE,
    organisation=st.just("") | HOSTILE,
    department=st.just("") | HOSTILE,
    postcode=st.just("") | HOSTILE,
    commune=st.just("") | HOSTILE,
    address=st.just("") | HOSTILE,
    address_match=st.sampled_from(AddressMatch),
    national_id=st.just("") | HOSTILE,
    kinds=st.frozensets(st.sampled_from(Kind)),
    with_address=st.booleans(),
    typos=st.booleans(),
    ranked=st.booleans(),
    first=st.lists(HOSTILE, max_size=3),
    after=st.integers(0, 2**62),
    limit=st.integers(-5, 5000),
)


@given(query=QUERIES)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_no_query_raises(service: ListingsService, query: Query) -> None:
    shown = service.search(query).cards
    assert len(shown) <= max(0, query.limit)
    assert all(card.family not in NEVER_SHOWN for card in shown)


@pytest.mark.parametrize("field", [one.name for one in fields(Query) if one.type == "str"])
def test_each_field_alone_may_be_anything(service: ListingsService, field: str) -> None:
    for text in ("\0", "'\"*%_!", "\ud800x", "😀", "é" * 10_000, "a" * 10_000, " ", "0" * 300):
        for ranked in (True, False):
            shown = service.search(Query(**{field: text}, ranked=ranked)).cards  # pyright: ignore
            assert all(card.family not in NEVER_SHOWN for card in shown)


@given(address=HOSTILE | st.builds("{}@{}".format, HOSTILE, HOSTILE))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_no_address_raises(service: ListingsService, address: str) -> None:
    for one in service.suggest(address):
        assert "rouge" not in one


@given(text=st.text())
def test_comparing_twice_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert all(word.isalnum() for word in words(text))


def test_marks_by_the_thousands_take_no_time() -> None:
    """Put in order by Unicode's rule they take a second of everybody's, for their number squared."""
    marks = "a" + "\u0301" * 14_000 + "\u0327" * 14_000 + "\u0f73" * 14_000
    assert normalised(marks) == "a"
    assert least_cpu(lambda: normalised(marks), 0.3) < 0.3


@given(st.text(st.characters(codec="utf-8", categories=["Mn", "Mc", "Lo", "Ll"]), max_size=300))
def test_marks_are_dropped_as_they_would_be_in_order(text: str) -> None:
    apart = unicodedata.normalize("NFKD", text)
    assert without_marks(text) == "".join(one for one in apart if not unicodedata.combining(one))


@given(text=HOSTILE)
def test_what_is_typed_becomes_few_terms_of_letters_and_digits(text: str) -> None:
    made = typed(text)
    assert len(made.terms) <= MOST_TERMS
    assert len(made.addresses) <= MOST_TERMS
    for term in made.terms:
        assert all(word.text.isalnum() for way in term.ways for word in way)


@given(family=HOSTILE, given_name=HOSTILE, more=HOSTILE)
def test_a_document_has_all_its_parts_or_none(family: str, given_name: str, more: str) -> None:
    made = document(
        Card(
            1, Kind.ORG, more, more, family=family, given=given_name, profession=Coded(more, more),
            organisation=more, service=more, commune=more, postcode=more, department=more,
        ),
        [more],
    )  # fmt: skip
    assert made.name.count(",") in (0, 2)
    assert made.what.count(",") == 3
    assert made.where.count(",") == 1
    for column in (made.name, made.what, made.where):
        assert "  " not in column
        assert all(word == "," or word.isalnum() for word in column.split())


@given(word=st.text("abcdeé", min_size=3, max_size=9), other=st.text("abcdeé", min_size=3, max_size=9))
@settings(max_examples=300)
def test_one_edit_is_what_rapidfuzz_calls_one(word: str, other: str) -> None:
    from rapidfuzz.distance import OSA

    word, other = normalised(word), normalised(other)
    lexicon = Lexicon()
    lexicon.learn([other])
    assert (other in lexicon.one_edit(word)) == (OSA.distance(word, other) == 1)


def test_two_edits_are_allowed_in_long_words_alone() -> None:
    lexicon = Lexicon()
    lexicon.learn(["schwarzenbach", "martin"])
    assert lexicon.two_edits("schwarzenbak") == ["schwarzenbach"]
    assert lexicon.two_edits("mratni") == []


def test_words_are_bounded_whatever_a_file_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("directory.search.lexicon._MOST", 3)
    lexicon = Lexicon()
    lexicon.learn(["martin", "x" * 41, "durand", "petit", "bernard"])
    assert len(lexicon) == 3
    assert "bernard" not in lexicon
    assert "x" * 41 not in lexicon


def test_a_department_is_known_by_its_number_and_its_name() -> None:
    assert [departments.number_of(one) for one in ("1", "01", "2a", "Corse-du-Sud", "rhône", "974")] == [
        "01", "01", "2A", "2A", "69", "974",
    ]  # fmt: skip


def test_words_that_come_later_are_known_at_once_and_domains_two_seconds_later(
    service: ListingsService, database: ListingsDatabase, clock: Any
) -> None:
    assert service.search(Query("zzyzxko")).cards == ()
    new = Mailbox("zed.zzyzxka@late.mssante.fr", Kind.ORG, service="Zzyzxka")
    database.write(lambda sql: writing.put_mailboxes(sql, [new], at=3))
    try:
        assert [card.address for card in service.search(Query("zzyzxko")).cards] == [new.address]
        assert service.suggest("zed.zzyzxka@lat.mssante.fr") == ()
        clock.now += 2_000
        assert service.suggest("zed.zzyzxka@lat.mssante.fr") == (new.address,)
    finally:
        database.write(lambda sql: writing.remove_mailboxes(sql, [new.address], at=4))
    assert service.search(Query("zzyzxka")).cards == ()


def test_who_came_a_moment_ago_is_found_as_typed_and_taken_for_nobody_else(
    service: ListingsService, database: ListingsDatabase
) -> None:
    old = Mailbox("zed.quuxbart@late.mssante.fr", Kind.ORG, service="Quuxbart")
    new = Mailbox("zed.quuxberto@late.mssante.fr", Kind.ORG, service="Quuxberto")
    database.write(lambda sql: writing.put_mailboxes(sql, [old], at=3))
    service.prepare()
    database.write(lambda sql: writing.put_mailboxes(sql, [new], at=4))
    try:
        for name in ("quuxberto", "quuxbert"):  # whole, and begun
            found = service.search(Query(name))
            assert [card.address for card in found.cards] == [new.address]
            assert found.corrected == ()
    finally:
        addresses = [old.address, new.address]
        database.write(lambda sql: writing.remove_mailboxes(sql, addresses, at=5))


def test_what_takes_too_long_answers_with_what_was_found(
    service: ListingsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = psycopg.errors.QueryCanceled("time is over")

    def over(*_: object, **__: object) -> None:
        raise cut

    monkeypatch.setattr(Search, "_look", over)
    found = service.search(Query("martin"))
    assert (found.cards, found.more) == ((), True)
    monkeypatch.undo()
    assert service.search(Query("martin")).cards
