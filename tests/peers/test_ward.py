"""A member leaves a ward: what he had stays his, what he saw is gone at once, what comes after is not for him."""

from __future__ import annotations

import imaplib
import re
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import cast

import pytest

from deploy.demo import clients, letters, world
from directory.openpgp.gate import gate
from directory.openpgp.packets import recipient_key_ids
from mail_server.mime import dearmor
from tests.worlds import own_world

pytestmark = pytest.mark.peers

LEAVER, STAYER = world.NURSE, world.DOCTOR
FOLDER = f"Other Users/{world.WARD}"


@pytest.fixture(scope="module")
def made() -> Iterator[world.World]:
    """A world of its own, for its ward loses a member."""
    with own_world("ward") as (built, _):
        yield built


def send(made: world.World, patient: str) -> letters.Letter:
    letter = letters.report(world.HOSPITAL, world.WARD, pdf_bytes=9_000, patient=patient)
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [world.WARD], letter.data)
    return letter


def log_in(made: world.World, address: str) -> imaplib.IMAP4_SSL:
    imap = imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=clients.tls(made.ca), timeout=120)
    imap.login(address, made.persons[address].password)
    return imap


def newest(made: world.World, address: str) -> bytes:
    with clients.mailbox(
        made.ports["imaps"], clients.tls(made.ca), address, made.persons[address].password
    ) as imap:
        return clients.newest(imap, FOLDER)


def opened(made: world.World, address: str, stored: bytes) -> str:
    """The subject inside. Raises NotOpened."""
    person = made.persons[address]
    assert person.secret_key is not None
    return clients.open_with_gpg(stored, person.secret_key, person.passphrase, made.authority).subject


def key_id(made: world.World, address: str) -> str:
    public = (made.folder / "people" / f"{address.partition('@')[0]}.pub.asc").read_bytes()
    return gate(public, address, time.time_ns() // 1_000_000).encryption_key_id


def key_ids(stored: bytes) -> list[str]:
    sealed = cast(list[Message], message_from_bytes(stored).get_payload())[1]
    binary = dearmor(cast(str, sealed.get_payload()).encode())
    assert binary is not None
    return list(recipient_key_ids(binary))


def seconds_until_cut(imap: imaplib.IMAP4_SSL, began: float) -> float:
    """Read until the server hangs up; what it said last must be BYE."""
    imap.sock.settimeout(60)
    said = b""
    while piece := imap.sock.recv(4096):
        said += piece
    assert b"* OK [CLOSED] Access to this mailbox was withdrawn\r\n* BYE " in said
    return time.monotonic() - began


@dataclass(frozen=True)
class Left:
    """What there was when the nurse was taken out of the ward."""

    earlier: letters.Letter
    pulled: bytes
    later: letters.Letter
    cut_after: dict[str, float]


def selected(made: world.World) -> imaplib.IMAP4_SSL:
    imap = log_in(made, LEAVER)
    assert imap.select(f'"{FOLDER}"')[0] == "OK"
    return imap


def idling(made: world.World) -> imaplib.IMAP4_SSL:
    imap = selected(made)
    imap.send(b"x1 IDLE\r\n")
    assert imap.readline().startswith(b"+ ")
    return imap


@pytest.fixture(scope="module")
def left(made: world.World) -> Iterator[Left]:
    """The nurse pulls a letter, stays connected in two ways, and is taken out; then another letter comes."""
    earlier = send(made, "Odile Avant")
    pulled = newest(made, LEAVER)
    ways: dict[str, Callable[[world.World], imaplib.IMAP4_SSL]] = {"selected": selected, "idling": idling}
    open_now = {name: way(made) for name, way in ways.items()}
    made.command("member_remove", shared=world.WARD, person=LEAVER)
    began = time.monotonic()
    cut_after = {name: seconds_until_cut(imap, began) for name, imap in open_now.items()}
    later = send(made, "Rémi Après")
    yield Left(earlier, pulled, later, cut_after)
    made.command("member_add", shared=world.WARD, person=LEAVER)


def test_the_copy_he_had_pulled_still_opens_with_his_key(made: world.World, left: Left) -> None:
    assert opened(made, LEAVER, left.pulled) == left.earlier.subject


@pytest.mark.parametrize("way", ["selected", "idling"])
def test_a_session_open_on_the_ward_is_cut_within_about_a_second(left: Left, way: str) -> None:
    assert left.cut_after[way] < 60  # a second on a machine that does nothing else


def test_he_no_longer_sees_the_ward(made: world.World, left: Left) -> None:
    imap = log_in(made, LEAVER)
    assert not [name for name in clients.folders(imap) if world.WARD in name]
    assert imap.select(f'"{FOLDER}"', readonly=True)[0] == "NO"
    assert imap.status(f'"{FOLDER}"', "(MESSAGES)")[0] == "NO"
    assert imap.append(f'"{FOLDER}"', "", "", b"From: a@b.test\r\n\r\nx\r\n")[0] == "NO"
    imap.select("INBOX")
    assert imap.logout()[0] == "BYE"


def test_a_session_of_his_that_was_not_on_the_ward_goes_on(made: world.World, left: Left) -> None:
    made.command("member_add", shared=world.WARD, person=LEAVER)
    imap = log_in(made, LEAVER)
    imap.select("INBOX")
    made.command("member_remove", shared=world.WARD, person=LEAVER)
    time.sleep(1.3)
    assert imap.noop()[0] == "OK"
    assert imap.select(f'"{FOLDER}"')[0] == "NO"
    imap.logout()


def test_he_no_longer_writes_for_the_ward(made: world.World, left: Left) -> None:
    person = made.persons[LEAVER]
    with smtplib.SMTP("localhost", made.ports["submission"], timeout=120) as smtp:
        smtp.starttls(context=clients.tls(made.ca))
        smtp.login(LEAVER, person.password)
        code, words = smtp.mail(world.WARD)
    assert code == 550
    assert words.startswith(b"5.7.1 ")


def test_what_comes_after_holds_no_key_packet_for_him(made: world.World, left: Left) -> None:
    assert sorted(key_ids(left.pulled)) == sorted([key_id(made, LEAVER), key_id(made, STAYER)])
    stored = newest(made, STAYER)
    assert key_ids(stored) == [key_id(made, STAYER)]
    with pytest.raises(clients.NotOpened):
        opened(made, LEAVER, stored)


def test_who_stays_reads_on(made: world.World, left: Left) -> None:
    assert opened(made, STAYER, newest(made, STAYER)) == left.later.subject


def test_the_trace_tells_who_left_and_when(made: world.World, left: Left) -> None:
    rows = made.command("audit_show", limit=50, action="member-remove", address=None, reference=None)
    accounts = {row["address"]: row["id"] for row in made.command("account_list")}
    assert rows[0]["subject"] == accounts[world.WARD]
    assert rows[0]["detail"] == {"member": accounts[LEAVER]}
    assert re.match(r"console:", rows[0]["actor"])


def test_a_member_who_comes_back_reads_what_comes_from_then_on_and_not_what_came_meanwhile(
    made: world.World, left: Left
) -> None:
    made.command("member_add", shared=world.WARD, person=LEAVER)
    try:
        assert newest(made, LEAVER) == newest(made, STAYER)
        with pytest.raises(clients.NotOpened):
            opened(made, LEAVER, newest(made, LEAVER))
        again = send(made, "Line Encore")
        assert opened(made, LEAVER, newest(made, LEAVER)) == again.subject
    finally:
        made.command("member_remove", shared=world.WARD, person=LEAVER)
