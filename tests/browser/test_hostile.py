"""Letters that attack, opened in the real page: nothing runs, nothing is fetched, and the other letters open.

Sent by a hospital over SMTP to a patient who is activated, as anybody might who has the hospital's certificate, or
writes from a program that was broken into. What would be fetched from elsewhere has somebody there who listens.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from deploy.demo import clients, letters, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from tests.browser.conftest import browsing, visitors_own
from tests.browser.hostile_letters import FILES, HEADERS, HTML, MIME, Words, all_letters, message_id
from tests.browser.served import Served, aside

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.probes import settle
from tests.browser.visitor import RECEIVED, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

SEALED = [
    "sealed by the sender: a script",
    "sealed by the sender: event handlers",
    "sealed by the sender: mXSS: mglyph in a table",
    "sealed by the sender: rubbish",
    "sealed by the sender: another author inside",
]
GOOD = "Votre rendez-vous de contrôle"
PASSWORD = "ardoise-violon-42"


class Listening:
    """Somebody elsewhere. Whoever calls is counted."""

    def __init__(self) -> None:
        self.called: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            caller.settimeout(1)
            try:
                self.called.append(caller.recv(200))
            except OSError:
                self.called.append(b"")
            caller.close()

    def close(self) -> None:
        self._socket.close()


@dataclass(slots=True)
class Besieged:
    """A patient before a mailbox of hostile letters."""

    served: Served
    page: Page
    beside: Page  # another browser's, without anything of ours
    visitor: Visitor
    elsewhere: Listening
    client: PageClient  # the same patient's, in Python
    threads: dict[str, str]  # letter → its thread
    refused: dict[str, int]  # letter → the code it was refused with
    requests: list[str] = field(default_factory=list[str])
    said: list[str] = field(default_factory=list[str])
    surprises: list[str] = field(default_factory=list[str])  # dialogs, new pages, crashes, downloads

    def look_at(self, name: str) -> Page:
        """The letter, with its layout and all its files opened."""
        page = self.page
        page.goto(f"{self.served.origin}/conversation/{self.threads[name]}")
        body, again = page.locator("article.letter .body"), page.get_by_role("button", name="Réessayer")
        expect(body.or_(again).first).to_be_visible()
        if again.count():  # a busy machine answered after the page's minute of patience
            again.click()
        body.first.wait_for()
        switch = page.get_by_role("button", name="Voir la mise en page")
        if switch.count():
            switch.click()
        if switch.count() or page.locator("article iframe").count():
            page.locator("article iframe[srcdoc]").wait_for()
        page.wait_for_timeout(400)  # what would run has had the time
        return page

    def unguarded(self) -> Page:
        """The washed layout in a page of its own with scripts on, without sandbox, policy and origin of ours: one wall
        alone must hold. (Inside the frame itself nobody can be asked: it has no scripts, not even a test's.)"""
        framed = self.page.locator("article iframe[srcdoc]").get_attribute("srcdoc") or ""
        bare, removed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", framed)
        assert removed == 1
        self.beside.set_content(bare)
        self.beside.wait_for_timeout(100)
        return self.beside

    def nothing_happened(self) -> None:
        foreign = [
            each
            for each in self.requests
            if not each.startswith((self.served.origin, "data:", "blob:", "about:"))
        ]
        assert foreign == []
        assert self.elsewhere.called == []
        assert self.surprises == []
        assert self.page.evaluate("typeof window.hacked") == "undefined"
        if self.page.locator("article iframe").count():
            frame = self.page.locator("article iframe")
            allowed = set((frame.get_attribute("sandbox") or "allow-scripts").split())
            assert allowed <= {"allow-popups", "allow-popups-to-escape-sandbox"}
        # The sanitiser has cut out what could act before any policy has to forbid it.
        assert [each for each in self.said if _is_about_running(each)] == []


def _is_about_running(told: str) -> bool:
    """A policy that had to stop something of the letter. While it is washed it lies in a document without a window,
    where Chromium tells of handlers and styles that could not run there anyhow."""
    pattern = (
        r"Loading the|Connecting to|Framing|Sending form|Executing inline script|JavaScript URL|Refused to"
    )
    return re.search(pattern, told) is not None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Frames in the page's own process: Playwright loses count of those that come and go in one of their own."""
    with browsing("--disable-features=IsolateSandboxedIframes") as found:
        yield found


@pytest.fixture(scope="module")
def besieged(served: Served, browser: Browser) -> Iterator[Besieged]:
    space, elsewhere = served.made.patient, Listening()
    client = aside(lambda: _enrolled(served, space))
    certificate = base64.b64decode(
        next(each for each in client.session["keys"] if each["current"])["certificate"]
    )
    words = Words(elsewhere.address, world.HOSPITAL, space.shown)
    made = {name: maker(words) for name, maker in all_letters(certificate).items()}
    good = letters.note(f"Centre hospitalier <{world.HOSPITAL}>", space.shown, GOOD, "Mardi à 9 h.\n").data
    refused = aside(lambda: _sent(served, space.shown, {**made, "good": good}))
    ids = aside(lambda: _threads(client))
    threads = {name: ids[message_id(name)] for name in made if name not in refused}
    context = visitors_own(browser, viewport={"width": 1100, "height": 900})
    page = context.new_page()
    other = visitors_own(browser)
    beside = other.new_page()
    found = Besieged(served, page, beside, Visitor(page, served.origin), elsewhere, client, threads, refused)
    context.on("request", lambda one: found.requests.append(one.url))
    other.on("request", lambda one: found.requests.append(one.url))
    beside.on("dialog", lambda one: found.surprises.append(f"dialog {one.message}"))
    context.on("page", lambda other: found.surprises.append(f"page {other.url}"))
    page.on("dialog", lambda one: found.surprises.append(f"dialog {one.message}"))
    page.on("crash", lambda _: found.surprises.append("crash"))
    page.on("download", lambda one: found.surprises.append(f"download {one.url}"))
    page.on("pageerror", lambda fault: found.surprises.append(f"fault {fault}"))
    page.on("console", lambda told: _heard(found, told))
    found.visitor.log_in(space.shown, PASSWORD)
    found.visitor.await_title(RECEIVED)
    try:
        yield found
    finally:
        context.close()
        other.close()
        elsewhere.close()


def _heard(found: Besieged, told: ConsoleMessage) -> None:
    if told.type in {"error", "warning"}:
        found.said.append(told.text)


def _enrolled(served: Served, space: world.Space) -> PageClient:
    client = PageClient(served.made.ports["http"])
    client.enrol(
        space.code,
        PASSWORD,
        derivations.new_recovery_code(),
        birth_date=space.person.birth_date,
        last_five=space.person.last_five,
    )
    return client


def _sent(served: Served, to: str, datas: dict[str, bytes]) -> dict[str, int]:
    """Which were refused, and how. A refusal is for good, and never ends the connection."""
    made, refused = served.made, dict[str, int]()
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60) as smtp:
        smtp.ehlo("hopital.demo.test")
        smtp.docmd("AUTH", "EXTERNAL =")
        for name, data in datas.items():
            try:
                smtp.sendmail(world.HOSPITAL, [to], data, mail_options=["BODY=8BITMIME"])
            except smtplib.SMTPDataError as refusal:
                refused[name] = refusal.smtp_code
    return refused


def _threads(client: PageClient) -> dict[str, str]:
    """Message-ID → thread, of everything that came."""
    mailbox = client.mailbox("inbox")
    (found,) = client.call(("Email/query", {"filter": {"inMailbox": mailbox}, "limit": 300}))
    (got,) = client.call(("Email/get", {"ids": found["ids"], "properties": ["threadId", "messageId"]}))
    return {(each["messageId"] or [""])[0]: each["threadId"] for each in got["list"]}


# ------------------------------------------------------------------------------------------------- in the letter


@pytest.mark.parametrize("name", HTML)
def test_nothing_in_html_runs_or_is_fetched(besieged: Besieged, name: str) -> None:
    besieged.look_at(name)
    besieged.nothing_happened()
    alone = besieged.unguarded()
    besieged.nothing_happened()
    assert alone.evaluate("typeof window.hacked") == "undefined"
    assert alone.locator(ACTING).count() == 0
    assert alone.locator(f"xpath=//body//*[@*[{TELLING}]]").count() == 0
    links = alone.evaluate("[...document.querySelectorAll('[href]')].map((one) => one.getAttribute('href'))")
    assert [each for each in links if not re.match(r"(https?|mailto|tel):", each)] == []
    pictures = alone.evaluate("[...document.querySelectorAll('[src]')].map((one) => one.getAttribute('src'))")
    assert [each for each in pictures if not re.match(r"data:image/(png|jpeg|gif|webp);base64,", each)] == []


def test_a_layout_is_shown_a_second_time_as_well(besieged: Besieged) -> None:
    """Its washer has a Trusted Types policy, of which a page can have one alone."""
    page = besieged.look_at("forms")
    for _ in range(2):
        page.locator("button.switch").click()
        expect(page.locator("article iframe")).to_have_count(0)
        page.locator("button.switch").click()
        page.locator("article iframe[srcdoc]").wait_for()
    expect(page.locator("article").get_by_role("alert")).to_have_count(0)


# What could act, where a letter's own layout is shown.
ACTING = (
    "script, body style, form, input, button, select, textarea, iframe, frame, object, embed, svg, math, link, base, "
    "body meta, meta[http-equiv=refresh], template, video, audio, source, area, dialog, noscript, title"
)
_NAMES = (
    "style", "id", "name", "class", "srcset", "ping", "background", "poster", "action", "formaction", "cite",
    "xlink:href", "slot", "is", "popover",
)  # fmt: skip
TELLING = " or ".join(["starts-with(name(), 'on')", *(f"name()='{each}'" for each in _NAMES)])


@pytest.mark.parametrize("name", MIME)
def test_odd_bytes_are_shown_or_said_to_be_damaged(besieged: Besieged, name: str) -> None:
    if name in besieged.refused:
        assert 500 <= besieged.refused[name] < 600
        return
    besieged.look_at(name)
    besieged.nothing_happened()


@pytest.mark.parametrize("name", HEADERS)
def test_header_fields_are_text_and_tell_no_lie_of_ours(besieged: Besieged, name: str) -> None:
    if name in besieged.refused:
        assert 500 <= besieged.refused[name] < 600
        return
    page = besieged.look_at(name)
    besieged.nothing_happened()
    title = page.locator("h1").inner_text()
    assert not re.search(r"[\u202a-\u202e\u0000]|\n", title), title
    assert len(title) < 1000
    expect(page.locator("article .address").first).to_have_text(re.compile(re.escape(world.HOSPITAL)))


@pytest.mark.parametrize("name", SEALED)
def test_what_the_sender_sealed_is_as_harmless(besieged: Besieged, name: str) -> None:
    page = besieged.look_at(name)
    besieged.nothing_happened()
    # Who wrote is who the server saw, whatever is said inside.
    expect(page.locator("article .address").first).to_have_text(re.compile(re.escape(world.HOSPITAL)))
    assert "Aubry" not in page.locator("article header").first.inner_text()


@pytest.mark.parametrize("name", FILES)
def test_files_run_nothing_when_they_are_opened(besieged: Besieged, name: str) -> None:
    page = besieged.look_at(name)
    items = page.locator("ul.files li")
    # A picture that the layout shows is listed nowhere else.
    expect(items.or_(page.locator("article iframe[srcdoc]")).first).to_be_visible()
    settle(page)
    names = page.locator("ul.files .name").all_inner_texts()
    assert not [each for each in names if re.search(r"[\\/\u202a-\u202e\r\n<]|^\.", each)], names
    for _ in range(10):
        opener = page.locator("ul.files").get_by_role("button", name=re.compile(r"^Ouvrir"))
        if not opener.count():
            break
        opener.first.click()  # and it says "Fermer" from now on
        page.wait_for_timeout(200)
    assert items.count() == len(names)
    besieged.nothing_happened()


def test_what_only_says_it_is_a_pdf_is_not_offered_as_one(besieged: Besieged) -> None:
    page = besieged.look_at("a program that says it is a PDF")
    expect(page.locator("ul.files li")).to_contain_text("facture.exe")
    assert page.get_by_role("button", name=re.compile(r"^Ouvrir")).count() == 0


def test_a_letter_fetched_in_the_address_bar_is_no_page_of_ours(besieged: Besieged) -> None:
    """A link to a download, put where its holder may follow it: the address bar gives no proof that the page asked."""
    account = besieged.client.session["account"]["id"]
    (line, *_) = aside(lambda: besieged.client.letters(limit=1))
    for name in ("lettre.html", "lettre.svg", "lettre.eml"):
        address = f"/jmap/download/{account}/{line['blobId']}/{name}?type=text/html"
        answer = besieged.page.goto(besieged.served.origin + address)
        assert answer is not None
        assert answer.status == 403
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        besieged.nothing_happened()


# ------------------------------------------------------------------------------------------------- the others


def test_the_other_letters_open_beside_all_these(besieged: Besieged) -> None:
    """The list, the search and the newest letter, after every hostile one was looked at by the page's index too."""
    page, visitor = besieged.page, besieged.visitor
    page.goto(f"{besieged.served.origin}/messages")
    visitor.await_title(RECEIVED)
    assert len(visitor.subjects()) > 20
    text = visitor.open_letter(GOOD)
    expect(text).to_contain_text("Mardi à 9 h.")
    besieged.nothing_happened()


def test_letters_are_refused_for_their_form_alone(besieged: Besieged) -> None:
    """Else the tests above would look at nothing."""
    assert set(besieged.refused) <= {"a null", "a subject of 100 kB", "three thousand header fields"}
