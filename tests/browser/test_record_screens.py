"""The record in the page, over invented documents: what is shown of each, what can be done with it, what none can do
to the page, and how soon two thousand are drawn on a slow telephone."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.probes import (
    SCHEMES,
    WIDTHS,
    axe,
    clipped,
    letters,
    overflow,
    settle,
    small_targets,
    tab_walk,
    watch,
)

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, FilePayload, Page

Visit = Callable[..., "Page"]
PHONE = 390
ROOT = "/dossier/document/1.2.250.1.999.1."
BLOOD, STAY, PRESCRIPTION, MASKED, LOCKED, GONE = (f"{ROOT}{n}" for n in (1, 7, 9, 13, 15, 16))
HOSTILE = f"{ROOT}1"  # in its scene
PDF: FilePayload = {"name": "carnet.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 ..."}
PROGRAM: FilePayload = {"name": "virus.exe", "mimeType": "application/octet-stream", "buffer": b"MZ"}


@dataclass(frozen=True, slots=True)
class Screen:
    path: str
    scene: str = ""
    opened: str = ""  # a button to press first

    def __str__(self) -> str:
        return f"{self.path} {self.scene} {self.opened}".strip()


SCREENS = (
    Screen("/dossier"),
    Screen("/dossier", "empty"),
    Screen("/dossier", "cut"),
    Screen("/dossier", "", "Par type"),
    Screen(BLOOD, "", "Évolution"),
    Screen(STAY),
    Screen(PRESCRIPTION),
    Screen(GONE),
    Screen(HOSTILE, "hostile"),
    Screen("/dossier/profil"),
    Screen("/dossier/profil/measures"),
    Screen("/dossier/profil/history", "", "Noter un antécédent"),
    Screen("/dossier/analyses", "", "Créatinine"),
    Screen("/dossier/ajouter"),
    Screen("/dossier/exporter"),
    Screen("/reglages/copie-logiciel", "per"),
    Screen("/conversation/T23", "", "Lire"),
    Screen("/conversation/T23", "per", "Lire"),
)


def look(visit: Visit, screen: Screen) -> Page:
    page = visit(screen.path, screen.scene)
    if screen.opened:
        page.get_by_role("button", name=screen.opened).first.click()
        settle(page)
    return page


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_nothing_is_wrong_sticks_out_or_is_out_of_reach(visit: Visit, screen: Screen) -> None:
    page = look(visit, screen)
    assert small_targets(page) == []
    stops = tab_walk(page, 40)
    assert [stop.name for stop in stops if not stop.seen] == []
    assert [stop.name for stop in stops if stop.covered] == []
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        settle(page)
        found += [f"{width} px: {fault}" for fault in (*overflow(page), *clipped(page))]
        for scheme in SCHEMES if width == PHONE else SCHEMES[:1]:  # colours are those of every width
            page.emulate_media(color_scheme=scheme)
            found += [f"{width} px, {scheme}: {fault}" for fault in axe(page)]
        page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": PHONE, "height": 800})
    letters(page, 32)
    settle(page)
    found += [f"letters twice as large: {fault}" for fault in (*overflow(page), *clipped(page))]
    assert found == []


# --------------------------------------------------------------------------------------------------- the frame


def test_a_patient_has_four_tabs_and_writes_from_their_letters(visit: Visit) -> None:
    page = visit("/messages")
    tabs = page.get_by_role("navigation", name="Rubriques").get_by_role("link")
    expect(tabs).to_have_text(["Messages", "Dossier", "Agenda", "Réglages"])
    page.get_by_role("main").get_by_role("link", name="Écrire").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nouveau message")
    expect(page.locator("nav.tabs [aria-current=page]")).to_have_text("Messages")


def test_a_professional_keeps_theirs_and_has_no_record(visit: Visit) -> None:
    page = visit("/dossier", "per")
    expect(page.get_by_role("heading", level=1)).to_have_text("Messages reçus")
    tabs = page.get_by_role("navigation", name="Rubriques").get_by_role("link")
    expect(tabs).to_have_text(["Messages", "Écrire", "Chercher", "Réglages"])


# ----------------------------------------------------------------------------------------------- the documents


def test_documents_stand_by_year_with_counts_allergies_first(visit: Visit) -> None:
    page = visit("/dossier")
    years = page.get_by_role("main").get_by_role("heading", level=2).all_inner_texts()
    assert years[0] == "À retenir"
    assert years[1].startswith("2026 ")
    expect(page.get_by_role("region", name="À retenir")).to_contain_text("Pénicilline")
    rows = page.locator(".lines li")
    expect(rows.filter(has_text="Scanner thoracique")).to_contain_text("Retiré par son auteur")
    expect(rows.filter(has_text="Consultation de psychologie")).to_contain_text("Masqué aux professionnels")
    expect(rows.filter(has_text="gynécologie")).to_contain_text("Non visible de vos représentants légaux")
    expect(rows.filter(has_text="Séances de kinésithérapie")).to_contain_text("Expirée depuis le")


def test_words_kind_and_year_narrow_the_list(visit: Visit) -> None:
    page = visit("/dossier")
    rows = page.locator(".lines li")
    page.get_by_role("searchbox").fill("hospitalisation")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Tout afficher").click()
    page.get_by_label("Type").select_option(label="Imagerie (2)")
    expect(rows).to_have_count(2)
    page.get_by_label("Année").select_option(label="2026 (2)")
    expect(page.locator("p[role=status]", has_text="2 documents")).to_be_visible()
    page.get_by_role("searchbox").fill("zzz")
    expect(page.get_by_role("heading", name="Aucun document ne correspond")).to_be_visible()


def test_nothing_that_is_searched_goes_into_storage_or_an_address(
    visit: Visit, context: BrowserContext
) -> None:
    page = visit("/dossier")
    page.get_by_role("searchbox").fill("zygomatique")
    expect(page.get_by_role("heading", name="Aucun document ne correspond")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")
    assert "zygomatique" not in kept + page.url + str(context.storage_state())


def test_a_kind_opens_its_documents_and_back_comes_back_to_the_kinds(visit: Visit) -> None:
    page = visit("/dossier")
    page.get_by_role("button", name="Par type").click()
    page.get_by_role("button", name="Ordonnances 2 documents").click()
    expect(page.locator(".lines li")).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("button", name="Ordonnances 2 documents")).to_be_visible()


def test_a_result_tells_its_reading_in_words_and_its_evolution_as_a_table(visit: Visit) -> None:
    page = visit(BLOOD)
    result = page.get_by_role("row", name="Créatinine")
    expect(result).to_contain_text("Élevé")
    expect(result).to_contain_text("45 – 84")
    expect(result).to_contain_text("108 µmol/L")  # UCUM says umol/L
    expect(page.get_by_role("row", name="Cholestérol LDL")).to_contain_text("1,55 g/L")
    result.get_by_role("button", name="Évolution").click()
    drawing = page.get_by_role("img", name="Créatinine : 6 résultats")
    expect(drawing).to_be_visible()
    values = page.get_by_role("group", name="Valeurs : Créatinine").get_by_role("row")
    expect(values).to_have_count(7)


def test_a_replaced_document_leads_to_the_current_one_and_back(visit: Visit) -> None:
    page = visit(STAY)
    page.get_by_role("link", name="Version du").click()
    expect(page.get_by_text("Une version plus récente remplace ce document.")).to_be_visible()
    page.get_by_role("link", name="Voir la version à jour").click()
    expect(page.get_by_text("L’auteur a changé ce document")).to_be_visible()


def test_a_withdrawn_document_says_who_withdrew_it_and_cannot_be_sent(visit: Visit) -> None:
    page = visit(GONE)
    expect(page.get_by_text("CHU des Vallées, cardiologie a retiré ce document")).to_be_visible()
    expect(page.get_by_text("Document d’un autre patient, envoyé par erreur.")).to_be_visible()
    assert page.get_by_role("button", name="Envoyer à un professionnel").count() == 0


def test_a_locked_document_leads_to_the_former_sheet(visit: Visit) -> None:
    page = visit(LOCKED)
    assert (
        page.get_by_role("link", name="J’ai l’ancienne feuille").get_attribute("href") == "/reglages/secours"
    )


def test_masking_warns_first_and_a_masked_document_is_not_sent(visit: Visit) -> None:
    page = visit(STAY)
    page.get_by_role("button", name="Masquer aux professionnels").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Qui vous soigne sans cette information peut se tromper.")
    asked.get_by_role("button", name="Masquer aux professionnels").click()
    expect(page.get_by_role("button", name="Envoyer à un professionnel")).to_be_disabled()
    page.get_by_role("button", name="Annuler", exact=True).click()
    expect(page.get_by_role("button", name="Envoyer à un professionnel")).to_be_enabled()


def test_sending_says_what_goes_and_who_will_read_it_and_can_be_undone(visit: Visit) -> None:
    page = visit(STAY)
    page.get_by_role("button", name="Envoyer à un professionnel").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Hospitalisation du 12 au 15 octobre")
    expect(asked).to_contain_text("Rien de ce que vous masquez n’en fait partie.")
    assert asked.get_by_text("Yves Le Bihan").count() == 0, "the exchange is closed"
    asked.get_by_role("radio", name="Dr Claire Martin").check()
    expect(asked.get_by_text("Seuls vous et Dr Claire Martin pourrez le lire.")).to_be_visible()
    asked.get_by_role("button", name="Envoyer", exact=True).click()
    expect(page.get_by_role("button", name="Annuler (")).to_be_visible()
    expect(page.get_by_role("heading", name="Envoyé par vous à")).to_be_visible()


def test_a_prescription_counts_down_goes_to_the_pharmacy_and_is_renewed(visit: Visit) -> None:
    page = visit(PRESCRIPTION)
    expect(page.get_by_role("heading", name="Valable encore")).to_be_visible()
    page.get_by_role("button", name="Envoyer à la pharmacie").click()
    expect(page.get_by_role("dialog")).to_contain_text("Pharmacie de la Halle")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Demander le renouvellement").click()
    page.get_by_role("button", name="Envoyer la demande").click()
    expect(page.get_by_text("encore 8 jours")).to_be_visible()
    expect(page.get_by_role("button", name="Demander le renouvellement")).to_have_count(0)


def test_what_a_hostile_document_says_is_text_and_no_more(visit: Visit) -> None:
    page = visit(HOSTILE, "hostile")
    shown = page.get_by_role("main")
    expect(shown).to_contain_text("<script>alert(1)</script>")
    assert "\u202e" not in shown.inner_text()
    expect(shown).to_contain_text("Une image de ce document n’est pas affichée ici.")
    expect(shown.get_by_role("heading", name="six")).to_be_visible()
    assert page.locator("main script, main img, main iframe").count() == 0


def test_on_paper_each_page_names_the_patient_and_the_date(visit: Visit) -> None:
    pypdf = pytest.importorskip("pypdf")
    page = visit(BLOOD, "", 1100)
    page.emulate_media(media="print", color_scheme="light")
    paper = pypdf.PdfReader(io.BytesIO(page.pdf(width="148mm", height="150mm")))
    assert len(paper.pages) > 1
    for sheet in paper.pages:
        words = sheet.extract_text()
        assert "Jeanne MORVAN" in words, words
        assert "18 novembre 2026" in words


# ------------------------------------------------------------------------------------------ what a patient adds


def test_a_file_is_added_under_its_title_and_can_be_deleted(visit: Visit) -> None:
    page = visit("/dossier/ajouter")
    page.get_by_role("button", name="Ajouter au dossier").click()
    expect(page.get_by_role("alert")).to_contain_text("2 points sont à revoir")
    page.locator("#file").set_input_files(PDF)
    page.get_by_label("Titre").fill("Mon carnet")
    page.get_by_role("button", name="Ajouter au dossier").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mon carnet")
    page.get_by_role("button", name="Supprimer").click()
    page.get_by_role("dialog").get_by_role("button", name="Supprimer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dossier")


def test_a_program_is_not_taken(visit: Visit) -> None:
    page = visit("/dossier/ajouter")
    page.locator("#file").set_input_files(PROGRAM)
    page.get_by_label("Titre").fill("Un programme")
    page.get_by_role("button", name="Ajouter au dossier").click()
    expect(page.get_by_role("alert")).to_contain_text("Ce genre de fichier ne peut pas être ajouté.")


def test_each_entry_says_where_it_comes_from_and_only_own_ones_change(visit: Visit) -> None:
    page = visit("/dossier/profil/allergies")
    rows = page.locator(".entries > li")
    expect(rows.filter(has_text="Pénicilline")).to_contain_text("Document de Dr Paul Guillou")
    assert rows.filter(has_text="Pénicilline").get_by_role("button", name="Modifier").count() == 0
    own = rows.filter(has_text="Noix de cajou")
    expect(own).to_contain_text("Noté par vous le")
    own.get_by_role("button", name="Modifier").click()
    page.get_by_label("À quoi ?").fill("Noix")
    page.get_by_role("button", name="Enregistrer").click()
    expect(rows.filter(has_text="Noix").first).not_to_contain_text("cajou")


def test_a_measure_out_of_reach_is_asked_again_and_a_true_one_is_kept(visit: Visit) -> None:
    page = visit("/dossier/profil/measures")
    page.get_by_role("button", name="Noter une mesure").click()
    page.get_by_label("Valeur (kg)").fill("7000")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.get_by_role("alert")).to_contain_text("Écrivez un nombre entre")
    page.get_by_label("Valeur (kg)").fill("71,5")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.locator(".entries")).to_contain_text("71,5 kg")


def test_a_printed_summary_has_nothing_that_is_masked(visit: Visit) -> None:
    page = visit("/dossier/profil")
    page.emulate_media(media="print", color_scheme="light")
    paper = page.get_by_role("main").inner_text()
    assert "Hypertension artérielle" in paper
    assert "Dépression" not in paper


def test_everything_is_saved_in_one_file(visit: Visit) -> None:
    page = visit("/dossier/exporter")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Préparer le fichier").click()
    assert saved.value.suggested_filename.endswith(".zip")
    expect(page.get_by_text("Le fichier est prêt")).to_be_visible()


def test_a_copy_for_the_software_says_who_reads_it_and_wants_a_fresh_proof(visit: Visit) -> None:
    page = visit("/reglages/copie-logiciel", "per,stepup")
    expect(
        page.get_by_text("Cette copie peut être lue par votre logiciel et par l’opérateur.")
    ).to_be_visible()
    page.get_by_role("button", name="Envoyer la copie").first.click()
    page.get_by_role("dialog").get_by_label("Mot de passe").fill("mot de passe du test")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Ne plus envoyer la copie")).to_have_count(1)


# ------------------------------------------------------------------------------------------ letters, and many


def test_a_letter_shows_its_document_to_a_professional_too(visit: Visit) -> None:
    page = visit("/conversation/T23", "per")
    expect(page.get_by_role("heading", name="1 document de santé")).to_be_visible()
    expect(page.get_by_text("Au sujet de Jeanne MORVAN")).to_be_visible()
    page.get_by_role("button", name="Lire", exact=True).click()
    expect(page.get_by_role("heading", name="Motif d’hospitalisation")).to_be_visible()
    assert page.get_by_role("link", name="Voir dans le dossier").count() == 0


def test_a_letter_without_a_document_fetches_nothing_of_the_record(
    context: BrowserContext, origin: str
) -> None:
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    watch(page)
    page.goto(f"{origin}/conversation/T1?scene=")
    page.get_by_role("article").first.wait_for()
    settle(page)
    assert not [url for url in asked if "LetterDocuments" in url or "record" in url]


def slow_down(page: Page) -> None:
    """A telephone of four times less."""
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})  # pyright: ignore[reportUnknownMemberType]


def test_two_thousand_documents_are_drawn_and_searched(
    visit: Visit, record_property: Callable[[str, object], None]
) -> None:
    page = visit("/dossier", "many")
    slow_down(page)
    page.get_by_role("navigation", name="Rubriques").get_by_role("link", name="Messages").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Messages reçus")
    begun = time.perf_counter()
    page.get_by_role("navigation", name="Rubriques").get_by_role("link", name="Dossier").click()
    page.locator(".lines li").nth(59).wait_for()
    record_property("drawn_seconds_at_4x", round(time.perf_counter() - begun, 3))
    begun = time.perf_counter()
    page.get_by_role("searchbox").fill("Document 1234")
    expect(page.locator(".lines li")).to_have_count(1)
    record_property("searched_seconds_at_4x", round(time.perf_counter() - begun, 3))
    page.get_by_role("button", name="Tout afficher").click()
    expect(page.locator("p[role=status]", has_text="2 000 documents")).to_be_visible()
    page.get_by_role("button", name="Afficher la suite").click()
    expect(page.locator(".lines li")).to_have_count(120)
