"""The disk fills up while letters are laid into the queue, settled and told of: what is answered 250 is not lost.

Both nodes live on a small disk of their own, which a ballast fills; the other operator's server does not.
"""

from __future__ import annotations

import smtplib
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.demo import letters
from deploy.demo.federation_bad import Manners
from tests.faults.test_outbound_kills import queued, told, whole
from tests.peers.federation import BAD, Federation, federation, wait

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

DISK = "96m"


@contextmanager
def small_disk() -> Generator[Path]:
    """A file system of its own; without the right to mount one there is nothing to test."""
    folder = Path(tempfile.mkdtemp(prefix="vm-full-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(ballast: Path) -> None:
    """To the last octet."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    if file.write(b"\xaa" * size) < size:
                        break
            except OSError:
                continue


def test_a_full_disk_loses_nothing_that_was_answered_and_heals_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with small_disk() as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with federation({"store": {"free_space_floor": 0}}) as two:
            monkeypatch.setattr(tempfile, "tempdir", None)
            filled_and_emptied(two, disk)


def filled_and_emptied(two: Federation, disk: Path) -> None:
    bad, here, claire = two.bad[BAD], two.here, two.claire
    acknowledged: set[str] = set()
    refused: Counter[int] = Counter()

    def send(number: int) -> None:
        mark = f"w0-{number:05d}"
        note = letters.note(claire.address, f"m{number}@{BAD}", f"essai {mark}", "Une ligne.\n" * 400).data
        data = (
            b"Message-ID: <"
            + mark.encode()
            + b"@essai.test>\r\n"
            + b"\r\n".join(line for line in note.split(b"\r\n") if not line.startswith(b"Message-ID:"))
        )
        try:
            here.send(claire, [f"m{number}@{BAD}"], data)
            acknowledged.add(mark)
        except smtplib.SMTPResponseException as answer:
            refused[answer.smtp_code] += 1
        except smtplib.SMTPException:
            refused[0] += 1

    bad.manners = Manners(answers={"end": "451 4.3.0 not now"})
    for number in range(6):
        send(number)
    ballast = disk / "ballast"
    fill(ballast)
    bad.manners = Manners()  # it takes what comes; but that it went out cannot be written down
    before, since = bad.connections, time.monotonic()
    for number in range(6, 36):
        send(number)
    time.sleep(2)
    assert refused, "the disk was full"
    assert set(refused) <= {451, 452, 454, 421}, refused
    seconds = time.monotonic() - since
    assert bad.connections - before < 40 + 4 * seconds, "a full disk is no reason to knock all the time"
    ballast.unlink()
    for number in range(36, 40):
        send(number)
    wait(lambda: not queued(here, "open") or None, 180)
    took = Counter(
        line[13:21].decode()
        for one in bad.taken
        for line in one.data.split(b"\r\n")
        if line.startswith(b"Message-ID: <w")
    )
    assert acknowledged <= set(took)
    unsure = sum(row["unsure"] for row in queued(here, "done", BAD))
    assert sum(took.values()) - len(took) <= unsure
    wanted = {(mark, "relayed") for mark in acknowledged}
    found = wait(lambda: found if wanted <= set(found := told(two)) else None, 180)
    assert [one for one, many in found.items() if many > 1] == []
    whole(here)
    print(
        f"{len(acknowledged)} answered 250, refused {dict(refused)}, {sum(took.values())} taken, {unsure} unsure"
    )
