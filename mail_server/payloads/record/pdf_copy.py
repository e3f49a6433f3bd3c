"""The copy as a PDF that goes beside each CDA document (ECO.2.1.5): what a person reads who has no software for CDA.

A document that wraps a PDF is copied by that PDF, octet for octet; any other is set by Typst from the values that
`cda.reading` gave: PDF/A-1a (tagged, as ECO.2.1.5 wants PDF/A-1), or PDF/A-2a with PDF/UA-1 when an image in it is
transparent, which PDF/A-1 forbids. PDF/UA-1 beside PDF/A-1 would leave no head and foot: PDF 1.4 has no mark for them.
Words of the document go to Typst as data, never as its language. The patient's identity stands at the head of every
page.

Invariants: the same document gives the same octets; nothing is written to a file; what Typst cannot set even without
images and without characters it has no letters for, is `RecordRefused`. Calls take some 30 ms: they belong in a thread.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import typst

from mail_server.payloads.record.cda import reading
from mail_server.payloads.record.cda.model import Block, Cell, ClinicalEntry, Document, Result, Run, Section
from mail_server.payloads.record.cda.times import day_of
from mail_server.payloads.record.model import Author
from mail_server.payloads.record.refusal import AnsCode, RecordRefused

_EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_STANDARDS: Final = (["a-1a"], ["ua-1", "a-2a"])
_UNKNOWN_LETTERS: Final = re.compile(
    "[^\t\n\r -\u024f\u0370-\u03ff\u0400-\u04ff\u2010-\u2044\u20ac\u2190-\u2193\u2260-\u2265]"
)
_FLAGS: Final = {
    "N": "normal",
    "L": "bas",
    "H": "élevé",
    "LL": "très bas",
    "HH": "très élevé",
    "A": "anormal",
    "AA": "très anormal",
}
_KINDS: Final = {
    "medication": "Traitement",
    "allergy": "Allergie",
    "problem": "Problème",
    "history": "Antécédent",
    "vaccination": "Vaccination",
    "procedure": "Acte",
    "device": "Dispositif",
    "family": "Antécédent familial",
    "risk": "Facteur de risque",
    "plan": "À venir",
    "wish": "Volonté",
    "contact": "Contact",
}

_TEMPLATE: Final = """
#let given = json(bytes(sys.inputs.given))
#set document(title: given.title, author: given.author)
#set page(
  paper: "a4",
  margin: (x: 18mm, top: 24mm, bottom: 18mm),
  header: text(size: 8.5pt)[#given.patient #h(1fr) #given.kind #line(length: 100%, stroke: 0.4pt + luma(60%))],
  footer: context align(right, text(size: 8pt, "Page " + counter(page).display("1 / 1", both: true))),
)
#set text(lang: "fr", font: "Libertinus Serif", size: 10pt)
#set par(justify: false)
#show heading.where(level: 1): set text(size: 16pt)
#show heading.where(level: 2): set text(size: 12.5pt)
#let breakable(words) = words.replace(regex("[^ ]{24,}"), word => (
  word.text.replace(regex("[0-9A-Za-z@.,:/=_-]{12}"), piece => piece.text + "\\u{200b}")
))
#let styled(run) = {
  if run.break_ { linebreak() }
  let words = breakable(run.text)
  if run.style == "bold" { strong(words) } else if run.style == "italic" { emph(words) } else if (
    run.style == "underline"
  ) { underline(words) } else if run.style == "sub" { sub(words) } else if run.style == "sup" { super(words) } else if (
    run.style == "strike"
  ) { strike(words) } else { words }
}
#let set_cell(one) = table.cell(colspan: one.columns, rowspan: one.rows, one.runs.map(styled).join())
#let set_block(one) = {
  if one.form == "paragraph" { par(one.runs.map(styled).join()) } else if one.form == "list" {
    let items = one.items.map(item => item.map(set_block).join())
    if one.ordered { enum(..items) } else { list(..items) }
  } else if one.form == "image" {
    if one.data.len() > 0 {
      let drawn(..size) = image(bytes(one.data), alt: one.caption, ..size)
      let wide = drawn(width: one.width * 1mm)
      context if measure(wide).height > 220mm { drawn(height: 220mm) } else { wide }
    }
  } else {
    if one.caption != "" { strong(one.caption) }
    table(
      columns: one.columns * (1fr,),
      stroke: 0.4pt + luma(60%),
      inset: 3.5pt,
      align: left,
      ..if one.head.len() > 0 { (table.header(..one.head.map(row => row.map(set_cell)).flatten()),) },
      ..one.rows.map(row => row.map(set_cell)).flatten(),
    )
  }
}
#heading(level: 1, given.title)
#for line in given.lead { par(line) }
#for section in given.sections {
  if section.title != "" { heading(level: section.level, section.title) }
  for one in section.blocks { set_block(one) }
}
"""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What Typst is handed."""

    title: str = field(repr=False)
    author: str = field(repr=False)
    patient: str = field(repr=False)
    kind: str = field(repr=False)
    lead: Sequence[str] = field(repr=False)
    sections: Sequence[Mapping[str, Any]] = field(repr=False)

    def as_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, ensure_ascii=False)


def pdf_copy(data: bytes) -> bytes:
    """The copy of a CDA document's octets. Raises `RecordRefused`."""
    document = reading.read(data)
    if document.body_type == "application/pdf" and document.level == 1:
        return document.body
    return draw(document)


def draw(document: Document) -> bytes:
    """A document's values, set. Raises `RecordRefused`."""
    made = _made_at(document.header.at)
    for standards in _STANDARDS:
        try:
            return _set(_sheet(document, images=True).as_json(), standards, made)
        except typst.TypstError:
            continue
    plain = _UNKNOWN_LETTERS.sub("□", _sheet(document, images=False).as_json()).replace("□", "?")
    try:
        return _set(plain, _STANDARDS[-1], made)
    except typst.TypstError:
        raise RecordRefused(AnsCode.OTHER, "pdf-copy", "No PDF copy could be made of a document") from None


def _set(given: str, standards: list[Any], made: dt.datetime) -> bytes:
    return typst.compile(
        _TEMPLATE.encode(),
        sys_inputs={"given": given},
        ignore_system_fonts=True,
        pdf_standards=standards,
        timestamp=made,
    )


def _made_at(iso: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(iso)
    except ValueError:
        return _EPOCH
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _sheet(document: Document, *, images: bool) -> _Sheet:
    header = document.header
    sections = [one for section in document.sections for one in _sections(section, 2, images)]
    if document.level == 1 and document.body_type == "text/plain":
        sections.append(_section("", [_paragraph(line) for line in _lines(document.body)]))
    elif document.level == 1 and document.body_type in ("image/jpeg", "image/png") and images:
        sections.append(_section("", [_image(document.body, header.title, 160)]))
    elif document.level == 1:
        words = f"Le contenu est un fichier ({document.body_type}) qui se trouve dans le document lui-même."
        sections.append(_section("", [_paragraph(words)]))
    if document.results:
        sections.append(_section("Résultats", _results(document.results)))
    if document.entries and not any(section["blocks"] for section in sections):
        sections.append(_section("Données du document", [_entries(document.entries)]))
    author = _named(header.authors[0]) if header.authors else ""
    return _Sheet(
        header.title or "Document",
        author,
        _patient(document),
        header.type.display or header.title,
        _lead(document),
        sections,
    )


def _patient(document: Document) -> str:
    traits = document.header.traits
    ids = [one.extension for one in document.header.patient_ids][:1]
    name = f"{traits.family_name} {traits.given_name}".strip(" ") or "Patient non identifié"
    born = {"F": "née le", "M": "né le"}.get(traits.sex, "né(e) le")
    parts = [name, f"{born} {day_of(traits.birth_date)}" if traits.birth_date else "", *ids]
    return " – ".join(part for part in parts if part)


def _lead(document: Document) -> list[str]:
    header = document.header
    authors = " ; ".join(_named(one) for one in header.authors if _named(one))
    lines = [
        f"Document du {day_of(header.at)}" if header.at else "",
        f"Auteur\u00a0: {authors}" if authors else "",
        f"Conservé par\u00a0: {header.custodian}" if header.custodian else "",
        f"Ordonnance n°\u00a0{header.prescription}" if header.prescription else "",
        "Ce document remplace une version précédente." if header.replaces else "",
    ]
    return [line for line in lines if line]


def _named(author: Author) -> str:
    name = f"{author.given_name} {author.family_name}".strip(" ")
    return ", ".join(part for part in (name, author.organisation) if part)


def _sections(section: Section, level: int, images: bool) -> list[dict[str, Any]]:
    blocks = [_block(one, images) for one in section.blocks]
    told = [_section(section.title, blocks, level)] if blocks or section.sections else []
    deeper = min(level + 1, 6) if section.title else level
    return told + [one for inner in section.sections for one in _sections(inner, deeper, images)]


def _section(title: str, blocks: list[dict[str, Any]], level: int = 2) -> dict[str, Any]:
    return {"title": title, "level": level, "blocks": blocks}


def _block(block: Block, images: bool) -> dict[str, Any]:
    match block.form:
        case "paragraph":
            return {"form": "paragraph", "runs": [_run(one) for one in block.runs]}
        case "list":
            items = [[_block(one, images) for one in item] for item in block.items]
            return {"form": "list", "ordered": block.ordered, "items": items}
        case "image":
            data = base64.b64decode(block.image) if images else b""
            return _image(data, block.caption, 80)
        case "table":
            return _table(block.caption, block.head, block.rows)


def _image(data: bytes, caption: str, width: int) -> dict[str, Any]:
    return {"form": "image", "caption": caption or "Image du document", "data": list(data), "width": width}


def _run(run: Run) -> dict[str, Any]:
    return {"text": run.text, "style": run.style, "break_": run.line_break}


def _paragraph(text: str) -> dict[str, Any]:
    return {"form": "paragraph", "runs": [_run(Run(text))]}


def _lines(body: bytes) -> list[str]:
    return [line for line in body.decode("utf-8", "replace").splitlines() if line.strip()]


def _table(caption: str, head: Sequence[Sequence[Cell]], rows: Sequence[Sequence[Cell]]) -> dict[str, Any]:
    """A grid that Typst takes whatever the spans said: none reaches out of its part, and no place is left empty."""
    width = max(_width(head), _width(rows), 1)
    return {
        "form": "table",
        "caption": caption,
        "columns": width,
        "head": _grid(head, width),
        "rows": _grid(rows, width),
    }


def _places(rows: Sequence[Sequence[Cell]]) -> list[list[tuple[int, Cell, int]]]:
    """Where each cell of each row stands, around those that reach down from rows above; and how far down it may."""
    placed: list[list[tuple[int, Cell, int]]] = []
    taken: set[tuple[int, int]] = set()
    for down, row in enumerate(rows):
        at = 0
        here: list[tuple[int, Cell, int]] = []
        for cell in row:
            while (down, at) in taken:
                at += 1
            wide = 1
            while wide < cell.columns and (down, at + wide) not in taken:
                wide += 1
            deep = min(cell.rows, len(rows) - down)
            taken.update((down + below, at + beside) for below in range(1, deep) for beside in range(wide))
            here.append((at, replace(cell, columns=wide), deep))
            at += wide
        placed.append(here)
    return placed


def _width(rows: Sequence[Sequence[Cell]]) -> int:
    return max((at + cell.columns for row in _places(rows) for at, cell, _ in row), default=0)


def _grid(rows: Sequence[Sequence[Cell]], width: int) -> list[list[dict[str, Any]]]:
    placed = _places(rows)
    covered = {
        (down + below, at + beside)
        for down, row in enumerate(placed)
        for at, cell, deep in row
        for below in range(deep)
        for beside in range(cell.columns)
    }
    made: list[list[dict[str, Any]]] = []
    for down, row in enumerate(placed):
        cells = [(at, _cell(cell, deep)) for at, cell, deep in row]
        cells += [(at, _cell(Cell(()), 1)) for at in range(width) if (down, at) not in covered]
        made.append([cell for _, cell in sorted(cells, key=lambda one: one[0])])
    return made


def _cell(cell: Cell, deep: int) -> dict[str, Any]:
    runs = [_run(Run(one.text, "bold" if cell.header else one.style, one.line_break)) for one in cell.runs]
    return {"runs": runs, "columns": cell.columns, "rows": deep}


def _results(results: Sequence[Result]) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = []
    for group in dict.fromkeys(one.group for one in results):
        head = [_cells("Analyse", "Résultat", "Référence", "Repère", "Date", header=True)]
        rows = [
            _cells(
                one.name + (" (antérieur)" if one.previous else ""),
                " – ".join(part for part in (f"{one.value} {one.unit}".strip(" "), one.comment) if part),
                one.reference,
                _FLAGS.get(one.flag, ""),
                day_of(one.at),
            )
            for one in results
            if one.group == group
        ]
        tables.append(_table(group, head, rows))
    return tables


def _entries(entries: Sequence[ClinicalEntry]) -> dict[str, Any]:
    head = [_cells("Donnée", "Nom", "Précision", "Depuis", header=True)]
    rows = [
        _cells(
            _KINDS[one.kind],
            one.name + (" (absence)" if one.negated else ""),
            " ".join(part for part in (one.detail, one.severity) if part),
            day_of(one.start),
        )
        for one in entries
    ]
    return _table("", head, rows)


def _cells(*texts: str, header: bool = False) -> tuple[Cell, ...]:
    return tuple(Cell((Run(text),), header) for text in texts)
