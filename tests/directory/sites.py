"""A site of the directory's lookups on loopback, asked as programs do; and GnuPG with its dirmngr, in its own home."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
from fastapi import APIRouter, FastAPI

_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Site:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self,
        path: str,
        method: str = "GET",
        host: str = "localhost",
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, path, body, {"Host": host} | told)
            got = link.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            link.close()


@contextmanager
def serving(routers: Sequence[APIRouter]) -> Generator[Site]:
    app = FastAPI(openapi_url=None)
    for router in routers:
        app.include_router(router)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        yield Site(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


class Correspondent:
    """Somebody who has GnuPG and looks for certificates."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def gpg(self, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--status-fd", "2", *arguments]
        return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)

    def holds(self, who: str) -> str:
        """What the keyring shows, by columns; "" for nothing."""
        shown = self.gpg("--with-colons", "--fixed-list-mode", "--list-keys", who)
        return shown.stdout.decode() if shown.returncode == 0 else ""


@contextmanager
def correspondent(
    *dirmngr: str, hosts: str = "", authorities: Path | None = None
) -> Generator[Correspondent]:
    """`dirmngr`: lines of its configuration. `hosts`, `authorities`: names that resolve, and authorities of the
    system, for it alone (a mount namespace)."""
    home = Path(tempfile.mkdtemp(prefix="vm-corr-"))
    (home / "dirmngr.conf").write_text("".join(f"{line}\n" for line in ("standard-resolver", *dirmngr)))
    (home / "gpg.conf").write_text("no-autostart\n")
    names = home / "hosts"
    names.write_text(f"127.0.0.1 localhost\n{hosts}")
    daemon = ["dirmngr", "--homedir", str(home), "--daemon", "--no-detach"]
    if hosts:
        over = ["/etc/hosts"] if authorities is None else ["/etc/hosts", str(_SYSTEM)]
        placed = [names] if authorities is None else [names, authorities]
        mounting = "".join(
            f"mount --bind {file} {place} && " for file, place in zip(placed, over, strict=True)
        )
        daemon = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{mounting}exec "$0" "$@"', *daemon]
    running = subprocess.Popen(daemon, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_socket(home)
        yield Correspondent(home)
    finally:
        running.terminate()
        running.wait(60)
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _await_socket(home: Path) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        command = [
            "gpg-connect-agent",
            "--homedir",
            str(home),
            "--dirmngr",
            "--no-autostart",
            "GETINFO pid",
            "/bye",
        ]
        told = subprocess.run(command, capture_output=True, timeout=120, check=False)
        if told.stdout.startswith(b"D "):
            return
        time.sleep(0.02)
    raise AssertionError("dirmngr does not answer")
