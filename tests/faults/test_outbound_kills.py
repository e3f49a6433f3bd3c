"""Kill -9 of either side while letters leave: nothing answered 250 is lost, and what comes twice is counted.

Three parties: an operator whose people write without a pause, a second node of ours, and a server of another make that
remembers through any kill what it took. Each is killed at random moments, with letters on the wire.
"""

from __future__ import annotations

import os
import random
import re
import signal
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pysequoia
import pytest

from deploy.demo import clients, letters
from deploy.demo.federation_world import Commons, Operator
from deploy.demo.world import Person
from tests.faults.receiver import Receiver, free_port
from tests.faults.test_kill import armored
from tests.peers.federation import NOBODY, THERE, Federation, federation, lying, wait

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("VAGUEMESTRE_OUTBOUND_KILLS", "9"))  # 100 were run for the release
LASTING = "mss.durable.test"
PAUSE = 0.08  # between two letters of one writer
_ID = re.compile(rb"^Message-ID:\s*<([^>@]+)@", re.IGNORECASE | re.MULTILINE)


@dataclass
class Writer:
    """A mail program that keeps a connection, and sends again what was not answered 250."""

    operator: Operator
    person: Person
    name: str
    recipients: tuple[str, ...]  # of its letters in turn; {} is the letter's number
    acknowledged: dict[str, str] = field(default_factory=dict[str, str])  # by mark: to whom
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            try:
                with self._connected() as smtp:
                    while not self.stop.is_set():
                        mark = f"{self.name}-{number:05d}"
                        recipient = self.recipients[number % len(self.recipients)].format(number)
                        smtp.sendmail(self.person.address, [recipient], self._letter(mark, recipient))
                        self.acknowledged[mark] = recipient
                        number += 1
                        time.sleep(PAUSE)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)

    def _letter(self, mark: str, recipient: str) -> bytes:
        note = letters.note(self.person.address, recipient, f"essai {mark}", "Une ligne.\n" * 40).data
        fixed = re.sub(rb"(?m)^Date:.*$", b"Date: Sun, 22 Nov 2026 09:00:00 +0000\r", note)
        return re.sub(rb"(?m)^Message-ID:.*$", f"Message-ID: <{mark}@essai.test>\r".encode(), fixed)

    @contextmanager
    def _connected(self) -> Generator[smtplib.SMTP]:
        with smtplib.SMTP("localhost", self.operator.ports["submission"], timeout=60) as smtp:
            smtp.starttls(context=clients.tls(self.operator.commons.ca))
            smtp.login(self.person.address, self.person.password)
            yield smtp


@contextmanager
def trio() -> Generator[tuple[Federation, Receiver]]:
    port, made = free_port(), list[Receiver]()

    def admit(commons: Commons) -> None:
        leaf = commons.operator(LASTING, 40)
        commons.admit(leaf.dn, LASTING)
        made.append(Receiver(port, commons.folder, leaf.write(commons.folder, "lasting"), commons.bundle))

    with federation(also={LASTING: {"smtp": port, "https": NOBODY}}, rows=admit, bad={}) as two:
        made[0].start()
        try:
            yield two, made[0]
        finally:
            made[0].kill()


def killed(operator: Operator) -> None:
    assert operator.process is not None
    os.kill(operator.process.pid, signal.SIGKILL)
    operator.process.restart()
    operator.process.wait_ready(operator.ports)


def marks(stored: list[bytes]) -> Counter[str]:
    return Counter(found[1].decode() for one in stored if (found := _ID.search(one)) is not None)


def told(two: Federation) -> Counter[tuple[str, str]]:
    """What the sender's reports say: (mark of the letter, action)."""
    secret = two.claire.secret_key
    assert secret is not None
    decryptor = pysequoia.Tsk.from_bytes(secret.read_bytes()).decryptor(two.claire.passphrase)
    found: Counter[tuple[str, str]] = Counter()
    for stored in lying(two.here, two.claire):
        if b"-----BEGIN PGP MESSAGE-----" not in stored:
            continue
        report = pysequoia.decrypt(decryptor=decryptor, bytes=armored(stored)).bytes or b""
        about = re.search(rb"(?m)^Message-ID:\s*<(w\d-\d+)@", report)
        action = re.search(rb"(?m)^Action: (\w+)", report)
        if about and action:
            found[about[1].decode(), action[1].decode()] += 1
    return found


def queued(operator: Operator, state: str, domain: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        answer = operator.command("queue_list", state=state, domain=domain, after=after, limit=1000)
        found += answer["letters"]
        after = answer["next"]
    return found


def named(operator: Operator, domain: str) -> Counter[str]:
    """By address: how often the sender says that a letter may have arrived without its knowing."""
    found: Counter[str] = Counter()
    for row in queued(operator, "done", domain):
        if row["unsure"]:
            for each in operator.command("queue_addresses", number=row["id"])["recipients"]:
                found[each["address"]] += each["possibly_twice"]
    return found


def whole(operator: Operator) -> None:
    checked = operator.command("check")
    assert checked["faults"] == []
    assert not operator.command("audit_verify")["broken"]


@pytest.mark.timeout(600 + 12 * KILLS)
def test_nothing_acknowledged_is_lost_and_what_comes_twice_is_counted() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with trio() as (two, receiver):
        writers = [
            Writer(two.here, two.claire, "w0", (two.marc.address, two.yves.address, f"absent{{}}@{THERE}")),
            Writer(two.here, two.claire, "w1", (f"m{{}}@{LASTING}",)),
        ]
        threads = [threading.Thread(target=each.run) for each in writers]
        for each in threads:
            each.start()
        struck: Counter[str] = Counter()
        try:
            for number in range(KILLS):
                each_writes_more(writers)
                time.sleep(chance.uniform(0, 0.8))
                whom = ("here", "receiver", "there", "receiver")[number % 4]
                struck[whom] += 1
                if whom == "receiver":
                    receiver.kill()
                    time.sleep(chance.uniform(0, 0.3))
                    receiver.start()
                else:
                    killed(two.here if whom == "here" else two.there)
            each_writes_more(writers)
        finally:
            for each in writers:
                each.stop.set()
            for each in threads:
                each.join(120)
        assert not any(each.is_alive() for each in threads)
        wait(lambda: not queued(two.here, "open") or None, 180)
        arrived_nowhere_twice_unnamed(two, receiver, writers, struck)


def each_writes_more(writers: list[Writer]) -> None:
    """However slow the machine, each has some letters answered between two kills."""
    before = [len(each.acknowledged) for each in writers]
    wait(
        lambda: (
            all(len(each.acknowledged) > now + 1 for each, now in zip(writers, before, strict=True)) or None
        ),
        180,
    )


def arrived_nowhere_twice_unnamed(
    two: Federation, receiver: Receiver, writers: list[Writer], struck: Counter[str]
) -> None:
    acknowledged = {mark: to for each in writers for mark, to in each.acknowledged.items()}
    assert len(acknowledged) >= 4 * KILLS

    # At the server of another make: at least once, and twice only where the sender says so.
    took = receiver.took()
    lasting = {mark for mark, to in acknowledged.items() if to.endswith(LASTING)}
    assert lasting <= {one.partition("@")[0] for one in took}
    unsure = named(two.here, LASTING)
    twice = {one: many - 1 for one, many in took.items() if many > 1}
    for one, more in twice.items():
        number = int(one.partition("@")[0].partition("-")[2])
        assert more <= unsure[f"m{number}@{LASTING}"], one
    assert sum(twice.values()) <= unsure.total()

    # At our own: each once, however often it was sent, for a letter of the last 24 hours is known again.
    filed = marks(lying(two.there, two.marc)) + marks(lying(two.there, two.yves))
    ours = {mark for mark, to in acknowledged.items() if to in (two.marc.address, two.yves.address)}
    assert ours <= set(filed)
    assert [mark for mark, many in filed.items() if many > 1] == []
    entries = two.there.command("audit_show", limit=10_000, action="deliver", address=None, reference=None)
    again = sum(row["outcome"] == "already-filed" for row in entries)
    assert again <= named(two.here, THERE).total()

    # Who is nowhere was told of, once; so was each letter that left in clear by the gate.
    absent = {mark for mark, to in acknowledged.items() if to.startswith("absent")}
    gated = {mark for mark, to in acknowledged.items() if to == two.marc.address} | lasting

    def reports() -> Counter[tuple[str, str]] | None:
        found = told(two)
        wanted = {(mark, "failed") for mark in absent} | {(mark, "relayed") for mark in gated}
        return found if wanted <= set(found) else None

    found = wait(reports, 180)
    assert [one for one, many in found.items() if many > 1] == []
    whole(two.here)
    whole(two.there)
    print(
        f"{struck.total()} kills {dict(struck)}: {len(acknowledged)} letters answered 250; other make: {len(lasting)},"
        f" {sum(twice.values())} twice, {unsure.total()} named possibly twice; ours: {len(ours)},"
        f" {again} known again, {named(two.here, THERE).total()} named; {len(absent)} failures told"
    )
