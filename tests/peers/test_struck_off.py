"""A doctor of ours is gone from the national files: out by every way within the minute; and back with the next ones."""

from __future__ import annotations

import base64
import imaplib
import smtplib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo import clients, directory_world, letters, people, world
from deploy.demo.directory_world import CARDIOLOGIST, LEAVER
from deploy.node.control import unheard
from directory.imports.run import Wish, import_file
from directory.listings.database import ListingsDatabase
from tests.peers.test_wkd import advanced, get

pytestmark = pytest.mark.peers

MINUTE = 60.0  # seconds


@dataclass(frozen=True)
class Doctor:
    made: world.World
    password: str
    fingerprint: str

    def comes_in(self) -> bool:
        try:
            with clients.mailbox(
                self.made.ports["imaps"], clients.tls(self.made.ca), LEAVER.address, self.password
            ) as imap:
                imap.noop()
        except imaplib.IMAP4.error:
            return False
        return True

    def found(self) -> list[str]:
        """By name, anonymously, with OpenLDAP's own program."""
        url = f"ldap://127.0.0.1:{self.made.ports['ldap']}"
        search = ["ldapsearch", "-x", "-LLL", "-H", url, "-b", "dc=mssante,dc=fr", "(sn=sortant)", "mail"]
        done = subprocess.run(search, capture_output=True, text=True, check=True, timeout=120)
        return [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("mail: ")]

    def published(self) -> tuple[int, int]:
        """What the Web Key Directory and the key server answer."""
        hkp = get(self.made, f"/pks/lookup?op=get&options=mr&search={LEAVER.address}")
        return advanced(self.made, LEAVER.address).status, hkp.status

    def written_to(self) -> str:
        """ "" when a letter of a hospital's system is taken, else the words of the refusal."""
        made = self.made
        context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
        note = letters.note(world.HOSPITAL, LEAVER.address, "Courrier", "Bonjour.\n")
        try:
            clients.send_as_system(
                made.ports["submissions"], context, world.HOSPITAL, [LEAVER.address], note.data
            )
        except smtplib.SMTPRecipientsRefused as refused:
            code, words = refused.recipients[LEAVER.address]
            return f"{code} {words.decode()}"
        return ""


@pytest.fixture
def doctor(made: world.World, tmp_path: Path) -> Doctor:
    told = made.command("account_add", address=LEAVER.address, kind="PER", password=True, certificate=None)
    made.command("account_national_id", address=LEAVER.address, national_id=LEAVER.national_id)
    made.command(
        "account_profile", address=LEAVER.address, fields={"given_name": "Luc", "family_name": "Sortant"}
    )
    key = people.make_key("Luc Sortant", LEAVER.address, "phrase", tmp_path)
    certificate = base64.b64encode(key.public.read_bytes()).decode()
    made.command("key_publish", address=LEAVER.address, certificate=certificate)
    return Doctor(made, told["password"], key.fingerprint)


def imported(made: world.World, folder: Path, *listed: directory_world.Colleague) -> None:
    """In a process of its own, as a nightly import is."""
    database = ListingsDatabase(made.node / "listings.db")
    for path in directory_world.write_files(folder, listed):
        wish = Wish(path, made.node / "imports")
        import_file(database, wish, unheard, lambda: time.time_ns() // 1_000_000)
    database.close()


def within_the_minute(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < MINUTE
        time.sleep(0.25)
    return time.monotonic() - began


def test_who_is_gone_from_the_national_files_is_out_within_the_minute(
    doctor: Doctor, made: world.World, tmp_path: Path
) -> None:
    imported(made, tmp_path, CARDIOLOGIST, LEAVER)
    within_the_minute(lambda: doctor.found() == [LEAVER.address])
    assert doctor.comes_in()
    assert doctor.published() == (200, 200)
    assert doctor.written_to() == ""

    imported(made, tmp_path, CARDIOLOGIST)
    within_the_minute(lambda: not doctor.comes_in())
    assert doctor.found() == []
    assert doctor.published() == (404, 404)
    assert doctor.written_to().startswith("550 5.")
    standing = made.command("directory_standing")
    assert standing["struck_off_here"] == [LEAVER.address]

    imported(made, tmp_path, CARDIOLOGIST, LEAVER)
    within_the_minute(doctor.comes_in)
    within_the_minute(lambda: doctor.found() == [LEAVER.address])
    assert doctor.published() == (200, 200)
    assert doctor.written_to() == ""
    actions = made.command(
        "audit_show", limit=1000, action="listing-struck-off", address=None, reference=None
    )
    assert [row["detail"]["state"] for row in actions] == ["lost", "regained"]
