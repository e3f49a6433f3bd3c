"""Another operator's server that remembers, through any kill, each letter that it took: a process of its own.

A letter's Message-ID is in `taken`, synced, before its end is answered; so whatever it answered 250 is there, and what
it took and had no time to answer is there too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from deploy.demo.pki import LeafFiles
from tests.mail_server.outbound.client.scripted import Peer

ROOT = Path(__file__).parents[2]
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


def free_port() -> int:
    """Above those of the nodes and the guards of these (`deploy.demo.ports`), below those that the kernel lends to
    clients: it stays free between two lives."""
    while True:
        port = 31_100 + secrets.randbelow(1_500)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Receiver:
    """The process, seen from a test."""

    def __init__(self, port: int, folder: Path, files: LeafFiles, authorities: Path) -> None:
        self.port = port
        self._taken = folder / "taken"
        self._arguments = [
            str(each) for each in (self.port, files.certificate, files.key, authorities, self._taken)
        ]
        self._taken.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.receiver", *self._arguments], cwd=ROOT
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def took(self) -> Counter[str]:
        """How often each letter came; a line cut by a kill was answered to nobody, and says nothing."""
        return Counter(line for line in self._taken.read_text().split("\n")[:-1] if line)

    def await_letters(self, wanted: set[str], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not wanted <= set(self.took()):
            assert time.monotonic() < deadline, f"{len(wanted - set(self.took()))} did not come"
            time.sleep(0.05)


class _Remembering(Peer):
    file: int = -1

    async def _letter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super()._letter(reader, writer)
        found = _MESSAGE_ID.search(self.letters.pop())
        self.raw.clear()
        # The line end first too: what a kill cut short stays a line of its own.
        os.write(self.file, b"\n" + (found[1] if found else b"?") + b"\n")
        os.fsync(self.file)
        await asyncio.sleep(secrets.randbelow(20) / 1000)  # as servers take that look at what they are given


async def _serve(port: int, files: LeafFiles, authorities: Path, taken: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    tls.load_verify_locations(authorities)
    tls.verify_mode = ssl.CERT_REQUIRED
    peer = _Remembering(tls, port=port)
    peer.file = os.open(taken, os.O_WRONLY | os.O_APPEND)
    async with peer:
        await asyncio.Event().wait()


if __name__ == "__main__":
    port, certificate, key, authorities, taken = sys.argv[1:]
    asyncio.run(_serve(int(port), LeafFiles(Path(certificate), Path(key)), Path(authorities), Path(taken)))
