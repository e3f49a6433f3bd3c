"""The demo's federation: letters between two operators, both ways, and what the trust space refuses.

Played over the public ports of both nodes. After each step it looks at both nodes' files as a thief of each disk would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formataddr
from pathlib import Path
from typing import Any, TypeVar

from deploy.demo import clients, federation, letters, pki, world
from deploy.demo.browser.page import Letter, PageClient
from deploy.demo.clients import tls
from deploy.demo.federation import BAD_DOMAIN, LARGEST, SECRETARIAT, SECRETARY, THEIR_PATIENT
from deploy.demo.federation_bad import Manners, Starttls, attempt, client_context
from deploy.demo.federation_servers import ListState
from deploy.demo.patient_story import Line, NotAsPromised
from deploy.demo.world import Person, World
from mail_server import mime

T = TypeVar("T")
_PATIENCE = 45.0  # s: a letter is with the other operator long before, unless the machine does much else


@dataclass(slots=True)
class FederationStory:
    """Steps to be played in order; `marker` draws a word that stands in one letter and nowhere else."""

    made: World
    beside: federation.Federation
    marker: Callable[[], str]
    thief: Callable[[], list[Line]]
    page: PageClient = field(init=False)
    asked: Letter | None = None  # their doctor's letter, as our patient opened it

    def __post_init__(self) -> None:
        self.page = PageClient(self.made.ports["http"])

    def steps(self) -> Sequence[tuple[str, Callable[[], list[Line]]]]:
        return (
            ("Our general practitioner writes to a doctor of another operator, who has a key", self.sealed),
            ("She writes to their secretariat, which has none: the letter leaves by the gate", self.gated),
            ("She writes to a patient of theirs, by 15 digits", self.to_their_patient),
            ("Their doctor writes to our patient, and hears that she opened it", self.to_our_patient),
            ("Our patient answers a doctor whose operator is not ours", self.answered),
            ("An operator that does not keep to the rules knocks at our door", self.attacks),
            ("Its own server would take our letter in clear: nothing leaves", self.clear_text),
            ("The trust list comes with half of its lines, and then not at all", self.list_shrunk),
            ("Their certificate is revoked: the next letter is refused", self.revoked),
        )

    # -- both ways ----------------------------------------------------------------------------------------

    def sealed(self) -> list[Line]:
        doctor = self._doctor()
        letter = letters.report(
            world.GP, doctor.address, pdf_bytes=60_000, patient=f"Éloïse Garance {self.marker()}"
        )
        self._send_as_gp([doctor.address], letter.data)
        opened = self._await(lambda: self._opened_there(doctor, letter.subject))
        if opened.attachments != [letter.attachment] or not opened.good_signature:
            raise NotAsPromised("their doctor does not read what was sent")
        return [
            (
                "ours",
                "found her certificate at their operator (WKD), sealed to it, handed over by mutual TLS",
            ),
            ("theirs", f"stored as Subject: {opened.outer_subject}"),
            ("opened by", "her own program and gpg: the PDF the same to the byte, our signature good"),
            *self._thieves(),
        ]

    def gated(self) -> list[Line]:
        letter = letters.note(
            world.GP,
            SECRETARIAT,
            f"Rendez-vous de Mme Garance {self.marker()}",
            "Jeudi matin, si possible.\n",
        )
        self._send_as_gp([SECRETARIAT], letter.data)
        self._await(lambda: self._read_there(letter.subject))
        told = self._await(lambda: self._report_on(SECRETARIAT))
        words = _french_line(told, "lisible par lui")
        return [
            ("ours", "kept it sealed to the gate's key until their server took it, inside mutual TLS"),
            ("theirs", f"could read it as it came; {SECRETARY} reads it in a mail program"),
            ("told", f"« {told['Subject']} », to any mail program:"),
            ("", f"« {words} »"),
            *self._thieves(),
        ]

    def to_their_patient(self) -> list[Line]:
        letter = letters.note(
            formataddr((world.GP_NAME, world.GP)), THEIR_PATIENT, f"Votre suivi {self.marker()}", "Bonjour.\n"
        )
        self._send_as_gp([THEIR_PATIENT], letter.data)
        told = self._await(lambda: self._report_on(THEIR_PATIENT))
        words = _french_line(told, "lisible par lui")
        return [
            ("sent", "to 15 digits: our queue holds none of them, and no patient's certificate is published"),
            ("told", f"« {words} »"),
            *self._thieves(),
        ]

    def to_our_patient(self) -> list[Line]:
        doctor, patient = self._doctor(), self.made.patient
        letter = letters.note(
            formataddr((federation.DOCTOR_NAME, doctor.address)),
            patient.shown,
            f"Votre consultation {self.marker()}",
            "Bonjour Madame, comment allez-vous depuis la consultation ?\n",
        )
        self.beside.peer.send(
            doctor,
            [patient.shown],
            mime.header_field("Disposition-Notification-To", doctor.address) + letter.data,
        )
        self.page.log_in(patient.person.matricule, patient.password)
        listed = self._await(lambda: self._listed_from(doctor.address))
        self.asked = self.page.open(listed)
        if self.asked.subject != letter.subject:
            raise NotAsPromised("our patient opens another letter")
        self._await(lambda: self._receipt(doctor))
        return [
            ("theirs", "handed it over by its certificate; it is sealed at our door"),
            ("opened", f"by our patient, in her page: Subject: {self.asked.subject}"),
            ("receipt", "sent by our server to theirs; their doctor opens it with her key"),
            *self._thieves(),
        ]

    def answered(self) -> list[Line]:
        doctor = self._doctor()
        if self.asked is None:
            raise NotAsPromised("there is nothing to answer")
        subject, text = f"Re: Votre consultation {self.marker()}", "Bien mieux, merci docteur.\n"
        self.page.write(doctor.address, subject, text, answering=self.asked)
        opened = self._await(lambda: self._opened_there(doctor, subject))
        if str(opened.message.get_content()).strip() != text.strip():
            raise NotAsPromised("their doctor does not read her words")
        return [
            ("sealed", "in her browser, to the certificate that their operator publishes: we saw ciphertext"),
            ("opened by", "their doctor, in a mail program"),
            *self._thieves(),
        ]

    # -- what is refused ----------------------------------------------------------------------------------

    def attacks(self) -> list[Line]:
        commons, port = self.beside.commons, self.made.ports["smtp"]
        stranger = pki.Organisation.with_finess("CABINET FANTOME TEST", 8, "Isère (38)")
        unlisted = commons.authority.issue_operator("smtp.mss.nulle-part.test", stranger)
        expired = commons.authority.issue_operator(
            f"smtp.{world.FOREIGN_DOMAIN}", world.NEIGHBOUR, dates=pki.Dates.EXPIRED
        )
        theirs, bad = self._doctor().address, f"directeur@{BAD_DOMAIN}"

        def by(leaf: pki.Leaf | None, sender: str, *, to: str = world.GP, parameters: str = "") -> str:
            context = client_context(commons.ca, leaf) if leaf is not None else None
            try:
                reply = attempt(port, context, sender, to, parameters=parameters)
            except OSError:
                return "the handshake ends, before a word is said"
            if reply.code < 400:
                raise NotAsPromised(f"it was taken: {reply}")
            return str(reply)

        listed = self.beside.bad_leaf
        return [
            ("in clear", by(None, bad)),
            ("unlisted", by(unlisted, bad)),
            ("forged", by(listed, theirs)),
            ("expired", by(expired, theirs)),
            ("relay", by(listed, bad, to=theirs)),
            ("too large", by(listed, bad, parameters=f" SIZE={10 * LARGEST}")),
        ]

    def clear_text(self) -> list[Line]:
        bad, sender = self.beside.bad, f"directeur@{BAD_DOMAIN}"
        letter = letters.note(world.GP, sender, f"Confidentiel {self.marker()}", "x\n")
        lines: list[Line] = []
        for manners, label in ((Starttls.STRIPPED, "stripped"), (Starttls.MISSING, "no TLS")):
            bad.manners = Manners(starttls=manners)
            before = bad.connections
            if not lines:
                self._send_as_gp([sender], letter.data)
            try:
                bad.await_connection(before)
            except TimeoutError as late:
                raise NotAsPromised(str(late)) from None
            lines.append((label, "asked, and hung up on: the letter stays in the queue, sealed"))
        if bad.taken or bad.clear:
            raise NotAsPromised("something left in clear")
        rows = self.made.command("queue_list", domain=BAD_DOMAIN)["letters"]
        if len(rows) != 1:
            raise NotAsPromised(f"{len(rows)} letters wait in the queue")
        lines.append(("queue", f"it waits for {BAD_DOMAIN}: {rows[0]['reason']}"))
        self.made.command("queue_cancel", numbers=[rows[0]["id"]])
        told = self._await(lambda: self._report_on(sender))
        lines.append(("stopped", f"by an administrator; the doctor is told: « {told['Subject']} »"))
        return [*lines, *self._thieves()]

    def list_shrunk(self) -> list[Line]:
        lists = self.beside.commons.lists
        lines: list[Line] = []
        try:
            for state, label in ((ListState.HALVED, "halved"), (ListState.DOWN, "down")):
                lists.switch(state)
                told = self.made.command("trust_list_fetch")
                if told["applied"]:
                    raise NotAsPromised(f"a list that is {state.value} was taken")
                lines.append((label, told["sentence"]))
        finally:
            lists.switch(ListState.GOOD)
        self._hand_over(f"La liste tient {self.marker()}")
        return [*lines, ("meanwhile", "the last good list stays in force: their letters still arrive")]

    def revoked(self) -> list[Line]:
        commons, peer = self.beside.commons, self.beside.peer
        self._hand_over(f"Avant {self.marker()}")
        commons.revocations.revoke(peer.leaf)
        self.made.command("trust_list_fetch")
        reply = attempt(
            self.made.ports["smtp"],
            client_context(commons.ca, peer.leaf),
            self._doctor().address,
            world.GP,
        )
        if reply.code < 500:
            raise NotAsPromised(f"it was taken: {reply}")
        subject = f"Après {self.marker()}"
        doctor = self._doctor()
        peer.send(doctor, [world.GP], letters.note(doctor.address, world.GP, subject, "x\n").data)
        told = self._await(lambda: self._report_there(doctor))
        if self._opened_here(subject) is not None:
            raise NotAsPromised("the letter arrived")
        lines: list[Line] = [
            ("refused", str(reply)),
            ("theirs", f"their doctor is told: « {told['Subject']} »"),
        ]
        commons.revocations.forgive()  # who goes on with the demo writes from one operator to the other
        self.made.command("trust_list_fetch")
        self._hand_over(f"Ensuite {self.marker()}")
        lines.append(("then", "it holds again, which no real authority would say: the demo goes on with it"))
        return [*lines, *self._thieves()]

    # -- what steps share ---------------------------------------------------------------------------------

    def _doctor(self) -> Person:
        return self.beside.peer.persons[world.FOREIGN_DOCTOR]

    def _send_as_gp(self, recipients: list[str], data: bytes) -> None:
        gp = self.made.persons[world.GP]
        clients.send_as_person(
            self.made.ports["submission"], tls(self.made.ca), gp.address, gp.password, recipients, data
        )

    def _hand_over(self, subject: str) -> None:
        """A letter of their doctor to our general practitioner, until it is read."""
        doctor = self._doctor()
        letter = letters.note(doctor.address, world.GP, subject, "x\n")
        self.beside.peer.send(doctor, [world.GP], letter.data)
        self._await(lambda: self._opened_here(subject))

    def _await(self, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + _PATIENCE
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise NotAsPromised("it did not arrive")
            time.sleep(0.1)
        return found

    def _opened_there(self, person: Person, subject: str) -> clients.Opened | None:
        ports, ca, authority = self.beside.peer.ports, self.made.ca, self.made.authority
        return _newest_that_says(ports, ca, person, authority, lambda opened: opened.subject == subject)

    def _opened_here(self, subject: str) -> clients.Opened | None:
        gp = self.made.persons[world.GP]
        made = self.made
        return _newest_that_says(made.ports, made.ca, gp, None, lambda opened: opened.subject == subject)

    def _report_on(self, recipient: str) -> EmailMessage | None:
        """The report (RFC 3464) that our general practitioner got about this recipient."""
        return self._report(self.made.ports, self.made.persons[world.GP], recipient)

    def _report_there(self, doctor: Person) -> EmailMessage | None:
        return self._report(self.beside.peer.ports, doctor, world.GP)

    def _report(self, ports: Mapping[str, int], person: Person, recipient: str) -> EmailMessage | None:
        def is_it(opened: clients.Opened) -> bool:
            whole = opened.inner.decode(errors="replace")
            return "message/delivery-status" in whole and recipient in whole

        found = _newest_that_says(ports, self.made.ca, person, None, is_it)
        return found.message if found is not None else None

    def _receipt(self, doctor: Person) -> clients.Opened | None:
        ports, ca = self.beside.peer.ports, self.made.ca
        return _newest_that_says(
            ports, ca, doctor, None, lambda opened: b"disposition-notification" in opened.inner.lower()
        )

    def _read_there(self, subject: str) -> EmailMessage | None:
        """The secretariat's newest letter, as its member's program shows it."""
        peer, person = self.beside.peer, self.beside.peer.persons[SECRETARY]
        with (
            suppress(clients.NotOpened),
            clients.mailbox(peer.ports["imaps"], tls(self.made.ca), person.address, person.password) as imap,
        ):
            shared = [name for name in clients.folders(imap) if SECRETARIAT in name]
            name = next((one for one in shared if one.endswith("/INBOX")), shared[0] if shared else "")
            if not name:
                return None
            stored = message_from_bytes(clients.newest(imap, name), policy=policy.default)
            return stored if str(stored["Subject"]) == subject else None
        return None

    def _listed_from(self, sender: str) -> dict[str, Any] | None:
        return next((one for one in self.page.letters() if one["from"][0]["email"] == sender), None)

    def _thieves(self) -> list[Line]:
        """Both disks; `thief` raises for either."""
        return self.thief()


def _newest_that_says(
    ports: Mapping[str, int],
    ca: Path,
    person: Person,
    authority: Path | None,
    is_it: Callable[[clients.Opened], bool],
) -> clients.Opened | None:
    """The newest letter of an INBOX, when it is the one that is looked for."""
    assert person.secret_key is not None
    with clients.mailbox(ports["imaps"], tls(ca), person.address, person.password) as imap:
        try:
            stored = clients.newest(imap)
        except clients.NotOpened:
            return None
    try:
        opened = clients.open_with_gpg(stored, person.secret_key, person.passphrase, authority)
    except clients.NotOpened:
        return None
    return opened if is_it(opened) else None


def _french_line(report: EmailMessage, words: str) -> str:
    """The sentence of a report in which these words stand."""
    for part in report.walk():
        if part.get_content_type() == "text/plain":
            for line in str(part.get_content()).splitlines():
                if words in line:
                    return line.strip()
    raise NotAsPromised(f"the report does not say « {words} »")
