"""Activation, login, recovery and settings, as a person meets them: with invented people behind the screens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.browser.probes import axe, overflow

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]

CODE = "abcd efgh jkmc"
SHEET = ("K3F7", "9QXM", "2TBW", "8HRN", "5VCD", "J6YPM")
SENTENCE = "tulipe wagon citron"


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


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
    for number, group in enumerate(SHEET):
        field = page.locator(f"#group-{number}")
        if field.count():
            field.fill(group.lower())
    page.click("form button[type=submit]")


def faults(page: Page) -> list[str]:
    page.locator("[role=alert] li").first.wait_for()
    return page.locator("[role=alert] li").all_text_contents()


def test_a_patient_is_in_within_four_steps_and_six_fields_and_lands_among_letters(visit: Visit) -> None:
    page = visit("/activer", "out")
    fields = page.locator("main input:not([hidden])").count()
    prove_who(page)
    assert focused(page) == "Bonjour Jeanne"
    fields += page.locator("main input:not([hidden])").count()
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    assert page.get_by_text("Étape 3 sur 4").is_visible()
    page.get_by_role("button", name="Je l’ai sur papier").click()
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
    assert len(told) == 1
    assert "faute de frappe" in told[0]
    assert "essai ne compte pas" in told[0]


def test_wrong_answers_leave_a_number_of_tries_in_words(visit: Visit) -> None:
    page = visit("/activer", "out")
    page.fill("#code", CODE)
    page.fill("#birth", "12031950")
    page.fill("#last-five", "99999")
    page.click("form button[type=submit]")
    assert "Il vous reste 4 essais." in faults(page)[0]


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
    assert focused(page) == "Bonjour Jeanne"


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
    assert page.input_value("#code") == "ABCD-EFGH-JKMC"
    assert "#" not in page.url


def test_coming_back_goes_on_and_the_tab_keeps_no_secret(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    page.fill("#new-password", SENTENCE)
    kept = str(page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])"))
    for secret in ("ABCDEFGHJKMC", "12345", "1950", SENTENCE, "Jeanne"):
        assert secret not in kept
    page.reload()
    page.locator("#code").wait_for()
    assert page.get_by_text("Vous aviez commencé").is_visible()


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
        assert words in faults(page)[0]


def test_a_group_that_is_not_on_the_sheet_keeps_the_way_closed(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    choose_password(page)
    page.get_by_role("button", name="Je l’ai sur papier").click()
    assert not page.get_by_text(SHEET[0]).count()
    page.locator("[id^=group-]").first.fill("AAAA")
    page.click("form button[type=submit]")
    told = faults(page)
    assert len(told) == 2
    assert "n’est pas celui de votre feuille" in told[0]


def test_the_printed_sheet_holds_the_code_and_nothing_of_the_screen(visit: Visit) -> None:
    page = visit("/activer", "out")
    prove_who(page)
    choose_password(page)
    page.locator(".groups .letters").first.wait_for()
    page.emulate_media(media="print")
    paper = page.locator(".sheet-paper")
    assert paper.is_visible()
    assert all(group in paper.inner_text() for group in SHEET)
    assert "Où la ranger" in paper.inner_text()
    assert not page.get_by_role("button", name="Imprimer la feuille").is_visible()
    assert not page.locator(".frame-header").is_visible()


def test_who_lost_everything_is_told_before_anything_is_done(visit: Visit) -> None:
    page = visit("/activer", "out,lost")
    prove_who(page)
    told = page.locator(".lost").inner_text()
    assert "ne s’ouvriront qu’avec votre ancienne feuille" in told
    assert "renvoyer ses lettres" in told


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
    assert "n’est pas le bon" in faults(page)[0]
    assert page.locator("#totp").count() == 0
    page.fill("#password", "mot de passe du test")
    page.click("form button[type=submit]")
    page.locator("#totp").wait_for()
    assert focused(page) == "totp"
    page.fill("#totp", "123456")
    page.click("form button[type=submit]")
    page.wait_for_url("**/messages")


def test_letters_left_to_take_over_are_taken_over_after_login(visit: Visit) -> None:
    page = visit("/connexion", "out,reseal,nopasskey")
    page.fill("#user", "2 50 03 99 359 123 45")
    page.fill("#password", "mot de passe du test")
    page.click("form button[type=submit]")
    page.wait_for_url("**/activer")
    page.wait_for_url("**/messages")


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
    assert "04 00 00 00 00" in page.locator(".then").inner_text()
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
    assert "Autre opération" in page.locator("main").inner_text()
    page.locator(".doubt").first.click()
    asked = page.get_by_role("dialog")
    assert "Coupez tous les autres appareils" in asked.inner_text()
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
    assert page.locator(".made").count() == 0
    assert "Thunderbird, bureau 12" in page.locator("main").inner_text()


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
    assert "au moins 12 caractères" in faults(page)[0]
    page.fill("#export-passphrase", SENTENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Enregistrer le fichier").click()
    assert download.value.suggested_filename == "cle-secrete-5F6E7D8C.asc"
    assert page.input_value("#export-passphrase") == ""
