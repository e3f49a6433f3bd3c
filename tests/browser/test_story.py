"""The story: a patient's code, her letters that waited, her answer; her doctor at his program, then in the page.

Played once, by real browsers against a whole operator; each test is one thing that must have been so.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.demo import clients, letters, world
from tests.browser.conftest import visitors_own
from tests.browser.secrets_of import Known, scalars, stretched, vouched
from tests.browser.served import Served
from tests.browser.wiretap import heard

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visitor import RECEIVED, Visitor, plain, totp

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "tulipe wagon citron lundi 42 été"
GP_PASSWORD = "rivage cheval lune bleue 77 août"
TOPIC = "Votre retour à domicile après l’hôpital"
NOTE = "Appelez-moi si vous êtes essoufflée, même la nuit.\n"
ANSWER = "Merci docteur, je respire mieux depuis hier matin.\nÉloïse"
LAST_WORD = "Très bien. Continuez le traitement jusqu’à vendredi."
GP = world.GP


@dataclass
class Played:
    """What was seen on the way."""

    served: Served
    patient: Visitor
    doctor: Visitor
    report: letters.Letter
    before: list[dict[str, Any]]  # spaces, as the console lists them before activation
    asked: list[str]  # every address the browsers asked for, as they tell it
    waiting_secret: bytes = field(repr=False)
    activation: tuple[list[str], list[str]] = field(repr=False)  # titles seen, fields filled
    inbox: list[str]
    report_seen: str = field(repr=False)
    pdf_text: str = field(repr=False)
    pdf_dark: int  # dots of the drawn page that are not white
    pdf_saved: bytes = field(repr=False)
    note_seen: str = field(repr=False)
    delivered: bytes = field(repr=False)
    doctors_inbox: list[str] = field(default_factory=list[str])
    doctor_read: str = field(default="", repr=False)
    arrived_live: str = field(default="", repr=False)
    faults: list[str] = field(default_factory=list[str])


_DARK = """(canvas) => {
  const dots = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let dark = 0;
  for (let at = 0; at < dots.length; at += 4) if (dots[at] < 128) dark += 1;
  return dark;
}"""


def newcomer(browser: Browser, served: Served, asked: list[str], faults: list[str]) -> Visitor:
    context = visitors_own(browser)
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    return Visitor(context.new_page(), served.origin)


@pytest.fixture(scope="module")
def played(served: Served, browser: Browser) -> Played:
    made, asked, faults = served.made, list[str](), list[str]()
    space = made.patient
    report = served.hospital_writes(space, "azalée-7731-hortensia")
    served.person_writes(GP, space.shown, TOPIC, NOTE)
    before = served.command("space_list")
    waiting = served.waiting_secret(space.address)

    patient = newcomer(browser, served, asked, faults)
    patient.activate(space.person, space.code, PASSWORD)
    activation = ([*patient.titles], [*patient.typed])
    inbox = patient.subjects()
    seen = Played(
        served, patient, newcomer(browser, served, asked, faults), report, before, asked,
        waiting, activation, inbox, "", "", 0, b"", "", b"", faults=faults,
    )  # fmt: skip
    read_the_report(seen)
    patient.page.goto(f"{served.origin}/messages")
    seen.note_seen = patient.open_letter(TOPIC).inner_text()
    patient.answer(ANSWER)
    seen.delivered = served.newest_from(space.shown, GP)
    the_doctor_comes_to_the_page(seen)
    fresh = patient.page.locator("article.letter").filter(has_text="Continuez le traitement")
    expect(fresh).to_be_visible()  # she touched nothing
    seen.arrived_live = fresh.inner_text()
    return seen


def read_the_report(seen: Played) -> None:
    page = seen.patient.page
    letter = seen.patient.open_letter(seen.report.subject)
    seen.report_seen = letter.inner_text()
    page.get_by_role("button", name=re.compile("^Ouvrir compte")).click()
    drawn = page.get_by_role("group", name=re.compile("^Page 1 de")).locator("canvas")
    expect(drawn).to_be_visible()
    for _ in range(600):
        seen.pdf_dark = drawn.evaluate(_DARK)
        if seen.pdf_dark > 50:
            break
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Texte seul").click()
    words = page.locator("div.words")
    expect(words).to_contain_text("Compte rendu d'hospitalisation")
    seen.pdf_text = words.inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("^Enregistrer compte")).click()
    seen.pdf_saved = Path(download.value.path()).read_bytes()


def the_doctor_comes_to_the_page(seen: Played) -> None:
    served, doctor = seen.served, seen.doctor
    gp = served.made.persons[GP]
    assert gp.secret_key is not None
    code = served.new_code(GP)
    doctor.enrol_professional(GP, code, GP_PASSWORD, gp.secret_key.read_text(), gp.passphrase)
    expect(doctor.lines.first).to_contain_text(TOPIC)
    seen.doctors_inbox = doctor.subjects()
    seen.doctor_read = doctor.open_letter(TOPIC).inner_text()
    doctor.answer(LAST_WORD)


# ------------------------------------------------------------------------------------------------- the patient


def test_before_activation_her_letters_wait(played: Played) -> None:
    (space,) = [row for row in played.before if row["address"] == played.served.made.patient.address]
    assert (space["activated"], space["waiting"]) == (False, 2)


def test_activation_asks_for_six_things_at_most_on_four_screens(played: Played) -> None:
    titles, typed = played.activation
    assert titles == ["Bonjour Éloïse", "Votre feuille de secours", RECEIVED]  # after the first, the code's
    assert len(typed) == 6


def test_once_activated_nothing_waits_and_the_operators_key_is_gone(played: Played) -> None:
    address = played.served.made.patient.address
    (space,) = [row for row in played.served.command("space_list") if row["address"] == address]
    assert (space["activated"], space["waiting"]) == (True, 0)
    held = [row["address"] for row in played.served.command("key_list") if row["held_by"] == "operator"]
    assert address not in held


def test_the_list_shows_the_true_subjects_of_what_waited(played: Played) -> None:
    assert played.inbox == [plain(TOPIC), plain(played.report.subject)]


def test_the_hospitals_report_is_read(played: Played) -> None:
    for line in filter(None, played.report.text.splitlines()):
        assert plain(line) in plain(played.report_seen)


def test_its_pdf_is_drawn_in_the_page_and_its_text_can_be_had(played: Played) -> None:
    assert played.pdf_dark > 50
    assert "Compte rendu d'hospitalisation" in played.pdf_text


def test_the_pdf_that_is_saved_is_the_one_that_was_sent(played: Played) -> None:
    assert played.pdf_saved == played.report.attachment


def test_her_doctors_letter_is_read(played: Played) -> None:
    assert plain(NOTE) in plain(played.note_seen)


# ------------------------------------------------------------------------------------ the doctor at his program


@pytest.fixture(scope="module")
def opened(played: Played, tmp_path_factory: pytest.TempPathFactory) -> clients.Opened:
    """By GnuPG, with the doctor's key and the patient's certificate, which her browser published."""
    gp = played.served.made.persons[GP]
    assert gp.secret_key is not None
    certificate = tmp_path_factory.mktemp("certificates") / "patient.pgp"
    certificate.write_bytes(vouched(played.served.tap, played.served.made.patient.shown))
    return clients.open_with_gpg(played.delivered, gp.secret_key, gp.passphrase, certificate)


def test_gnupg_opens_her_answer_with_its_true_subject(opened: clients.Opened) -> None:
    assert opened.subject == f"Re: {TOPIC}"
    assert opened.message.get_content().replace("\r\n", "\n").strip() == ANSWER


def test_gnupg_finds_her_signature_good(opened: clients.Opened) -> None:
    assert opened.good_signature


def test_outside_the_seal_her_answer_has_no_subject(played: Played, opened: clients.Opened) -> None:
    assert opened.outer_subject.startswith("[...] ")
    assert "retour" not in opened.outer_subject


def test_it_comes_from_her_number_and_answers_the_letter(played: Played, opened: clients.Opened) -> None:
    assert played.served.made.patient.shown in str(opened.message["From"])
    assert opened.message["In-Reply-To"]


# ------------------------------------------------------------------------------------------ the doctor in the page


def test_with_the_key_of_his_program_the_doctor_sees_true_subjects_in_the_page(played: Played) -> None:
    assert plain(f"Re: {TOPIC}") in played.doctors_inbox


def test_the_doctor_reads_her_answer_in_the_page(played: Played) -> None:
    for line in ANSWER.splitlines():
        assert plain(line) in plain(played.doctor_read)


def test_his_answer_reaches_her_screen_by_itself(played: Played) -> None:
    assert plain(LAST_WORD) in plain(played.arrived_live)
    listened = [each for each in played.served.tap.requests() if each.target.startswith("/jmap/events")]
    assert listened


def test_she_is_told_that_he_signed_it(played: Played) -> None:
    letter = played.patient.page.locator("article.letter").filter(has_text="Continuez le traitement")
    letter.get_by_role("button", name=re.compile("Qui peut lire ce message")).click()
    expect(letter).to_contain_text("a signé ce message. Rien n’y a été changé depuis.")


def test_he_logs_in_again_with_password_and_code(played: Played) -> None:
    doctor = played.doctor
    doctor.log_out()
    doctor.log_in(GP, GP_PASSWORD)
    expect(doctor.page.get_by_text("Il manque le code à 6 chiffres")).to_be_visible()
    # The code of the half minute in which it was set up has served: the next one is taken early.
    doctor.fill("Code à 6 chiffres", totp(doctor.totp_secret, time.time() + 30))
    doctor.press("Me connecter")
    doctor.await_title(RECEIVED)
    expect(doctor.lines.first).to_contain_text(TOPIC)


# ----------------------------------------------------------------------------------- what the server was sent


def test_no_script_failed(played: Played) -> None:
    assert played.faults == []


def test_browsers_asked_nobody_but_the_operator(played: Played) -> None:
    foreign = [
        url for url in played.asked if not url.startswith((f"{played.served.origin}/", "blob:", "data:"))
    ]
    assert played.asked
    assert foreign == []


def test_the_tap_heard_every_request_the_browsers_tell_of(played: Played) -> None:
    def told() -> set[str]:
        return {url.removeprefix(played.served.origin) for url in played.asked if url.startswith("http")}

    def heard_of() -> set[str]:
        return {each.target for each in played.served.tap.requests()}

    until = time.monotonic() + 120
    while told() - heard_of() and time.monotonic() < until:
        played.patient.page.wait_for_timeout(100)  # what was asked a moment ago is on its way to the tap
    assert told() - heard_of() == set()
    assert {"/api/enrolment/complete", "/jmap/api", "/api/reseal/letters"} <= heard_of()


@pytest.fixture(scope="module")
def known(played: Played) -> dict[str, Known]:
    """Secrets that the browsers held, derived as the contract says from what was typed."""
    tap, space = played.served.tap, played.served.made.patient
    patient = stretched(
        tap, space.shown, PASSWORD, played.patient.sheet, played.served.account(space.address)
    )
    doctor = stretched(tap, GP, GP_PASSWORD, played.doctor.sheet, played.served.account(GP))
    return {"patient": patient, "doctor": doctor}


OF_EACH = (
    "password", "stretched password", "unlock secret of the password", "recovery code",
    "unlock secret of the recovery code", "account key", "secret key", "keys derived from the account key",
)  # fmt: skip


@pytest.mark.parametrize("who", ["patient", "doctor"])
@pytest.mark.parametrize("what", OF_EACH)
def test_no_request_held_the(played: Played, known: dict[str, Known], who: str, what: str) -> None:
    assert heard(played.served.tap.sent, known[who].secrets[what]) == []


def test_no_request_held_the_waiting_key(played: Played) -> None:
    assert heard(played.served.tap.sent, scalars(played.waiting_secret)) == []


def test_no_request_held_the_passphrase_of_the_doctors_key(played: Played) -> None:
    passphrase = played.served.made.persons[GP].passphrase
    assert heard(played.served.tap.sent, [passphrase.encode()]) == []


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([TOPIC, "retour à domicile"], id="subjects"),
        pytest.param(["Appelez-moi si vous", "essoufflée"], id="the doctor's note"),
        pytest.param(["je respire mieux", "Merci docteur"], id="her answer"),
        pytest.param(["Continuez le traitement", "jusqu’à vendredi"], id="his answer"),
        pytest.param(["azalée-7731-hortensia", "insuffisance", "service de cardiologie"], id="the report"),
        pytest.param(["compte-rendu.pdf", "%PDF-1.4"], id="its attachment"),
    ],
)
def test_no_request_held_words_of_letters(played: Played, words: list[str]) -> None:
    assert heard(played.served.tap.sent, [word.encode() for word in words]) == []


def test_what_may_be_sent_was_heard(played: Played, known: dict[str, Known]) -> None:
    """A tap that hears nothing proves nothing: the code, and the login values in base64, are there."""
    sent = played.served.tap.sent
    assert heard(sent, [played.served.made.patient.code.replace("-", "").encode()])
    for each in known.values():
        assert any(how.startswith("base64") for how in heard(sent, [each.login]))
