"""FHIR's JSON, walked without trust, and its data types read for people. The page's twin is `fhir_values.ts`.

Own reading, not fhir.resources: its R4B models refuse ordinary R4 documents for what does no harm to a reader (a
`null`, an empty text, an element of a national guide), take over a second to load, and have no twin in the page.
`validation` holds documents to them where an operator asks.

Invariants: never raises; what has another shape is as if it were not there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from mail_server.payloads.record.cda.values import cut, unit
from mail_server.payloads.record.model import Code

_MANY: Final = 2000  # elements of one list
_SYSTEMS: Final = {
    "http://loinc.org": "2.16.840.1.113883.6.1",
    "http://snomed.info/sct": "2.16.840.1.113883.6.96",
    "http://www.whocc.no/atc": "2.16.840.1.113883.6.73",
    "http://hl7.org/fhir/sid/icd-10": "2.16.840.1.113883.6.3",
}
_HALVES: Final = re.compile("[\ud800-\udfff]")
_EXPONENT: Final = re.compile(r"e([+-])0+")


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the document; nothing is a place too."""

    value: object = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return isinstance(self.value, dict)

    def at(self, *path: str) -> Node:
        """The object at a path; the first of a list of them."""
        here = self
        for name in path:
            found = here._get(name)
            many = cast("list[object]", found) if isinstance(found, list) else []
            here = Node(many[0] if many else cast("object", found))
        return here

    def all(self, name: str) -> list[Node]:
        found = self._get(name)
        if not isinstance(found, list):
            return []
        return [one for one in map(Node, cast("list[object]", found)[:_MANY]) if one]

    def text(self, *path: str) -> str:
        return cut(self.raw(*path))

    def raw(self, *path: str) -> str:
        """A text as it stands, however long."""
        found = self.at(*path).value
        return _whole(found) if isinstance(found, str) else ""

    def texts(self, name: str) -> list[str]:
        found = self._get(name)
        if not isinstance(found, list):
            return []
        return [cut(_whole(one)) for one in cast("list[Any]", found)[:_MANY] if isinstance(one, str)]

    def number(self, *path: str) -> float | None:
        found = self.at(*path).value
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        try:
            number = float(found)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None

    def holds(self, name: str, value: object) -> bool:
        return self._get(name) is value

    def _get(self, name: str) -> Any:
        return cast("Mapping[str, Any]", self.value).get(name) if self else None


def _whole(text: str) -> str:
    """Without halves of characters, which JSON can write and nothing else can."""
    return _HALVES.sub("\ufffd", text)


def told(number: float | None) -> str:
    """A number as JavaScript tells it, so that both sides say the same."""
    if number is None:
        return ""
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return _EXPONENT.sub(r"e\1", repr(number))


def name_of(concept: Node) -> str:
    """The words of a CodeableConcept, or of a Coding."""
    if concept.text("text"):
        return concept.text("text")
    for coding in concept.all("coding"):
        if coding.text("display"):
            return coding.text("display")
    return concept.text("display") or concept.text("coding", "code") or concept.text("code")


def code_of(concept: Node) -> Code | None:
    coding = concept.at("coding") if concept.at("coding") else concept
    if not coding.text("code"):
        return None
    return Code(coding.text("code"), system_of(coding.text("system")), name_of(concept))


def codes_of(concept: Node) -> list[str]:
    return [coding.text("code") for coding in concept.all("coding")]


def system_of(uri: str) -> str:
    """A system by its OID where it has one."""
    return _SYSTEMS.get(uri, uri.removeprefix("urn:oid:"))


def quantity(node: Node) -> str:
    return f"{told(node.number('value'))} {unit_of(node)}".strip(" ")


def unit_of(node: Node) -> str:
    return unit(node.text("unit") or node.text("code"))
