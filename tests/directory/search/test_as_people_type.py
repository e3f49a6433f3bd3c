"""People are found as people type: the same in both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from directory.listings.interface import Query
from directory.listings.service import ListingsService

EVERYBODY_MARTIN = {"zoe.martin", "jean.martin", "jeanne.martinez", "jp.martin", "martin.leroux"}

Found = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Zoé MARTIN", "zoe.martin"),
        ("martin zoe", "zoe.martin"),
        ("zo mart", "zoe.martin"),
        ("z martin", "zoe.martin"),
        ("dr zoé martin", "zoe.martin"),
        ("jp martin", "jp.martin"),
        ("jean-pierre martin", "jp.martin"),
        ("jeanpierre", "jp.martin"),
        ("marie claire dupont", "marie-claire.dupont"),
        ("marieclaire dupont", "marie-claire.dupont"),
        ("dupont moreau", "marie-claire.dupont"),
        ("dupontmoreau", "marie-claire.dupont"),
        ("marie claire roy", "marieclaire.roy"),
        ("le gall", "yves.legall"),
        ("legall", "yves.legall"),
        ("gall yves", "yves.legall"),
        ("d'arc", "anne.darc"),
        ("d’arc anne", "anne.darc"),
        ("darc", "anne.darc"),
        ("œuvrard", "edith.oeuvrard"),
        ("oeuvrard", "edith.oeuvrard"),
        ("OEUVRARD édith", "edith.oeuvrard"),
        ("saint pierre", "paul.saintpierre"),
        ("st-pierre paul", "paul.saintpierre"),
        ("francois schwarzenbach", "francois.schwarzenbach"),
        ("urgences chu lyon", "urgences"),
        ("chu lyon", "urgences"),
        ("hospices civils", "urgences"),
        ("hopital croix rousse", "chirurgie"),
        ("hôpital de la croix-rousse", "chirurgie"),
        ("sacre coeur", "accueil"),
        ("sacré-cœur brest", "accueil"),
        ("clinique de l'étoile", "secretariat"),
        ("polyclinique", "secretariat"),
        ("maison médicale des pins", "cabinet.pins"),
        ("pinson", "cabinet.pins"),
        ("comptes rendus chu", "robot"),
    ],
)
def test_a_name_is_found_as_it_is_typed(found: Found, text: str, who: str) -> None:
    assert who in found(text)
    assert found(text, ranked=False), "and in the order of ids"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("cardiologue paris", {"jean.martin"}),
        ("cardiologues", {"jean.martin", "francois.schwarzenbach"}),
        ("cardiologie", {"jean.martin", "francois.schwarzenbach"}),
        ("martin cardiologue", {"jean.martin"}),
        ("généraliste étienne", {"marie-claire.dupont"}),
        ("médecin généraliste saint-etienne", {"marie-claire.dupont"}),
        ("medecin traitant st etienne", {"marie-claire.dupont"}),
        ("generalis ste", set[str]()),
        ("sage femme lyon", {"anne.darc"}),
        ("infirmière ajaccio", {"edith.oeuvrard"}),
        ("infirmiere 2A", {"edith.oeuvrard"}),
        ("kiné brest", {"yves.legall"}),
        ("kinesitherapeute finistère", {"yves.legall"}),
        ("dentiste paris 15", {"luc.cardio"}),
        ("dentiste 75015", {"luc.cardio"}),
        ("dentiste 750", {"luc.cardio"}),
        ("chirurgien brest", {"jp.martin"}),
        ("orl loire", {"paul.saintpierre"}),
        ("martin rhône", {"zoe.martin", "martin.leroux"}),
        ("martin 69", {"zoe.martin", "martin.leroux"}),
        ("martin lyon 3e", {"zoe.martin"}),
        ("martin lyon 3ème arrondissement", {"zoe.martin"}),
        ("martin lyon 8", {"martin.leroux"}),
        ("pierre st-étienne", {"paul.saintpierre"}),
    ],
)
def test_a_profession_and_a_place_are_found_in_peoples_words(found: Found, text: str, who: set[str]) -> None:
    assert set(found(text, typos=False)) == who


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("zoe.martin@medecin.mssante.fr", ["zoe.martin"]),
        ("ZOE.MARTIN@MEDECIN.MSSANTE.FR", ["zoe.martin"]),
        ("<zoe.martin@medecin.mssante.fr>,", ["zoe.martin"]),
        ("zoe.mar", ["zoe.martin"]),
        ("zoe.martin@med", ["zoe.martin"]),
        ("Zoé zoe.martin@med", ["zoe.martin"]),
        ("anne zoe.martin@med", []),
        ("@clinique-etoile.mssante.fr", ["secretariat"]),
        ("clinique-etoile", ["secretariat"]),
    ],
)
def test_an_address_or_its_beginning_is_found(found: Found, text: str, who: list[str]) -> None:
    assert found(text, typos=False) == who


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("zoe matrin", "zoe.martin"),  # exchanged
        ("zoe martn", "zoe.martin"),  # missing
        ("zoe marttin", "zoe.martin"),  # too many
        ("zoe mertin", "zoe.martin"),  # another
        ("zoe nartin", "zoe.martin"),  # the first
        ("zoe amrtin", "zoe.martin"),
        ("zoe xmartin", "zoe.martin"),
        ("zoe artin", "zoe.martin"),
        ("schwarzenbak", "francois.schwarzenbach"),  # two errors in a long word
        ("cardiolgie paris", "jean.martin"),
        ("zoe matrin lyonn", "zoe.martin"),
        ("oeuvrar edit ajacio", "edith.oeuvrard"),
    ],
)
def test_a_typing_error_is_forgiven(found: Found, text: str, who: str) -> None:
    assert who in found(text)
    assert found(text, typos=False) == []


@pytest.mark.parametrize("text", ["shwarzenbak", "zoe mrt", "xq"])
def test_too_many_errors_are_another_word(found: Found, text: str) -> None:
    assert found(text) == []


def test_what_a_word_was_taken_for_is_told(service: ListingsService) -> None:
    assert service.search(Query("zoe matrin")).corrected == (("matrin", "martin"),)
    assert service.search(Query("zoe martin")).corrected == ()
    wrong = service.search(Query("zoe.matrin@medecin.mssante.fr"))
    assert [card.address for card in wrong.cards] == ["zoe.martin@medecin.mssante.fr"]
    assert wrong.corrected == (("zoe.matrin@medecin.mssante.fr", "zoe.martin@medecin.mssante.fr"),)
