"""A whole operator behind the page: its people, its doors, and a tap on what browsers send it."""

from __future__ import annotations

import shutil
import smtplib
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from deploy.demo import clients, letters, people, world
from deploy.demo.browser.page import PageClient
from mail_server.keys.kek import load_kek
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.keys.settings import KeysSettings
from tests.browser.wiretap import Wiretap

T = TypeVar("T")

# Nobody waits a quarter of a minute in a test; what one may take back is tested with the screens.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "page": {"undo_seconds": 1},
    "limits": {"failed_login_delay": 0.0},
}


@dataclass(slots=True)
class Served:
    made: world.World
    process: world.NodeProcess
    tap: Wiretap

    @property
    def origin(self) -> str:
        return self.tap.origin

    def command(self, name: str, **arguments: Any) -> Any:
        """Of the console. In a thread: Playwright has a loop of its own in this one."""
        return aside(lambda: self.made.command(name, **arguments))

    def account(self, address: str) -> str:
        """The id of an account."""
        return next(row["id"] for row in self.command("account_list") if row["address"] == address)

    def new_code(self, address: str) -> str:
        return str(self.command("enrolment_code", address=address)["code"])

    def new_patient(self, order: int) -> world.Space:
        """One more invented patient, with a fresh code. `order`: 0 to 999, of the numbers given out that month."""
        stem = f"2510369999{order:03d}"
        person = replace(people.GARANCE, matricule=f"{stem}{97 - int(stem) % 97:02d}")
        made = self.command(
            "space_add",
            matricule=person.matricule,
            family_name=person.family_name,
            given_names=person.given_names,
            sex=person.sex,
            birth_date=person.birth_date,
            birth_place=person.birth_place,
        )
        return world.Space(person, made["address"], made["code"])

    def another_browser(self) -> PageClient:
        """A browser written in Python, on the same contract."""
        return PageClient(self.made.ports["http"])

    def waiting_secret(self, address: str) -> bytes:
        """The key that the operator holds for who has none yet, as the node alone can read it."""
        home = self.made.node
        wrapper = load_kek(KeysSettings(kek=self.made.folder / "kek" / "node.kek"), home)
        return GnuPgOperatorKeys(KeysSettings(), home / "keystore.json", wrapper).secret(
            self.account(address)
        )

    # -- people at their programs -------------------------------------------------------------------------

    def hospital_writes(self, space: world.Space, word: str, *, pdf_bytes: int = 60_000) -> letters.Letter:
        """A report to the patient herself, with its PDF; `word` stands in its subject and text."""
        made, to = self.made, space.shown
        letter = letters.report_to_patient(
            ("Centre hospitalier (essai)", world.HOSPITAL),
            to,
            given_name=given_name(space.person),
            word=word,
            pdf_bytes=pdf_bytes,
        )
        context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
        clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [to], letter.data)
        return letter

    def hospital_sends(self, datas: Iterable[bytes], to: str) -> None:
        """Many letters over one connection."""
        made = self.made
        context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
        with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60) as smtp:
            smtp.ehlo("hopital.demo.test")
            smtp.docmd("AUTH", "EXTERNAL =")
            for data in datas:
                smtp.sendmail(world.HOSPITAL, [to], data)

    def person_writes(self, sender: str, to: str, subject: str, text: str) -> letters.Letter:
        made, person = self.made, self.made.persons[sender]
        letter = letters.note(sender, to, subject, text)
        clients.send_as_person(
            made.ports["submission"], clients.tls(made.ca), sender, person.password, [to], letter.data
        )
        return letter

    def newest_from(self, sender: str, address: str, seconds: float = 180) -> bytes:
        """The newest letter of somebody's mail program, once it is from `sender`."""
        made, person = self.made, self.made.persons[address]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with (
                suppress(clients.NotOpened),
                clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap,
            ):
                stored = clients.newest(imap)
                if sender.encode() in stored.partition(b"\r\n\r\n")[0]:
                    return stored
            time.sleep(0.2)
        raise AssertionError("the letter did not arrive")


def aside(work: Callable[[], T]) -> T:
    """In a thread of its own, waited for."""
    found: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return found[0]


@contextmanager
def served_operator(sections: Mapping[str, Mapping[str, Any]] = QUICK) -> Generator[Served]:
    folder = Path(tempfile.mkdtemp(prefix="vm-page-"))
    try:
        made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
        tap = Wiretap(made.ports["http"])
        try:
            yield Served(made, process, tap)
        finally:
            tap.close()
            process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def given_name(person: people.Patient) -> str:
    return person.given_names.split()[0]
