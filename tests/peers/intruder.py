"""What somebody who wants in has at hand: raw requests with any headers, and a siege: a node with its victims.

The siege's patients are activated by the demo's own browser; each has letters of a word that nobody else may read.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from deploy.demo import clients, letters, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import CORE, MAIL, SUBMISSION, VENDOR, PageClient
from deploy.demo.people import Patient
from mail_server.accounts import ins
from webmail.login import totp

QUOTA = "urn:ietf:params:jmap:quota"
ACCESS_LOG = "https://vaguemestre.example/jmap/access-log"
EVERYTHING = [CORE, MAIL, SUBMISSION, QUOTA, VENDOR, ACCESS_LOG]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.body))

    @property
    def slug(self) -> str:
        return str(self.json().get("error", "")) if self.body else ""


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float = 120,
) -> Answer:
    """One request on a connection of its own; `headers` as they are, Host included when given."""
    connection = http.client.HTTPConnection("localhost", port, timeout=seconds)
    try:
        given = dict(headers or {})
        connection.putrequest(method, path, skip_host=any(name.lower() == "host" for name in given))
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def as_page(port: int, cookie: str = "", **more: str) -> dict[str, str]:
    """The headers of the page's own scripts."""
    headers = {
        "X-Vaguemestre": "1",
        "Origin": f"http://localhost:{port}",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/json",
    }
    if cookie:
        headers["Cookie"] = cookie
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


def post(port: int, path: str, said: Any, cookie: str = "", method: str = "POST") -> Answer:
    return ask(port, method, path, json.dumps(said).encode(), as_page(port, cookie))


def jmap(port: int, cookie: str, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Answers by method; an error's name is `error`."""
    said = {"using": EVERYTHING, "methodCalls": [[name, given, "c"] for name, given in calls]}
    answer = post(port, "/jmap/api", said, cookie)
    assert answer.status == 200, answer.json()
    return [(name, told) for name, told, _ in answer.json()["methodResponses"]]


def body_of_15_digits(number: int) -> str:
    """An invented patient's 13 characters and their key."""
    body = f"2510369999{100 + number:03d}"  # of no commune that exists
    return body + ins.key_of(body)


def patient(given: str, family: str, number: int) -> Patient:
    """Somebody invented."""
    return Patient(body_of_15_digits(number), family, given, "F", "1951-03-14", "69999")


@dataclass(slots=True)
class Someone:
    """A person of the siege, logged in on a page of their own."""

    address: str  # the opaque one
    shown: str
    code: str = field(repr=False)
    password: str = field(repr=False)
    recovery: str = field(repr=False)
    page: PageClient = field(repr=False)
    person: Patient | None = field(default=None, repr=False)
    second_factor: bytes = field(default=b"", repr=False)

    @property
    def account(self) -> str:
        return str(self.page.session["account"]["id"])

    @property
    def cookie(self) -> str:
        return self.page.cookie_header


def space(made: world.World, person: Patient) -> dict[str, Any]:
    return cast(
        dict[str, Any],
        made.command(
            "space_add",
            matricule=person.matricule,
            family_name=person.family_name,
            given_names=person.given_names,
            sex=person.sex,
            birth_date=person.birth_date,
            birth_place=person.birth_place,
        ),
    )


def activated(made: world.World, given: str, family: str, number: int) -> Someone:
    person = patient(given, family, number)
    told = space(made, person)
    page = PageClient(made.ports["http"])
    password, recovery = secrets.token_hex(8), derivations.new_recovery_code()
    page.enrol(told["code"], password, recovery, birth_date=person.birth_date, last_five=person.last_five)
    return Someone(told["address"], told["shown"], told["code"], password, recovery, page, person)


def professional(made: world.World, address: str) -> Someone:
    """A professional with a key of the page's and a second factor."""
    made.command("account_add", address=address, kind="PER", password=False, certificate=None)
    code = made.command("enrolment_code", address=address)["code"]
    page = PageClient(made.ports["http"])
    password, recovery = secrets.token_hex(8), derivations.new_recovery_code()
    page.enrol(code, password, recovery, address=address)
    secret = base64.b32decode(page.post("/api/totp/start", {})["secret"])
    page.session = page.post("/api/totp", {"code": totp.code_at(secret, int(time.time()) // 30)})
    return Someone(address, address, code, password, recovery, page, None, secret)


def write_as_hospital(made: world.World, to: str, data: bytes) -> None:
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [to], data)


def letter(to: str, word: str) -> bytes:
    return letters.report(world.HOSPITAL, to, pdf_bytes=3_000, patient=word, closing=word, title=word).data


@contextlib.contextmanager
def siege(**sections: dict[str, Any]) -> Iterator[tuple[world.World, world.NodeProcess]]:
    """A node of its own, whose refusals do not wait unless `limits` says so. At the end it still runs, and its log
    tells of no fault."""
    folder = Path(tempfile.mkdtemp(prefix="vm-siege-"))
    wanted = {"limits": {"failed_login_delay": 0.0}, **sections}
    built, process = world.build(folder, world.free_port_base(), lambda _: None, wanted)
    try:
        yield built, process
        assert process.running
        if found := faults(built):
            raise AssertionError(found)
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def faults(made: world.World) -> list[str]:
    """Lines of the node's log that tell of an error of its own."""
    told = (made.folder / "node.log").read_text(errors="replace").splitlines()
    return [
        line for line in told if " ERROR " in line or " CRITICAL " in line or line.startswith("Traceback")
    ]
