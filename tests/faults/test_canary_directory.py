"""Who looks people up, publishes them or takes in the national files: what they type and prove is left nowhere.

Passwords and words typed into LDAP, FHIR, the page, key servers and the search for settings; keys of programs, and the
key we publish with, also when the national directory says it back; who is responsible and their telephone; lines of a
file that are wrong; a patient's number put wherever an address is asked. Logs are at DEBUG.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import signal
import smtplib
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from deploy.demo import clients, directory_world, letters, pki, sign_in, thief, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient, PageRefused
from deploy.node.control import CommandFailed
from directory.certificates.memory import wkd_hash
from tests.directory.ldap import asking
from tests.faults.canaries import Canaries, disk_of, invented, space_of
from tests.peers.federation import wait
from tests.worlds import own_world

pytestmark = pytest.mark.faults

_METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
_IDNST = "urn:oid:1.2.250.1.71.4.2.2"
_THEIRS = "autre.mssante.fr"


class National(ThreadingHTTPServer):
    """A national directory that says in its refusals what it was shown."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Clumsy)
        self.keys: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fhir/v2"


class Clumsy(BaseHTTPRequestHandler):
    server: National

    def do_PATCH(self) -> None:
        key = self.headers["ESANTE-API-KEY"]
        self.rfile.read(int(self.headers["Content-Length"]))
        issue = {"severity": "error", "code": "invalid", "details": {"text": f"la clé {key} ne convient pas"}}
        body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
        self.send_response(422)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.keys.append(key)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Says nothing."""


@dataclass
class Town:
    made: world.World
    process: world.NodeProcess
    canaries: Canaries
    national: National
    since: float
    number: str  # of a patient, with its key

    @property
    def patient(self) -> str:
        return f"{self.number}@{world.PATIENT_DOMAIN}"

    def https(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
        context = clients.tls(self.made.ca)
        link = http.client.HTTPSConnection("localhost", self.made.ports["https"], context=context, timeout=60)
        with closing(link):
            link.request(method, path, body.encode() or None, headers)
            answer = link.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    canaries, national = Canaries(), National()
    serving = threading.Thread(target=national.serve_forever)
    serving.start()
    key = tmp_path / "national.key"
    key.write_text(canaries.word() + "\n")
    key.chmod(0o600)
    os.utime(key, (1, 1))  # the administrator's own file, not of this run
    since = time.time() - 1
    sections = {
        "node": {"log_level": "DEBUG"},
        "publication": {"national_directory": national.address, "api_key_file": str(key)},
    }
    try:
        with own_world("directory", sections) as (made, process):
            person = invented(canaries)
            space_of(made, person)
            canaries.mark(person.matricule)
            yield Town(made, process, canaries, national, since, person.matricule)
    finally:
        national.shutdown()
        serving.join()
        national.server_close()


def test_nothing_typed_or_proved_to_the_directory_is_left_anywhere(town: Town, tmp_path: Path) -> None:
    made, canaries = town.made, town.canaries
    asyncio.run(by_ldap(town))
    published = by_fhir(town)
    by_the_page(town)
    by_keys_and_settings(town)
    by_smtp(town)
    wrong_files(town)
    wait(lambda: town.national.keys or None)
    assert set(town.national.keys) <= set(canaries.markers)

    told = [
        made.command("audit_show", limit=1000, action=None, address=None, reference=None),
        made.command("directory_key_list"),
        wait(lambda: refused_there(made)),
        made.command("directory_standing"),
        made.command("directory_show", what=published.address),
        made.command("check"),
    ]
    assert {"api-key", "directory-import", "listing-published"} <= {row["action"] for row in told[0]}
    with urllib.request.urlopen(f"http://127.0.0.1:{made.ports['metrics']}/metrics", timeout=60) as answer:
        metrics = answer.read()
    everything = [*canaries.markers, *published.words]
    assert thief.told(json.dumps(told).encode() + metrics, everything) == set()

    made.command("backup", to=str(tmp_path / "backup"), keystore_to=None)
    os.kill(town.process.pid, signal.SIGKILL)
    places = [*disk_of(made, town.since), tmp_path / "backup"]
    assert (made.node / "imports").is_dir(), "what was wrong was told of"
    found = thief.search(places, everything)
    # What a directory is told of a mailbox and shows to nobody lies in the listings, and there alone.
    stray = [
        one
        for one in found
        if one.marker not in published.words or not one.path.name.startswith("listings.db")
    ]
    assert stray == [], sorted({f"{one.path.name}: {one.how} {one.marker[:60]}" for one in stray})
    assert {one.marker for one in found} == set(published.words)


async def by_ldap(town: Town) -> None:
    """A program's own password, wrong ones, one in clear; names, words and a number sought; octets that are no LDAP."""
    made, word = town.made, town.canaries.word
    doctor = made.persons[world.DOCTOR]
    town.canaries.mark(doctor.password)
    caller = await asking.Caller.to(made.ports["ldaps"], clients.tls(made.ca))
    name = f"uid={doctor.address},ou=people,{asking.BASE}"
    for who, proof in (
        (f"uid={word()},ou=people,{asking.BASE}", word()),
        (name, word()),
        (town.patient, word()),
    ):
        assert (await caller.ask(asking.bind(caller.next(), who, proof.encode()))).code == 49
    for proof in (f"\0{doctor.address}\0{word()}", f"\0{word()}\0{word()}"):
        assert (await caller.ask(asking.sasl(caller.next(), "PLAIN", proof.encode()))).code == 49
    await caller.close()
    caller = await asking.Caller.to(made.ports["ldaps"], clients.tls(made.ca))
    assert (await caller.ask(asking.bind(caller.next(), name, doctor.password.encode()))).code == 0
    for what in (
        f"(cn=*{word()}*)",
        f"(sn={word()}*)",
        f"(mail={town.patient})",
        f"(|(uid={town.number})(ou={word()}))",
    ):
        entries, end = await caller.look(what)
        assert (entries, end.code) == ([], 0), what
    await caller.look("(cn=a*)", base=f"uid={town.patient},ou=people,{asking.BASE}")
    await caller.ask(asking.compare(caller.next(), name, "mail", word().encode()))
    await caller.ask(asking.extended(caller.next(), "1.2.3.4", word().encode()))
    caller.send(asking.message(caller.next(), 0x63, word().encode()))
    while await caller.answer() is not None:
        pass
    await caller.close()
    clear = await asking.Caller.to(made.ports["ldap"])
    assert (await clear.ask(asking.bind(clear.next(), name, doctor.password.encode()))).code == 13
    await clear.close()


@dataclass(frozen=True)
class Published:
    address: str
    words: tuple[str, ...]  # who is responsible, and their telephone


def by_fhir(town: Town) -> Published:
    """Another operator publishes; a program reads; wrong keys, wrong patches, words and a number in what is asked."""
    made, word = town.made, town.canaries.word
    directory_world.imported(made)
    reading = made.command("directory_key_add", label="Logiciel")["key"]
    publishing = made.command(
        "directory_key_add", label="Autre", rights=["publish"], publisher="Autre", domains=[_THEIRS]
    )["key"]
    town.canaries.mark(reading, publishing)
    words = (f"Responsable {secrets.token_hex(10)}", f"+33{secrets.randbelow(10**14):014d}")
    address = f"accueil@{_THEIRS}"

    def patch(key: str, path: str, *more: dict[str, Any]) -> int:
        told = [
            {"url": "type", "valueCode": "ORG"}, {"url": "responsible", "valueString": words[0]},
            {"url": "phone", "valueString": words[1]}, *more,
        ]  # fmt: skip
        point = {"system": "email", "value": address, "extension": [{"url": _METADATA, "extension": told}]}
        part = [
            {"name": "type", "valueCode": "insert"},
            {"name": "path", "valueString": path},
            {"name": "index", "valueInteger": 0},
            {"name": "value", "valueContactPoint": point},
        ]
        body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}
        where = f"/fhir/v2/Organization?identifier={_IDNST}%7C1{pki.invented_finess(90)}"
        kind = {"ESANTE-API-KEY": key, "Content-Type": "application/fhir+json"}
        return town.https("PATCH", where, json.dumps(body), **kind)[0]

    assert patch(word(), "Organization.telecom") == 401
    assert patch(publishing, f"Organization.{word()}") >= 400
    assert patch(publishing, "Organization.telecom", {"url": word(), "valueString": word()}) >= 400
    assert patch(publishing, "Organization.telecom") == 200
    key = {"ESANTE-API-KEY": reading}
    for asked in (
        f"family={word()}",
        f"{word()}=x",
        f"mailbox-mss:exact={town.patient}",
        f"identifier={town.number}",
    ):
        assert town.https("GET", f"/fhir/v2/Practitioner?{asked}", **key)[0] in (200, 400), asked
    assert town.https("GET", f"/fhir/v2/Practitioner/{word()}", **key)[0] == 404
    assert town.https("POST", "/fhir/v2/Practitioner/_search", f"family={word()}", **key)[0] < 500
    status, body = town.https("GET", f"/fhir/v2/Organization?mailbox-mss:exact={address}", **key)
    assert status == 200
    assert address.encode() in body
    assert thief.told(body, words) == set()
    return Published(address, words)


def by_the_page(town: Town) -> None:
    made, word = town.made, town.canaries.word
    nurse = PageClient(made.ports["http"])
    code = made.command("enrolment_code", address=world.NURSE)["code"]
    nurse.enrol(code, word(), derivations.new_recovery_code(), address=world.NURSE)
    nurse.log_in_by_provider(sign_in.PROFESSIONALS, made.identity.doctors[world.NURSE].name)
    for asked in (word(), f"dr {word()}", town.number, town.patient):
        assert nurse.post("/api/directory", {"q": asked, "profession": ""})["cards"] == []
    for wrong in ({"q": word(), "kinds": [word()]}, {word(): word()}):
        with pytest.raises(PageRefused):
            nurse.post("/api/directory", wrong)
    made.command("directory_search", words=f"{word()} {town.number}")
    for wrong in (word(), town.patient, town.number):
        with contextlib.suppress(CommandFailed, world.DemoFailed):
            made.command("directory_show", what=wrong)


def by_keys_and_settings(town: Town) -> None:
    """Anybody asks for a key or for settings with an address, and puts there what they like."""
    for local in (town.canaries.word(), town.number):
        address = f"{local}@{world.PATIENT_DOMAIN}"
        hashed = wkd_hash(local)
        asked = quote(address)
        for path in (
            f"/.well-known/openpgpkey/{world.PATIENT_DOMAIN}/hu/{hashed}?l={local}",
            f"/pks/lookup?op=get&options=mr&search={asked}",
            f"/pks/lookup?op=index&search={asked}",
            f"/vks/v1/by-email/{asked}",
            f"/.well-known/vaguemestre/capability?address={asked}",
            f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={asked}",
            f"/apple.mobileconfig?emailaddress={asked}",
            f"/autodiscover/autodiscover.json/v1.0/{asked}?Protocol=ActiveSync",
        ):
            assert town.https("GET", path)[0] < 500, path
        wanted = f"<Autodiscover><Request><EMailAddress>{address}</EMailAddress></Request></Autodiscover>"
        assert town.https("POST", "/autodiscover/autodiscover.xml", wanted)[0] < 500
        context = clients.tls(town.made.ca, town.made.operator.certificate, town.made.operator.key)
        link = http.client.HTTPSConnection("localhost", town.made.ports["peers"], context=context, timeout=60)
        with closing(link):
            link.request("POST", "/peers/certificate", json.dumps({"address": address}))
            assert link.getresponse().status < 500


def by_smtp(town: Town) -> None:
    """A number with a digit that is wrong, and a name that is nobody's: what may be meant is told, and not kept."""
    sender = town.made.persons[world.GP]
    wrong = town.number[:-1] + str((int(town.number[-1]) + 1) % 10)
    town.canaries.mark(wrong)
    for local, domain in ((wrong, world.PATIENT_DOMAIN), (town.canaries.word(), world.DOMAIN)):
        recipient = f"{local}@{domain}"
        data = letters.note(sender.address, recipient, town.canaries.word(), town.canaries.word()).data
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            clients.send_as_person(
                town.made.ports["submission"], clients.tls(town.made.ca), sender.address, sender.password,
                [recipient], data,
            )  # fmt: skip


def wrong_files(town: Town) -> None:
    """Lines with a patient's number where a professional's stands, or cut short; a file that is none."""
    folder = town.made.folder / "wrong"
    [_, mailboxes] = directory_world.write_files(folder)
    with mailboxes.open("a", encoding="utf-8") as out:
        width = mailboxes.read_text("utf-8").partition("\n")[0].count("|")
        for start in (
            f"PER|{town.canaries.word()}|8|{town.number}|{town.number}",
            f"{town.canaries.word()}|a@{_THEIRS}|8|{town.canaries.word()}",
            f"PER|b@{_THEIRS}|8|99700{secrets.randbelow(10**5):05d}|{town.canaries.word()}",
        ):
            out.write(start + "|" * (width - start.count("|")) + "\n")
        out.write(f"PER|{town.canaries.word()}|{town.number}\n")
    told = town.made.command("directory_import", path=str(mailboxes))
    assert thief.told(json.dumps(told).encode(), town.canaries.markers) == set()
    none = folder / "none.txt"
    none.write_text(f"{town.canaries.word()}|{town.number}\n" * 20)
    with pytest.raises((CommandFailed, world.DemoFailed)) as refused:
        town.made.command("directory_import", path=str(none))
    assert thief.told(str(refused.value).encode(), town.canaries.markers) == set()


def refused_there(made: world.World) -> Any:
    """Once the national directory has refused one of ours."""
    told = made.command("directory_publications")
    return told if any(one["state"] == "refused" for one in told["mailboxes"]) else None
