"""What a machine can tell of a screen: faults axe-core knows, what sticks out, what finger or keyboard cannot reach.

Each probe answers with lines that name what is wrong; an empty list is what a test wants.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from playwright.sync_api import Page, Request

PROBES = Path(__file__).with_name("probes.js")
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (320, 390, 1100)
SCHEMES = ("light", "dark")

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


_LOOK = """() => [
  globalThis.answersComing ?? 0, document.querySelectorAll("main .loading").length,
  document.body.innerHTML.length, document.getAnimations().length, document.activeElement?.outerHTML.length ?? 0,
].join()"""
_STILL = "0,0,"  # no answer of the invented world is on its way, no screen is loading
_asked: WeakKeyDictionary[Page, set[Request]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the Tab key."""

    name: str
    tag: str
    seen: bool  # its focus is drawn
    covered: bool  # something else lies over its middle


@cache
def _script(file: Path) -> str:
    # Run by the debugger's hand, which the page's own policy does not bind.
    return f"() => {{ {file.read_text('utf-8')} }}"


def _look(page: Page, probe: str, *given: object) -> Any:
    if not page.evaluate("() => 'probes' in window"):
        page.evaluate(_script(PROBES))
    return page.evaluate(f"(given) => probes.{probe}(...given)", list(given))


def axe(page: Page) -> list[str]:
    """Faults that axe-core finds on the page as it stands."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_script(AXE))
    return _look(page, "runAxe", _RULES)


def overflow(page: Page) -> list[str]:
    """What sticks out of the window sideways."""
    return _look(page, "overflow")


def clipped(page: Page) -> list[str]:
    """Words cut off by their box."""
    return _look(page, "clipped")


def small_targets(page: Page, least: float = 40) -> list[str]:
    """What a finger would miss."""
    return _look(page, "smallTargets", least)


def tab_walk(page: Page, most: int = 120) -> list[Stop]:
    """Every stop of the Tab key from the top of the page until it leaves it."""
    _look(page, "rewind")
    stops: list[Stop] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        told: dict[str, Any] | None = _look(page, "focused")
        if told is None:
            break
        stops.append(Stop(**told))
    return stops


def letters(page: Page, pixels: int) -> None:
    """What a visitor chose as the size of letters in their browser (16 when they chose nothing)."""
    page.context.new_cdp_session(page).send(  # pyright: ignore[reportUnknownMemberType]
        "Page.setFontSizes", {"fontSizes": {"standard": pixels, "fixed": pixels * 13 // 16}}
    )


def watch(page: Page) -> None:
    """From now on `settle` knows what the page has asked for and not been given yet."""
    asked = _asked.setdefault(page, set())
    page.on("request", lambda request: asked.add(request))
    page.on("requestfinished", lambda request: asked.discard(request))
    page.on("requestfailed", lambda request: asked.discard(request))


def settle(page: Page, seconds: float = 120) -> None:
    """Wait until nothing is on its way to the page, and four looks at it, a moment apart, show the same."""
    before, same = "", 0
    until = time.monotonic() + seconds
    while same < 3:
        now: str = page.evaluate(_LOOK)
        waits = _asked.get(page) or not now.startswith(_STILL)
        same = 0 if waits or now != before else same + 1
        before = now
        assert time.monotonic() < until, f"the page does not come to rest: {now}, {_asked.get(page)}"
        page.wait_for_timeout(40)
