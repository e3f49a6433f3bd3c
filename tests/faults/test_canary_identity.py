"""Who comes in, who reads and who may write: none of it leaves a word, a token, a code or a number on the disk.

The two identity providers run in the process of the test, which overhears each token and code they give.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import imaplib
import json
import os
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from deploy.demo import clients, letters, people, sign_in, thief, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient, PageRefused
from deploy.demo.identity.realm import Realm
from deploy.demo.identity.server import PSC_PATH, VITALE_PATH
from mail_server import mime
from tests.faults.canaries import Canaries, Patient, disk_of, invented
from tests.peers.federation import wait
from tests.worlds import own_world

pytestmark = pytest.mark.faults

_DAY = 86_400_000
_SECRET_IN_ADDRESSES = ("state", "nonce", "code_challenge", "code")


class Browser(PageClient):
    """Marks its cookies, and what stands in the addresses a provider and the page send it to."""

    def __init__(self, port: int, canaries: Canaries) -> None:
        super().__init__(port)
        self._canaries = canaries

    def request(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> bytes:
        try:
            return super().request(method, path, body, media_type)
        finally:
            self._canaries.mark(*self._cookies.values())

    def _led(self, path: str) -> str:
        for address in (path, where := super()._led(path)):
            asked = dict(parse_qsl(urlsplit(address).query))
            self._canaries.mark(*(asked[name] for name in _SECRET_IN_ADDRESSES if name in asked))
        return where


def overhear(monkeypatch: pytest.MonkeyPatch, canaries: Canaries) -> None:
    """Every code, token and session of the providers is a marker from now on."""

    def told(found: Any) -> Iterator[str]:
        if isinstance(found, dict):
            answer = cast(dict[str, Any], found)
            for name in ("access_token", "id_token", "refresh_token", "auth_req_id", "session_state"):
                yield from told(answer.get(name, ""))
        elif isinstance(found, tuple):
            yield from told(found[0])  # a code and its session
        elif isinstance(found, str) and found:
            yield found.rpartition(".")[2]  # of a token its signature, which no other has

    for name in ("_tokens", "code", "ask", "logout_token"):
        real: Callable[..., Any] = getattr(Realm, name)

        def heard(*given: Any, real: Callable[..., Any] = real, **named: Any) -> Any:
            answer = real(*given, **named)
            canaries.mark(*told(answer))
            return answer

        monkeypatch.setattr(Realm, name, heard)


@dataclass
class Town:
    """A node, its two providers, and those of its people who carry canaries about."""

    made: world.World
    process: world.NodeProcess
    canaries: Canaries
    since: float = field(default_factory=lambda: time.time() - 1)

    @property
    def tls(self) -> Any:
        return clients.tls(self.made.ca)

    def browser(self) -> Browser:
        return Browser(self.made.ports["http"], self.canaries)

    def hospital_writes(self, recipient: str) -> None:
        context = clients.tls(self.made.ca, self.made.hospital.certificate, self.made.hospital.key)
        data = self.canaries.letter(world.HOSPITAL, recipient)
        clients.send_as_system(self.made.ports["submissions"], context, world.HOSPITAL, [recipient], data)

    def note(self, sender: str, recipient: str, *, answering: str = "", subject: str = "") -> bytes:
        return letters.note(
            sender, recipient, subject or self.canaries.word(), f"{self.canaries.word()}\n", answering
        ).data

    def send(self, person: str, recipients: list[str], data: bytes, *, as_whom: str = "") -> None:
        known = self.made.persons[person]
        with smtplib.SMTP("localhost", self.made.ports["submission"], timeout=60) as smtp:
            smtp.starttls(context=self.tls)
            smtp.login(person, known.password)
            smtp.sendmail(as_whom or person, recipients, data)

    def mailbox(self, person: str) -> Any:
        return clients.mailbox(self.made.ports["imaps"], self.tls, person, self.made.persons[person].password)

    def name_at_provider(self, person: str) -> str:
        return self.made.identity.doctors[person].name

    def at_the_provider(self, act: str, person: str, path: str = PSC_PATH) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.made.identity.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(
                "POST",
                f"{path}/control/{act}",
                json.dumps({"person": person}).encode(),
                {"Content-Type": "application/json"},
            )
            assert connection.getresponse().status == 200


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    canaries = Canaries()
    monkeypatch.setattr(people, "YOU", invented(canaries))  # known to the node and to the patients' provider
    overhear(monkeypatch, canaries)
    with own_world("faults") as (made, process):
        canaries.mark((made.folder / "people" / "identity-client.secret").read_text())
        yield Town(made, process, canaries)


def test_nobody_s_way_in_and_no_right_leaves_a_word_on_the_disk(town: Town, tmp_path: Path) -> None:
    """Tokens, codes, programs' passwords, delegates, the past given, receipts, closings, blocks, exports, explanations:
    after kill -9, in home, heads of the trace, log, backup and temporary folders, nothing of them."""
    made, canaries = town.made, town.canaries
    patient = Patient(made, canaries, made.you)
    town.hospital_writes(patient.shown)
    patient.activate()
    programs_by_token(town)
    nurse = page_by_provider(town)
    patient_by_provider(town, patient)
    nurse_s_account = a_delegate_and_the_past(town, nurse)
    receipt_and_answers(town, patient, nurse, nurse_s_account)
    who_may_write(town, patient)
    handed_out = [*exports(town, patient, nurse), *what_administrators_ask(town, patient)]
    logged_out(town, patient)

    heads = Path(made.command("audit_heads")["file"])
    made.command("backup", to=str(tmp_path / "backup"), keystore_to=None)
    time.sleep(0.3)
    os.kill(town.process.pid, signal.SIGKILL)
    town.process.restart()
    town.process.wait_ready(made.ports)

    places = [*disk_of(made, town.since), heads, tmp_path / "backup"]
    assert heads.stat().st_size > 0
    assert made.node not in heads.parents
    found = thief.search(places, canaries.markers)
    assert found == [], sorted({f"{one.path.name}: {one.how} {one.marker[:60]}" for one in found})
    for content in handed_out:
        assert thief.told(content, canaries.markers) == set()


def programs_by_token(town: Town) -> None:
    """Mail programs by token: their own mailbox, another's, both mechanisms, and a token in the place of a password."""
    made, token = town.made, town.made.identity.token(world.GP)
    imaps = made.ports["imaps"]
    with sign_in.mailbox_by_token(imaps, town.tls, world.GP, token) as imap:
        imap.append("Drafts", "", "", town.canaries.letter(world.GP, world.WARD))
    with pytest.raises(imaplib.IMAP4.error), sign_in.mailbox_by_token(imaps, town.tls, world.DOCTOR, token):
        pass
    with imaplib.IMAP4_SSL("localhost", imaps, ssl_context=town.tls, timeout=60) as imap:
        imap.authenticate("OAUTHBEARER", lambda _: f"n,a={world.GP},\1auth=Bearer {token}\1\1".encode())
    for name, word in ((world.GP, token), (token[-60:], town.canaries.word())):
        with pytest.raises(imaplib.IMAP4.error), clients.mailbox(imaps, town.tls, name, word):
            pass
    with smtplib.SMTP("localhost", made.ports["submission"], timeout=60) as smtp:
        smtp.starttls(context=town.tls)
        smtp.ehlo("logiciel")
        proof = base64.b64encode(f"user={world.GP}\1auth=Bearer {token}\1\1".encode()).decode()
        town.canaries.mark(proof[-60:])
        assert smtp.docmd("AUTH", f"XOAUTH2 {proof}")[0] == 235
        smtp.sendmail(world.GP, [world.WARD], town.canaries.letter(world.GP, world.WARD))
        forged = base64.b64encode(f"user={world.GP}\1auth=Bearer {token[:-3]}AAA\1\1".encode()).decode()
    with smtplib.SMTP("localhost", made.ports["submission"], timeout=60) as smtp:
        smtp.starttls(context=town.tls)
        smtp.ehlo("logiciel")
        assert smtp.docmd("AUTH", f"XOAUTH2 {forged}")[0] == 334
        assert smtp.docmd("")[0] == 535


def page_by_provider(town: Town) -> Browser:
    """A professional's page: enrolled, in by provider, by their device, with a program's password of a network."""
    made, canaries, nurse = town.made, town.canaries, town.browser()
    code, recovery = (
        made.command("enrolment_code", address=world.NURSE)["code"],
        derivations.new_recovery_code(),
    )
    canaries.mark(code, code.replace("-", ""), recovery, recovery.replace("-", ""))
    nurse.enrol(code, canaries.word(), recovery, address=world.NURSE)
    nurse.log_in_by_provider(sign_in.PROFESSIONALS, town.name_at_provider(world.NURSE))
    program = nurse.post(
        "/api/app-passwords",
        {"label": "tablette", "protocols": ["imap"], "days": 30, "network": "127.0.0.0/8"},
    )
    canaries.mark(program["password"], program["password"].replace("-", ""), program["token"])
    with clients.mailbox(made.ports["imaps"], town.tls, world.NURSE, program["password"]) as imap:
        imap.noop()
    # For one protocol alone: to send it does not serve.
    with pytest.raises(smtplib.SMTPAuthenticationError):
        clients.send_as_person(
            made.ports["submission"], town.tls, world.NURSE, program["password"], [world.GP], b""
        )

    device = town.browser()
    asked = device.post(f"/api/login/ciba/{sign_in.PROFESSIONALS}/start", {"user": world.NURSE})
    canaries.mark(asked["id"])
    town.at_the_provider("confirm", town.name_at_provider(world.NURSE))
    deadline = time.monotonic() + 180
    while "account" not in device.post(f"/api/login/ciba/{sign_in.PROFESSIONALS}", {"id": asked["id"]}):
        assert time.monotonic() < deadline
        time.sleep(1)
    return nurse


def patient_by_provider(town: Town, patient: Patient) -> None:
    """In with a carte Vitale; and what goes wrong: a number on the wrong button, an answer of somebody else's."""
    person, away = patient.person, town.browser()
    away.log_in_by_provider(sign_in.PATIENTS, patient.name_at_provider)
    assert away.session["account"]["shown"] == patient.shown
    stranger = town.browser()
    for user in (person.matricule, patient.shown, person.family_name):
        stranger.post(f"/api/login/ciba/{sign_in.PROFESSIONALS}/start", {"user": user})
    back = {"code": town.canaries.word(), "state": town.canaries.word(), "person": person.matricule}
    stranger.request("GET", f"/api/login/oidc/{sign_in.PATIENTS}/return?{urlencode(back)}")


def a_delegate_and_the_past(town: Town, nurse: Browser) -> str:
    """A delegate is let in, given the past, reads, keeps a draft there, and writes in the holder's name."""
    made, doctor = town.made, town.made.persons[world.DOCTOR]
    town.hospital_writes(world.NURSE)
    account = nurse.session["account"]["id"]
    told = nurse.post(
        f"/api/readers/{account}/{world.DOCTOR}",
        {"role": "delegate", "rights": "lrswitp", "until": int(time.time() * 1000) + 9 * _DAY},
        method="PUT",
    )
    assert nurse.give_past(account, told["person"]) >= 1
    assert doctor.secret_key is not None
    with town.mailbox(world.DOCTOR) as imap:
        theirs = [name for name in clients.folders(imap) if world.NURSE in name]
        inbox = min(theirs, key=len)
        stored = clients.newest(imap, inbox)
        drafts = next(name for name in theirs if name.endswith("/Drafts"))
        imap.append(f'"{drafts}"', "(\\Draft)", "", town.canaries.letter(world.NURSE, world.GP))
        imap.select(f'"{inbox}"')
        imap.search(None, "SUBJECT", f'"{town.canaries.word()}"')
    opened = clients.open_with_gpg(stored, doctor.secret_key, doctor.passphrase, made.authority)
    assert any(word in opened.subject for word in town.canaries.markers)
    town.send(world.DOCTOR, [world.GP], town.note(world.NURSE, world.GP), as_whom=world.NURSE)
    return str(account)


def receipt_and_answers(town: Town, patient: Patient, nurse: Browser, account: str) -> None:
    """A receipt asked for and sent; exchanges ended by subject, by copy, by header, by mailbox and in the page."""
    page, fin = patient.page, f"fin@{world.DOMAIN}"

    def written(sender: str, *, answering: str = "", subject: str = "", fields: bytes = b"") -> None:
        recipients = [patient.shown, fin] if fin.encode() in fields else [patient.shown]
        data = town.note(sender, patient.shown, answering=answering, subject=subject)
        town.send(sender, recipients, fields + data)

    for sender in (world.GP, world.NURSE):
        written(sender, fields=mime.header_field("Disposition-Notification-To", sender))
        asked = page.letters()[0]
        page.post("/api/receipts", {"account": page.session["account"]["id"], "email": asked["id"]})
        root = page.open(asked)
        page.write(sender, town.canaries.word(), town.canaries.word(), answering=root)
        named = str(root.inner["Message-ID"])
        written(sender, answering=named, fields=mime.header_field("X-MSS-MES", "FIN"))
        if sender == world.GP:
            written(sender, answering=named, fields=mime.header_field("Cc", fin))
        else:
            # The page's letters leave a moment after they were handed over.
            theirs = wait(
                lambda: [one for one in nurse.letters() if patient.shown in str(one["from"])] or None
            )
            nurse.post("/api/conversations/close", {"account": account, "email": theirs[0]["id"]})
        with pytest.raises(PageRefused):
            page.write(sender, town.canaries.word(), town.canaries.word(), answering=root)
    written(world.GP, subject="[FIN]")
    written(world.GP)
    page.write(world.GP, town.canaries.word(), town.canaries.word(), answering=page.open(page.letters()[0]))
    with town.mailbox(world.GP) as imap:
        imap.create("Clos")

        def answers() -> list[bytes] | None:
            imap.select("INBOX")
            return imap.uid("SEARCH", "FROM", f'"{patient.shown}"')[1][0].split() or None

        assert imap.uid("MOVE", wait(answers)[-1].decode(), "Clos")[0] == "OK"


def who_may_write(town: Town, patient: Patient) -> None:
    """First letters that are refused, a correspondent shut out, a pharmacy that dispensed."""
    made, page, pharmacy = town.made, patient.page, f"pharmacie@{world.DOMAIN}"
    page.post("/api/blocks", {"address": world.GP})
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        town.send(world.GP, [patient.shown], town.note(world.GP, patient.shown))
    page.request("DELETE", f"/api/blocks/{world.GP}")
    for stranger in (world.DOCTOR, made.patient.shown):
        with pytest.raises(PageRefused):
            page.write(stranger, town.canaries.word(), town.canaries.word())
    made.command("account_add", address=pharmacy, kind="ORG", password=False, certificate=None)
    made.command("account_sector", address=pharmacy, sector="SA33")
    made.command("account_contact", address=pharmacy, contact="opted_in")
    made.command("space_dispensing", patient=patient.shown, pharmacy=pharmacy, date=time.strftime("%Y-%m-%d"))


def exports(town: Town, patient: Patient, nurse: Browser) -> Iterator[bytes]:
    """What holders take home of the trace tells nobody's words."""
    for page in (patient.page, nurse):
        for form in ("csv", "pdf"):
            handed = page.request("GET", f"/api/access-log.{form}?lang=fr")
            assert len(handed) > 500
            yield handed.replace(patient.shown.encode(), b"")  # who wrote with whom they may see


def what_administrators_ask(town: Town, patient: Patient) -> Iterator[bytes]:
    made, ask = town.made, partial(town.made.command)
    told = ask("policies_explain", principal=patient.shown, action="write_to", resource=world.GP, context=[])
    assert told["rule"]
    now = int(time.time() * 1000)
    answers: list[Any] = [
        ask("audit_show", limit=1000, action=None, address=None, reference=None),
        ask("audit_export", persons=[patient.shown], since=0, until=now + 60_000, after=None),
        ask("operator_statistics", month=time.strftime("%Y-%m")),
        ask("readers_show", address=world.NURSE),
        ask("password_list", address=world.NURSE),
    ]
    assert all(answers)
    yield from (json.dumps(each).encode() for each in answers)
    connection = http.client.HTTPConnection("127.0.0.1", made.ports["metrics"], timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        yield connection.getresponse().read()


def logged_out(town: Town, patient: Patient) -> None:
    """Both providers say who is gone; one of them has no right to practise any more."""
    town.at_the_provider("logout", town.name_at_provider(world.NURSE))
    town.at_the_provider("logout", patient.name_at_provider, VITALE_PATH)
    town.at_the_provider("strike-off", town.name_at_provider(world.GP))
    token = town.made.identity.token(world.GP)
    imaps = town.made.ports["imaps"]
    with pytest.raises(imaplib.IMAP4.error), sign_in.mailbox_by_token(imaps, town.tls, world.GP, token):
        pass
