"""Documents, mornings, copies, wakes and classes on a node with PostgreSQL 15, asked by the real command line."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.demo import clients, sign_in, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient
from tests.nights import Night, plain_pdf
from tests.peers import intruder
from tests.webmail.vectors import record_letters as made_of

pytestmark = pytest.mark.peers


@dataclass
class Town:
    made: world.World
    process: world.NodeProcess
    database: str
    page: PageClient  # the patient's

    def cli(self, *arguments: str, fails: int = 0) -> Any:
        """The real command, as an operator types it."""
        command = [
            sys.executable,
            "-m",
            "deploy.node.cli",
            *arguments,
            "--home",
            str(self.made.node),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, timeout=240)
        assert done.returncode == fails, done.stderr.decode()
        return json.loads(done.stdout) if done.stdout.strip() else None

    def hospital_sends(self, to: str, data: bytes) -> None:
        intruder.write_as_hospital(self.made, to, data)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(sql).fetchall()  # pyright: ignore

    def robot_s(self) -> list[Any]:
        """Every letter of the software's inbox, as a robot reads them over IMAP."""
        robot = self.made.persons[world.LABORATORY]
        tls = clients.tls(self.made.ca)
        with clients.mailbox(self.made.ports["imaps"], tls, world.LABORATORY, robot.password) as imap:
            imap.select("INBOX", readonly=True)
            data: list[Any] = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
        return [message_from_bytes(one[1], policy=policy.default) for one in data if isinstance(one, tuple)]


@pytest.fixture(scope="module")
def town(make_postgresql_database: Callable[..., str]) -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="vm-pgrec-"))
    database = make_postgresql_database()
    sections = {
        "store": {"database": database, "inline_limit": 64 * 2**20},
        "limits": {"failed_login_delay": 0.0},
    }
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    try:
        page, patient, person = PageClient(made.ports["http"]), made.patient, made.patient.person
        known = {"birth_date": person.birth_date, "last_five": person.last_five}
        page.enrol(patient.code, patient.password, patient.recovery, **known)
        yield Town(made, process, database, page)
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def document(to: str, unique: str, **changes: object) -> bytes:
    return made_of.letter(
        made_of.zip_part(made_of.one_document(unique, **changes)),
        subject="XDM/1.0/DDM+Bilan VASARELY Apolline",
        sender=world.HOSPITAL,
        to=to,
        more=f"X-Number: {unique}\r\n",
    )


def test_a_document_is_sealed_with_its_manifest_and_found_by_its_class(town: Town) -> None:
    shown = town.made.patient.shown
    town.hospital_sends(shown, document(shown, "1.2.250.1.999.40.1"))
    told = made_of.letter(
        made_of.calendar_part(made_of.calendar(made_of.event())), sender=world.HOSPITAL, to=shown
    )
    town.hospital_sends(shown, told)
    found = {
        name: [town.page.summary(line)["manifest"]["items"][0]["kind"] for line in of_class(town.page, name)]
        for name in ("record", "agenda")
    }
    assert found == {"record": ["document"], "agenda": ["appointment"]}
    assert of_class(town.page, "message") == []


def of_class(page: PageClient, name: str) -> list[dict[str, Any]]:
    (asked,) = page.call(("Email/query", {"filter": {"class": name}, "calculateTotal": True}))
    assert asked["total"] == len(asked["ids"])
    (got,) = page.call(("Email/get", {"ids": asked["ids"], "properties": ["id", "class", "sealedSummary"]}))
    assert {each["class"] for each in got["list"]} <= {name}
    return got["list"]


def test_what_one_keeps_for_oneself_is_imported_with_its_class_and_removed_again(town: Town) -> None:
    kept = keep(town.page, "agenda")
    assert kept in {one["id"] for one in of_class_ids(town.page, "agenda")}
    town.page.call(("Email/set", {"destroy": [kept]}))
    assert kept not in {one["id"] for one in of_class_ids(town.page, "agenda")}


def of_class_ids(page: PageClient, name: str) -> list[dict[str, Any]]:
    (asked,) = page.call(("Email/query", {"filter": {"class": name}}))
    (got,) = page.call(("Email/get", {"ids": asked["ids"], "properties": ["id", "class"]}))
    return got["list"]


def keep(page: PageClient, kind: str, entity: bytes = b"Content-Type: text/plain\r\n\r\nx\r\n") -> str:
    """A letter to oneself, as the page keeps an entry of one's own."""
    shown, account = page.session["account"]["shown"], page.session["account"]["id"]
    message = page._composed(shown, "x", entity, None, [page.own_certificate()])
    uploaded = json.loads(page.request("POST", f"/jmap/upload/{account}/", message, "message/rfc822"))
    wanted = {
        "blobId": uploaded["blobId"], "mailboxIds": {page.mailbox("archive"): True},
        "keywords": {"$seen": True, "vaguemestre-own": True}, "class": kind,
    }  # fmt: skip
    (imported,) = page.call(("Email/import", {"emails": {"k": wanted}}))
    return str(imported["created"]["k"]["id"])


def test_times_of_waking_are_kept_and_told_and_replaced_whole(town: Town) -> None:
    now = int(time.time() * 1000)
    later = [now + 3_600_000, now + 7_200_000]
    assert town.page.post("/api/wakes", {"at": later[::-1]}, method="PUT") == {"at": later}
    assert town.page.get("/api/wakes") == {"at": later}
    heard = threading.Event()
    source = EventSource(town, heard)
    source.start()
    assert source.listens.wait(120)
    soon = int(time.time() * 1000) + 4000
    town.page.post("/api/wakes", {"at": [soon]}, method="PUT")
    assert heard.wait(120)
    source.join(120)
    assert town.rows("SELECT count(*) FROM wake WHERE at > 0") == [(1,)]


class EventSource(threading.Thread):
    """An open page: it hears a wake, then goes."""

    def __init__(self, town: Town, heard: threading.Event) -> None:
        super().__init__(daemon=True)
        self._town, self._heard = town, heard
        self.listens = threading.Event()

    def run(self) -> None:
        port = self._town.made.ports["http"]
        connection = http.client.HTTPConnection("localhost", port, timeout=240)
        headers = intruder.as_page(port, self._town.page.cookie_header)
        connection.request("GET", "/jmap/events?types=*&closeafter=no&ping=0", headers=headers)
        answer = connection.getresponse()
        self.listens.set()
        while line := answer.readline():
            if line.strip() == b"event: wake":
                self._heard.set()
                break
        connection.close()


def test_the_software_s_copy_is_filed_beside_the_sealed_letter(town: Town) -> None:
    nurse = PageClient(town.made.ports["http"])
    code = town.made.command("enrolment_code", address=world.NURSE)["code"]
    nurse.enrol(code, "un mot de passe", derivations.new_recovery_code(), address=world.NURSE)
    nurse.log_in_by_provider(sign_in.PROFESSIONALS, town.made.identity.doctors[world.NURSE].name)
    named = town.cli("account", "software", world.NURSE, world.LABORATORY)
    assert (named["software"], named["copies"]) == (world.LABORATORY, False)
    town.hospital_sends(world.NURSE, document(world.NURSE, "1.2.250.1.999.41.1"))
    assert town.robot_s() == []
    nurse.post("/api/practice-copy", {"on": True}, method="PUT")
    town.hospital_sends(world.NURSE, document(world.NURSE, "1.2.250.1.999.41.2"))
    [copied] = town.robot_s()
    assert copied["X-Number"] == "1.2.250.1.999.41.2"
    assert "document" in [
        item["kind"] for line in nurse.letters() for item in nurse.summary(line)["manifest"]["items"]
    ]
    assert len(town.cli("audit", "show", "--action", "software-copy")) == 1


def test_a_night_of_reports_adds_up_in_a_letter_that_is_sent_once(town: Town) -> None:
    night = Night(town.made, patients=4)
    night.put(24, 5, lambda each: f"Nuit {each}", lambda _: plain_pdf(6_000))
    try:
        night.start()
        night.wait_all(24, 240)
        night.stop()
    finally:
        night.close()
    told = town.cli("report", "morning", world.HOSPITAL, "--send")
    handed_in = town.rows("SELECT count(*) FROM report_ledger WHERE told_day IS NOT NULL")
    assert told["handed_in"] == handed_in[0][0]
    assert told["delivered"] + told["waiting"] + told["refused"] == told["handed_in"]
    assert told["refused"] == 5
    assert town.cli("report", "morning", world.HOSPITAL, "--day", told["day"])["csv"] == told["csv"]
    town.cli("report", "morning", world.HOSPITAL, "--send", fails=1)
    columns = town.rows("SELECT reference, address FROM report_ledger")
    clear = [one for row in columns for one in row if one is not None and world.DOMAIN.encode() in bytes(one)]
    assert clear == [], "references and addresses are wrapped"


def test_the_node_is_whole_and_healthy_in_the_end(town: Town) -> None:
    checked = town.made.command("check")
    assert checked["faults"] == []
    assert not town.made.command("audit_verify")["broken"]
    assert intruder.faults(town.made) == []
