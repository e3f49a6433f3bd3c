"""Activation, login, recovery and settings, as a person meets them: with invented people behind the screens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.probes import axe, overflow

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Visit = Callable[..., "Page"]

CODE = "abcd efgh jkmc"
SHEET = ("K3F7", "9QXM", "2TBW", "8HRN", "5VCD", "J6YPM")
SENTENCE = "tulipe wagon citron"
# Addresses are written down in the page as they come: on a busy machine one of them may be over unseen.
_PASSED = """() => {
  window.passed = [];
  for (const how of ["pushState", "replaceState"]) {
    const go = history[how].bind(history);
    history[how] = (...given) => (go(...given), window.passed.push(location.pathname));
  }
}"""


def focused(page: Page, what: str) -> None:
    """The focus comes a moment after the screen."""
    page.wait_for_function(
        "(what) => (document.activeElement.id || document.activeElement.textContent.trim()) === what",
        arg=what,
    )


def prove_who(page: Page) -> None:
    page.fill("#code", CODE)
    page.fill("#birth", "12 3 1950")
    page.fill("#last-five", "12345")
    page.click("form button[type=submit]")
    page.locator("#new-password").wait_for()


def choose_password(page: Page) -> None:
    page.fill("#new-password", SENTENCE)
    page.click("form button[type=submit]")


def copy_sheet(page: Page) -> None:
    page.locator(".groups .letters").first.wait_for()
    page.get_by_role("button", name="Je l’ai sur papier").click()
    expect(page.locator("[id^=group-]")).to_have_count(2)
    for number, group in enumerate(SHEET):
        field = page.locator(f"#group-{number}")
        if field.count():
            field.fill(group.lower())
    page.click("form button[type=submit]")


def faults(page: Page) -> Locator:
    return page.locator("[role=alert] li")


def test_a_patient_is_in_within_four_steps_and_six_fields_and_lands_among_letters(visit: Visit) -> None:
    page = visit("/activer", "out")
    fields = page.locator("main input:not([hidden])").count()
    prove_who(page)
    focused(page, "Bonjour Jeanne")
    fields += page.locator("main input:not([hidden])").count()
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    expect(page.get_by_text("Étape 3 sur 4")).to_be_visible()
    page.get_by_role("button", name="Je l’ai sur papier").click()
    expect(page.locator("[id^=group-]")).to_have_count(2)
    fields += page.locator("main input:not([hidden])").count()
    page.get_by_role("button", name="Revoir la feuille").click()
    copy_sheet(page)
    page.wait_for_url("**/messages")
    assert fields <= 6


def test_a_slip_in_the_code_is_told_at_once_and_costs_no_try(visit: Visit) -> None:
    page = visit("/activer", "out")
    page.fill("#birth", "12/03/1950")
    page.fill("#last-five", "12345")
    page.fill("#code", "ABCD-EFGH-JKMX")
    page.click("form button[type=submit]")
    told = faults(page)
    expect(told).to_have_count(1)
    expect(told).to_contain_text("faute de frappe")
    expect(told).to_contain_text("essai ne compte pas")


def test_wrong_answers_leave_a_number_of_tries_in_words(visit: Visit) -> None:
    page = visit("/activer", "out")
    page.fill("#code", CODE)
    page.fill("#birth", "12031950")
    page.fill("#last-five", "99999")
    page.click("form button[type=submit]")
    expect(faults(page).first).to_contain_text("Il vous reste 4 essais.")


def test_back_leads_to_the_step_before_with_what_was_typed_and_forward_again(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    page.go_back()
    page.locator("#new-password").wait_for()
    page.go_back()
    page.locator("#code").wait_for()
    assert page.input_value("#code") == "ABCD-EFGH-JKMC"
    assert page.input_value("#birth") == "12/03/1950"
    page.go_forward()
    page.locator("#new-password").wait_for()
    focused(page, "Bonjour Jeanne")


def test_the_sheet_stays_the_same_for_who_goes_back_and_comes_again(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    shown = page.locator(".groups .letters").all_inner_texts()
    page.go_back()
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    assert page.locator(".groups .letters").all_inner_texts() == shown


def test_the_code_of_a_link_is_filled_in_and_leaves_the_address_bar(visit: Visit) -> None:
    page = visit("/activer", "out")
    page.goto(page.url.split("?")[0] + "#code=abcdefghjkmc")
    page.get_by_text("déjà rempli").wait_for()
    expect(page.locator("#code")).to_have_value("ABCD-EFGH-JKMC")
    expect(page).to_have_url(re.compile(r"^[^#]*$"))


def test_coming_back_goes_on_and_the_tab_keeps_no_secret(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    page.fill("#new-password", SENTENCE)
    kept = str(page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])"))
    for secret in ("ABCDEFGHJKMC", "12345", "1950", SENTENCE, "Jeanne"):
        assert secret not in kept
    page.reload()
    page.locator("#code").wait_for()
    expect(page.get_by_text("Vous aviez commencé")).to_be_visible()


def test_a_password_everybody_would_try_is_refused_in_words(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    for tried, words in (
        ("court", "trop court"),
        ("motdepasse2024", "trop facile"),
        ("Jeanne Morvan 1950", "trop facile"),
    ):
        page.fill("#new-password", tried)
        page.click("form button[type=submit]")
        expect(faults(page).first).to_contain_text(words)


def test_a_group_that_is_not_on_the_sheet_keeps_the_way_closed(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    choose_password(page)
    page.get_by_role("button", name="Je l’ai sur papier").click()
    expect(page.get_by_text(SHEET[0])).to_have_count(0)
    page.locator("[id^=group-]").first.fill("AAAA")
    page.click("form button[type=submit]")
    told = faults(page)
    expect(told).to_have_count(2)
    expect(told.first).to_contain_text("n’est pas celui de votre feuille")


def test_the_printed_sheet_holds_the_code_and_nothing_of_the_screen(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    page.emulate_media(media="print")
    paper = page.locator(".sheet-paper")
    expect(paper).to_be_visible()
    for words in (*SHEET, "Où la ranger"):
        expect(paper).to_contain_text(words)
    expect(page.get_by_role("button", name="Imprimer la feuille")).to_be_hidden()
    expect(page.locator(".frame-header")).to_be_hidden()


def test_who_lost_everything_is_told_before_anything_is_done(visit: Visit) -> None:
    page = visit("/activer", "out,lost")
    prove_who(page)
    told = page.locator(".lost")
    expect(told).to_contain_text("ne s’ouvriront qu’avec votre ancienne feuille")
    expect(told).to_contain_text("renvoyer ses lettres")


def test_a_professional_chooses_a_key_sets_up_codes_and_proves_a_certificate(visit: Visit) -> None:
    page = visit("/activer", "out")
    page.get_by_role("button", name="Je suis un professionnel").click()
    page.fill("#code", CODE)
    page.fill("#address", "claire.martin@cabinet.vallees.example")
    page.click("form button[type=submit]")
    page.locator("#new-password").wait_for()
    choose_password(page)
    page.check("input[value=certificate]")
    page.fill("#key-text", "-----BEGIN PGP PUBLIC KEY BLOCK-----\ninvented")
    page.click("form button[type=submit]")
    copy_sheet(page)
    page.locator("svg.square").wait_for()
    assert axe(page) == []
    page.fill("#totp-code", "123 456")
    page.click("form button[type=submit]")
    page.fill("#nonce", "ab" * 32)
    page.click("form button[type=submit]")
    page.wait_for_url("**/messages")


def test_the_second_factor_is_asked_only_once_the_password_is_right(visit: Visit) -> None:
    page = visit("/connexion", "out,per,nopasskey")
    page.fill("#user", "claire.martin@cabinet.vallees.example")
    page.fill("#password", "faux")
    page.click("form button[type=submit]")
    expect(faults(page).first).to_contain_text("n’est pas le bon")
    expect(page.locator("#totp")).to_have_count(0)
    page.fill("#password", "mot de passe du test")
    page.click("form button[type=submit]")
    focused(page, "totp")
    page.fill("#totp", "123456")
    page.click("form button[type=submit]")
    page.wait_for_url("**/messages")


def test_letters_left_to_take_over_are_taken_over_after_login(visit: Visit) -> None:
    page = visit("/connexion", "out,reseal,nopasskey")
    page.fill("#user", "2 50 03 99 359 123 45")
    page.fill("#password", "mot de passe du test")
    page.evaluate(_PASSED)
    page.click("form button[type=submit]")
    page.wait_for_url("**/messages")
    assert "/activer" in page.evaluate("passed")


def test_each_thing_one_still_has_says_what_it_gives_back(visit: Visit) -> None:
    page = visit("/secours", "out")
    gains = [re.sub(r"\s+", " ", text) for text in page.locator(".gains").all_inner_texts()]
    assert [("non" in gain, "selon" in gain) for gain in gains] == [
        (False, False),
        (False, True),
        (False, True),
        (True, False),
    ]
    page.check("input[value=nothing]")
    expect(page.locator(".then")).to_contain_text("04 00 00 00 00")
    assert overflow(page) == []


def test_the_sheet_leads_to_a_new_password_and_a_new_sheet(visit: Visit) -> None:
    page = visit("/secours", "out")
    page.check("input[value=sheet]")
    page.fill("#sheet-user", "250039935912345")
    page.fill("#sheet-code", "".join(SHEET))
    page.click(".then button[type=submit]")
    page.locator("#new-password").wait_for()
    choose_password(page)
    copy_sheet(page)
    page.wait_for_url("**/messages")


def test_a_locked_page_opens_by_password_and_goes_where_it_was_asked(visit: Visit) -> None:
    page = visit("/reglages/historique", "locked")
    page.fill("#unlock-password", "mot de passe du test")
    page.get_by_role("button", name="Ouvrir mes lettres").first.click()
    page.locator(".doubt").first.wait_for()
    assert "/reglages/historique" in page.url


def test_the_history_speaks_in_words_and_says_what_to_do_in_doubt(visit: Visit) -> None:
    page = visit("/reglages/historique")
    told = page.locator("main").inner_text()
    assert "L’opérateur a détruit la serrure d’attente" in told
    assert "Lettres en attente refermées pour vous seul – 2 fois" in told
    assert "something-new" not in told
    page.get_by_role("button", name="Voir plus ancien").click()
    page.get_by_text("C’est tout.").wait_for()
    expect(page.locator("main")).to_contain_text("Autre opération")
    page.locator(".doubt").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Coupez tous les autres appareils")
    assert axe(page) == []


def test_every_section_of_a_professional_is_clean_and_fits(visit: Visit) -> None:
    page = visit("/reglages", "per", width=320)
    paths = page.eval_on_selector_all(
        "main a[href^='/reglages/']", "links => links.map(link => link.pathname)"
    )
    assert len(paths) == 16
    for path in paths:
        section = visit(path, "per", width=320)
        assert [path, *axe(section), *overflow(section)] == [path]
        section.close()


def test_a_program_password_is_shown_once(visit: Visit) -> None:
    page = visit("/reglages/logiciel", "per")
    page.fill("#program-label", "Thunderbird, bureau 12")
    page.get_by_role("button", name="Faire un mot de passe").click()
    page.locator(".made code").wait_for()
    page.get_by_role("button", name="Je l’ai copié").click()
    expect(page.locator(".made")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("Thunderbird, bureau 12")


def test_the_word_key_is_never_said_outside_the_settings(visit: Visit) -> None:
    for path, scene in (
        ("/connexion", "out"),
        ("/activer", "out"),
        ("/secours", "out"),
        ("/deverrouiller", "locked"),
    ):
        page = visit(path, scene)
        assert not re.search(r"\bclés?\b", page.locator("body").inner_text(), re.IGNORECASE)
        page.close()


def test_the_key_is_taken_along_as_a_file_only_under_a_passphrase(visit: Visit) -> None:
    page = visit("/reglages/cle", "per")
    page.fill("#export-passphrase", "court")
    page.get_by_role("button", name="Enregistrer le fichier").click()
    expect(faults(page).first).to_contain_text("au moins 12 caractères")
    page.fill("#export-passphrase", SENTENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Enregistrer le fichier").click()
    assert download.value.suggested_filename == "cle-secrete-5F6E7D8C.asc"
    expect(page.locator("#export-passphrase")).to_have_value("")
