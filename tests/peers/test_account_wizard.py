"""Thunderbird, as Debian ships it, adds an account: it asks for a name, an address and a password, and nothing else.

Everything is its own: what it asks over HTTPS under the domain's name, what it understands of the answer, and the login
with which it tries the settings before it keeps them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world
from tests.peers.test_thunderbird import installed

pytestmark = pytest.mark.peers

_WIZARD = Path(__file__).parent / "thunderbird" / "wizard.py"
_TLS, _PASSWORD = 3, 3  # nsMsgSocketType.SSL, nsMsgAuthMethod.passwordCleartext


@pytest.fixture(scope="module")
def added(made: world.World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    installed()
    out = tmp_path_factory.mktemp("wizard")
    before = logins(made)
    done = subprocess.run(
        [
            sys.executable, str(_WIZARD), "--demo-json", str(made.folder / "demo.json"), "--out", str(out),
            "--address", world.GP, "--seconds", "90",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
    )  # fmt: skip
    log = out / "thunderbird.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-2000:] if log.exists() else "")
    return {**json.loads((out / "thunderbird-wizard.json").read_text()), "logins": logins(made) - before}


def logins(made: world.World) -> int:
    rows = made.command("audit_show", limit=1000, action="login", address=world.GP, reference=None)
    return len(rows)


@pytest.mark.timeout(600)
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
    assert added["logins"] >= 2, "to IMAP and to submission"
