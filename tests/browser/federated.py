"""Two operators behind the page: ours, whose people are before a browser, and theirs, at mail programs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from deploy.demo import clients, federation, letters, world
from deploy.demo.federation_world import BAD_PORT, LIST_PORT, REVOCATION_PORT, SWITCH_PORT, Operator
from deploy.demo.world import Person
from tests.browser.served import QUICK, Served, aside
from tests.browser.wiretap import Wiretap
from tests.peers.federation import lying, wait

# "Envoyé." stands for as long as one may take it back: time enough to see it on a busy machine.
_SECTIONS = {**QUICK, "page": {"undo_seconds": 2}}
DOCTOR, SECRETARIAT, SECRETARY = world.FOREIGN_DOCTOR, federation.SECRETARIAT, federation.SECRETARY


@dataclass(slots=True)
class Federated:
    """`ours` is served to a browser; `peer` has a doctor with a key and a secretariat without."""

    ours: Served
    beside: federation.Federation

    @property
    def peer(self) -> Operator:
        return self.beside.peer

    @property
    def doctor(self) -> Person:
        return self.peer.persons[DOCTOR]

    @property
    def secretary(self) -> Person:
        return self.peer.persons[SECRETARY]

    def there(self, name: str, **arguments: Any) -> Any:
        """A command of their console."""
        return aside(lambda: self.peer.command(name, **arguments))

    def doctor_writes(self, to: str, subject: str, text: str) -> letters.Letter:
        letter = letters.note(f"Dr Yasmine Benali <{DOCTOR}>", to, subject, text)
        self.peer.send(self.doctor, [to], letter.data)
        return letter

    def secretary_writes(self, to: str, subject: str, text: str) -> None:
        """In her own name; nobody there has a key of hers."""
        letter = letters.note(f"Sami Oudin <{SECRETARY}>", to, subject, text)
        self.peer.send(self.secretary, [to], letter.data)

    def doctor_reads(
        self, is_it: Callable[[clients.Opened], bool], signer: Path | None = None
    ) -> tuple[bytes, clients.Opened]:
        """A letter as it lies there, and as her own program and gpg open it. `signer`: whose signature she knows."""
        doctor = self.doctor
        assert doctor.secret_key is not None
        secret, passphrase = doctor.secret_key, doctor.passphrase

        def look() -> tuple[bytes, clients.Opened] | None:
            for stored in reversed(lying(self.peer, doctor)):
                found = clients.open_with_gpg(stored, secret, passphrase, signer)
                if is_it(found):
                    return stored, found
            return None

        return wait(look)

    def secretary_reads(self, is_it: Callable[[EmailMessage], bool]) -> EmailMessage:
        """Of her own mailbox, which the operator keeps."""
        return wait(
            lambda: next((one for one in map(_shown, lying(self.peer, self.secretary)) if is_it(one)), None)
        )

    def in_secretariat(self) -> list[EmailMessage]:
        """What lies in their secretariat's mailbox, as its member's program shows it, oldest first."""
        context, person = clients.tls(self.peer.commons.ca), self.secretary
        with clients.mailbox(self.peer.ports["imaps"], context, person.address, person.password) as imap:
            shared = [name for name in clients.folders(imap) if SECRETARIAT in name]
            if not shared:
                return []
            inbox = next((name for name in shared if name.endswith("/INBOX")), shared[0])
            imap.select(f'"{inbox}"', readonly=True)
            _, found = imap.uid("SEARCH", "ALL")
            data = [imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1] for uid in found[0].split()]
            return [_shown(each[0][1]) for each in data]

    def secretariat_reads(self, subject: str) -> EmailMessage:
        return wait(
            lambda: next((each for each in self.in_secretariat() if each["Subject"] == subject), None)
        )


def _shown(stored: bytes) -> EmailMessage:
    return message_from_bytes(stored, policy=policy.default)


@contextmanager
def served_federation() -> Generator[Federated]:
    folder = Path(tempfile.mkdtemp(prefix="vm-two-"))
    # The trust authority's servers too, a bad operator's, and what switches them.
    beside_them = (LIST_PORT, REVOCATION_PORT, BAD_PORT, SWITCH_PORT)
    theirs = (*world.ports_at(0).values(), *beside_them)
    base = world.free_port_base(*(port + world.PEER_OFFSET for port in theirs))
    beside = federation.Federation(folder, base)
    try:
        made, process = world.build(folder, base, lambda _: None, _SECTIONS, beside.begin)
        try:
            beside.complete(made)
            tap = Wiretap(made.ports["http"])
            try:
                yield Federated(Served(made, process, tap), beside)
            finally:
                tap.close()
        finally:
            process.stop()
    finally:
        beside.ended.close()
        shutil.rmtree(folder, ignore_errors=True)
