"""What software answers to a letter with documents (row 52; RFC 8098, the volet on CDA received by mail)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server import mime
from mail_server.payloads.record import integration
from mail_server.payloads.record.integration import Answerer, IntegrationAnswer, Outcome
from mail_server.payloads.record.refusal import AnsCode
from tests.mail_server.payloads.record.archives import good

ZIP = good()
PDF = b"%PDF-1.4 a copy"
HOSPITAL = "cr@chu.mss.example"
SOFTWARE = Answerer("logiciel@cabinet.mss.example", "cabinet.mss.example", 1_795_000_000_000)
SUBJECT = "XDM/1.0/DDM+CR de biologie DURAND Jeanne 03/05/1948"


def letter(subject: str = SUBJECT, *, asks: str = HOSPITAL, more: bytes = b"") -> bytes:
    parts = [
        mime.text_part("Bonjour,\nvoici un compte rendu."),
        mime.attachment_part(ZIP, "application/zip", "IHE_XDM.zip"),
        mime.attachment_part(PDF, "application/pdf", "20261120_CR_DURAND_Jeanne.pdf"),
    ]
    kind, body = mime.multipart("mixed", parts)
    fields = [
        mime.address_field("From", [("CHU", HOSPITAL)]),
        mime.address_field("To", [("", SOFTWARE.address)]),
        b"Message-ID: <letter-1@chu.mss.example>\r\n",
        mime.header_field("Subject", subject),
        *([mime.address_field("Disposition-Notification-To", [("", asks)])] if asks else []),
        more,
        b"MIME-Version: 1.0\r\n",
        kind,
    ]
    return b"".join([*fields, b"\r\n", body])


def answered(outcome: Outcome, to: bytes | None = None, return_path: str = HOSPITAL) -> bytes | None:
    return integration.acknowledgement(letter() if to is None else to, outcome, SOFTWARE, return_path)


def opened(message: bytes | None) -> EmailMessage:
    assert message is not None
    return email.message_from_bytes(message, policy=email.policy.default)


def read(message: bytes) -> IntegrationAnswer | None:
    return integration.read(message, mime.parse(message))


# -- made


def test_documents_taken_in_give_a_receipt_that_says_processed() -> None:
    """Row 52: positive MDN."""
    found = opened(answered(Outcome()))
    assert found.get_content_type() == "multipart/report"
    assert found["Content-Type"].params["report-type"] == "disposition-notification"
    assert (found["To"], found["Subject"]) == (HOSPITAL, SUBJECT)
    assert (found["In-Reply-To"], found["Auto-Submitted"]) == ("<letter-1@chu.mss.example>", "auto-replied")
    words, machine, original = found.iter_parts()
    assert "intégré" in words.get_content()
    assert machine.get_content_type() == "message/disposition-notification"
    told = machine.as_bytes()
    assert b"Disposition: automatic-action/MDN-sent-automatically; processed\n" in told.replace(
        b"\r\n", b"\n"
    )
    assert b"Final-Recipient: rfc822;logiciel@cabinet.mss.example" in told
    assert b"Original-Message-ID: <letter-1@chu.mss.example>" in told
    assert original.get_content_type() == "message/rfc822"


@pytest.mark.parametrize("code", list(AnsCode))
def test_documents_that_could_not_be_taken_in_give_code_and_words_and_come_back(code: AnsCode) -> None:
    """Row 52: error MDN with codes 900 to 906, zip and PDF attached again."""
    made = answered(Outcome(code))
    found = opened(made)
    assert found["Subject"] == f"[KO Intégration système !][{int(code)}] {SUBJECT}"
    words, _, original, *attached = found.iter_parts()
    label = integration.LABELS[code]
    assert f"{int(code)} {label}" in words.get_content()
    assert b"Disposition: automatic-action/MDN-sent-automatically; processed/Error: %d^" % code in (
        made or b""
    )
    assert original.get_content_type() == "message/rfc822"
    assert [(one.get_filename(), one.get_payload(decode=True)) for one in attached] == [
        ("IHE_XDM.zip", ZIP),
        ("20261120_CR_DURAND_Jeanne.pdf", PDF),
    ]


@pytest.mark.parametrize("asks", ["", "other@chu.mss.example", f"{HOSPITAL}, other@chu.mss.example"])
def test_a_failure_without_leave_for_a_receipt_is_an_ordinary_letter(asks: str) -> None:
    """Row 52: automatic only when Disposition-Notification-To is the Return-Path (RFC 8098 §2.1)."""
    found = opened(answered(Outcome(AnsCode.UNKNOWN_PATIENT, "IPP inconnu"), letter(asks=asks)))
    assert found.get_content_type() == "multipart/mixed"
    assert found["Subject"].startswith("[KO Intégration système !][902] XDM/1.0/DDM+")
    words, _, *attached = found.iter_parts()
    assert "902 Identifiant de patient inconnu\nIPP inconnu" in words.get_content().replace("\r", "")
    assert [one.get_filename() for one in attached] == ["IHE_XDM.zip", "20261120_CR_DURAND_Jeanne.pdf"]


def test_who_asked_for_nothing_hears_nothing_of_a_success() -> None:
    """Row 52."""
    assert answered(Outcome(), letter(asks="")) is None
    assert answered(Outcome(), letter(asks="other@chu.mss.example")) is None


def test_an_answer_is_never_answered() -> None:
    """Row 52: nor a letter without anywhere to answer, nor by itself an automatic one."""
    for outcome in (Outcome(), Outcome(AnsCode.OTHER)):
        for asks in ("", HOSPITAL):
            made = answered(Outcome(AnsCode.OTHER), letter(asks=asks))
            assert made is not None
            assert answered(outcome, made) is None
        assert answered(outcome, return_path="") is None
    automatic = letter(more=b"Auto-Submitted: auto-generated\r\n")
    assert answered(Outcome(), automatic) is None


# -- read


@pytest.mark.parametrize("code", list(AnsCode))
@pytest.mark.parametrize("asks", [HOSPITAL, ""])
def test_an_answer_of_ours_is_read_as_it_was_meant(code: AnsCode, asks: str) -> None:
    """Row 52."""
    made = answered(Outcome(code), letter(asks=asks))
    assert made is not None
    label = integration.LABELS[code]
    assert read(made) == IntegrationAnswer(
        True, code, label, "<letter-1@chu.mss.example>", receipt=bool(asks)
    )


def test_a_success_is_read_as_one() -> None:
    """Row 52."""
    made = answered(Outcome())
    assert made is not None
    assert read(made) == IntegrationAnswer(False, None, "", "<letter-1@chu.mss.example>", receipt=True)


REPORT = (
    b"From: robot@chb.example\r\nTo: cr@chu.mss.example\r\nSubject: %b\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nLe document n'a pas pu etre integre.\r\n"
    b"--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
    b"Final-Recipient: rfc822;robot@chb.example\r\n"
    b"Original-Message-ID: <letter-1@chu.mss.example>\r\n%b\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("subject", "machine", "code"),
    [
        (
            b"[KO Integration systeme !][902] XDM/1.0/DDM+CR",
            b"Disposition:automatic-action/MDN-sent-automatically; processed/Error: %b\r\n"
            % b"902^Identifiant de patient inconnu^messageErrorCondition| E^Error^errorSeverity",
            902,
        ),
        (
            b"XDM/1.0/DDM+CR",
            b"Disposition: automatic-action/MDN-sent-automatically; processed/error\r\nError: 904^INS\r\n",
            904,
        ),
        (
            b"[KO Integration systeme !][903] XDM/1.0/DDM+CR",
            b"Disposition: automatic-action/MDN-sent-automatically; processed/error\r\n",
            903,
        ),
        (
            b"XDM/1.0/DDM+CR",
            b"Disposition: automatic-action/MDN-sent-automatically; Processed / Error\r\n",
            906,
        ),
    ],
    ids=["as the volet writes it", "RFC 8098's own field", "the subject's code", "no code"],
)
def test_the_receipts_of_other_software_are_read(subject: bytes, machine: bytes, code: int) -> None:
    """Row 52."""
    found = read(REPORT % (subject, machine))
    assert found is not None
    assert (found.failed, found.code, found.original_message_id) == (True, code, "<letter-1@chu.mss.example>")


@pytest.mark.parametrize(
    "machine",
    [
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n",
        b"Disposition: automatic-action/MDN-sent-automatically; deleted\r\n",
        b"Disposition: \r\n",
        b"",
    ],
)
def test_a_receipt_of_a_reader_says_nothing_of_an_integration(machine: bytes) -> None:
    """Row 52: "displayed" is a person who read."""
    assert read(REPORT % (b"XDM/1.0/DDM+CR", machine)) is None


def test_a_letter_that_only_speaks_of_codes_is_no_answer() -> None:
    assert read(letter("Bonjour [902]")) is None
    assert read(letter()) is None


def test_the_code_may_stand_in_the_words_alone_and_the_letter_inside() -> None:
    """Row 52: ordinary letters of other software."""
    told = (
        b"From: a@chb.example\r\nSubject: [Erreur d'integration !] XDM/1.0/DDM+CR\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
        b"- Code d'erreur : 905\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Message-ID: <letter-9@chu.mss.example>\r\nSubject: x\r\n\r\nx\r\n--b--\r\n"
    )
    label = integration.LABELS[AnsCode.INS_INCOMPLETE]
    assert read(told) == IntegrationAnswer(True, AnsCode.INS_INCOMPLETE, label, "<letter-9@chu.mss.example>")


@settings(max_examples=200, deadline=None)
@given(subject=st.binary(max_size=60), machine=st.binary(max_size=200), body=st.binary(max_size=200))
def test_reading_never_raises(subject: bytes, machine: bytes, body: bytes) -> None:
    read(REPORT % (subject.replace(b"\n", b" "), machine))
    read(b"Subject: [KO Integration systeme !] " + subject + b"\r\n\r\n" + body)


def test_nothing_of_the_letter_is_in_a_repr() -> None:
    shown = repr(read(answered(Outcome(AnsCode.OTHER, "DURAND")) or b""))
    assert "letter-1" not in shown
    assert "DURAND" not in repr(Outcome(AnsCode.OTHER, "DURAND"))
