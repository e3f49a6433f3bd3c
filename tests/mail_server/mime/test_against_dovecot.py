"""Dovecot's IMAP process, where Debian's package is installed, answers the same sections and structures.

Known to differ: it adds `charset=us-ascii` to any text without a charset, ignores a transfer encoding without a
MIME-Version, squeezes blanks in a subject and shows the last of several; of what is malformed, each shows its own.

`DOVECOT_ROOT` may name a folder where the package was only unpacked.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mail_server import mime

ROOT = Path(os.environ.get("DOVECOT_ROOT", "/"))
IMAP = ROOT / "usr/lib/dovecot/imap"
NOBODY = 65534

pytestmark = [pytest.mark.peers, pytest.mark.skipif(not IMAP.exists(), reason="Dovecot is not installed")]

INNER = (
    "Subject: inner\nFrom: a@b\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=i\n\nprologue\n--i\n"
    "Content-Type: text/plain; charset=utf-8\n\ntwo\nlines\n--i\n"
    "Content-Type: text/html; charset=utf-8\n\n<p>\n\n--i--\nepilogue\n"
)
MESSAGES = [
    "Subject: plain\nFrom: user@domain (Real Name)\nSender: \nReply-To: \n\nhello\n",
    "From: <@route:user@domain>\nTo: group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;\nCc: Nobody:;\n\nx\n",
    (
        'From: "Q. \\"x\\" y" <a@b>, =?utf-8?q?=C3=A9?= <c@d>\nTo: "john doe"@x.org, a@[127.0.0.1]\nSender: a@b, c@d\n'
        'Cc: Pete(A chap) <pete(his account)@silly.test(his host)>\nSubject: a "b" \\ c\nDate: Fri, 21 Nov 1997\n'
        "Message-ID: <a@b>\nIn-Reply-To: <c@d> (x)\nBcc: z@z\n\n"
    ),
    f"MIME-Version: 1.0\nContent-Type: message/rfc822\n\n{INNER}",
    (
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="foo\n bar"\n\nprologue\n--foo bar\n'
        'Content-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\nContent-ID: <i@d>\n'
        'Content-Description: a b\nContent-Disposition: attachment; filename="a.pdf"\nContent-Language: fr, en\n'
        "Content-Location: http://x/\n\naGVs\nbG8=\n--foo bar\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\nh=C3=A9 \nsoft=\n break\n--foo bar\n"
        f"Content-Type: message/rfc822\n\n{INNER}\n--foo bar--\nepilogue\n"
    ),
    (
        "MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/digest; boundary=d\n\n"
        "--d \n\nSubject: m1\n\nm1 body\n\n--d \nX-Mime: y\n\nSubject: m2\n\nm2 body\n\n--d--\n"
    ),
    (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n--a\n"
        "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\ninner\n--a\n\nouter, and no end\n"
    ),
    "MIME-Version: 1.0\nContent-Type: message/rfc822\n\nA: 1\nContent-Type: message/rfc822\n\nB: 2\n\nHello\n",
]


class Dovecot:
    """One `imap` process on its standard streams, logged in already."""

    def __init__(self, home: Path, messages: list[bytes]) -> None:
        for name in ("mail/cur", "mail/new", "mail/tmp", "run"):
            (home / name).mkdir(parents=True)
        for number, message in enumerate(messages):
            (home / f"mail/cur/{1000 + number}.M{number:04d}.x:2,").write_bytes(message)
        settings = home / "dovecot.conf"
        settings.write_text(
            f"mail_location = maildir:{home}/mail\nbase_dir = {home}/run\nstate_dir = {home}/run\nssl = no\n"
            f"log_path = {home}/run/log\nlibexec_dir = {ROOT}/usr/lib/dovecot\nfirst_valid_uid = 1\n"
        )
        root = os.geteuid() == 0
        if root:
            subprocess.run(["chown", "-R", str(NOBODY), home], check=True)
            for folder in (home, *home.parents[:3]):
                folder.chmod(folder.stat().st_mode | 0o011)
        self.process = subprocess.Popen(
            [ROOT / "usr/bin/doveconf", "-c", settings, "-m", "imap", "-e", IMAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                "LD_LIBRARY_PATH": str(ROOT / "usr/lib/dovecot"),
                "USER": "nobody",
                "HOME": str(home / "run"),
            },
            user=NOBODY if root else None,
            group=NOBODY if root else None,
        )
        self.command("select inbox")

    def command(self, text: str) -> bytes:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"x " + text.encode() + b"\r\n")
        self.process.stdin.flush()
        answer = b""
        while not (line := self.process.stdout.readline()).startswith(b"x "):
            assert line, "Dovecot hung up"
            answer += line
            while literal := re.search(rb"\{(\d+)\}\r\n\Z", line):
                answer += self.process.stdout.read(int(literal[1]))
                line = self.process.stdout.readline()
                answer += line
        assert line.startswith(b"x OK"), line
        return answer

    def close(self) -> None:
        self.command("logout")
        self.process.communicate(timeout=10)


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory) -> Iterator[Dovecot]:
    peer = Dovecot(
        tmp_path_factory.mktemp("dovecot"), [message.replace("\n", "\r\n").encode() for message in MESSAGES]
    )
    yield peer
    peer.close()


def answered(imap, answer: bytes, what: str):
    """The value of one item of a FETCH answer."""
    name = re.search(re.escape(what.encode()) + rb"(?:<\d+>)? ~?", answer, re.IGNORECASE)
    assert name is not None
    return imap(answer[name.end() : answer.rindex(b")")])


def lower(value):
    """Types and names compare in any case."""
    if isinstance(value, list):
        return [lower(item) for item in value]
    return value.lower() if isinstance(value, bytes) else value


def numbered(part: mime.Part):
    inside = part.children[0] if part.is_message else part
    below = (
        [(1, inside)]
        if inside is not part and not inside.is_multipart
        else list(enumerate(inside.children, 1))
    )
    for number, child in below:
        yield (number,), child
        for path, deeper in numbered(child):
            yield (number, *path), deeper


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_same_envelope_and_structure(dovecot, imap, crlf, number):
    rendered = mime.render(crlf(MESSAGES[number]))
    for what, ours in (
        ("ENVELOPE", rendered.envelope),
        ("BODYSTRUCTURE", rendered.bodystructure),
        ("BODY", rendered.body),
    ):
        theirs = answered(imap, dovecot.command(f"fetch {number + 1} ({what})"), what)
        assert lower(imap(ours)) == lower(theirs), what


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_same_sections(dovecot, imap, crlf, number):
    message = crlf(MESSAGES[number])
    tree = mime.parse(message)
    wanted = [
        ((), "HEADER"),
        ((), "TEXT"),
        ((), "HEADER.FIELDS (FROM X-NONE)"),
        ((), "HEADER.FIELDS.NOT (FROM)"),
    ]
    if not tree.is_multipart and not tree.is_message:
        wanted.append(((1,), ""))
    start = (
        [((1,), tree), *(((1, *path), part) for path, part in numbered(tree))]
        if tree.is_message
        else numbered(tree)
    )
    for path, part in start:
        wanted += [(path, ""), (path, "MIME")]
        if part.is_message:
            wanted += [(path, "HEADER"), (path, "TEXT"), (path, "HEADER.FIELDS (SUBJECT)")]
    for path, text in wanted:
        what, _, names = text.partition(" ")
        named = ".".join([*map(str, path), *([text] if text else [])])
        theirs = answered(imap, dovecot.command(f"fetch {number + 1} (body.peek[{named}])"), f"body[{named}]")
        ours = mime.section(message, tree, path, what, names.strip("()").split())
        assert (ours or b"") == (theirs or b""), named


def test_same_decoded_content(dovecot, imap, crlf):
    message = crlf(MESSAGES[4])
    tree = mime.parse(message)
    for path in ("1", "2", "3.1", "3.2"):
        numbers = tuple(map(int, path.split(".")))
        theirs = answered(imap, dovecot.command(f"fetch 5 (binary.peek[{path}])"), f"binary[{path}]")
        assert mime.binary(message, tree, numbers) == theirs
        size = answered(imap, dovecot.command(f"fetch 5 (binary.size[{path}])"), f"binary.size[{path}]")
        assert mime.binary_size(message, tree, numbers) == size
