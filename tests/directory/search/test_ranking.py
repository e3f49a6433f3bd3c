"""Who comes first, who is shown at all, and how far one search goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from directory.listings.interface import AddressMatch, Query
from directory.listings.service import ListingsService
from directory.model import Kind

Found = Callable[..., list[str]]


def test_whole_words_come_before_beginnings(found: Found) -> None:
    assert found("martin").index("zoe.martin") < found("martin").index("jeanne.martinez")
    assert found("jean martin")[0] == "jean.martin"


def test_a_family_name_comes_before_the_rest(found: Found) -> None:
    shown = found("martin")
    assert shown.index("jean.martin") < shown.index("martin.leroux")


def test_who_has_an_address_comes_before_who_has_none(found: Found) -> None:
    shown = found("martin", with_address=False)
    assert shown.index("zoe.martin") < shown.index("MARTIN")
    assert "MARTIN" not in found("martin")


def test_the_first_address_comes_before_the_second(found: Found) -> None:
    assert found("deuxfois ida") == ["ida.deuxfois", "deux.adresses"]


def test_our_own_come_a_little_before_others(found: Found) -> None:
    assert found("nina pareil") == ["nina.pareil.ici", "nina.pareil"]


def test_correspondents_come_first_where_they_match(found: Found) -> None:
    first = ("jeanne.martinez@medecin.mssante.fr", "anne.darc@medecin.mssante.fr", "nobody@x.mssante.fr")
    shown = found("martin", first=first)
    assert shown[0] == "jeanne.martinez"
    assert "anne.darc" not in shown
    assert len(shown) == len(set(shown))


def test_more_is_told_where_there_is_more(service: ListingsService) -> None:
    some = service.search(Query("martin", limit=2))
    assert (len(some.cards), some.more) == (2, True)
    every = service.search(Query("martin", limit=5))
    assert (len(every.cards), every.more) == (5, False)


def test_pages_follow_each_other_by_id_until_the_end(service: ListingsService) -> None:
    seen: list[str] = []
    after, more = 0, True
    while more:
        page = service.search(Query("martin", ranked=False, after=after, limit=2))
        seen += [card.address for card in page.cards]
        after, more = page.cards[-1].id, page.more
    assert len(seen) == len(set(seen)) == 5
    assert service.search(Query("martin", ranked=False, after=after)).cards == ()


def test_a_page_of_everybody_has_everybody_who_is_shown(service: ListingsService) -> None:
    everybody = service.search(Query(ranked=False, with_address=False, limit=1000)).cards
    assert len(everybody) == 25


@pytest.mark.parametrize("ranked", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        Query("ecarlate"),
        Query("scarlett ecarlate"),
        Query("secret.rouge"),
        Query("secret.rouge@medecin.mssante.fr"),
        Query("ecarlatte"),
        Query(family="ecarlate", with_address=False),
        Query(given="scarlett", with_address=False),
        Query(address="secret.rouge@medecin.mssante.fr", address_match=AddressMatch.EXACT),
        Query(address="secret", address_match=AddressMatch.PREFIX),
        Query(address="rouge", address_match=AddressMatch.CONTAINS),
        Query(national_id="810000000014"),
        Query("ecarlate", first=("secret.rouge@medecin.mssante.fr",)),
        Query(first=("secret.rouge@medecin.mssante.fr",), text="s"),
        Query("radie"),
        Query("tom.radie@medecin.mssante.fr"),
        Query(address="tom.radie@medecin.mssante.fr", address_match=AddressMatch.EXACT),
        Query(first=("tom.radie@medecin.mssante.fr",), text="tom"),
    ],
)
def test_who_is_on_the_red_list_or_struck_off_is_found_by_no_way(
    service: ListingsService, query: Query, ranked: bool
) -> None:
    for card in service.search(replace(query, ranked=ranked)).cards:
        assert card.family not in ("ECARLATE", "RADIE")
        assert card.address not in ("secret.rouge@medecin.mssante.fr", "tom.radie@medecin.mssante.fr")


def test_the_same_query_answers_alike_twice(service: ListingsService) -> None:
    assert service.search(Query("m")) == service.search(Query("m"))


# -- fields -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ({"family": "martin"}, {"zoe.martin", "jean.martin", "jeanne.martinez", "jp.martin"}),
        ({"family": "moreau"}, {"marie-claire.dupont"}),
        ({"family": "DUPONT-MOR"}, {"marie-claire.dupont"}),
        ({"family": "st pierre"}, {"paul.saintpierre"}),
        ({"given": "martin"}, {"martin.leroux"}),
        ({"given": "pierre"}, {"jp.martin"}),
        ({"family": "martin", "given": "jean"}, {"jean.martin", "jeanne.martinez", "jp.martin"}),
        ({"profession": "50"}, {"anne.darc"}),
        ({"profession": "sage-femme"}, {"anne.darc"}),
        ({"profession": "kiné"}, {"yves.legall"}),
        ({"speciality": "SM04"}, {"jean.martin", "francois.schwarzenbach"}),
        ({"speciality": "cardiologue"}, {"jean.martin", "francois.schwarzenbach"}),
        ({"speciality": "sm04", "department": "75"}, {"jean.martin"}),
        ({"profession": "10", "department": "2a"}, {"francois.schwarzenbach"}),
        ({"profession": "infirmier", "department": "Corse-du-Sud"}, {"edith.oeuvrard"}),
        ({"organisation": "1690781810"}, {"urgences", "robot"}),
        ({"organisation": "chu lyon"}, {"urgences", "robot"}),
        ({"organisation": "hospices"}, {"urgences", "robot"}),
        ({"organisation": "croix rousse"}, {"chirurgie"}),
        ({"commune": "saint etienne", "family": "saint"}, {"paul.saintpierre"}),
        ({"commune": "brest", "profession": "10"}, {"jp.martin", "cabinet.pins"}),
        ({"postcode": "750"}, {"jean.martin", "jeanne.martinez", "luc.cardio"}),
        ({"postcode": "75015", "given": "luc"}, {"luc.cardio"}),
        ({"department": "2A"}, {"edith.oeuvrard", "francois.schwarzenbach"}),
        ({"kinds": frozenset({Kind.APP})}, {"robot"}),
        ({"kinds": frozenset({Kind.ORG, Kind.APP}), "department": "69"}, {"urgences", "robot", "chirurgie"}),
        ({"kinds": frozenset({Kind.CAB})}, {"cabinet.pins"}),
        ({"kinds": frozenset[Kind]()}, set[str]()),
        ({"national_id": "810000000015"}, {"deux.adresses", "ida.deuxfois"}),
        ({"national_id": "810000000015", "text": "lyon 8"}, {"ida.deuxfois"}),
        ({"address": "martin", "address_match": AddressMatch.PREFIX}, {"martin.leroux"}),
        ({"address": "schwarz"}, {"francois.schwarzenbach"}),
        ({"address": "etoile.mssante"}, {"secretariat"}),
        ({"address": "toile"}, set[str]()),
        ({"address": "@sacrecoeur"}, {"accueil"}),
        ({"address": "%"}, set[str]()),
        ({"address": "_"}, set[str]()),
        ({"text": "zoe", "department": "69", "profession": "10"}, {"zoe.martin"}),
        ({"text": "zoé matrin", "department": "69", "profession": "10"}, {"zoe.martin"}),
        ({"family": "sansadresse", "with_address": False}, {"SANSADRESSE"}),
        ({"family": "sansadresse"}, set[str]()),
        ({"family": "martin", "with_address": False, "kinds": frozenset({Kind.ORG})}, set[str]()),
    ],
)
@pytest.mark.parametrize("ranked", [True, False])
def test_fields_are_looked_for_alone_and_together(
    found: Found, fields: dict[str, Any], who: set[str], ranked: bool
) -> None:
    assert set(found(**fields, ranked=ranked)) == who


def test_an_address_is_found_whole_by_its_beginning_and_by_its_words(found: Found) -> None:
    for match in AddressMatch:
        asked = found(address="ZOE.martin@medecin.mssante.fr", address_match=match)
        assert asked == ["zoe.martin"]
    assert found(address="zoe.martin", address_match=AddressMatch.EXACT) == []


# -- did you mean -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("zoe.matrin@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("zoe.martn@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("zo.martin@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("Martin.Zoe@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("zoe-martin@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("zoe.martin@medcin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("zoe.martin@medecin.fr", "zoe.martin@medecin.mssante.fr"),
        ("zoe.matrin@medcin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("zoé.martin@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),
        ("urgence@chu-lyon.mssante.fr", "urgences@chu-lyon.mssante.fr"),
        ("marieclaire.dupont@medecin.mssante.fr", "marie-claire.dupont@medecin.mssante.fr"),
        ("francois.schwarzenbak@medecin.mssante.fr", "francois.schwarzenbach@medecin.mssante.fr"),
    ],
)
def test_a_wrong_address_is_near_the_one_that_was_meant(
    service: ListingsService, address: str, meant: str
) -> None:
    assert service.suggest(address)[0] == meant


@pytest.mark.parametrize(
    "address",
    [
        "zoe.martin@medecin.mssante.fr",
        "secret.rouges@medecin.mssante.fr",
        "secret.rouge@medcin.mssante.fr",
        "rouge.secret@medecin.mssante.fr",
        "tom.radi@medecin.mssante.fr",
        "somebody.else@elsewhere.example",
        "",
        "@",
        "@medecin.mssante.fr",
        "zoe.martin",
        "a" * 10_000 + "@medecin.mssante.fr",
        "\0@\0",
    ],
)
def test_nothing_is_suggested_that_is_right_hidden_or_far(service: ListingsService, address: str) -> None:
    assert service.suggest(address) == ()
