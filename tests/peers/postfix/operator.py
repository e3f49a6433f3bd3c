"""Debian's Postfix as an operator that is not ours: a domain, a certificate, people and a queue of its own.

Invariants: mutual TLS both ways; everything lies in one temporary folder, and the machine's own Postfix is left alone;
it listens on 127.0.0.1 alone, and mail leaves it for its partners alone; it ends with the block.
"""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import string
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from deploy.demo import pki
from deploy.demo.federation_world import Commons

DOMAIN = "mss.postfix.test"
PEOPLE = ("agnes", "bruno", "grise")  # letters to the last come through at the second attempt
_HERE = Path(__file__).parent
_NOBODY = 65534


@dataclass(frozen=True)
class Partner:
    """An operator with which this one exchanges."""

    domains: tuple[str, ...]
    port: int
    host: str  # named by its certificate
    leaf: pki.Leaf


class _Greylist(socketserver.ThreadingTCPServer):
    """Postfix's policy delegation: a letter to `grise` is put off once."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.seen: set[str] = set()
        self.put_off = 0


class _Asked(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked: dict[str, str] = {}
        for line in self.rfile:
            name, _, value = line.decode(errors="replace").strip().partition("=")
            if name:
                asked[name] = value
                continue
            self.wfile.write(f"action={self._action(asked)}\n\n".encode())
            asked = {}

    def _action(self, asked: Mapping[str, str]) -> str:
        lists: Any = self.server
        recipient = asked.get("recipient", "")
        if not recipient.startswith("grise@") or asked.get("sender", "") in lists.seen:
            return "DUNNO"
        lists.seen.add(asked.get("sender", ""))
        lists.put_off += 1
        return "451 4.7.1 Greylisted, come back later"


@dataclass
class Postfix:
    folder: Path
    port: int
    leaf: pki.Leaf
    greylist: _Greylist = field(repr=False)

    @property
    def log(self) -> str:
        return (self.folder / "postfix.log").read_text(errors="replace")

    def address(self, local: str) -> str:
        return f"{local}@{DOMAIN}"

    def letters(self, local: str) -> list[bytes]:
        """What lies in a maildir, in clear, in the order of arrival. In tmp are letters of which a part is there."""
        home = self.folder / "mail" / local
        found = sorted((*home.glob("new/*"), *home.glob("cur/*")), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes() for path in found]

    def await_letter(self, local: str, marker: bytes, seconds: float = 180) -> bytes:
        """The letter in which `marker` stands."""
        deadline = time.monotonic() + seconds
        while True:
            for letter in self.letters(local):
                if marker in letter:
                    return letter
            assert time.monotonic() < deadline, f"no letter for {local}:\n{self.log[-3000:]}"
            time.sleep(0.05)

    def send(self, sender: str, recipients: Sequence[str], data: bytes, *options: str) -> None:
        """By its own sendmail, as its users' programs do."""
        command = ["/usr/sbin/sendmail", "-C", str(self.folder / "etc"), "-i", "-f", sender, *options]
        subprocess.run([*command, *recipients], input=data, check=True, capture_output=True, timeout=120)

    def offer_no(self, *keywords: str) -> None:
        """From now on its server speaks none of these extensions of SMTP."""
        told = f"smtpd_discard_ehlo_keywords={','.join(keywords)}"
        command = ["/usr/sbin/postconf", "-c", str(self.folder / "etc"), "-e", told]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        _control(self.folder, "stop")  # connections that are kept open would still be offered them
        _control(self.folder, "start")
        _until_it_listens(self)

    def await_log(self, words: str, seconds: float = 180) -> str:
        """The line of its log in which these words stand."""
        deadline = time.monotonic() + seconds
        while True:
            for line in self.log.splitlines():
                if words in line:
                    return line
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.05)


@contextmanager
def postfix(space: Commons, leaf: pki.Leaf, port: int, partners: Sequence[Partner]) -> Generator[Postfix]:
    """It serves until the block ends. Skips where Debian's Postfix is not."""
    if not Path("/usr/sbin/postfix").exists():
        pytest.skip("Postfix is not installed")
    if os.geteuid() != 0:
        pytest.skip("Postfix changes user, which needs root")
    run = Path(tempfile.mkdtemp(prefix="vm-postfix-"))
    greylist = _Greylist()
    threading.Thread(target=greylist.serve_forever, args=(0.05,), daemon=True).start()
    served = Postfix(run, port, leaf, greylist)
    try:
        _lay_out(served, space, partners)
        _control(run, "start")
        try:
            _until_it_listens(served)
            yield served
        finally:
            _control(run, "stop")
    finally:
        greylist.shutdown()
        greylist.server_close()
        shutil.rmtree(run, ignore_errors=True)


def _lay_out(served: Postfix, space: Commons, partners: Sequence[Partner]) -> None:
    run = served.folder
    run.chmod(0o755)  # its daemons run as another user
    for name in ("etc", "queue", "state", "mail"):
        (run / name).mkdir()
    shutil.chown(run / "state", "postfix")
    os.chown(run / "mail", _NOBODY, _NOBODY)
    served.leaf.write(run / "pki", "operator")
    shutil.copy(space.bundle, run / "ca.pem")
    values = {
        "run": run,
        "ca": run / "ca.pem",
        "domain": DOMAIN,
        "smtp": served.port,
        "policy": served.greylist.server_address[1],
    }
    for name in ("main.cf", "master.cf"):
        text = string.Template((_HERE / f"{name}.in").read_text()).substitute(values)
        (run / "etc" / name).write_text(text)
    (run / "etc" / "dynamicmaps.cf").touch()  # Postfix warns at each start without it
    _table(run, "mailboxes", {f"{local}@{DOMAIN}": f"{local}/" for local in PEOPLE})
    _table(run, "partners", {_fingerprint(each.leaf): "OK" for each in partners})
    _table(
        run,
        "transport",
        {domain: f"smtp:[127.0.0.1]:{each.port}" for each in partners for domain in each.domains},
    )
    _table(run, "tls_policy", {f"[127.0.0.1]:{each.port}": f"verify match={each.host}" for each in partners})


def _table(run: Path, name: str, rows: Mapping[str, str]) -> None:
    (run / "etc" / name).write_text("".join(f"{key} {value}\n" for key, value in rows.items()))


def _fingerprint(leaf: pki.Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _control(run: Path, word: str) -> None:
    command = ["/usr/sbin/postfix", "-c", str(run / "etc"), word]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=150
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")


def _until_it_listens(served: Postfix) -> None:
    deadline = time.monotonic() + 150
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", served.port)) == 0:
                return
        assert time.monotonic() < deadline, served.log
        time.sleep(0.05)
