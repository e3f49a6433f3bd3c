"""The PDF copy of a document: what it says, whose name stands on each page, and that it is PDF/A and PDF/UA."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pypdf
import pytest

from mail_server.payloads.record.cda import reading
from mail_server.payloads.record.cda.model import Block, Cell, Document, Run, Section
from mail_server.payloads.record.pdf_copy import draw, pdf_copy
from mail_server.payloads.record.refusal import RecordRefused

CDA = Path(__file__).parents[3] / "webmail" / "vectors" / "cda"
LETTER = (CDA / "sortie.xml").read_bytes()


def pages(made: bytes) -> list[str]:
    return [" ".join(one.extract_text().split()) for one in pypdf.PdfReader(io.BytesIO(made)).pages]


def document(*blocks: Block) -> Document:
    return dataclasses.replace(
        reading.read(LETTER), sections=(Section("", "Une partie", blocks),), results=()
    )


def paragraph(text: str) -> Block:
    return Block("paragraph", (Run(text),))


def test_a_copy_says_what_the_document_says() -> None:
    [page] = pages(pdf_copy(LETTER))
    for words in ("Lettre de liaison à la sortie", "cardioversion réussie", "APIXABAN 5 mg", "Antoine ROUX"):
        assert words in page


def test_results_stand_with_their_flags_and_ranges() -> None:
    [page] = pages(pdf_copy((CDA / "biologie-1.xml").read_bytes()))
    assert "Plaquettes 412 10*9/L" in page
    assert "élevé" in page
    assert "Glucose (antérieur)" in page


def test_the_patient_stands_at_the_head_of_every_page() -> None:
    made = pages(draw(document(*(paragraph(f"Ligne {one}") for one in range(120)))))
    assert len(made) > 2
    for page in made:
        assert page.startswith("MORVAN JEANNE – née le 12/03/1950")


def standards(made: bytes) -> tuple[str, dict[str, object]]:
    root = pypdf.PdfReader(io.BytesIO(made)).trailer["/Root"].get_object()
    assert isinstance(root, pypdf.generic.DictionaryObject)
    return root["/Metadata"].get_data().decode(), root  # pyright: ignore


def test_a_copy_is_pdf_a_1_tagged_in_french_with_a_title() -> None:
    told, root = standards(pdf_copy(LETTER))
    for words in ("<pdfaid:part>1", "<pdfaid:conformance>A", "Lettre de liaison"):
        assert words in told
    assert root["/Lang"] == "fr"
    assert root["/MarkInfo"]["/Marked"]  # pyright: ignore


def test_a_transparent_image_makes_the_copy_pdf_a_2_and_pdf_ua() -> None:
    clear = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    told, _ = standards(draw(document(Block("image", image=clear, image_type="image/png", caption="Point"))))
    for words in ("<pdfaid:part>2", "<pdfaid:conformance>A", "<pdfuaid:part>1"):
        assert words in told


def test_the_copy_of_a_wrapped_pdf_is_that_pdf() -> None:
    data = (CDA / "n1-pdf.xml").read_bytes()
    assert pdf_copy(data) == reading.read(data).body


def test_one_document_gives_one_copy() -> None:
    assert pdf_copy(LETTER) == pdf_copy(LETTER)


def test_spans_that_reach_out_of_their_table_are_cut() -> None:
    wide = Cell((Run("large"),), columns=3, rows=9)
    rows = (
        (wide, Cell((Run("a"),))),
        (Cell((Run("b"),)),),
        (Cell((Run("c"),)), Cell((Run("d"),), columns=2)),
    )
    [page] = pages(draw(document(Block("table", head=((Cell((Run("t"),), True),),), rows=rows))))
    assert all(word in page.split() for word in ("large", "a", "b", "c", "d"))


def test_letters_that_no_font_has_are_replaced_rather_than_the_copy_refused() -> None:
    [page] = pages(draw(document(paragraph("Bonjour 😀 et 中 fin"))))
    assert "Bonjour ? et ? fin" in page


def test_words_of_the_language_of_the_setter_are_words() -> None:
    [page] = pages(draw(document(paragraph('#panic("x") $x$ *gras* @ref <label> \\ "'))))
    assert '#panic("x") $x$ *gras* @ref <label> \\ "' in page.replace("\u201c", '"')


def test_a_broken_image_does_not_cost_the_copy() -> None:
    image = Block("image", image="iVBORw0KGgoAAAA=", image_type="image/png")
    [page] = pages(draw(document(image, paragraph("Après"))))
    assert "Après" in page


def test_a_document_that_is_refused_has_no_copy() -> None:
    with pytest.raises(RecordRefused):
        pdf_copy((CDA / "refuse-doctype.xml").read_bytes())
