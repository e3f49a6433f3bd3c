"""500 letters that waited are made their holder's own by a browser that is killed twice on the way.

The first is killed when the server has taken a part and the browser was not told; the second before it sends the last.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from deploy.demo import letters, world
from deploy.demo.browser.page import PageClient
from mail_server.keys.interface import KeyUnavailable
from tests.browser.conftest import PATIENCE, browsing, visitors_own
from tests.browser.served import Served

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Error, expect

from tests.browser.visitor import RECEIVED, Visitor, loose, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.faults

LETTERS, PART = 500, 50
PASSWORD = "marée haute sept galets"
PARTS = "**/api/reseal/letters"
Stop = Callable[["Route", Callable[[], None]], None]


@dataclass
class Killed:
    """What stood when a browser had been killed."""

    waiting: int
    key_there: bool


@dataclass
class Done:
    subjects: list[str]  # as they were sent
    first: Killed
    second: Killed
    resumed_with: str
    reader: PageClient


def processes_of(browser: Browser) -> list[int]:
    debugger: Any = browser.new_browser_cdp_session()
    return [int(each["id"]) for each in debugger.send("SystemInfo.getProcessInfo")["processInfo"]]


def kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def killed_at_part(served: Served, number: int, stop: Stop, work: Callable[[Visitor], None]) -> Killed:
    """A browser of its own does its work until it sends that part; there `stop` kills it."""
    fell = False
    with contextlib.suppress(Error), browsing() as browser:
        context = visitors_own(browser)
        visitor = Visitor(context.new_page(), served.origin)
        processes, sent = processes_of(browser), 0

        def part(route: Route) -> None:
            nonlocal sent, fell
            sent += 1
            if sent < number:
                route.continue_()
                return
            fell = True
            stop(route, lambda: kill(processes))

        context.route(PARTS, part)
        try:
            work(visitor)
        except (Error, AssertionError):
            if not fell:
                raise
    assert fell, "the browser was not killed"
    return Killed(waiting(served), key_there(served))


def told_but_not_answered(route: Route, kill_all: Callable[[], None]) -> None:
    """The server takes the part; its answer finds nobody."""
    answer = route.fetch(timeout=PATIENCE)
    assert answer.ok
    kill_all()


def not_sent(route: Route, kill_all: Callable[[], None]) -> None:
    kill_all()


def waiting(served: Served) -> int:
    address = served.made.patient.address
    return next(row["waiting"] for row in served.command("space_list") if row["address"] == address)


def key_there(served: Served) -> bool:
    """Whether the keystore still holds the waiting key, as its file says."""
    try:
        return bool(served.waiting_secret(served.made.patient.address))
    except KeyUnavailable:
        return False


@pytest.fixture(scope="module")
def done(served: Served) -> Done:
    space = served.made.patient
    notes = [
        letters.note(world.HOSPITAL, space.shown, f"Lettre n° {number}", f"Texte {number}.\n")
        for number in range(LETTERS)
    ]
    served.hospital_sends((note.data for note in notes), space.shown)
    assert (waiting(served), key_there(served)) == (LETTERS, True)
    first = killed_at_part(
        served, 4, told_but_not_answered, lambda v: v.activate(space.person, space.code, PASSWORD)
    )
    second = killed_at_part(served, 6, not_sent, lambda v: log_in_and_wait(v, space.shown))
    with browsing() as browser:
        context = visitors_own(browser)
        visitor = Visitor(context.new_page(), served.origin)
        last: list[Route] = []  # held back until the title was seen: one part is quickly done
        context.route(PARTS, lambda route: last.append(route))
        visitor.log_in(space.shown, PASSWORD)
        heading = visitor.page.locator("h1").filter(has_text=loose("Vos lettres deviennent les vôtres"))
        expect(heading).to_be_visible()
        resumed = heading.inner_text()
        while not last:
            visitor.page.wait_for_timeout(20)
        last[0].continue_()
        visitor.await_title(RECEIVED)
        expect(visitor.page.get_by_text("50 affichés sur 500")).to_be_visible()
    reader = served.another_browser()
    reader.log_in(space.shown, PASSWORD)
    return Done([note.subject for note in notes], first, second, resumed, reader)


def log_in_and_wait(visitor: Visitor, user: str) -> None:
    visitor.log_in(user, PASSWORD)
    visitor.await_title(RECEIVED)


def test_the_first_browser_died_with_four_parts_done(done: Done) -> None:
    assert done.first.waiting == LETTERS - 4 * PART


def test_the_second_went_on_from_there_and_died_before_the_last_part(done: Done) -> None:
    assert done.second.waiting == PART


def test_until_the_last_letter_the_waiting_key_is_kept(done: Done) -> None:
    assert done.first.key_there
    assert done.second.key_there


def test_the_third_finishes_and_the_waiting_key_is_gone(served: Served, done: Done) -> None:
    assert plain(done.resumed_with) == "Vos lettres deviennent les vôtres"
    assert waiting(served) == 0
    assert not key_there(served)


def test_its_end_stands_in_the_trace_once(served: Served, done: Done) -> None:
    address = served.made.patient.address
    rows = served.command(
        "audit_show", limit=10_000, action="operator-key-destroyed", address=address, reference=None
    )
    assert len(rows) == 1
    assert served.command("audit_verify")["broken"] is None


def test_none_of_the_500_is_lost_and_each_opens_with_the_holders_key_alone(done: Done) -> None:
    found = done.reader.letters(limit=LETTERS)
    opened = [done.reader.open(each) for each in found]
    assert sorted(each.subject for each in opened) == sorted(done.subjects)
    assert {each["guard"] for each in found} == {"sealed"}
    assert all(len(each["keyIds"]) == 1 for each in found)


def test_the_list_of_each_opens_too(done: Done) -> None:
    told = {done.reader.summary(each)["subject"] for each in done.reader.letters(limit=LETTERS)}
    assert told == set(done.subjects)
