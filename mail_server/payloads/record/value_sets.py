"""The national tables of documents: types, classes, formats, confidentiality, practice settings, facilities, contents.

Data in `value_sets/*.json`, each with its source and date, so that a new edition is a change of data. The page has the
types and classes (`webmail/ui/src/worker/record/value_sets.json`), written from the same by `page_json`.
Invariants: pure look-ups; a code that is not of today's table is None, never a guess; a type that another took the
place of is known by `current_type`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from mail_server.payloads.record.model import Code

Language = Literal["fr", "en"]
Table = Literal[
    "document_types", "classes", "formats", "confidentiality", "settings", "facilities", "contents"
]
TABLES: Final[tuple[Table, ...]] = (
    *("document_types", "classes", "formats", "confidentiality"),
    *("settings", "facilities", "contents"),
)
OTHER_CLASS: Final = "90"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table comes from: the official name and OID of the value set, who published it, and its date."""

    name: str
    oid: str
    source: str
    date: str


def document_type(code: str) -> Code | None:
    """A type of today's table (JDV_J07), with its French label."""
    return _codes("document_types").get(code)


def current_type(code: str) -> Code | None:
    """The type that a document bearing this code has today: 34105-7 became 34112-3."""
    return document_type(_replaced().get(code, code))


def document_types() -> tuple[Code, ...]:
    return tuple(_codes("document_types").values())


def class_of(type_code: str) -> Code:
    """The class (JDV_J57) of a type; of a type that is not known, that of other documents."""
    concepts = _concepts("document_types")
    concept = concepts.get(_replaced().get(type_code, type_code))
    return _codes("classes")[concept["class"] if concept else OTHER_CLASS]


def document_class(code: str) -> Code | None:
    return _codes("classes").get(code)


def format_code(code: str) -> Code | None:
    return _codes("formats").get(code)


def confidentiality(code: str) -> Code | None:
    return _codes("confidentiality").get(code)


def setting(code: str) -> Code | None:
    return _codes("settings").get(code)


def facility(code: str) -> Code | None:
    return _codes("facilities").get(code)


def content_type(code: str) -> Code | None:
    return _codes("contents").get(code)


def content_of_stay(patient_class: str) -> Code | None:
    """The content type of a submission about a stay of this class (HL7 v2 PV1-2: I, O, R, N, E)."""
    stays: Mapping[str, str] = _table("contents")["stays"]
    return content_type(stays.get(patient_class, ""))


def label(table: Table, code: str, language: Language = "fr") -> str:
    """The words for a code; "" when the table has it not, French where it has no English ones."""
    concept = _concepts(table).get(_replaced().get(code, code) if table == "document_types" else code)
    return "" if concept is None else concept.get(language) or concept["fr"]


def source(table: Table) -> Source:
    told = _table(table)
    return Source(told["name"], told["oid"], told["source"], told["date"])


def page_json() -> str:
    """What the page is given: code, French and English label, class."""
    types = [
        [one["code"], one["fr"], one["en"], one["class"]] for one in _concepts("document_types").values()
    ]
    classes = [[one["code"], one["fr"], one["en"]] for one in _concepts("classes").values()]
    hidden = [[one["code"], one["fr"], one["en"]] for one in _concepts("confidentiality").values()]
    told = {
        "date": source("document_types").date,
        "types": types,
        "replaced": dict(_replaced()),
        "classes": classes,
        "confidentiality": hidden,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[") + "\n"


@cache
def _table(name: Table) -> Mapping[str, Any]:
    found = files("mail_server.payloads.record").joinpath("value_sets", f"{name}.json")
    table: Mapping[str, Any] = json.loads(found.read_text("utf-8"))
    return table


@cache
def _concepts(name: Table) -> Mapping[str, Mapping[str, str]]:
    return {one["code"]: one for one in _table(name)["concepts"]}


@cache
def _codes(name: Table) -> Mapping[str, Code]:
    return {code: Code(code, one["system"], one["fr"]) for code, one in _concepts(name).items()}


def _replaced() -> Mapping[str, str]:
    replaced: Mapping[str, str] = _table("document_types")["replaced"]
    return replaced
