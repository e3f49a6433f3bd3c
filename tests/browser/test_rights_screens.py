"""Who may, who reads and who writes: the screens' own behaviour, among invented people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.probes import axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
PASSWORD = "mot de passe du test"


def make_password(page: Page) -> None:
    page.get_by_role("textbox", name="Nom du logiciel").fill("Thunderbird")
    page.get_by_role("button", name="Faire un mot de passe").click()


def test_a_fresh_proof_is_asked_for_and_the_act_goes_on(visit: Visit) -> None:
    page = visit("/reglages/logiciel", "per,stepup,providers")
    make_password(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Est-ce bien vous")).to_be_visible()
    assert axe(page) == []
    dialog.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".made code")).to_be_visible()
    expect(page.locator("#made-title")).to_be_focused()


def test_without_the_proof_nothing_is_done_and_it_is_said(visit: Visit) -> None:
    page = visit("/reglages/logiciel", "per,stepup")
    make_password(page)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("il fallait confirmer que c’est vous")).to_be_visible()
    assert page.locator(".made").count() == 0


def test_the_provider_is_offered_in_a_tab_of_its_own_so_that_letters_stay_open(visit: Visit) -> None:
    page = visit("/reglages/logiciel", "per,stepup,providers")
    make_password(page)
    link = page.get_by_role("link", name="Confirmer avec Pro Santé Connect")
    assert link.get_attribute("target") == "_blank"
    assert "stepUp=1" in (link.get_attribute("href") or "")


def test_an_approval_on_the_telephone_shows_the_code_and_lets_in(visit: Visit) -> None:
    page = visit("/connexion", "out,per,providers,nopasskey")
    page.get_by_role("button", name="Approuver sur mon téléphone").click()
    page.get_by_role("textbox", name="Votre identifiant Pro Santé Connect").fill("899700000000")
    page.get_by_role("button", name="Envoyer sur mon téléphone").click()
    expect(page.get_by_text("47-QK")).to_be_visible()
    expect(page.get_by_role("heading", name="Vous êtes connecté")).to_be_visible()  # letters are still closed


def test_a_letter_with_a_receipt_shows_nothing_of_itself_until_it_is_opened(visit: Visit) -> None:
    page = visit("/conversation/T20")
    letter = page.locator("article.letter")
    expect(letter).to_contain_text("L’expéditeur saura que vous avez ouvert cette lettre")
    assert "Merci de venir lundi" not in letter.inner_text()
    page.get_by_role("button", name="Ouvrir la lettre").click()
    expect(letter).to_contain_text("Merci de venir lundi")


def test_an_end_told_within_the_seal_takes_the_answer_away(visit: Visit) -> None:
    page = visit("/conversation/T22")
    expect(page.get_by_role("heading", name="Dr Rose Hamon a mis fin à cet échange")).to_be_visible()
    expect(page.locator("main").get_by_role("button", name="Répondre")).to_be_disabled()


def test_a_letter_that_wants_no_answer_leaves_the_way_to_a_new_one(visit: Visit) -> None:
    page = visit("/conversation/T21")
    expect(page.get_by_role("heading", name="n’attend pas de réponse à ce message")).to_be_visible()
    expect(page.get_by_role("link", name="Écrire un nouveau message")).to_be_visible()


def test_a_reader_is_added_with_a_scope_and_an_end_and_given_the_past(visit: Visit) -> None:
    page = visit("/reglages/lecteurs", "per")
    page.get_by_role("button", name="Ajouter un secrétaire").click()
    page.get_by_role("textbox", name="Son adresse de messagerie").fill("rempla@cabinet.vallees.example")
    page.get_by_label("Lire les lettres", exact=True).check()
    page.get_by_label("Jusqu’au").fill("2099-12-31")
    page.get_by_role("button", name="Ajouter", exact=True).click()
    expect(page.get_by_text("rempla@cabinet.vallees.example lira les prochaines lettres.")).to_be_visible()
    page.get_by_role("button", name="Continuer : donner les lettres passées à paul").click()
    page.get_by_role("dialog").get_by_role("button", name="Donner les lettres passées").click()
    expect(page.get_by_text("peut ouvrir les lettres passées.")).to_be_visible()
