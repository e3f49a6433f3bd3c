"""The node and the process that reads documents are killed while documents come: both copies or none, one morning."""

from __future__ import annotations

import imaplib
import json
import os
import random
import re
import signal
import smtplib
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import clients, letters, sign_in, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient, PageRefused
from deploy.node.control import CommandFailed
from tests.webmail.vectors import record_letters as made_of

pytestmark = pytest.mark.faults
_KILLS = 3
_SENDERS = 3


@dataclass
class Sending:
    """Programs that hand the same document over until it is answered 250."""

    made: world.World
    to: str
    acknowledged: set[str] = field(default_factory=set[str])
    answers: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, name: str) -> None:
        context = clients.tls(self.made.ca, self.made.hospital.certificate, self.made.hospital.key)
        number = 0
        while not self.stop.is_set():
            try:
                with smtplib.SMTP_SSL(
                    "localhost", self.made.ports["submissions"], context=context, timeout=60
                ) as smtp:
                    smtp.ehlo("test")
                    smtp.docmd("AUTH", "EXTERNAL =")
                    while not self.stop.is_set():
                        mark = f"{name}-{number:04d}"
                        try:
                            smtp.sendmail(world.HOSPITAL, [self.to], document(self.to, mark))
                        except smtplib.SMTPDataError as refused:
                            self.answers.append((refused.smtp_code, bytes(refused.smtp_error)))
                            continue
                        self.acknowledged.add(mark)
                        number += 1
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)

    def start(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.run, args=(f"s{each}",)) for each in range(_SENDERS)]
        for each in threads:
            each.start()
        return threads

    def end(self, threads: list[threading.Thread]) -> None:
        self.stop.set()
        for each in threads:
            each.join(120)
        assert not any(each.is_alive() for each in threads)

    def wait(self, more: int) -> None:
        deadline, wanted = time.monotonic() + 180, len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, self.answers[-3:]
            time.sleep(0.02)


def document(to: str, mark: str) -> bytes:
    unique = f"1.2.250.1.999.70.{int.from_bytes(mark.encode(), 'big')}"
    told = made_of.letter(
        made_of.zip_part(made_of.one_document(unique, title=mark)), subject="XDM/1.0/DDM+Bilan",
        sender=world.HOSPITAL, to=to, more=f"X-Essai: {mark}\r\n",
    )  # fmt: skip
    return told.replace(b"Message-ID: <", f"Message-ID: <{mark}.".encode(), 1)


def killed(made: world.World, process: world.NodeProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.restart()
    process.wait_ready(made.ports)


def of_the_software(made: world.World) -> list[str]:
    robot = made.persons[world.LABORATORY]
    tls = clients.tls(made.ca)
    with clients.mailbox(made.ports["imaps"], tls, world.LABORATORY, robot.password) as imap:
        imap.select("INBOX", readonly=True)
        data: list[Any] = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
    return sorted(
        match[1].decode()
        for one in data
        if isinstance(one, tuple) and (match := re.search(rb"X-Essai: (\S+)", one[1])) is not None
    )


def nurse_s_page(made: world.World) -> PageClient:
    """A professional with documents copied for the practice's software."""
    page = PageClient(made.ports["http"])
    code = made.command("enrolment_code", address=world.NURSE)["code"]
    page.enrol(code, "un mot de passe", derivations.new_recovery_code(), address=world.NURSE)
    page.log_in_by_provider(sign_in.PROFESSIONALS, made.identity.doctors[world.NURSE].name)
    made.command("account_software", address=world.NURSE, software=world.LABORATORY)
    page.post("/api/practice-copy", {"on": True}, method="PUT")
    return page


def titles(page: PageClient) -> list[str]:
    """Of the documents that the sealed summaries name."""
    found: list[str] = []
    for line in page.letters(limit=500):
        found += [item["title"] for item in page.summary(line).get("manifest", {"items": []})["items"]]
    return sorted(found)


@pytest.mark.timeout(900)
def test_a_document_and_its_copy_are_both_there_or_neither_whoever_is_killed(
    fragile: tuple[world.World, world.NodeProcess],
) -> None:
    made, process = fragile
    page = nurse_s_page(made)
    sending = Sending(made, world.NURSE)
    threads = sending.start()
    try:
        for _ in range(_KILLS):
            sending.wait(6)
            killed(made, process)
        sending.wait(3)
        for _ in range(3):  # now those that read documents, while letters come
            for worker in readers(process.pid):
                os.kill(worker, signal.SIGKILL)
            ordinary_goes_through(made)
            sending.wait(4)
    finally:
        sending.end(threads)
    assert {code for code, _ in sending.answers} <= {451}
    own, copies = titles(page), of_the_software(made)
    assert own == copies, "in one transaction"
    assert len(own) == len(set(own)), "each once, however often it was sent"
    assert sending.acknowledged <= set(own)
    assert readers(process.pid), "who was killed is replaced"
    morning_is_told_once(made, process, len(own))
    own_entries_are_there_once(made, process)
    checked = made.command("check")
    assert checked["faults"] == []
    assert not made.command("audit_verify")["broken"]


def readers(node: int) -> list[int]:
    """Processes below the node that read documents."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"mail_server.payloads.worker" in (place / "cmdline").read_bytes():
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == node or _child_of(parent, node):
                    found.append(int(place.name))
        except OSError:
            continue
    return found


def _child_of(process: int, node: int) -> bool:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]) == node
    except OSError:
        return False


def ordinary_goes_through(made: world.World) -> None:
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    plain = letters.note(world.HOSPITAL, world.LABORATORY, "Sans document", "Bonjour.\n")
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.LABORATORY], plain.data)


def morning_is_told_once(made: world.World, process: world.NodeProcess, handed_in: int) -> None:
    """Killed around the moment at which the letter is filed: once, and the sum is what was handed in."""
    for pause in (0.004, 0.03):
        asked = threading.Thread(target=_told, args=(made,))
        asked.start()
        time.sleep(pause)
        killed(made, process)
        asked.join(120)
    _told(made)
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    with imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=60) as imap:
        imap.authenticate("EXTERNAL", lambda _: b"")
        imap.select("INBOX", readonly=True)
        data: list[Any] = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
    told = [one[1] for one in data if isinstance(one, tuple) and b"suivi@" in one[1]]
    assert len(told) == 1
    text = message_from_bytes(told[0], policy=policy.default).get_body(("plain",))
    assert text is not None
    assert re.search(rf"dernière lettre[^:\n]*: {handed_in}\r?\n", text.get_content())


def _told(made: world.World) -> None:
    try:
        made.command("report_morning", address=world.HOSPITAL, send=True)
    except (CommandFailed, OSError, ValueError, EOFError):
        return  # killed; or there is nothing left to tell


def own_entries_are_there_once(made: world.World, process: world.NodeProcess) -> None:
    """Letters to oneself, imported by the page: what was answered is there, and opens."""
    patient = made.patient
    person, page = patient.person, PageClient(made.ports["http"])
    known = {"birth_date": person.birth_date, "last_five": person.last_five}
    page.enrol(patient.code, patient.password, patient.recovery, **known)
    answered: list[str] = []
    stop = threading.Event()

    def keep() -> None:
        while not stop.is_set():
            try:
                answered.append(kept(page, f"mesure {len(answered)}"))
            except (OSError, PageRefused, KeyError, ValueError):
                time.sleep(0.05)
                if stop.is_set():
                    return
                try:
                    page.log_in(patient.shown, patient.password)
                except (OSError, PageRefused, ValueError):
                    continue

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        for _ in range(2):
            more(answered)
            killed(made, process)
        more(answered)
    finally:
        stop.set()
        keeper.join(120)
    assert not keeper.is_alive()
    (asked,) = page.call(("Email/query", {"filter": {"class": "record"}, "limit": 5000}))
    (got,) = page.call(
        ("Email/get", {"ids": asked["ids"], "properties": ["id", "threadId", "blobId", "guard", "class"]})
    )
    there = {one["id"]: one for one in got["list"]}
    assert len(answered) > 3
    assert set(answered) <= set(there)
    for one in there.values():
        assert b"mesure" in page.open(one).inner.as_bytes()


def more(answered: list[str]) -> None:
    """Some more of them are, however slow the machine; then a moment that chance chooses."""
    deadline, before = time.monotonic() + 180, len(answered)
    while len(answered) < before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.2))


def kept(page: PageClient, text: str) -> str:
    shown, account = page.session["account"]["shown"], page.session["account"]["id"]
    entity = made_of.mime.text_part(text)
    message = page._composed(shown, "x", entity, None, [page.own_certificate()])
    uploaded = json.loads(page.request("POST", f"/jmap/upload/{account}/", message, "message/rfc822"))
    wanted = {
        "blobId": uploaded["blobId"], "mailboxIds": {page.mailbox("archive"): True},
        "keywords": {"$seen": True, "vaguemestre-own": True}, "class": "record",
    }  # fmt: skip
    (imported,) = page.call(("Email/import", {"emails": {"k": wanted}}))
    return str(imported["created"]["k"]["id"])
