"""A whole node on PostgreSQL 15: the same letters, the same promise, the same repair."""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from deploy.demo import clients, letters, thief, world

pytestmark = pytest.mark.peers

# Several nodes share one database: every body must lie there, so the limit stands above the largest letter.
INLINE_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Served:
    made: world.World
    process: world.NodeProcess
    database: str = field(repr=False)


@pytest.fixture(scope="module")
def served(make_postgresql_database: Callable[..., str]) -> Iterator[Served]:
    folder = Path(tempfile.mkdtemp(prefix="vm-pgnode-"))
    database = make_postgresql_database()
    sections = {"store": {"database": database, "inline_limit": INLINE_LIMIT}}
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    try:
        yield Served(made, process, database)
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def as_hospital(made: world.World, recipient: str, data: bytes) -> None:
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [recipient], data)


def newest(made: world.World, address: str) -> bytes:
    person = made.persons[address]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap:
        return clients.newest(imap)


def subjects(made: world.World, address: str) -> list[str]:
    """Of every letter in a robot's INBOX."""
    person = made.persons[address]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap:
        imap.select("INBOX", readonly=True)
        _, data = imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [item[1].decode().strip().removeprefix("Subject: ") for item in data if isinstance(item, tuple)]


def is_whole(made: world.World) -> None:
    checked = made.command("check")
    assert checked["faults"] == []
    assert checked["messages"] > 0
    assert not made.command("audit_verify")["broken"]


def test_nothing_of_it_lies_in_sqlite_or_in_segments(served: Served) -> None:
    as_hospital(served.made, world.GP, letters.report(world.HOSPITAL, world.GP, pdf_bytes=200_000).data)
    assert not (served.made.node / "mail.db").exists()
    assert [path for path in served.made.node.glob("segments/*") if path.stat().st_size] == []


def test_a_sealed_report_of_two_megabytes_is_opened_by_gnupg_over_imap(served: Served) -> None:
    made = served.made
    letter = letters.report(world.HOSPITAL, world.GP, patient="Chloé Dûment")
    as_hospital(made, world.GP, letter.data)
    person = made.persons[world.GP]
    assert person.secret_key is not None
    opened = clients.open_with_gpg(
        newest(made, world.GP), person.secret_key, person.passphrase, made.authority
    )
    assert opened.subject == letter.subject
    assert opened.attachments == [letter.attachment]
    assert opened.good_signature


def test_a_robot_in_custody_reads_its_letter(served: Served) -> None:
    letter = letters.note(world.HOSPITAL, world.LABORATORY, "Demande d’analyses", "Ionogramme urgent.\n")
    as_hospital(served.made, world.LABORATORY, letter.data)
    assert b"Ionogramme urgent." in newest(served.made, world.LABORATORY)


def test_who_copies_the_database_reads_nothing(served: Served, tmp_path: Path) -> None:
    word = "hyperkaliémie-pgtemoin"
    for recipient in (world.GP, world.LABORATORY):
        letter = letters.note(world.HOSPITAL, recipient, f"Résultat {word}", f"{word} confirmée.\n")
        as_hospital(served.made, recipient, letter.data)
    dump = tmp_path / "all.sql"
    command = ["pg_dump", "--inserts", f"--file={dump}", f"--dbname={served.database}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert dump.stat().st_size > 10_000
    assert thief.search([tmp_path, served.made.folder / "node.log"], ["pgtemoin"]) == []


@dataclass
class Senders:
    """Robots that send until told to stop: the letters answered 250, by subject."""

    made: world.World
    acknowledged: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def send(self, name: str) -> None:
        number = 0
        context = clients.tls(self.made.ca, self.made.hospital.certificate, self.made.hospital.key)
        written: dict[str, bytes] = {}
        while not self.stop.is_set():
            try:
                with smtplib.SMTP_SSL(
                    "localhost", self.made.ports["submissions"], context=context, timeout=60
                ) as smtp:
                    smtp.ehlo("test")
                    smtp.docmd("AUTH", "EXTERNAL =")
                    while not self.stop.is_set():
                        subject = f"essai-{name}-{number:04d}"
                        letter = written.setdefault(
                            subject, letters.note(world.HOSPITAL, world.IMAGING, subject, "Une ligne.\n").data
                        )
                        smtp.sendmail(world.HOSPITAL, [world.IMAGING], letter)
                        self.acknowledged.add(subject)
                        number += 1
                        time.sleep(0.02)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)  # killed: the same letter again, once the node is back


def test_killed_under_load_it_keeps_each_acknowledged_letter_once(served: Served) -> None:
    made, process = served.made, served.process
    senders = Senders(made)
    threads = [threading.Thread(target=senders.send, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    try:
        while len(senders.acknowledged) < 20:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.restart()
        process.wait_ready(made.ports)
        before = len(senders.acknowledged)
        while len(senders.acknowledged) < before + 10:
            time.sleep(0.02)
    finally:
        senders.stop.set()
        for thread in threads:
            thread.join(60)
    found = subjects(made, world.IMAGING)
    assert len(found) == len(set(found)), "a letter came twice"
    assert senders.acknowledged <= set(found)
    is_whole(made)


def vaguemestre(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.node.cli", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)


def pointed_at(backup: Path, old: str, new: str) -> None:
    """The administrator's edit: another database in the backup's configuration."""
    configuration = backup / "vaguemestre.toml"
    text = configuration.read_text()
    assert old in text
    configuration.write_text(text.replace(old, new))


def test_a_backup_is_restored_into_an_empty_database_only_and_then_serves(
    served: Served, make_postgresql_database: Callable[..., str], tmp_path: Path
) -> None:
    made, process = served.made, served.process
    letter = letters.report(world.HOSPITAL, world.GP, pdf_bytes=100_000, patient="Zélie Sauvegarde")
    as_hospital(made, world.GP, letter.data)
    backup, keystore = tmp_path / "backup", tmp_path / "keystore"
    said = vaguemestre(
        "backup", "--to", str(backup), "--keystore-to", str(keystore), "--home", str(made.node)
    )
    assert said.returncode == 0, said.stderr

    # Into the database that is in use: refused, and what is there stays.
    refused = vaguemestre("restore", "--from", str(backup), "--home", str(tmp_path / "refused"))
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "is the database empty?" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    is_whole(made)

    # Into an empty one: the same folders and letters, under the same keys.
    fresh = make_postgresql_database()
    pointed_at(backup, served.database, fresh)
    home = made.folder / "node2"
    said = vaguemestre("restore", "--from", str(backup), "--keystore", str(keystore), "--home", str(home))
    assert said.returncode == 0, said.stderr
    process.stop()
    (made.folder / "node").rename(made.folder / "node-before")
    home.rename(made.folder / "node")
    process.restart()
    process.wait_ready(made.ports)
    person = made.persons[world.GP]
    assert person.secret_key is not None
    opened = clients.open_with_gpg(
        newest(made, world.GP), person.secret_key, person.passphrase, made.authority
    )
    assert opened.attachments == [letter.attachment]
    is_whole(made)


def test_when_the_database_is_gone_a_start_says_so_in_one_sentence(served: Served, tmp_path: Path) -> None:
    made = served.made
    copy = tmp_path / "away.toml"
    configuration = (made.node / "vaguemestre.toml").read_text()
    nowhere = f"postgresql://postgres@/postgres?host={tmp_path}"
    line = next(line for line in configuration.splitlines() if line.startswith("database = "))
    copy.write_text(configuration.replace(line, f'database = "{nowhere}"'))
    served.process.stop()
    try:
        said = vaguemestre("serve", "--home", str(made.node), "--config", str(copy))
    finally:
        served.process.restart()
        served.process.wait_ready(made.ports)
    assert said.returncode == 1
    assert said.stderr.startswith("PostgreSQL does not answer:")
    assert len(said.stderr.strip().splitlines()) == 1
    with psycopg.connect(served.database) as still:
        assert still.execute("SELECT 1").fetchone() == (1,)
