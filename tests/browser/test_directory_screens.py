"""Choosing whom to write to in the directory, and what it tells of one's own mailbox: by finger, keyboard and ear."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.probes import axe, clipped, letters, overflow, settle, small_targets

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Visit = Callable[..., "Page"]
ZOE = "zoe.martin@chu.vallees.example"


def field(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Nom ou adresse")


def options(page: Page) -> Locator:
    return page.locator("#found").get_by_role("option")


def chips(page: Page) -> Locator:
    return page.get_by_role("list", name="Destinataires").get_by_role("listitem")


def faults(page: Page) -> list[str]:
    settle(page)
    return [*axe(page), *overflow(page), *clipped(page)]


def looked_up(page: Page, words: str) -> Locator:
    field(page).fill(words)
    expect(options(page).first).to_be_visible()
    return options(page)


# -- finding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_a_colleague_is_found_as_one_types_with_what_tells_two_of_a_name_apart(
    visit: Visit, width: int
) -> None:
    page = visit("/ecrire", "per", width)
    found = looked_up(page, "martin card")
    expect(found).to_have_count(1)
    for words in (
        "Dr Zoé MARTIN",
        "Médecin, Cardiologie",
        "CHU des Trois Vallées, 69003 Lyon",
        ZOE,
        "zéro papier",
    ):
        expect(found.first).to_contain_text(words)
    found = looked_up(page, "martin")
    expect(found).to_have_count(4)
    expect(found.first).to_contain_text("déjà écrit")  # one's own correspondents first
    assert faults(page) == []
    assert small_targets(page) == []
    found.filter(has_text="Zoé").click()
    expect(chips(page)).to_have_text([f"Dr Zoé MARTIN{ZOE}"])
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_value("")
    expect(options(page)).to_have_count(0)
    expect(page.get_by_text("Seuls vous et Dr Zoé MARTIN pourrez le lire.")).to_be_visible()


def test_the_kind_of_a_mailbox_is_said(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    for words, kind in (("secretariat", "équipe"), ("labo bio", "application"), ("lilas", "cabinet")):
        expect(looked_up(page, words).first).to_contain_text(kind)


def test_who_cannot_be_written_to_is_not_offered(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    far = looked_up(page, "lointain").first
    expect(far).to_have_attribute("aria-disabled", "true")
    expect(far).to_contain_text("hors de l’espace de confiance")
    assert faults(page) == []
    far.click(force=True)  # to Playwright it is disabled, to a finger it is there
    field(page).press("ArrowDown")
    field(page).press("Enter")
    expect(page.get_by_role("list", name="Destinataires")).to_have_count(0)


def test_the_keyboard_alone_finds_chooses_removes_and_writes(visit: Visit) -> None:
    page = visit("/ecrire", "per", 1100)
    expect(looked_up(page, "martin")).to_have_count(4)
    box = field(page)
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(box).not_to_have_attribute("aria-activedescendant", "found-0")
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", "found-0")
    expect(options(page).first).to_have_attribute("aria-selected", "true")
    box.press("ArrowUp")  # around the list
    expect(box).to_have_attribute("aria-activedescendant", "found-3")
    assert faults(page) == []
    box.press("Enter")
    expect(chips(page)).to_have_count(1)
    looked_up(page, "zoe")
    box.press("Escape")
    expect(options(page)).to_have_count(0)
    expect(box).to_have_value("zoe")
    expect(page).to_have_url(page.url)
    box.press("ArrowDown")  # the list again
    box.press("ArrowDown")
    box.press("Tab")  # takes what is active
    expect(chips(page)).to_have_count(2)
    box.focus()
    box.press("Backspace")
    last = page.get_by_role("button", name="Retirer Dr Zoé MARTIN")
    expect(last).to_be_focused()
    last.press("Delete")
    expect(chips(page)).to_have_count(1)
    expect(page.locator(".chosen button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(chips(page)).to_have_count(0)
    expect(box).to_be_focused()


def test_how_many_answers_there_are_is_said_to_who_does_not_see_them(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    looked_up(page, "lilas")
    expect(page.get_by_role("status").filter(has_text="1 réponse.")).to_have_count(1)
    looked_up(page, "lyon")
    expect(page.get_by_role("status").filter(has_text="5 réponses.")).to_have_count(1)
    expect(page.get_by_role("listbox", name="Personnes et services trouvés")).to_be_visible()


def test_what_the_next_letter_overtakes_is_not_asked(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    # All letters in one turn of the page: keys pressed from outside may come a second apart on a busy machine.
    field(page).evaluate(
        "(box, words) => { for (let n = 1; n <= words.length; n += 1) {"
        " box.value = words.slice(0, n); box.dispatchEvent(new InputEvent('input', { bubbles: true })); } }",
        "martin",
    )
    expect(options(page)).to_have_count(4)
    assert page.evaluate("document.documentElement.dataset.searches") == "1"


def test_profession_and_departement_narrow_the_answers_behind_a_quiet_word(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    expect(page.get_by_label("Profession")).to_be_hidden()
    page.get_by_text("Affiner").click()
    page.get_by_label("Profession").select_option("Infirmier")
    expect(looked_up(page, "martin")).to_have_count(1)
    expect(options(page).first).to_contain_text("Martine LEROY")
    page.get_by_label("Profession").select_option("Toutes")
    page.get_by_label("Département").fill("73")
    field(page).focus()
    expect(options(page)).to_have_count(1)
    expect(options(page).first).to_contain_text("Paul MARTIN")
    assert faults(page) == []


def test_a_word_that_nobody_has_is_taken_for_one_that_is_near_and_said_so(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    expect(looked_up(page, "martain cardio")).to_have_count(1)
    expect(page.get_by_text("voici les réponses pour martin")).to_be_visible()


def test_where_nobody_answers_the_page_says_what_to_do(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    field(page).fill("zzzz")
    expect(page.get_by_text("Personne de ce nom dans l’annuaire.")).to_be_visible()
    assert faults(page) == []
    field(page).press("Enter")
    expect(page.get_by_text("Cette adresse n’est pas complète").first).to_be_visible()
    looked_up(page, "martin")
    field(page).press("Enter")
    expect(page.get_by_text("Choisissez dans la liste").first).to_be_visible()


def test_who_searched_too_much_is_told_and_can_still_type_an_address(visit: Visit) -> None:
    page = visit("/ecrire", "per,swept")
    field(page).fill("martin")
    expect(page.get_by_text("Vous avez beaucoup cherché en peu de temps.")).to_be_visible()
    field(page).fill(ZOE)
    page.get_by_role("button", name="Ajouter").click()
    expect(chips(page)).to_have_count(1)


# -- what is typed and pasted --------------------------------------------------------------------------------


def test_several_addresses_are_pasted_at_once(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    field(page).focus()
    pasted = f'"Martin, Zoé" <{ZOE}>; paul.martin@cabinet.vallees.example, {ZOE}\nmal écrite@'
    page.evaluate(
        "(text) => { const data = new DataTransfer(); data.setData('text/plain', text);"
        " document.activeElement.dispatchEvent(new ClipboardEvent('paste',"
        " {clipboardData: data, bubbles: true, cancelable: true})); }",
        pasted,
    )
    expect(chips(page)).to_have_text([ZOE, "paul.martin@cabinet.vallees.example"])
    expect(field(page)).to_have_value("mal écrite@")
    expect(page.get_by_text("Ceci n’est pas une adresse entière.").first).to_be_visible()


def test_a_comma_after_an_address_adds_it(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    field(page).press_sequentially(f"{ZOE},")
    expect(chips(page)).to_have_text([ZOE])
    expect(field(page)).to_have_value("")


def test_an_address_that_nobody_has_is_replaced_by_one_tap(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    field(page).fill("zoe.martain@chu.vallees.example")
    field(page).press("Enter")
    expect(page.get_by_text("Vouliez-vous dire…")).to_be_visible()
    expect(page.get_by_text("Personne n’a l’adresse zoe.martain@chu.vallees.example ici.")).to_be_visible()
    expect(page.get_by_role("button", name="Garder l’adresse tapée")).to_have_count(0)
    assert faults(page) == []
    page.get_by_role("button", name=ZOE, exact=True).click()
    expect(chips(page)).to_have_text([ZOE])
    expect(page.get_by_text("Vouliez-vous dire…")).to_have_count(0)
    expect(page.get_by_text(f"Seuls vous et {ZOE} pourrez le lire.")).to_be_visible()


def test_an_address_elsewhere_that_the_directory_does_not_know_may_be_kept(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    field(page).fill("zoe.martn@chu.vallees.example")
    field(page).press("Enter")
    expect(page.get_by_text("Vouliez-vous dire…")).to_be_visible()
    page.get_by_role("button", name="Garder l’adresse tapée").click()
    expect(page.get_by_text("Vouliez-vous dire…")).to_have_count(0)
    expect(chips(page)).to_have_text(["zoe.martn@chu.vallees.example"])


# -- hostile and long names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 1100])
def test_names_are_text_whatever_they_hold(visit: Visit, width: int) -> None:
    page = visit("/ecrire", "per", width)
    one = looked_up(page, "hostile").first
    expect(one).to_contain_text('<img src=x onerror="alert(1)"> nitraM rD')
    assert one.locator("img, b").count() == 0
    assert faults(page) == []
    one.click()
    looked_up(page, "anne sophie").first.click()
    looked_up(page, "שרה").first.click()
    expect(chips(page)).to_have_count(3)
    assert faults(page) == []
    assert page.locator("img[src='x']").count() == 0


def test_letters_twice_as_large_fit_a_narrow_telephone(visit: Visit) -> None:
    page = visit("/ecrire", "per", 390)
    letters(page, 32)
    looked_up(page, "martin")
    page.get_by_text("Affiner").click()
    settle(page)
    assert overflow(page) == []


def test_a_patient_has_none_of_it(visit: Visit) -> None:
    page = visit("/ecrire")
    expect(page.get_by_text("Les professionnels qui vous ont écrit.")).to_be_visible()
    expect(field(page)).to_have_count(0)
    expect(page.get_by_text("Affiner")).to_have_count(0)
    page.goto(page.url.replace("/ecrire", "/reglages"))
    expect(page.get_by_text("Mon adresse dans l’annuaire")).to_have_count(0)


# -- one's own mailbox ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 1100])
def test_a_holder_sees_what_is_shown_and_takes_it_out_of_sight(visit: Visit, width: int) -> None:
    page = visit("/reglages", "per", width)
    page.get_by_role("link", name="Mon adresse dans l’annuaire").click()
    mine = page.get_by_role("region", name="claire.martin@")
    expect(mine).to_contain_text("Dr Claire Martin")
    expect(mine).to_contain_text("Médecin, Médecine générale")
    assert faults(page) == []
    mine.get_by_role("checkbox", name="Mettre sur liste rouge").check()
    expect(page.get_by_text("l’annuaire ne montre plus cette boîte. Elle reçoit toujours.")).to_be_visible()
    expect(mine).not_to_contain_text("Médecine générale")
    mine.get_by_role("checkbox", name="Mettre sur liste rouge").uncheck()
    expect(mine).to_contain_text("Médecine générale")
    assert mine.get_by_role("textbox", name="Service").count() == 0


def test_who_administers_a_ward_says_how_it_is_found(visit: Visit) -> None:
    page = visit("/reglages/annuaire", "per")
    ward = page.get_by_role("region", name="cardiologie@")
    keep = ward.get_by_role("button", name="Enregistrer")
    expect(keep).to_be_disabled()
    ward.get_by_role("textbox", name="Description").fill("Urgences et avis")
    ward.get_by_role("textbox", name="Rang").fill("cent")
    keep.click()
    expect(page.get_by_text("Le rang est un nombre de 1 à 99.").first).to_be_visible()
    ward.get_by_role("textbox", name="Rang").fill("2")
    keep.click()
    expect(page.get_by_text("C’est noté, et visible dès maintenant.")).to_be_visible()
    ward.get_by_role("checkbox", name="Mettre sur liste rouge").uncheck()
    expect(ward).to_contain_text("Urgences et avis")
    assert faults(page) == []


@pytest.mark.parametrize("width", [320, 1100])
def test_a_holder_sees_which_certificates_were_theirs_and_when(visit: Visit, width: int) -> None:
    page = visit("/reglages/cle", "per", width)
    history = page.get_by_role("region", name="Vos certificats, dans le temps")
    expect(history.get_by_role("listitem")).to_have_count(3)
    one = history.get_by_role("listitem").filter(has_text="Remplacé")
    expect(one).to_contain_text("Du ")
    expect(one).to_contain_text("OpenPGP CDCD CDCD")
    expect(history.get_by_role("listitem").nth(0)).to_contain_text("valable jusqu’au")
    expect(history.get_by_role("listitem").nth(1)).to_contain_text("S/MIME")
    assert faults(page) == []


def test_in_english_too(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    expect(field(page)).to_be_visible()
    page.get_by_role("button", name="English").click()
    english = page.get_by_role("combobox", name="Name or address")
    expect(english).to_be_visible()
    english.fill("zzzz")
    expect(page.get_by_text("Nobody of that name in the directory.")).to_be_visible()
