"""The demo's patient: her letters wait, she activates her space, reads, answers; her correspondent ends the exchange.

Played by the demo's own browser (`deploy.demo.browser`) over the node's public ports. A second patient is left as a
newcomer finds things: an unread report and a fresh code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formataddr

from deploy.demo import clients, letters, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import Letter, PageClient, PageRefused
from deploy.demo.clients import tls
from deploy.demo.people import Patient
from deploy.demo.world import World
from mail_server import mime
from mail_server.payloads.agenda import imip
from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import Attendee, Component, Me, Message, Organiser, When, stamp_text

Line = tuple[str, str]


_ADVICE = (
    "Bonjour Madame,\n\nL’hôpital m’a prévenue de votre retour. Gardez le même traitement jusqu’à jeudi. "
    "Dites-moi simplement comment vous respirez la nuit, et appelez le cabinet si vous êtes essoufflée.\n\n"
    "Dr Camille Aubry\n"
)


class NotAsPromised(Exception):
    """A step found something other than it must."""


@dataclass(slots=True)
class PatientStory:
    """Steps to be played in order; `marker` draws a word that stands in one letter and nowhere else."""

    made: World
    marker: Callable[[], str]
    thief: Callable[[], list[Line]]
    page: PageClient = field(init=False)
    reports: list[letters.Letter] = field(default_factory=list[letters.Letter])
    told: bytes = field(default=b"", repr=False)  # the receipt, as it lies in her doctor's mailbox

    def __post_init__(self) -> None:
        self.page = PageClient(self.made.ports["http"])

    def letters_wait(self) -> list[Line]:
        patient = self.made.patient
        self.reports = [
            self._report(patient.person, patient.shown),
            self._note(f"Votre retour à la maison {self.marker()}", _ADVICE, receipt=True),
        ]
        you = self.made.you
        self._report(you.person, you.shown, told=False)
        return [
            ("written to", "15 digits, as hospitals know their patients; the node's files hold none of them"),
            ("waiting", "sealed to a key that nothing opens but her activation"),
            *self.thief(),
        ]

    def activation(self) -> list[Line]:
        patient = self.made.patient
        self.page.enrol(
            patient.code,
            patient.password,
            patient.recovery,
            birth_date=patient.person.birth_date,
            last_five=patient.person.last_five,
        )
        swapped = self.page.reseal()
        if swapped != len(self.reports) or self.page.get("/api/reseal")["left"]:
            raise NotAsPromised(f"{swapped} letters were made hers, {len(self.reports)} waited")
        self._no_secret_was_sent()
        return [
            ("proved by", "the code of the letter, her birth date, the last five of her digits"),
            ("key made", "in the browser; the server was sent a certificate and wraps, no password"),
            ("re-sealed", f"{swapped} letters, by their key packets alone; the waiting key is destroyed"),
            *self.thief(),
        ]

    def reading(self) -> list[Line]:
        listed = self.page.letters()
        if len(listed) != len(self.reports) or not listed:
            raise NotAsPromised(f"{len(listed)} letters are there")
        opened = [self.page.open(each) for each in listed]
        for report in self.reports:
            found = next((each for each in opened if each.subject == report.subject), None)
            if found is None:
                raise NotAsPromised("a letter that waited is not there")
            if report.attachment and report.attachment not in found.attachments:
                raise NotAsPromised("the PDF is not the one that was sent")
        if self.page.summary(listed[0])["subject"] != opened[0].subject:
            raise NotAsPromised("the list shows another subject than the letter")
        return [
            ("opened", f"Subject: {self.reports[0].subject}"),
            (
                "",
                "the PDF the same to the byte, the archive for software beside it; the list from sealed summaries",
            ),
        ]

    def receipt(self) -> list[Line]:
        """RFC 8098: who asked hears that she opened it; she was told before she opened."""
        gp = self.made.persons[world.GP]
        assert gp.secret_key is not None
        self.told = self._await_letter(gp.address, gp.password)
        opened = clients.open_with_gpg(self.told, gp.secret_key, gp.passphrase, None)
        if b"disposition-notification" not in opened.inner.lower() or b"displayed" not in opened.inner:
            raise NotAsPromised("what the doctor got is no receipt")
        return [
            ("told", "before she opened: her doctor asked to know when the letter is read"),
            ("receipt", "sent once, by the server itself, sealed to the doctor like any letter"),
        ]

    def answering(self) -> list[Line]:
        asked = self._letter_of_the_doctor()
        text = f"Merci docteur, je respire mieux. {self.marker()}\n"
        self.page.write(world.GP, "Re: Votre retour à la maison", text, answering=asked)
        gp = self.made.persons[world.GP]
        assert gp.secret_key is not None
        stored = self._await_letter(gp.address, gp.password, after=self.told)
        opened = clients.open_with_gpg(stored, gp.secret_key, gp.passphrase, None)
        if opened.message.get_content().strip() != text.strip():
            raise NotAsPromised("the doctor does not read her words")
        self.told = stored
        shown = str(opened.message["From"])
        if self.made.patient.shown not in shown:
            raise NotAsPromised("the doctor does not see who wrote")
        return [
            ("sealed", "in the browser, to the doctor's key and her own: the server saw ciphertext"),
            ("opened by", "the doctor's mail program and gpg, over IMAP"),
            *self.thief(),
        ]

    def appointment(self) -> list[Line]:
        """Her doctor's program invites her; her answer goes sealed to that program, which marks her as coming."""
        gp, shown = self.made.persons[world.GP], self.made.patient.shown
        assert gp.secret_key is not None
        doctor, hers = Engine(Me((gp.address,), world.GP_NAME)), Engine(Me((shown,), "Éloïse Garance"))
        now = time.time_ns() // 1_000_000
        start = When(stamp_text(now + 3 * 86_400_000)[:17] + "00", "UTC")
        invitation = Component(
            f"{self.marker()}@demo", start=start, end=start.moved(1800), title=f"Consultation {self.marker()}",
            place="12 rue des Lilas", organiser=Organiser(gp.address, world.GP_NAME), attendees=(Attendee(shown),),
        )  # fmt: skip
        (asked,) = doctor.organise(invitation, now)
        data = imip.letter(asked, world.GP_NAME, world.DOMAIN)
        ports, tls_ = self.made.ports, tls(self.made.ca)
        clients.send_as_person(ports["submission"], tls_, gp.address, gp.password, [shown], data)
        letter = self._letter_of_the_doctor()
        (message,) = self._appointments(letter.inner.as_bytes(), gp.address)
        hers.receive(message)
        (answer,) = hers.answer(invitation.uid, "ACCEPTED", now)
        subject, entity = imip.entity(answer.message, "Éloïse Garance")
        self.page.write(gp.address, subject, "", answering=letter, entity=entity)
        self.told = self._await_letter(gp.address, gp.password, after=self.told)
        opened = clients.open_with_gpg(self.told, gp.secret_key, gp.passphrase, None)
        (told,) = self._appointments(opened.inner, shown)
        if [(one.kind, one.status) for one in doctor.receive(told)] != [("replied", "ACCEPTED")]:
            raise NotAsPromised("the doctor's calendar does not know that she comes")
        return [
            ("invited", "by a calendar program (iTIP in a letter); what, when and where lie inside the seal"),
            ("accepted", "her answer, sealed to the doctor, sets her as coming in the doctor's own calendar"),
            *self.thief(),
        ]

    def closing(self) -> list[Line]:
        asked = self._letter_of_the_doctor()
        for recipient, words in ((world.NURSE, "a stranger"), (self.made.you.shown, "another patient")):
            try:
                self.page.write(recipient, "x", "x\n")
            except PageRefused:
                continue
            raise NotAsPromised(f"a letter to {words} was taken")
        gp = self.made.persons[world.GP]
        ending = f"fin@{world.DOMAIN}"
        closing = letters.note(
            world.GP,
            self.made.patient.shown,
            f"Fin du suivi {self.marker()}",
            "Tout va bien : ce suivi est terminé.\n",
            asked.inner["Message-ID"],
        )
        clients.send_as_person(
            self.made.ports["submission"],
            tls(self.made.ca),
            gp.address,
            gp.password,
            [self.made.patient.shown, ending],
            mime.header_field("Cc", ending) + closing.data,
        )
        account = self.page.session["account"]["id"]
        told = self.page.get(f"/api/conversations?account={account}&email={asked.email_id}")["conversations"]
        if [(one["open"], one["closedBy"]) for one in told] != [(False, world.GP)]:
            raise NotAsPromised("the page does not say who closed the exchange")
        try:
            self.page.write(world.GP, "Encore une question", "x\n", answering=asked)
        except PageRefused as refused:
            return [
                ("refused", "letters to whoever never wrote to her, and to other patients"),
                ("closed", f"by the doctor's copy to {ending}, {told[0]['closedHow']}: any mail program can"),
                ("answer", f"{refused.answer.get('message') or refused}"),
            ]
        raise NotAsPromised("a closed exchange took a letter")

    def blocking(self) -> list[Line]:
        """She may shut her door to a professional, and open it again."""
        made, gp = self.made, self.made.persons[world.GP]
        letter = letters.note(world.GP, made.patient.shown, "Rappel", "x\n")

        def write() -> None:
            clients.send_as_person(
                made.ports["submission"],
                tls(made.ca),
                gp.address,
                gp.password,
                [made.patient.shown],
                letter.data,
            )

        self.page.post("/api/blocks", {"address": world.GP})
        refused = clients.refusal(write)
        self.page.request("DELETE", f"/api/blocks/{world.GP}")
        write()
        return [("blocked", refused), ("unblocked", "and the next letter arrives")]

    # -- what steps share ---------------------------------------------------------------------------------

    def _report(self, patient: Patient, shown: str, *, told: bool = True) -> letters.Letter:
        made = self.made
        sender, word = (world.HOSPITAL_NAME, world.HOSPITAL), self.marker() if told else ""
        letter = letters.document_for_patient(sender, shown, patient, word=word)
        context = tls(made.ca, made.hospital.certificate, made.hospital.key)
        clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [shown], letter.data)
        return letter

    def _note(self, subject: str, text: str, *, receipt: bool = False) -> letters.Letter:
        made, gp = self.made, self.made.persons[world.GP]
        letter = letters.note(formataddr((world.GP_NAME, world.GP)), made.patient.shown, subject, text)
        data = mime.header_field("Disposition-Notification-To", world.GP) if receipt else b""
        clients.send_as_person(
            made.ports["submission"],
            tls(made.ca),
            gp.address,
            gp.password,
            [made.patient.shown],
            data + letter.data,
        )
        return letter

    def _letter_of_the_doctor(self) -> Letter:
        found = next((each for each in self.page.letters() if each["from"][0]["email"] == world.GP), None)
        if found is None:
            raise NotAsPromised("her doctor's letter is not there")
        return self.page.open(found)

    def _appointments(self, message: bytes, sender: str) -> list[Message]:
        found = imip.calendars(message, mime.parse(message), sender, time.time_ns() // 1_000_000)
        return [each for one in found for each in one.messages]

    def _await_letter(self, address: str, password: str, after: bytes = b"") -> bytes:
        """The newest letter of a mailbox, once it is from the patient, and not the one known already."""
        deadline = time.monotonic() + 20
        while True:
            with clients.mailbox(self.made.ports["imaps"], tls(self.made.ca), address, password) as imap:
                stored = clients.newest(imap)
            if self.made.patient.shown.encode() in stored and stored != after:
                return stored
            if time.monotonic() > deadline:
                raise NotAsPromised("her answer did not arrive")
            time.sleep(0.2)

    def _no_secret_was_sent(self) -> None:
        patient = self.made.patient
        for body in self.page.sent:
            for secret in (patient.password, patient.recovery, derivations.normalised(patient.recovery)):
                if secret.encode() in body:
                    raise NotAsPromised("a secret was sent to the server")
