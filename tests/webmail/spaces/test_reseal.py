"""Letters that waited, sealed to their holder by the holder's browser: on a whole node, without doors."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pysequoia
import pytest

from deploy.demo.browser.key_packets import encryption_key, swapped
from deploy.node.composition import Node, opened
from deploy.node.config import load
from deploy.node.home import Home
from deploy.node.https import application
from directory.openpgp.packets import Tag, frame, recipient_key_ids, spans
from mail_server import mime
from mail_server.accounts.interface import HELD, Account, Identity, Kind, Peer
from mail_server.delivery.interface import Envelope, MailParameters, Road
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.store.model import Flag, FlagChange, MessageId, SpecialUse, State
from policies.audit.query import Filter, find
from tests.webmail.office import DOMAIN, FIREFOX, ORIGIN, Browser, Clock, Refused, data, identity, text
from tests.webmail.office import opened as decrypted
from tests.worlds import new_home
from webmail.api import PageApi, Parts
from webmail.login.routes import OperatorInfo
from webmail.login.settings import PageSettings

SENDER = f"gp@{DOMAIN}"


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A node made once; each test works on a copy."""
    folder = Path(tempfile.mkdtemp(prefix="vm-page-"))
    new_home(folder, DOMAIN)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Ward:
    """A node with its page, and a patient whose letters wait."""

    node: Node
    clock: Clock = field(default_factory=Clock)
    page: PageApi = field(init=False)
    app: Any = field(init=False)

    async def open_page(self) -> None:
        node = self.node
        parts = Parts(
            store=node.store,
            trail=node.trail,
            audit=node.trace.note,
            accounts=node.accounts,
            directory=node.directory,
            operator_keys=node.operator_keys,
            decisions=node.decisions,
            keys=node.keys,
            addressees=node.addressees,
            conversations=node.correspondence.conversations,
            resealing=node.reseal,
            sharing=node.sharing,
            large=node.config.delivery.large_message,
            clock=self.clock,
        )
        settings = PageSettings(public_url=ORIGIN, failure_delay=0)
        self.page = await PageApi.open(settings, parts, OperatorInfo("Essai", "", 1 << 20))
        self.app = application(self.page.routers)

    @property
    def store(self) -> Any:
        return self.node.store

    @property
    def accounts(self) -> Any:
        return self.node.accounts

    def browser(self) -> Browser:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=ORIGIN)
        client.headers.update({"X-Vaguemestre": "1", "Origin": ORIGIN, "User-Agent": FIREFOX})
        return Browser(self, client)  # type: ignore[arg-type]

    async def enrolled(self, account: Account) -> Browser:
        browser = self.browser()
        await browser.start(await self.page.enrolments.issue(account.id, "console:test"), account)
        await browser.complete("orage")
        return browser

    async def send(self, letter: bytes, recipient: str) -> None:
        sender = self.accounts.by_address(SENDER) or await self.accounts.add(SENDER, Kind.PER)
        speaker = Identity(sender.id, sender.address, sender.kind, HELD, "submission-1")
        peer = Peer("127.0.0.1", 4000, "page", "s1", tls=True)
        delivery = self.node.delivery
        admitted = await delivery.admit_sender(Road.CLIENT, SENDER, MailParameters(), peer, speaker)
        envelope = Envelope(admitted)
        envelope.recipients.append(await delivery.admit_recipient(envelope, recipient))
        await delivery.deliver(envelope, letter)

    async def states(self, account: Account) -> list[State]:
        return [row.state for row, _ in await self.inbox(account)]

    async def inbox(self, account: Account) -> list[tuple[Any, bytes]]:
        def query(reader: Any) -> list[tuple[Any, bytes]]:
            box = reader.mailbox_by_name(account.id, "INBOX")
            rows = reader.rows(box.id, [one.uid for one in reader.memberships(box.id)])
            return [(row, reader.content(row.message)) for row in rows]

        return await self.store.read(query)

    async def waiting(self, account: Account) -> list[MessageId]:
        return await self.store.read(
            lambda reader: reader.messages_in_state(account.id, [State.WAITING], MessageId(0), 1000)
        )

    async def traced(self, account: Account) -> list[str]:
        await self.node.settled()
        found = await self.store.read(lambda reader: find(reader.sql, Filter(party=account.id, last=1000)))
        return [entry.action for entry in found]


@pytest.fixture
async def ward(template: Path, tmp_path: Path) -> AsyncIterator[Ward]:
    shutil.copytree(template / "node", tmp_path / "node")
    async with opened(Home(tmp_path / "node"), load(tmp_path / "node" / "vaguemestre.toml")) as node:
        made = Ward(node)
        await made.open_page()
        yield made
        await made.page.stop()


def plain(number: int, subject: str = "Résultat") -> bytes:
    return (
        f"From: {SENDER}\r\nTo: patient@essai.test\r\nSubject: {subject} {number}\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{secrets.token_hex(8)}@{DOMAIN}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
        f"Bonjour, voici le résultat {number}.\r\n"
    ).encode()


def sealed_by_sender(certificate: bytes, encoding: str = "7bit", subject: str = "...") -> bytes:
    """A letter that its sender sealed to the waiting certificate (PGP/MIME)."""
    inner = b"Content-Type: text/plain; charset=utf-8\r\n\r\nScell\xc3\xa9 par mon logiciel.\r\n"
    armored = bytes(pysequoia.encrypt(inner, [pysequoia.Cert.from_bytes(certificate)], armor=True))
    armored = armored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if encoding == "base64":
        import base64

        armored = base64.encodebytes(armored).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        armored = armored.replace(b"=", b"=3D")
    return (
        (
            f"From: {SENDER}\r\nTo: patient@essai.test\r\nSubject: {subject}\r\n"
            f"Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{secrets.token_hex(8)}@{DOMAIN}>\r\n"
            'MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted";'
            ' boundary="b"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n'
            f"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        ).encode()
        + armored
        + b"\r\n--b--\r\n"
    )


def opened_by(browser: Browser, stored: bytes) -> bytes:
    assert browser.made is not None
    found = mime.ciphertext(stored, mime.parse(stored))
    assert found is not None
    return decrypted(found.data, browser.made.secret)


@dataclass
class Swapping:
    """The browser's worker during a re-seal."""

    browser: Browser
    waiting: bytes = b""

    async def begin(self) -> dict[str, Any]:
        told = await self.browser.get("reseal")
        if told["waitingKey"] is not None:
            assert self.browser.made is not None
            self.waiting = decrypted(data(told["waitingKey"]), self.browser.made.secret)
        return told

    def swap(self, letter: dict[str, Any]) -> dict[str, Any]:
        assert self.browser.made is not None
        old, new = encryption_key(self.waiting), encryption_key(self.browser.made.certificate)
        return {
            "id": letter["id"],
            **{
                name: text(swapped(data(letter[name]), old, new)) if letter[name] else None
                for name in ("keyPackets", "summaryKeyPackets")
            },
        }

    async def letters(self, after: int = 0, limit: int = 50) -> list[dict[str, Any]]:
        return (await self.browser.get(f"reseal/letters?after={after}&limit={limit}"))["letters"]

    async def some(self, limit: int = 50) -> dict[str, Any]:
        found = await self.letters(limit=limit)
        return await self.browser.post("reseal/letters", {"letters": [self.swap(one) for one in found]})

    async def all(self) -> None:
        await self.begin()
        while (await self.some())["left"]:
            pass


async def waiting_patient(ward: Ward, letters: int = 3) -> Account:
    account = await ward.accounts.patient_add(identity())
    for number in range(letters):
        await ward.send(plain(number), account.shown)
    assert await ward.states(account) == [State.WAITING] * letters
    return ward.accounts.by_id(account.id)


# -- the way of it


async def test_letters_that_waited_are_read_by_their_holder_alone(ward: Ward) -> None:
    account = await waiting_patient(ward)
    browser = await ward.enrolled(account)
    assert browser.session["resealLeft"] == 3
    work = Swapping(browser)
    told = await work.begin()
    assert (told["left"], told["total"]) == (3, 3)

    assert (await work.some())["left"] == 0

    assert await ward.states(account) == [State.SEALED] * 3
    for number, (_, stored) in enumerate(await ward.inbox(account)):
        assert f"voici le résultat {number}".encode() in opened_by(browser, stored)
        assert b"Vaguemestre-State: sealed\r\n" in stored
        assert b"waiting" not in stored
        with pytest.raises(RuntimeError):
            decrypted(mime.ciphertext(stored, mime.parse(stored)).data, work.waiting)  # type: ignore[union-attr]
    assert ward.node.operator_keys.existing(account.id) is None
    assert (await ward.traced(account))[-1] == "operator-key-destroyed"


async def test_thread_dates_flags_and_summary_stay_and_ids_change(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    ((before, _),) = await ward.inbox(account)

    def flagged(tx: Any) -> None:
        box = tx.mailbox_by_use(account.id, SpecialUse.INBOX)
        tx.set_flags(box.id, [before.uid], FlagChange.ADD, Flag.FLAGGED, frozenset({"$essai"}))

    await ward.store.write(flagged)
    origin = await ward.store.read(lambda reader: reader.message_origin(before.message))
    browser = await ward.enrolled(account)
    await Swapping(browser).all()

    ((after, stored),) = await ward.inbox(account)
    assert (after.thread_id, after.received_at) == (before.thread_id, before.received_at)
    assert (after.flags, after.keywords) == (Flag.FLAGGED, frozenset({"$essai"}))
    assert after.uid > before.uid
    assert after.email_id != before.email_id
    assert after.size == len(stored)
    assert after.rendered.header == stored[: stored.index(b"\r\n\r\n") + 4]
    now = await ward.store.read(lambda reader: reader.message_origin(after.message))
    assert now.tag == origin.tag
    assert browser.made is not None
    summary = decrypted(now.findings.summary, browser.made.secret)
    assert json.loads(summary)["subject"] == "Résultat 0"
    assert recipient_key_ids(now.findings.summary) != recipient_key_ids(origin.findings.summary)


async def test_the_body_is_not_touched(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    ((row, _),) = await ward.inbox(account)
    before = await ward.store.read(lambda reader: reader.stored_body(row.message))
    await Swapping(await ward.enrolled(account)).all()
    ((row, _),) = await ward.inbox(account)
    after = await ward.store.read(lambda reader: reader.stored_body(row.message))
    assert (after.blob_id, bytes(after.stored)) == (before.blob_id, bytes(before.stored))


@pytest.mark.parametrize("encoding", ["7bit", "base64", "quoted-printable"])
async def test_a_letter_sealed_by_its_sender_keeps_its_ciphertext(ward: Ward, encoding: str) -> None:
    account = await waiting_patient(ward, 1)
    held = ward.node.operator_keys.existing(account.id)
    assert held is not None
    await ward.send(sealed_by_sender(held.certificate, encoding), account.shown)
    (_, (_, before)) = await ward.inbox(account)
    browser = await ward.enrolled(account)
    await Swapping(browser).all()
    rows = await ward.inbox(account)
    assert [row.state for row, _ in rows] == [State.SEALED, State.SEALED]
    (_, (row, after)) = rows
    assert "Scellé par mon logiciel".encode() in opened_by(browser, after)
    assert _body_packet(before) == _body_packet(after)
    assert row.size == len(after)


async def test_a_subject_left_outside_by_its_sender_is_said(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    held = ward.node.operator_keys.existing(account.id)
    assert held is not None
    await ward.send(sealed_by_sender(held.certificate, subject="Votre diabète"), account.shown)
    await Swapping(await ward.enrolled(account)).all()
    assert await ward.states(account) == [State.SEALED, State.SUBJECT_OUTSIDE]


def _body_packet(stored: bytes) -> bytes:
    found = mime.ciphertext(stored, mime.parse(stored))
    assert found is not None
    return b"".join(found.data[p.start : p.end] for p in spans(found.data) if p.tag == Tag.SEIPD)


# -- resumed


async def test_a_browser_that_was_killed_goes_on_where_it_was(ward: Ward) -> None:
    account = await waiting_patient(ward, 5)
    browser = await ward.enrolled(account)
    work = Swapping(browser)
    await work.begin()
    assert (await work.some(limit=2))["left"] == 3
    assert ward.node.operator_keys.existing(account.id) is not None

    again = Swapping(browser)
    told = await again.begin()
    assert (told["left"], told["total"]) == (3, 5)
    await again.all()
    assert await ward.states(account) == [State.SEALED] * 5
    assert ward.node.operator_keys.existing(account.id) is None


async def test_an_answer_that_was_lost_may_be_sent_again(ward: Ward) -> None:
    account = await waiting_patient(ward, 2)
    work = Swapping(await ward.enrolled(account))
    await work.begin()
    given = {"letters": [work.swap(one) for one in await work.letters(limit=1)]}
    first = await work.browser.post("reseal/letters", given)
    second = await work.browser.post("reseal/letters", given)
    assert first["done"] == second["done"]
    assert len(await ward.inbox(account)) == 2


async def test_a_letter_that_comes_meanwhile_is_sealed_to_its_holder(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    browser = await ward.enrolled(account)
    await ward.send(plain(9), account.shown)
    assert await ward.states(account) == [State.WAITING, State.SEALED]
    await Swapping(browser).all()
    assert await ward.states(account) == [State.SEALED, State.SEALED]


async def test_the_node_leaves_the_letters_of_patients_alone(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    await ward.enrolled(account)
    ward.node.resume_reseal()
    await ward.node.settled()
    assert await ward.states(account) == [State.WAITING]


async def test_a_space_without_letters_has_no_waiting_key_left_once_open(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    ((row, _),) = await ward.inbox(account)

    def expunged(tx: Any) -> None:
        tx.expunge(tx.mailbox_by_use(account.id, SpecialUse.INBOX).id, [row.uid])

    await ward.store.write(expunged)
    assert ward.node.operator_keys.existing(account.id) is not None
    await ward.enrolled(account)
    assert ward.node.operator_keys.existing(account.id) is None


async def test_a_kill_before_the_keystore_was_rewritten_is_made_good(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    browser = await ward.enrolled(account)
    destroy = GnuPgOperatorKeys.destroy

    def killed(self: Any, account: str) -> None:
        raise OSError

    GnuPgOperatorKeys.destroy = killed
    try:
        work = Swapping(browser)
        await work.begin()
        with pytest.raises(Refused):
            await work.some()
    finally:
        GnuPgOperatorKeys.destroy = destroy
    assert ward.node.operator_keys.existing(account.id) is not None
    assert (await browser.get("session"))["resealLeft"] == 0
    assert ward.node.operator_keys.existing(account.id) is None


# -- what is refused


async def test_the_waiting_key_leaves_under_the_holders_certificate_and_that_is_traced(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    browser = await ward.enrolled(account)
    told = await browser.get("reseal")
    message = data(told["waitingKey"])
    assert browser.made is not None
    assert recipient_key_ids(message) == (encryption_key(browser.made.certificate).public.key_id,)
    assert ward.node.operator_keys.secret(account.id) not in message
    assert "operator-key-given" in await ward.traced(account)


async def test_before_activation_nobody_gets_the_waiting_key(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    browser = ward.browser()
    await browser.start(await ward.page.enrolments.issue(account.id, "console:test"), account)
    for path in ("reseal", "reseal/letters"):
        with pytest.raises(Refused, match="no-session"):
            await browser.get(path)


async def test_a_packet_for_another_key_is_refused_and_the_letter_stays(ward: Ward) -> None:
    account = await waiting_patient(ward, 1)
    work = Swapping(await ward.enrolled(account))
    await work.begin()
    (letter,) = await work.letters()
    right = work.swap(letter)
    wrong = [
        {**right, "keyPackets": letter["keyPackets"]},  # still names the waiting key
        {**right, "summaryKeyPackets": letter["summaryKeyPackets"]},
        {**right, "summaryKeyPackets": None},
        {**right, "keyPackets": text(data(right["keyPackets"]) * 2)},
        {**right, "keyPackets": text(data(right["keyPackets"])[:-1])},
        {**right, "keyPackets": ""},
        {**right, "keyPackets": text(frame(Tag.LITERAL, b"b\0\0\0\0\0clear"))},
    ]
    for one in wrong:
        with pytest.raises(Refused, match="bad-request"):
            await work.browser.post("reseal/letters", {"letters": [one]})
    assert await ward.states(account) == [State.WAITING]
    assert (await work.browser.post("reseal/letters", {"letters": [right]}))["left"] == 0


async def test_another_patients_letters_cannot_be_told_from_ones_that_are_gone(ward: Ward) -> None:
    mine = await waiting_patient(ward, 1)
    other = await ward.accounts.patient_add(identity("1600275056002"))
    await ward.send(plain(7), other.shown)
    (foreign,) = await ward.waiting(other)
    work = Swapping(await ward.enrolled(mine))
    await work.begin()
    (letter,) = await work.letters()
    right = work.swap(letter)
    asked = [{**right, "id": foreign}, {**right, "id": 10**9}]
    answer = await work.browser.post("reseal/letters", {"letters": asked})
    assert answer == {"done": [foreign, 10**9], "left": 1}
    assert await ward.states(other) == [State.WAITING]


async def test_a_professional_has_nothing_to_swap(ward: Ward) -> None:
    browser = await ward.enrolled(await ward.accounts.add(f"other@{DOMAIN}", Kind.PER))
    await browser.set_up_totp()
    assert await browser.get("reseal") == {"left": 0, "total": 0, "waitingKey": None}
    assert (await browser.get("reseal/letters"))["letters"] == []


async def test_a_page_of_letters_is_bounded(ward: Ward) -> None:
    account = await waiting_patient(ward, 3)
    work = Swapping(await ward.enrolled(account))
    first = await work.letters(limit=2)
    rest = await work.letters(after=first[-1]["id"])
    assert [len(first), len(rest)] == [2, 1]
    for query in ("after=x", "limit=-1", "after=99999999999999999999"):
        with pytest.raises(Refused, match="bad-request"):
            await work.browser.get(f"reseal/letters?{query}")


async def test_yesterdays_database_opens_nothing_with_todays_keystore(ward: Ward, tmp_path: Path) -> None:
    account = await waiting_patient(ward, 1)
    ((_, yesterday),) = await ward.inbox(account)
    held = ward.node.operator_keys.existing(account.id)
    assert held is not None
    await Swapping(await ward.enrolled(account)).all()
    keystore = GnuPgOperatorKeys(ward.node.config.keys, ward.node.home.keystore, ward.node.keys)
    assert keystore.existing(account.id) is None
    assert held.fingerprint.encode() not in ward.node.home.keystore.read_bytes()
    assert b"-----BEGIN PGP MESSAGE-----" in yesterday
    await keystore.close()


async def test_many_letters_are_swapped_in_few_steps(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    account = await waiting_patient(ward, 40)
    work = Swapping(await ward.enrolled(account))
    await work.begin()
    given = {"letters": [work.swap(one) for one in await work.letters()]}
    reads, writes = ward.node.store.read, ward.node.store.write
    calls: list[str] = []

    def reading(*asked: Any) -> Any:
        calls.append("read")
        return reads(*asked)

    def writing(*asked: Any) -> Any:
        calls.append("write")
        return writes(*asked)

    monkeypatch.setattr(ward.node.store, "read", reading)
    monkeypatch.setattr(ward.node.store, "write", writing)
    assert (await work.browser.post("reseal/letters", given))["left"] == 0
    assert calls.count("write") <= 4  # not one for each of the forty
    assert len(calls) <= 100  # one or two for each


async def test_letters_are_filed_in_parts_that_memory_holds(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webmail.spaces import reseal

    monkeypatch.setattr(reseal, "_IN_MEMORY", 1)
    account = await waiting_patient(ward, 3)
    browser = await ward.enrolled(account)
    await Swapping(browser).all()
    assert await ward.states(account) == [State.SEALED] * 3


async def test_a_name_that_looks_like_armor_does_not_mislead(ward: Ward) -> None:
    account = await ward.accounts.patient_add(identity())
    letter = plain(0).replace(b"To: patient@essai.test", b'To: "-----BEGIN PGP MESSAGE-----" <p@essai.test>')
    await ward.send(letter, account.shown)
    browser = await ward.enrolled(account)
    await Swapping(browser).all()
    ((_, stored),) = await ward.inbox(account)
    begin = stored.index(b"\r\n\r\n")
    assert b"BEGIN PGP MESSAGE" in stored[:begin]
    found = mime.ciphertext(stored, mime.parse(stored))
    assert found is not None
    assert browser.made is not None
    assert "voici le résultat 0".encode() in decrypted(found.data, browser.made.secret)
