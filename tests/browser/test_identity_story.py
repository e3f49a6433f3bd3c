"""Who is it, and may they: identity providers, ending an exchange, blocking, receipts, readers and the past.

Played by real browsers against a whole operator and its two providers of test.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from deploy.demo import clients, letters, world
from tests.browser.served import Served

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.test_story import newcomer
from tests.browser.visitor import RECEIVED, UNLOCK, Visitor, loose
from tests.peers.federation import wait

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "tulipe wagon citron lundi 42 été"
OWN = "rivage cheval lune bleue 77 août"
TOPIC = "Votre retour à domicile"
RECEIPT_TOPIC = "Votre ordonnance"
RECEIPT_TEXT = "Prenez-le le soir.\n"


def in_the_page(browser: Browser, served: Served, address: str) -> Visitor:
    person = served.made.persons[address]
    assert person.secret_key is not None
    visitor = newcomer(browser, served, [], [])
    visitor.enrol_professional(
        address, served.new_code(address), OWN, person.secret_key.read_text(), person.passphrase
    )
    return visitor


def comes_by_the_provider(visitor: Visitor, served: Served, address: str, *, shared: bool = False) -> None:
    doctor = served.made.identity.doctors[address]
    visitor.origin = (
        f"http://localhost:{served.made.ports['http']}"  # the one that the provider sends back to
    )
    visitor.page.goto(f"{visitor.origin}/connexion")
    if shared:
        visitor.page.get_by_label(loose("appareil partagé")).check()
    visitor.page.get_by_role("link", name=loose("Se connecter avec Pro Santé Connect")).click()
    visitor.page.get_by_text(f"{doctor.given} {doctor.family}").first.click()


@pytest.fixture(scope="module")
def patient(served: Served, browser: Browser) -> Visitor:
    space = served.made.patient
    served.person_writes(world.GP, space.shown, TOPIC, "Comment allez-vous ?\n")
    visitor = newcomer(browser, served, [], [])
    visitor.activate(space.person, space.code, PASSWORD)
    return visitor


@pytest.fixture(scope="module")
def doctor(served: Served, browser: Browser, patient: Visitor) -> Visitor:
    patient.page.goto(f"{served.origin}/messages")
    patient.open_letter(TOPIC)
    patient.answer("Bien mieux, merci.")
    served.newest_from(served.made.patient.shown, world.GP)
    return in_the_page(browser, served, world.GP)


# -------------------------------------------------------------------------------------- an identity provider


def test_a_professional_comes_in_by_the_provider_and_opens_letters_by_their_own_means(
    served: Served, browser: Browser, doctor: Visitor
) -> None:
    visitor = newcomer(browser, served, [], [])
    comes_by_the_provider(visitor, served, world.GP)
    visitor.await_title(UNLOCK)
    visitor.unlock(OWN)
    visitor.await_title(RECEIVED)


def test_a_password_for_a_program_is_made_after_a_strong_login_and_shown_once(
    served: Served, browser: Browser, doctor: Visitor
) -> None:
    visitor = newcomer(browser, served, [], [])
    comes_by_the_provider(visitor, served, world.GP)
    visitor.unlock(OWN)
    visitor.await_title(RECEIVED)
    page = visitor.page
    page.goto(f"{visitor.origin}/reglages/logiciel")
    visitor.await_title("Mon logiciel de messagerie")  # one's own device: what was unlocked stays so
    visitor.fill("Nom du logiciel ou de l’appareil", "Thunderbird du cabinet")
    visitor.press("Faire un mot de passe")
    made = page.locator(".made code")
    expect(made).to_be_visible()
    secret = made.inner_text()
    ports, ca = served.made.ports, served.made.ca
    with clients.mailbox(ports["imaps"], clients.tls(ca), world.GP, secret) as imap:
        assert clients.folders(imap)
    page.reload()
    expect(page.get_by_text("Thunderbird du cabinet")).to_be_visible()
    assert secret not in page.locator("main").inner_text()


def test_on_a_shared_device_what_was_unlocked_is_not_kept(
    served: Served, browser: Browser, doctor: Visitor
) -> None:
    visitor = newcomer(browser, served, [], [])
    comes_by_the_provider(visitor, served, world.GP, shared=True)
    visitor.unlock(OWN)
    visitor.await_title(RECEIVED)
    visitor.page.reload()
    visitor.await_title(UNLOCK)


def test_a_refusal_of_the_provider_is_told_in_a_sentence_with_its_number(
    served: Served, browser: Browser
) -> None:
    visitor = newcomer(browser, served, [], [])
    visitor.page.goto(f"{served.origin}/api/login/oidc/psc/return?code=x&state=never-begun")
    visitor.await_title("Vous n’êtes pas entré")
    expect(visitor.page.get_by_text("n’a pas commencé dans ce navigateur")).to_be_visible()
    expect(visitor.page.get_by_text("donnez cette référence")).to_be_visible()


# ---------------------------------------------------------------------------------------------- the exchange


def test_a_patient_is_told_of_the_receipt_before_the_letter_is_opened_and_it_leaves_once(
    served: Served, patient: Visitor
) -> None:
    space = served.made.patient
    letter = letters.note(world.GP, space.shown, RECEIPT_TOPIC, RECEIPT_TEXT)
    asking = letter.data.replace(
        b"Subject:", f"Disposition-Notification-To: <{world.GP}>\r\nSubject:".encode(), 1
    )
    person = served.made.persons[world.GP]
    clients.send_as_person(
        served.made.ports["submission"],
        clients.tls(served.made.ca),
        world.GP,
        person.password,
        [space.shown],
        asking,
    )
    page = patient.page
    page.goto(f"{served.origin}/messages")
    patient.open_letter(RECEIPT_TOPIC)
    expect(page.get_by_text("L’expéditeur saura que vous avez ouvert cette lettre")).to_be_visible()
    assert RECEIPT_TEXT.strip() not in page.locator("article.letter").inner_text()
    patient.press("Ouvrir la lettre")
    expect(page.locator("article.letter").filter(has_text=RECEIPT_TEXT.strip())).to_be_visible()
    page.reload()
    expect(page.locator("article.letter").filter(has_text=RECEIPT_TEXT.strip())).to_be_visible()


def test_a_doctor_ends_the_exchange_by_the_button_and_the_patient_is_told_who_did(
    served: Served, patient: Visitor, doctor: Visitor
) -> None:
    page = doctor.page
    page.goto(f"{served.origin}/messages")
    doctor.open_letter(TOPIC)
    doctor.press("Terminer l’échange")
    page.get_by_role("dialog").get_by_role("button", name="Terminer l’échange").click()
    expect(page.get_by_text("Vous avez terminé cet échange")).to_be_visible()
    hers = patient.page
    hers.goto(f"{served.origin}/messages")
    patient.open_letter(TOPIC)
    expect(hers.get_by_role("heading", name=loose("a mis fin à cet échange"))).to_be_visible()
    expect(hers.get_by_text(f"Fin demandée par {world.GP}")).to_be_visible()
    expect(hers.locator("main").get_by_role("button", name="Répondre")).to_be_disabled()


def test_a_patient_blocks_a_professional_and_takes_it_back(served: Served, patient: Visitor) -> None:
    page = patient.page
    page.goto(f"{served.origin}/messages")
    patient.open_letter(RECEIPT_TOPIC)
    patient.press("Bloquer")
    page.get_by_role("dialog").get_by_role("button", name="Bloquer").click()
    expect(page.get_by_text("est bloqué").first).to_be_visible()
    with pytest.raises(Exception, match=r"5\.7"):
        served.person_writes(world.GP, served.made.patient.shown, "Encore", "x\n")
    page.goto(f"{served.origin}/reglages/adresses-bloquees")
    page.get_by_role("button", name=f"Débloquer {world.GP}").click()
    expect(page.get_by_text("Aucune adresse n’est bloquée.")).to_be_visible()
    served.person_writes(world.GP, served.made.patient.shown, "De nouveau", "x\n")


# ------------------------------------------------------------------------------------------------- readers


def test_a_delegate_is_given_the_past_by_the_holder_s_browser_and_opens_it(
    served: Served, browser: Browser, doctor: Visitor
) -> None:
    served.person_writes(world.NURSE, world.GP, "Avant la délégation", "Rien à signaler.\n")
    served.newest_from(world.NURSE, world.GP)
    page = doctor.page
    page.goto(f"{served.origin}/reglages/lecteurs")
    page.get_by_role("button", name="Ajouter un secrétaire ou un remplaçant").click()
    doctor.fill("Son adresse de messagerie", world.NURSE)
    doctor.press("Ajouter")
    expect(page.get_by_text(f"{world.NURSE} lira les prochaines lettres.")).to_be_visible()
    page.get_by_role("button", name=f"Donner aussi les lettres passées à {world.NURSE}").click()
    page.get_by_role("dialog").get_by_role("button", name="Donner les lettres passées").click()
    expect(page.get_by_text(f"{world.NURSE} peut ouvrir les lettres passées.")).to_be_visible()
    nurse = served.made.persons[world.NURSE]
    assert nurse.secret_key is not None
    ports, ca = served.made.ports, served.made.ca
    with clients.mailbox(ports["imaps"], clients.tls(ca), nurse.address, nurse.password) as imap:
        folder = next(name for name in clients.folders(imap) if name.endswith(world.GP))
        stored = clients.newest(imap, folder)
    opened = clients.open_with_gpg(stored, nurse.secret_key, nurse.passphrase, None)
    assert "Rien à signaler." in str(opened.message.get_content())


# ------------------------------------------------------------------------------------- the letters of others

WARD_TOPIC = "Avant jeudi"
WARD_ANSWER = "Bien reçu, nous le verrons jeudi."


@pytest.fixture(scope="module")
def nurse(served: Served, browser: Browser) -> Visitor:
    served.person_writes(world.GP, world.WARD, WARD_TOPIC, "Qui le voit à sa sortie ?\n")
    return in_the_page(browser, served, world.NURSE)


def opened_by(person: world.Person, stored: bytes) -> str:
    """Its text, by the person's own program."""
    assert person.secret_key is not None
    opened = clients.open_with_gpg(stored, person.secret_key, person.passphrase, None)
    return str(opened.message.get_content()).strip()


def test_a_reader_of_a_ward_answers_in_its_name_and_each_of_its_readers_has_the_answer(
    served: Served, nurse: Visitor
) -> None:
    page, made = nurse.page, served.made
    page.get_by_role("button", name="cardiologie").click()
    read = nurse.open_letter(WARD_TOPIC)
    expect(read).to_contain_text("Qui le voit à sa sortie")
    nurse.answer(WARD_ANSWER)
    assert opened_by(made.persons[world.GP], served.newest_from(world.WARD, world.GP)) == WARD_ANSWER
    other = made.persons[world.DOCTOR]

    def kept() -> str | None:
        with (
            suppress(clients.NotOpened),
            clients.mailbox(made.ports["imaps"], clients.tls(made.ca), other.address, other.password) as imap,
        ):
            sent = next(name for name in clients.folders(imap) if world.WARD in name and "Sent" in name)
            return opened_by(other, clients.newest(imap, sent))
        return None

    assert wait(kept) == WARD_ANSWER


def test_a_reload_stays_with_the_letters_that_were_chosen(nurse: Visitor) -> None:
    nurse.page.goto(f"{nurse.origin}/messages/sent")
    expect(nurse.page.get_by_role("button", name="cardiologie", pressed=True)).to_be_visible()
    expect(nurse.lines.filter(has_text=loose(WARD_TOPIC))).to_be_visible()


def test_a_delegate_reads_the_holder_s_letters_in_the_page_and_is_not_offered_to_write(
    served: Served, nurse: Visitor
) -> None:
    served.command("delegate_add", address=world.GP, person=world.NURSE, rights="lrs")
    served.person_writes(world.DOCTOR, world.GP, "Pour le remplaçant", "Bon séjour.\n")
    page = nurse.page
    page.goto(f"{nurse.origin}/messages")
    page.get_by_role("button", name=loose("Aubry")).or_(
        page.get_by_role("button", name="camille.aubry")
    ).click()
    expect(nurse.open_letter("Pour le remplaçant")).to_contain_text("Bon séjour.")
    expect(page.get_by_text("mais pas écrire à sa place")).to_be_visible()
