"""What is compared: a system that takes letters by SMTP and shows them by IMAP, and one run of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.generator import Door, Load, LoadGenerator
from tests.bench.process import CouldNotRun, Server, settle

RECIPIENTS = 50  # u0 … u49 receive
READERS = 4  # l0 … l3 hold the mailbox that is listed
LISTED = 1000  # messages in each of them
LISTING = "UID FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)"


def addresses(domain: str) -> list[str]:
    """Every account that receives in a benchmark."""
    return [
        *(f"u{n}@{domain}" for n in range(RECIPIENTS)),
        *(f"l{n}@{domain}" for n in range(READERS)),
        f"p0@{domain}",  # the one with a large mailbox
    ]


@dataclass(frozen=True, slots=True)
class Measure:
    """One run: what the client saw and what the server spent."""

    operations: int
    wall_s: float  # from the first command until the last letter is in its mailbox
    rate: float
    cpu_ms: float  # of all the system's processes, per operation
    cpu_ms_by_server: dict[str, float]
    p50_ms: float  # until the reply, which for Postfix comes before the mailbox
    p95_ms: float
    p99_ms: float
    received_bytes: int
    client_cpu_ms: float


@dataclass(slots=True)
class System:
    """A system under measurement."""

    name: str
    servers: Sequence[Server]
    smtp: Door
    imap: Door
    sender: str
    domain: str
    passwords: Callable[[str], str] = field(repr=False)  # address → IMAP password
    drain: Callable[[], None] = lambda: None  # returns when all that was accepted is in its mailbox

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.stop()

    def ingest(
        self,
        generator: LoadGenerator,
        letter: Path,
        *,
        connections: int,
        letters: int,
        to: str = "u",
        number: int = RECIPIENTS,
    ) -> Measure:
        """Send letters to the accounts `to`0, `to`1 … in turn."""
        return self._measured(
            lambda ready: generator.ingest(
                self.smtp,
                letter=letter,
                sender=self.sender,
                to=to + "{}@" + self.domain,
                recipients=number,
                connections=connections,
                letters=letters,
                ready=ready,
            )
        )

    def warm_up(self, generator: LoadGenerator, letter: Path) -> None:
        """Every account receives: what is made at the first letter (folders, keys) is not measured.

        One letter each, all the way, before a second: two processes of Dovecot that make the same mailbox
        at the same moment fail.
        """
        self.ingest(generator, letter, connections=10, letters=RECIPIENTS)
        self.ingest(generator, letter, connections=10, letters=2 * RECIPIENTS)

    def fill(self, generator: LoadGenerator, letter: Path) -> None:
        """Fill the mailboxes that are listed."""
        for each in (1, LISTED - 1):
            self.ingest(generator, letter, connections=8, letters=READERS * each, to="l", number=READERS)

    def list(self, generator: LoadGenerator, logins: Path, *, repeats: int) -> Measure:
        """READERS connections, each listing its own mailbox."""
        logins.write_text(
            "".join(f"l{n}@{self.domain} {self.passwords(f'l{n}@{self.domain}')}\n" for n in range(READERS))
        )
        logins.chmod(0o600)

        def listing(ready: Callable[[], None]) -> Load:
            load = generator.imap(
                self.imap, logins=logins, command=LISTING, connections=READERS, repeats=repeats, ready=ready
            )
            if load.rows != repeats * LISTED:
                raise CouldNotRun(f"{self.name} listed {load.rows} messages instead of {repeats * LISTED}")
            return load

        return self._measured(listing)

    def _measured(self, run: Callable[[Callable[[], None]], Load]) -> Measure:
        before: list[float] = []

        def ready() -> None:
            settle(self.servers)  # what setting up connections costs has been spent
            before.extend(server.cpu_seconds() for server in self.servers)

        load = run(ready)
        ended = time.perf_counter()
        self.drain()
        wall = load.wall_s + time.perf_counter() - ended
        settle(self.servers)
        spent = [server.cpu_seconds() - start for server, start in zip(self.servers, before, strict=True)]
        scale = 1e3 / load.operations
        return Measure(
            operations=load.operations,
            wall_s=wall,
            rate=load.operations / wall,
            cpu_ms=sum(spent) * scale,
            cpu_ms_by_server={
                server.name: seconds * scale for server, seconds in zip(self.servers, spent, strict=True)
            },
            p50_ms=load.p50_ms,
            p95_ms=load.p95_ms,
            p99_ms=load.p99_ms,
            received_bytes=load.received_bytes,
            client_cpu_ms=load.client_cpu_s * scale,
        )
