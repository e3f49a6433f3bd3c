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


def at_every_width(page: Page) -> list[str]:
    """What axe finds and what sticks out, in both colours where they are seen most."""
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        settle(page)
        found += [f"{width} px: {fault}" for fault in (*overflow(page), *clipped(page))]
        for scheme in SCHEMES if width == PHONE else SCHEMES[:1]:  # colours are those of every width
            page.emulate_media(color_scheme=scheme)
            found += [f"{width} px, {scheme}: {fault}" for fault in axe(page)]
        page.emulate_media(color_scheme="light")
    return found


def twice_as_large(page: Page) -> list[str]:
    """What is lost of it."""
    found: list[str] = []
    # A window of 1100 by 800 at 200 %: half as many of its own pixels. Then letters alone twice as large, on a phone.
    for width, height, size in ((550, 400, 16), (390, 800, 32)):
        page.set_viewport_size({"width": width, "height": height})
        letters(page, size)
        settle(page)
        found += [f"{width} px, {size} px letters: {fault}" for fault in (*overflow(page), *clipped(page))]
    return found


def out_of_reach(page: Page) -> list[str]:
    """Stops of the keyboard that are not seen, and what a finger would miss."""
    found = [f"small: {target}" for target in small_targets(page)]
    stops = tab_walk(page)
    found += [f"not seen: {stop.name}" for stop in stops if not stop.seen]
    found += [f"covered: {stop.name}" for stop in stops if stop.covered]
    first = [(stop.tag, stop.name) for stop in stops[:1]]
    if first not in ([("a", "Aller au contenu")], [("a", "Skip to content")]):
        found.append(f"the first stop is {first}")
    return found


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_nothing_is_wrong_sticks_out_is_lost_or_out_of_reach(visit: Visit, screen: Screen) -> None:
    """One visit for all these looks: to open the screen costs the most."""
    page = visit(screen.path, screen.scene)
    found = {"by keyboard and finger": out_of_reach(page)}
    page.evaluate("scrollTo(0, 0)")
    found["at every width"] = at_every_width(page)
    found["twice as large"] = twice_as_large(page)
    assert found == {"by keyboard and finger": [], "at every width": [], "twice as large": []}
