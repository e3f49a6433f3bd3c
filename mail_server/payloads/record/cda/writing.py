"""CDA R2 documents of France, written: level 1 (a body wrapped, IHE XDS-SD) and level 3 (sections with their entries).

What is written here is read back by `reading` to the same values; the corpus under tests/webmail/vectors/cda/ is made
with it, and so are the letters of a hospital system.

Invariants: the order of elements is the schema's; text is escaped by the serialiser, so that no value becomes markup.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import Block, Cell, ClinicalEntry, Header, Result, Run, Section
from mail_server.payloads.record.cda.writing_entries import add_entries, add_results, section_for
from mail_server.payloads.record.cda.writing_header import Element, add, add_code, clean, document, octets
from mail_server.payloads.record.model import Code

_LEVEL_1: Final = (names.FRANCE, names.CI_SIS, names.XDS_SD)
_LEVEL_3: Final = (names.FRANCE, names.CI_SIS)
_LABORATORY: Final = "26436-6"
_STYLES: Final = {"bold": "Bold", "italic": "Italics", "underline": "Underline", "strike": "xStrike"}


def level1(header: Header, body: bytes, body_type: str) -> bytes:
    """A document whose body is a file: PDF/A mostly, or `image/jpeg`, `image/tiff`, `text/plain`, `text/rtf`."""
    root = document(header, _LEVEL_1)
    held = add(add(root, "component"), "nonXMLBody")
    add(held, "text", base64.b64encode(body).decode(), mediaType=body_type, representation="B64")
    return octets(root)


def level3(
    header: Header,
    sections: Sequence[Section],
    results: Sequence[Result] = (),
    entries: Sequence[ClinicalEntry] = (),
) -> bytes:
    """A document of sections. Results and entries stand in the section that is theirs by its code, else in one made
    for them, without a narrative."""
    root = document(header, _LEVEL_3)
    body = add(add(root, "component"), "structuredBody", classCode="DOCBODY")
    left, kept = list(entries), list(results)
    for section in sections:
        _section(body, section, left, kept)
    for code in dict.fromkeys(section_for(one) for one in entries):
        if any(section_for(one) == code for one in left):
            _section(body, Section(code, ""), left, kept)
    if kept:
        _section(body, Section(_LABORATORY, ""), left, kept)
    return octets(root)


def _section(body: Element, section: Section, entries: list[ClinicalEntry], results: list[Result]) -> None:
    made = add(add(body, "component", typeCode="COMP"), "section", classCode="DOCSECT")
    if section.code:
        add_code(made, "code", Code(section.code, _system(section.code)))
    if section.title:
        add(made, "title", section.title)
    if section.blocks:
        _narrative(made, section.blocks)
    mine = [one for one in entries if section_for(one) == section.code]
    add_entries(made, mine)
    entries[:] = [one for one in entries if one not in mine]
    add_results(made, section.code, results)
    for inner in section.sections:
        _section(made, inner, entries, results)


def _system(code: str) -> str:
    return names.LOINC if code[:1].isdigit() else names.LOCAL_TYPES


def _narrative(section: Element, blocks: Sequence[Block]) -> None:
    text = add(section, "text")
    images: list[Block] = []
    for block in blocks:
        _block(text, block, images)
    for at, image in enumerate(images, 1):
        media = add(add(section, "entry"), "observationMedia", classCode="OBS", moodCode="EVN", ID=f"IMG{at}")
        add(media, "value", image.image, mediaType=image.image_type, representation="B64")


def _block(parent: Element, block: Block, images: list[Block]) -> None:
    match block.form:
        case "paragraph":
            _runs(add(parent, "paragraph"), block.runs)
        case "list":
            made = add(parent, "list", listType="ordered" if block.ordered else "unordered")
            for item in block.items:
                held = add(made, "item")
                for inner in item:
                    _block(held, inner, images)
        case "image":
            images.append(block)
            media = add(parent, "renderMultiMedia", referencedObject=f"IMG{len(images)}")
            if block.caption:
                add(media, "caption", block.caption)
        case "table":
            table = add(parent, "table")
            if block.caption:
                add(table, "caption", block.caption)
            if block.head:
                _rows(add(table, "thead"), block.head)
            _rows(add(table, "tbody"), block.rows)


def _rows(part: Element, rows: Sequence[Sequence[Cell]]) -> None:
    for row in rows:
        made = add(part, "tr")
        for cell in row:
            held = add(
                made,
                "th" if cell.header else "td",
                colspan=str(cell.columns) if cell.columns > 1 else "",
                rowspan=str(cell.rows) if cell.rows > 1 else "",
            )
            _runs(held, cell.runs)


def _runs(parent: Element, runs: Sequence[Run]) -> None:
    last: Element | None = None
    for run in runs:
        if run.line_break:
            last = add(parent, "br")
        if run.style:
            tag = run.style if run.style in ("sub", "sup") else "content"
            last = add(parent, tag, run.text, styleCode=_STYLES.get(run.style, ""))
        elif last is None:
            parent.text = (parent.text or "") + clean(run.text)
        else:
            last.tail = (last.tail or "") + clean(run.text)
