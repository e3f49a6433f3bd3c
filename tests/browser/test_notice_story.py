"""A patient asks, in the page, to be told of letters at an ordinary address, which a real mail server serves."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller

from tests.browser.conftest import visitors_own
from tests.browser.served import QUICK, Served, served_operator

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visitor import Visitor, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "lanterne moulin jeudi 18 mauve"
HERE = "apolline@exemple.fr"
WORD = "azalée-7701"


@dataclass
class Smarthost:
    """Takes all, and keeps it."""

    port: int
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list[tuple[str, EmailMessage]])

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.taken.append((str(envelope.rcpt_tos[0]), message))
        return "250 OK"

    def nth(self, number: int, seconds: float = 180) -> tuple[str, str]:
        """To whom it went, and all it says."""
        until = time.monotonic() + seconds
        while len(self.taken) < number:
            assert time.monotonic() < until, f"only {len(self.taken)} arrived"
            time.sleep(0.05)
        to, message = self.taken[number - 1]
        return to, plain(f"{message['Subject']} {message.get_content()}")


@pytest.fixture(scope="module")
def smarthost() -> Iterator[Smarthost]:
    for _ in range(20):  # the port may be somebody else's a moment later
        with socket.create_server(("127.0.0.1", 0)) as free:
            host = Smarthost(free.getsockname()[1])
        controller = Controller(host, hostname="127.0.0.1", port=host.port, ready_timeout=120)
        with contextlib.suppress(OSError):
            controller.start()
            break
    else:
        raise AssertionError("no free port for the mail server")
    yield host
    controller.stop()


@pytest.fixture(scope="module")
def served(smarthost: Smarthost) -> Iterator[Served]:
    notices = {
        "smarthost": "127.0.0.1", "port": smarthost.port, "security": "none",
        "sender": "avis@exemple-operateur.fr", "delay_minutes": 0,
    }  # fmt: skip
    with served_operator({**QUICK, "notices": notices}) as found:
        yield found


@pytest.mark.parametrize(
    ("locale", "order", "code_says", "says"),
    [
        ("fr-FR", 771, "Votre code", "message vous attend"),
        ("en-GB", 772, "Your code", "message is waiting"),
    ],
)
def test_who_gave_an_address_is_told_there_that_a_letter_came_and_nothing_else(
    served: Served, smarthost: Smarthost, browser: Browser, locale: str, order: int, code_says: str, says: str
) -> None:
    space = served.new_patient(order)
    context = visitors_own(browser)
    page = context.new_page()
    visitor = Visitor(page, served.origin)
    visitor.activate(space.person, space.code, PASSWORD)
    page.goto(f"{served.origin}/reglages/avis")
    french = locale.startswith("fr")
    page.get_by_role("textbox", name="Votre adresse e-mail").wait_for()
    if not french:
        page.get_by_role("button", name="English").or_(page.get_by_role("link", name="English")).click()
    before = len(smarthost.taken)
    page.get_by_role("textbox", name="Votre adresse e-mail" if french else "Your e-mail address").fill(HERE)
    page.get_by_role("button", name="Recevoir le code" if french else "Get the code").click()
    to, words = smarthost.nth(before + 1)
    (code,) = re.findall(r"\b\d{6}\b", words)
    assert to == HERE
    assert code_says in words, words
    page.locator("#notice-code").fill(code)
    page.get_by_role("button", name="Confirmer" if french else "Confirm").click()
    told = "Vous êtes prévenu à cette adresse." if french else "You are told at this address."
    expect(page.get_by_text(told)).to_be_visible()
    served.hospital_writes(space, WORD, pdf_bytes=2_000)
    to, words = smarthost.nth(before + 2)
    assert to == HERE
    assert says in words, words
    person = space.person
    secret = (WORD, "Centre hospitalier", person.family_name, person.matricule, "compte rendu", "PDF")
    assert [one for one in secret if one.casefold() in words.casefold()] == []
    context.close()
