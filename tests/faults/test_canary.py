"""Plaintext is radioactive: the words of 200 letters are nowhere on the disk, however written, also after kill -9.

Grows with every new path a letter may take through the node.
"""

from __future__ import annotations

import os
import secrets
import signal
import smtplib
import stat
import time
from pathlib import Path

import pytest

from deploy.demo import clients, letters, thief, world

pytestmark = pytest.mark.faults


class Canaries:
    """Letters that each carry a word of their own in subject, body and attachment."""

    def __init__(self) -> None:
        self.markers: list[str] = []

    def word(self) -> str:
        marker = f"canari-{secrets.token_hex(10)}"
        self.markers.append(marker)
        return marker

    def letter(self, sender: str, recipient: str, *, attached: int = 3_000) -> bytes:
        made = letters.report(
            sender, recipient, pdf_bytes=attached, patient=self.word(), closing=self.word(), title=self.word()
        )
        return made.data


def disk_of(made: world.World, since: float) -> list[Path]:
    """Where a run may leave bytes: the node's home and log, its keys' folder, and what is new under /tmp."""
    places = [made.node, made.folder / "node.log", made.folder / "kek"]
    for root in ("/tmp", "/var/tmp", "/dev/shm"):
        here = Path(root).stat().st_dev
        for folder, below, names in os.walk(root):
            inside = [Path(folder, name) for name in below]
            below[:] = [path.name for path in inside if path != made.folder and _device(path) == here]
            places += [path for name in names if _modified(path := Path(folder, name)) >= since]
    return places


def _device(path: Path) -> int:
    try:
        return path.lstat().st_dev
    except OSError:
        return -1


def _modified(path: Path) -> float:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_mtime if stat.S_ISREG(found.st_mode) else 0


def cut_in_the_middle_of_data(made: world.World, data: bytes) -> smtplib.SMTP_SSL:
    """A connection that has sent half of a letter; the node has it in memory."""
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    smtp = smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=20)
    smtp.ehlo("test")
    smtp.docmd("AUTH", "EXTERNAL =")
    smtp.mail(world.HOSPITAL)
    smtp.rcpt(world.GP)
    smtp.docmd("DATA")
    assert smtp.sock is not None
    smtp.sock.sendall(data[: len(data) * 3 // 4])
    return smtp


def test_no_word_of_200_letters_is_on_the_disk(
    fragile: tuple[world.World, world.NodeProcess], tmp_path: Path
) -> None:
    made, process = fragile
    since = time.time() - 1
    canaries = Canaries()
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    recipients = [world.GP, world.WARD, world.LABORATORY, world.IMAGING]
    with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60) as smtp:
        smtp.ehlo("test")
        smtp.docmd("AUTH", "EXTERNAL =")
        for number in range(180):
            recipient = recipients[number % 4]
            size = 200_000 if number % 20 == 0 else 3_000
            smtp.sendmail(
                world.HOSPITAL, [recipient], canaries.letter(world.HOSPITAL, recipient, attached=size)
            )
    gp = made.persons[world.GP]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), gp.address, gp.password) as imap:
        for _ in range(10):
            imap.append("Drafts", "(\\Draft)", "", canaries.letter(world.GP, world.WARD))
        imap.create(canaries.word())
    operator = clients.tls(made.ca, made.operator.certificate, made.operator.key)
    for _ in range(10):
        data = canaries.letter(world.FOREIGN_DOCTOR, world.GP)
        clients.send_as_operator(made.ports["smtp"], operator, world.FOREIGN_DOCTOR, [world.GP], data)
    refused = canaries.letter(world.GP, world.WARD)
    clients.refusal(
        lambda: clients.send_as_system(
            made.ports["submissions"], context, world.HOSPITAL, [world.WARD], refused
        )
    )
    half_sent = cut_in_the_middle_of_data(made, canaries.letter(world.HOSPITAL, world.GP, attached=500_000))
    made.command("backup", to=str(tmp_path / "backup"), keystore_to=None)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    half_sent.close()
    process.restart()
    process.wait_ready(made.ports)

    found = thief.search([*disk_of(made, since), tmp_path / "backup"], canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how}" for one in found})


def test_the_search_finds_a_word_in_every_spelling(tmp_path: Path) -> None:
    """The canary that cannot sing proves nothing."""
    import base64
    import quopri
    import zlib
    from email.header import Header

    marker = f"canari-é-{secrets.token_hex(10)}"
    raw = f"avant {marker} après".encode()
    spellings = {
        "raw": raw,
        "base64+0": base64.b64encode(raw),
        "base64+1": base64.b64encode(b"x" + raw),
        "base64+2": base64.b64encode(b"xx" + raw),
        "quoted-printable": quopri.encodestring(raw),
        "utf-16": raw.decode().encode("utf-16-le"),
        "deflated": zlib.compress(raw * 4),
        "base64 cut in lines": base64.encodebytes(b"." * 70 + raw * 3).replace(b"\n", b"\r\n"),
        "encoded words": Header(f"{'.' * 20}{marker}{'.' * 20}", "utf-8").encode().encode(),
        "quoted-printable cut in lines": quopri.encodestring(b"." * 60 + raw + b"." * 99),
    }
    for name, written in spellings.items():
        place = tmp_path / name
        place.write_bytes(b"\x00\x01" + written + b"\xff")
        assert thief.search([place], [marker]), name
