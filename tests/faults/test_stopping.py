"""A node that is stopped in the middle of its work closes every database: no log of SQLite's stays, in which what was
purged, withdrawn or destroyed would still lie."""

from __future__ import annotations

import contextlib
import http.client
import imaplib
import os
import signal
import smtplib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from deploy.demo import clients, letters, world
from deploy.node.control import CommandFailed, NodeDown

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

ROUNDS = 4
GONE = (
    OSError,
    http.client.HTTPException,
    imaplib.IMAP4.error,
    smtplib.SMTPException,
    NodeDown,
    CommandFailed,
)


class Busy:
    """Programs that ask and change something of each database until the node is gone."""

    def __init__(self, made: world.World) -> None:
        self.made = made
        self.key = made.command("directory_key_add", label="essai")["key"]
        self.answered: dict[str, int] = {}

    def begin(self) -> list[threading.Thread]:
        acts = (self.searches, self.letters, self.folders, self.publications, self.keys)
        self.answered = dict.fromkeys((act.__name__ for act in acts), 0)
        threads = [threading.Thread(target=self._until_gone, args=(act,)) for act in (*acts, self.searches)]
        for thread in threads:
            thread.start()
        return threads

    def _until_gone(self, act: Callable[[], Any]) -> None:
        with contextlib.suppress(*GONE):
            while True:
                act()
                self.answered[act.__name__] += 1

    def searches(self) -> None:
        link = http.client.HTTPSConnection(
            "localhost", self.made.ports["https"], timeout=60, context=clients.tls(self.made.ca)
        )
        with contextlib.closing(link):
            link.request("GET", "/fhir/v2/Practitioner?family=moreau", headers={"ESANTE-API-KEY": self.key})
            if link.getresponse().status >= 500:
                raise ConnectionResetError("it stops")

    def letters(self) -> None:
        gp = self.made.persons[world.GP]
        note = letters.note(gp.address, world.NURSE, "Bonjour", "Bonjour.\n").data
        port, tls = self.made.ports["submission"], clients.tls(self.made.ca)
        clients.send_as_person(port, tls, gp.address, gp.password, [world.NURSE], note)

    def folders(self) -> None:
        gp = self.made.persons[world.GP]
        tls = clients.tls(self.made.ca)
        with clients.mailbox(self.made.ports["imaps"], tls, gp.address, gp.password) as imap:
            clients.folders(imap)

    def publications(self) -> None:
        for name in ("directory_withdraw", "directory_publish"):
            self.made.command(name, address=world.DOCTOR)

    def keys(self) -> None:
        made = self.made.command("directory_key_add", label="une autre")
        self.made.command("directory_key_revoke", key=made["id"])


def test_a_node_that_is_stopped_leaves_the_log_of_no_database(
    fragile: tuple[world.World, world.NodeProcess],
) -> None:
    made, process = fragile
    busy = Busy(made)
    for _ in range(ROUNDS):
        threads = busy.begin()
        deadline = time.monotonic() + 180
        while not all(many >= 2 for many in busy.answered.values()):
            assert time.monotonic() < deadline, busy.answered
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGTERM)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads)
        left = {
            path.name for path in made.node.rglob("*") if path.name.endswith(("-wal", "-shm", "-journal"))
        }
        assert left == set()
        process.restart()
        process.wait_ready(made.ports)
