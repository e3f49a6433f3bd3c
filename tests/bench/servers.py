"""The product's side: how a node is made, given accounts, started. All that must follow the product.

Invariants: each mode has a node of its own, made afresh; `custody` accounts have no key, `sealed` ones a
certificate that GnuPG made; the key-encryption key lies beside the home and not in it.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from deploy.demo import pki
from deploy.node.control import NodeDown, ask
from deploy.node.initialise import Wishes, initialise
from policies.local_rules import write_password_rule
from tests.bench.generator import Door
from tests.bench.prepare import DOMAIN, SENDER, Place
from tests.bench.process import Server
from tests.bench.system import System, addresses

Mode = Literal["custody", "sealed"]

_REPOSITORY = Path(__file__).parents[2]
_PORT_BASE = {"custody": 22000, "sealed": 23000}
_DOORS = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "https": 443,
    "metrics": 464,
}


def product(mode: Mode, place: Place, say: Callable[[str], None]) -> System:
    """A node, serving, with an account for each recipient and each reader."""
    folder = place.run / mode
    folder.mkdir(parents=True)
    home = folder / "node"
    ports = {name: _PORT_BASE[mode] + port for name, port in _DOORS.items()}
    say(f"{mode}: a node")
    _make_node(folder, home, ports)
    server = Server(
        mode,
        [sys.executable, "-m", "deploy.node.cli", "serve", "--home", str(home)],
        [ports["submission"], ports["imaps"]],
        place.logs / f"{mode}.out",
        folder=_REPOSITORY,
    )
    passwords: dict[str, str] = {}
    system = System(
        name=f"Vaguemestre, {mode}",
        servers=(server,),
        smtp=Door(ports["submission"], "starttls"),
        imap=Door(ports["imaps"], "implicit"),
        sender=SENDER,
        domain=DOMAIN,
        passwords=passwords.__getitem__,
    )
    system.start()
    try:
        say(f"{mode}: accounts")
        for address in (SENDER, *addresses(DOMAIN)):
            kind = "APP" if address == SENDER else "PER"
            made = _console(home, "account_add", address=address, kind=kind, password=True, certificate=None)
            passwords[address] = made["password"]
        if mode == "sealed":
            say(f"{mode}: certificates")
            for address, certificate in _certificates(place.certificates).items():
                data = base64.b64encode(certificate).decode()
                _console(home, "key_publish", address=address, certificate=data)
    except BaseException:
        system.stop()
        raise
    system.smtp = Door(ports["submission"], "starttls", user=SENDER, password=passwords[SENDER])
    return system


def https_port(mode: str) -> int:
    """Where the node of this mode serves JMAP."""
    return _PORT_BASE[mode] + _DOORS["https"]


def _make_node(folder: Path, home: Path, ports: dict[str, int]) -> None:
    authority = pki.TestAuthority.create()
    authority.write(folder / "pki")
    here = pki.Organisation.with_finess("GROUPEMENT DE SANTE TEST", 1, "Rhône (69)")
    authority.issue_server(f"smtp.{DOMAIN}", here).write(folder / "pki", "server")
    write_password_rule(folder / "policies", [SENDER], "bench: the one sender sends all, by password")
    wishes = Wishes(
        home=home,
        config=None,
        domains=(DOMAIN,),
        kek=folder / "kek" / "node.kek",
        hostname="localhost",
        certificate=folder / "pki" / "server.pem",
        key=folder / "pki" / "server.key",
        client_ca=folder / "pki" / "ca.pem",
        trust_list=None,
        operator="Bench",
        sections={
            "policies": {"local_rules": str(folder / "policies")},
            "limits": {"system_letters_per_hour": 0, "system_recipients_per_day": 0},  # one sender sends all
            "smtp": {
                "listen": ["127.0.0.1"],
                "operator_port": ports["smtp"],
                "submission_port": ports["submission"],
                "submissions_port": ports["submissions"],
            },
            "imap": {"host": "127.0.0.1", "port": ports["imap"], "tls_port": ports["imaps"]},
            "web": {"host": "127.0.0.1", "port": ports["https"]},
            "ldap": {"port": False, "tls_port": False},
            "metrics": {"port": ports["metrics"]},
        },
    )
    asyncio.run(initialise(wishes))


def _console(home: Path, command: str, **arguments: Any) -> Any:
    """Ask the node. Its console opens just after its doors."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return asyncio.run(ask(home / "control.sock", command, arguments))
        except NodeDown:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _certificates(folder: Path) -> dict[str, bytes]:
    """A certificate for each account, made once by GnuPG; nobody needs the secret halves, so none is kept."""
    missing = [address for address in addresses(DOMAIN) if not (folder / f"{address}.pgp").exists()]
    if missing:
        home = Path(tempfile.mkdtemp(prefix="vaguemestre-bench-"))  # short: the agent's socket lies in it
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
        try:
            for address in missing:
                empty = ["--pinentry-mode", "loopback", "--passphrase", ""]
                subprocess.run(
                    [*gpg, *empty, "--quick-gen-key", address, "future-default", "default", "2y"],
                    check=True,
                    capture_output=True,
                )
                made = subprocess.run([*gpg, "--export", address], check=True, capture_output=True)
                (folder / f"{address}.pgp").write_bytes(made.stdout)
        finally:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
            shutil.rmtree(home, ignore_errors=True)  # the agent removes its sockets itself
    return {address: (folder / f"{address}.pgp").read_bytes() for address in addresses(DOMAIN)}
