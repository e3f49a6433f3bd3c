"""Documents cut, twisted and made up: they are read or refused, nothing else, and no mark reaches the words."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail_server.payloads.record import fhir
from mail_server.payloads.record.cda.model import Block, Document, Run
from mail_server.payloads.record.cda.reading import read
from mail_server.payloads.record.cda.values import LONGEST
from mail_server.payloads.record.refusal import RecordRefused
from tests.effort import least_cpu

CDA = Path(__file__).parents[4] / "webmail" / "vectors" / "cda"
XML = [one.read_bytes() for one in sorted(CDA.glob("*.xml")) if "utf16" not in one.name]
JSON = [one.read_bytes() for one in sorted(CDA.glob("*.json")) if one.name != "expected.json"]
PIECES = (
    *(b"<br/>", b"</td>", b"<td colspan='-1'>", b"&#0;", b"&amp;", b"]]>", b"<![CDATA[", b"xsi:type='PQ'"),
    *(
        b' value="1e999"',
        b"<table>",
        b"<value/>",
        b"\x00",
        b"\xff",
        b"<script>",
        b'"',
        b"{",
        b"[",
        b"null",
        b"-1",
    ),
    *(b"1e400", b"\\ud800"),
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def twisted(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A document of the corpus with a few pieces cut out, put in, or doubled."""
    change = st.tuples(st.integers(0, 40_000), st.integers(0, 200), st.sampled_from(PIECES))

    def made(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for at, length, piece in changes:
            start = at % len(seed)
            seed = seed[:start] + piece + seed[start + length :]
        return seed

    return st.builds(made, st.sampled_from(seeds), st.lists(change, min_size=1, max_size=3))


def words(value: object) -> Iterator[Run]:
    if isinstance(value, Run):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from words(one)
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from words(getattr(value, one.name))


def sound(document: Document) -> None:
    """What holds of any document that was read."""
    for run in words(document.sections):
        assert run.text
        assert "\n" not in run.text
    for result in document.results:
        assert result.name
        assert len(result.value) <= LONGEST
        assert result.number is None or abs(result.number) < float("inf")
    assert all(entry.name for entry in document.entries)


def sound_or_refused(reader: Callable[[bytes], Document], data: bytes) -> None:
    try:
        document = reader(data)
    except RecordRefused:
        return
    sound(document)


@quick
@given(twisted(XML))
def test_a_twisted_cda_document_is_read_or_refused(data: bytes) -> None:
    sound_or_refused(read, data)


@quick
@given(twisted(JSON))
def test_a_twisted_fhir_document_is_read_or_refused(data: bytes) -> None:
    sound_or_refused(fhir.read, data)


FIELDS = ["coding", "code", "text", "value", "id", "status", "given", "period"]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Patient/1", "#p", "2026-13"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=8,
)
KINDS = [
    "Patient",
    "Observation",
    "MedicationRequest",
    "Condition",
    "Immunization",
    "DeviceUseStatement",
    "Consent",
]
KEYS = [
    "id",
    "status",
    "code",
    "subject",
    "valueQuantity",
    "dosageInstruction",
    "name",
    "category",
    "component",
]
KEYS += ["note", "vaccineCode", "device", "referenceRange"]
HEADS = ["section", "subject", "author", "date", "type", "title"]
resources = st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6))
compositions = st.dictionaries(st.sampled_from(HEADS), json_values, max_size=5)


@quick
@given(st.lists(resources, max_size=4), compositions)
def test_resources_of_any_shape_are_read_or_refused(
    held: list[tuple[str, dict[str, object]]], composition: dict[str, object]
) -> None:
    entries: list[object] = [{"resource": {**composition, "resourceType": "Composition"}}]
    entries += [{"resource": {**fields, "resourceType": kind}} for kind, fields in held]
    bundle = {"resourceType": "Bundle", "type": "document", "entry": entries}
    sound_or_refused(fhir.read, json.dumps(bundle).encode())


@given(st.binary(max_size=300))
def test_any_octets_are_refused(data: bytes) -> None:
    for reader in (read, fhir.read):
        with pytest.raises(RecordRefused):
            reader(data)


def _whole(inner: str) -> bytes:
    return (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section>'
        f"{inner}</section></component></structuredBody></component></ClinicalDocument>"
    ).encode()


def test_marks_of_a_page_in_the_words_are_words() -> None:
    marks = "<paragraph>&lt;img src=x onerror=alert(1)&gt;</paragraph><p onclick='x'><a href='javascript:1'>a</a></p>"
    blocks = read(_whole(f"<text>{marks}</text>")).sections[0].blocks
    assert [run.text for block in blocks for run in block.runs] == ["<img src=x onerror=alert(1)>", "a"]


def test_images_are_told_by_their_octets_not_by_their_word() -> None:
    value = "<value mediaType='image/png' representation='B64'>PHN2Zz48c2NyaXB0Lz4=</value>"
    media = f"<entry><observationMedia>{value}</observationMedia></entry>"
    assert read(_whole(media)).sections[0].blocks == ()


def test_a_paragraph_of_two_hundred_thousand_marks_is_read_in_a_moment() -> None:
    whole = _whole("<text>" + "<content>ab </content>" * 100_000 + "</text>")
    assert least_cpu(lambda: read(whole), 15) < 15  # 0.7 s where nothing else runs; the square is minutes
    document = read(whole)
    [block] = document.sections[0].blocks
    assert isinstance(block, Block)
    assert len(block.runs) == 1


def test_a_reference_to_a_whole_narrative_costs_its_words_once() -> None:
    value = "<value><originalText><reference value='#all'/></originalText></value>"
    entry = f"<entry><observation>{value}</observation></entry>"
    text = "<text><content ID='all'>" + "mot " * 50_000 + "</content></text>"
    whole = _whole("<code code='11450-4'/>" + text + entry * 3000)
    assert (
        least_cpu(lambda: read(whole), 4) < 4
    )  # 0.1 s where nothing else runs; words once each reference: minutes
    document = read(whole)
    assert {len(one.name) for one in document.entries} == {LONGEST - 1}


def test_nothing_of_a_patient_stands_in_a_repr_or_a_refusal() -> None:
    told = repr(read((CDA / "sortie.xml").read_bytes()))
    assert not re.search("MORVAN|JEANNE|1950|2500335|fibrillation|APIXABAN", told, re.IGNORECASE)
    with pytest.raises(RecordRefused) as refused:
        read((CDA / "refuse-deux-patients.xml").read_bytes())
    assert "MORVAN" not in str(refused.value) + refused.value.sentence
