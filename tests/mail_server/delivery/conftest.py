"""A real node without doors: store, workers, keys, rules. Letters are handed to delivery as a door would."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pysequoia import Tsk

from deploy.demo import clients, people, pki
from deploy.node.composition import Node, opened
from deploy.node.config import Config, load
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise
from directory.openpgp.gate import gate
from mail_server.accounts import ins
from mail_server.accounts.interface import HELD, Account, Identity, Kind, Peer
from mail_server.accounts.patients import PatientIdentity
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.outbound.interface import Outgoing, PeerCertificate
from mail_server.store.armor import armor
from mail_server.store.model import MessageRow
from policies.local_rules import write_password_rule
from policies.trust_list import listing

DOMAIN = "mss.essai.test"
PASSPHRASE = "essai"


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A node made once, and three people's keys; each test works on a copy."""
    folder = Path(tempfile.mkdtemp(prefix="vm-delivery-"))
    authority = pki.TestAuthority.create()
    operator = authority.issue_operator(
        "smtp.voisin.test", pki.Organisation.with_finess("VOISIN", 5, "Ain (01)")
    )
    operator.write(folder / "pki", "operator")
    listing.write(folder / "trust-list.xml", [listing.Row("voisin.test", operator.dn)])
    wishes = Wishes(
        home=folder / "node",
        config=None,
        domains=(DOMAIN,),
        kek=folder / "kek" / "kek",
        hostname="localhost",
        trust_list=folder / "trust-list.xml",
        sections={
            "sealing": {"workers": 1},
            "store": {"readers": 1},
            "policies": {"local_rules": str(folder / "policies")},
        },
    )
    write_password_rule(folder / "policies", [f"robot@{DOMAIN}"], "tests: it has no certificate")
    asyncio.run(initialise(wishes))
    for name in ("gp", "nurse", "doctor", "egress"):
        people.make_key(name, f"{name}@{DOMAIN}", PASSPHRASE, folder / "people")
    for name in ("marie", "paul"):
        people.make_key(name, f"{name}@voisin.test", PASSPHRASE, folder / "people")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Desk:
    """What a test does with a node."""

    node: Node
    people: Path
    operator_certificate: bytes

    async def account(self, local: str, kind: Kind = Kind.PER) -> Account:
        return await self.node.accounts.add(f"{local}@{DOMAIN}", kind)

    async def without_custody(self, local: str) -> Account:
        """Someone without a key whom policy does not let be in custody: their letters wait."""
        self.node.planner._custody_allowed = lambda account: account.kind is Kind.APP
        return await self.account(local)

    async def patient(
        self, body: str = "2850513055001", *, published: bool = False, activated: bool = False
    ) -> Account:
        """A patient's space; once activated, it has a key of its own (named by the account's id)."""
        account = await self.node.accounts.patient_add(identity(body))
        if published or activated:
            made = people.make_key("patient", account.address, PASSPHRASE, self.people, file_name=account.id)
            self.node.directory.publish(account.address, made.public.read_bytes(), now())
        if activated:
            await self.activate(account)
        found = self.node.accounts.by_id(account.id)
        assert found is not None
        return found

    async def activate(self, account: Account) -> None:
        await self.node.store.write(lambda tx: self.node.accounts.mark_activated(tx, account.id))
        self.node.accounts.note_activated(account.id)

    def publish(self, local: str) -> str:
        data = (self.people / f"{local}.pub.asc").read_bytes()
        return self.node.directory.publish(f"{local}@{DOMAIN}", data, now()).fingerprint

    async def sealed(self, local: str) -> Account:
        account = await self.account(local)
        self.publish(local)
        return account

    async def ward(self, *members: Account) -> Account:
        ward = await self.account("ward", Kind.ORG)
        for member in members:
            await self.node.accounts.member_add(ward.id, member.id)
        found = self.node.accounts.by_id(ward.id)
        assert found is not None
        return found

    async def envelope(self, sender: Account, *recipients: str) -> Envelope:
        """MAIL FROM and RCPT TO of someone logged in."""
        passwords = self.node.accounts.app_passwords(sender.id)
        credential = (
            passwords[0] if passwords else await self.node.accounts.app_password_create(sender.id, "t")
        )
        identity = Identity(sender.id, sender.address, sender.kind, "PLAIN", credential.id)
        peer = Peer("127.0.0.1", 4000, "submission", "s1", tls=True)
        admitted = await self.node.delivery.admit_sender(
            Road.CLIENT, sender.address, MailParameters(), peer, identity
        )
        envelope = Envelope(admitted)
        for address in recipients:
            envelope.add(await self.node.delivery.admit_recipient(envelope, address))
        return envelope

    async def send(self, sender: Account, message: bytes, *recipients: str) -> None:
        await self.node.delivery.deliver(await self.envelope(sender, *recipients), message)

    async def inbox(self, account: Account) -> list[tuple[MessageRow, bytes]]:
        """Every message of INBOX: its row and its bytes."""

        def query(reader) -> list[tuple[MessageRow, bytes]]:
            box = reader.mailbox_by_name(account.id, "INBOX")
            rows = reader.rows(box.id, [one.uid for one in reader.memberships(box.id)])
            return [(row, reader.content(row.message)) for row in rows]

        return await self.node.store.read(query)

    async def page_envelope(self, sender: Account, *recipients: str, mail_from: str = "") -> Envelope:
        """MAIL FROM and RCPT TO of someone on the page, whose letter was handed over a moment ago."""
        speaker = Identity(sender.id, sender.address, sender.kind, HELD, "submission-1")
        peer = Peer("127.0.0.1", 4000, "page", "s1", tls=True)
        admitted = await self.node.delivery.admit_sender(
            Road.CLIENT, mail_from or sender.shown, MailParameters(), peer, speaker
        )
        envelope = Envelope(admitted)
        for address in recipients:
            envelope.add(await self.node.delivery.admit_recipient(envelope, address))
        return envelope

    def named(self, patient: Account) -> bytes:
        """The patient's key certified under the address that correspondents see, as the page does."""
        own = Tsk.from_file(str(self.people / f"{patient.id}.asc"))
        shown = own.extract_certificate().add_user_id(
            f"<{patient.alias}>", certifier=own.certifier(PASSPHRASE)
        )
        return bytes(shown)

    def open(self, local: str, stored: bytes) -> clients.Opened:
        secret = self.people / f"{local}.asc"
        authority = self.node.home.authority_certificate
        return clients.open_with_gpg(stored, secret, PASSPHRASE, authority)


class PeersKeys:
    """What other operators publish."""

    def __init__(self) -> None:
        self.known: dict[str, PeerCertificate] = {}
        self.asked: list[str] = []

    async def find(self, address: str) -> PeerCertificate | None:
        self.asked.append(address)
        return self.known.get(address)


class Way:
    """What leads out, as far as the queue: certificates of others, the gate's certificate, what was laid."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.keys = PeersKeys()
        public = (desk.people / "egress.pub.asc").read_bytes()
        self.certificate = gate(public, f"egress@{DOMAIN}", now())
        self.laid: list[Outgoing] = []
        outbound = desk.node.outbound
        outbound.peer_keys = self.keys
        outbound.egress = self  # type: ignore[assignment]
        self._lay = outbound.queue.lay
        outbound.queue.lay = self.lay  # type: ignore[method-assign]

    def taken(self, key_id: str):
        return self.certificate if key_id == self.certificate.encryption_key_id else None

    def lay(self, transaction, letter: Outgoing) -> int:
        number = self._lay(transaction, letter)
        self.laid.append(letter)
        return number

    def publish(self, local: str, *, operator_held: bool = False):
        address = f"{local}@voisin.test"
        made = gate((self.desk.people / f"{local}.pub.asc").read_bytes(), address, now())
        self.keys.known[address] = PeerCertificate(made, operator_held)
        return made

    async def queued(self) -> list[bytes]:
        """What lies in the queue, letter by letter."""

        def read(reader) -> list[bytes]:
            rows = reader.sql.all("SELECT content FROM outbound_letter ORDER BY id")
            return [reader.queued(row[0]) for row in rows]

        return await self.desk.node.store.read(read)

    def opened_by_the_gate(self, queued: bytes) -> bytes:
        return self.desk.open("egress", b"Subject: x\r\n\r\n" + armor(b"", queued)).inner


@pytest.fixture
def way(desk: Desk) -> Way:
    return Way(desk)


@pytest.fixture
async def desk(template: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    shutil.copytree(template / "node", tmp_path / "node")
    config: Config = load(tmp_path / "node" / "vaguemestre.toml")
    async with opened(Home(tmp_path / "node"), config) as node:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        pem = (template / "pki" / "operator.pem").read_bytes()
        der = x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
        yield Desk(node, template / "people", der)


def identity(body: str = "2850513055001") -> PatientIdentity:
    """Somebody invented, under this number (13 characters)."""
    return PatientIdentity(
        number=body + ins.key_of(body),
        birth_name="Vasarely-Moreau",
        given_names=("Apolline", "Rose"),
        birth_date="1985-05-17",
        sex="F",
        birth_place="13055",
    )


def now() -> int:
    return time.time_ns() // 1_000_000
