"""Letters in the page: what is shown of them, what can be done with them, and what no letter can do to the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.probes import axe, settle

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Dialog, FilePayload, Page

Visit = Callable[..., "Page"]

PDF: FilePayload = {"name": "ordonnance.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 ..."}
PROGRAM: FilePayload = {"name": "virus.exe", "mimeType": "application/octet-stream", "buffer": b"MZ"}
RIGHT_TO_LEFT_OVERRIDE = "\u202e"


def row(page: Page, thread: str) -> str:
    """The words of one line of the list, its mark included."""
    return page.locator("li", has=page.locator(f"a[data-thread={thread}]")).inner_text()


def write_answer(page: Page, text: str) -> None:
    page.get_by_role("button", name="Répondre à").click()
    page.get_by_label("Votre réponse").fill(text)


def send(page: Page) -> None:
    page.get_by_role("button", name="Envoyer", exact=True).click()


def test_a_letter_to_several_names_each_and_is_answered_where_its_sender_asks(visit: Visit) -> None:
    page = visit("/conversation/T850", "several")
    letter = page.locator("article.letter")
    expect(letter).to_contain_text("Robot des comptes rendus")
    expect(letter).to_contain_text("À Moi, Dr Claire Martin, Dr Yves Le Bihan")
    page.get_by_role("button", name="Répondre à CHU des Vallées, cardiologie").click()
    expect(page.get_by_text("Seuls vous et CHU des Vallées, cardiologie pourrez le lire.")).to_be_visible()


def test_who_has_no_key_in_the_page_is_told_so_before_writing(visit: Visit) -> None:
    page = visit("/ecrire", "per,nokey")
    expect(page.get_by_role("heading", name="Ce message s’écrit dans votre logiciel")).to_be_visible()
    assert page.get_by_role("link", name="Apporter ma clé").get_attribute("href") == "/reglages/cle"
    assert page.locator("textarea").count() == 0


# ------------------------------------------------------------------------------------------ letters of others


def test_a_reader_of_a_ward_goes_to_its_letters_and_answers_in_its_name(visit: Visit) -> None:
    page = visit("/messages", "per,ward")
    page.get_by_role("button", name="cardiologie").click()
    page.locator("a[data-thread=T860]").click()
    page.get_by_role("button", name="Répondre à").click()
    expect(page.get_by_text("au nom de cardiologie@hopital.vallees.example")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="Messages", exact=True).click()
    page.get_by_role("button", name="Mes lettres").click()
    expect(page.locator("a[data-thread=T1]")).to_be_visible()


def test_what_a_ward_sent_is_told_by_whom_it_went_to(visit: Visit) -> None:
    page = visit("/messages", "per,ward")
    page.get_by_role("button", name="cardiologie").click()
    page.get_by_role("link", name="Envoyés").click()
    expect(page.locator("a[data-thread=T861]")).to_contain_text("À Laboratoire du Nord")


def test_who_may_only_read_a_colleague_s_letters_is_offered_nothing_else(visit: Visit) -> None:
    page = visit("/messages", "per,ward")
    page.get_by_role("button", name="anne.petit").click()
    page.locator("a[data-thread=T870]").click()
    expect(page.get_by_text("mais pas écrire à sa place")).to_be_visible()
    for name in ("Répondre", "Archiver", "Supprimer"):
        assert page.locator("main").get_by_role("button", name=name).count() == 0


def test_who_can_open_a_letter_of_a_ward_is_told(visit: Visit) -> None:
    page = visit("/messages", "per,ward")
    page.get_by_role("button", name="cardiologie").click()
    page.locator("a[data-thread=T860]").click()
    page.locator("article.letter .state button").click()
    expect(
        page.get_by_text("seuls ceux qui lisent les lettres de CHU des Vallées, cardiologie")
    ).to_be_visible()


def test_who_reads_their_own_letters_alone_is_not_asked_whose(visit: Visit) -> None:
    page = visit("/messages", "per")
    expect(page.locator("a[data-thread=T1]")).to_be_visible()
    assert page.get_by_text("Mes lettres").count() == 0


# ---------------------------------------------------------------------------------------------------- the list


def test_an_unread_letter_says_so_in_a_word(visit: Visit) -> None:
    page = visit("/messages")
    assert "Non lu" in row(page, "T1")
    assert "Non lu" not in row(page, "T3")


@pytest.mark.parametrize(
    ("thread", "mark", "truth"),
    [
        ("T1", "Scellé", "ni l’opérateur"),
        ("T3", "En attente", "l’opérateur garde de quoi l’ouvrir"),
        ("T4", "En garde", "L’opérateur ouvre lui-même ce message à chaque lecture"),
        ("T6", "Objet à découvert", "l’opérateur peut lire l’objet"),
        ("T5", "Fermé", "il s’ouvre avec votre ancienne feuille de secours"),
    ],
)
def test_the_state_of_a_letter_stands_beside_it_and_explains_itself(
    visit: Visit, thread: str, mark: str, truth: str
) -> None:
    page = visit("/messages")
    assert mark in row(page, thread)
    line = page.locator("li", has=page.locator(f"a[data-thread={thread}]"))
    line.get_by_role("button", name="Qui peut lire ce message").click()
    expect(line).to_contain_text(truth)


def test_the_lock_of_a_signed_letter_names_who_else_can_read_it(visit: Visit) -> None:
    page = visit("/conversation/T1")
    page.get_by_role("button", name="Qui peut lire ce message").last.click()
    expect(page.get_by_text("Seuls vous et Dr Claire Martin pouvez lire ceci.")).to_be_visible()


def test_what_the_operator_sealed_is_not_said_to_have_come_sealed(visit: Visit) -> None:
    page = visit("/conversation/T2")
    page.get_by_role("button", name="Qui peut lire ce message").click()
    expect(page.get_by_text("L’opérateur a scellé ce message à son arrivée")).to_be_visible()
    expect(page.get_by_text("Seuls vous et")).to_have_count(0)


def test_a_false_signature_is_told_before_anyone_asks(visit: Visit) -> None:
    page = visit("/conversation/T9?dans=archive")
    expect(page.get_by_role("alert").filter(has_text="Ne vous y fiez pas")).to_be_visible()


def test_older_letters_come_fifty_at_a_time_and_the_focus_goes_on_with_them(visit: Visit) -> None:
    page = visit("/messages", "many")
    expect(page.locator("a[data-thread]")).to_have_count(50)
    page.get_by_role("button", name="Messages plus anciens").click()
    expect(page.locator("a[data-thread]")).to_have_count(100)
    expect(page.locator("a[data-thread=T10050]")).to_be_focused()


def test_an_exchange_that_was_ended_is_told_in_words_and_by_the_name_known_from_before(visit: Visit) -> None:
    page = visit("/messages")
    assert "Dr Yves Le Bihan" in row(page, "T6")
    assert "Fin de l’échange" in row(page, "T6")


def test_one_tap_asks_the_senders_of_locked_letters_once(visit: Visit) -> None:
    page = visit("/messages")
    page.get_by_role("button", name="Demander à l’expéditeur").click()
    expect(page.get_by_text("1 demande envoyée")).to_be_visible()
    expect(page.get_by_role("button", name="Demander à l’expéditeur")).to_have_count(0)


def test_who_keeps_their_secret_in_a_program_is_not_told_of_a_lost_sheet(visit: Visit) -> None:
    page = visit("/messages", "per,nokey")
    assert "s’ouvre dans votre logiciel" in row(page, "T1")
    assert "feuille de secours" not in page.locator("main").inner_text()


def test_without_connection_the_list_says_so(visit: Visit) -> None:
    page = visit("/messages", "cut")
    expect(page.get_by_text("Pas de connexion")).to_be_visible()


# ----------------------------------------------------------------------------------------------- conversations


def test_the_newest_letter_is_open_and_the_others_are_folded(visit: Visit) -> None:
    page = visit("/conversation/T1")
    folded, newest = page.locator("article").all()
    expect(folded.get_by_role("button", expanded=False).first).to_be_visible()
    expect(folded).to_contain_text("avez-vous reçu mes résultats")  # its beginning
    expect(newest.get_by_text("Je vous joins l’analyse complète.")).to_be_visible()


def test_opening_a_letter_moves_the_focus_to_its_title(visit: Visit) -> None:
    page = visit("/messages")
    page.locator("a[data-thread=T1]").press("Enter")
    expect(page.get_by_role("heading", level=1, name="Résultats de votre prise de sang")).to_be_focused()


def test_coming_back_from_a_letter_finds_the_list_where_it_was(visit: Visit) -> None:
    page = visit("/messages")
    page.evaluate("scrollTo(0, 1200)")
    page.wait_for_function("scrollY === 1200")
    settle(page)
    page.locator("a[data-thread]").nth(9).click()
    page.locator("article").first.wait_for()
    page.go_back()
    page.locator("a[data-thread]").first.wait_for()
    page.wait_for_function("scrollY === 1200")
    settle(page)
    assert page.evaluate("scrollY") == 1200


def test_a_pdf_opens_in_the_page_and_gives_its_text(visit: Visit) -> None:
    page = visit("/conversation/T1")
    page.get_by_role("button", name="Ouvrir Analyse de sang").click()
    expect(page.locator("canvas")).to_be_visible()
    expect(page.get_by_text("Page 1 sur 2")).to_be_visible()
    page.get_by_role("button", name="Texte seul").click()
    expect(page.get_by_text("Page deux : cholesterol 1,9 g/l")).to_be_visible()


def test_an_attachment_is_saved_under_its_name(visit: Visit) -> None:
    page = visit("/conversation/T1")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Enregistrer Analyse de sang").click()
    assert saved.value.suggested_filename == "Analyse de sang du 18 novembre.pdf"


def test_text_comes_before_layout_and_the_layout_is_shut_in(context: BrowserContext, origin: str) -> None:
    # Not by `visit`: the browser tells on the console of each style that it refuses while the letter is washed.
    page = context.new_page()
    page.goto(f"{origin}/conversation/T4")
    expect(page.locator("article").get_by_text("Bonjour, voici le planning.")).to_be_visible()
    page.get_by_role("button", name="Voir la mise en page").click()
    expect(page.frame_locator("iframe").get_by_text("pansement")).to_be_visible()
    assert "allow-scripts" not in (page.locator("iframe").get_attribute("sandbox") or "allow-scripts")
    assert "allow-same-origin" not in (page.locator("iframe").get_attribute("sandbox") or "allow-same-origin")
    expect(page).to_have_title(
        re.compile("^Organisation des soins")
    )  # the letter's script would have changed it


def test_who_ended_the_exchange_cannot_be_answered_and_it_is_said_why(visit: Visit) -> None:
    page = visit("/conversation/T6")
    expect(page.get_by_role("button", name="Répondre")).to_be_disabled()
    expect(page.get_by_role("heading", name="Dr Yves Le Bihan a mis fin à cet échange")).to_be_visible()
    expect(page.get_by_text("04 00 00 00 00")).to_be_visible()
    expect(page.get_by_role("link", name="112")).to_be_visible()


def test_a_deleted_conversation_comes_back_when_that_is_undone(visit: Visit) -> None:
    page = visit("/conversation/T2")
    page.get_by_role("button", name="Supprimer").click()
    expect(page.locator("a[data-thread=T1]")).to_be_visible()
    expect(page.locator("a[data-thread=T2]")).to_have_count(0)
    page.get_by_role("button", name="Annuler").click()
    expect(page.locator("a[data-thread=T2]")).to_be_visible()


def test_nothing_is_destroyed_without_a_question(visit: Visit) -> None:
    page = visit("/conversation/T10?dans=trash")
    page.get_by_role("button", name="Supprimer pour toujours").click()
    page.get_by_role("dialog").get_by_role("button", name="Garder").click()
    expect(page.locator("article")).to_be_visible()
    page.get_by_role("button", name="Supprimer pour toujours").click()
    page.get_by_role("dialog").get_by_role("button", name="Supprimer").click()
    expect(page.get_by_role("heading", name="La corbeille est vide")).to_be_visible()


# ----------------------------------------------------------------------------------------------------- writing


def test_a_letter_sent_can_be_called_back_with_its_words_and_files(visit: Visit) -> None:
    page = visit("/conversation/T1")
    write_answer(page, "Merci Docteur.")
    page.locator("#files-file").set_input_files([PDF])
    expect(page.get_by_text("ordonnance.pdf", exact=True)).to_be_visible()
    send(page)
    undo = page.get_by_role("button", name="Annuler")
    expect(undo).to_be_focused()
    undo.press("Enter")
    expect(page.get_by_label("Votre réponse")).to_have_value("Merci Docteur.")
    expect(page.get_by_text("ordonnance.pdf", exact=True)).to_be_visible()
    expect(page.get_by_text("rien n’est parti").first).to_be_visible()


def test_a_file_that_cannot_be_joined_is_refused_with_the_reason_and_the_others_stay(visit: Visit) -> None:
    page = visit("/conversation/T1")
    write_answer(page, "Voici.")
    page.locator("#files-file").set_input_files([PROGRAM, PDF])
    expect(page.get_by_role("alert").filter(has_text="virus.exe n’est pas d’un genre")).to_be_visible()
    expect(page.get_by_role("button", name="Retirer ordonnance.pdf")).to_be_visible()


def test_a_photo_is_asked_of_the_camera_at_the_back(visit: Visit) -> None:
    page = visit("/ecrire")
    assert page.locator("#files-photo").get_attribute("capture") == "environment"


def test_what_is_missing_is_listed_first_and_takes_the_focus(visit: Visit) -> None:
    page = visit("/ecrire")
    send(page)
    summary = page.get_by_role("alert").filter(has_text="3 points sont à revoir")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Écrivez un objet").click()
    expect(page.get_by_label("Objet")).to_be_focused()


def test_who_will_be_able_to_read_is_said_before_anything_is_sent(visit: Visit) -> None:
    page = visit("/ecrire")
    page.get_by_label("Dr Claire Martin").check()
    expect(page.get_by_text("Seuls vous et Dr Claire Martin pourrez le lire.")).to_be_visible()
    page.get_by_label("Cabinet infirmier").check()
    expect(page.get_by_text("L’opérateur ouvre lui-même le message à chaque lecture.")).to_be_visible()


def test_a_patient_chooses_among_those_who_wrote_and_did_not_end_the_exchange(visit: Visit) -> None:
    page = visit("/ecrire")
    expect(page.get_by_label("Dr Yves Le Bihan")).to_be_disabled()
    expect(page.get_by_label("Adresse")).to_have_count(0)


def test_a_professional_types_an_address_and_enter_adds_it_without_sending(visit: Visit) -> None:
    page = visit("/ecrire", "per")
    page.get_by_label("Adresse").fill("zz")
    page.get_by_label("Adresse").press("Enter")
    expect(page.get_by_text("Cette adresse n’est pas complète").first).to_be_visible()
    page.get_by_label("Adresse").fill("anne.roux@hopital.vallees.example")
    page.get_by_label("Adresse").press("Enter")
    expect(page.get_by_role("button", name="Retirer anne.roux@hopital.vallees.example")).to_be_visible()
    expect(page.get_by_label("Adresse")).to_have_value("")


def test_who_has_no_correspondent_is_shown_another_way(visit: Visit) -> None:
    page = visit("/ecrire", "empty")
    expect(page.get_by_role("heading", name="Personne ne vous a encore écrit")).to_be_visible()
    expect(page.get_by_text("04 00 00 00 00")).to_be_visible()


def test_a_draft_survives_a_look_elsewhere_and_is_asked_about_when_the_page_is_left(visit: Visit) -> None:
    page = visit("/ecrire")
    page.get_by_label("Message", exact=True).fill("Une question délicate")
    page.get_by_role("link", name="Messages").click()
    page.get_by_role("link", name="Écrire").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Une question délicate")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay)
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    assert asked == ["beforeunload"]


def test_nothing_that_is_written_or_searched_goes_into_storage_or_an_address(
    visit: Visit, context: BrowserContext
) -> None:
    page = visit("/ecrire")
    page.get_by_label("Objet").fill("zygomatique")
    page.get_by_label("Message", exact=True).fill("zygomatique")
    page.get_by_role("link", name="Messages").click()
    page.get_by_role("link", name="Chercher").click()
    page.get_by_label("Chercher dans vos messages").fill("zygomatique")
    page.get_by_label("Chercher dans vos messages").press("Enter")
    expect(page.get_by_role("heading", name="Aucun résultat")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")
    assert "zygomatique" not in kept
    assert "zygomatique" not in page.url
    assert "zygomatique" not in str(context.storage_state())


# ------------------------------------------------------------------------------------------------------ search


def test_search_marks_the_words_it_found_whatever_their_accents(visit: Visit) -> None:
    page = visit("/recherche")
    page.get_by_label("Chercher dans vos messages").fill("resultats")
    page.get_by_label("Chercher dans vos messages").press("Enter")
    expect(page.get_by_role("heading", name="2 résultats pour")).to_be_visible()
    assert page.locator("mark").first.inner_text() == "Résultats"


def test_search_says_how_far_it_has_come(visit: Visit) -> None:
    page = visit("/recherche", "indexing")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "320")
    expect(page.get_by_text("La recherche se fait sur votre appareil.")).to_be_visible()


# --------------------------------------------------------------------------------------------- hostile letters


def test_names_subjects_and_texts_stay_text(visit: Visit) -> None:
    page = visit("/messages", "hostile")
    assert "<img src=x onerror=alert(1)>" in row(page, "T800")
    page.locator("a[data-thread=T800]").click()
    page.locator("article").wait_for()
    settle(page)
    assert page.locator("main script, main img, main iframe").count() == 0
    assert page.locator("main a[href^=javascript]").count() == 0


def test_no_name_turns_the_reading_direction_around(visit: Visit) -> None:
    page = visit("/conversation/T800", "hostile")
    page.locator("article").wait_for()
    assert RIGHT_TO_LEFT_OVERRIDE not in page.locator("body").inner_text()
    assert RIGHT_TO_LEFT_OVERRIDE not in page.title()
    shown = page.locator("article li .name").first.inner_text()
    assert shown.startswith("facturefdp")
    assert shown.endswith("….exe")  # the ending tells what it is


def test_what_may_hold_a_program_is_only_saved_and_with_a_warning(visit: Visit) -> None:
    page = visit("/conversation/T800", "hostile")
    program, layout, note = page.locator("article li").all()
    for risky in (program, layout):
        expect(risky.get_by_role("button", name="Ouvrir")).to_have_count(0)
        expect(risky.get_by_text("pourrait contenir un programme")).to_be_visible()
    expect(note.get_by_role("button", name="Ouvrir")).to_be_visible()


def test_of_a_letter_in_smime_the_page_says_that_another_program_opens_it(visit: Visit) -> None:
    page = visit("/conversation/T851", "several")
    letter = page.locator("article.letter")
    expect(letter).to_contain_text("que cette page n’ouvre pas")
    expect(letter.get_by_role("button", name="Enregistrer smime.p7m")).to_be_visible()


def test_links_in_a_text_lead_where_they_say_and_take_nothing_along(visit: Visit) -> None:
    page = visit("/conversation/T800", "hostile")
    link = page.locator("article .own a").first
    assert (link.get_attribute("href") or "").startswith("https://a.example/")
    assert set((link.get_attribute("rel") or "").split()) >= {"noopener", "noreferrer"}


def test_arabic_stays_in_its_place_in_a_french_sentence(visit: Visit) -> None:
    page = visit("/conversation/T801", "hostile")
    page.get_by_role("button", name="Qui peut lire ce message").click()
    expect(page.get_by_text("Seuls vous et \u2068د. سارة العربي\u2069 pouvez lire ceci.")).to_be_visible()
