"""Thunderbird, as Debian ships it, adds an account: it asks for a name, an address and a password, and nothing else.

Everything is its own: what it asks over HTTPS under the domain's name, what it understands of the answer, and the login
with which it tries the settings before it keeps them.
"""

from __future__ import annotations

import asyncio
import json
import plistlib
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import clients, world
from deploy.node.doctor import examine_node
from tests.peers.federation import wait
from tests.peers.test_thunderbird import installed

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1500)]

_WIZARD = Path(__file__).parent / "thunderbird" / "wizard.py"
_TLS, _PASSWORD = 3, 3  # nsMsgSocketType.SSL, nsMsgAuthMethod.passwordCleartext


@pytest.fixture(scope="module")
def added(made: world.World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    installed()
    out = tmp_path_factory.mktemp("wizard")
    before = logins(made)

    def later() -> list[dict[str, Any]] | None:
        """The trace is written a moment after."""
        new = [row for row in logins(made) if row not in before]
        return new if len(new) >= 2 else None

    done = subprocess.run(
        [
            sys.executable, str(_WIZARD), "--demo-json", str(made.folder / "demo.json"), "--out", str(out),
            "--address", world.GP, "--seconds", "90",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1400,
    )  # fmt: skip
    log = out / "thunderbird.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-2000:] if log.exists() else "")
    return {**json.loads((out / "thunderbird-wizard.json").read_text()), "logins": wait(later)}


def logins(made: world.World) -> list[dict[str, Any]]:
    return list(made.command("audit_show", limit=1000, action="login", address=world.GP, reference=None))


def test_it_asks_for_a_name_an_address_and_a_password_alone(added: dict[str, Any]) -> None:
    assert added["fields"] == {"first": ["realName", "email"], "found": []}
    assert added["asked"] == ["password"]


def test_it_finds_the_servers_by_the_domain_s_own_name(added: dict[str, Any]) -> None:
    assert f"autoconfig.{world.DOMAIN}:443" in added["called"]
    assert any("IMAP" in line for line in added["words"])


def test_the_account_is_the_one_that_the_node_has_at_its_real_ports(
    added: dict[str, Any], made: world.World
) -> None:
    assert added["incoming"] == {
        "host": "localhost",
        "port": made.ports["imaps"],
        "security": _TLS,
        "login": _PASSWORD,
        "user": world.GP,
    }
    assert added["outgoing"] == {
        "host": "localhost",
        "port": made.ports["submissions"],
        "security": _TLS,
        "login": _PASSWORD,
        "user": world.GP,
    }
    assert added["identity"]["address"] == world.GP


def test_it_logged_in_with_what_was_given_before_it_kept_it(added: dict[str, Any]) -> None:
    assert added["inbox"].endswith("/INBOX")
    assert len(added["logins"]) >= 2, "to IMAP and to submission"


def test_doctor_finds_that_programs_are_told_what_answers(made: world.World) -> None:
    found = [one for one in asyncio.run(examine_node(made.node, None)) if one.subject == "mail programs"]
    assert {one.verdict for one in found} == {"good"}, found
    ports = sorted(made.ports[name] for name in ("imap", "imaps", "submission", "submissions"))
    assert any(all(str(port) in one.sentence for port in ports) for one in found)


def test_the_profile_for_apple_s_programs_is_signed_by_the_node(made: world.World, tmp_path: Path) -> None:
    context = clients.tls(made.ca)
    address = f"https://localhost:{made.ports['https']}/apple.mobileconfig?emailaddress={world.GP}"
    with urllib.request.urlopen(address, context=context, timeout=30) as answer:
        (tmp_path / "profile").write_bytes(answer.read())
    opened = subprocess.run(
        ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "profile", "-CAfile", made.ca,
         "-purpose", "any"],
        capture_output=True,
        check=True,
    )  # fmt: skip
    mail = plistlib.loads(opened.stdout)["PayloadContent"][0]
    assert mail["IncomingMailServerPortNumber"] == made.ports["imaps"]
    assert mail["OutgoingMailServerPortNumber"] == made.ports["submissions"]
