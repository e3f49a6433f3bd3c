"""Searches on the real listings: what LDAP finds is what looking at every single entry finds."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.directory_files import write_mailboxes
from deploy.node.migrations.run import migrate_listings
from directory.imports.run import Wish, import_file
from directory.ldap.entries import Entry, Tree, entry_of
from directory.ldap.matching import predicate
from directory.ldap.planning import plan
from directory.ldap.protocol.messages import Scope, Search
from directory.ldap.searching import Bounds, Place, Searcher
from directory.listings.database import ListingsDatabase
from directory.listings.interface import Query
from directory.listings.service import ListingsService
from directory.model import Card
from tests.directory.ldap import asking

TREE = Tree.at(asking.BASE)


def entry(card: Card) -> Entry:
    return entry_of(card, TREE, lambda _: (), lambda _: None)


class Real:
    def __init__(self, service: ListingsService) -> None:
        self.searcher = Searcher(service, TREE, lambda _: (), lambda _: None)
        self.cards: list[Card] = []
        more = True
        while more:
            after = self.cards[-1].id if self.cards else 0
            results = service.search(Query(ranked=False, typos=False, after=after, limit=500))
            self.cards += results.cards
            more = results.more
        self.entries = [entry(card) for card in self.cards]

    def asked(self, what: str, base: str = asking.BASE) -> Search:
        return Search(base, Scope.SUBTREE, 0, 0, False, asking.parsed(what), ("mail",))

    def found(self, what: str, most: int = 5_000) -> set[str]:
        found = self.searcher.search(
            1, self.asked(what), Bounds(most, time.monotonic() + 120), TREE.root((), tls=True)
        )
        assert found.code == 0, (what, found)
        return set(found.keys)

    def true_of(self, what: str) -> set[str]:
        holds = predicate(asking.parsed(what))
        return {each.key for each in self.entries if holds(each)}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("ldap-listings")
    write_mailboxes(folder / "boxes.txt", 1_500, seed=5)
    path: Path = folder / "listings.db"
    migrate_listings(f"sqlite:///{path}")
    database = ListingsDatabase(path)
    wish = Wish(path=folder / "boxes.txt", reports=folder)
    import_file(database, wish, lambda *_: None, lambda: time.time_ns() // 1_000_000)
    service = ListingsService(database, lambda: time.time_ns() // 1_000_000)
    yield Real(service)
    service.close()
    database.close()


SHAPES = (
    "(sn={family})",
    "(cn={given} {family})",
    "(cn=*{family})",
    "(sn={begin}*)",
    "(&(sn={family})(givenName={given}))",
    "(&(mail=*)(|(mail={begin}*)(|(cn={begin}*)(|(sn={begin}*)(givenName={begin}*)))))",
    "(|(givenName={given}*)(sn={given}*)(cn={given}*)(mail={given}*))",
    "(mail={address})",
    "(mail={local}*)",
    "(uid={address})",
    "(&(l={commune})(sn={begin}*))",
    "(&(st={department})(givenName={given}))",
    "(&(postalCode={postcode})(!(sn={family})))",
    "(o={organisation})",
    "(&(o={organisation})(sn={begin}*))",
    "(&(businessCategory={profession})(sn={family}))",
    "(&(title=*{profession}*)(cn={family}*))",
    "(employeeNumber={national_id})",
    "(&(vaguemestreProfession={code})(sn={family}))",
    "(name={given})",
)


def asked_about(card: Card, shape: str) -> str | None:
    words = {
        "family": card.family, "given": card.given, "begin": card.family[:4],
        "address": card.address, "local": card.address.partition("@")[0][:6], "commune": card.commune,
        "department": card.department, "postcode": card.postcode, "organisation": card.organisation,
        "profession": card.profession.label, "national_id": card.national_id, "code": card.profession.code,
    }  # fmt: skip
    wanted = {
        name: text.translate({40: "\\28", 41: "\\29", 42: "\\2a", 92: "\\5c"}) for name, text in words.items()
    }
    empty = any(f"{{{name}}}" in shape and not text.strip() for name, text in wanted.items())
    return None if empty else shape.format(**wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_found_is_all_that_the_filter_is_true_of(real: Real, shape: str) -> None:
    chance = random.Random(shape)
    asked = 0
    for card in chance.sample(real.cards, 60):
        if (what := asked_about(card, shape)) is None:
            continue
        if plan(asking.parsed(what), TREE) is None:
            continue
        asked += 1
        assert real.found(what) == real.true_of(what), what
        if asked == 8:
            break
    assert asked


def test_accents_and_case_make_no_difference(real: Real) -> None:
    card = next(each for each in real.cards if not each.family.isascii() or not each.given.isascii())
    for text in (card.family.lower(), card.family.upper(), entry(card).values["cn"][0]):
        what = f"(cn=*{text}*)"
        assert card.address in real.found(what)


def test_pages_of_the_real_listings_show_everybody_once(real: Real) -> None:
    what = "(st=69)"
    place, seen = Place(), list[str]()
    for _ in range(200):
        found = real.searcher.search(
            1, real.asked(what), Bounds(5_000, time.monotonic() + 120), TREE.root((), tls=True), (7, place)
        )
        assert len(found.keys) <= 7
        seen += found.keys
        if found.go_on is None:
            break
        place = found.go_on
    assert len(seen) == len(set(seen))
    assert set(seen) == real.true_of(what)
