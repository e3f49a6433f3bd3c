"""What waited becomes its holder's alone, for good: a node killed on the way loses none, and yesterday's backup opens
nothing more once the waiting key is destroyed.
"""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.demo import clients, letters, world
from deploy.demo.browser.page import PageClient
from mail_server.keys.interface import KeyWrapper
from mail_server.keys.kek import load_kek
from mail_server.keys.settings import KeysSettings
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.store.model import State
from tests.faults.test_thief import (
    Found,
    Letters,
    Loot,
    opens,
    read_store,
    secrets_in,
    settings_of,
    with_engine,
)

pytestmark = pytest.mark.faults

LETTERS = 500
PASSWORD = "marée haute sept galets"


@dataclass(frozen=True)
class Lived:
    """A patient's space: full of letters that waited, backed up, then activated; its node killed on the way."""

    made: world.World
    subjects: list[str] = field(repr=False)
    account: str
    page: PageClient
    yesterday: Path  # backup
    keystore_of_yesterday: Path
    keystore_of_today: Path


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    folder = Path(tempfile.mkdtemp(prefix="vm-reseal-"))
    apart = Path(tempfile.mkdtemp(prefix="vm-reseal-apart-"))
    made, process = world.build(folder, world.free_port_base(), lambda _: None)
    try:
        notes = [
            letters.note(world.HOSPITAL, made.patient.shown, f"Lettre n° {number}", f"secret-{number}\n")
            for number in range(LETTERS)
        ]
        send(made, made.patient.shown, [note.data for note in notes])
        robots = letters.note(
            world.HOSPITAL, world.LABORATORY, "Analyses", "...\n"
        )  # its key is held for good
        send(made, world.LABORATORY, [robots.data])
        made.command("backup", to=str(apart / "backup"), keystore_to=str(apart / "keystore.json"))
        shutil.copy2(apart / "keystore.json", apart / "keystore-of-yesterday.json")
        page = activated_through_a_kill(made, process)
        made.command("backup", to=str(apart / "backup-2"), keystore_to=str(apart / "keystore.json"))
        yield Lived(
            made,
            [note.subject for note in notes],
            next(row["id"] for row in made.command("account_list") if row["address"] == made.patient.address),
            page,
            apart / "backup",
            apart / "keystore-of-yesterday.json",
            apart / "keystore.json",
        )
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(apart, ignore_errors=True)


def send(made: world.World, to: str, datas: Sequence[bytes]) -> None:
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60) as smtp:
        smtp.ehlo("hopital.demo.test")
        smtp.docmd("AUTH", "EXTERNAL =")
        for data in datas:
            smtp.sendmail(world.HOSPITAL, [to], data)


def activated_through_a_kill(made: world.World, process: world.NodeProcess) -> PageClient:
    patient = made.patient
    first = PageClient(made.ports["http"])
    first.enrol(
        patient.code,
        PASSWORD,
        patient.recovery,
        birth_date=patient.person.birth_date,
        last_five=patient.person.last_five,
    )
    assert first.reseal(at_most=170) == 170
    os.kill(process.pid, signal.SIGKILL)
    process.restart()
    process.wait_ready(made.ports)
    second = PageClient(made.ports["http"])
    second.log_in(patient.shown, PASSWORD)
    assert second.session["resealLeft"] == LETTERS - 170
    assert second.reseal() == LETTERS - 170
    return second


def test_a_node_killed_in_the_middle_loses_no_letter(lived: Lived) -> None:
    found = lived.page.letters(limit=LETTERS)
    assert {each["guard"] for each in found} == {"sealed"}
    assert sorted(lived.page.open(each).subject for each in found) == sorted(lived.subjects)


def test_the_waiting_key_is_in_no_keystore_of_today(lived: Lived) -> None:
    for keystore in (lived.made.node / "keystore.json", lived.keystore_of_today):
        assert lived.account not in secrets_in(keystore, kek(lived.made))
    assert lived.account in secrets_in(lived.keystore_of_yesterday, kek(lived.made))


# ----------------------------------------------------------------------------------- yesterday's backup, restored


@dataclass(frozen=True)
class Restored:
    home: Path
    found: list[Found] = field(repr=False)


@pytest.fixture(scope="module")
def restored(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> Restored:
    """Yesterday's backup with today's keystore in a new home; its letters as the store gives them, with the KEK."""
    place = tmp_path_factory.mktemp("restored")
    subprocess.run(
        [sys.executable, "-m", "deploy.node.cli", "restore", "--from", str(lived.yesterday),
         "--keystore", str(lived.keystore_of_today), "--home", str(place / "node")],
        check=True,
        capture_output=True,
    )  # fmt: skip
    loot = Loot(place / "node", place / "none", lived.keystore_of_today, kek_file(lived.made), Letters())
    found = read_store(loot.home, settings_of(loot), kek(lived.made), place / "copy")
    return Restored(loot.home, [each for each in found if each.state is State.WAITING])


def kek_file(made: world.World) -> Path:
    return made.folder / "kek" / "node.kek"


def kek(made: world.World) -> KeyWrapper:
    return load_kek(KeysSettings(kek=kek_file(made)), made.node)


async def opened(engine: OpenPgpEngine, letters_found: Sequence[Found], secrets: Sequence[bytes]) -> int:
    """How many of the letters any of these secrets opens."""
    count = 0
    for letter in letters_found:
        for secret in secrets:
            if await opens(engine, letter.ciphertext or b"", secret) is not None:
                count += 1
                break
    return count


def test_the_restored_node_holds_all_that_waited_yesterday(restored: Restored) -> None:
    assert len(restored.found) == LETTERS
    assert all(letter.ciphertext for letter in restored.found)


def test_with_todays_keystore_and_the_kek_none_of_them_opens(lived: Lived, restored: Restored) -> None:
    keys = kek(lived.made)
    secrets = list(secrets_in(restored.home / "keystore.json", keys).values())
    assert secrets, "a robot keeps its operator-held key"
    secrets.append(Authority(restored.home / "authority", keys, world.DOMAIN).signing_key().secret)
    assert with_engine(lambda engine: opened(engine, restored.found, secrets)) == 0


def test_nor_does_what_lies_beside_them_tell_their_words(lived: Lived, restored: Restored) -> None:
    told = b"".join(letter.content + letter.beside for letter in restored.found)
    assert b"secret-" not in told
    assert "Lettre n°".encode() not in told


def test_with_the_key_that_was_destroyed_all_would_open(lived: Lived, restored: Restored) -> None:
    """Else the tests above prove nothing."""
    then = secrets_in(lived.keystore_of_yesterday, kek(lived.made))[lived.account]
    assert with_engine(lambda engine: opened(engine, restored.found, [then])) == LETTERS
