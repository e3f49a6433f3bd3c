"""What is refused at the doors: each with its code, its sentence, and the entry of the trace under the id shown.

One behaviour a test, over real sockets to a node that serves; what is accepted beside it is looked at too.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import clients, people, pki, world

pytestmark = pytest.mark.peers

MIB = 1024 * 1024
ELSEWHERE = "destinataire@mss.ailleurs.test"


# ------------------------------------------------------------------------------------------ the client's side


@dataclass(frozen=True)
class Reply:
    code: int
    text: str

    @property
    def words(self) -> str:
        """Enhanced code and sentence, without the id."""
        return self.text.partition(" (ref ")[0]

    @property
    def reference(self) -> str:
        found = re.search(r"\(ref ([0-9a-f]{10})\)$", self.text)
        assert found, f"no reference in {self.text!r}"
        return found[1]


class Wire:
    """An SMTP client that says exactly what it is told, however wrong."""

    def __init__(self, port: int) -> None:
        self.socket: socket.socket = socket.create_connection(("localhost", port), timeout=120)
        self._rest = b""

    def read(self) -> Reply:
        lines: list[str] = []
        while True:
            while b"\r\n" not in self._rest:
                piece = self.socket.recv(65536)
                if not piece:
                    raise ConnectionError("closed")
                self._rest += piece
            line, _, self._rest = self._rest.partition(b"\r\n")
            lines.append(line.decode("ascii"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), "\n".join(line[4:] for line in lines))

    def silent(self, seconds: float = 0.3) -> bool:
        """Whether the server has no more to say."""
        self.socket.settimeout(seconds)
        try:
            self._rest += self.socket.recv(65536)
        except TimeoutError:
            return not self._rest
        finally:
            self.socket.settimeout(120)
        return False

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, line: str) -> Reply:
        self.send(line.encode() + b"\r\n")
        return self.read()

    def hello(self) -> Reply:
        return self.ask("EHLO smtp.essai.test")

    def start_tls(self, context: ssl.SSLContext) -> None:
        assert self.ask("STARTTLS").code == 220
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def data(self, message: bytes) -> Reply:
        assert self.ask("DATA").code == 354
        self.send(message + b"\r\n.\r\n")
        return self.read()


@contextlib.contextmanager
def connected(port: int, context: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """A session after its greeting, under TLS when a context is given."""
    wire = Wire(port)
    try:
        assert wire.read().code == 220
        wire.hello()
        if context is not None:
            wire.start_tls(context)
            wire.hello()
        yield wire
    finally:
        wire.socket.close()


@contextlib.contextmanager
def as_operator(made: world.World) -> Iterator[Wire]:
    """Port 25, with the listed operator's certificate."""
    context = clients.tls(made.ca, made.operator.certificate, made.operator.key)
    with connected(made.ports["smtp"], context) as wire:
        yield wire


@contextlib.contextmanager
def as_gp(made: world.World) -> Iterator[Wire]:
    """Port 587, logged in as the general practitioner."""
    gp = made.persons[world.GP]
    proof = base64.b64encode(f"\0{gp.address}\0{gp.password}".encode()).decode()
    with connected(made.ports["submission"], clients.tls(made.ca)) as wire:
        assert wire.ask(f"AUTH PLAIN {proof}").code == 235
        yield wire


def addressed(wire: Wire, sender: str, *recipients: str) -> None:
    assert wire.ask(f"MAIL FROM:<{sender}>").code == 250
    for recipient in recipients:
        assert wire.ask(f"RCPT TO:<{recipient}>").code == 250


def note(sender: str, recipient: str, *fields: tuple[str, str]) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = "essai"
    message["Message-ID"] = make_msgid()  # else it is the letter sent before, and filed once
    for name, value in fields:
        message[name] = value
    message.set_content("x\n")
    return message.as_bytes().rstrip(b"\r\n")


# --------------------------------------------------------------------------------------------- the node's side


def traced(made: world.World, **asked: Any) -> list[dict[str, Any]]:
    """Entries of the trace; those of refusals are written a moment after the answer."""
    wanted = {"limit": 50, "action": None, "address": None, "reference": None} | asked
    deadline = time.monotonic() + 120
    while not (rows := made.command("audit_show", **wanted)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows


def audited_as(made: world.World, reply: Reply) -> str:
    """The reason the trace has under the reference that the peer was shown."""
    rows = traced(made, reference=reply.reference)
    assert [row["action"] for row in rows] in (["refuse"], ["login-failed"])
    assert rows[0]["network"] == "127.0.0.1"
    assert rows[0]["session"]
    return rows[0]["outcome"]


def lying(made: world.World, address: str) -> int:
    """How many letters lie in INBOX."""
    person = made.persons[address]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, person.password) as imap:
        _, found = imap.select("INBOX", readonly=True)
        return int(found[0] or b"0")


# ------------------------------------------------------------------------- port 25: who may hand letters over


def test_without_tls_port_25_takes_nothing(made: world.World) -> None:
    with connected(made.ports["smtp"]) as wire:
        reply = wire.ask(f"MAIL FROM:<{world.FOREIGN_DOCTOR}>")
    assert (reply.code, reply.words) == (530, "5.7.0 Must issue a STARTTLS command first")
    assert audited_as(made, reply) == "starttls-first"


def test_no_certificate_on_port_25(made: world.World) -> None:
    with connected(made.ports["smtp"], clients.tls(made.ca)) as wire:
        reply = wire.ask(f"MAIL FROM:<{world.FOREIGN_DOCTOR}>")
    assert (reply.code, reply.words) == (
        550,
        "5.7.1 A client certificate listed in the trust list is required",
    )
    assert audited_as(made, reply) == "no-certificate"


def test_a_certificate_that_is_not_in_the_trust_list(made: world.World) -> None:
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    with connected(made.ports["smtp"], context) as wire:
        reply = wire.ask(f"MAIL FROM:<{world.FOREIGN_DOCTOR}>")
    assert (reply.code, reply.words) == (550, "5.7.1 Your certificate is not in the trust list")
    assert audited_as(made, reply) == "certificate-unlisted"


@pytest.mark.parametrize("sender", ["dr@mss.autre.test", world.GP, f"dr@sub.{world.FOREIGN_DOMAIN}"])
def test_a_certificate_of_another_domain(made: world.World, sender: str) -> None:
    with as_operator(made) as wire:
        reply = wire.ask(f"MAIL FROM:<{sender}>")
        assert wire.ask(f"MAIL FROM:<{world.FOREIGN_DOCTOR}>").code == 250
    assert (reply.code, reply.words) == (
        550,
        "5.7.1 Your certificate does not speak for the domain of this sender",
    )
    assert audited_as(made, reply) == "certificate-of-another-domain"


def shut_out(made: world.World, port: str, leaf: pki.LeafFiles) -> bool:
    """Whether nothing is said to who shows this certificate; TLS 1.3 tells the client only when it reads."""
    context = clients.tls(made.ca, leaf.certificate, leaf.key)
    try:
        if port == "submissions":
            with socket.create_connection(("localhost", made.ports[port]), timeout=120) as clear:
                return not context.wrap_socket(clear, server_hostname="localhost").recv(100)
        with connected(made.ports[port], context):
            return False
    except (ssl.SSLError, ConnectionError):
        return True


CLIENT = pki.Organisation.with_finess("CLINIQUE TEST", 41, "Ain (01)")


@pytest.mark.parametrize("port", ["smtp", "submission", "submissions"])
@pytest.mark.parametrize("cause", ["certificate-expired", "chain-foreign", "certificate-self-signed"])
def test_an_expired_or_foreign_certificate_ends_the_handshake(
    made: world.World, tmp_path: Path, port: str, cause: str
) -> None:
    host = f"smtp.{world.FOREIGN_DOMAIN}"
    if cause == "certificate-expired":
        ours = pki.TestAuthority.load(made.folder / "pki")
        leaf = ours.issue_operator(host, CLIENT, dates=pki.Dates.EXPIRED)
    elif cause == "chain-foreign":
        leaf = pki.TestAuthority.create(label="ETRANGERE").issue_operator(host, CLIENT)
    else:
        leaf = pki.self_signed(host, CLIENT)
    before = {row["seq"] for row in made.command("audit_show", **refusals())}
    assert shut_out(made, port, leaf.write(tmp_path, "client"))
    entry = next_entry(made, before)
    road = "operator-road" if port == "smtp" else "client-road"
    assert (entry["outcome"], entry["actor"], entry["detail"]) == ("handshake-failed", road, {"cause": cause})


def refusals() -> dict[str, Any]:
    return {"limit": 500, "action": "refuse", "address": None, "reference": None}


def next_entry(made: world.World, before: set[int]) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        new = [row for row in made.command("audit_show", **refusals()) if row["seq"] not in before]
        if new:
            assert len(new) == 1
            return new[0]
        time.sleep(0.05)
    raise AssertionError("nothing was audited")


# ----------------------------------------------------------------------------- submission: who speaks, and when


def test_auth_before_tls(made: world.World) -> None:
    with connected(made.ports["submission"]) as wire:
        reply = wire.ask("AUTH PLAIN AGEAYg==")
        assert "AUTH" not in wire.hello().text
    assert (reply.code, reply.words) == (
        538,
        "5.7.11 Encryption required for requested authentication mechanism",
    )
    assert audited_as(made, reply) == "auth-before-tls"


def test_mail_before_auth(made: world.World) -> None:
    with connected(made.ports["submission"], clients.tls(made.ca)) as wire:
        reply = wire.ask(f"MAIL FROM:<{world.GP}>")
    assert (reply.code, reply.words) == (530, "5.7.0 Authentication required")
    assert audited_as(made, reply) == "not-authenticated"


def test_a_wrong_password(made: world.World) -> None:
    proof = base64.b64encode(f"\0{world.GP}\0nope".encode()).decode()
    with connected(made.ports["submission"], clients.tls(made.ca)) as wire:
        reply = wire.ask(f"AUTH PLAIN {proof}")
    assert (reply.code, reply.words) == (535, "5.7.8 Authentication failed")
    assert audited_as(made, reply) == "wrong-password"


def test_mail_from_someone_else(made: world.World) -> None:
    with as_gp(made) as wire:
        reply = wire.ask(f"MAIL FROM:<{world.NURSE}>")
    assert (reply.code, reply.words) == (
        550,
        "5.7.1 You may send only as the address you logged in with, or for a mailbox you are a member of",
    )
    assert audited_as(made, reply) == "sender-not-yours"


ONE_FROM = "5.7.1 The message must have one From field with one address"
NOT_YOU = "5.7.1 From must be the address that sends (MAIL FROM and login)"
FORGERIES = {
    "another address": (f"From: {world.NURSE}", NOT_YOU, "from-forged"),
    "one's own address as the name": (f'From: "{world.GP}" <{world.NURSE}>', NOT_YOU, "from-forged"),
    "the same local part elsewhere": ("From: camille.aubry@mss.autre.test", NOT_YOU, "from-forged"),
    "two fields": (f"From: {world.GP}\r\nFrom: {world.NURSE}", ONE_FROM, "from-not-one"),
    "two fields, one with a blank before its colon": (
        f"From: {world.GP}\r\nFrom : {world.NURSE}",
        ONE_FROM,
        "from-not-one",
    ),
    "two authors": (f"From: {world.GP}, {world.NURSE}", ONE_FROM, "from-not-one"),
    "an empty group": ("From: Personne:;", ONE_FROM, "from-not-one"),
    "no field": ("X-From: nobody", ONE_FROM, "from-not-one"),
    "another Sender": (f"From: {world.GP}\r\nSender: {world.NURSE}", NOT_YOU, "from-forged"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_from(made: world.World, forgery: str) -> None:
    header, sentence, reason = FORGERIES[forgery]
    before = lying(made, world.DOCTOR)
    with as_gp(made) as wire:
        addressed(wire, world.GP, world.DOCTOR)
        reply = wire.data(f"{header}\r\nTo: {world.DOCTOR}\r\nSubject: essai\r\n\r\nx".encode())
    assert (reply.code, reply.words) == (550, sentence)
    assert audited_as(made, reply) == reason
    assert lying(made, world.DOCTOR) == before


def test_a_forged_from_from_another_operator(made: world.World) -> None:
    with as_operator(made) as wire:
        addressed(wire, world.FOREIGN_DOCTOR, world.GP)
        reply = wire.data(note(world.NURSE, world.GP))
    assert (reply.code, reply.words) == (550, NOT_YOU)
    assert audited_as(made, reply) == "from-forged"


RECEIPT = (
    "From: {sender}\r\nTo: {to}\r\nSubject: Accus=?UTF-8?Q?=C3=A9?= - Bilan\r\nReferences: <un@essai>\r\n"
    "Message-ID: <accuse-{number}@essai>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; boundary="limite"; report-type={report}\r\n\r\n'
    "--limite\r\nContent-Type: text/plain\r\n\r\nLu.\r\n\r\n"
    "--limite\r\nContent-Type: message/disposition-notification\r\n\r\n"
    "Final-Recipient: rfc822; {sender}\r\nOriginal-Message-ID: <un@essai>\r\n"
    "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--limite--\r\n"
)


@pytest.mark.parametrize(
    ("sender", "report", "code", "words"),
    [
        (world.GP, "disposition-notification", 250, "2.0.0 "),
        (world.NURSE, "disposition-notification", 550, "5.7.1 From must be an address that you may send as"),
        (
            world.GP,
            "delivery-status",
            550,
            "5.7.1 Without a sender (MAIL FROM:<>) only read receipts are accepted",
        ),
    ],
)
def test_a_mail_program_hands_in_its_read_receipts_without_a_sender_and_nothing_else_so(
    made: world.World, sender: str, report: str, code: int, words: str
) -> None:
    with as_gp(made) as wire:
        assert wire.ask("MAIL FROM:<>").code == 250
        assert wire.ask(f"RCPT TO:<{world.NURSE}>").code == 250
        filled = RECEIPT.format(sender=sender, to=world.NURSE, report=report, number=code)
        reply = wire.data(filled.encode())
    assert reply.code == code
    assert reply.words.startswith(words)


@pytest.mark.parametrize("road", ["client", "operator"])
def test_a_relay_attempt(made: world.World, road: str) -> None:
    with as_gp(made) if road == "client" else as_operator(made) as wire:
        assert wire.ask(f"MAIL FROM:<{world.GP if road == 'client' else world.FOREIGN_DOCTOR}>").code == 250
        reply = wire.ask(f"RCPT TO:<{ELSEWHERE}>")
        routed = wire.ask(f"RCPT TO:<@{world.DOMAIN}:{ELSEWHERE}>")
        percent = wire.ask(f"RCPT TO:<destinataire%mss.ailleurs.test@{world.DOMAIN}>")
        data = wire.ask("DATA")
    words, reason = {
        "operator": ("5.7.1 This server does not relay to other operators", "relay-refused"),
        "client": (
            f"5.7.1 {ELSEWHERE} is not in the trust space of MSSante: nothing was sent to it",
            "recipient-domain-unlisted",
        ),
    }[road]
    assert (reply.code, reply.words) == (550, words)
    assert audited_as(made, reply) == reason
    assert routed.code in (550, 553)
    assert (percent.code, percent.words) == (550, "5.1.1 No such mailbox here")
    assert (data.code, data.words) == (554, "5.5.1 No valid recipients")


# --------------------------------------------------------------------------------------------- smuggling

ENDINGS = {
    "LF . LF": b"\n.\n",
    "CR . CR": b"\r.\r",
    "CR . LF": b"\r.\n",
    "LF . CR": b"\n.\r",
    "LF . CRLF": b"\n.\r\n",
    "CRLF . LF": b"\r\n.\n",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . CR": b"\r\n.\r",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
}


@pytest.mark.parametrize("road", ["client", "operator"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_look_alike_of_the_end_delivers_nothing_and_splits_nothing(
    made: world.World, road: str, ending: str
) -> None:
    sender = world.GP if road == "client" else world.FOREIGN_DOCTOR
    before = lying(made, world.DOCTOR)
    smuggled = b"".join(
        (
            f"MAIL FROM:<{sender}>\r\nRCPT TO:<{world.DOCTOR}>\r\nDATA\r\n".encode(),
            note(sender, world.DOCTOR, ("X-Smuggled", "yes")),
        )
    )
    with as_gp(made) if road == "client" else as_operator(made) as wire:
        addressed(wire, sender, world.DOCTOR)
        assert wire.ask("DATA").code == 354
        wire.send(note(sender, world.DOCTOR) + ENDINGS[ending])
        assert wire.silent(0.05), "the look-alike was taken for the end"
        wire.send(smuggled + b"\r\n.\r\n")
        reply = wire.read()
        # One answer to all of it: what follows is the answer to what follows.
        assert wire.ask("NOOP").text == "2.0.0 OK"
    assert (reply.code, reply.words) == (550, "5.6.11 Message refused: bare CR, bare LF or NUL in it")
    assert audited_as(made, reply) == "bare-newline"
    assert lying(made, world.DOCTOR) == before


def test_a_second_letter_talked_out_of_turn_is_refused(made: world.World) -> None:
    """The eleventh of smtpsmug: commands and a second letter sent with the end of the first."""
    before = lying(made, world.DOCTOR)
    with as_operator(made) as wire:
        addressed(wire, world.FOREIGN_DOCTOR, world.DOCTOR)
        assert wire.ask("DATA").code == 354
        second = f"MAIL FROM:<{world.FOREIGN_DOCTOR}>\r\nRCPT TO:<{world.DOCTOR}>\r\nDATA\r\n".encode()
        letter = note(world.FOREIGN_DOCTOR, world.DOCTOR)
        wire.send(letter + b"\r\n.\r\n" + second + letter + b" 2\r\n.\r\n")
        answers = [wire.read() for _ in range(4)]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            wire.read()
    assert [answer.code for answer in answers] == [250, 250, 250, 554]
    assert answers[-1].words == "5.5.0 SMTP protocol synchronization: talking out of turn"
    assert audited_as(made, answers[-1]) == "out-of-turn"
    assert lying(made, world.DOCTOR) == before + 1


# ------------------------------------------------------------------------------------------------- size


def test_a_letter_too_big_as_declared(made: world.World) -> None:
    with as_gp(made) as wire:
        assert f"SIZE {25 * MIB}" in wire.hello().text
        reply = wire.ask(f"MAIL FROM:<{world.GP}> SIZE={25 * MIB + 1}")
        assert wire.ask(f"MAIL FROM:<{world.GP}> SIZE={25 * MIB}").code == 250
    assert (reply.code, reply.words) == (552, "5.3.4 Message too big")
    assert audited_as(made, reply) == "too-big"


def test_a_letter_too_big_undeclared_is_drained_and_refused(made: world.World) -> None:
    before = lying(made, world.DOCTOR)
    with as_gp(made) as wire:
        addressed(wire, world.GP, world.DOCTOR)
        line = b"x" * 998 + b"\r\n"
        reply = wire.data(note(world.GP, world.DOCTOR) + b"\r\n" + line * (25 * MIB // 1000 + 1))
        assert wire.ask("NOOP").code == 250
    assert (reply.code, reply.words) == (552, "5.3.4 Message too big")
    assert audited_as(made, reply) == "too-big"
    assert lying(made, world.DOCTOR) == before


# ------------------------------------------------------------------------------------------- recipients


@pytest.fixture(scope="module")
def closed(made: world.World) -> dict[str, str]:
    """Two accounts of this file alone: one suspended, one whose certificate is revoked."""
    suspended, revoked = f"suspendu@{world.DOMAIN}", f"revoque@{world.DOMAIN}"
    for address in (suspended, revoked):
        made.command("account_add", address=address, kind="PER", password=False, certificate=None)
    made.command("account_suspend", address=suspended, reason="départ à la retraite")
    key = people.make_key("Revoque", revoked, "phrase", made.folder / "people")
    made.command(
        "key_publish", address=revoked, certificate=base64.b64encode(key.public.read_bytes()).decode()
    )
    made.command("key_revoke", address=revoked, fingerprint=None)
    return {
        "recipient-unknown": f"inconnu@{world.DOMAIN}",
        "recipient-suspended": suspended,
        "certificate-revoked": revoked,
    }


BAD_RECIPIENTS = {
    "recipient-unknown": "5.1.1 No such mailbox here",
    "recipient-suspended": "5.2.1 This mailbox is suspended",
    "certificate-revoked": "5.7.5 The certificate of this mailbox is revoked and has no successor",
}


@pytest.mark.parametrize("reason", BAD_RECIPIENTS)
@pytest.mark.parametrize("road", ["client", "operator"])
def test_one_bad_recipient_among_good_ones_and_the_good_are_served(
    made: world.World, closed: dict[str, str], road: str, reason: str
) -> None:
    sender = world.GP if road == "client" else world.FOREIGN_DOCTOR
    before = lying(made, world.DOCTOR), lying(made, world.NURSE)
    with as_gp(made) if road == "client" else as_operator(made) as wire:
        addressed(wire, sender, world.DOCTOR)
        reply = wire.ask(f"RCPT TO:<{closed[reason]}>")
        assert wire.ask(f"RCPT TO:<{world.NURSE}>").code == 250
        assert wire.data(note(sender, world.DOCTOR)).code == 250
    assert (reply.code, reply.words) == (550, BAD_RECIPIENTS[reason])
    assert audited_as(made, reply) == reason
    assert (lying(made, world.DOCTOR), lying(made, world.NURSE)) == (before[0] + 1, before[1] + 1)


def test_a_suspended_account_does_not_log_in(made: world.World) -> None:
    address = f"parti@{world.DOMAIN}"
    made_now = made.command("account_add", address=address, kind="PER", password=True, certificate=None)
    made.command("account_suspend", address=address, reason="départ à la retraite")
    proof = base64.b64encode(f"\0{address}\0{made_now['password']}".encode()).decode()
    with connected(made.ports["submission"], clients.tls(made.ca)) as wire:
        reply = wire.ask(f"AUTH PLAIN {proof}")
    assert (reply.code, reply.words) == (535, "5.7.13 This account is suspended")
    assert audited_as(made, reply) == "log-in-suspended"


def test_the_trace_of_all_these_refusals_is_whole_and_holds_no_content(made: world.World) -> None:
    assert made.command("audit_verify")["broken"] is None
    rows = made.command("audit_show", limit=10_000, action=None, address=None, reference=None)
    assert "essai" not in str(rows)
