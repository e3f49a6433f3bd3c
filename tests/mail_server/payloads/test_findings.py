"""What is learned of a message while its text is clear."""

import base64
import io
import json
import random
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.mime import attachment_part, header_field, multipart, parse, text_part
from mail_server.payloads import SUMMARY_LIMIT, Findings, find
from mail_server.store.model import CoarseClass, ScanVerdict


def found(message: bytes) -> Findings:
    return find(message, parse(message))


def letter(*parts: bytes, subject="Compte rendu", extra=b"") -> bytes:
    kind, body = multipart("mixed", parts)
    sender = "From: Hôpital <cr@chu.fr>\r\n".encode()
    return header_field("Subject", subject) + sender + extra + kind + b"\r\n" + body


def archive(*names: str, filler: int = 0) -> bytes:
    noise = random.Random(1).randbytes(filler)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as out:
        for name in names:
            out.writestr(name, noise or b"content of " + name.encode())
    return held.getvalue()


XDM = archive("README.TXT", "INDEX.HTM", "IHE_XDM/SUBSET01/METADATA.XML", "IHE_XDM/SUBSET01/DOC0001.XML")
TEXT = text_part("Bonjour")


def test_an_ordinary_message():
    findings = found(letter(TEXT))
    assert findings.coarse_class is CoarseClass.MESSAGE
    assert (findings.has_xdm, findings.has_calendar, findings.closes_exchange) == (False, False, False)
    assert findings.scan is ScanVerdict.NOT_SCANNED
    assert not findings.structured


@pytest.mark.parametrize(
    "kind", ["application/zip", "application/octet-stream", "application/pdf", "text/plain"]
)
def test_an_xdm_archive_is_known_by_its_content_whatever_its_type(kind):
    findings = found(letter(TEXT, attachment_part(XDM, kind, "piece.bin")))
    assert findings.has_xdm
    assert findings.coarse_class is CoarseClass.RECORD


def test_an_xdm_archive_without_disposition_and_name():
    part = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert found(letter(TEXT, part + base64.encodebytes(XDM).replace(b"\n", b"\r\n"))).has_xdm


@pytest.mark.parametrize("encoding", ["8bit", "binary"])
def test_an_xdm_archive_that_is_not_in_base64(encoding):
    part = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n"
    assert found(letter(TEXT, part + XDM)).has_xdm


@pytest.mark.parametrize("filler", [0, 1000, 50_000, 400_000])
def test_a_big_archive_is_known_by_its_directory_at_the_end(filler):
    held = archive("A.TXT", "B.TXT", "IHE_XDM/SUBSET01/METADATA.XML", filler=filler)
    for cut in range(3):  # whatever the rest of the length by three
        assert found(letter(TEXT, attachment_part(held + b"\0" * cut, "application/zip", "x.zip"))).has_xdm


def test_a_long_directory_is_read_too():
    held = archive(*(f"DIRECTORY/FILE{n:04d}.TXT" for n in range(600)), "IHE_XDM/SUBSET01/METADATA.XML")
    assert found(letter(attachment_part(held, "application/zip", "x.zip"))).has_xdm


@pytest.mark.parametrize(
    "held",
    [
        archive("photos/a.jpg"),
        archive("not_IHE_XDM/x"),
        archive("METADATA.XML.txt"),
        b"PK\x03\x04",
        b"PK\x03\x04" * 9999,
    ],
)
def test_another_archive_is_no_record_whatever_its_name(held):
    findings = found(letter(attachment_part(held, "application/zip", "IHE_XDM.zip")))
    assert findings.coarse_class is CoarseClass.MESSAGE


def test_the_subject_of_structured_mail_makes_a_record():
    findings = found(letter(TEXT, subject="XDM/1.0/DDM+CR d'hospitalisation DUPONT Élise 01/01/1970"))
    assert (findings.coarse_class, findings.has_xdm) == (CoarseClass.RECORD, False)


def test_a_calendar_makes_an_agenda():
    event = b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR"
    for part in (event, attachment_part(b"BEGIN:VCALENDAR", "application/octet-stream", "rendez-vous.ICS")):
        findings = found(letter(TEXT, part))
        assert (findings.coarse_class, findings.has_calendar) == (CoarseClass.AGENDA, True)


def test_a_record_with_a_calendar_is_a_record_that_has_a_calendar():
    event = b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR"
    findings = found(letter(TEXT, event, attachment_part(XDM, "application/zip", "x.zip")))
    assert (findings.coarse_class, findings.has_calendar) == (CoarseClass.RECORD, True)


@pytest.mark.parametrize(
    ("subject", "closes"),
    [
        ("[FIN]", True),
        ("  [FIN] ", True),
        ("Re: [FIN]", False),
        ("[FIN] merci", False),
        ("[fin]", False),
        ("", False),
    ],
)
def test_a_subject_that_is_exactly_fin_closes_the_exchange(subject, closes):
    assert found(b"Subject: " + subject.encode() + b"\r\n\r\nx").closes_exchange is closes


def test_an_encoded_fin_subject_closes_too():
    assert found(b"Subject: =?utf-8?q?=5BFIN=5D?=\r\n\r\n").closes_exchange


def test_the_mss_header_closes_the_exchange():
    assert found(letter(TEXT, extra=b"x-mss-mes : FIN\r\n")).closes_exchange
    assert not found(letter(TEXT, extra=b"X-MSS-MES: other\r\n")).closes_exchange
    assert not found(letter(TEXT, text_part("X-MSS-MES: FIN"))).closes_exchange


def test_the_summary_says_who_what_and_which_attachments():
    findings = found(
        letter(
            text_part("Bonjour,\n\nvoilà   le résultat."),
            attachment_part(b"%PDF", "application/pdf", "é.pdf"),
        )
    )
    assert json.loads(findings.summary or b"") == {
        "subject": "Compte rendu",
        "from": "Hôpital",
        "text": "Bonjour, voilà le résultat.",
        "parts": [["é.pdf", "application/pdf"]],
    }


def test_html_alone_is_summed_up_without_its_tags():
    page = b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>Le foie&nbsp;va <b>bien</b>"
    assert json.loads(found(letter(page)).summary or b"")["text"] == "Le foie va bien"


def test_plain_text_is_preferred_to_html():
    page = b"Content-Type: text/html\r\n\r\n<p>html"
    assert json.loads(found(letter(page, TEXT)).summary or b"")["text"] == "Bonjour"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_the_beginning_of_a_long_text_is_cut_between_characters(encoding):
    clear = ("é" * 37 + " ") * 400
    octets = clear.encode()
    body = {
        "base64": base64.encodebytes(octets).replace(b"\n", b"\r\n"),
        "quoted-printable": b"=\r\n".join(b"=C3=A9" * 10 for _ in range(500)),
        "8bit": octets,
    }[encoding]
    part = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body
    text = json.loads(found(letter(part)).summary or b"")["text"]
    assert len(text) > 100
    assert set(text) <= {"é", " "}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.text(max_size=600), st.lists(st.text(max_size=100), max_size=8))
def test_the_summary_is_json_within_its_limit(subject, text, names):
    findings = found(
        letter(text_part(text), *(attachment_part(b"x", "a/b", name) for name in names), subject=subject)
    )
    assert len(findings.summary or b"") <= SUMMARY_LIMIT
    assert set(json.loads(findings.summary or b"")) == {"subject", "from", "text", "parts"}


def test_the_repr_hides_what_the_message_says():
    shown = repr(found(letter(text_part("glycémie"), subject="diabète")))
    assert "diab" not in shown
    assert "glyc" not in shown


def test_columns_carry_the_sealed_summary_and_never_the_clear_one():
    findings = found(letter(TEXT, attachment_part(XDM, "application/zip", "x.zip")))
    columns = findings.columns(b"sealed")
    assert (columns.coarse_class, columns.has_xdm, columns.summary) == (CoarseClass.RECORD, True, b"sealed")
    assert findings.columns(None).summary is None


PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"\r\n", b"\r\n\r\n", b"\r\n--a\r\n", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", b"UEsDB",
         b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"PK\x03\x04",
         b"PK\x01\x02", b"PK\x05\x06", b"PK=03=04", b"Content-Type: text/html; charset=utf-16\r\n", b"<style>", b"=",
         b"Subject: ", b"From: ", b"X-MSS-MES: ", b"utf-7", XDM, base64.b64encode(XDM), XDM[-200:], b"+2AA-"]
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25).map(b"".join))
def test_no_bytes_make_it_raise(message):
    assert len(found(message).summary or b"") <= SUMMARY_LIMIT
