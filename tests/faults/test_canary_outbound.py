"""Letters that leave are radioactive too: while they wait, are tried again, come back, and when the gate that opens
them or the whole node is killed, no word of them is in home, log, core or backup."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import thief
from deploy.demo.federation_bad import Manners
from deploy.demo.federation_world import Operator
from tests.faults.canaries import Canaries, disk_of
from tests.peers.federation import BAD, Federation, federation, wait

pytestmark = pytest.mark.faults

LETTERS = 8


@pytest.fixture
def made() -> Iterator[Federation]:
    with federation({"node": {"log_level": "DEBUG"}}) as found:
        yield found


def gates_process(operator: Operator) -> int | None:
    """The gate's process, a child of the node's."""
    assert operator.process is not None
    for folder in Path("/proc").iterdir():
        try:
            told = folder.joinpath("cmdline").read_bytes()
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == operator.process.pid and b"mail_server.outbound.egress.worker" in told:
            return int(folder.name)
    return None


def waiting(operator: Operator) -> list[dict[str, Any]]:
    return list(operator.command("queue_list", domain=BAD)["letters"])


def attempts(made: Federation) -> int:
    return sum(row["attempts"] for row in waiting(made.here))


def tried_again(made: Federation) -> None:
    """Each letter that waits was opened and handed over once more."""
    before = attempts(made)
    wait(lambda: attempts(made) >= before + LETTERS or None)


def test_no_word_of_a_letter_that_leaves_by_the_gate_is_left_anywhere(
    made: Federation, tmp_path: Path
) -> None:
    here, bad = made.here, made.bad[BAD]
    assert here.process is not None
    since = time.time() - 1
    canaries = Canaries()
    bad.manners = Manners(answers={"end": "451 4.3.0 not now"})
    for number in range(LETTERS):
        recipient = f"a{number}@{BAD}"
        size = 300_000 if number == 0 else 3_000
        here.send(made.claire, [recipient], canaries.letter(made.claire.address, recipient, attached=size))
    tried_again(made)

    # The gate dies as a program with a fault does, with letters in its hands; another takes its place.
    gone = wait(lambda: gates_process(here))
    os.kill(gone, signal.SIGSEGV)
    wait(lambda: ((found := gates_process(here)) and found != gone) or None)
    tried_again(made)

    # Some come back to their sender.
    bad.manners = Manners(answers={"end": "554 5.6.0 no"})
    returned = canaries.letter(made.claire.address, f"b@{BAD}")
    here.send(made.claire, [f"b@{BAD}"], returned)
    wait(lambda: not waiting(here) or None)

    # Others are on the wire when the node is killed.
    bad.manners = Manners(answers={"end": "451 4.3.0 not now"})
    for number in range(LETTERS):
        recipient = f"c{number}@{BAD}"
        here.send(made.claire, [recipient], canaries.letter(made.claire.address, recipient))
    tried_again(made)
    here.command("backup", to=str(tmp_path / "backup"), keystore_to=str(tmp_path / "apart" / "keystore.json"))
    os.kill(here.process.pid, signal.SIGKILL)
    places = [*disk_of(here, since), *Path("/").glob("core*"), tmp_path / "backup", tmp_path / "apart"]
    found = thief.search(places, canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how}" for one in found})

    # And every one of them arrives, once the node is back and the other side takes them.
    here.process.restart()
    here.process.wait_ready(here.ports)
    bad.manners = Manners()
    for number in range(LETTERS):
        taken = wait(
            lambda to=[f"c{number}@{BAD}"]: next((one for one in bad.taken if one.recipients == to), None)
        )
        assert b"canari-" in taken.data  # by the gate, in clear inside TLS
    found = thief.search([here.node, here.folder / "node.log"], canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how}" for one in found})
