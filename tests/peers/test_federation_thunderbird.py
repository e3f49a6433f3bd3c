"""Thunderbird at two operators: a letter with a report and a receipt asked, one that it seals itself, and both answers.

Everything is Thunderbird's own: what it asks of the server that takes its letters, what it encrypts and signs, what it
shows of what comes back. Certificates are fetched from the other operator's Web Key Directory.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pysequoia
import pytest

from deploy.demo import clients
from deploy.demo.federation_world import Operator
from deploy.demo.world import Person
from tests.peers.driven import Driven, driven
from tests.peers.federation import Federation, await_letter, opened
from tests.peers.test_thunderbird import installed
from tests.peers.test_thunderbird_closes import sealed_part
from tests.peers.test_wkd import published

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1500)]

_DESK = Path(__file__).parent / "thunderbird" / "desk.py"
PLAIN, SEALED = "Bilan de Mme Œillet", "Scellé de ma main"
_WORDS = "Éléments confidentiels, à vous seul."


@contextmanager
def desk(operator: Operator, person: Person, folder: Path) -> Generator[Driven]:
    """Somebody's running Thunderbird."""
    account = {
        "address": person.address,
        "password": person.password,
        "openpgp_secret_key": str(person.secret_key),
        "openpgp_passphrase": person.passphrase,
    }
    demo = {"ca": str(operator.commons.ca), "endpoints": dict(operator.ports), "accounts": [account]}
    with driven(_DESK, demo, person.address, folder / person.address, seconds=120) as thunderbird:
        yield thunderbird


def said(thunderbird: Driven) -> list[str]:
    """What it said to the server that took its letters, line by line, once it is closed."""
    thunderbird.close()
    log = (thunderbird.out / "thunderbird.log").read_text(errors="replace")
    return re.findall(r'mailnews\.smtp: "C: (.*?)"', log)


def certificate(operator: Operator, person: Person) -> str:
    """As its operator publishes it."""
    answer = published(operator.commons.ca, operator.ports["https"], person.address)
    assert answer.status == 200
    return str(pysequoia.Cert.from_bytes(answer.body))


@dataclass
class Exchanged:
    written: dict[str, dict[str, Any]]
    report: dict[str, Any]
    read: dict[str, Any]
    asked: dict[str, Any]
    said: dict[str, list[str]] = field(repr=False)


@pytest.fixture(scope="module")
def exchanged(two: Federation, tmp_path_factory: pytest.TempPathFactory) -> Exchanged:
    installed()
    out = tmp_path_factory.mktemp("desks")
    claire, yves = two.claire, two.yves
    letter = {"to": yves.address, "words": _WORDS}
    with desk(two.here, claire, out) as hers:
        keys = [certificate(two.there, yves)]
        plain = hers.do("write", **letter, subject=PLAIN, keys=[], sealed=False, told=True)
        sealed = hers.do("write", **letter, subject=SEALED, keys=keys, sealed=True, told=True)
        report = hers.do("read", subject="Message remis")
        hers_said = said(hers)
    await_letter(two.there, yves, lambda stored: b"\r\nSubject: ...\r\n" in stored)
    with desk(two.there, yves, out) as his:
        his.do("take", keys=[certificate(two.here, claire)])
        read = his.do("read", subject=SEALED)
        asked = his.do("receipt")
        receipt(two)  # it has left
        his_said = said(his)
    return Exchanged(
        {PLAIN: plain, SEALED: sealed}, report, read, asked, {"hers": hers_said, "his": his_said}
    )


def test_it_asks_for_a_report_as_rfc_3461_has_it(exchanged: Exchanged) -> None:
    assert exchanged.written[PLAIN] == {"encrypted": False, "signed": False, "report": True, "receipt": True}
    mails = [line for line in exchanged.said["hers"] if line.startswith("MAIL")]
    assert len(mails) >= 2  # one that did not leave at once is sent again
    assert all("RET=FULL ENVID=<" in line for line in mails)
    assert any("NOTIFY=SUCCESS,FAILURE,DELAY" in line for line in exchanged.said["hers"])


def test_the_report_of_success_opens_there_and_says_in_french_that_it_left_sealed(
    exchanged: Exchanged,
) -> None:
    report = exchanged.report
    assert report["found"]
    assert report["encryption"].endswith("-ok")
    assert "Remis à son opérateur, scellé" in report["text"]
    assert "Éléments" not in report["text"]
    assert PLAIN not in report["text"]


def test_what_it_seals_itself_opens_at_the_other_operator_with_a_good_signature(exchanged: Exchanged) -> None:
    assert exchanged.written[SEALED]["encrypted"]
    read = exchanged.read
    assert (read["subject"], read["text"].strip()) == (SEALED, _WORDS)
    assert read["encryption"].endswith("-ok")
    assert read["signature"] == "message-signed-verified"


def test_what_it_seals_itself_passes_byte_for_byte(two: Federation, exchanged: Exchanged) -> None:
    """The ciphertext that lies at the other operator is the one of its own copy in Sent."""

    def both(stored: bytes) -> bool:
        return b"multipart/encrypted" in stored and sealed_part(stored) in kept

    kept = in_sent(two)
    await_letter(two.there, two.yves, both)


def test_the_receipt_is_sent_at_the_click_and_comes_back_into_the_thread(
    two: Federation, exchanged: Exchanged
) -> None:
    assert two.claire.address.split("@")[0] in exchanged.asked["words"].lower()
    inner, stored = receipt(two)
    said = disposition(inner.message)
    assert said["Disposition"] == "manual-action/MDN-sent-manually; displayed"
    named = str(inner.message["Message-ID"])
    assert named.encode() in stored
    assert threads(two, named) == threads(two, said["Original-Message-ID"])


def test_it_sends_receipts_in_its_owner_s_name(exchanged: Exchanged) -> None:
    """Not from nobody, as RFC 8098 §3 has it: a receipt of Thunderbird's is a letter like any other at our door."""
    assert any(line.startswith("MAIL FROM:<yves@") for line in exchanged.said["his"])
    assert not any(line.startswith("MAIL FROM:<>") for line in exchanged.said["his"])


def receipt(two: Federation) -> tuple[clients.Opened, bytes]:
    """The one that came back, opened and as it lies there."""
    told: list[clients.Opened] = []
    seen: set[bytes] = set()

    def is_it(stored: bytes) -> bool:
        if stored in seen:
            return False
        seen.add(stored)
        try:
            inner = opened(two.here, two.claire, stored)
        except clients.NotOpened:
            return False
        if inner.message.get_param("report-type") == "disposition-notification":
            told.append(inner)
        return bool(told)

    stored = await_letter(two.here, two.claire, is_it)
    return told[0], stored


def disposition(message: EmailMessage) -> dict[str, str]:
    """The fields of its machine part (RFC 8098 §3.1)."""
    parts = [part for part in message.walk() if part.get_content_type() == "message/disposition-notification"]
    (block,) = cast("list[EmailMessage]", parts[0].get_payload())
    return {name: str(value).strip() for name, value in block.items()}


def in_sent(two: Federation) -> bytes:
    with mailbox(two) as imap:
        imap.select("Sent", readonly=True)
        _, uids = imap.uid("SEARCH", "ALL")
        answers = [imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])") for uid in uids[0].split()]
        return b"".join(data[0][1] for _, data in answers)


def threads(two: Federation, message_id: str) -> set[str]:
    """THREADID (RFC 8474) of a letter, wherever its copies lie."""
    found: set[str] = set()
    with mailbox(two) as imap:
        for folder in ("INBOX", "Sent"):
            imap.select(folder, readonly=True)
            _, uids = imap.uid("SEARCH", "HEADER", "Message-ID", message_id)
            for uid in uids[0].split():
                _, data = imap.uid("FETCH", uid.decode(), "(THREADID)")
                found |= set(re.findall(r"THREADID \((\S+)\)", str(data[0])))
    assert found, message_id
    return found


def mailbox(two: Federation) -> Any:
    context = clients.tls(two.commons.ca)
    return clients.mailbox(two.here.ports["imaps"], context, two.claire.address, two.claire.password)
