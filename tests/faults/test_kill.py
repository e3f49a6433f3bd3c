"""Kill -9 under load: every letter answered 250 is there once, none is torn, none comes twice."""

from __future__ import annotations

import os
import random
import re
import signal
import smtplib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pysequoia
import pytest

from deploy.demo import clients, letters, world

pytestmark = pytest.mark.faults

KILLS = 20
SENDERS = 6
BODY = "Ligne de texte qui doit arriver entière.\n" * 60


@dataclass
class Sent:
    """What the senders know: letters by id, and which were answered 250."""

    letters: dict[str, bytes] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_for_more(self) -> None:
        """The node is back, and takes letters."""
        deadline, before = time.monotonic() + 180, len(self.acknowledged)
        while len(self.acknowledged) < before + SENDERS:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def send_until(made: world.World, sent: Sent, name: str, stop: threading.Event) -> None:
    """One client program: keeps a connection, sends again what was not answered, as a mail program does."""
    number = 0
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    while not stop.is_set():
        try:
            with smtplib.SMTP_SSL(
                "localhost", made.ports["submissions"], context=context, timeout=60
            ) as smtp:
                smtp.ehlo("test")
                smtp.docmd("AUTH", "EXTERNAL =")
                while not stop.is_set():
                    identity = f"{name}-{number:05d}"
                    recipient = world.GP if number % 3 else world.LABORATORY
                    with sent.lock:
                        data = sent.letters.setdefault(
                            identity,
                            letters.note(world.HOSPITAL, recipient, f"essai {identity}", BODY).data.replace(
                                b"\r\n\r\n", f"\r\nX-Essai: {identity}\r\n\r\n".encode(), 1
                            ),
                        )
                    refused = smtp.sendmail(world.HOSPITAL, [recipient], data)
                    assert not refused
                    with sent.lock:
                        sent.acknowledged.add(identity)
                    number += 1
                    time.sleep(0.01)  # hundreds of letters in all: enough to be cut anywhere
        except (OSError, smtplib.SMTPException):
            time.sleep(0.05)  # killed: the same letter again, once the node is back


def ids_found(made: world.World, address: str) -> list[str]:
    """The ids of every letter in INBOX, each opened and read to its end."""
    person = made.persons[address]
    found: list[str] = []
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap:
        imap.select("INBOX", readonly=True)
        _, data = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
        stored = [item[1] for item in data if isinstance(item, tuple)]
    key = person.secret_key
    for letter in stored if key is None else opened_by_holder(stored, key, person.passphrase):
        match = re.search(rb"X-Essai: (\S+)", letter)
        assert match, "a torn letter"
        body = letter.decode("utf-8", "replace")
        assert body.count("arriver enti") == 60
        found.append(match[1].decode())
    return found


def opened_by_holder(stored: list[bytes], secret_key: Path, passphrase: str) -> list[bytes]:
    """Hundreds of letters at once, in this process: one gpg each would take minutes."""
    key = pysequoia.Tsk.from_bytes(secret_key.read_bytes())
    decryptor = key.decryptor(passphrase)
    return [pysequoia.decrypt(decryptor=decryptor, bytes=armored(letter)).bytes for letter in stored]


def armored(letter: bytes) -> bytes:
    begin = letter.index(b"-----BEGIN PGP MESSAGE-----")
    end = letter.index(b"-----END PGP MESSAGE-----") + 25
    return letter[begin:end]


@pytest.mark.timeout(600)
def test_killed_twenty_times_under_load_nothing_acknowledged_is_lost_or_comes_twice(
    fragile: tuple[world.World, world.NodeProcess],
) -> None:
    made, process = fragile
    sent, stop = Sent(), threading.Event()
    senders = [
        threading.Thread(target=send_until, args=(made, sent, f"s{number}", stop))
        for number in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    try:
        for _ in range(KILLS):
            sent.wait_for_more()
            time.sleep(random.uniform(0, 0.7))
            os.kill(process.pid, signal.SIGKILL)
            process.restart()
            process.wait_ready(made.ports)
        sent.wait_for_more()
    finally:
        stop.set()
        for sender in senders:
            sender.join(120)
    assert not any(sender.is_alive() for sender in senders)
    found = ids_found(made, world.GP) + ids_found(made, world.LABORATORY)
    assert len(found) == len(set(found)), "a letter came twice"
    assert sent.acknowledged <= set(found)
    assert len(sent.acknowledged) > KILLS
    result = made.command("check")
    assert result["faults"] == []
    assert not made.command("audit_verify")["broken"]
