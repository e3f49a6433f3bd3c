"""A CDA R2 document as typed values, the same in Python and in the page (`webmail/ui/src/worker/record/cda_model.ts`);
`tests/webmail/vectors/cda/` holds both to one answer.

Sections are blocks and runs, never markup: whoever shows them makes elements of their own, so nothing of a document can
become script. Times are ISO 8601 with the precision they came with ("2026", "2026-11", "2026-11-20T08:30:00+01:00").
Invariants: values only; whatever names or tells of a person is hidden from repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mail_server.payloads.record.model import Author, Code, PatientId, Traits

Style = Literal["", "bold", "italic", "underline", "sub", "sup", "strike"]
Flag = Literal["", "N", "L", "H", "LL", "HH", "A", "AA"]  # HL7 interpretation


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text; `line_break` before it."""

    text: str = field(repr=False)
    style: Style = ""
    line_break: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    runs: tuple[Run, ...] = field(repr=False)
    header: bool = False
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Block:
    """One of: paragraph (`runs`), list (`items`), table (`head`, `rows`, `caption`), image (`image`, `image_type`)."""

    form: Literal["paragraph", "list", "table", "image"]
    runs: tuple[Run, ...] = field(default=(), repr=False)
    ordered: bool = False
    items: tuple[tuple[Block, ...], ...] = field(default=(), repr=False)
    caption: str = field(default="", repr=False)
    head: tuple[tuple[Cell, ...], ...] = field(default=(), repr=False)
    rows: tuple[tuple[Cell, ...], ...] = field(default=(), repr=False)
    image: str = field(default="", repr=False)  # base64
    image_type: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    code: str
    title: str = field(repr=False)
    blocks: tuple[Block, ...] = field(default=(), repr=False)
    sections: tuple[Section, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """One laboratory result or measure. `value` as written; `number` when it is one."""

    code: str
    name: str = field(repr=False)
    value: str = field(default="", repr=False)
    number: float | None = field(default=None, repr=False)
    unit: str = ""
    low: float | None = None
    high: float | None = None
    reference: str = field(default="", repr=False)  # the range as written
    flag: Flag = ""
    at: str = ""
    specimen: str = field(default="", repr=False)
    group: str = field(default="", repr=False)  # the chapter it stands under
    comment: str = field(default="", repr=False)
    previous: bool = False  # an earlier result, repeated for comparison


EntryKind = Literal[
    "medication",
    "allergy",
    "problem",
    "history",
    "vaccination",
    "procedure",
    "device",
    "family",
    "risk",
    "plan",
    "wish",
    "contact",
]


@dataclass(frozen=True, slots=True)
class ClinicalEntry:
    """One entry of a coded section: a treatment, an allergy, a vaccination..."""

    kind: EntryKind
    name: str = field(repr=False)
    code: Code | None = field(default=None, repr=False)
    status: str = ""  # "active", "completed", "stopped", "planned", ""
    start: str = ""
    end: str = ""
    detail: str = field(default="", repr=False)  # dose and rhythm, reaction, lot...
    severity: str = field(default="", repr=False)
    negated: bool = False  # "no known allergy", "not vaccinated"


@dataclass(frozen=True, slots=True)
class Header:
    """What the document says of itself."""

    id: str  # uniqueId: root, or root^extension
    set_id: str
    version: int
    type: Code
    title: str = field(repr=False)
    at: str  # effectiveTime
    confidentiality: Code
    language: str
    patient_ids: tuple[PatientId, ...]
    traits: Traits
    authors: tuple[Author, ...]
    custodian: str = ""
    custodian_id: str = ""
    legal_authenticator: Author | None = None
    service_start: str = ""
    service_stop: str = ""
    setting: Code | None = None
    facility: Code | None = None
    replaces: tuple[str, ...] = ()  # uniqueIds (relatedDocument RPLC)
    templates: tuple[str, ...] = ()
    prescription: str = field(default="", repr=False)  # number of a unified electronic prescription


@dataclass(frozen=True, slots=True)
class Document:
    """A CDA read. Level 1 has `body` and `body_type`; level 3 has sections and what was drawn from their entries."""

    header: Header
    level: Literal[1, 2, 3]
    body: bytes = field(default=b"", repr=False)
    body_type: str = ""
    sections: tuple[Section, ...] = field(default=(), repr=False)
    results: tuple[Result, ...] = field(default=(), repr=False)
    entries: tuple[ClinicalEntry, ...] = field(default=(), repr=False)
