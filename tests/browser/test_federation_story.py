"""Letters between two operators, written and read in the page: sealed, through the gate, on their way, stopped.

Played once, by a real browser before our operator; the other one is a whole operator too, its people at mail programs.
Each test is one thing that must have been so.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from deploy.demo import clients, letters, world
from directory.openpgp.packets import key_packet, spans
from mail_server.outbound.egress.cutting import key_ids
from mail_server.payloads.agenda import imip
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import Attendee, Component, Me, Organiser, When, stamp_text
from tests.browser.conftest import visitors_own
from tests.browser.federated import DOCTOR, SECRETARIAT, SECRETARY, Federated, served_federation
from tests.browser.served import aside

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visitor import Visitor, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

GP, GP_PASSWORD = world.GP, "rivage cheval lune bleue 77 août"
PASSWORD = "lanterne moulin jeudi 18 mauve"
SEALED, GATED, BOTH = "Avis azalée-6601", "Rendez-vous hortensia-6602", "Les deux camélia-6603"
LATE, ASKED = "Retenue dahlia-6604", "Votre consultation iris-6605"
FOLLOWED = "Suite jonquille-6606"
VISIT, MEETING = "Visite lilas-6607", "Réunion muguet-6608"
MINUTE, HOUR = 60_000, 3_600_000
_CHECK = """(addresses) => fetch("/api/certificates", {
  method: "POST", body: JSON.stringify({ addresses }),
  headers: { "X-Vaguemestre": "1", "Content-Type": "application/json" },
}).then((answer) => answer.text())"""
PDF = letters.pdf("Compte rendu", 60_000, ["Une page."])


@dataclass
class Played:
    """What was seen on the way."""

    fed: Federated
    seen: dict[str, str] = field(default_factory=dict[str, str], repr=False)  # words on a screen, by moment
    queued: dict[str, int] = field(default_factory=dict[str, int])  # letters in the queue, by moment
    at_doctor: dict[str, tuple[bytes, clients.Opened]] = field(
        default_factory=dict[str, tuple[bytes, clients.Opened]], repr=False
    )
    at_secretariat: dict[str, EmailMessage] = field(default_factory=dict[str, EmailMessage], repr=False)
    sent_copies: list[bytes] = field(default_factory=list[bytes], repr=False)
    gate_keys: set[str] = field(default_factory=set[str])
    report_files: list[str] = field(default_factory=list[str])
    faults: list[str] = field(default_factory=list[str])


@pytest.fixture(scope="module")
def federated() -> Iterator[Federated]:
    with served_federation() as found:
        yield found


def newcomer(browser: Browser, fed: Federated, faults: list[str]) -> Visitor:
    context = visitors_own(browser)
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    return Visitor(context.new_page(), fed.ours.origin)


@pytest.fixture(scope="module")
def played(federated: Federated, browser: Browser) -> Played:
    fed, ours = federated, federated.ours
    seen = Played(fed)
    gp = ours.made.persons[GP]
    assert gp.secret_key is not None
    code = ours.new_code(GP)
    doctor = newcomer(browser, fed, seen.faults)
    doctor.enrol_professional(GP, code, GP_PASSWORD, gp.secret_key.read_text(), gp.passphrase)
    sealed(seen, doctor)
    gated(seen, doctor)
    both(seen, doctor)
    stopped(seen, doctor)
    told(seen, doctor)
    sealed_only(seen, doctor)
    patient = newcomer(browser, fed, seen.faults)
    appointments(seen, patient, our_patient(seen, patient))
    for visitor in (doctor, patient):
        visitor.page.context.close()
    return seen


# ------------------------------------------------------------------------------------------------ what is done


def write(visitor: Visitor, to: tuple[str, ...], subject: str, text: str) -> Locator:
    """Up to the button; returns who will be able to read it."""
    page = visitor.page
    page.goto(f"{visitor.origin}/ecrire")
    visitor.await_title("Nouveau message")
    for address in to:
        visitor.fill("Nom ou adresse", address)
        visitor.press("Ajouter")
    visitor.fill("Objet", subject)
    visitor.fill("Message", text)
    page.locator("#files-file").set_input_files(
        {"name": "compte-rendu.pdf", "mimeType": "application/pdf", "buffer": PDF}
    )
    expect(page.get_by_text("compte-rendu.pdf").first).to_be_visible()
    readers = page.locator(".readers")
    expect(readers.locator("li")).to_have_count(len(to))
    return readers


def accept(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Envoyer quand même").click()
    expect(page.get_by_text("Envoyé.").first).to_be_visible()


def waiting(seen: Played) -> int:
    return int(seen.fed.ours.command("queue_list")["total"])


def open_sent(visitor: Visitor, subject: str) -> Locator:
    visitor.page.goto(f"{visitor.origin}/messages/sent")
    return visitor.open_letter(subject)


def from_gp(seen: Played, subject: str) -> tuple[bytes, clients.Opened]:
    """A letter of our doctor as theirs reads it, who has her key from another hand."""
    signer = seen.fed.ours.made.persons[GP].secret_key
    return aside(lambda: seen.fed.doctor_reads(lambda letter: letter.subject == subject, signer))


def submitted(fed: Federated) -> list[dict[str, Any]]:
    """What the page asked to be sent."""
    asked = [
        each.json()
        for each in fed.ours.tap.requests()
        if each.target.startswith("/jmap") and each.body[:1] == b"{"
    ]
    calls = [call for each in asked for call in each.get("methodCalls", [])]
    made: list[dict[str, dict[str, Any]]] = [
        given.get("create") or {} for name, given, _ in calls if name == "EmailSubmission/set"
    ]
    return [create for each in made for create in each.values()]


def named_in(packet: bytes) -> str:
    (found,) = spans(packet)
    return key_packet(found.body(packet)).key_id or ""


def sent_copies(fed: Federated) -> list[bytes]:
    """All that lies in our doctor's folder of sent letters."""
    made = fed.ours.made
    person = made.persons[GP]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), GP, person.password) as imap:
        imap.select('"Sent"', readonly=True)
        _, found = imap.uid("SEARCH", "ALL")
        return [imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0][1] for uid in found[0].split()]


def sealed(seen: Played, doctor: Visitor) -> None:
    readers = write(doctor, (DOCTOR,), SEALED, "Bonjour docteur.")
    seen.seen["sealed: readers"] = plain(readers.inner_text())
    doctor.press("Envoyer")
    expect(doctor.page.get_by_text("Envoyé.").first).to_be_visible()
    seen.at_doctor[SEALED] = from_gp(seen, SEALED)


def gated(seen: Played, doctor: Visitor) -> None:
    fed, page = seen.fed, doctor.page
    fed.ours.command("queue_hold", domain=world.FOREIGN_DOMAIN, reason="essai")
    readers = write(doctor, (SECRETARIAT,), GATED, "Jeudi matin.")
    seen.seen["gated: readers"] = plain(readers.inner_text())
    before = len(submitted(fed))
    doctor.press("Envoyer")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    seen.seen["gated: warning"] = plain(dialog.inner_text())
    page.wait_for_timeout(300)  # for what would be sent behind the question
    seen.queued["before yes"] = waiting(seen) + len(submitted(fed)) - before
    accept(page)
    letter = open_sent(doctor, GATED)
    expect(letter).to_contain_text("Son opérateur pourra le lire")  # without another visit
    seen.seen["gated: on its way"] = plain(letter.inner_text())
    fed.ours.command("queue_release", domain=world.FOREIGN_DOMAIN)
    expect(letter).to_contain_text("remis à son opérateur, qui peut le lire")
    seen.seen["gated: there"] = plain(letter.inner_text())
    seen.at_secretariat[GATED] = aside(lambda: fed.secretariat_reads(GATED))


def both(seen: Played, doctor: Visitor) -> None:
    fed = seen.fed
    write(doctor, (DOCTOR, SECRETARIAT), BOTH, "À vous deux.")
    doctor.press("Envoyer")
    accept(doctor.page)
    seen.at_doctor[BOTH] = from_gp(seen, BOTH)
    seen.at_secretariat[BOTH] = aside(lambda: fed.secretariat_reads(BOTH))
    seen.sent_copies = aside(lambda: sent_copies(fed))
    packets = [create["gateKeyPacket"] for create in submitted(fed) if "gateKeyPacket" in create]
    seen.gate_keys = {named_in(base64.b64decode(packet)) for packet in packets}


def stopped(seen: Played, doctor: Visitor) -> None:
    """Their operator does not answer; an administrator of ours stops the letter."""
    fed, page = seen.fed, doctor.page
    fed.ours.command("queue_hold", domain=world.FOREIGN_DOMAIN, reason="panne")
    write(doctor, (DOCTOR,), LATE, "Un jour ou l'autre.")
    doctor.press("Envoyer")
    expect(page.get_by_text("Envoyé.").first).to_be_visible()
    letter = open_sent(doctor, LATE)
    expect(letter).to_contain_text("en route, scellé")
    (row,) = fed.ours.command("queue_list", domain=world.FOREIGN_DOMAIN)["letters"]
    fed.ours.command("queue_cancel", numbers=[row["id"]])
    expect(letter).to_contain_text("Ce message n’est pas parti")
    seen.seen["stopped"] = plain(letter.inner_text())
    fed.ours.command("queue_release", domain=world.FOREIGN_DOMAIN)


def told(seen: Played, doctor: Visitor) -> None:
    page = doctor.page
    page.goto(f"{doctor.origin}/messages")
    delivered = doctor.lines.filter(has_text="Message remis")
    expect(delivered.first).to_be_visible()
    seen.seen["report: line"] = plain(delivered.first.inner_text())
    delivered.last.click()
    report = page.locator("article.letter").filter(has_text="Ce qu’il advient de votre message")
    expect(report).to_be_visible()
    seen.seen["report"] = plain(report.inner_text())
    seen.report_files = report.get_by_role("button", name=re.compile("^Enregistrer")).all_inner_texts()


def sealed_only(seen: Played, doctor: Visitor) -> None:
    page = doctor.page
    page.goto(f"{doctor.origin}/reglages/autres-operateurs")
    page.get_by_role("checkbox", name="N’envoyer que des lettres scellées").first.check()
    expect(page.get_by_text("C’est noté.").first).to_be_visible()
    page.goto(f"{doctor.origin}/ecrire")
    doctor.await_title("Nouveau message")
    doctor.fill("Nom ou adresse", SECRETARIAT)
    doctor.press("Ajouter")
    refusal = page.locator(".readers .refused")
    expect(refusal).to_be_visible()
    seen.seen["sealed only"] = plain(refusal.inner_text())


def our_patient(seen: Played, patient: Visitor) -> str:
    fed, page = seen.fed, patient.page
    space = fed.ours.new_patient(660)
    patient.activate(space.person, space.code, PASSWORD)
    page.goto(f"{patient.origin}/ecrire")
    expect(page.get_by_text("Personne ne vous a encore écrit")).to_be_visible()
    seen.seen["patient: nobody wrote yet"] = plain(page.get_by_role("main").inner_text())
    aside(lambda: fed.doctor_writes(space.shown, ASKED, "Comment allez-vous ?\n"))
    page.goto(f"{patient.origin}/messages")
    patient.open_letter(ASKED)
    patient.answer("Bien mieux, merci.")
    seen.at_doctor[ASKED] = aside(lambda: fed.doctor_reads(lambda letter: letter.subject == f"Re: {ASKED}"))
    answer = page.evaluate(_CHECK, [SECRETARIAT])
    seen.seen["patient: secretariat"] = str(answer)
    aside(lambda: fed.secretary_writes(space.shown, FOLLOWED, "Jeudi convient-il ?\n"))
    page.goto(f"{patient.origin}/messages")
    patient.open_letter(FOLLOWED)
    page.get_by_role("button", name="Répondre").click()
    patient.fill("Votre réponse", "Oui, jeudi.")
    patient.press("Envoyer")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    seen.seen["patient: warning"] = plain(dialog.inner_text())
    accept(page)
    seen.at_secretariat[FOLLOWED] = aside(
        lambda: fed.secretary_reads(lambda one: one["Subject"] == f"Re: {FOLLOWED}")
    )
    return space.shown


def when(milliseconds: int) -> When:
    return When(stamp_text(milliseconds)[:-1], "UTC")


def calendar_in(letter: EmailMessage) -> str:
    """Unfolded; "" when there is none."""
    for one in letter.walk():
        if one.get_content_type() == "text/calendar":
            data = one.get_payload(decode=True)
            assert isinstance(data, bytes)
            return data.decode().replace("\r\n ", "")
    return ""


def appointments(seen: Played, patient: Visitor, to: str) -> None:
    """One asked by who has a key, one by who has none: each answered by a tap, the second after a yes."""
    fed, page = seen.fed, patient.page
    for uid, title, by, person in (
        ("visite@voisin", VISIT, DOCTOR, fed.doctor),
        ("reunion@voisin", MEETING, SECRETARY, fed.secretary),
    ):
        engine = Engine(Me((by,), by))
        now = time.time_ns() // MINUTE // 1_000_000 * MINUTE
        whole = Component(
            uid, start=when(now + 50 * HOUR), end=when(now + 51 * HOUR), title=title,
            organiser=Organiser(by, by), attendees=(Attendee(to, rsvp=True),),
        )  # fmt: skip
        for one in engine.organise(whole, now):
            fed.peer.send(person, list(one.to), imip.letter(one, by, world.FOREIGN_DOMAIN))
    page.goto(f"{patient.origin}/agenda")
    page.get_by_role("button", name=f"Accepter {VISIT}").click()
    expect(page.get_by_role("button", name=f"Accepter {VISIT}")).to_have_count(0)
    seen.at_doctor[VISIT] = aside(
        lambda: fed.doctor_reads(lambda letter: "METHOD:REPLY" in calendar_in(letter.message))
    )
    page.get_by_role("button", name=f"Accepter {MEETING}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    seen.seen["meeting: warning"] = plain(dialog.inner_text())
    dialog.get_by_role("button", name="Envoyer quand même").click()
    expect(page.get_by_role("button", name=f"Accepter {MEETING}")).to_have_count(0)
    seen.at_secretariat[MEETING] = aside(
        lambda: fed.secretary_reads(lambda letter: "METHOD:REPLY" in calendar_in(letter))
    )


# ------------------------------------------------------------------------------------- our doctor, their doctor


def test_who_has_a_key_is_sealed_to_and_opens_it_in_her_own_program(played: Played) -> None:
    assert f"Seuls vous et {DOCTOR} pourrez le lire." in played.seen["sealed: readers"]
    stored, opened = played.at_doctor[SEALED]
    assert opened.attachments == [PDF]
    assert opened.good_signature
    assert b"azal" not in stored.partition(b"\r\n\r\n")[0]


def test_what_leaves_is_signed_once_with_each_kind_of_key_and_believed_there(played: Played) -> None:
    head = played.at_doctor[SEALED][0].partition(b"\r\n\r\n")[0].decode()
    for told in (head, str(played.at_secretariat[GATED])):
        signed = re.findall(r"^DKIM-Signature:.*?a=([\w-]+)", told, re.MULTILINE)
        assert sorted(signed) == ["ed25519-sha256", "rsa-sha256"]
        assert told.count("dkim=pass") == 2


# ----------------------------------------------------------------------------------- our doctor, their secretariat


def test_who_has_no_key_is_told_of_in_the_composer_and_in_a_warning(played: Played) -> None:
    assert "à la porte" in played.seen["gated: readers"]
    assert f"{SECRETARIAT} est chez un opérateur qui n’a pas de clé" in played.seen["gated: warning"]


def test_nothing_leaves_before_the_yes(played: Played) -> None:
    assert played.queued["before yes"] == 0


def test_under_the_sent_letter_its_way_is_told_as_it_goes(played: Played) -> None:
    """Nobody touched the page between the two."""
    assert "à la porte. Son opérateur pourra le lire." in played.seen["gated: on its way"]
    assert "remis à son opérateur, qui peut le lire." in played.seen["gated: there"]
    for words in (played.seen["gated: on its way"], played.seen["gated: there"]):
        assert "Scellé" not in words


def test_the_secretariat_reads_the_true_subject_the_text_and_the_file(played: Played) -> None:
    letter = played.at_secretariat[GATED]
    body = letter.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Jeudi matin."
    (attached,) = letter.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("compte-rendu.pdf", PDF)


def test_of_a_letter_to_both_no_stored_copy_names_the_key_of_the_gate(played: Played) -> None:
    assert len(played.gate_keys) == 1
    stored = [played.at_doctor[BOTH][0], *played.sent_copies]
    assert len(played.sent_copies) >= 3
    assert all(key_ids(each) for each in stored)
    assert not played.gate_keys.intersection(*[{key for each in stored for key in key_ids(each)}])
    body = played.at_secretariat[BOTH].get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "À vous deux."


def test_the_result_arrives_as_a_letter_of_words(played: Played) -> None:
    assert "Message remis" in played.seen["report: line"]
    assert "pièce" not in played.seen["report: line"]
    assert "Remis à son opérateur par une liaison chiffrée, mais lisible par lui" in played.seen["report"]
    assert "Reporting-MTA" not in played.seen["report"]
    assert played.report_files == []


def test_a_letter_that_waits_says_so_and_one_that_was_stopped_says_why(played: Played) -> None:
    assert "Un administrateur de votre opérateur l’a arrêté avant son départ" in played.seen["stopped"]


def test_sealed_only_refuses_who_has_no_key_before_anything_is_written(played: Played) -> None:
    assert "Vous n’envoyez que des messages scellés" in played.seen["sealed only"]
    assert "n’a pas de clé" in played.seen["sealed only"]


# ---------------------------------------------------------------------------------------------------- our patient


def test_our_patient_answers_their_doctor_under_seal(played: Played) -> None:
    assert b"Bien mieux, merci." in played.at_doctor[ASKED][1].inner


def test_our_patient_does_not_write_to_who_never_wrote_to_them(played: Played) -> None:
    assert "Nom ou adresse" not in played.seen["patient: nobody wrote yet"]
    assert "not-a-correspondent" in played.seen["patient: secretariat"]


def test_our_patient_is_warned_as_anyone_before_an_answer_leaves_readable(played: Played) -> None:
    assert "L’autre opérateur pourra lire ce message" in played.seen["patient: warning"]
    assert "Sami Oudin" in played.seen["patient: warning"]
    assert "Oui, jeudi." in str(played.at_secretariat[FOLLOWED].get_content())


def test_an_invitation_is_answered_by_one_tap_where_there_is_a_key(played: Played) -> None:
    assert "PARTSTAT=ACCEPTED" in calendar_in(played.at_doctor[VISIT][1].message)


def test_an_invitation_is_answered_after_a_yes_where_there_is_none(played: Played) -> None:
    assert "L’autre opérateur pourra lire ce message" in played.seen["meeting: warning"]
    assert "PARTSTAT=ACCEPTED" in calendar_in(played.at_secretariat[MEETING])


def test_no_script_failed(played: Played) -> None:
    assert played.faults == []
