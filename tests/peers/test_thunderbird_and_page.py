"""A doctor invites from Thunderbird's calendar, the patient answers in the page in Chromium, Thunderbird applies it.

Both programs are the real ones, before one node; nothing between them is ours but the letters. Thunderbird's buttons
(its bar of invitations, its event dialogue) are pressed by scripts with its own rights; what makes, moves and sends an
appointment are the calls of its event dialogue, for that dialogue asks too much of a screen without anybody before it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from deploy.demo import world
from tests.browser.served import served_operator
from tests.peers.test_thunderbird import installed
from tests.peers.test_thunderbird_invites import DRIVER, Practice

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.conftest import browsing
from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1500)]

PASSWORD = "lanterne moulin jeudi 18 mauve"
PARIS = ZoneInfo("Europe/Paris")
ONCE, WEEKLY = "chromium-une-fois", "chromium-chaque-semaine"
TITLE, SERIES = "Suivi du diabète", "Rééducation du genou"
# Long enough ahead to be answered, near enough to stand in the list.
DAY = (datetime.now(PARIS) + timedelta(days=19)).replace(hour=9, minute=30, second=0, microsecond=0)


def instant(moment: datetime) -> str:
    """As JavaScript writes it."""
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:00.000Z")


@dataclass
class Visit(Practice):
    """The doctor's Thunderbird, the patient's page."""

    page: Page
    origin: str
    guest: str

    def invite(self, uid: str, title: str, *more: str) -> None:
        lines = [
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//FR", "BEGIN:VEVENT", f"UID:{uid}",
            f"DTSTAMP:{datetime.now(ZoneInfo('UTC')):%Y%m%dT%H%M%SZ}",
            f"DTSTART;TZID=Europe/Paris:{DAY:%Y%m%dT%H%M%S}",
            f"DTEND;TZID=Europe/Paris:{DAY + timedelta(minutes=30):%Y%m%dT%H%M%S}", *more, f"SUMMARY:{title}",
            "LOCATION:Cabinet", f"ORGANIZER;CN=GP:mailto:{world.GP}",
            f"ATTENDEE;CN=Patient;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;ROLE=REQ-PARTICIPANT:mailto:{self.guest}",
            "X-MOZ-SEND-INVITATIONS:TRUE", "END:VEVENT", "END:VCALENDAR", "",
        ]  # fmt: skip
        self.tell(deed="add", uid=uid, ics="\r\n".join(lines))

    def row(self, title: str, start: datetime) -> Locator:
        """Of the list: this appointment, that day at that time."""
        return (
            self.page.locator(f'main li:has(time[datetime="{instant(start)}"])').filter(has_text=title).last
        )

    def agenda(self, title: str, start: datetime, seconds: float = 240) -> Locator:
        """The agenda, once it tells of this appointment at that time. The page hears of what comes by itself."""
        deadline = time.monotonic() + seconds
        while True:
            self.page.goto(f"{self.origin}/agenda")
            try:
                expect(self.row(title, start)).to_be_visible(timeout=60_000)
            except AssertionError:
                assert time.monotonic() < deadline, self.page.get_by_role("main").inner_text()
            else:
                return self.row(title, start)

    def applied(self, uid: str, subject: str, deed: str = "apply") -> dict[str, Any]:
        """What Thunderbird says and holds once the answer with these words in its subject is opened and taken."""
        told = self.tell(deed=deed, uid=uid, subject=subject)
        assert told["opened"]["encryption"].endswith("-ok"), "the answer was sealed to the doctor"
        return told


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    installed()
    out = tmp_path_factory.mktemp("thunderbird")
    with served_operator() as served, browsing() as browser:
        space = served.new_patient(419)
        command = [
            sys.executable, str(DRIVER), "--demo-json", str(served.made.folder / "demo.json"), "--out", str(out),
            "--address", world.GP,
        ]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            context = browser.new_context(
                locale="fr-FR", timezone_id="Europe/Paris", viewport={"width": 390, "height": 844}
            )
            context.set_default_timeout(120_000)
            page = context.new_page()
            Visitor(page, served.origin).activate(space.person, space.code, PASSWORD)
            running = Visit(process, page, served.origin, space.shown)
            running.answered()
            try:
                yield running
            finally:
                context.close()
                assert process.stdin is not None
                process.stdin.close()
                process.wait(180)


def test_one_tap_in_the_page_accepts_and_thunderbird_applies_it(visit: Visit) -> None:
    visit.invite(ONCE, TITLE)
    expect(visit.agenda(TITLE, DAY).get_by_text("À répondre")).to_be_visible()
    visit.page.get_by_role("button", name=f"Accepter {TITLE}").click()
    expect(visit.row(TITLE, DAY).get_by_text("Accepté")).to_be_visible()
    told = visit.applied(ONCE, f"Accepté : {TITLE}")
    assert told["method"] == "REPLY"
    assert told["before"] == [[f"mailto:{visit.guest}", "NEEDS-ACTION"]]
    assert told["after"] == [[f"mailto:{visit.guest}", "ACCEPTED"]]


def test_what_thunderbird_moves_is_told_as_changed_and_can_be_declined(visit: Visit) -> None:
    visit.tell(deed="move", uid=ONCE)
    moved = DAY + timedelta(hours=1)
    expect(visit.agenda(TITLE, moved).get_by_text("Changé depuis votre réponse")).to_be_visible()
    visit.page.get_by_role("button", name=f"Refuser {TITLE}").click()
    expect(visit.row(TITLE, moved).get_by_text("Refusé")).to_be_visible()
    told = visit.applied(ONCE, f"Refusé : {TITLE}")
    assert told["after"] == [[f"mailto:{visit.guest}", "DECLINED"]]


def test_another_time_proposed_in_the_page_is_taken_in_thunderbird_to_the_minute(visit: Visit) -> None:
    page, wished = visit.page, (DAY + timedelta(days=1)).replace(hour=16, minute=15)
    visit.agenda(TITLE, DAY + timedelta(hours=1)).get_by_role("link", name=TITLE).click()
    page.get_by_role("button", name="Proposer un autre moment").click()
    page.get_by_label("Jour", exact=True).fill(f"{wished:%Y-%m-%d}")
    page.get_by_label("Heure", exact=True).fill(f"{wished:%H:%M}")
    page.get_by_label("Un mot pour").fill("Plutôt le lendemain")
    page.get_by_role("button", name="Envoyer la proposition").click()
    expect(page.get_by_text("Vous avez proposé").first).to_be_visible()
    told = visit.applied(ONCE, f"Autre moment proposé : {TITLE}", deed="counter")
    assert told["method"] == "COUNTER"
    assert {"imipRescheduleButton", "imipDeclineCounterButton"} <= set(told["buttons"])
    assert told["comment"] == "Plutôt le lendemain"
    assert told["before"] == instant(DAY + timedelta(hours=1))
    assert told["after"] == instant(wished)


def test_of_a_weekly_series_one_day_is_declined_in_the_page_and_in_thunderbird(visit: Visit) -> None:
    visit.invite(WEEKLY, SERIES, "RRULE:FREQ=WEEKLY;COUNT=4")
    third = DAY + timedelta(days=14)
    visit.agenda(SERIES, third).get_by_role("link", name=SERIES).click()
    page = visit.page
    page.get_by_role("radio", name="toute la série").check()
    page.get_by_role("button", name=f"Accepter {SERIES}").click()
    expect(page.get_by_role("main").get_by_text("Accepté", exact=True)).to_be_visible()
    told = visit.applied(WEEKLY, f"Accepté : {SERIES}")
    assert told["after"] == [[f"mailto:{visit.guest}", "ACCEPTED"]]
    assert told["apart"] == []

    page.get_by_role("radio", name="cette fois-là").check()
    page.get_by_role("button", name=f"Refuser {SERIES}").click()
    expect(page.get_by_role("main").get_by_text("Refusé", exact=True)).to_be_visible()
    told = visit.applied(WEEKLY, f"Refusé : {SERIES}")
    assert told["after"] == [[f"mailto:{visit.guest}", "ACCEPTED"]], "the series stands"
    assert told["apart"] == [[f"{third:%Y%m%dT%H%M%S}", [[f"mailto:{visit.guest}", "DECLINED"]]]]
    # What was not declined is accepted still.
    assert "Accepté" in visit.agenda(SERIES, DAY).inner_text()
    assert "Refusé" in visit.row(SERIES, third).inner_text()
