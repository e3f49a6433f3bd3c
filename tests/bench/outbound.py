"""What leaves for another operator, beside Postfix's smtp client: letters a second and CPU a letter, over mutual TLS to
the same Postfix, which throws them away. And a queue of 100,000 letters: how soon a node that starts with it serves and
hands the first over, and what memory it takes.

    python -m tests.bench.outbound --letters 5000 --depth 100000

The queues are filled while they are held, and the clock runs from their release until they are empty: what taking the
letters in costs is not in it. Both keep five connections to the domain. Postfix opens a connection for each letter, as
Debian ships it, and keeps them, as it can be told to.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.demo import pki
from deploy.node.control import NodeDown, ask
from deploy.node.initialise import Wishes, initialise
from policies.local_rules import write_password_rule
from policies.trust_list import listing
from tests.bench import corpus
from tests.bench.generator import Door, LoadGenerator
from tests.bench.prepare import HERE, Place, everything
from tests.bench.process import CouldNotRun, Server

LETTERS, DEPTH = 5_000, 100_000
QUICK_LETTERS, QUICK_DEPTH = 1_000, 10_000
HOME_DOMAIN, THERE = "here.test", "there.test"
SENDER = f"robot@{HOME_DOMAIN}"
_RECEIVER, _POSTFIX, _NODE = 25125, 25225, 25300
_SECONDS = 600.0
_REPOSITORY = Path(__file__).parents[2]
_MOVING = ("maildrop", "incoming", "active", "deferred")


@dataclass(frozen=True, slots=True)
class Run:
    """One queue emptied."""

    name: str
    rate: float  # letters a second
    cpu_ms: float  # a letter

    def __str__(self) -> str:
        return f"{self.name} {self.rate:,.0f} a second, {self.cpu_ms:.2f} ms of CPU each"


def main(
    letters: Annotated[int, typer.Option(help="How many leave.")] = LETTERS,
    depth: Annotated[int, typer.Option(help="How many wait while a node starts; 0: leave it out.")] = DEPTH,
    folder: Annotated[Path, typer.Option(help="Where everything lies meanwhile.")] = Path("bench-data"),
) -> None:
    screen = Console()
    place = Place(folder.absolute())
    everything(place, screen.print)
    place.run.mkdir(exist_ok=True)
    for line in measured(place, screen.print, letters, depth):
        screen.print(line, highlight=False)


def measured(place: Place, say: Callable[[str], None], letters: int, depth: int) -> list[str]:
    """In sentences. Raises CouldNotRun."""
    folder = place.run / "outbound"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    authority = pki.TestAuthority.create()
    ca = authority.write(folder / "pki")
    there = authority.issue_operator(
        f"smtp.{THERE}", pki.Organisation.with_finess("AILLEURS TEST", 2, "Isère (38)")
    )
    here = authority.issue_operator("localhost", pki.Organisation.with_finess("ICI TEST", 1, "Rhône (69)"))
    bundle = folder / "pki" / "bundle.pem"
    bundle.write_bytes(ca.read_bytes() + (folder / "pki" / "intermediate.pem").read_bytes())
    receiver = _postfix(folder, "receiver", _RECEIVER, there, bundle, "discard", "no")
    receiver.start()
    try:
        runs = []
        for name, reuse in (("Postfix, a connection each:", "no"), ("Postfix, connections kept:", "yes")):
            say(f"outbound: {name} {letters:,} letters")
            sender = _postfix(
                folder, f"sender-{reuse}", _POSTFIX, here, bundle, f"smtp:[127.0.0.1]:{_RECEIVER}", reuse
            )
            runs.append(_by_postfix(folder, sender, name, f"sender-{reuse}", letters))
        node = _Node(folder, place, here, there, bundle)
        for name, sealed in (("sealed by its author:", True), ("through the gate:", False)):
            say(f"outbound: {name} {letters:,} letters")
            runs.append(node.emptied(name, letters, sealed=sealed))
        best = min(run.cpu_ms for run in runs[:2])
        found = [
            f"outbound, {letters:,} letters of 4 kB by five connections: {'; '.join(map(str, runs[:2]))}",
            f"outbound, Vaguemestre: {'; '.join(map(str, runs[2:]))}; CPU against Postfix at its best "
            + ", ".join(f"{run.cpu_ms / best:.2f}" for run in runs[2:]),
        ]
        if depth:
            say(f"outbound: a queue of {depth:,}")
            found.append(node.started_with(depth))
        return found
    finally:
        receiver.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------------------ Postfix


def _postfix(
    folder: Path, name: str, port: int, leaf: pki.Leaf, ca: Path, transport: str, reuse: str
) -> Server:
    run = folder / name
    for each in ("etc", "queue", "state"):
        (run / each).mkdir(parents=True)
    shutil.chown(run / "state", "postfix")
    files = leaf.write(run / "pki", "server")
    values = {
        "run": run,
        "name": name,
        "certificate": files.certificate,
        "key": files.key,
        "ca": ca,
        "transport": transport,
        "reuse": reuse,
    }
    for source, target in (("outbound.cf", "main.cf"), ("master.cf", "master.cf")):
        template = string.Template((HERE / "conf" / f"{source}.in").read_text())
        (run / "etc" / target).write_text(template.safe_substitute({**values, "smtp": port}))
    with (run / "etc" / "master.cf").open("a") as master:
        master.write("tlsproxy                unix       -       -      n      -      0       tlsproxy\n")
    (run / "etc" / "dynamicmaps.cf").touch()
    command = ["/usr/sbin/postfix", "-c", str(run / "etc"), "start-fg"]
    return Server(f"outbound_{name}", command, [port], run / "postfix.out")


def _by_postfix(folder: Path, sender: Server, name: str, place: str, letters: int) -> Run:
    etc, queue = folder / place / "etc", folder / place / "queue"
    _postconf(etc, "defer_transports=smtp")
    sender.start()
    try:
        source = ["/usr/sbin/smtp-source", "-s", "10", "-m", str(letters), "-l", "4096", "-f", SENDER]
        done = subprocess.run(
            [*source, "-t", f"r@{THERE}", f"inet:127.0.0.1:{_POSTFIX}"], capture_output=True, check=False
        )
        if done.returncode:
            raise CouldNotRun(f"smtp-source: {done.stderr.decode(errors='replace')[-300:]}")
        _wait(lambda: _files(queue / "deferred") == letters, "Postfix does not hold its letters back")
        _postconf(etc, "defer_transports=")
        subprocess.run(["/usr/sbin/postfix", "-c", str(etc), "reload"], check=True, capture_output=True)
        time.sleep(1)
        before, began = sender.cpu_seconds(), time.perf_counter()
        subprocess.run(["/usr/sbin/postqueue", "-c", str(etc), "-f"], check=True, capture_output=True)
        _wait(lambda: not any(_files(queue / each) for each in _MOVING), "Postfix's queue is not empty")
        taken = time.perf_counter() - began
        time.sleep(0.5)
        return Run(name, letters / taken, (sender.cpu_seconds() - before) / letters * 1000)
    finally:
        sender.stop()


def _postconf(etc: Path, setting: str) -> None:
    subprocess.run(["/usr/sbin/postconf", "-c", str(etc), "-e", setting], check=True, capture_output=True)


def _files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


# ------------------------------------------------------------------------------------------------------ the product


class _Node:
    """A node with one sender, whose one partner is the receiver."""

    def __init__(self, folder: Path, place: Place, here: pki.Leaf, there: pki.Leaf, ca: Path) -> None:
        self._folder = folder
        self._place = place
        self._home = folder / "node"
        self._ports = {"submission": _NODE + 87, "metrics": _NODE + 64}
        files = here.write(folder / "pki", "here")
        listing.write(
            folder / "pki" / "list.xml",
            [listing.Row(HOME_DOMAIN, here.dn), listing.Row(THERE, there.dn)],
        )
        write_password_rule(folder / "policies", [SENDER], "bench: the one sender sends all, by password")
        asyncio.run(initialise(self._wishes(files, ca)))
        self._password = ""

    def _wishes(self, files: pki.LeafFiles, ca: Path) -> Wishes:
        return Wishes(
            home=self._home,
            config=None,
            domains=(HOME_DOMAIN,),
            kek=self._folder / "kek" / "node.kek",
            hostname="localhost",
            certificate=files.certificate,
            key=files.key,
            client_ca=ca,
            trust_list=self._folder / "pki" / "list.xml",
            operator="Bench",
            sections={
                "policies": {"local_rules": str(self._folder / "policies")},
                "limits": {"system_letters_per_hour": 0, "system_recipients_per_day": 0},
                "smtp": {
                    "listen": ["127.0.0.1"],
                    "operator_port": False,
                    "submission_port": self._ports["submission"],
                    "submissions_port": False,
                },
                "imap": {"host": "127.0.0.1", "port": _NODE + 43, "tls_port": _NODE + 93},
                "web": {"host": "127.0.0.1", "port": _NODE + 44},
                "ldap": {"port": False, "tls_port": False},
                "metrics": {"port": self._ports["metrics"]},
                "outbound": {"routes": {THERE: f"127.0.0.1:{_RECEIVER}"}, "use_mx": False, "wkd": False},
            },
        )

    @contextmanager
    def _serving(self) -> Generator[Server]:
        serve = [sys.executable, "-m", "deploy.node.cli", "serve", "--home", str(self._home)]
        ports = [self._ports["submission"], self._ports["metrics"]]
        server = Server("outbound_node", serve, ports, self._folder / "node.out", folder=_REPOSITORY)
        server.start()
        try:
            if not self._password:
                made = self._command(
                    "account_add", address=SENDER, kind="APP", password=True, certificate=None
                )
                self._password = made["password"]
            yield server
        finally:
            server.stop()

    def _command(self, name: str, **arguments: Any) -> Any:
        deadline = time.monotonic() + 20
        while True:
            try:
                return asyncio.run(ask(self._home / "control.sock", name, arguments))
            except NodeDown:
                if time.monotonic() > deadline:
                    raise CouldNotRun("the node's console does not answer") from None
                time.sleep(0.05)

    def emptied(self, name: str, letters: int, *, sealed: bool) -> Run:
        with self._serving() as server:
            self._command("queue_hold", domain=THERE)
            time.sleep(2)  # a node's first start makes its keys
            letter = corpus.write(self._folder / "letters", SENDER)["4k"]
            if sealed:
                letter = _sealed(letter)
            door = Door(self._ports["submission"], "starttls", user=SENDER, password=self._password)
            LoadGenerator(self._place.load_generator).ingest(
                door,
                letter=letter,
                sender=SENDER,
                to=f"r{{}}@{THERE}",
                recipients=1,
                connections=10,
                letters=letters,
                ready=lambda: None,
            )
            before, began = server.cpu_seconds(), time.perf_counter()
            self._command("queue_release", domain=THERE)
            _wait(lambda: self._waiting() == 0, "the node's queue is not empty")
            taken = time.perf_counter() - began
            time.sleep(0.5)
            return Run(name, letters / taken, (server.cpu_seconds() - before) / letters * 1000)

    def started_with(self, depth: int) -> str:
        """In a sentence: a node that finds so many letters waiting."""
        fill = [sys.executable, "-m", "tests.bench.outbound_fill", str(self._home), str(depth)]
        done = subprocess.run(fill, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CouldNotRun(f"the queue could not be filled: {done.stderr[-500:]}")
        began = time.perf_counter()
        with self._serving() as server:
            serves = time.perf_counter() - began
            _wait(lambda: self._waiting() < depth, "nothing leaves")
            first = time.perf_counter() - began
            peak = _resident_mib(server.pids())
            left, since = self._waiting(), time.perf_counter()
            time.sleep(10)
            rate = (left - self._waiting()) / (time.perf_counter() - since)
        return (
            f"outbound, {depth:,} letters wait: doors open after {serves:.1f} s, the first letter is gone after "
            f"{first:.1f} s, {peak:,.0f} MiB in the serving process; then {rate:,.0f} a second"
        )

    def _waiting(self) -> float:
        """Recipients that wait or are in hand."""
        standing = self._command("queue_standing")
        return float(standing["waiting"] + standing["leased"])


def _sealed(letter: Path) -> Path:
    """The same letter as its author's program would seal it: to a key that nobody here knows."""
    home = letter.parent / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always"]
    made = [
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--quick-gen-key",
        f"r@{THERE}",
        "future-default",
    ]
    subprocess.run([*gpg, *made], check=True, capture_output=True)
    header, _, body = letter.read_bytes().partition(b"\r\n\r\n")
    seal = subprocess.run(
        [*gpg, "--armor", "--encrypt", "--recipient", f"r@{THERE}"],
        input=b"Content-Type: text/plain\r\n\r\n" + body,
        check=True,
        capture_output=True,
    )
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    kept = [line for line in header.split(b"\r\n") if line.split(b":")[0].lower() in _OUTSIDE]
    armored = seal.stdout.replace(b"\n", b"\r\n")
    target = letter.with_name("4k-sealed.eml")
    target.write_bytes(
        b"\r\n".join(kept)
        + b"\r\nSubject: [...] abcd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary=b;"
        b' protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\n'
        b"Version: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
        + armored
        + b"\r\n--b--\r\n"
    )
    return target


_OUTSIDE = frozenset({b"from", b"to", b"date", b"message-id"})


def _resident_mib(pids: list[int]) -> float:
    """The largest of them: the serving process."""
    found = [0.0]
    for pid in pids:
        status = Path(f"/proc/{pid}/status")
        if status.exists():
            lines = status.read_text().splitlines()
            found += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")]
    return max(found)


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise CouldNotRun(what)
        time.sleep(0.05)


if __name__ == "__main__":
    typer.run(main)
