"""Archives written and read back, and what a reader does with anything at all (rows 47, 49)."""

from __future__ import annotations

import io
import random
import zipfile
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.payloads.record import ebrim, xdm, xml
from mail_server.payloads.record.archive import read_zip
from mail_server.payloads.record.metadata import read_metadata
from mail_server.payloads.record.model import (
    Author,
    Code,
    DocumentEntry,
    PatientId,
    Traits,
    XdmArchive,
)
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from tests.effort import least_cpu, steps
from tests.mail_server.payloads.record.archives import (
    CDA,
    JEANNE,
    NIR,
    PAUL,
    SUBMISSION,
    SUBSET,
    archive,
    entry,
    good,
    members,
    metadata,
)
from tests.mail_server.payloads.record.zips import Member, packed

# What XML can carry and HL7 leaves alone: no control characters, no ends of lines, no space at either end.
TEXT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), blacklist_characters="\ufffe\uffff"),
    min_size=1,
    max_size=30,
)
NAME = st.tuples(TEXT, TEXT).map(" ".join)
CODES = st.builds(Code, TEXT, TEXT, NAME)
PEOPLE = st.builds(
    Author,
    family_name=NAME,
    given_name=NAME,
    identifier=TEXT,
    role=NAME,
    specialty=st.none() | CODES,
    organisation=NAME,
    organisation_id=TEXT,
)


def refused(data: bytes) -> RecordRefused:
    with pytest.raises(RecordRefused) as failed:
        xdm.read(data)
    return failed.value


# -- written and read back


@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_000])
def test_a_document_comes_back_octet_for_octet(size: int) -> None:
    """Row 47: what is read is what was written, with its SHA-1 and its size."""
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    made = archive(content=content)
    back = xdm.read(xdm.write(made))
    assert back.documents == made.documents
    assert (back.entries[0].size, back.entries[0].mime_type) == (size, "text/xml")


def test_what_is_written_is_read_as_it_was_meant() -> None:
    """Row 47: every attribute of the submission and of its documents comes back."""
    made = archive(
        entry(replaces=("urn:uuid:an-earlier-one",)), entry(2, title="Un « second » <document> & sa suite")
    )
    back = xdm.read(xdm.write(made))
    assert back.submission == made.submission
    for read, written in zip(back.entries, made.entries, strict=True):
        assert replace(read, path="", logical_id="", legal_authenticator=None) == replace(
            written, legal_authenticator=None
        )
        assert read.path == SUBSET + read.uri
        assert read.legal_authenticator is not None
        assert read.legal_authenticator.identifier == "899700218896"


def test_the_same_archive_is_written_in_the_same_octets() -> None:
    assert xdm.write(archive()) == xdm.write(archive())


def test_an_archive_holds_what_iti_32_asks_for() -> None:
    """Row 47: README.TXT, INDEX.HTM and IHE_XDM/SUBSET01/METADATA.XML, which any program opens."""
    with zipfile.ZipFile(io.BytesIO(good())) as found:
        assert found.testzip() is None
        assert found.namelist() == [
            "README.TXT",
            "INDEX.HTM",
            "IHE_XDM/SUBSET01/METADATA.XML",
            "IHE_XDM/SUBSET01/DOC0001.XML",
        ]
        readme = found.read("README.TXT").decode("ascii")
        index = found.read("INDEX.HTM")
    assert "CHU d'Exemple & Fils" in readme
    assert all(len(line) < 100 for line in readme.splitlines())
    assert b'<a href="IHE_XDM/SUBSET01/DOC0001.XML">Lettre de liaison</a>' in index


def test_index_htm_is_xhtml_that_links_every_file() -> None:
    """Row 47: INDEX.HTM is well formed, of XHTML Basic's elements alone, and its links lead to the archive's files."""
    made = xdm.write(archive(entry(title='Un titre <b> & "autre"'), entry(2)))
    files = read_zip(made)
    doctype_aside = files["INDEX.HTM"].split(b"\r\n", 2)[2]
    root = xml.parse(doctype_aside)
    assert root.ns == "http://www.w3.org/1999/xhtml"
    names = {one.name for one in root.descendants()}
    assert names <= {"head", "title", "body", "h1", "p", "ul", "li", "a"}
    links = {one.get("href") for one in root.descendants("a")}
    assert links == set(files) - {"INDEX.HTM"}


def test_the_metadata_bear_every_attribute_that_is_required() -> None:
    """Row 47: classifications, external identifiers, HasMember and RPLC (reference/mssante.md §4.2)."""
    root = xml.parse(metadata(entry(replaces=("urn:uuid:old",))))
    document = next(root.descendants("ExtrinsicObject", xml.ANY))
    assert document.get("objectType") == ebrim.STABLE
    assert {one.get("name") for one in document.elements("Slot")} == {
        "URI",
        "creationTime",
        "hash",
        "languageCode",
        "legalAuthenticator",
        "serviceStartTime",
        "serviceStopTime",
        "size",
        "sourcePatientId",
        "sourcePatientInfo",
    }
    schemes = [one.get("classificationScheme") for one in document.elements("Classification")]
    assert sorted(schemes) == sorted(
        [
            *(ebrim.AUTHOR, ebrim.CLASS, ebrim.CONFIDENTIALITY, ebrim.FORMAT),
            *(ebrim.FACILITY, ebrim.SETTING, ebrim.TYPE),
        ]
    )
    values = {
        one.get("identificationScheme"): one.get("value") for one in document.elements("ExternalIdentifier")
    }
    assert values == {
        ebrim.ENTRY_PATIENT: f"{JEANNE.extension}^^^&{NIR}&ISO^NH",
        ebrim.ENTRY_UNIQUE: "1.2.250.1.999.1.1",
    }
    links = {
        (one.get("associationType"), one.get("targetObject"))
        for one in root.descendants("Association", xml.ANY)
    }
    assert links == {(ebrim.HAS_MEMBER, document.get("id")), (ebrim.REPLACES, "urn:uuid:old")}
    ids = [one.get("id") for one in root.descendants(ns=xml.ANY) if one.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "missing",
    [one.name for one in fields(DocumentEntry) if one.name not in {"service_stop", "logical_id", "status"}],
)
def test_a_document_without_what_is_required_is_not_written(missing: str) -> None:
    """Row 47."""
    optional = {"traits", "replaces", "path"}  # and what `write` takes from the octets: hash, size
    nothing: object = None
    if missing in {"confidentiality", "authors", "replaces"}:
        nothing = ()
    elif missing == "size":
        nothing = 0
    elif missing == "traits":
        nothing = Traits()
    elif missing not in {"patient_id", "source_patient_id", "legal_authenticator"}:
        nothing = Code("") if missing in {"type", "class_", "format", "facility", "setting"} else ""
    spoiled = replace(entry(), **{missing: nothing})  # type: ignore[arg-type]
    whole = XdmArchive(SUBMISSION, (spoiled,), {spoiled.uri: CDA})
    if missing in optional | {"hash", "size"}:
        assert xdm.read(xdm.write(whole)).entries
    else:
        with pytest.raises(ValueError, match=missing):
            xdm.write(whole)


@settings(max_examples=60, deadline=None)
@given(title=NAME, kind=CODES, author=PEOPLE, traits=st.builds(Traits, family_name=NAME, given_name=NAME))
def test_any_words_come_back_as_they_were(title: str, kind: Code, author: Author, traits: Traits) -> None:
    made = entry(title=title, type=kind, authors=(author,), traits=traits)
    back = xdm.read(xdm.write(archive(made))).entries[0]
    assert (back.title, back.type, back.authors, back.traits) == (title, kind, (author,), traits)


def test_nothing_of_a_person_is_in_a_repr() -> None:
    shown = repr(xdm.read(xdm.write(archive(entry(title="Title of the letter")))))
    for word in ("DURAND", "Jeanne", "1948", JEANNE.extension, "MARTIN", "Title of the letter", "IPP-0042"):
        assert word not in shown


# -- foreign ones


def test_documents_of_a_second_subset_are_told_from_those_of_the_first() -> None:
    other = metadata(entry(2, uri="DOC0001.XML"))
    made = packed([*members(), *members(other, folder="IHE_XDM/SUBSET02/")[2:]])
    found = xdm.read(made)
    assert [one.uri for one in found.entries] == ["DOC0001.XML", "SUBSET02/DOC0001.XML"]
    assert [one.path for one in found.entries] == [f"{SUBSET}DOC0001.XML", "IHE_XDM/SUBSET02/DOC0001.XML"]
    assert set(found.documents) == {"DOC0001.XML", "SUBSET02/DOC0001.XML"}


def test_files_that_no_metadata_name_are_kept_beside_the_documents() -> None:
    found = xdm.read(packed([*members(), Member(b"IHE_XDM/cda.xsl", b"<x/>")]))
    assert found.beside == {
        "README.TXT": b"Archive IHE_XDM\r\n",
        "INDEX.HTM": b"<html/>",
        "IHE_XDM/cda.xsl": b"<x/>",
    }


def test_the_name_at_birth_is_read_whatever_name_stands_first() -> None:
    told = metadata().replace(b"PID-5|DURAND^Jeanne^^^^^L", b"PID-5|USUEL^Jeanne^^^^^D~DURAND^Jeanne^^^^^L")
    assert read_metadata(told)[1][0].traits == Traits("DURAND", "Jeanne", "1948-05-03", "F", "35238")


# -- one patient


def test_a_cda_about_another_patient_than_the_metadata_is_refused_as_904() -> None:
    """Row 49: METADATA patientId against the CDA's patient."""
    found = xdm.read(good())
    with pytest.raises(RecordRefused) as failed:
        xdm.check_patient(found, {"DOC0001.XML": [PAUL]})
    assert (failed.value.code, failed.value.slug) == (AnsCode.INS_MISMATCH, "patient-mismatch")
    assert "904" in failed.value.sentence


@pytest.mark.parametrize(
    "known",
    [
        [],
        [JEANNE],
        [PatientId("1.2.250.1.213.1.4.10", JEANNE.extension)],
        [PatientId("1.2.250.1.999.2", "IPP-0042"), JEANNE],
        [PatientId("1.2.3.4", "another hospital's number")],
        [PatientId(NIR, JEANNE.extension[:13])],
        [PatientId(NIR, "2 48 05 35 238 147 62")],
    ],
    ids=["none", "same", "test root", "two numbers", "foreign number", "without key", "with spaces"],
)
def test_a_cda_about_the_same_patient_is_taken_however_it_names_them(known: list[PatientId]) -> None:
    """Row 49."""
    xdm.check_patient(xdm.read(good()), {"DOC0001.XML": known})


def test_two_cda_of_two_patients_are_refused_where_the_metadata_name_none() -> None:
    """Row 49: one patient per message (ECO.2.1.1)."""
    nobody = metadata(entry(), entry(2)).replace(b"urn:uuid:58a6f841", b"urn:uuid:00000000")
    nobody = nobody.replace(b"urn:uuid:6b5aea1a", b"urn:uuid:00000000")
    found = xdm.read(packed([*members(nobody), Member(f"{SUBSET}DOC0002.XML".encode(), CDA)]))
    with pytest.raises(RecordRefused) as failed:
        xdm.check_patient(found, {"DOC0001.XML": [JEANNE], "DOC0002.XML": [PAUL]})
    assert failed.value.slug == "two-patients"


def test_two_patients_in_one_archive_are_refused_as_904() -> None:
    """Row 49."""
    both = [
        *members(metadata(entry(), entry(2, patient_id=PAUL))),
        Member(f"{SUBSET}DOC0002.XML".encode(), CDA),
    ]
    failed = refused(packed(both))
    assert (failed.code, failed.slug) == (904, "two-patients")
    assert failed.sentence == "The archive names two patients (ANS 904)"


# -- anything at all


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=4000))
def test_a_reader_raises_nothing_but_its_refusal(data: bytes) -> None:
    for start in (b"", b"PK\x03\x04", b"<?xml version='1.0'?><a>"):
        for read in (read_zip, xdm.read, xml.parse, read_metadata):
            with pytest.raises(RecordRefused):
                read(start + data)


WHOLE = good()


@settings(max_examples=400, deadline=None)
@given(
    turned=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 60),
)
def test_an_archive_with_octets_turned_is_refused_or_read_whole(
    turned: list[tuple[int, int]], cut: int
) -> None:
    spoiled = bytearray(WHOLE)
    for at, octet in turned:
        spoiled[at] = octet
    try:
        found = xdm.read(bytes(spoiled[: len(spoiled) - cut]))
    except RecordRefused:
        return
    assert set(found.documents.values()) == {CDA}


METADATA = metadata()


@settings(max_examples=300, deadline=None)
@given(
    places=st.lists(st.integers(0, len(METADATA)), min_size=1, max_size=5),
    piece=st.sampled_from(
        [b"", b"<", b">", b"&", b'"', b"^", b"<rim:Slot/>", b"\xff", b"]]>", b"<!--", b"\0"]
    ),
)
def test_metadata_spoiled_anywhere_are_refused_or_read(places: list[int], piece: bytes) -> None:
    spoiled = METADATA
    for at in places:
        spoiled = spoiled[:at] + piece + spoiled[at + 3 :]
    try:
        _, entries = read_metadata(spoiled)
    except RecordRefused:
        return
    assert len(entries) <= 2


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=80))
def test_hl7_texts_are_taken_apart_whatever_they_hold(text: str) -> None:
    assert ebrim.unescaped(ebrim.escaped(text)) == " ".join(text.split())
    for read in (
        ebrim.patient_of,
        ebrim.person_of,
        ebrim.organisation_of,
        ebrim.specialty_of,
        ebrim.unescaped,
    ):
        read(text)
    assert ebrim.traits_of([f"PID-{number}|{text}" for number in (5, 7, 8, 11)]).sex in {"M", "F", ""}


def test_a_typical_archive_is_read_in_a_few_milliseconds() -> None:
    whole = xdm.write(archive(content=CDA + bytes(range(256)) * 260))
    assert steps(lambda: xdm.read(whole)) < 60_000  # a third of that: one millisecond
    larger = xdm.write(archive(content=CDA + random.Random(1).randbytes(4_000_000)))
    assert steps(lambda: xdm.read(larger)) < 60_000, "what it costs does not grow with what lies in it"
    assert least_cpu(lambda: xdm.read(whole), 0.5) < 0.5
