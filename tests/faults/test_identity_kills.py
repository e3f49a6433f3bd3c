"""Kill -9 while receipts leave, the past is given, exchanges are closed and rights change: what was acknowledged holds.

One node, killed in each test at a moment that chance chooses; the trace and its heads outside are whole at the end.
"""

from __future__ import annotations

import contextlib
import http.client
import imaplib
import os
import random
import re
import shutil
import signal
import smtplib
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from deploy.demo import clients, letters, world
from deploy.demo.browser.page import PageClient, PageRefused
from deploy.node.control import CommandFailed, NodeDown
from mail_server import mime
from tests.peers import intruder
from tests.peers.test_ward import key_id, key_ids

pytestmark = pytest.mark.faults

HOLDER = f"theo.vidal@{world.DOMAIN}"
READER = world.NURSE
FIN = f"fin@{world.DOMAIN}"
GONE = (
    OSError,
    http.client.HTTPException,
    smtplib.SMTPException,
    imaplib.IMAP4.error,
    NodeDown,
    CommandFailed,
)


@dataclass
class Town:
    made: world.World
    process: world.NodeProcess
    page: PageClient = field(repr=False)  # the patient's
    holder: intruder.Someone = field(repr=False)

    def up_again(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.restart()
        self.process.wait_ready(self.made.ports)

    @contextlib.contextmanager
    def killed_once(self, so_far: Callable[[], bool], act: Callable[[], Any]) -> Generator[None]:
        """The act goes on in a thread of its own until the node is killed, a moment after it came `so_far`.

        The block runs once the node is back.
        """

        def acting() -> None:
            with contextlib.suppress(*GONE):
                act()

        thread = threading.Thread(target=acting)
        thread.start()
        while not so_far():
            assert thread.is_alive() or so_far(), "it ended before it came so far"
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.04))
        self.up_again()
        thread.join(180)
        assert not thread.is_alive()
        yield

    def mailbox(self, address: str) -> contextlib.AbstractContextManager[imaplib.IMAP4_SSL]:
        tls = clients.tls(self.made.ca)
        return clients.mailbox(self.made.ports["imaps"], tls, address, self.made.persons[address].password)

    def from_gp(self, letter: letters.Letter, fields: bytes = b"", more: tuple[str, ...] = ()) -> None:
        gp, shown = self.made.persons[world.GP], self.made.patient.shown
        clients.send_as_person(
            self.made.ports["submission"],
            clients.tls(self.made.ca),
            gp.address,
            gp.password,
            [shown, *more],
            fields + letter.data,
        )

    def read_by_gp(self) -> list[bytes]:
        """Every sealed letter of the doctor's INBOX, opened in this process."""
        with self.mailbox(world.GP) as imap:
            imap.select("INBOX", readonly=True)
            return opened_by(self.made.persons[world.GP], fetched(imap))

    def verified(self) -> dict[str, Any]:
        heads = self.made.command("audit_heads")["file"]
        return self.made.command("audit_verify", heads=heads)


def fetched(imap: imaplib.IMAP4_SSL) -> list[bytes]:
    data: list[Any] = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
    return [item[1] for item in data if isinstance(item, tuple)]


def opened_by(person: world.Person, stored: list[bytes]) -> list[bytes]:
    """In this process: a gpg for each would take too long."""
    assert person.secret_key is not None
    decryptor = pysequoia.Tsk.from_bytes(person.secret_key.read_bytes()).decryptor(person.passphrase)
    clear = [pysequoia.decrypt(decryptor=decryptor, bytes=_armored(each)).bytes for each in stored]
    return [bytes(each or b"") for each in clear]


def _armored(letter: bytes) -> bytes:
    return letter[letter.index(b"-----BEGIN PGP MESSAGE") : letter.index(b"-----END PGP MESSAGE-----") + 25]


def _id(letter: letters.Letter) -> str:
    return str(message_from_bytes(letter.data)["Message-ID"])


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="vm-idkills-"))
    sections = {"limits": {"failed_login_delay": 0.0}, "policies": {"audit_heads_every": 10}}
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    try:
        holder = intruder.professional(made, HOLDER)
        patient, page = made.patient, PageClient(made.ports["http"])
        person = patient.person
        page.enrol(
            patient.code,
            patient.password,
            patient.recovery,
            birth_date=person.birth_date,
            last_five=person.last_five,
        )
        yield Town(made, process, page, holder)
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_receipt_leaves_once_for_each_opening_that_was_answered(town: Town) -> None:
    sent = [letters.note(world.GP, town.made.patient.shown, f"Avis {n}", f"Avis {n}.\n") for n in range(12)]
    for letter in sent:
        town.from_gp(letter, mime.header_field("Disposition-Notification-To", world.GP))
    listed = town.page.letters()
    assert len(listed) == len(sent)
    answered: list[str] = []

    def open_all() -> None:
        for each in listed:
            if each["id"] not in opened:
                opened[each["id"]] = str(town.page.open(each).inner["Message-ID"])
                answered.append(opened[each["id"]])

    opened: dict[str, str] = {}
    with town.killed_once(lambda: len(answered) >= 4, open_all):
        before = set(answered)
    deadline = time.monotonic() + 180
    while not before <= set(told := told_to_gp(town)):
        assert time.monotonic() < deadline, "an opening that was answered is never told"
        time.sleep(0.3)
    # Those that are left; and killed while their receipts leave.
    with town.killed_once(lambda: len(opened) == len(sent), open_all):
        open_all()
    deadline = time.monotonic() + 180
    while not {_id(letter) for letter in sent} <= set(told := told_to_gp(town)):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    time.sleep(1)
    told = told_to_gp(town)
    assert sorted(told) == sorted(_id(letter) for letter in sent), "a receipt left twice"


def told_to_gp(town: Town) -> list[str]:
    """Message-IDs of the letters whose opening the doctor was told."""
    found = [re.search(rb"(?im)^Original-Message-ID:\s*(\S+)", each) for each in town.read_by_gp()]
    return [one[1].decode() for one in found if one]


class Noting(PageClient):
    """Takes five letters at a time, keeps which were acknowledged, and goes no further than it may: whoever waits for a
    number of them to kill the node may be late on a busy machine."""

    done: list[int]
    most = 1000

    def get(self, path: str) -> dict[str, Any]:
        return super().get(path.replace("limit=50", "limit=5"))

    def post(self, path: str, body: Any, method: str = "POST") -> dict[str, Any]:
        answer = super().post(path, body, method)
        if path.endswith("/letters"):
            self.done += answer["done"]
            if len(self.done) >= self.most:
                raise ConnectionAbortedError("far enough")
        return answer


def test_the_past_given_by_a_browser_goes_on_after_a_kill_and_loses_no_letter(town: Town) -> None:
    made, count = town.made, 60
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    with smtplib.SMTP_SSL("localhost", made.ports["submissions"], context=context, timeout=60) as smtp:
        smtp.ehlo("test")
        smtp.docmd("AUTH", "EXTERNAL =")
        for number in range(count):
            letter = letters.note(world.HOSPITAL, HOLDER, f"Résultat {number}", f"résultat-{number}\n")
            smtp.sendmail(world.HOSPITAL, [HOLDER], letter.data)
    made.command("delegate_add", address=HOLDER, person=READER, rights="lrs")
    browser = Noting(made.ports["http"])
    browser.done = []
    for name in ("_cookies", "_account_key", "_keys", "session"):
        setattr(browser, name, getattr(town.holder.page, name))
    (mine,) = [each for each in browser.get("/api/readers")["accounts"] if each["own"]]
    (reader,) = [each for each in mine["readers"] if each["address"] == READER]
    account, person = town.holder.account, reader["person"]

    for enough in (10, 25, 40):
        browser.most = enough + 10
        with town.killed_once(
            lambda enough=enough: len(browser.done) >= enough, lambda: browser.give_past(account, person)
        ):
            assert sealed_to(town).count({key_id(made, READER)}) >= len(set(browser.done))
    assert len(browser.done) < count, "it was killed too late to show anything"
    browser.most = 1000
    browser.give_past(account, person)
    assert sealed_to(town) == [{key_id(made, READER)}] * count
    assert made.command("check")["faults"] == []
    read = opened_by(made.persons[READER], stored_for(town))
    found = {match[0].decode() for each in read if (match := re.search(rb"sultat-\d+", each))}
    assert found == {f"sultat-{number}" for number in range(count)}
    ended = made.command("audit_show", limit=5, action="past-end", address=HOLDER, reference=None)
    assert [row["detail"]["count"] for row in ended] == [str(count)]


def stored_for(town: Town) -> list[bytes]:
    with town.mailbox(READER) as imap:
        imap.select(f'"Other Users/{HOLDER}"', readonly=True)
        return fetched(imap)


def sealed_to(town: Town) -> list[set[str]]:
    """Of each letter, for whom it is beside its holder; nobody is named twice."""
    found: list[set[str]] = []
    for stored in stored_for(town):
        ids = key_ids(stored)
        assert len(ids) == len(set(ids)) <= 2
        found.append(set(ids))
    own = {key for each in found for key in each} - {key_id(town.made, READER)}
    assert len(own) == 1
    return [each - own for each in found]


def test_an_exchange_whose_closing_was_answered_takes_no_answer_after_a_kill(town: Town) -> None:
    roots = [letters.note(world.GP, town.made.patient.shown, f"Suivi {n}", f"Suivi {n}.\n") for n in range(8)]
    for root in roots:
        town.from_gp(root)
    page = town.page
    found = {opened.subject: opened for opened in map(page.open, page.letters(limit=8))}
    asked = [found[root.subject] for root in roots]
    for one in asked[4:]:
        page.write(world.GP, f"Re: {one.subject}", "Oui.\n", answering=one)
    closed: list[str] = []
    moved: list[bytes] = []

    def by_copy() -> None:
        for one in asked[:4]:
            named = str(one.inner["Message-ID"])
            ending = letters.note(world.GP, town.made.patient.shown, "Fin", "Fin.\n", named)
            town.from_gp(ending, mime.header_field("Cc", FIN), (FIN,))
            closed.append(one.email_id)
            time.sleep(0.05)

    def by_moving() -> None:
        with town.mailbox(world.GP) as imap:
            imap.select("INBOX")
            _, data = imap.uid("SEARCH", "FROM", f'"{town.made.patient.shown}"')
            for uid in data[0].split()[-4:]:
                assert imap.uid("MOVE", uid.decode(), "Clos")[0] == "OK"
                moved.append(uid)
                time.sleep(0.05)  # whoever waits for two of them to kill the node gets their turn

    with town.mailbox(world.GP) as imap:
        imap.create("Clos")
    answers_in_inbox(town, 4)
    with town.killed_once(lambda: len(closed) >= 2, by_copy):
        assert_closed(town, closed)
    with town.killed_once(lambda: len(moved) >= 2, by_moving):
        open_left = [one for one in asked[4:] if conversation(town, one.email_id)["open"]]
        assert len(open_left) <= 4 - len(moved), "a letter lies in Clos and its exchange is open"
    by_copy()
    if len(moved) < 4:
        by_moving_the_rest(town, asked[4:])
    assert_closed(town, [one.email_id for one in asked])
    for one in (asked[0], asked[-1]):
        with pytest.raises(PageRefused, match="forbiddenToSend") as refused:
            page.write(world.GP, "Encore", "x\n", answering=one)
        assert world.GP in str(refused.value.answer), "who closed it is told"


def answers_in_inbox(town: Town, count: int) -> None:
    """The page's letters leave a moment after they were handed over."""
    deadline = time.monotonic() + 180
    with town.mailbox(world.GP) as imap:
        while True:
            imap.select("INBOX", readonly=True)
            if len(imap.uid("SEARCH", "FROM", f'"{town.made.patient.shown}"')[1][0].split()) >= count:
                return
            assert time.monotonic() < deadline, "the answers do not arrive"
            time.sleep(0.1)


def by_moving_the_rest(town: Town, asked: list[Any]) -> None:
    """What is still in INBOX of the four answers; what lies in Clos closed its exchange already."""
    with town.mailbox(world.GP) as imap:
        imap.select("Clos", readonly=True)
        there = len(imap.uid("SEARCH", "ALL")[1][0].split())
        assert sum(not conversation(town, one.email_id)["open"] for one in asked) == there
        imap.select("INBOX")
        _, data = imap.uid("SEARCH", "FROM", f'"{town.made.patient.shown}"')
        left = 4 - there
        for uid in data[0].split()[-left:] if left else []:
            assert imap.uid("MOVE", uid.decode(), "Clos")[0] == "OK"


def conversation(town: Town, email: str) -> dict[str, Any]:
    account = town.page.session["account"]["id"]
    (found,) = town.page.get(f"/api/conversations?account={account}&email={email}")["conversations"]
    return found


def assert_closed(town: Town, emails: list[str]) -> None:
    for email in emails:
        told = conversation(town, email)
        assert (told["open"], told["closedBy"]) == (False, world.GP)


def test_rights_blocks_and_passwords_that_were_acknowledged_are_there_after_a_kill(town: Town) -> None:
    made, page, holder = town.made, town.page, town.holder.page
    grant, block = Switch("delegate"), Switch("block")
    passwords: list[str] = []

    def grants() -> None:
        while True:
            grant.turn(
                lambda on: made.command(
                    "delegate_add" if on else "delegate_remove",
                    address=world.DOCTOR,
                    person=READER,
                    **({"rights": "lr"} if on else {}),
                )
            )

    def blocks() -> None:
        while True:
            block.turn(
                lambda on: (
                    page.post("/api/blocks", {"address": world.DOCTOR})
                    if on
                    else page.request("DELETE", f"/api/blocks/{world.DOCTOR}")
                )
            )

    def app_passwords() -> None:
        for number in range(6):
            asked = {"label": f"programme {number}", "protocols": ["imap"], "days": 9}
            passwords.append(holder.post("/api/app-passwords", asked)["password"])

    def all_at_once() -> None:
        threads = [threading.Thread(target=quietly(each)) for each in (grants, blocks, app_passwords)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    with town.killed_once(lambda: min(grant.turns, block.turns, len(passwords)) >= 2, all_at_once):
        readers = made.command("readers_show", address=world.DOCTOR)["readers"]
        grant.holds(any(READER in str(each) for each in readers))
        block.holds(any(each["address"] == world.DOCTOR for each in page.get("/api/blocks")["blocks"]))
        for password in passwords:
            with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), HOLDER, password) as imap:
                assert imap.noop()[0] == "OK"
    dn = "CN=smtp.ailleurs.test,O=AILLEURS,C=FR"
    made.command("operator_block", dn=dn, reason="essai")
    town.up_again()
    assert [each["dn"].lower() for each in made.command("operator_list") if dn.lower() in str(each).lower()]
    assert made.command("readers_show", address=HOLDER)["readers"]


def quietly(act: Callable[[], None]) -> Callable[[], None]:
    def acting() -> None:
        with contextlib.suppress(*GONE):
            act()

    return acting


class Switch:
    """Something turned on and off: where it stands, and where it may stand while an answer is missing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns = 0
        self.on = False
        self.asked: bool | None = None

    def turn(self, act: Callable[[bool], Any]) -> None:
        self.asked = not self.on
        act(self.asked)
        self.on, self.asked = self.asked, None
        self.turns += 1

    def holds(self, found: bool) -> None:
        assert found == self.on or found == self.asked, self.name


def test_the_heads_of_the_trace_hold_after_all_these_kills_and_a_torn_line_is_told(town: Town) -> None:
    told = town.verified()
    assert (told["broken"], told["findings"]) == (None, [])
    assert told["heads"] >= 10, "each start notes them"
    heads = Path(town.made.command("audit_heads")["file"])
    os.kill(town.process.pid, signal.SIGKILL)
    heads.write_bytes(heads.read_bytes()[:-70])  # what a power cut leaves of the last line
    town.process.restart()
    town.process.wait_ready(town.made.ports)
    told = town.verified()
    assert told["broken"] is None
    assert sum("begun and not ended" in each for each in told["notices"]) == 1
    assert town.made.command("check")["faults"] == []
    assert intruder.faults(town.made) == []
