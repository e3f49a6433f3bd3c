"""Runs `load/mload` and reads what it measured."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import CouldNotRun

_PATIENCE_SECONDS = 600

# Letters are numbered through all runs, starting from the clock: a server may file a repeated letter once.
_numbers = itertools.count(int(time.time()) * 10_000)


@dataclass(frozen=True, slots=True)
class Door:
    """Where and as whom a client connects."""

    port: int
    tls: str  # "starttls" or "implicit"
    user: str = ""
    password: str = ""
    certificate: Path | None = None  # with it: SASL EXTERNAL
    key: Path | None = None

    def options(self) -> list[str]:
        options = ["--port", str(self.port), "--tls", self.tls]
        if self.certificate and self.key:
            options += ["--cert", str(self.certificate), "--key", str(self.key), "--auth", "external"]
        elif self.user:
            options += ["--user", self.user, "--password", self.password, "--auth", "plain"]
        return options


@dataclass(frozen=True, slots=True)
class Load:
    """What the client saw."""

    operations: int
    errors: int
    rows: int  # FETCH responses
    wall_s: float
    rate: float
    received_bytes: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    client_cpu_s: float


@dataclass(frozen=True, slots=True)
class LoadGenerator:
    """The compiled load generator."""

    program: Path
    pipelining: bool = False

    def ingest(
        self,
        door: Door,
        *,
        letter: Path,
        sender: str,
        to: str,
        recipients: int,
        connections: int,
        letters: int,
        ready: Callable[[], None],
    ) -> Load:
        """Send `letters` letters; `to` holds {} for the recipient's number.

        `ready` is called once all connections stand, authenticated, just before the first letter.
        """
        first = next(_numbers)
        for _ in range(letters - 1):
            next(_numbers)
        options = ["--message", str(letter), "--from", sender, "--to", to, "--recipients", str(recipients)]
        options += ["--first", str(first), "--connections", str(connections), "--operations", str(letters)]
        return self._run("ingest", door, options + ["--pipelining"] * self.pipelining, ready)

    def imap(
        self,
        door: Door,
        *,
        logins: Path,
        command: str,
        connections: int,
        repeats: int,
        ready: Callable[[], None],
    ) -> Load:
        """Repeat `command` in INBOX; connection n logs in with line n of `logins`."""
        options = ["--logins", str(logins), "--command", command]
        options += ["--connections", str(connections), "--operations", str(repeats)]
        return self._run("imap", door, options, ready)

    def _run(self, mode: str, door: Door, options: list[str], ready: Callable[[], None]) -> Load:
        command = [str(self.program), mode, *door.options(), *options, "--hold"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as client:
            assert client.stdout is not None
            if client.stdout.readline() == "ready\n":
                ready()
            try:
                answer, complaints = client.communicate("\n", timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired as stuck:
                client.kill()
                raise CouldNotRun(f"no end after {_PATIENCE_SECONDS} s on port {door.port}") from stuck
        if client.returncode != 0 or not answer:
            raise CouldNotRun(f"the load generator failed on port {door.port}: {complaints[-500:]}")
        load = Load(**json.loads(answer))
        if load.errors or not load.operations:
            raise CouldNotRun(f"{load.errors} errors on port {door.port}: {complaints[:500]}")
        return load
