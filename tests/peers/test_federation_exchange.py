"""Two operators exchange, both ways: sealed to their addressee, or through the gate; and each sender is told which.

Everything goes through the nodes' public ports, over mutual TLS, as real programs do it.
"""

from __future__ import annotations

import secrets
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from deploy.demo import clients, letters, thief
from deploy.demo.federation_world import Operator
from deploy.demo.world import Person
from tests.peers.federation import BAD, NARROW, Federation, await_letter, lying, opened, wait

pytestmark = pytest.mark.peers


def marked(sender: Person, recipient: str, name: str) -> tuple[str, letters.Letter]:
    """A letter with a word in its subject, text and attachment that stands nowhere else."""
    word = f"{name}{secrets.token_hex(8)}"
    letter = letters.report(
        sender.address, recipient, pdf_bytes=20_000, patient=f"Marc {word}", closing=word, title=word
    )
    return word, letter


def carrying(word: str, operator: Operator, person: Person) -> clients.Opened:
    """The letter of a person with a key in which the word stands, once it is there."""
    return found(operator, person, lambda inner: word in str(inner.message))


def found(operator: Operator, person: Person, is_it: Callable[[clients.Opened], bool]) -> clients.Opened:
    seen: set[bytes] = set()
    wanted: list[clients.Opened] = []

    def look(stored: bytes) -> bool:
        if stored in seen:
            return False
        seen.add(stored)
        try:
            inner = opened(operator, person, stored)
        except clients.NotOpened:
            return False
        if is_it(inner):
            wanted.append(inner)
        return bool(wanted)

    await_letter(operator, person, look)
    return wanted[0]


def report_on(recipient: str, operator: Operator, person: Person) -> EmailMessage:
    """The report (RFC 3464) that a sender got about a recipient, opened."""

    def is_it(inner: clients.Opened) -> bool:
        reported = [block["Final-Recipient"] for block in machine(inner.message)[1:]]
        return any(recipient in str(each) for each in reported)

    return found(operator, person, is_it).message


def texts(report: EmailMessage) -> str:
    return "".join(
        str(part.get_content()) for part in report.walk() if part.get_content_type() == "text/plain"
    )


def machine(report: EmailMessage) -> list[EmailMessage]:
    """The blocks of message/delivery-status: the letter's, then one for each recipient."""
    for part in report.walk():
        if part.get_content_type() == "message/delivery-status":
            return cast("list[EmailMessage]", part.get_payload())
    return []


def nothing_lies_in_clear(two: Federation, *words: str) -> None:
    for operator in (two.here, two.there):
        assert thief.search([operator.node, operator.folder / "node.log"], words) == []


def test_a_letter_to_who_has_a_key_leaves_sealed_to_it(two: Federation) -> None:
    word, letter = marked(two.claire, two.yves.address, "scelle")
    two.here.send(two.claire, [two.yves.address], letter.data)
    inner = carrying(word, two.there, two.yves)
    assert inner.subject == letter.subject
    assert inner.attachments == [letter.attachment]
    assert word not in inner.outer_subject
    nothing_lies_in_clear(two, word)


def test_and_the_answer_comes_back_sealed(two: Federation) -> None:
    word, letter = marked(two.yves, two.claire.address, "reponse")
    two.there.send(two.yves, [two.claire.address], letter.data)
    assert carrying(word, two.here, two.claire).attachments == [letter.attachment]
    nothing_lies_in_clear(two, word)


def test_the_other_operator_never_has_a_sealed_letter_in_clear(two: Federation) -> None:
    """What it stores is what left: the very message, verbatim, that only the addressee's key opens."""
    word, letter = marked(two.claire, two.yves.address, "verbatim")
    two.here.send(two.claire, [two.yves.address], letter.data)
    carried = carrying(word, two.there, two.yves)
    named = str(carried.message["Message-ID"]).encode()
    (stored,) = [one for one in lying(two.there, two.yves) if named in one]
    assert b"multipart/encrypted" in stored
    signed_by = opened(two.here, two.yves, stored)  # under the authority of who sealed it
    assert signed_by.good_signature, "it was sealed before it left, and signed by who sealed it"


# -- letters of which a report comes back: all are handed in first, since a report waits some seconds for others ------


@dataclass(frozen=True)
class Sent:
    word: str
    letter: letters.Letter
    recipient: str


@pytest.fixture(scope="module")
def sent(two: Federation) -> dict[str, Sent]:
    two.bad[NARROW].manners.size = 5000
    absent = f"personne{secrets.token_hex(4)}@{two.there.domain}"
    ways = {
        "gated": (two.here, two.claire, two.marc.address),
        "gated back": (two.there, two.yves, two.luc.address),
        "unknown": (two.here, two.claire, absent),
        "too large": (two.here, two.claire, f"etroit@{NARROW}"),
    }
    done: dict[str, Sent] = {}
    for name, (operator, sender, recipient) in ways.items():
        word, letter = marked(sender, recipient, name.replace(" ", ""))
        operator.send(sender, [recipient], letter.data)
        done[name] = Sent(word, letter, recipient)
    word, letter = marked(two.claire, two.yves.address, "asked")
    with smtplib.SMTP("localhost", two.here.ports["submission"], timeout=120) as smtp:
        smtp.starttls(context=clients.tls(two.commons.ca))
        smtp.login(two.claire.address, two.claire.password)
        smtp.ehlo()
        assert smtp.has_extn("dsn")
        smtp.sendmail(
            two.claire.address,
            [two.yves.address],
            letter.data,
            mail_options=["RET=FULL", "ENVID=essai-1"],
            rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
        )
    return done | {"asked": Sent(word, letter, two.yves.address)}


@pytest.mark.parametrize("way", ["gated", "gated back"])
def test_a_letter_to_who_has_no_key_leaves_by_the_gate_and_its_sender_is_told(
    two: Federation, sent: dict[str, Sent], way: str
) -> None:
    back, one = way == "gated back", sent[way]
    theirs, reader = (two.here, two.luc) if back else (two.there, two.marc)
    ours, sender = (two.there, two.yves) if back else (two.here, two.claire)
    received = _read(await_letter(theirs, reader, lambda stored: one.word in str(_read(stored)["Subject"])))
    assert [part.get_payload(decode=True) for part in received.iter_attachments()] == [one.letter.attachment]
    results = " ".join(str(received["Authentication-Results"]).split())
    assert results.count("dkim=pass") == 2
    assert "x-tls=pass" in results
    told = report_on(one.recipient, ours, sender)
    assert told["Auto-Submitted"] == "auto-replied"
    assert "lisible par lui" in texts(told)
    assert "readable by it" in texts(told)
    (_, recipient) = machine(told)
    assert recipient["Action"] in ("relayed", "delivered")
    assert one.word not in str(told)
    nothing_lies_in_clear(two, one.word)


def test_a_sender_who_asks_is_told_that_it_was_sealed(two: Federation, sent: dict[str, Sent]) -> None:
    one = sent["asked"]
    carrying(one.word, two.there, two.yves)

    def is_it(inner: clients.Opened) -> bool:
        return [each["Original-Envelope-Id"] for each in machine(inner.message)[:1]] == ["essai-1"]

    told = found(two.here, two.claire, is_it).message
    assert "scellé" in texts(told)
    assert one.word not in str(told)


def test_a_refusal_of_the_other_operator_comes_back_in_french_without_content(
    two: Federation, sent: dict[str, Sent]
) -> None:
    one = sent["unknown"]
    told = report_on(one.recipient, two.here, two.claire)
    assert "non distribué" in str(told["Subject"])
    assert "Cette adresse n’existe pas" in texts(told)
    (_, recipient) = machine(told)
    assert recipient["Action"] == "failed"
    assert str(recipient["Status"]).startswith("5.1.1")
    assert one.word not in str(told)
    nothing_lies_in_clear(two, one.word)


def test_a_letter_too_large_for_the_other_operator_is_not_sent_to_it(
    two: Federation, sent: dict[str, Sent]
) -> None:
    """13, outbound: the size that it announces is looked at before anything is sent."""
    one = sent["too large"]
    told = report_on(one.recipient, two.here, two.claire)
    assert "plus gros" in texts(told)
    assert two.bad[NARROW].taken == []
    assert one.word not in str(told)


# -- several recipients, and patience -------------------------------------------------------------------------------


def test_one_letter_to_both_leaves_in_two_forms(two: Federation) -> None:
    word, letter = marked(two.claire, two.yves.address, "deux")
    two.here.send(two.claire, [two.yves.address, two.marc.address], letter.data)
    assert carrying(word, two.there, two.yves).subject == letter.subject
    await_letter(two.there, two.marc, lambda stored: word in str(_read(stored)["Subject"]))
    nothing_lies_in_clear(two, word)


def test_a_server_that_puts_off_gets_the_letter_later_and_once(two: Federation) -> None:
    server = two.bad[BAD]
    server.manners.answers["RCPT"] = "451 4.7.1 Greylisted"
    word, letter = marked(two.claire, f"lente@{BAD}", "attente")
    before = server.refused
    two.here.send(two.claire, [f"lente@{BAD}"], letter.data)
    wait(lambda: server.refused > before + 1 or None)
    nothing_lies_in_clear(two, word)
    server.manners.answers.clear()
    wait(lambda: [taken for taken in server.taken if taken.recipients == [f"lente@{BAD}"]] or None)
    assert len([taken for taken in server.taken if taken.recipients == [f"lente@{BAD}"]]) == 1


def _read(stored: bytes) -> EmailMessage:
    return message_from_bytes(stored, policy=policy.default)
