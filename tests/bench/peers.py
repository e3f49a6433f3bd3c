"""The peers: Debian's Postfix, which hands over by LMTP to Debian's Dovecot. fsync on, TLS on both doors.

Invariants: everything they write lies under the benchmark's run folder; the chain has delivered only when
Postfix's queue is empty (Postfix answers 250 once it has queued, the product once it has filed).
"""

from __future__ import annotations

import os
import shutil
import string
import time
from collections.abc import Mapping
from pathlib import Path

from tests.bench.generator import Door
from tests.bench.prepare import DOMAIN, HERE, SENDER, Place
from tests.bench.process import CouldNotRun, Server
from tests.bench.system import System

SMTP_PORT, LMTP_PORT, IMAPS_PORT = 21025, 21024, 21993
PASSWORD = "pw"
_DRAIN_SECONDS = 120.0
_MOVING = ("maildrop", "incoming", "active")


def chain(place: Place) -> System:
    """Postfix → LMTP → Dovecot, started."""
    run = place.run / "chain"
    configuration = run / "etc"
    for folder in (configuration, run / "queue", run / "state", run / "dovecot", run / "mail"):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.chown(run / "state", "postfix")
    shutil.chown(run / "mail", "vmail", "vmail")
    values = {
        "domain": DOMAIN,
        "password": PASSWORD,
        "smtp": SMTP_PORT,
        "lmtp": LMTP_PORT,
        "imaps": IMAPS_PORT,
        "tls": place.tls,
        "logs": place.logs,
        "data": run / "mail",
    }
    _fill("dovecot.conf", configuration, {**values, "run": run / "dovecot"})
    _fill("main.cf", configuration, {**values, "run": run})
    _fill("master.cf", configuration, values)
    (configuration / "dynamicmaps.cf").touch()  # Postfix warns at each start without it

    # Debian's Dovecot knows only /usr: it gets it, the unpacked packages laid over ours, seen by it alone.
    overlay = f"mount -t overlay overlay -o lowerdir={place.dovecot}/usr:/usr /usr"
    dovecot = Server(
        "dovecot",
        ["unshare", "--mount", "sh", "-c", f"{overlay} && exec dovecot -F -c {configuration}/dovecot.conf"],
        [LMTP_PORT, IMAPS_PORT],
        place.logs / "dovecot.out",
    )
    postfix = Server(
        "postfix",
        ["/usr/sbin/postfix", "-c", str(configuration), "start-fg"],
        [SMTP_PORT],
        place.logs / "postfix.out",
    )
    system = System(
        name="Postfix → Dovecot",
        servers=(dovecot, postfix),
        smtp=Door(SMTP_PORT, "starttls"),
        imap=Door(IMAPS_PORT, "implicit"),
        sender=SENDER,
        domain=DOMAIN,
        passwords=lambda _address: PASSWORD,
        drain=lambda: _until_empty(run / "queue"),
    )
    system.start()
    return system


def _fill(name: str, folder: Path, values: Mapping[str, object]) -> None:
    template = string.Template((HERE / "conf" / f"{name}.in").read_text())
    (folder / name).write_text(template.safe_substitute(values))


def _until_empty(queue: Path) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while any(_letters(queue / name) for name in _MOVING):
        if time.monotonic() > deadline:
            raise CouldNotRun(f"Postfix's queue is not empty after {_DRAIN_SECONDS:.0f} s: see {queue}")
        time.sleep(0.01)
    if _letters(queue / "deferred"):  # it would be tried again in five minutes
        raise CouldNotRun("Dovecot refused a letter for a time: see postfix.log")


def _letters(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
