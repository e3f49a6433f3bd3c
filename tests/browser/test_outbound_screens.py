"""Writing to another operator, and being told of letters: what the page says before anything leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.probes import axe, letters

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
WARD = "accueil@mss.chu-voisin.example"
DOCTOR = "docteur@mss.chu-voisin.example"


def write_to(page: Page, address: str) -> None:
    page.get_by_role("combobox", name="Nom ou adresse").fill(address)
    page.get_by_role("button", name="Ajouter").click()


def fill(page: Page) -> None:
    page.get_by_role("textbox", name="Objet").fill("Avis")
    page.get_by_role("textbox", name="Message").fill("Bonjour")


def overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_a_letter_that_the_other_operator_can_read_leaves_after_a_warning_alone(
    visit: Visit, width: int
) -> None:
    page = visit("/ecrire", "per", width)
    write_to(page, WARD)
    fill(page)
    who = page.locator(".readers")
    expect(who).to_contain_text("à la porte")
    assert axe(page) == []
    assert not overflows(page)
    page.get_by_role("button", name="Envoyer").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="L’autre opérateur pourra lire ce message")).to_be_visible()
    assert axe(page) == []
    assert not overflows(page)
    dialog.get_by_role("button", name="Ne pas envoyer").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("Bonjour")
    page.get_by_role("button", name="Envoyer").click()
    page.get_by_role("dialog").get_by_role("button", name="Envoyer quand même").click()
    expect(page.get_by_text("Envoyé.", exact=True)).to_be_visible()


def test_what_was_agreed_for_one_is_asked_again_for_another(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    write_to(page, WARD)
    fill(page)
    page.get_by_role("button", name="Envoyer").click()
    page.get_by_role("dialog").get_by_role("button", name="Ne pas envoyer").click()
    write_to(page, "accueil.b@mss.chu-voisin.example")
    expect(page.locator(".readers li")).to_have_count(2)
    page.get_by_role("button", name="Envoyer").click()
    expect(page.get_by_role("dialog")).to_contain_text("accueil.b@mss.chu-voisin.example")


def test_a_certificate_that_the_other_operator_holds_is_said_to_be_so(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    write_to(page, DOCTOR)
    fill(page)
    expect(page.locator(".readers")).to_contain_text("qui garde de quoi ouvrir ce message")
    page.get_by_role("button", name="Envoyer").click()
    expect(
        page.get_by_text("Envoyé.", exact=True)
    ).to_be_visible()  # nothing is asked: it is sealed on its way


@pytest.mark.parametrize("width", [320, 1100])
def test_a_holder_says_what_may_leave_and_of_what_they_are_told(visit: Visit, width: int) -> None:
    page = visit("/reglages/autres-operateurs", "per", width)
    page.get_by_role("checkbox", name="N’envoyer que des lettres scellées").first.check()
    expect(page.get_by_text("C’est noté.").first).to_be_visible()
    page.get_by_role("radio", name="Pour chaque lettre remise").first.check()
    expect(page.get_by_role("radio", name="Pour chaque lettre remise").first).to_be_checked()
    assert axe(page) == []
    assert not overflows(page)


def test_what_leaves_readable_again_takes_a_fresh_proof(visit: Visit) -> None:
    page = visit("/reglages/autres-operateurs", "per,stepup")
    box = page.get_by_role("checkbox", name="N’envoyer que des lettres scellées").first
    box.check()
    expect(page.get_by_text("C’est noté.").first).to_be_visible()
    box.click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Est-ce bien vous")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_an_address_for_notices_counts_once_its_code_was_given(visit: Visit, width: int) -> None:
    page = visit("/reglages/avis", width=width)
    page.get_by_role("textbox", name="Votre adresse e-mail").fill("pas une adresse")
    page.get_by_role("button", name="Recevoir le code").click()
    expect(page.get_by_role("alert")).to_contain_text("ne peut pas recevoir d’avis")
    page.get_by_role("textbox", name="Votre adresse e-mail").fill("garance@exemple.fr")
    page.get_by_role("button", name="Recevoir le code").click()
    code = page.get_by_role("textbox", name="Le code reçu")
    expect(code).to_be_focused()
    assert axe(page) == []
    assert not overflows(page)
    code.fill("000000")
    page.get_by_role("button", name="Confirmer").click()
    expect(page.get_by_role("alert")).to_contain_text("pas le bon code")
    code.fill("123456")
    page.get_by_role("button", name="Confirmer").click()
    expect(page.get_by_text("Vous êtes prévenu à cette adresse.")).to_be_visible()
    assert "garance" not in page.locator("main").inner_text()
    page.get_by_role("button", name="Ne plus être prévenu").click()
    expect(page.get_by_text("l’adresse est effacée")).to_be_visible()


def test_an_operator_without_notices_says_so(visit: Visit) -> None:
    page = visit("/reglages/avis", "nonotices")
    expect(page.get_by_text("Cet opérateur n’envoie pas d’avis.")).to_be_visible()


# ------------------------------------------------------------------------------------ what is not a written letter


def test_an_answer_to_an_appointment_asks_before_it_leaves_readable(visit: Visit) -> None:
    page = visit("/agenda", "gate", 320)
    accept = page.get_by_role("button", name="Accepter Consultation de suivi")
    accept.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Dr Claire Martin est chez un opérateur qui n’a pas de clé")
    assert axe(page) == []
    assert not overflows(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("Votre accord manquait")
    expect(accept).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Tab")  # the way out comes first, then the two answers
    expect(page.get_by_role("button", name="Envoyer quand même")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Accepté").first).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_document_is_shared_readable_only_after_a_yes(visit: Visit) -> None:
    page = visit("/dossier/profil", "gate")
    page.get_by_role("button", name="Envoyer à un professionnel").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("radio").first.check()
    expect(sheet.get_by_role("status")).to_contain_text("à la porte")
    assert axe(page) == []
    sheet.get_by_role("button", name="Envoyer", exact=True).click()
    warning = page.get_by_role("dialog").filter(has_text="L’autre opérateur pourra lire ce message")
    expect(warning).to_be_visible()
    assert axe(page) == []
    assert not overflows(page)
    warning.get_by_role("button", name="Ne pas envoyer").click()
    expect(sheet.get_by_role("alert")).to_contain_text("Votre accord manquait")
    sheet.get_by_role("button", name="Envoyer", exact=True).click()
    warning.get_by_role("button", name="Envoyer quand même").click()
    expect(page.get_by_text("Envoyé.", exact=True)).to_be_visible()


# ---------------------------------------------------------------------------------------------------- large letters


@pytest.mark.parametrize(("path", "scene"), [("/reglages/autres-operateurs", "per"), ("/reglages/avis", "")])
def test_settings_of_other_operators_and_notices_fit_with_letters_twice_as_large(
    visit: Visit, path: str, scene: str
) -> None:
    page = visit(path, scene, 320)
    letters(page, 32)
    page.reload()
    expect(page.locator("main form, main fieldset").first).to_be_visible()
    assert not overflows(page)


def test_the_warning_is_read_in_words_with_letters_twice_as_large(visit: Visit) -> None:
    page = visit("/ecrire", "per", 320)
    letters(page, 32)
    write_to(page, WARD)
    fill(page)
    assert not overflows(page)
    page.get_by_role("button", name="Envoyer").click()
    title = page.get_by_role("dialog").get_by_role("heading")
    expect(title).to_be_visible()
    wide = title.bounding_box()
    assert wide is not None
    assert wide["width"] > 160  # and not a letter a line
    assert not page.get_by_role("dialog").evaluate("(one) => one.scrollWidth > one.clientWidth")
