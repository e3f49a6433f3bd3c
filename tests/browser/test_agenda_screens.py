"""The agenda's screens among invented appointments: sizes, colours, keyboard, fingers, and what each act comes to."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.conftest import midday, visitors_own
from tests.browser.probes import (
    SCHEMES,
    WIDTHS,
    axe,
    clipped,
    letters,
    overflow,
    settle,
    small_targets,
    tab_walk,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

Visit = Callable[..., "Page"]
PHONE = 390
SCREENS = (
    ("/agenda", ""),
    ("/agenda", "quietagenda"),
    ("/agenda", "years"),
    ("/agenda", "askedseries"),
    ("/agenda/rendez-vous/o1", ""),
    ("/agenda/rendez-vous/o1", "closedexchange"),
    ("/agenda/rendez-vous/o5", ""),
    ("/agenda/nouveau", ""),
    ("/agenda/rappels", ""),
    ("/agenda/rappels", "nofacts"),
)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor at midday: what is today is neither over nor tomorrow's."""
    opened = visitors_own(browser, viewport={"width": PHONE, "height": 800}, timezone_id=midday())
    yield opened
    opened.close()


def a_month_from(day: date, months: int) -> date:
    """The same day of that month, or its last one."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@pytest.mark.parametrize(("path", "scene"), SCREENS)
def test_axe_finds_nothing_and_nothing_sticks_out_or_is_missed(visit: Visit, path: str, scene: str) -> None:
    page = visit(path, scene)
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        settle(page)
        found += [f"{width} px: {fault}" for fault in (*overflow(page), *clipped(page))]
    page.set_viewport_size({"width": PHONE, "height": 800})
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {fault}" for fault in axe(page)]
    page.emulate_media(color_scheme="light")
    found += [f"small: {fault}" for fault in small_targets(page)]
    letters(page, 32)
    settle(page)
    found += [f"large letters: {fault}" for fault in (*overflow(page), *clipped(page))]
    assert found == []


@pytest.mark.parametrize(
    ("path", "scene"), [("/agenda", ""), ("/agenda/rendez-vous/o1", ""), ("/agenda/rappels", "")]
)
def test_every_stop_of_the_keyboard_is_seen(visit: Visit, path: str, scene: str) -> None:
    stops = tab_walk(visit(path, scene))
    assert [stop.name for stop in stops if not stop.seen or stop.covered] == []


def test_the_month_is_sound_at_every_width(visit: Visit) -> None:
    page = visit("/agenda", "")
    page.get_by_role("button", name="Mois", exact=True).click()
    expect(page.get_by_role("grid")).to_be_visible()
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        settle(page)
        found += [f"{width} px: {fault}" for fault in (*overflow(page), *axe(page), *small_targets(page))]
    assert found == []


def test_the_month_is_one_stop_and_arrows_go_from_day_to_day(visit: Visit) -> None:
    page = visit("/agenda", "")
    page.get_by_role("button", name="Mois", exact=True).click()
    grid = page.get_by_role("grid")
    expect(grid.locator('button[tabindex="0"]')).to_have_count(1)
    today = grid.locator('button[aria-current="date"]')
    today.focus()
    day = date.fromisoformat(today.get_attribute("data-day") or "")
    for key, days, months in (
        ("ArrowRight", 1, 0),
        ("ArrowDown", 7, 0),
        ("PageDown", 0, 1),
        ("PageUp", 0, -1),
        ("ArrowUp", -7, 0),
        ("ArrowLeft", -1, 0),
    ):
        page.keyboard.press(key)
        day = a_month_from(day, months) + timedelta(days)
        expect(grid.locator(f'button[data-day="{day}"]')).to_be_focused()
        expect(grid.locator('button[tabindex="0"]')).to_have_count(1)


def test_one_tap_answers_and_can_be_undone(visit: Visit) -> None:
    page = visit("/agenda", "")
    expect(page.get_by_role("heading", name="2 rendez-vous attendent votre réponse")).to_be_visible()
    page.get_by_role("button", name="Accepter Consultation de suivi").click()
    # It is announced too, with more words.
    expect(page.get_by_text("Vous avez accepté.", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="1 rendez-vous attend votre réponse")).to_be_visible()
    page.get_by_role("button", name="Annuler").click()
    expect(page.get_by_role("heading", name="2 rendez-vous attendent votre réponse")).to_be_visible()


def test_one_tap_on_a_series_answers_the_whole_and_says_so(visit: Visit) -> None:
    page = visit("/agenda", "askedseries")
    card = page.locator(".card").filter(has_text="Rééducation")
    expect(card).to_have_count(1)
    expect(card.get_by_text("Votre réponse vaut pour toute la série")).to_be_visible()
    expect(
        page.locator(".card").filter(has_text="Consultation de suivi").get_by_text("toute la série")
    ).to_have_count(0)
    page.get_by_role("button", name="Refuser Rééducation").click()
    expect(
        page.locator("main li").filter(has_text="Rééducation").get_by_text("Refusé", exact=True)
    ).to_have_count(2)


def test_another_time_is_proposed_and_what_is_wrong_is_said_first(visit: Visit) -> None:
    page = visit("/agenda/rendez-vous/o1", "")
    page.get_by_role("button", name="Proposer un autre moment").click()
    page.get_by_role("button", name="Envoyer la proposition").click()
    expect(page.get_by_role("alert")).to_contain_text("C’est l’heure déjà prévue.")
    page.get_by_label("Heure", exact=True).fill("15:30")
    page.get_by_role("button", name="Envoyer la proposition").click()
    expect(page.get_by_text("Vous avez proposé")).to_be_visible()


def test_a_closed_exchange_says_why_nothing_can_be_answered(visit: Visit) -> None:
    page = visit("/agenda/rendez-vous/o1", "closedexchange")
    expect(page.get_by_text("Dr Claire Martin a mis fin à cet échange")).to_be_visible()
    assert page.get_by_role("button", name="Accepter").count() == 0


def test_conflicts_are_shown_with_the_other_appointment(visit: Visit) -> None:
    page = visit("/agenda/rendez-vous/o1", "")
    beside = page.get_by_role("region", name="En même temps")
    expect(beside.get_by_role("link", name="Échographie cardiaque")).to_be_visible()


def test_an_own_entry_is_added_changed_and_removed(visit: Visit) -> None:
    page = visit("/agenda/nouveau", "quietagenda")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.get_by_role("alert")).to_contain_text("Dites de quoi il s’agit.")
    page.get_by_label("Quoi", exact=True).fill("Dentiste")
    page.get_by_label("De", exact=True).fill("23:00")
    page.get_by_label("À", exact=True).fill("23:30")
    page.get_by_role("button", name="Enregistrer").click()
    page.get_by_role("link", name="Dentiste").click()
    page.get_by_role("link", name="Changer").click()
    page.get_by_label("Quoi", exact=True).fill("Dentiste, contrôle")
    page.get_by_role("button", name="Enregistrer").click()
    page.get_by_role("link", name="Dentiste, contrôle").click()
    page.get_by_role("button", name="Retirer de mon agenda").click()
    page.get_by_role("dialog").get_by_role("button", name="Retirer de mon agenda").click()
    expect(page.get_by_role("heading", name="Votre agenda est vide")).to_be_visible()


def test_a_recall_tells_why_and_can_be_set_aside_and_taken_back(visit: Visit) -> None:
    page = visit("/agenda/rappels", "")
    page.get_by_role("button", name="Pourquoi ? Vaccin contre la grippe").click()
    told = page.get_by_role("listitem").filter(has_text="Vaccin contre la grippe")
    expect(told.get_by_text("Source : Calendrier des vaccinations")).to_be_visible()
    page.get_by_role("button", name="Ne plus me le rappeler : Vaccin contre la grippe").click()
    page.get_by_role("button", name="Rappeler de nouveau : Vaccin contre la grippe").click()
    expect(page.get_by_role("button", name="C’est fait : Vaccin contre la grippe")).to_be_visible()


def test_a_birth_date_is_asked_for_once(visit: Visit) -> None:
    page = visit("/agenda/rappels", "nofacts")
    page.get_by_label("Date de naissance").fill("1950-03-12")
    page.get_by_role("radio", name="Féminin").check()
    page.get_by_role("button", name="Voir mes rappels").click()
    expect(page.get_by_role("heading", name="Vaccin contre la grippe")).to_be_visible()


def test_a_reminder_shows_while_the_page_is_open(visit: Visit) -> None:
    page = visit("/agenda", "reminder")
    expect(page.get_by_role("link", name="Rappel : Consultation de suivi")).to_be_visible()
