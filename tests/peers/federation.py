"""Two served operators for the tests, in a trust space whose servers can be switched; a third one misbehaves."""

from __future__ import annotations

import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deploy.demo import clients, people, pki, world
from deploy.demo.federation_bad import BadServer, client_context
from deploy.demo.federation_world import Commons, Operator, operators
from deploy.demo.world import Person, Sections
from policies.trust_list import listing

HERE, THERE, BAD, NARROW = "mss.ici.test", "mss.labas.test", "mss.mauvais.test", "mss.etroit.test"
MIB = 1024 * 1024
LARGEST = 2 * MIB
FIRST = 30  # number of the first of the further operators
NOBODY = 1  # a port at which nothing listens

T = TypeVar("T")
Ports = Mapping[str, Mapping[str, int]]  # of operators, by domain
Asked = dict[str, Any]


def honest(commons: Commons, listed: pki.Leaf) -> pki.Leaf:
    """It shows the certificate that the list names."""
    return listed


_BAD = {BAD: honest, NARROW: honest}


@dataclass(frozen=True)
class Federation:
    """`claire` and `yves` have keys; `luc`, here, and `marc`, there, have none."""

    commons: Commons
    here: Operator
    there: Operator
    bad: Mapping[str, BadServer]  # by domain
    leaves: Mapping[str, pki.Leaf]  # those that are listed for these domains
    folder: Path
    claire: Person
    luc: Person
    yves: Person
    marc: Person

    def context(self, leaf: pki.Leaf | None = None) -> ssl.SSLContext:
        """As the other operator's server connects; or whoever shows this certificate."""
        return client_context(self.commons.ca, leaf or self.there.leaf)

    def anonymous(self) -> ssl.SSLContext:
        return client_context(self.commons.ca, None)


def opened(operator: Operator, person: Person, stored: bytes) -> clients.Opened:
    """With the person's key, as a mail program does."""
    assert person.secret_key is not None
    return clients.open_with_gpg(stored, person.secret_key, person.passphrase, operator.authority)


def lying(operator: Operator, person: Person) -> list[bytes]:
    """The letters of an INBOX, as they lie on the server, oldest first."""
    context = clients.tls(operator.commons.ca)
    with clients.mailbox(operator.ports["imaps"], context, person.address, person.password) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("SEARCH", "ALL")
        letters: list[bytes] = []
        for uid in found[0].split():
            _, data = imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            if data[0]:  # it may have been sealed anew since, under another UID
                letters.append(data[0][1])
        return letters


def await_letter(
    operator: Operator, person: Person, is_it: Callable[[bytes], bool], seconds: float = 180
) -> bytes:
    """The letter of an INBOX that is looked for, as it lies there."""
    return wait(lambda: next((one for one in lying(operator, person) if is_it(one)), None), seconds)


def wait(look: Callable[[], T | None], seconds: float = 180) -> T:
    """What `look` finds at last."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def refusals(operator: Operator, reason: str) -> list[Asked]:
    """Entries of the trace with this outcome; they are written a moment after the answer."""
    rows = operator.command("audit_show", limit=200, action="refuse", address=None, reference=None)
    return [row for row in rows if row["outcome"] == reason]


@contextmanager
def federation(
    sections: Sections | None = None,
    also: Ports | None = None,
    rows: Callable[[Commons], None] | None = None,
    bad: Mapping[str, Callable[[Commons, pki.Leaf], pki.Leaf]] = _BAD,
    *,
    alone: bool = False,
) -> Generator[Federation]:
    """Two operators with their people. The folder's path is short: GnuPG's sockets lie below it.

    `bad`: further domains, with the certificate that their server shows instead of the one that is listed for them.
    `alone`: the other operator is listed, and that is all there is of it; Claire has no key.
    """
    folder = Path(tempfile.mkdtemp(prefix="vm-fed-"))
    commons = Commons.open(folder / "pki")
    servers: dict[str, BadServer] = {}
    leaves: dict[str, pki.Leaf] = {}
    for number, (domain, shown) in enumerate(bad.items(), FIRST):
        leaves[domain] = commons.operator(domain, number)
        servers[domain] = BadServer(shown(commons, leaves[domain]), commons.bundle)
        commons.admit(leaves[domain].dn, domain)
    if rows is not None:
        rows(commons)
    base = world.free_port_base(*(port + world.PEER_OFFSET for port in world.ports_at(0).values()))
    bases = {HERE: base, THERE: base + world.PEER_OFFSET}
    given: dict[str, dict[str, Any]] = {
        "sealing": {"workers": 1},
        "store": {"readers": 1},
        "delivery": {"max_message_size": LARGEST},
        "outbound": {"first_retry_seconds": 0.3, "longest_retry_seconds": 1.0},
    }
    for section, values in (sections or {}).items():
        given[section] = {**given.get(section, {}), **values}
    reached = {domain: {"smtp": server.port, "https": NOBODY} for domain, server in servers.items()}
    try:
        with operators(commons, folder, bases, given, {**reached, **(also or {})}, alone=alone) as (
            here,
            there,
        ):
            persons = _only_claire(here) if alone else _persons(here, there)
            yield Federation(commons, here, there, servers, leaves, folder, *persons)
    finally:
        for server in servers.values():
            server.close()
        commons.close()
        shutil.rmtree(folder, ignore_errors=True)


def _persons(here: Operator, there: Operator) -> tuple[Person, Person, Person, Person]:
    with ThreadPoolExecutor(2) as threads:
        keys = list(threads.map(_key, ((here, "claire", "Claire Dubois"), (there, "yves", "Yves Martin"))))
    return (
        here.person("claire", "Claire", "Dubois", keys[0]),
        here.person("luc", "Luc", "Roche"),
        there.person("yves", "Yves", "Martin", keys[1]),
        there.person("marc", "Marc", "Petit"),
    )


def _only_claire(here: Operator) -> tuple[Person, Person, Person, Person]:
    claire = here.person("claire", "Claire", "Dubois")
    return claire, Person(f"luc@{HERE}", ""), Person(f"yves@{THERE}", ""), Person(f"marc@{THERE}", "")


def _key(whose: tuple[Operator, str, str]) -> people.PersonKey:
    operator, local, name = whose
    return operator.make_key(local, name)


def row(domain: str, dn: str) -> listing.Row:
    return listing.Row(domain, dn, "essai")
