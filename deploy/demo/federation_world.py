"""A federation on one machine: what all operators share, and a second operator that is a node like the first.

Invariants: each operator has a domain, a certificate, a node, people and a key-encryption key of its own; all stand in
one trust list under one test authority; each reaches the others by configured routes, on 127.0.0.1 alone.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from deploy.demo import clients, people, pki, world
from deploy.demo.federation_servers import NameServer, RevocationServer, TrustListServer, as_xml
from deploy.demo.world import NodeProcess, Person, Sections
from deploy.node.control import ask
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise
from policies.trust_list import listing

LIST_PORT, REVOCATION_PORT, BAD_PORT, SWITCH_PORT = 94, 95, 96, 97  # added to the second operator's port base
_OTHERS = 5  # invented operators that only stand in the list: a list of three rows could hardly shrink


@dataclass(slots=True)
class Commons:
    """What all operators of a federation share."""

    folder: Path  # of the authority
    authority: pki.TestAuthority
    lists: TrustListServer
    revocations: RevocationServer
    names: NameServer

    @classmethod
    def open(cls, folder: Path, *, list_port: int = 0, revocation_port: int = 0) -> Commons:
        """Over the authority in `folder`, which is made if it is not there. Both servers serve."""
        if (folder / "ca.pem").exists():
            authority = pki.TestAuthority.load(folder)
        else:
            authority = pki.TestAuthority.create()
            authority.write(folder)
        # Peers that send their leaf alone are common: the intermediate stands with the root, as in ANS's bundle.
        bundle = (folder / "ca.pem").read_bytes() + (folder / "intermediate.pem").read_bytes()
        (folder / "client-ca.pem").write_bytes(bundle)
        lists = TrustListServer(list_port, authority, _others(authority))
        return cls(folder, authority, lists, RevocationServer(revocation_port, authority), NameServer())

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def bundle(self) -> Path:
        return self.folder / "client-ca.pem"

    def operator(self, domain: str, number: int, **more: Any) -> pki.Leaf:
        """A certificate as an operator has, valid for the names of this machine too."""
        organisation = pki.Organisation.with_finess(f"OPERATEUR {number} TEST", number, "Isère (38)")
        names = (f"openpgpkey.{domain}", f"openpgpkey.patient.{domain}")
        return self.authority.issue_operator(f"smtp.{domain}", organisation, names=names, local=True, **more)

    def admit(self, dn: str, *domains: str) -> None:
        """Rows of the list from now on."""
        self.lists.publish([*self.lists.rows, *(listing.Row(domain, dn, "essai") for domain in domains)])

    def asked_by_nodes(self) -> dict[str, dict[str, Any]]:
        """The sections of an operator's configuration that lead here; it begins with a copy of the list."""
        copy = self.folder / "trust-list.xml"
        copy.write_bytes(as_xml(self.lists.rows, self.lists.generated))
        return {
            "policies": {
                "trust_list": str(copy),
                "trust_list_url": self.lists.url,
                "trust_list_dn": [self.lists.certificate.dn],
                "revocation_lists": self.revocations.urls,
            },
            "outbound": {"resolver": self.names.address},
        }

    def publish_names(self, shown: Iterable[Mapping[str, Any]]) -> None:
        """What `dkim show` says that an operator's zone must say."""
        self.names.publish({str(each["name"]): str(each["record"]) for each in shown})

    def close(self) -> None:
        self.lists.close()
        self.revocations.close()
        self.names.close()


def _others(authority: pki.TestAuthority) -> Iterator[listing.Row]:
    for number in range(1, _OTHERS + 1):
        organisation = pki.Organisation.with_finess(f"AUTRE OPERATEUR {number} TEST", 90 + number, "Ain (01)")
        subject = organisation.subject(f"smtp.mss.autre-{number}.test").rfc4514_string()
        yield listing.Row(f"mss.autre-{number}.test", subject, "essai")


@dataclass(slots=True)
class Operator:
    """One node of a federation, with its people."""

    commons: Commons
    folder: Path
    domain: str
    ports: Mapping[str, int]
    leaf: pki.Leaf
    name: str = "Opérateur voisin (essai)"
    persons: dict[str, Person] = field(default_factory=dict[str, Person])
    process: NodeProcess | None = None

    @property
    def node(self) -> Path:
        return self.folder / "node"

    @property
    def domains(self) -> tuple[str, str]:
        return self.domain, f"patient.{self.domain}"

    @property
    def files(self) -> pki.LeafFiles:
        return pki.LeafFiles(self.folder / "pki" / "operator.pem", self.folder / "pki" / "operator.key")

    @property
    def authority(self) -> Path:
        """The certificate under which this node signs what it seals."""
        return Home(self.node).authority_certificate

    def command(self, name: str, **arguments: Any) -> Any:
        return asyncio.run(ask(self.node / "control.sock", name, arguments))

    # -- made, started, ended -----------------------------------------------------------------------------

    def make(self, reaching: Mapping[str, Mapping[str, int]], sections: Sections | None = None) -> None:
        """Its home and configuration. `reaching`: the ports of each other operator, by domain."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.leaf.write(self.folder / "pki", "operator")
        given = world.door_sections(self.ports)
        for more in (self.commons.asked_by_nodes(), {"outbound": routes(reaching)}, sections or {}):
            for section, values in more.items():
                given[section] = {**given.get(section, {}), **values}
        wishes = Wishes(
            home=self.node,
            config=None,
            domains=(self.domain,),
            kek=self.folder / "kek" / "node.kek",
            hostname="localhost",
            certificate=self.files.certificate,
            key=self.files.key,
            client_ca=self.commons.bundle,
            sections=given,
            operator=self.name,
        )
        asyncio.run(initialise(wishes))

    def start(self) -> None:
        """Begin to serve; see `wait`."""
        with world.signals_held_back():
            self.process = NodeProcess(self.folder)

    def wait(self) -> None:
        """Until its doors answer. Raises DemoFailed."""
        if self.process is not None:
            self.process.wait_ready(self.ports)
            self.commons.publish_names(self.command("dkim_show"))

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    # -- its people ---------------------------------------------------------------------------------------

    def person(self, local: str, given: str, family: str, key: people.PersonKey | None = None) -> Person:
        """A professional; with a key made by GnuPG, published, where one is given."""
        address = f"{local}@{self.domain}"
        made = self.command("account_add", address=address, kind="PER", password=True, certificate=None)
        self.command("account_profile", address=address, fields={"given_name": given, "family_name": family})
        person = Person(address, made["password"])
        if key is not None:
            certificate = base64.b64encode(key.public.read_bytes()).decode()
            self.command("key_publish", address=address, certificate=certificate)
            person = Person(address, made["password"], key.secret, self.passphrase(local))
        self.persons[address] = person
        return person

    def service(self, local: str, *members: str) -> str:
        """A shared mailbox (ORG); without a member that has a key, the operator keeps it."""
        address = f"{local}@{self.domain}"
        self.command("account_add", address=address, kind="ORG", password=False, certificate=None)
        for member in members:
            self.command("member_add", shared=address, person=member)
        return address

    def passphrase(self, local: str) -> str:
        return _PASSPHRASES.setdefault(f"{local}@{self.domain}", secrets.token_hex(8))

    def make_key(self, local: str, name: str) -> people.PersonKey:
        return people.make_key(name, f"{local}@{self.domain}", self.passphrase(local), self.folder / "people")

    # -- at their desks -----------------------------------------------------------------------------------

    def send(self, sender: Person, recipients: Sequence[str], data: bytes) -> None:
        context = clients.tls(self.commons.ca)
        clients.send_as_person(
            self.ports["submission"], context, sender.address, sender.password, list(recipients), data
        )


_PASSPHRASES: dict[str, str] = {}


def routes(reaching: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """`[outbound]` of an operator that asks no name server."""
    told: dict[str, Any] = {"use_mx": False, "routes": {}, "wkd_routes": {}, "inside": [], "peers_ports": []}
    for domain, ports in reaching.items():
        for key, value in world.routes_to(domain, ports).items():
            if isinstance(value, dict):
                told[key] = {**told[key], **value}
            elif isinstance(value, list):
                told[key] = list(dict.fromkeys([*told[key], *cast("list[Any]", value)]))
            else:
                told[key] = value
    return told


@contextmanager
def operators(
    commons: Commons,
    folder: Path,
    bases: Mapping[str, int],
    sections: Sections | None = None,
    also: Mapping[str, Mapping[str, int]] | None = None,
    *,
    alone: bool = False,
) -> Generator[list[Operator]]:
    """Served operators of these domains at these port bases, each listed and each reaching the others.

    `also`: ports of further operators, by domain. `alone`: only the first is served.
    """
    made = [
        Operator(
            commons, folder / f"op{number}", domain, world.ports_at(base), commons.operator(domain, number)
        )
        for number, (domain, base) in enumerate(bases.items(), 11)
    ]
    for one in made:
        commons.admit(one.leaf.dn, *one.domains)
    served = made[:1] if alone else made
    for one in served:  # one after another: migrations know one database at a time
        one.make(
            {**{other.domain: other.ports for other in made if other is not one}, **(also or {})}, sections
        )
    with ExitStack() as ended:
        for one in served:
            ended.callback(one.stop)
            one.start()
        for one in served:
            one.wait()
        yield made
