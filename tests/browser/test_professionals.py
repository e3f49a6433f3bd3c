"""What a professional does from the page alone: to end an exchange with a patient, to answer for a ward."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from deploy.demo import clients, letters, world
from deploy.demo.browser.page import PageRefused
from tests.browser.served import Served, aside

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.test_story import newcomer
from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "tulipe wagon citron lundi 42 été"
OWN = "rivage cheval lune bleue 77 août"
TOPIC = "Votre retour à domicile"
LAST_WORD = "Tout est rentré dans l’ordre. Bonne continuation."
WARD_TOPIC = "Sortie de M. Delalande"
WARD_ANSWER = "Bien reçu, nous le verrons jeudi."


@dataclass
class Ended:
    served: Served
    patient: Visitor
    doctor: Visitor
    foretold: str  # what the doctor was told before sending
    after: str = field(repr=False)  # the doctor's own conversation


def in_the_page(browser: Browser, served: Served, address: str) -> Visitor:
    person = served.made.persons[address]
    assert person.secret_key is not None
    visitor = newcomer(browser, served, [], [])
    visitor.enrol_professional(
        address, served.new_code(address), OWN, person.secret_key.read_text(), person.passphrase
    )
    return visitor


@pytest.fixture(scope="module")
def ended(served: Served, browser: Browser) -> Ended:
    space = served.made.patient
    served.person_writes(world.GP, space.shown, TOPIC, "Comment allez-vous ?\n")
    patient = newcomer(browser, served, [], [])
    patient.activate(space.person, space.code, PASSWORD)
    patient.open_letter(TOPIC)
    patient.answer("Bien mieux, merci.")
    served.newest_from(space.shown, world.GP)
    doctor = in_the_page(browser, served, world.GP)
    doctor.open_letter(TOPIC)
    page = doctor.page
    page.get_by_role("button", name="Répondre").click()
    doctor.fill("Votre réponse", LAST_WORD)
    page.get_by_label("Terminer l’échange avec ce message").check()
    foretold = page.locator("#closes-hint").inner_text()
    doctor.press("Envoyer")
    expect(page.get_by_text("Envoyé.").first).to_be_visible()
    expect(page.get_by_text("vous avez terminé l’échange")).to_be_visible()
    expect(patient.page.get_by_text(LAST_WORD)).to_be_visible()
    return Ended(served, patient, doctor, foretold, page.locator("main").inner_text())


def test_the_doctor_is_told_beforehand_what_ending_means(ended: Ended) -> None:
    assert "plus y répondre" in ended.foretold
    assert "réécrire" in ended.foretold


def test_the_patient_can_answer_no_more_and_is_told_who_ended_it_and_what_is_left(ended: Ended) -> None:
    page = ended.patient.page
    expect(
        page.get_by_role("heading", name=f"{world.GP_NAME} a mis fin à cet échange")
    ).to_be_visible()  # she touched nothing
    expect(page.locator("main").get_by_role("button", name="Répondre")).to_be_disabled()
    expect(page.get_by_text("Avec ce message")).to_be_visible()
    expect(page.get_by_text("téléphonez")).to_be_visible()


def test_the_server_refuses_what_the_page_would_not_offer(ended: Ended) -> None:
    served = ended.served
    patient = served.made.patient
    browser = served.another_browser()
    aside(lambda: browser.log_in(patient.person.matricule, PASSWORD))
    asked = aside(lambda: next(one for one in browser.letters() if one["from"][0]["email"] == world.GP))
    answered = aside(lambda: browser.open(asked))
    with pytest.raises(PageRefused, match="conversation-closed"):
        aside(lambda: browser.write(world.GP, "Encore", "x\n", answering=answered))


def test_outside_stands_that_it_ends_and_nothing_of_what_it_says(ended: Ended) -> None:
    assert LAST_WORD in ended.after
    sent = ended.served.tap.sent
    assert b"X-MSS-MES: FIN" in sent
    assert b"Bonne continuation" not in sent


def test_a_colleague_s_letter_offers_no_end(ended: Ended) -> None:
    page = ended.doctor.page
    page.goto(f"{ended.served.origin}/ecrire")
    ended.doctor.fill("Adresse", world.NURSE)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Qui pourra lire ce message")).to_be_visible()
    expect(page.get_by_text(re.compile("Seuls vous et"))).to_be_visible()
    assert page.get_by_label("Terminer l’échange").count() == 0


# -------------------------------------------------------------------------------------------------------- a ward


@pytest.fixture(scope="module")
def nurse(served: Served, browser: Browser) -> Visitor:
    made = served.made
    letter = letters.note(world.HOSPITAL, world.WARD, WARD_TOPIC, "Il rentre mercredi.\n")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.WARD], letter.data)
    served.person_writes(world.GP, world.WARD, "Avant jeudi", "Qui le voit à sa sortie ?\n")
    visitor = in_the_page(browser, served, world.NURSE)
    visitor.page.get_by_role("button", name="cardiologie").click()
    expect(visitor.lines.filter(has_text=WARD_TOPIC)).to_be_visible()
    return visitor


def test_a_member_reads_the_letters_of_their_ward(nurse: Visitor) -> None:
    assert set(nurse.subjects()) == {WARD_TOPIC, "Avant jeudi"}


def test_a_member_answers_in_the_ward_s_name_and_every_member_has_the_answer(
    served: Served, nurse: Visitor
) -> None:
    nurse.open_letter("Avant jeudi")
    nurse.answer(WARD_ANSWER)
    gp, made = served.made.persons[world.GP], served.made
    stored = served.newest_from(world.WARD, world.GP)
    assert opened_by(gp, stored) == WARD_ANSWER
    other = made.persons[world.DOCTOR]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), other.address, other.password) as imap:
        sent = next(name for name in clients.folders(imap) if world.WARD in name and "Sent" in name)
        kept = clients.newest(imap, sent)
    assert opened_by(other, kept) == WARD_ANSWER


def opened_by(person: world.Person, stored: bytes) -> str:
    """Its text, by the person's own program."""
    key = person.secret_key
    assert key is not None
    return str(clients.open_with_gpg(stored, key, person.passphrase, None).message.get_content()).strip()
