"""A patient's whole life on a node with PostgreSQL 15, killed where it hurts; then its backup, restored, goes on.

The tests are one story, in this order: each goes on where the one before ended.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.demo import clients, letters, thief, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import Letter, PageClient, PageRefused
from tests.peers import intruder

pytestmark = pytest.mark.peers

LETTERS = 40  # that wait; two of them with a PDF
WORD = "dyspnee-pgtemoin"


@dataclass
class Life:
    """What the story knows by now."""

    made: world.World
    process: world.NodeProcess
    database: str = field(repr=False)
    person: intruder.Patient = field(repr=False)
    page: PageClient = field(repr=False)
    password: str = field(default="", repr=False)
    recovery: str = field(default="", repr=False)
    told: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    sent: list[letters.Letter] = field(default_factory=list[letters.Letter], repr=False)
    answers: list[str] = field(default_factory=list[str])

    @property
    def shown(self) -> str:
        return str(self.told["shown"])

    def kill(self) -> None:
        """As a power cut does; then the node is started again."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.restart()
        self.process.wait_ready(self.made.ports)

    def states(self) -> dict[str, int]:
        """Letters of the space by how they lie, as the account's page tells them."""
        found: dict[str, int] = {}
        for each in self.page.letters(limit=200):
            found[each["guard"]] = found.get(each["guard"], 0) + 1
        return found


@pytest.fixture(scope="module")
def life(make_postgresql_database: Callable[..., str]) -> Iterator[Life]:
    folder = Path(tempfile.mkdtemp(prefix="vm-pglife-"))
    database = make_postgresql_database()
    sections = {"store": {"database": database, "inline_limit": 64 * 2**20}}
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    person = intruder.patient("Aurore", "DELMAS-PGTEMOIN", 501)
    try:
        yield Life(made, process, database, person, PageClient(made.ports["http"]))
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def write_as_doctor(made: world.World, to: str, letter: letters.Letter) -> None:
    gp = made.persons[world.GP]
    context = clients.tls(made.ca)
    clients.send_as_person(made.ports["submission"], context, gp.address, gp.password, [to], letter.data)


def read_by_doctor(life: Life) -> list[clients.Opened]:
    """Every letter of the patient's in the doctor's INBOX, opened with gpg."""
    gp = life.made.persons[world.GP]
    assert gp.secret_key is not None
    with clients.mailbox(
        life.made.ports["imaps"], clients.tls(life.made.ca), gp.address, gp.password
    ) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("SEARCH", "FROM", f'"{life.shown}"')
        bodies: list[bytes] = []
        for uid in found[0].split():
            _, data = imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            bodies.append(data[0][1])
    return [clients.open_with_gpg(each, gp.secret_key, gp.passphrase, None) for each in bodies]


def arrived(life: Life, text: str, seconds: float = 120) -> int:
    """How often the doctor got these words, once they are there; 0 when they do not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        times = sum(each.message.get_content().strip() == text for each in read_by_doctor(life))
        if times:
            return times
        time.sleep(0.3)
    return 0


def is_whole(made: world.World) -> None:
    checked = made.command("check")
    assert checked["faults"] == []
    assert not made.command("audit_verify")["broken"]


# -- the story ------------------------------------------------------------------------------------------------


def test_letters_wait_for_somebody_whose_space_was_just_made(life: Life, tmp_path: Path) -> None:
    made = life.made
    life.told = intruder.space(made, life.person)
    for number in range(LETTERS):
        if number < 2:
            letter = letters.report_to_patient(
                (world.HOSPITAL_NAME, world.HOSPITAL),
                life.shown,
                given_name="Aurore",
                word=f"{WORD}{number}",
                pdf_bytes=300_000,
            )
        else:
            letter = letters.note(world.HOSPITAL, life.shown, f"Suivi {number} {WORD}", f"{WORD} {number}\n")
        intruder.write_as_hospital(made, life.shown, letter.data)
        life.sent.append(letter)
    (space,) = [row for row in made.command("space_list") if row["address"] == life.told["address"]]
    assert (space["activated"], space["waiting"]) == (False, LETTERS)
    dump = tmp_path / "all.sql"
    command = ["pg_dump", "--inserts", f"--file={dump}", f"--dbname={life.database}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    secrets_of_hers = [WORD, life.person.matricule, life.person.family_name]
    assert thief.search([dump, made.node, made.folder / "node.log"], secrets_of_hers) == []


def test_killed_in_the_middle_of_the_re_seal_it_goes_on_and_loses_nothing(life: Life) -> None:
    life.password, life.recovery = secrets.token_hex(8), derivations.new_recovery_code()
    life.page.enrol(
        life.told["code"], life.password, life.recovery,
        birth_date=life.person.birth_date, last_five=life.person.last_five,
    )  # fmt: skip
    assert life.page.reseal(at_most=15) == 15
    life.kill()
    # The browser still has its cookie; its session outlived the node.
    assert life.page.get("/api/reseal")["left"] == LETTERS - 15
    assert life.states() == {"sealed": 15, "waiting": LETTERS - 15}
    assert life.page.reseal(at_most=10) == 10
    life.kill()
    # Another browser goes on.
    life.page = PageClient(life.made.ports["http"])
    life.page.log_in(life.person.matricule, life.password)
    assert life.page.reseal() == LETTERS - 25
    begun = life.page.get("/api/reseal")
    assert (begun["left"], begun["waitingKey"]) == (0, None)
    assert life.states() == {"sealed": LETTERS}
    destroyed = life.made.command(
        "audit_show",
        limit=5,
        action="operator-key-destroyed",
        address=life.told["address"],
        reference=None,
    )
    assert len(destroyed) == 1
    is_whole(life.made)


def test_every_letter_is_read_to_the_byte(life: Life) -> None:
    opened = [life.page.open(each) for each in life.page.letters(limit=200)]
    assert sorted(each.subject for each in opened) == sorted(each.subject for each in life.sent)
    found = {each.subject: each.attachments for each in opened}
    for sent in life.sent[:2]:
        assert sent.attachment in found[sent.subject]


def test_an_answer_held_back_never_leaves_and_one_held_over_a_kill_leaves_exactly_once(life: Life) -> None:
    write_as_doctor(
        life.made, life.shown, letters.note(world.GP, life.shown, "Votre retour", "Comment respirez-vous ?\n")
    )
    asked = doctors_letter(life)
    undone = life.page.write(world.GP, "Re: Votre retour", "Mieux, je crois.", answering=asked, hold=120)
    life.page.call(("EmailSubmission/set", {"update": {undone: {"undoStatus": "canceled"}}}))

    text = "Bien mieux, merci docteur."
    held = life.page.write(world.GP, "Re: Votre retour", text, answering=asked, hold=8)
    life.kill()
    assert arrived(life, text) == 1
    # Killed again as soon as it left: what was filed is known.
    life.kill()
    deadline = time.monotonic() + 120
    while status_of(life, held)["undoStatus"] != "final":
        assert time.monotonic() < deadline
        time.sleep(0.3)
    time.sleep(1)
    assert arrived(life, text) == 1
    assert arrived(life, "Mieux, je crois.", seconds=1) == 0
    assert status_of(life, undone)["undoStatus"] == "canceled"
    life.answers.append(text)
    is_whole(life.made)


def test_the_doctor_s_fin_ends_the_exchange(life: Life) -> None:
    asked = doctors_letter(life)
    closing = letters.note(
        world.GP, life.shown, "[FIN]", "Échange terminé.\n", str(asked.inner["Message-ID"])
    )
    write_as_doctor(life.made, life.shown, closing)
    with pytest.raises(PageRefused, match="conversation-closed"):
        life.page.write(world.GP, "Encore", "Une question.", answering=asked)
    assert arrived(life, "Une question.", seconds=1) == 0
    (one,) = [
        each for each in life.page.get("/api/correspondents")["correspondents"] if each["address"] == world.GP
    ]
    assert not one["open"]


def test_its_backup_restored_into_an_empty_database_goes_on_where_it_was(
    life: Life, make_postgresql_database: Callable[..., str], tmp_path: Path
) -> None:
    made, process = life.made, life.process
    before = [each["id"] for each in life.page.letters(limit=200)]
    state = life.page.call(("Email/get", {"ids": []}))[0]["state"]
    backup, keystore = tmp_path / "backup", tmp_path / "keystore"
    said = vaguemestre(
        "backup", "--to", str(backup), "--keystore-to", str(keystore), "--home", str(made.node)
    )
    assert said.returncode == 0, said.stderr
    assert thief.search([backup], [WORD, life.person.matricule, life.person.family_name]) == []

    fresh = make_postgresql_database()
    configuration = backup / "vaguemestre.toml"
    configuration.write_text(configuration.read_text().replace(life.database, fresh))
    home = made.folder / "node2"
    said = vaguemestre("restore", "--from", str(backup), "--keystore", str(keystore), "--home", str(home))
    assert said.returncode == 0, said.stderr
    process.stop()
    (made.folder / "node").rename(made.folder / "node-before")
    home.rename(made.folder / "node")
    process.restart()
    process.wait_ready(made.ports)
    with psycopg.connect(fresh) as database:
        counted = database.execute("SELECT count(*) FROM patient").fetchone()
        assert counted is not None
        assert counted[0] >= 3

    life.page = PageClient(made.ports["http"])
    life.page.log_in(life.shown, life.password)
    assert [each["id"] for each in life.page.letters(limit=200)] == before
    found = {each.subject: each.attachments for each in map(life.page.open, life.page.letters(limit=200))}
    assert life.sent[0].attachment in found[life.sent[0].subject]
    # Whoever knew an earlier state is told to look at everything again.
    with pytest.raises(PageRefused, match="cannotCalculateChanges"):
        life.page.call(("Email/changes", {"sinceState": state}))
    # A letter that left before is not sent again; a new one arrives and is sealed to her.
    assert arrived(life, life.answers[0]) == 1
    intruder.write_as_hospital(
        made, life.shown, letters.note(world.HOSPITAL, life.shown, "Après", "Tout va bien.\n").data
    )
    newest = life.page.letters()[0]
    assert newest["guard"] == "sealed"
    assert life.page.open(newest).subject == "Après"
    # The sheet opens it too, once a new password and a new sheet replace the old ones; nothing else before.
    by_sheet = PageClient(made.ports["http"])
    by_sheet.log_in_by_sheet(life.person.matricule, life.recovery)
    assert by_sheet.session["mustRenew"]
    is_whole(made)


# -- inside ---------------------------------------------------------------------------------------------------


def doctors_letter(life: Life) -> Letter:
    deadline = time.monotonic() + 120
    while True:
        found = [each for each in life.page.letters() if each["from"][0]["email"] == world.GP]
        if found:
            return life.page.open(found[-1])
        assert time.monotonic() < deadline
        time.sleep(0.2)


def status_of(life: Life, submission: str) -> dict[str, Any]:
    (answer,) = life.page.call(("EmailSubmission/get", {"ids": [submission]}))
    return answer["list"][0]


def vaguemestre(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.node.cli", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
