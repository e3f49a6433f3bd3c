"""A program no one here wrote: swaks."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from mail_server.smtp.server import Entrance

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not shutil.which("swaks"), reason="swaks is not installed"),
]


async def swaks(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "swaks",
        "--timeout",
        "10",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_it_submits_on_the_starttls_port(world):
    code, out = await swaks(
        "--server", "127.0.0.1", "--port", str(world.door.ports[Entrance.SUBMISSION]), "--tls",
        "--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "secret",
        "--from", "alice@example.org", "--to", "bob@example.org,eve@example.org", "--body", "one\n.two",
    )  # fmt: skip
    assert code == 0, out
    assert world.delivery.bodies[0].endswith(b"one\r\n.two\r\n\r\n\r\n")


async def test_it_submits_on_the_implicit_tls_port(world):
    code, out = await swaks(
        "--server", "127.0.0.1", "--port", str(world.door.ports[Entrance.SUBMISSIONS]), "--tls-on-connect",
        "--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "secret",
        "--from", "alice@example.org", "--to", "bob@example.org",
    )  # fmt: skip
    assert code == 0, out


async def test_it_hands_over_as_an_operator_pipelining(world):
    code, out = await swaks(
        "--server", "127.0.0.1", "--port", str(world.door.ports[Entrance.OPERATOR]), "--tls", "--pipeline",
        "--tls-cert", str(world.pki.folder / "operator.pem"), "--tls-key", str(world.pki.folder / "operator.key"),
        "--from", "alice@example.org", "--to", "bob@example.org",
    )  # fmt: skip
    assert code == 0, out
    assert world.delivery.senders[0][3].certificate == world.pki.der("operator")


async def test_a_wrong_password_is_refused(world):
    code, out = await swaks(
        "--server", "127.0.0.1", "--port", str(world.door.ports[Entrance.SUBMISSION]), "--tls",
        "--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "wrong",
        "--from", "alice@example.org", "--to", "bob@example.org",
    )  # fmt: skip
    assert code == 28
    assert "535 5.7.8" in out
