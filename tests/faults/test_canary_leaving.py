"""Every way a letter takes between operators, with each word of it, and each patient's number, looked for afterwards.

Sealed, by the gate, by the gate from the page, put off, come back, told of, sent on under ARC, handed in by JMAP, and
noticed at an ordinary address; the gate's process is killed in between, and both nodes. Homes and logs (at DEBUG), the
trace, the queue as administrators see it, metrics, figures, backups and cores hold none of it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from deploy.demo import clients, letters, thief, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from deploy.demo.federation_bad import Manners
from deploy.demo.federation_world import Operator
from deploy.demo.world import Person
from mail_server import mime
from tests.faults.canaries import Canaries, disk_of, invented, space_of
from tests.faults.receiver import free_port
from tests.faults.test_canary_outbound import gates_process
from tests.faults.test_canary_record import by_jmap
from tests.mail_server.outbound.egress.test_gate import SCAN
from tests.peers.federation import BAD, THERE, Federation, federation, lying, wait
from tests.webmail.vectors import record_letters as made_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

PORT_OF_NOTICES = free_port()
ROOT = Path(__file__).parents[2]
ELSEWHERE = "quelquun@exemple.test"


class Marked(Canaries):
    """Words that all begin with one stem, by which all are looked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = f"canari-{secrets.token_hex(8)}"

    def word(self) -> str:
        self.markers.append(f"{self.stem}{secrets.token_hex(4)}")
        return self.markers[-1]

    @property
    def sought(self) -> list[str]:
        return [self.stem, *(one for one in self.markers if not one.startswith(self.stem))]


class Smarthost:
    """An ordinary mail server, which sees notices alone."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(bytes(envelope.content))
        return "250 OK"


@dataclass
class Leaving:
    two: Federation
    canaries: Marked
    since: float
    patient: world.Space
    their_patient: world.Space
    page: PageClient

    def letter(self, sender: str, recipient: str) -> bytes:
        return self.canaries.letter(sender, recipient)

    def killed(self, operator: Operator) -> None:
        assert operator.process is not None
        os.kill(operator.process.pid, signal.SIGKILL)
        operator.process.restart()
        operator.process.wait_ready(operator.ports)

    def arrives(self, operator: Operator, person: Person, before: int, more: int = 1) -> None:
        wait(lambda: len(lying(operator, person)) >= before + more or None, 180)


@pytest.fixture(scope="module")
def leaving() -> Iterator[Leaving]:
    notices = {
        "smarthost": "127.0.0.1", "port": PORT_OF_NOTICES, "security": "none",
        "sender": "ne-pas-repondre@exemple.test", "delay_minutes": 0.001,
    }  # fmt: skip
    since = time.time() - 1
    with federation({"node": {"log_level": "DEBUG"}, "notices": notices}) as two:
        canaries = Marked()
        spaces = [space_of(each, invented(canaries)) for each in (two.here, two.there)]  # type: ignore[arg-type]
        canaries.mark(*(space.person.matricule for space in spaces))
        page = PageClient(two.here.ports["http"])
        ours, theirs = spaces
        password, recovery = canaries.word(), derivations.new_recovery_code()
        page.enrol(
            ours.code, password, recovery, birth_date=ours.person.birth_date, last_five=ours.person.last_five
        )
        yield Leaving(two, canaries, since, ours, theirs, page)


def test_no_word_of_what_leaves_and_no_number_of_a_patient_is_left_anywhere(
    leaving: Leaving, tmp_path: Path
) -> None:
    two, canaries = leaving.two, leaving.canaries
    here, there, bad = two.here, two.there, two.bad[BAD]
    claire, marc = two.claire, two.marc
    host = Smarthost()
    door = Controller(host, hostname="127.0.0.1", port=PORT_OF_NOTICES)
    door.start()
    try:
        bad.manners = Manners(answers={"end": "451 4.3.0 not now"})
        sealed_gated_and_told(leaving)
        to_and_from_patients(leaving)
        sent_on(leaving)
        by_jmap(
            as_ward(two, here), claire.address, marc.address, leaving.letter(claire.address, marc.address)
        )
        by_jmap(as_ward(two, here), claire.address, f"j@{BAD}", leaving.letter(claire.address, f"j@{BAD}"))
        wait(lambda: host.taken or None, 180)
    finally:
        door.stop()
    assert thief.told(b"\n".join(host.taken), canaries.sought) == set()

    # What waits is opened again and again; then the node is killed with it in hand, and so is the other.
    before = attempts(two)
    assert before
    wait(lambda: all(now > before[row] for row, now in attempts(two).items() if row in before) or None)
    leaving.killed(here)
    leaving.killed(there)
    for operator in (here, there):
        operator.command("backup", to=str(tmp_path / f"backup-{operator.domain}"), keystore_to=None)

    shown = what_is_shown(here) + what_is_shown(there)
    assert thief.told(shown, canaries.sought) == set()
    assert len(canaries.markers) > 40
    # The other node and the backups are among what is new under /tmp.
    places = [*disk_of(here, leaving.since), *Path("/").glob("core*")]
    assert {there.node / "mail.db", *tmp_path.glob("backup-*/mail.db")} <= set(places)
    found = thief.search(places, canaries.sought)
    assert found == [], sorted({f"{one.path.name}: {one.how} {one.marker[:40]}" for one in found})

    # All of it was a letter to somebody, and the last of it arrives now.
    bad.manners = Manners()
    wait(lambda: not here.command("queue_list")["letters"] or None, 180)
    taken = b"".join(one.data for one in bad.taken)
    assert len(thief.told(taken, canaries.markers)) >= 6
    found = thief.search([here.node, here.folder / "node.log"], canaries.sought)
    assert found == [], sorted({f"{one.path.name}: {one.how} {one.marker[:40]}" for one in found})


def attempts(two: Federation) -> dict[int, int]:
    """By letter that waits for the server that puts off."""
    return {row["id"]: row["attempts"] for row in two.here.command("queue_list", domain=BAD)["letters"]}


def shown_at(operator: Operator, space: world.Space) -> str:
    return f"{space.person.matricule}@patient.{operator.domain}"


def as_ward(two: Federation, operator: Operator) -> Any:
    """What `by_jmap` looks at."""
    made = SimpleNamespace(persons=operator.persons, ports=operator.ports)
    return SimpleNamespace(made=made, tls=clients.tls(two.commons.ca))


def sealed_gated_and_told(leaving: Leaving) -> None:
    """Sealed with success asked for, by the gate, put off, refused; each but one is told to its sender."""
    two = leaving.two
    here, claire, yves, marc = two.here, two.claire, two.yves, two.marc
    told = len(lying(here, claire))
    with smtplib.SMTP("localhost", here.ports["submission"], timeout=60) as smtp:
        smtp.starttls(context=clients.tls(two.commons.ca))
        smtp.login(claire.address, claire.password)
        for recipient in (yves.address, f"absent@{THERE}"):
            smtp.sendmail(
                claire.address, [recipient], leaving.letter(claire.address, recipient),
                mail_options=["RET=FULL", "ENVID=essai"], rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
            )  # fmt: skip
    here.send(claire, [marc.address], leaving.letter(claire.address, marc.address))
    both = [yves.address, marc.address]
    here.send(claire, both, leaving.letter(claire.address, ", ".join(both)))
    for number in range(3):
        here.send(claire, [f"a{number}@{BAD}"], leaving.letter(claire.address, f"a{number}@{BAD}"))
    leaving.arrives(here, claire, told, 4)


def to_and_from_patients(leaving: Leaving) -> None:
    """Ours hears of two, reads, has a receipt sent, answers sealed and by the gate; theirs is written to."""
    two, page = leaving.two, leaving.page
    here, there = two.here, two.there
    shown = shown_at(here, leaving.patient)
    here.command("account_notice_address", address=leaving.patient.address, notice=ELSEWHERE)
    asked = mime.header_field("Disposition-Notification-To", two.yves.address)
    there.send(two.yves, [shown], asked + leaving.letter(two.yves.address, shown))
    there.send(two.marc, [shown], leaving.letter(two.marc.address, shown))
    wait(lambda: len(page.letters()) >= 2 or None, 180)
    before = {person.address: len(lying(there, person)) for person in (two.yves, two.marc)}
    here.command("queue_hold", domain=THERE, reason="essai")  # so that they wait when the node is killed
    for email in page.letters():
        letter = page.open(email)
        word = leaving.canaries.word()
        assert any(one in letter.subject for one in leaving.canaries.markers)
        writer = next(one for one in (two.yves, two.marc) if one.address in str(letter.inner["From"]))
        page.write(writer.address, word, leaving.canaries.word(), answering=letter)
    there_s = shown_at(there, leaving.their_patient)
    here.send(two.claire, [there_s], leaving.letter(two.claire.address, there_s))
    their_certificate(leaving, there_s)
    absent = f"1{secrets.randbelow(10**14):014d}"
    leaving.canaries.mark(absent)
    here.send(two.claire, [f"{absent}@patient.{THERE}"], leaving.letter(two.claire.address, there_s))
    gate = wait(lambda: gates_process(here))
    os.kill(gate, signal.SIGKILL)
    leaving.killed(here)
    here.command("queue_release", domain=THERE)
    for person in (two.yves, two.marc):
        leaving.arrives(there, person, before[person.address])


def their_certificate(leaving: Leaving, address: str) -> None:
    """Their patient has a key from now on: over mutual TLS it is asked for, and a letter that must be sealed goes."""
    two, canaries, person = leaving.two, leaving.canaries, leaving.their_patient.person
    page, recovery = PageClient(two.there.ports["http"]), derivations.new_recovery_code()
    page.enrol(
        leaving.their_patient.code, canaries.word(), recovery, birth_date=person.birth_date,
        last_five=person.last_five,
    )  # fmt: skip
    found = two.here.command("key_peer", address=address, refresh=True)
    assert (found["state"], found["held_by"]) == ("valid", "holder")
    local, _, domain = address.partition("@")
    two.here.send(two.claire, [f"{local}+sealed@{domain}"], leaving.letter(two.claire.address, address))
    wait(lambda: any(one["guard"] == "sealed" for one in page.letters()) or None, 180)


def sent_on(leaving: Leaving) -> None:
    """A document to a service of theirs, which sends it on under ARC to a program of ours, which verifies both."""
    two, canaries = leaving.two, leaving.canaries
    program = two.here.person("logiciel", "Logiciel", "Essai")
    service = two.there.service("accueil", two.yves.address)
    two.there.command("account_forward", address=service, target=program.address)
    entry = made_of.entry("1.2.250.1.999.5", title=canaries.word())
    archive = made_of.archive((entry, b"x" + canaries.word().encode()))
    data = made_of.letter(
        made_of.zip_part(archive, f"{canaries.word()}.zip"), subject=f"XDM/1.0/DDM+{canaries.word()}",
        sender=two.claire.address, to=service, more=f"X-MSS-CODECDA: {canaries.word()}\r\n",
    )  # fmt: skip
    two.here.send(two.claire, [service], data)
    leaving.arrives(two.here, program, 0)
    assert b"arc=pass" in lying(two.here, program)[0]


def what_is_shown(operator: Operator) -> bytes:
    """The queue, the trace, metrics, figures and standing, as administrators of the machine see them."""
    asked: dict[str, dict[str, Any]] = {
        "queue_domains": {}, "queue_standing": {}, "check": {}, "trust_list_show": {}, "egress_show": {},
        "audit_show": {"limit": 1000, "action": None, "address": None, "reference": None},
        "operator_statistics": {"month": time.strftime("%Y-%m")},
    }  # fmt: skip
    told = [operator.command(name, **arguments) for name, arguments in asked.items()]
    for state in ("open", "done"):
        rows = operator.command("queue_list", state=state)["letters"]
        told += [rows, *(operator.command("queue_show", number=row["id"]) for row in rows)]
    actions = {row["action"] for row in told[list(asked).index("audit_show")]}
    assert operator.domain != THERE or "certificate-lookup" in actions
    cli = [sys.executable, "-m", "deploy.node.cli", "queue", "list", "--home", str(operator.node)]
    listed = subprocess.run(cli, capture_output=True, check=True, cwd=ROOT).stdout
    with urllib.request.urlopen(
        f"http://127.0.0.1:{operator.ports['metrics']}/metrics", timeout=60
    ) as answer:
        metrics = answer.read()
    assert b"vaguemestre_outbound_" in metrics
    return json.dumps(told).encode() + listed + metrics


def test_letters_wait_while_the_gate_is_killed_and_no_other_process_ever_has_its_key(
    leaving: Leaving,
) -> None:
    two, here, bad = leaving.two, leaving.two.here, leaving.two.bad[BAD]
    bad.manners = Manners()
    names: list[str] = []
    enough = threading.Event()

    def write() -> None:
        """Until the gate was killed often enough: how soon another is there is the machine's."""
        while len(names) < 12 or not enough.is_set():
            name = f"g{len(names)}@{BAD}"
            here.send(two.claire, [name], letters.note(two.claire.address, name, "Essai", "Bonjour.\n").data)
            names.append(name)

    writing = threading.Thread(target=write)
    writing.start()
    gone: set[int] = set()
    deadline = time.monotonic() + 180
    try:
        while len(gone) < 3:
            assert writing.is_alive()
            assert time.monotonic() < deadline, "no other gate takes its place"
            gate = gates_process(here)
            if gate is not None and gate not in gone:
                os.kill(gate, signal.SIGKILL)
                gone.add(gate)
            time.sleep(0.05)
    finally:
        enough.set()
        writing.join()
    wait(lambda: not here.command("queue_list", domain=BAD)["letters"] or None, 180)
    took = [one.recipients for one in bad.taken if one.recipients[0].startswith("g")]
    assert sorted(took) == sorted([name] for name in names), "each once: what was not opened was not sent"

    gate = wait(lambda: gates_process(here))
    others = [each for each in descendants(here) if each != gate]
    assert len(others) >= 2, "the node, and its processes that seal, read and verify"
    told = [sys.executable, "-c", SCAN, str(here.folder / "kek" / "node.kek"), str(here.node)]
    scanned = subprocess.run(
        [*told, *map(str, [gate, *others])], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if "PermissionError" in scanned.stderr:
        pytest.skip("who runs the tests may not look into a process")
    held, *elsewhere = map(int, scanned.stdout.split())
    assert held > 0
    assert elsewhere == [0] * len(others)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_not_even_the_user_who_runs_the_gate_may_look_into_it() -> None:
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"]
    (link, its_link), (beside, its_beside) = socket.socketpair(), socket.socketpair()
    passed = (its_link.fileno(), its_beside.fileno())
    worker = [
        sys.executable,
        "-m",
        "mail_server.outbound.egress.worker",
        *map(str, passed),
        "1024",
        "64",
        "0",
    ]

    def looked(process: int) -> list[str]:
        return [
            name
            for name in ("environ", "maps", "mem", "auxv")
            if not subprocess.run(
                [*nobody, "head", "-c", "0", f"/proc/{process}/{name}"], capture_output=True, check=False
            ).returncode
        ]

    with link, its_link, beside, its_beside:
        gate = subprocess.Popen([*nobody, *worker], pass_fds=passed, cwd=ROOT)
        other = subprocess.Popen([*nobody, "sleep", "60"])
        try:
            assert link.recv(1), "it is ready to be told where its key lies"
            assert "environ" in looked(other.pid)
            assert looked(gate.pid) == []
            limits = Path(f"/proc/{gate.pid}/limits").read_text()
            assert next(line.split()[4:6] for line in limits.splitlines() if "core file" in line) == [
                "0",
                "0",
            ]
        finally:
            for each in (gate, other):
                each.kill()
                each.wait()


def descendants(operator: Operator) -> list[int]:
    """The node's process and all below it."""
    assert operator.process is not None
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [operator.process.pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found
