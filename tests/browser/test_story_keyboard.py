"""The whole story by keyboard alone: on a phone's width, at 200 %, and with letters twice as large.

After the address is typed nothing is touched but keys; eyes read what the screen shows. Each stop must be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from deploy.demo import world
from tests.browser.conftest import visitors_own
from tests.browser.served import Served, given_name

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.probes import PROBES, letters
from tests.browser.visitor import RECEIVED, SHEET, Visitor, loose, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSWORD = "fougère tunnel abricot 9 mars"
TOPIC = "Votre rendez-vous de contrôle"
ANSWER = "Entendu, je viendrai avec mes analyses."
# A window of 1100 by 800 at 200 % has half as many pixels of its own; letters alone may be made larger, too.
SIZES = {"a phone": (390, 844, 16), "200 %": (550, 400, 16), "letters twice as large": (390, 844, 32)}

_NAME = """() => {
  const here = document.activeElement;
  if (!here || here === document.body) return "";
  return here.getAttribute("aria-label") || here.labels?.[0]?.innerText || here.innerText || here.id;
}"""


@dataclass
class Keyboard:
    """Keys, and what each stop looked like."""

    page: Page
    place: str = ""  # the screen one is on, to tell in failures
    faults: list[str] = field(default_factory=list[str])
    stops: int = 0

    def at(self, title: str) -> None:
        """A title came; the eyes rest on it."""
        expect(self.page.locator("h1").filter(has_text=loose(title))).to_be_visible()
        self.place = title

    def to(self, name: str, *, key: str = "Tab", most: int = 80) -> None:
        """Go on until what is named has the focus."""
        passed: list[str] = []
        for _ in range(most):
            self.page.keyboard.press(key)
            passed.append(self._look())
            if loose(name).search(passed[-1]):
                return
        raise AssertionError(f"{self.place}: {name} is not reached by {key}, only {passed}")

    def back_to(self, name: str) -> None:
        self.to(name, key="Shift+Tab")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.page.keyboard.type(text)

    def fill(self, name: str, text: str) -> None:
        self.to(name)
        self.write(text)

    def _look(self) -> str:
        if not self.page.evaluate("() => 'probes' in window"):
            self.page.evaluate(f"() => {{ {PROBES.read_text('utf-8')} }}")
        name = plain(self.page.evaluate(_NAME))
        stop = self._uncovered()
        if stop is not None and stop["covered"]:
            # What came late may have moved it out of sight for good: coming to it anew must show it.
            self.press("Shift+Tab")
            self.press("Tab")
            assert plain(self.page.evaluate(_NAME)) == name, f"{self.place}: back from {name} is another stop"
            stop = self._uncovered()
        if stop is not None:
            self.stops += 1
            if not stop["seen"]:
                self.faults.append(f"{self.place}: the focus on {name} is not drawn")
            if stop["covered"]:
                self.faults.append(f"{self.place}: {name} is covered")
        return name

    def _uncovered(self) -> dict[str, Any] | None:
        """A part that arrives just now moves what lies under it, and the page scrolls after it."""
        stop: dict[str, Any] | None = self.page.evaluate("() => probes.focused()")
        for _ in range(100):
            if stop is None or not stop["covered"]:
                break
            self.page.wait_for_timeout(100)
            stop = self.page.evaluate("() => probes.focused()")
        return stop


@dataclass
class Walked:
    keyboard: Keyboard
    read: str  # the hospital's letter
    pdf: str  # name of the page that was moved
    sent: str
    chosen: str  # how large text is, as the settings say at the end
    left: str  # the title after logging out
    back: list[str]  # subjects after logging in again


@pytest.fixture(scope="module", params=SIZES, ids=str)
def walked(request: pytest.FixtureRequest, served: Served, browser: Browser) -> Walked:
    width, height, size = SIZES[request.param]
    space = served.new_patient(100 + list(SIZES).index(request.param))
    served.hospital_writes(space, "à domicile")
    served.person_writes(world.GP, space.shown, TOPIC, "Venez mardi à neuf heures.\n")
    context = visitors_own(browser, viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    letters(page, size)
    keyboard = Keyboard(page)
    activate(keyboard, served, space)
    seen = Walked(keyboard, *read(keyboard), answer(keyboard), settings(keyboard), "", [])
    keyboard.back_to("Réglages")
    keyboard.press("Enter")
    keyboard.at("Réglages")
    keyboard.to("Me déconnecter")
    keyboard.press("Enter")
    keyboard.at("Bonjour")
    seen.left = page.locator("h1").inner_text()
    keyboard.fill("Identifiant", space.person.matricule)
    keyboard.fill("Mot de passe", PASSWORD)
    keyboard.press("Enter")
    keyboard.at(RECEIVED)
    seen.back = Visitor(page, served.origin).subjects()
    return seen


def activate(keyboard: Keyboard, served: Served, space: world.Space) -> None:
    page, person = keyboard.page, space.person
    page.goto(f"{served.origin}/activer")
    keyboard.at("Activer mon espace")
    keyboard.fill("Code reçu par courrier", space.code)
    keyboard.fill("Votre date de naissance", "/".join(reversed(person.birth_date.split("-"))))
    keyboard.fill("Les 5 derniers chiffres", person.last_five)
    keyboard.press("Enter")
    keyboard.at(f"Bonjour {given_name(person)}")
    keyboard.fill("Votre nouveau mot de passe", PASSWORD)
    keyboard.press("Enter")
    keyboard.at(SHEET)
    groups = Visitor(page, served.origin).read_the_sheet()
    keyboard.to("Je l’ai sur papier")
    keyboard.press("Space")
    expect(page.locator("h2").filter(has_text="Vérifions votre feuille")).to_be_focused()
    labels = page.locator("label").filter(has_text=loose("Groupe n°"))
    expect(labels).to_have_count(2)
    for asked in labels.all_inner_texts():
        keyboard.fill(plain(asked), groups[int(plain(asked).split()[-1]) - 1])
    keyboard.press("Enter")
    keyboard.at(RECEIVED)


def read(keyboard: Keyboard) -> tuple[str, str]:
    """The hospital's letter, and its PDF in the page."""
    page = keyboard.page
    expect(page.locator("ul.letters a[data-thread]")).to_have_count(2)
    keyboard.to("Votre compte rendu")
    keyboard.press("Enter")
    keyboard.at("Votre compte rendu")
    text = page.locator("article.letter").inner_text()
    keyboard.to("Ouvrir compte-rendu.pdf")
    keyboard.press("Enter")
    expect(page.locator("canvas")).to_be_visible()
    keyboard.to("Agrandir")
    keyboard.press("Space")
    keyboard.to("Page 1 de")
    pdf = plain(page.evaluate(_NAME))
    keyboard.press("ArrowDown")
    keyboard.back_to("Retour")
    keyboard.press("Enter")
    keyboard.at(RECEIVED)
    return text, pdf


def answer(keyboard: Keyboard) -> str:
    page = keyboard.page
    keyboard.to(TOPIC)
    keyboard.press("Enter")
    keyboard.at(TOPIC)
    keyboard.to("Répondre à")
    keyboard.press("Enter")
    expect(page.get_by_label("Votre réponse")).to_be_focused()
    keyboard.write(ANSWER)
    keyboard.to("Envoyer")
    keyboard.press("Enter")
    own = page.locator("article.letter.mine")
    expect(own).to_contain_text(ANSWER)
    return own.inner_text()


def settings(keyboard: Keyboard) -> str:
    """Larger text, by the arrows of a group of choices."""
    page = keyboard.page
    keyboard.back_to("Réglages")
    keyboard.press("Enter")
    keyboard.at("Réglages")
    keyboard.to("Langue et affichage")
    keyboard.press("Enter")
    keyboard.at("Langue et affichage")
    keyboard.to("Normale")
    keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Grande", exact=True)).to_be_checked()
    return plain(page.evaluate(_NAME))


def test_letters_are_read_and_a_pdf_is_moved(walked: Walked) -> None:
    assert "Votre compte rendu est joint" in plain(walked.read)
    assert walked.pdf.startswith("Page 1 de compte-rendu.pdf")


def test_an_answer_is_written_and_sent(walked: Walked) -> None:
    assert ANSWER in plain(walked.sent)


def test_a_setting_is_changed(walked: Walked) -> None:
    assert walked.chosen == "Grande"


def test_one_logs_out_and_in_again(walked: Walked) -> None:
    assert plain(walked.left) == "Bonjour"
    assert TOPIC in walked.back


def test_every_stop_on_the_way_was_seen_and_uncovered(walked: Walked) -> None:
    assert walked.keyboard.stops > 60
    assert walked.keyboard.faults == []
