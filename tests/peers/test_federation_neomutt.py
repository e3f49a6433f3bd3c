"""neomutt, msmtp and mbsync at one operator answer a letter of the other: names, long lines and eight bits arrive."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from deploy.demo import clients
from deploy.demo.federation_world import Operator
from deploy.demo.world import Person
from tests.peers.federation import Federation, await_letter, opened, wait
from tests.peers.test_federation_exchange import found, machine, texts

pytestmark = pytest.mark.peers

NAMED, LONG = "résumé d'hôpital.bin", "mesures à jour.csv"
_TEXT = "Voici la réponse : œdème.\n" + "x" * 2400 + "\n.\nFrom ici, un point et un début.\n"


class Terminal:
    """A person's home, with programs of the command line that are set up for their account."""

    def __init__(self, operator: Operator, person: Person, home: Path) -> None:
        self._home, ports, ca = home, operator.ports, operator.commons.ca
        (home / "mail").mkdir()
        (home / "msmtprc").write_text(
            f"""account default
host localhost
port {ports["submission"]}
tls on
tls_starttls on
tls_trust_file {ca}
auth on
user {person.address}
password {person.password}
from {person.address}
dsn_notify success,failure,delay
dsn_return headers
"""
        )
        (home / "msmtprc").chmod(0o600)
        (home / "mbsyncrc").write_text(
            f"""IMAPAccount it
Host localhost
Port {ports["imaps"]}
User {person.address}
Pass {person.password}
SSLType IMAPS
CertificateFile {ca}

IMAPStore far
Account it

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX

Channel inbox
Far :far:
Near :near:
Create Near
"""
        )
        (home / "neomuttrc").write_text(
            f"""set sendmail = "msmtp -C {home}/msmtprc"
set from = "{person.address}"
set realname = "Yves Œillet"
set use_envelope_from = yes
set send_charset = "utf-8"
set allow_8bit = yes
set copy = no
"""
        )

        self.sends = ("msmtp", "-C", str(home / "msmtprc"))

    def run(self, *command: str, data: bytes = b"") -> None:
        done = self._done(command, data)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def refused(self, *command: str, data: bytes) -> str:
        """What it says on the terminal."""
        done = self._done(command, data)
        assert done.returncode != 0
        return done.stderr.decode()

    def _done(self, command: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
        screen = {"HOME": str(self._home), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command, input=data, capture_output=True, timeout=150, env={**os.environ, **screen}
        )

    def answer(self, to: str, message_id: str, subject: str, text: str, *files: Path) -> None:
        head = f"my_hdr In-Reply-To: {message_id}"
        command = ["neomutt", "-n", "-F", str(self._home / "neomuttrc"), "-e", head, "-s", subject]
        self.run(*command, "-a", *map(str, files), "--", to, data=text.encode())

    def fetched(self) -> list[bytes]:
        self.run("mbsync", "-c", str(self._home / "mbsyncrc"), "inbox")
        return [path.read_bytes() for path in (self._home / "mail" / "INBOX").glob("*/*") if path.is_file()]


@pytest.fixture
def yves(two: Federation, tmp_path: Path) -> Terminal:
    return Terminal(two.there, two.yves, tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    named, long = tmp_path / NAMED, tmp_path / LONG
    named.write_bytes(secrets.token_bytes(3000))
    long.write_text("à;é;" * 800 + "\n")
    return named, long


def is_whole(received: EmailMessage, files: tuple[Path, Path]) -> None:
    body, *attached = received.iter_parts()
    assert str(body.get_content()).replace("\r\n", "\n") == _TEXT
    assert [one.get_filename() for one in attached] == [NAMED, LONG]
    assert attached[0].get_content() == files[0].read_bytes()
    table = cast("bytes", attached[1].get_payload(decode=True))
    assert table.replace(b"\r\n", b"\n") == files[1].read_bytes()


def test_an_answer_with_attachments_arrives_whole_sealed_and_by_the_gate(
    two: Federation, yves: Terminal, files: tuple[Path, Path]
) -> None:
    word, asked = f"réponse{secrets.token_hex(6)}", "<question@mss.ici.test>"
    yves.answer(two.claire.address, asked, f"Re: {word}", _TEXT, *files)
    yves.answer(two.luc.address, asked, f"Re: {word} bis", _TEXT, *files)
    sealed = found(two.here, two.claire, lambda inner: inner.subject == f"Re: {word}").message
    is_whole(sealed, files)
    assert sealed["In-Reply-To"] == asked

    def is_it(stored: bytes) -> bool:
        return str(read(stored)["Subject"]) == f"Re: {word} bis"

    stored = await_letter(two.here, two.luc, is_it)
    gated = read(stored)
    is_whole(gated, files)
    assert str(gated["From"]) == f"Yves Œillet <{two.yves.address}>"
    assert max(map(len, stored.splitlines())) <= 998
    assert " ".join(str(gated["Authentication-Results"]).split()).count("dkim=pass") == 2


def test_what_msmtp_asks_to_be_told_comes_by_mbsync(two: Federation, yves: Terminal) -> None:
    absent = f"absent{secrets.token_hex(4)}@{two.here.domain}"
    yves.run(*yves.sends, absent, data=f"From: {two.yves.address}\nTo: {absent}\nSubject: a\n\nb\n".encode())

    def told() -> EmailMessage | None:
        for stored in yves.fetched():
            try:
                inner = opened(two.there, two.yves, stored).message
            except clients.NotOpened:
                continue
            if any(absent in str(one["Final-Recipient"]) for one in machine(inner)[1:]):
                return inner
        return None

    report = wait(told)
    assert machine(report)[1]["Action"] == "failed"
    assert "Cette adresse n’existe pas" in texts(report)


def test_msmtp_hears_at_once_that_an_address_beyond_ascii_needs_more_than_it_says(
    two: Federation, yves: Terminal
) -> None:
    """It knows nothing of RFC 6531, and says on its terminal what our door answered."""
    letter = f"From: {two.yves.address}\nSubject: a\n\nb\n".encode()
    said = yves.refused(*yves.sends, f"hélène@{two.here.domain}", data=letter)
    assert "553 5.6.7 A non-ASCII address needs the SMTPUTF8 parameter" in said


def read(stored: bytes) -> EmailMessage:
    return message_from_bytes(stored, policy=policy.default)
