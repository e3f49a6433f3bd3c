"""Every screen, in its states: at 320, 390 and 1100 px, light and dark, zoomed, by keyboard, by finger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

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
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
PHONE = 390


@dataclass(frozen=True, slots=True)
class Screen:
    path: str
    scene: str = ""

    def __str__(self) -> str:
        return f"{self.path} {self.scene}".strip()


SCREENS = (
    Screen("/connexion", "out"),
    Screen("/connexion", "out,providers"),
    Screen("/connexion?refus=level-too-low&ref=R-7QK2", "out"),
    Screen("/confirme"),
    Screen("/activer", "out"),
    Screen("/secours", "out"),
    Screen("/secours", "renew"),
    Screen("/deverrouiller", "locked"),
    Screen("/messages"),
    Screen("/messages", "empty"),
    Screen("/messages", "nokey"),
    Screen("/messages/sent"),
    Screen("/messages/trash"),
    Screen("/conversation/T1"),
    Screen("/conversation/T2"),
    Screen("/conversation/T4"),
    Screen("/conversation/T5"),
    Screen("/conversation/T6"),
    Screen("/conversation/T20"),
    Screen("/conversation/T21"),
    Screen("/conversation/T22"),
    Screen("/conversation/T1", "per"),
    Screen("/conversation/T1", "per,ended"),
    Screen("/messages", "per,ward"),
    Screen("/ecrire"),
    Screen("/ecrire", "empty"),
    Screen("/recherche"),
    Screen("/reglages"),
    Screen("/reglages", "per"),
    Screen("/reglages/logiciel", "per"),
    Screen("/reglages/lecteurs", "per"),
    Screen("/reglages/premier-message", "per"),
    Screen("/reglages/adresses-bloquees"),
    Screen("/reglages/historique"),
    Screen("/aide"),
    Screen("/help"),
    Screen("/accessibilite"),
    Screen("/accessibility"),
)


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_axe_finds_nothing_and_nothing_sticks_out(visit: Visit, screen: Screen) -> None:
    page = visit(screen.path, screen.scene)
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        settle(page)
        found += [f"{width} px: {fault}" for fault in (*overflow(page), *clipped(page))]
        for scheme in SCHEMES if width == PHONE else SCHEMES[:1]:  # colours are those of every width
            page.emulate_media(color_scheme=scheme)
            found += [f"{width} px, {scheme}: {fault}" for fault in axe(page)]
        page.emulate_media(color_scheme="light")
    assert found == []


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_twice_as_large_nothing_is_lost(visit: Visit, screen: Screen) -> None:
    page = visit(screen.path, screen.scene, 1100)
    found: list[str] = []
    # A window of 1100 by 800 at 200 %: half as many of its own pixels. Then letters alone twice as large, on a phone.
    for width, height, size in ((550, 400, 16), (390, 800, 32)):
        page.set_viewport_size({"width": width, "height": height})
        letters(page, size)
        settle(page)
        found += [f"{width} px, {size} px letters: {fault}" for fault in (*overflow(page), *clipped(page))]
    assert found == []


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_every_stop_of_the_keyboard_is_seen_and_every_target_is_large(visit: Visit, screen: Screen) -> None:
    page = visit(screen.path, screen.scene)
    assert small_targets(page) == []
    stops = tab_walk(page)
    assert stops, "nothing can be reached by keyboard"
    assert [stop.name for stop in stops if not stop.seen] == []
    assert [stop.name for stop in stops if stop.covered] == []
    assert stops[0].tag == "a"
    assert stops[0].name in {"Aller au contenu", "Skip to content"}
