"""Who comes in, who reads, who may write and what is told of it, on a node with PostgreSQL 15.

Each test asks one thing of all that lies in the database besides letters; the last one lets 400 days pass.
"""

from __future__ import annotations

import asyncio
import imaplib
import re
import shutil
import smtplib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.demo import clients, letters, sign_in, world
from deploy.demo.browser.page import PageClient, PageRefused
from deploy.node import config as configuration
from deploy.node import console_audit
from deploy.node.asking import command
from deploy.node.audit_verification import Database, Wishes, verify_now
from deploy.node.home import Home
from mail_server import mime
from policies.trust_list import names
from tests.peers import intruder
from tests.peers.test_ward import key_id, key_ids, opened

pytestmark = pytest.mark.peers

HOLDER = f"theo.vidal@{world.DOMAIN}"
READER = world.NURSE
FOLDER = f"Other Users/{HOLDER}"
FIN = f"fin@{world.DOMAIN}"
DAY = 86_400_000


@dataclass
class Town:
    made: world.World
    process: world.NodeProcess
    database: str = field(repr=False)
    holder: intruder.Someone = field(repr=False)
    page: PageClient = field(repr=False)  # the patient's

    @property
    def tls(self) -> Any:
        return clients.tls(self.made.ca)

    def mailbox(self, address: str, password: str = "") -> Any:
        known = password or self.made.persons[address].password
        return clients.mailbox(self.made.ports["imaps"], self.tls, address, known)

    def program(self, label: str, **bounds: Any) -> str:
        """A password for a mail program of the holder's."""
        asked = {"label": label, "protocols": ["imap"], "days": 9, **bounds}
        return str(self.holder.page.post("/api/app-passwords", asked)["password"])

    def write(self, sender: str, to: str, letter: letters.Letter, fields: bytes = b"", *more: str) -> None:
        password = self.made.persons[sender].password
        port = self.made.ports["submission"]
        clients.send_as_person(port, self.tls, sender, password, [to, *more], fields + letter.data)

    def told(self, action: str) -> list[dict[str, Any]]:
        return self.made.command("audit_show", limit=20, action=action, address=None, reference=None)


@pytest.fixture(scope="module")
def town(make_postgresql_database: Callable[..., str]) -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="vm-pgid-"))
    database = make_postgresql_database()
    sections = {
        "store": {"database": database, "inline_limit": 64 * 2**20},
        "limits": {"failed_login_delay": 0.0, "letters_per_hour": 6},
    }
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    try:
        holder, page = intruder.professional(made, HOLDER), PageClient(made.ports["http"])
        patient, person = made.patient, made.patient.person
        known = {"birth_date": person.birth_date, "last_five": person.last_five}
        page.enrol(patient.code, patient.password, patient.recovery, **known)
        yield Town(made, process, database, holder, page)
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_token_opens_its_own_mailbox_and_no_other(town: Town) -> None:
    token, port = town.made.identity.token(world.GP), town.made.ports["imaps"]
    with sign_in.mailbox_by_token(port, town.tls, world.GP, token) as imap:
        assert imap.select("INBOX")[0] == "OK"
    with (
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
        sign_in.mailbox_by_token(port, town.tls, world.DOCTOR, token),
    ):
        pass
    assert (town.told("login-failed")[-1]["who"], town.told("login-failed")[-1]["on"]) == (
        world.GP,
        world.DOCTOR,
    )


def test_a_program_s_password_opens_what_it_was_made_for_and_from_where(town: Town) -> None:
    here = town.program("ici", network="127.0.0.0/8")
    elsewhere = town.program("ailleurs", network="192.0.2.0/24")
    with town.mailbox(HOLDER, here) as imap:
        assert imap.noop()[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error), town.mailbox(HOLDER, elsewhere):
        pass
    port = town.made.ports["submission"]
    with pytest.raises(smtplib.SMTPAuthenticationError):
        clients.send_as_person(port, town.tls, HOLDER, here, [world.GP], b"")
    kept = {one["label"]: one for one in town.holder.page.get("/api/app-passwords")["passwords"]}
    assert kept["ici"]["lastUsed"]
    assert not kept["ailleurs"]["lastUsed"]


def test_a_delegate_reads_what_comes_and_the_past_once_it_was_given(town: Town) -> None:
    made = town.made
    past = [letters.note(world.HOSPITAL, HOLDER, f"Passé {number}", "x\n") for number in range(3)]
    for letter in past:
        intruder.write_as_hospital(made, HOLDER, letter.data)
    until = int(time.time() * 1000) + 9 * DAY
    told = town.holder.page.post(
        f"/api/readers/{town.holder.account}/{READER}",
        {"role": "delegate", "rights": "lrs", "until": until},
        method="PUT",
    )
    town.holder.page.post(f"/api/readers/{town.holder.account}/seen", {"perPerson": True}, method="PUT")
    now = letters.note(world.HOSPITAL, HOLDER, "Maintenant", "x\n")
    intruder.write_as_hospital(made, HOLDER, now.data)

    with town.mailbox(READER) as imap:
        rights = imap.myrights(f'"{FOLDER}"')[1][0].decode()
        assert re.search(r" \S*r\S*$", rights)
        assert not re.search(r" \S*[tw]\S*$", rights)
    assert opened(made, READER, newest(town)[-1]) == now.subject
    assert [key_id(made, READER) in key_ids(each) for each in newest(town)] == [False] * 3 + [True]
    assert town.holder.page.give_past(town.holder.account, told["person"]) == 3
    assert sorted(opened(made, READER, each) for each in newest(town)) == sorted(
        letter.subject for letter in [*past, now]
    )
    (entry,) = town.told("past-end")
    assert (entry["who"], entry["detail"]["count"]) == (HOLDER, "3")


def newest(town: Town) -> list[bytes]:
    with town.mailbox(READER) as imap:
        imap.select(f'"{FOLDER}"', readonly=True)
        data: list[Any] = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
    return [item[1] for item in data if isinstance(item, tuple)]


def test_what_the_delegate_has_seen_the_holder_has_not(town: Town) -> None:
    with town.mailbox(READER) as imap:
        imap.select(f'"{FOLDER}"')
        assert imap.store("1:*", "+FLAGS", "(\\Seen)")[0] == "OK"
        assert imap.search(None, "UNSEEN")[1] == [b""]
    with town.mailbox(HOLDER, town.program("lecture")) as imap:
        imap.select("INBOX")
        assert len(imap.search(None, "UNSEEN")[1][0].split()) == 4


def test_a_receipt_leaves_once_and_a_closed_exchange_takes_no_answer(town: Town) -> None:
    shown, page = town.made.patient.shown, town.page
    asked = letters.note(world.GP, shown, "Votre retour", "Comment allez-vous ?\n")
    town.write(world.GP, shown, asked, mime.header_field("Disposition-Notification-To", world.GP))
    (listed,) = page.letters()
    for _ in range(3):
        letter = page.open(listed)
    page.post("/api/receipts", {"account": page.session["account"]["id"], "email": listed["id"]})
    deadline = time.monotonic() + 120
    while not of_the_patient(town):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page.write(world.GP, "Re: Votre retour", "Bien.\n", answering=letter)
    closing = letters.note(world.GP, shown, "Fin", "Fin.\n", str(letter.inner["Message-ID"]))
    town.write(world.GP, shown, closing, mime.header_field("Cc", FIN), FIN)
    with pytest.raises(PageRefused):
        page.write(world.GP, "Encore", "x\n", answering=letter)
    account = page.session["account"]["id"]
    (told,) = page.get(f"/api/conversations?account={account}&email={listed['id']}")["conversations"]
    assert (told["open"], told["closedBy"], told["closedHow"]) == (False, world.GP, "fin-address")
    assert of_the_patient(town) == 2, "a receipt and an answer"
    assert len(town.told("receipt")) == 1


def of_the_patient(town: Town) -> int:
    with town.mailbox(world.GP) as imap:
        imap.select("INBOX", readonly=True)
        return len(imap.search(None, "FROM", f'"{town.made.patient.shown}"')[1][0].split())


def test_a_patient_blocks_a_professional_and_lets_them_in_again(town: Town) -> None:
    shown, letter = town.made.patient.shown, letters.note(world.DOCTOR, town.made.patient.shown, "x", "x\n")
    town.page.post("/api/blocks", {"address": world.DOCTOR})
    assert clients.refusal(lambda: town.write(world.DOCTOR, shown, letter)).startswith("550 5.7.1")
    why = town.made.command(
        "policies_explain", principal=world.DOCTOR, action="write_to", resource=shown, context=[]
    )
    assert (why["allowed"], why["rule"]) == (False, "write-to-blocked")
    town.page.request("DELETE", f"/api/blocks/{world.DOCTOR}")
    town.write(world.DOCTOR, shown, letter)


def test_an_operator_that_is_blocked_hands_nothing_over(town: Town) -> None:
    made, operator = town.made, town.made.operator
    context = clients.tls(made.ca, operator.certificate, operator.key)
    letter = letters.note(world.FOREIGN_DOCTOR, world.GP, "Avis", "Avis.\n")

    def hand_over() -> None:
        port = made.ports["smtp"]
        clients.send_as_operator(port, context, world.FOREIGN_DOCTOR, [world.GP], letter.data)

    der = x509.load_pem_x509_certificate(operator.certificate.read_bytes()).public_bytes(Encoding.DER)
    dn = names.subject_dn(der)
    made.command("operator_block", dn=dn, reason="essai")
    assert "5.7.1" in clients.refusal(hand_over)
    made.command("operator_unblock", dn=dn, reason="essai")
    hand_over()


def test_beyond_the_letters_of_an_hour_the_next_is_refused_with_the_time_to_come_back(town: Town) -> None:
    def write() -> None:
        town.write(READER, world.GP, letters.note(READER, world.GP, "x", f"{time.time_ns()}\n"))

    for _ in range(6):
        write()
    refused = clients.refusal(write)
    assert refused.startswith("450 4.7.1")
    assert "try again in" in refused


def test_the_trace_holds_and_is_handed_out(town: Town) -> None:
    made, until = town.made, int(time.time() * 1000) + DAY
    told = made.command("audit_verify", heads=made.command("audit_heads")["file"])
    assert (told["broken"], told["notices"]) == (None, [])
    assert told["heads"] >= 1
    found = made.command("audit_export", persons=[HOLDER], since=0, until=until, after=None)["entries"]
    assert {"read", "delegate-add", "past-begin", "past-end"} <= {row["action"] for row in found}
    assert READER in {row["who"] for row in found if row["action"] == "read"}
    lines = town.holder.page.request("GET", "/api/access-log.csv?lang=fr").decode().splitlines()
    assert len(lines) > 5
    assert town.holder.page.request("GET", "/api/access-log.pdf?lang=fr").startswith(b"%PDF")
    assert made.command("check")["faults"] == []


def test_what_the_trace_may_tell_no_longer_is_gone_from_the_database(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, later = town.made, int(time.time() * 1000) + 400 * DAY
    town.process.stop()
    monkeypatch.setattr(console_audit, "now", lambda: later)
    purged = asyncio.run(command(made.node, None, "audit_purge", {"dry_run": False}))
    technical, functional = purged["classes"]
    assert technical["emptied"] == technical["due"] > 10
    assert (functional["due"], technical["broken"]) == (0, None)
    settings = configuration.load(Home(made.node).config)
    wishes = Wishes(settings.policies.periods, later, settings.policies.audit_heads)
    (verdict,) = verify_now(Database(settings.store, made.node), wishes, lambda *_: None)
    assert verdict.whole, verdict.as_json()["breaks"]
    assert verdict.verification.purged == technical["emptied"]
    town.process.restart()
    town.process.wait_ready(made.ports)
    assert {row["action"] for row in town.told("login")} <= {"login"}
    left = made.command("audit_show", limit=500, action=None, address=HOLDER, reference=None)
    assert "read" in {row["action"] for row in left}
    assert "login" not in {row["action"] for row in left}
