"""What comes over the network until a first letter is read: a newcomer's browser, empty, from log-in to the words."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from deploy.demo import world
from tests.browser.conftest import visitors_own
from tests.browser.visitor import RECEIVED, Visitor
from tests.browser.wiretap import Wiretap
from webmail.built_page import BuiltPage, read_built_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.served import Served

BUDGET = 130_000
PASSWORD = "un mot de passe pour peser"
TOPIC, WORDS = "Votre tension", "Bonjour, votre tension est bonne. Revenez dans trois mois."


@pytest.fixture(scope="module")
def asked(served: Served, browser: Browser) -> Counter[str]:
    """What an empty browser asked for, until the words of a letter stood on its screen."""
    space = served.made.patient
    served.person_writes(world.GP, space.shown, TOPIC, WORDS)
    first = visitors_own(browser)
    Visitor(first.new_page(), served.origin).activate(space.person, space.code, PASSWORD)
    first.close()
    tap = Wiretap(
        served.made.ports["http"]
    )  # of its own: whatever the first browser still asks is not counted
    context = visitors_own(browser)
    visitor = Visitor(context.new_page(), tap.origin)
    visitor.log_in(space.shown, PASSWORD)
    visitor.await_title(RECEIVED)
    assert WORDS in visitor.open_letter(TOPIC).inner_text()
    context.close()
    asked = Counter(request.target for request in tap.requests())
    tap.close()
    return asked


@pytest.fixture(scope="module")
def page() -> BuiltPage:
    found = read_built_page()
    assert found is not None, "the node served a page, so one was built"
    return found


def files(asked: Counter[str], page: BuiltPage) -> dict[str, int]:
    """Packed size of each file of the page that was asked for."""
    paths = {"/" if target == "/connexion" else target for target in asked} & set(page.files)
    return {path: len(gzip.compress(page.files[path].plain, 9, mtime=0)) for path in paths}


def test_it_weighs_no_more_than_its_budget(asked: Counter[str], page: BuiltPage) -> None:
    sizes = files(asked, page)
    heaviest = sorted(sizes.items(), key=lambda one: -one[1])
    assert sum(sizes.values()) <= BUDGET, "\n".join(f"{size:7} {path}" for path, size in heaviest)


def test_what_opens_letters_is_in_the_count(asked: Counter[str], page: BuiltPage) -> None:
    names = " ".join(files(asked, page))
    for part in ("openpgp_reading-", "argon2", "Conversation-", "LogIn-", "mail.fr-", ".css"):
        assert part in names


def test_what_this_letter_does_not_need_stays_away(asked: Counter[str], page: BuiltPage) -> None:
    heavy = [path for path, size in files(asked, page).items() if "pdf" in path and size > 1_000]
    assert heavy == []
    for part in ("openpgp-", "Composer-", "Settings-", "Activate-", "html-"):
        assert not any(part in path for path in files(asked, page)), part


def test_what_browsers_keep_is_asked_for_once(asked: Counter[str], page: BuiltPage) -> None:
    kept = [path for path in files(asked, page) if path.endswith((".js", ".css"))]
    assert [path for path in kept if asked[path] > 1] == []
