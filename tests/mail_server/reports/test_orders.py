"""What a hospital says of a document is checked before anything is kept; a reason never holds a value."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from deploy.demo import letters
from mail_server import mime
from mail_server.payloads.record import xdm
from mail_server.payloads.record.causes import words
from mail_server.reports.documents import Source
from mail_server.reports.order import read_order
from mail_server.reports.pdf_checks import check_pdf
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.settings import HospitalSettings
from mail_server.reports.spool import State
from tests.nights import BAD, encrypted, invented, order, with_file, with_launch, with_script

PATIENT = invented(7)
FOUND_HERE = sorted(set(BAD) - {"index-unreadable", "recipient-unknown", "recipient-suspended"})


def refused(desk, told, pdf: bytes) -> ReportRefused:
    with pytest.raises(ReportRefused) as found:
        desk.take(told, Source(pdf))
    return found.value


@pytest.mark.parametrize("slug", FOUND_HERE)
def test_each_fault_has_its_reason_and_keeps_nothing(desk, pdf, slug: str) -> None:
    told, content = BAD[slug](order(PATIENT, "Titre"), pdf)
    found = refused(desk, told, content)
    assert found.slug == slug
    for value in (*PATIENT.values(), "Titre"):
        assert value not in found.fr + found.en + str(found) or value in ("F", "M")
    assert sum(desk.spool.counts().values()) == 0


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"ins": PATIENT["ins"][:13]}, "ins-without-key"),  # without it nothing shows a mistyped digit
        ({"ins": PATIENT["ins"][:14]}, "ins-length"),
        ({"ins": PATIENT["ins"][:9] + "O" + PATIENT["ins"][10:]}, "ins-characters"),
        ({"ins": "9" + PATIENT["ins"][1:]}, "ins-sex"),
        ({"ins": PATIENT["ins"][:3] + "13" + PATIENT["ins"][5:]}, "ins-month"),
        ({"ins": ""}, "ins-wrong"),
        ({"oid": "1.2.250.1.213.1.4.10"}, "ins-range"),
        ({"sex": "X"}, "field-wrong"),
        ({"sex": "F" if PATIENT["sex"] == "M" else "M"}, "traits-disagree"),
        ({"birth_date": "2090-01-01"}, "date-wrong"),
        ({"family_name": "x\r\nBcc: y"}, "field-wrong"),
    ],
)
def test_who_the_patient_is_must_be_sure(desk, pdf, change: dict[str, str], slug: str) -> None:
    assert refused(desk, order(PATIENT | change, "Titre"), pdf).slug == slug


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"to": "pas une adresse"}, "recipient-wrong"),
        ({"confidentiality": ["N", "R"]}, "confidentiality-wrong"),
        ({"confidentiality": ["SECRET"]}, "confidentiality-wrong"),
        ({"confidentiality": ["MASQUE_PS"], "to": "gp@ch.essai.test"}, "carry-masked-to-professional"),
        ({"replaces": "inconnu"}, "replaced-unknown"),
        ({"reference": PATIENT["ins"]}, "field-wrong"),
        ({"type": "34105-7"}, "type-unknown"),
        ({"date": "1900-01-01"}, "date-wrong"),  # before the patient was born
        ({"end_date": "2026-11-19"}, "date-wrong"),
    ],
)
def test_what_the_document_is_must_be_possible(desk, pdf, change, slug: str) -> None:
    assert refused(desk, order(PATIENT, "Titre") | change, pdf).slug == slug


_FIELDS = ["patient", "type", "title", "date", "ins", "author", "confidentiality", "x"]
_LEAVES = st.none() | st.booleans() | st.text() | st.integers()


@given(
    st.recursive(_LEAVES, lambda inner: st.dictionaries(st.sampled_from(_FIELDS), inner) | st.lists(inner))
)
def test_any_order_is_taken_or_refused(told) -> None:
    settings = HospitalSettings.model_validate(
        {
            "node": {"host": "h", "certificate": "c", "key": "k"},
            "account": {"address": "a@b.test"},
            "establishment": {"name": "n", "identifier": "1"},
            "spool": {"folder": "/nowhere"},
        }
    )
    with pytest.raises(ReportRefused) as found:  # nothing drawn by chance is a whole order
        read_order(told, settings)
    assert words(found.value.slug)[0] != found.value.slug, "each reason has words"


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (encrypted, "pdf-encrypted"),
        (with_script, "pdf-active"),
        (with_launch, "pdf-active"),
        (with_file, "pdf-embeds"),
    ],
)
def test_a_pdf_that_does_more_than_show_itself_is_refused(pdf, make, slug: str) -> None:
    check_pdf(pdf, 10_000_000, 500)
    with pytest.raises(ReportRefused) as found:
        check_pdf(make(pdf), 10_000_000, 500)
    assert found.value.slug == slug


def test_a_pdf_too_large_too_long_or_empty_is_refused(pdf) -> None:
    with pytest.raises(ReportRefused, match="pdf-too-large"):
        check_pdf(pdf, 1000, 500)
    writer = PdfWriter()
    for _ in range(3):
        writer.append(PdfReader(io.BytesIO(pdf)))
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(ReportRefused, match="pdf-too-long"):
        check_pdf(out.getvalue(), 10_000_000, 2)
    for bad in (b"", b"%PDF-1.4\n", pdf[: len(pdf) // 2][:100], b"\x00" * 500):
        with pytest.raises(ReportRefused, match="pdf-unreadable"):
            check_pdf(bad, 10_000_000, 500)


@given(st.binary(max_size=300), st.integers(0, 2900))
def test_any_bytes_for_a_pdf_end_in_a_verdict(noise: bytes, place: int) -> None:
    whole, slug = letters.pdf("x", 2900), ""
    try:
        check_pdf(whole[:place] + noise + whole[place + len(noise) :], 10_000_000, 500)
    except ReportRefused as refused:
        slug = refused.slug
    assert slug == "" or slug.startswith("pdf-")


# -- the letter -------------------------------------------------------------------------------------------


def opened(letter: bytes) -> tuple[dict[str, str], dict[str, bytes], str]:
    tree = mime.parse(letter)
    fields = {one.name: mime.decoded(one.value) for one in mime.fields(letter[: tree.header_end])}
    parts = {part.content_type: mime.decoded_body(letter, part) for part in tree.walk() if not part.children}
    return (
        fields,
        parts,
        next(part.filename for part in tree.walk() if part.content_type == "application/pdf"),
    )


def test_the_letter_has_words_the_pdf_the_archive_and_what_mssante_asks_for(desk, pdf) -> None:
    taken = desk.take(order(PATIENT, "Compte rendu d'hospitalisation"), Source(pdf))
    fields, parts, name = opened(desk.spool.letter(taken.reference))
    assert fields["subject"].startswith("XDM/1.0/DDM+Compte rendu d'hospitalisation NOCTURNE-H")
    assert fields["message-id"] == f"<{taken.reference}@ch.essai.test>"
    assert fields["disposition-notification-to"] == "dpi@ch.essai.test", "equal to MAIL FROM"
    assert fields["reply-to"] == "service@ch.essai.test"
    assert fields["to"] == f"{PATIENT['ins']}@patient.ch.essai.test"
    assert (fields["x-mss-nil"], fields["x-mss-codecda"], fields["x-mss-ins"]) == (
        "DEV000000",
        "34112-3",
        "O",
    )
    assert parts["application/pdf"] == pdf
    assert name.startswith("20261120_")
    assert name.endswith(f"_{PATIENT['given_name']}.pdf")
    assert "Compte rendu d'hospitalisation" in parts["text/plain"].decode()
    archive = xdm.read(parts["application/zip"])
    [entry] = archive.entries
    assert entry.patient_id.extension == PATIENT["ins"]
    assert entry.class_.code == "10"


def test_a_replacement_names_the_earlier_document_and_answers_its_letter(desk, pdf) -> None:
    first = desk.take(order(PATIENT, "Titre"), Source(pdf))
    second = desk.take(order(PATIENT, "Titre") | {"replaces": first.reference}, Source(pdf))
    before, after = (desk.spool.find(one.reference).about for one in (first, second))
    fields, parts, _ = opened(desk.spool.letter(second.reference))
    assert fields["subject"].startswith("[Annule et remplace] XDM/1.0/DDM+")
    assert fields["references"] == before.message_id
    [entry] = xdm.read(parts["application/zip"]).entries
    assert entry.replaces == (before.entry_uuid,)
    assert (after.set_id, after.version) == (before.set_id, 2)
    assert after.unique_id != before.unique_id
    other = order(invented(8), "Titre") | {"replaces": first.reference}
    assert refused(desk, other, pdf).slug == "replaced-unknown", "of another patient"


def test_a_withdrawal_answers_the_letter_and_carries_no_document(desk, pdf) -> None:
    first = desk.take(order(PATIENT, "Titre"), Source(pdf))
    told = desk.withdraw(first.reference)
    letter = desk.spool.letter(told.reference)
    tree = mime.parse(letter)
    about = desk.spool.find(first.reference).about
    assert mime.first(letter[: tree.header_end], "references").decode() == about.message_id
    kinds = [part.content_type for part in tree.walk() if not part.children]
    assert kinds == ["text/plain", "application/vnd.vaguemestre.manifest+json"]
    assert about.unique_id.encode() in mime.decoded_body(letter, tree.children[1])


def test_an_invisible_report_is_held_with_a_copy_for_its_author_until_it_is_announced(desk, pdf) -> None:
    hidden = order(PATIENT, "Titre") | {"confidentiality": ["N", "INVISIBLE_PATIENT"]}
    taken = desk.take(hidden, Source(pdf))
    assert taken.state is State.HELD
    copy = desk.spool.find(f"{taken.reference}.held")
    assert copy.about.recipient == "dpi@ch.essai.test"
    [kept] = xdm.read(opened(desk.spool.letter(taken.reference))[1]["application/zip"]).entries
    assert {one.code for one in kept.confidentiality} == {"N", "INVISIBLE_PATIENT"}
    assert desk.announce(taken.reference).state is State.WAITING
    fields, parts, _ = opened(desk.spool.letter(taken.reference))
    [entry] = xdm.read(parts["application/zip"]).entries
    assert {one.code for one in entry.confidentiality} == {"N"}
    assert entry.unique_id == kept.unique_id
    assert entry.entry_uuid != kept.entry_uuid
    assert fields["to"].startswith(PATIENT["ins"])
    with pytest.raises(ReportRefused):
        desk.announce(taken.reference)


def test_a_cda_is_sent_as_it_is_with_a_copy_to_look_at_and_only_for_its_own_patient(desk, pdf) -> None:
    first = desk.take(order(PATIENT, "Titre"), Source(pdf))
    _, parts, _ = opened(desk.spool.letter(first.reference))
    (cda,) = xdm.read(parts["application/zip"]).documents.values()
    again = desk.take(order(PATIENT, "Titre"), Source(cda=cda))
    _, sent, _ = opened(desk.spool.letter(again.reference))
    archive = xdm.read(sent["application/zip"])
    assert list(archive.documents.values()) == [cda]
    assert sent["application/pdf"] == pdf
    assert (
        desk.spool.find(again.reference).about.unique_id == desk.spool.find(first.reference).about.unique_id
    )
    with pytest.raises(ReportRefused, match="cda-another-patient"):
        desk.take(order(invented(8), "Titre"), Source(cda=cda))
    with pytest.raises(ReportRefused, match="cda-refused"):
        desk.take(order(PATIENT, "Titre"), Source(cda=b"<ClinicalDocument/>"))
